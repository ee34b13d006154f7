use std::collections::BTreeSet;

use palm_models::template::{Hand, ModelVersion};

use super::*;
use crate::{
    entropy::SeededEntropy,
    gallery::sealed::{
        fixture::{capture, code, key, record},
        folder::Folder,
    },
    gallery::threads,
};

const KIND: Kind = Kind {
    hand: Hand::Right,
    model: ModelVersion::WITH_SEARCH_CODE,
};

fn gallery(packing: Packing) -> SealedGallery {
    SealedGallery::new(key(1), KIND, packing, threads(2).unwrap())
}

fn enrol(gallery: &mut SealedGallery, people: impl Iterator<Item = usize>) {
    for n in people {
        gallery.enrol(record(n), &code(n, 341)).unwrap();
    }
}

fn encrypt_all(gallery: &mut SealedGallery, entropy: &dyn Entropy) {
    while let Some(draft) = gallery.draft_any() {
        let fresh = gallery.encrypt(draft, entropy);
        gallery.publish(fresh);
    }
}

fn records(found: &[Candidate]) -> Vec<RecordId> {
    found.iter().map(|candidate| candidate.record).collect()
}

/// The best of a search by hand: inner products in the plain, of the same thinned probe.
fn plain(gallery: &SealedGallery, probe: &SearchCode, people: usize, keep: usize) -> Vec<i8> {
    let probe = gallery.keyholder.probe(probe).unwrap();
    let mut scores: Vec<_> = (0..people)
        .map(|n| probe.dot(&fixture::reference(n)))
        .collect();
    scores.sort_unstable_by(|a, b| b.cmp(a));
    scores.truncate(keep);
    scores
}

#[test]
fn search_over_blocks_and_waiting_codes_gives_the_best_in_order() {
    let people = 6_300;
    let mut gallery = gallery(Packing::Three);
    enrol(&mut gallery, 0..people);
    let draft = gallery.draft().unwrap();
    let fresh = gallery.encrypt(draft, &SeededEntropy::new(5));
    gallery.publish(fresh);
    assert!(gallery.draft().is_none(), "156 codes wait");
    assert_eq!(
        (gallery.blocks().count(), gallery.keyholder().len()),
        (1, people)
    );
    for n in [0, 3_000, 6_143, 6_144, 6_299] {
        let found = gallery.search(&capture(n, 63), 10).unwrap();
        assert_eq!(found[0].record, record(n));
        let scores: Vec<_> = found.iter().map(|candidate| candidate.score.0).collect();
        assert_eq!(scores, plain(&gallery, &capture(n, 63), people, 10));
    }
}

#[test]
fn probes_that_share_a_scan_get_the_answers_of_their_own() {
    let mut gallery = gallery(Packing::Two);
    enrol(&mut gallery, 0..300);
    encrypt_all(&mut gallery, &SeededEntropy::new(5));
    enrol(&mut gallery, 300..320);
    let probes: Vec<_> = (290..310).map(|n| capture(n, 127)).collect();
    let together = gallery
        .search_all(&probes.iter().collect::<Vec<_>>(), 5)
        .unwrap();
    for (probe, found) in probes.iter().zip(&together) {
        assert_eq!(&gallery.search(probe, 5).unwrap(), found);
    }
    assert_eq!(gallery.search_all(&[], 5).unwrap(), Vec::<Vec<_>>::new());
}

#[test]
fn stop_at_any_point_loses_nobody_and_reuses_no_mask() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let entropy = SeededEntropy::new(11);
    let mut seeds = BTreeSet::new();
    let mut people: BTreeSet<usize> = BTreeSet::new();
    // A record is never used again, whoever leaves.
    let mut born = 0..;
    let mut draw = 1_u64;
    // Each life does a few things and stops without a word; the store has who is enrolled, the folder the blocks.
    for life in 0..12 {
        let mut gallery = gallery(Packing::Two);
        let mut wanted: BTreeSet<_> = people.iter().map(|n| record(*n)).collect();
        let epoch = gallery.keyholder().epoch();
        for id in folder.blocks(epoch).unwrap() {
            let stored = folder.read(epoch, id).unwrap();
            let live = gallery.admit(stored.block, &stored.directory, &mut wanted);
            if live.unwrap() == 0 {
                folder.delete(epoch, id).unwrap();
            }
        }
        let left = people.iter().filter(|n| wanted.contains(&record(**n)));
        enrol(&mut gallery, left.copied());
        assert_eq!(gallery.keyholder().len(), people.len());
        for step in 0..6 {
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(life * 6 + step + 1);
            match draw >> 33 & 3 {
                0 if !people.is_empty() => {
                    let nth = usize::try_from(draw >> 60).unwrap() % people.len();
                    let n = *people.iter().nth(nth).unwrap();
                    people.remove(&n);
                    gallery.remove(record(n).customer);
                }
                1 => {
                    let more: Vec<_> = born.by_ref().take(20).collect();
                    enrol(&mut gallery, more.iter().copied());
                    people.extend(more);
                }
                _ => {
                    let Some(draft) = gallery.draft_any() else {
                        continue;
                    };
                    let fresh = gallery.encrypt(draft, &entropy);
                    assert!(
                        seeds.insert(fresh.block.header().seed),
                        "a seed was used again"
                    );
                    // A stop may fall before the file is there, or before the block is searched.
                    if draw >> 40 & 3 == 0 {
                        break;
                    }
                    folder.keep(&fresh).unwrap();
                    if draw >> 40 & 3 == 1 {
                        break;
                    }
                    gallery.publish(fresh);
                }
            }
        }
    }
    assert!(people.len() > 50, "{} people", people.len());
    assert!(seeds.len() > 5, "{} blocks were made", seeds.len());
}

#[test]
fn epochs_share_nothing_that_can_be_compared() {
    let searched = |epoch| {
        let gallery = SealedGallery::new(key(epoch), KIND, Packing::Three, threads(1).unwrap());
        gallery.keyholder().probe(&capture(1, 63)).unwrap()
    };
    let (one, other) = (searched(1), searched(2));
    let product = one.code().dot(other.code());
    // Of two random codes of weight 63 the standard deviation is 2.8.
    assert!(product.abs() < 15, "{product}");
}

#[test]
fn rotated_gallery_finds_everyone_without_their_hands() {
    let mut old = gallery(Packing::Three);
    enrol(&mut old, 0..50);
    encrypt_all(&mut old, &SeededEntropy::new(1));
    let mut new = SealedGallery::new(key(2), KIND, Packing::Three, threads(2).unwrap());
    for n in 0..50 {
        new.enrol(record(n), &code(n, 341)).unwrap();
    }
    encrypt_all(&mut new, &SeededEntropy::new(1));
    for n in 0..50 {
        let found = [&old, &new].map(|gallery| gallery.search(&capture(n, 63), 1).unwrap());
        assert_eq!(
            found.map(|found| records(&found)),
            [[record(n)], [record(n)]]
        );
    }
}

#[test]
fn codes_of_the_wrong_weight_are_refused() {
    let mut gallery = gallery(Packing::Three);
    let refused = gallery.enrol(record(1), &code(1, 100));
    assert!(matches!(refused, Err(SealedError::Weight(100))));
    let refused = gallery.search(&code(1, 10), 1);
    assert!(matches!(refused, Err(SealedError::Weight(10))));
}

mod irreversibility;
