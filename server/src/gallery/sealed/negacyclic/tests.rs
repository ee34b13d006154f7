use proptest::prelude::*;

use super::*;

/// By the definition, in whole numbers.
fn schoolbook(x: &[i32; N], y: &[i32; N]) -> Row {
    let mut out = [0_u32; N];
    for (i, a) in x.iter().enumerate().filter(|(_, a)| **a != 0) {
        for (k, b) in y.iter().enumerate() {
            let term = a.wrapping_mul(*b).cast_unsigned();
            let at = (i + k) % N;
            out[at] = if i + k < N {
                out[at].wrapping_add(term)
            } else {
                out[at].wrapping_sub(term)
            };
        }
    }
    out
}

fn noise(seed: u64, of: impl Fn(u64) -> i32) -> [i32; N] {
    let mut state = seed;
    std::array::from_fn(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        of(state >> 32)
    })
}

fn any_mask(seed: u64) -> [i32; N] {
    noise(seed, |word| u32::try_from(word).unwrap().cast_signed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn product_with_a_ternary_polynomial_is_exact(seed: u64) {
        let mask = any_mask(seed);
        let secret = noise(!seed, |word| i32::try_from(word % 3).unwrap() - 1);
        let product = Spectrum::of(&mask).product(&Spectrum::of(&secret));
        prop_assert_eq!(product, schoolbook(&mask, &secret));
    }

    #[test]
    fn product_with_a_sum_of_secrets_is_within_sixteen(seed: u64) {
        let mask = any_mask(seed);
        let secrets = noise(!seed, |word| i32::try_from(word % 255).unwrap() - 127);
        let product = Spectrum::of(&mask).product(&Spectrum::of(&secrets));
        let exact = schoolbook(&mask, &secrets);
        for (found, wanted) in product.iter().zip(&exact) {
            prop_assert!(found.wrapping_sub(*wanted).cast_signed().abs() <= 16);
        }
    }
}

#[test]
fn largest_values_stay_within_the_bound() {
    let product = Spectrum::of(&[i32::MIN; N]).product(&Spectrum::of(&[1; N]));
    assert_eq!(product, schoolbook(&[i32::MIN; N], &[1; N]));
    let product = Spectrum::of(&[i32::MIN; N]).product(&Spectrum::of(&[-127; N]));
    let exact = schoolbook(&[i32::MIN; N], &[-127; N]);
    for (found, wanted) in product.iter().zip(&exact) {
        assert!(found.wrapping_sub(*wanted).cast_signed().abs() <= 16);
    }
}

#[test]
fn x_to_the_2048th_is_minus_one() {
    let power = |n: usize| std::array::from_fn(|at| i32::from(at == n));
    let product = Spectrum::of(&power(N - 1)).product(&Spectrum::of(&power(1)));
    let mut wanted = [0; N];
    wanted[0] = u32::MAX;
    assert_eq!(product, wanted);
}
