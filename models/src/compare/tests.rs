use proptest::prelude::*;

use super::*;
use crate::template::{DIMENSIONS, Hand};

fn compare(probe: &OrientationCode, reference: &OrientationCode) -> Similarity {
    Probe::new(probe).compare(reference)
}

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

/// Differing steps and shared cells of a patch of the reference (first cell, side) and a probe that lies (right, down)
/// of it.
fn counted(
    probe: &OrientationCode,
    reference: &OrientationCode,
    [right, down]: [i32; 2],
    ([row, column], side): ([usize; 2], usize),
) -> (u32, u32) {
    let (mut differing, mut shared) = (0, 0);
    for (row, column) in
        (row..row + side).flat_map(|r| (column..column + side).map(move |c| (r, c)))
    {
        let within = |at: usize, by: i32| {
            let moved = usize::try_from(i32::try_from(at).unwrap() - by).ok();
            moved.filter(|at| *at < CODE_SIDE)
        };
        let own = within(row, down).zip(within(column, right));
        let own = own.and_then(|(row, column)| probe.cell(row, column));
        if let Some((a, b)) = own.zip(reference.cell(row, column)) {
            let steps = u32::from(a.abs_diff(b));
            differing += steps.min(6 - steps);
            shared += 1;
        }
    }
    (differing, shared)
}

fn share(differing: u32, shared: u32) -> f32 {
    1.0 - differing as f32 / (3 * shared) as f32
}

/// Cell by cell, as the definition has it: the best place of all, then the best of each patch about it.
fn by_definition(a: &OrientationCode, b: &OrientationCode) -> f32 {
    let turns = TURNS_DEGREES.map(|degrees| turned(a, degrees));
    let moves = || (-4..=4).flat_map(|right| (-4..=4).rev().map(move |down| [right, down]));
    let mut best = (0.0, 0, [0, 0]);
    for (turn, code) in turns.iter().enumerate() {
        for by in moves() {
            let (differing, shared) = counted(code, b, by, ([0, 0], CODE_SIDE));
            if shared >= OVERLAP_MIN && share(differing, shared) > best.0 {
                best = (share(differing, shared), turn, by);
            }
        }
    }
    let (_, turn, [right, down]) = best;
    let (mut similar, mut cells) = (0.0, 0.0);
    for row in PATCH_STARTS {
        for column in PATCH_STARTS {
            let near = moves().filter(|by| by[0].abs_diff(right) <= 2 && by[1].abs_diff(down) <= 2);
            let codes = turns
                .iter()
                .enumerate()
                .filter(|(other, _)| other.abs_diff(turn) <= 1);
            let places = codes.flat_map(|(_, code)| near.clone().map(move |by| (code, by)));
            let patches =
                places.map(|(code, by)| counted(code, b, by, ([row, column], PATCH_SIDE)));
            let best = patches
                .filter(|(_, shared)| *shared >= PATCH_OVERLAP_MIN)
                .map(|(differing, shared)| (share(differing, shared), shared as f32))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .unwrap_or_default();
            similar += best.0 * best.1;
            cells += best.1;
        }
    }
    similar / cells
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
        let (own, definition) = (compare(&a, &b).value(), by_definition(&a, &b));
        assert!((own - definition).abs() < 2e-3, "{own} for {definition}");
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

/// A template whose search code agrees with that of all ones in `agreeing` coordinates.
fn template(agreeing: usize) -> Template {
    let component = |at: usize| if at < agreeing { 1.0 } else { -1.0 };
    let search = SearchCode::strongest(&std::array::from_fn(component), DIMENSIONS).unwrap();
    Template::orientation_only(Hand::Right, 80, code(7)).with_search(search)
}

#[test]
fn both_codes_count_and_a_missing_one_says_nothing() {
    let (one, half) = (template(DIMENSIONS), template(DIMENSIONS / 2));
    let lines_alone = Template::orientation_only(Hand::Right, 80, code(7));
    let [same, other, missing] =
        [&one, &half, &lines_alone].map(|other| super::compare(&one, other).value());
    assert_eq!(same, 1.0);
    assert!((other - (1.0 - SEARCH_SHARE)).abs() < 1e-6);
    assert!(other < missing && missing < same);
    let corner = OrientationCode::from_cells(|row, column| (row + column < 20).then_some(2));
    let hidden = Template::orientation_only(Hand::Right, 80, corner);
    assert_eq!(super::compare(&one, &hidden), Similarity::ZERO);
}

#[test]
fn no_turn_changes_nothing() {
    assert_eq!(turned(&code(3), 0.0), code(3));
}

proptest! {
    #[test]
    fn order_hardly_matters_and_coarse_is_below(a in any::<u64>(), b in any::<u64>()) {
        let (a, b) = (code(a), code(b));
        let probe = Probe::new(&a);
        let similarity = probe.compare(&b);
        prop_assert!((similarity.value() - compare(&b, &a).value()).abs() < 0.04);
        prop_assert!(probe.coarse(&b) <= similarity);
    }
}
