use super::*;
use crate::eval::matcher::Matcher;
use crate::eval::protocol::{all_pairs, cross_session};

fn plan(regions: bool) -> Synthetic {
    Synthetic {
        first: 70_101,
        hands: 8,
        samples: 3,
        regions,
    }
}

#[test]
fn drawn_hands_are_told_apart() {
    let acquired = from_synthetic(plan(false));
    assert_eq!(acquired.failures, []);
    assert_eq!(acquired.samples.len(), 24);
    let similarity = |probe: &Codes| Matcher::Fused.prepared(probe);
    let outcome = all_pairs(&acquired.samples, similarity);
    let (mated, others) = (outcome.scores.genuine(), outcome.scores.impostor());
    assert_eq!((mated.len(), others.len()), (24, 252));
    let (lowest, highest) = (mated[0], others[others.len() - 1]);
    assert!(
        lowest > highest,
        "mated from {lowest}, non-mated up to {highest}"
    );
    let crossed = cross_session(&acquired.samples, similarity).unwrap();
    assert_eq!(crossed.scores.genuine().len(), 16);
    assert_eq!(crossed.rank1.hits, crossed.rank1.of);
}

#[test]
fn a_whole_hand_shows_which_side_it_is_of() {
    let acquired = from_synthetic(plan(false));
    for sample in &acquired.samples {
        // Hand 0 of the plan is number 70 101, odd: left.
        let side = if sample.hand % 2 == 0 {
            Hand::Left
        } else {
            Hand::Right
        };
        assert_eq!(sample.code.reference().hand(), side, "hand {}", sample.hand);
    }
}

#[test]
fn drawn_regions_are_acquired() {
    let acquired = from_synthetic(plan(true));
    assert!(acquired.samples.len() >= 22, "{:?}", acquired.failures);
    assert!(acquired.ms_per_image > 0.0);
}

#[test]
fn images_of_a_folder_give_templates_or_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("drawn_nir");
    std::fs::create_dir_all(set.join("001_r")).unwrap();
    let hand = synth::frame(
        &Identity::new(9, Hand::Right),
        &Pose::centred(),
        Light::Nir,
        0xFF,
        1,
    );
    for (name, image) in [
        ("s1_01", &hand),
        ("s2_01", &synth::empty_frame(Light::Nir, 1)),
    ] {
        load::save(image, &set.join("001_r").join(name).with_extension("png"));
    }
    let set = ImageSet::open(&set).unwrap();
    let acquired = from_images(&set, Content::WholeHand(Light::Nir)).unwrap();
    assert_eq!(acquired.samples.len(), 1);
    assert_eq!(acquired.failures.len(), 1, "an empty frame holds no palm");
    assert!(acquired.failures[0].image.ends_with("s2_01.png"));
    assert!(!acquired.failures[0].reason.is_empty());
}
