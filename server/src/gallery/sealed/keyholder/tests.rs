use std::collections::BTreeSet;

use palm_models::template::{Hand, ModelVersion};

use super::*;
use crate::{
    entropy::SeededEntropy,
    gallery::sealed::fixture::{capture, code, key, record},
};

const KIND: Kind = Kind {
    hand: Hand::Right,
    model: ModelVersion::WITH_SEARCH_CODE,
};

fn keyholder(people: std::ops::Range<usize>) -> Keyholder {
    let mut keyholder = Keyholder::new(key(1), KIND, Packing::Two);
    for n in people {
        keyholder.enrol(record(n), &code(n, 341)).unwrap();
    }
    keyholder
}

fn found(keyholder: &Keyholder, blocks: &[Block], n: usize) -> Option<RecordId> {
    let probe = keyholder.probe(&capture(n, 127)).unwrap();
    let (query, mut best) = (keyholder.query(&probe), Best::new(1));
    for block in blocks {
        for sums in block.sums_of(std::slice::from_ref(&probe)) {
            keyholder.rank(&query, &sums, &mut best).unwrap();
        }
    }
    keyholder.rank_waiting(&probe, &mut best);
    let best = best.into_sorted();
    // Captures of one palm share most of their signs; those of strangers few.
    best.first()
        .filter(|best| best.score.0 > 40)
        .map(|best| best.record)
}

fn all(people: std::ops::Range<usize>) -> BTreeSet<RecordId> {
    people.map(record).collect()
}

#[test]
fn same_codes_under_the_same_key_and_seed_never_share_a_mask() {
    // The worst random source there is: it repeats itself from the first byte on.
    let mut keyholder = keyholder(0..50);
    let blocks = [(); 2].map(|()| {
        let draft = keyholder.draft_any().unwrap();
        draft.encrypt(&SeededEntropy::new(7)).block
    });
    let [one, other] = blocks.each_ref().map(|block| block.header());
    assert_eq!(one.seed, other.seed, "the source repeats itself");
    assert_ne!(one.block, other.block);
    let product = |header: &Header| {
        let probe = keyholder.probe(&capture(1, 63)).unwrap();
        keyholder.query(&probe).hidden(&header.mask())
    };
    assert_ne!(product(one), product(other), "the masks differ");
    let (one, other) = (blocks[0].rows(), blocks[1].rows());
    let equal = |row: usize| {
        one[row]
            .0
            .iter()
            .zip(&other[row].0)
            .filter(|(a, b)| a == b)
            .count()
    };
    assert!(
        (0..512).all(|row| equal(row) < 4),
        "no difference of messages shows"
    );
}

#[test]
fn block_answers_as_the_codes_that_it_was_made_of() {
    let mut keyholder = keyholder(0..60);
    assert!(keyholder.draft().is_none(), "60 codes fill no block");
    let draft = keyholder.draft_any().unwrap();
    let waiting: Vec<_> = (0..70).map(|n| found(&keyholder, &[], n)).collect();
    let block = keyholder.publish(draft.encrypt(&SeededEntropy::new(1)));
    assert_eq!(keyholder.len(), 60);
    let blocks = [block];
    for (n, before) in waiting.into_iter().enumerate() {
        assert_eq!(before, (n < 60).then(|| record(n)));
        assert_eq!(found(&keyholder, &blocks, n), before);
    }
}

#[test]
fn who_left_while_the_block_was_made_is_not_found_in_it() {
    let mut keyholder = keyholder(0..20);
    let draft = keyholder.draft_any().unwrap();
    keyholder.remove(record(3).customer);
    keyholder.enrol(record(30), &code(30, 341)).unwrap();
    let blocks = [keyholder.publish(draft.encrypt(&SeededEntropy::new(1)))];
    assert_eq!(keyholder.len(), 20);
    assert_eq!(found(&keyholder, &blocks, 3), None);
    assert_eq!(found(&keyholder, &blocks, 30), Some(record(30)));
    keyholder.remove(record(4).customer);
    assert_eq!(found(&keyholder, &blocks, 4), None);
    assert_eq!(found(&keyholder, &blocks, 5), Some(record(5)));
}

#[test]
fn stale_block_is_retired_and_its_living_come_under_a_fresh_mask() {
    let mut keyholder = keyholder(0..40);
    let draft = keyholder.draft_any().unwrap();
    let block = keyholder.publish(draft.encrypt(&SeededEntropy::new(1)));
    (0..5).for_each(|n| keyholder.remove(record(n).customer));
    assert_eq!(keyholder.stale(), None, "one in eight is not yet too many");
    keyholder.remove(record(5).customer);
    let (id, living) = keyholder.stale().unwrap();
    assert_eq!(living, (6..40).map(record).collect::<Vec<_>>());
    let mut codes: Vec<_> = (6..40).map(|n| (record(n), code(n, 341))).collect();
    // Someone who left meanwhile does not come back.
    keyholder.remove(record(6).customer);
    codes.push((record(99), code(99, 341)));
    keyholder.retire(id, &codes).unwrap();
    assert!(matches!(
        keyholder.retire(id, &codes),
        Err(SealedError::UnknownBlock)
    ));
    assert_eq!(keyholder.len(), 33);
    let draft = keyholder.draft_any().unwrap();
    let fresh = keyholder.publish(draft.encrypt(&SeededEntropy::new(2)));
    assert_ne!(fresh.header().seed, block.header().seed);
    assert!(fresh.header().block > block.header().block);
    let blocks = [fresh];
    for n in 0..45 {
        let wanted = (7..40).contains(&n).then(|| record(n));
        assert_eq!(found(&keyholder, &blocks, n), wanted);
    }
}

