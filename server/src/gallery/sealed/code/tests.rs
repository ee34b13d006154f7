use proptest::prelude::*;

use super::*;
use crate::gallery::sealed::fixture::{capture, code, key};

proptest! {
    #[test]
    fn inner_products_survive_the_permutation(a in 0_usize..1000, b in 0_usize..1000, epoch: u8) {
        let permutation = Permutation::derive(&key(epoch));
        let (probe, reference) = (code(a, 63), code(b, 341));
        let plain = probe.dot(&reference);
        let permuted = permutation
            .probe(&probe, 63)
            .unwrap()
            .dot(&permutation.reference(&reference).unwrap());
        prop_assert_eq!(plain, i16::from(permuted));
    }
}

#[test]
fn every_coordinate_has_a_place_and_signs_are_even() {
    let permutation = Permutation::derive(&key(1));
    let mut places = permutation.from;
    places.sort_unstable();
    assert_eq!(places, std::array::from_fn(|at| at));
    let balance: i32 = permutation.sign.iter().map(|sign| i32::from(*sign)).sum();
    assert!(
        balance.abs() < 120,
        "{balance}: five standard deviations are 113"
    );
    assert_ne!(permutation.from, Permutation::derive(&key(2)).from);
}

#[test]
fn reference_is_thinned_to_a_probe_of_the_wanted_weight() {
    let permutation = Permutation::derive(&key(1));
    let dense = code(5, 341);
    let thin = permutation.probe(&dense, 63).unwrap();
    assert_eq!(thin.code().weight(), 63);
    assert_eq!(thin.dot(&permutation.reference(&dense).unwrap()), 63);
}

#[test]
fn roles_hold_codes_of_their_weight_only() {
    let permutation = Permutation::derive(&key(1));
    for (weight, is_reference, is_probe) in [
        (31, false, false),
        (32, false, true),
        (255, false, true),
        (256, true, true),
        (512, true, true),
    ] {
        let code = code(1, weight);
        assert_eq!(permutation.reference(&code).is_ok(), is_reference);
        assert_eq!(permutation.probe(&code, 127).is_ok(), is_probe);
    }
}

/// Scores of probes in one epoch against codes in another, of the same people or of their neighbours.
fn scores(probes: u8, references: u8, people: usize, step: usize) -> Vec<i8> {
    let probing = Permutation::derive(&key(probes));
    let referring = Permutation::derive(&key(references));
    let references: Vec<_> = (0..people)
        .map(|n| referring.reference(&code(n, 341)).unwrap())
        .collect();
    (0..people)
        .map(|n| {
            let probe = probing.probe(&capture(n, 63), 63).unwrap();
            probe.dot(&references[(n + step) % people])
        })
        .collect()
}

/// D of the whole system with equal priors: 0, nobody can tell that two codes are of one palm; 1, everybody can
/// (ISO/IEC 30136; Gomez-Barrero et al., "General Framework to Evaluate Unlinkability in Biometric Template Protection
/// Systems", IEEE TIFS 2018).
fn linkability(mated: &[i8], non_mated: &[i8]) -> f64 {
    let bins = |scores: &[i8]| {
        let mut counts = [0.0; 64];
        for score in scores {
            counts[usize::try_from((i32::from(*score) + 128) / 4).unwrap()] += 1.0;
        }
        counts.map(|count: f64| count / scores.len() as f64)
    };
    let pairs = bins(mated).into_iter().zip(bins(non_mated));
    pairs
        .filter(|(mated, other)| mated > other)
        .map(|(mated, other)| mated * (2.0 * mated / (mated + other) - 1.0))
        .sum()
}

#[test]
fn codes_of_one_palm_in_two_epochs_cannot_be_linked() {
    let people = 2_000;
    let within = linkability(&scores(1, 1, people, 0), &scores(1, 1, people, 1));
    assert!(within > 0.99, "{within}: an epoch recognises its own");
    // What 2,000 scores of one distribution give by chance lies about 0.02.
    let between = linkability(&scores(1, 2, people, 0), &scores(1, 2, people, 1));
    assert!(between < 0.05, "{between}");
}
