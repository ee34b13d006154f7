use proptest::prelude::*;

use super::*;
use crate::gallery::sealed::fixture::{code, key};

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