#[test]
fn of_two_blocks_with_one_record_the_later_has_it() {
    let mut before = keyholder(0..10);
    let old = before.draft_any().unwrap().encrypt(&SeededEntropy::new(1));
    before.enrol(record(10), &code(10, 341)).unwrap();
    let new = before.draft_any().unwrap().encrypt(&SeededEntropy::new(2));
    // As after a stop between the new file and the deletion of the old one.
    let mut after = keyholder(0..0);
    let mut wanted = all(1..12);
    let live = [&new, &old].map(|fresh| {
        let header = fresh.block.header();
        after.admit(header, &fresh.directory, &mut wanted).unwrap()
    });
    assert_eq!(live, [10, 0]);
    assert_eq!(
        wanted,
        all(11..12),
        "what no block has is to be enrolled again"
    );
    let blocks = [new.block, old.block];
    assert_eq!(found(&after, &blocks, 0), None, "left the store meanwhile");
    assert_eq!(found(&after, &blocks, 10), Some(record(10)));
    assert_eq!(after.draft_any().map(|_| ()), None);
    after.enrol(record(11), &code(11, 341)).unwrap();
    let next = after.draft_any().unwrap();
    assert!(next.block > blocks[0].header().block, "an id is used once");
}

#[test]
fn foreign_directories_are_refused_by_name() {
    let mut own = keyholder(0..10);
    let fresh = own.draft_any().unwrap().encrypt(&SeededEntropy::new(1));
    let other = own.draft_any().unwrap().encrypt(&SeededEntropy::new(2));
    let (header, directory) = (fresh.block.header(), &fresh.directory);
    let admit = |keyholder: &mut Keyholder, header: &Header, directory: &[u8]| {
        keyholder.admit(header, directory, &mut all(0..10))
    };
    let mut foreign = Keyholder::new(key(2), KIND, Packing::Two);
    let refused = admit(&mut foreign, header, directory);
    assert!(matches!(refused, Err(SealedError::Epoch(_))));
    let refused = admit(&mut own, header, &other.directory);
    assert!(
        matches!(refused, Err(SealedError::Forged)),
        "of another block"
    );
    let fewer = Header {
        count: 9,
        ..header.clone()
    };
    let refused = admit(&mut own, &fewer, directory);
    assert!(
        matches!(refused, Err(SealedError::Forged)),
        "another header"
    );
    let mut three = Keyholder::new(key(1), KIND, Packing::Three);
    let refused = admit(&mut three, header, directory);
    assert!(
        matches!(refused, Err(SealedError::Format)),
        "another packing"
    );
    let refused = admit(&mut own, header, &directory[..20]);
    assert!(matches!(refused, Err(SealedError::Forged)), "cut short");
    assert_eq!(admit(&mut own, header, directory).unwrap(), 10);
    let refused = admit(&mut own, header, directory);
    assert!(matches!(refused, Err(SealedError::Twice)));
}

#[test]
fn sums_of_an_unknown_block_are_refused() {
    let mut keyholder = keyholder(0..10);
    let fresh = keyholder
        .draft_any()
        .unwrap()
        .encrypt(&SeededEntropy::new(1));
    let probe = keyholder.probe(&capture(1, 63)).unwrap();
    let sums = fresh.block.sums_of(std::slice::from_ref(&probe));
    let refused = keyholder.rank(&keyholder.query(&probe), &sums[0], &mut Best::new(1));
    assert!(matches!(refused, Err(SealedError::UnknownBlock)));
}

/// Gives the same byte for ever.
#[derive(Debug)]
struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `vectors.py` follows the description without a line of this code.
#[test]
fn block_probe_and_scores_follow_the_vectors_of_another_implementation() {
    let vectors = include_str!("../vectors.txt");
    let wanted = |name: &str| {
        let mut lines = vectors.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing"))
    };
    let code = |slot: usize| {
        let is_one = |at: usize| ((slot + 1) * (at + 3) / 5).is_multiple_of(2);
        let coordinates = std::array::from_fn(|at| if is_one(at) { 1 } else { -1 });
        SearchCode::from_coordinates(&coordinates).unwrap()
    };
    let mut keyholder = Keyholder::new(key(1).for_kind(KIND), KIND, Packing::Three);
    for slot in 0..2_050 {
        keyholder.enrol(record(slot), &code(slot)).unwrap();
    }
    assert_eq!(keyholder.epoch().to_string(), wanted("epoch"));
    let probe = keyholder.probe(&code(0)).unwrap();
    assert_eq!(hex(&probe.to_bytes()), wanted("probe"));
    let fresh = keyholder.draft_any().unwrap().encrypt(&Fixed(3));
    assert_eq!(hex(&fresh.block.header().to_bytes()), wanted("header"));
    let sums = fresh.block.sums_of(std::slice::from_ref(&probe));
    let query = keyholder.query(&probe);
    let scores = query.read(&fresh.block.header().mask(), &sums[0].row, Packing::Three);
    let found = [0, 1, 2, 2_047, 2_048, 2_049].map(|slot| scores.first(2_050)[slot].to_string());
    assert_eq!(found.join(" "), wanted("scores"));
}
