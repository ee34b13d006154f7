use proptest::prelude::*;

use super::*;

fn code(seed: u64) -> OrientationCode {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    OrientationCode::from_cells(|_, _| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let draw = state >> 40;
        (!draw.is_multiple_of(20)).then(|| u8::try_from(draw / 20 % 6).unwrap())
    })
}

/// The code of a pattern without end, seen through a window that starts at (x, y).
fn window_on_pattern(x: usize, y: usize) -> OrientationCode {
    OrientationCode::from_cells(|row, column| {
        let (row, column) = (row + y, column + x);
        Some(u8::try_from((row * row / 7 + column * 5 / 3 + row * column / 11) % 6).unwrap())
    })
}

/// At the best turn.
fn by_definition(a: &OrientationCode, b: &OrientationCode) -> f32 {
    TURNS_DEGREES
        .map(|degrees| unturned(&turned(a, degrees), b))
        .into_iter()
        .fold(0.0, f32::max)
}

/// Cell by cell, as the definition has it.
fn unturned(a: &OrientationCode, b: &OrientationCode) -> f32 {
    let cell = |code: &OrientationCode, x: i32, y: i32| -> Option<[bool; 3]> {
        let (column, row) = (u32::try_from(x).ok()?, usize::try_from(y).ok()?);
        let set =
            |rows: &[u32; CODE_SIDE]| rows.get(row).is_some_and(|bits| bits >> column & 1 == 1);
        (column < 32 && set(&code.valid)).then(|| code.planes.each_ref().map(set))
    };
    let mut best = 0.0_f32;
    for (dx, dy) in (-4..=4).flat_map(|dx| (-4..=4).map(move |dy| (dx, dy))) {
        let (mut differing, mut shared) = (0_u32, 0_u32);
        for (x, y) in (0..32).flat_map(|x| (0..32).map(move |y| (x, y))) {
            if let (Some(a), Some(b)) = (cell(a, x, y), cell(b, x + dx, y + dy)) {
                shared += 1;
                differing += a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| u32::from(*a != b))
                    .sum::<u32>();
            }
        }
        if shared >= OVERLAP_MIN {
            best = best.max(1.0 - differing as f32 / (3 * shared) as f32);
        }
    }
    best
}

#[test]
fn a_code_is_wholly_similar_to_itself() {
    assert_eq!(compare(&code(1), &code(1)).value(), 1.0);
    assert_eq!(Probe::new(&code(1)).coarse(&code(1)).value(), 1.0);
}

#[test]
fn the_answer_is_that_of_the_definition() {
    for seed in 0..4 {
        let (a, b) = (code(seed), code(seed + 100));
        assert_eq!(compare(&a, &b).value(), by_definition(&a, &b));
    }
}

#[test]
fn a_shift_of_up_to_four_cells_is_made_good() {
    let reference = window_on_pattern(4, 4);
    for (x, y) in [(0, 0), (8, 8), (1, 6), (4, 3)] {
        let similarity = compare(&window_on_pattern(x, y), &reference);
        assert_eq!(similarity.value(), 1.0, "shift {x} {y}");
    }
    assert!(compare(&window_on_pattern(10, 4), &reference).value() < 0.9);
}

#[test]
fn codes_that_hardly_overlap_score_nothing() {
    let corner = OrientationCode::from_cells(|row, column| (row + column < 20).then_some(2));
    assert!(corner.valid_cells() < OVERLAP_MIN);
    assert_eq!(compare(&corner, &corner), Similarity::ZERO);
    assert_eq!(Probe::new(&corner).coarse(&corner), Similarity::ZERO);
}

#[test]
fn strangers_are_half_alike() {
    let best = (1..200)
        .map(|seed| compare(&code(0), &code(seed)))
        .max()
        .unwrap();
    assert!((0.5..0.6).contains(&best.value()), "{best:?}");
}

#[test]
fn a_similarity_is_ordered_and_within_its_range() {
    assert!(Similarity::new(0.4) < Similarity::new(0.5));
    assert_eq!(Similarity::new(f32::NAN), Similarity::ZERO);
    assert_eq!(Similarity::new(7.0).value(), 1.0);
    assert_eq!(Similarity::new(-1.0), Similarity::ZERO);
}

/// Lines that bend, seen by a hand that is turned.
fn turned_lines(degrees: f32) -> OrientationCode {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    OrientationCode::from_cells(|row, column| {
        let (x, y) = (column as f32 - 15.5, row as f32 - 15.5);
        let (x, y) = (x * cosine - y * sine, x * sine + y * cosine);
        let field = (0.9 * x + (0.3 * y).sin() * 3.0).sin() + (0.8 * y + 0.05 * x * x).cos();
        let steps = [-1.3, -0.7, 0.0, 0.7, 1.3];
        u8::try_from(steps.iter().filter(|step| field > **step).count()).ok()
    })
}

#[test]
fn a_turn_of_a_few_degrees_is_made_good() {
    let upright = turned_lines(0.0);
    for degrees in [-6.0, -4.0, 3.0, 6.0] {
        let other = turned_lines(degrees);
        let (with, without) = (
            compare(&other, &upright).value(),
            unturned(&other, &upright),
        );
        assert!(
            with > without + 0.02 && with > 0.85,
            "{degrees}: {with}, {without}"
        );
    }
    assert!(compare(&turned_lines(25.0), &upright).value() < 0.8);
}

#[test]
fn no_turn_changes_nothing() {
    assert_eq!(turned(&code(3), 0.0), code(3));
}

proptest! {
    #[test]
    fn order_hardly_matters_and_coarse_is_never_above(a in any::<u64>(), b in any::<u64>()) {
        let (a, b) = (code(a), code(b));
        let probe = Probe::new(&a);
        let similarity = probe.compare(&b);
        prop_assert!((similarity.value() - compare(&b, &a).value()).abs() < 0.04);
        prop_assert!(probe.coarse(&b) <= similarity);
    }
}
