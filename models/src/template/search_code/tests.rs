use proptest::prelude::*;

use super::*;

/// Components other than zero, as parts of 2^20: proptest's own ranges of floats fail an assertion of theirs at times.
fn any_embedding() -> impl Strategy<Value = [f32; DIMENSIONS]> {
    let parts = 1..1_i32 << 20;
    proptest::collection::vec((parts, any::<bool>()), DIMENSIONS).prop_map(|values| {
        let component = |(part, is_less): (i32, bool)| {
            let size = part as f32 / (1 << 20) as f32;
            if is_less { -size } else { size }
        };
        let components: Vec<f32> = values.into_iter().map(component).collect();
        components.try_into().unwrap()
    })
}

proptest! {
    #[test]
    fn code_survives_its_bytes_and_its_coordinates(embedding in any_embedding(), weight in 0_usize..=512) {
        let code = SearchCode::strongest(&embedding, weight).unwrap();
        prop_assert_eq!(usize::try_from(code.weight()).unwrap(), weight);
        prop_assert_eq!(&SearchCode::from_bytes(&code.to_bytes()), &code);
        let coordinates: [i8; DIMENSIONS] = std::array::from_fn(|at| code.coordinate(at));
        let again = SearchCode::from_coordinates(&coordinates).unwrap();
        prop_assert_eq!(std::array::from_fn(|at| again.coordinate(at)), coordinates);
    }

    #[test]
    fn dot_is_the_sum_of_products(a in any_embedding(), b in any_embedding(), w in 0_usize..=512) {
        let a = SearchCode::strongest(&a, w).unwrap();
        let b = SearchCode::strongest(&b, 341).unwrap();
        let products = (0..DIMENSIONS).map(|at| i16::from(a.coordinate(at) * b.coordinate(at)));
        prop_assert_eq!(a.dot(&b), products.sum::<i16>());
    }

    #[test]
    fn all_probe_signs_meet_what_the_reference_keeps(
        a in any_embedding(), b in any_embedding(), w in 0_usize..=512,
    ) {
        let probe = SearchCode::strongest(&a, w).unwrap();
        let reference = SearchCode::strongest(&b, 341).unwrap();
        let products = (0..DIMENSIONS).map(|at| a[at].signum() * f32::from(reference.coordinate(at)));
        let share = products.sum::<f32>() / 341.0;
        prop_assert!((probe.similarity(&reference) - share).abs() < 1e-6);
    }

    #[test]
    fn kept_components_are_the_largest(embedding in any_embedding(), weight in 1_usize..512) {
        let code = SearchCode::strongest(&embedding, weight).unwrap();
        let size = |kept: bool| (0..DIMENSIONS)
            .filter(move |at| (code.coordinate(*at) != 0) == kept)
            .map(|at| embedding[at].abs())
            .collect::<Vec<_>>();
        let least = size.clone()(true).into_iter().fold(f32::MAX, f32::min);
        let most = size(false).into_iter().fold(0.0, f32::max);
        prop_assert!(least >= most);
    }
}

#[test]
fn bytes_are_the_documented_planes() {
    let code = SearchCode::from_coordinates(&std::array::from_fn(|at| match at {
        0 | 9 => 1,
        511 => -1,
        _ => 0,
    }))
    .unwrap();
    let mut wanted = [0; SEARCH_CODE_BYTES];
    (wanted[64], wanted[65], wanted[127], wanted[63]) = (1, 2, 0x80, 0x80);
    assert_eq!(code.to_bytes(), wanted);
}

#[test]
fn what_is_no_code_is_refused() {
    let mut embedding = [1.0; DIMENSIONS];
    let refused = SearchCode::strongest(&embedding, 513);
    assert_eq!(refused, Err(SearchCodeError::TooSparse(513)));
    embedding[7] = f32::NAN;
    let refused = SearchCode::strongest(&embedding, 63);
    assert_eq!(refused, Err(SearchCodeError::NotFinite));
    embedding[7] = 0.0;
    let refused = SearchCode::strongest(&embedding, 512);
    assert_eq!(refused, Err(SearchCodeError::TooSparse(512)));
    let refused = SearchCode::from_coordinates(&[2; DIMENSIONS]);
    assert_eq!(refused, Err(SearchCodeError::NotTernary(2)));
}
