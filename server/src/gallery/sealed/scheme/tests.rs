use palm_models::template::SearchCode;
use proptest::prelude::*;

use super::*;
use crate::{
    entropy::{Entropy, SeededEntropy},
    gallery::sealed::{
        code::Permutation,
        fixture::{capture, code, key, probe},
        inexact_scores,
    },
};

fn encrypted(packing: Packing, codes: &[ReferenceCode]) -> (Secrets, Mask, Vec<PagedRow>) {
    let (secrets, mask) = (Secrets::derive(&key(1)), Mask::expand(&[5; KEY_BYTES]));
    let rows = secrets.encrypt(&mask, &Stream::new(&[9; KEY_BYTES]), packing, codes);
    (secrets, mask, rows)
}

fn scores(
    (secrets, mask, rows): &(Secrets, Mask, Vec<PagedRow>),
    packing: Packing,
    probe: &ProbeCode,
) -> Scores {
    let sums = add_up(rows, std::slice::from_ref(probe));
    secrets.query(probe).read(mask, &sums[0], packing)
}

#[test]
fn every_score_equals_the_plain_one() {
    for (packing, weight) in [(Packing::Three, 63), (Packing::Two, 127)] {
        let codes: Vec<_> = (0..packing.capacity()).map(|n| code(n, 341)).collect();
        let probes: Vec<_> = (0..100).map(|n| capture(n, weight)).collect();
        // A million scores here; 10^8 in `./x bench-gallery --only exact`.
        let (scores, differing) = inexact_scores(packing, &codes, &probes, &SeededEntropy::new(2));
        assert_eq!((scores, differing), (packing.capacity() * 100, 0));
    }
}

#[test]
fn largest_scores_do_not_borrow_from_their_neighbours() {
    let permutation = Permutation::derive(&key(1));
    let ones = SearchCode::from_coordinates(&[1; DIMENSIONS]).unwrap();
    let minus_ones = SearchCode::from_coordinates(&[-1; DIMENSIONS]).unwrap();
    for packing in [Packing::Three, Packing::Two] {
        let code = |slot: usize| {
            let is_one = (slot / 3 + slot / N).is_multiple_of(2);
            permutation.reference(if is_one { &ones } else { &minus_ones })
        };
        let codes: Vec<_> = (0..packing.capacity()).map(|n| code(n).unwrap()).collect();
        let block = encrypted(packing, &codes);
        for plain in [&ones, &minus_ones] {
            let weight = packing.probe_weight_max();
            let probe = permutation.probe(plain, weight).unwrap();
            let found = scores(&block, packing, &probe);
            for (found, code) in found.first(codes.len()).iter().zip(&codes) {
                assert_eq!(*found, probe.dot(code));
                assert_eq!(usize::from(found.unsigned_abs()), weight);
            }
        }
    }
}

#[test]
fn noise_stays_within_its_bound() {
    // Rows that encrypt nothing hold nothing but noise once the product is taken away.
    let (secrets, mask, rows) = encrypted(Packing::Three, &[]);
    let (mut squares, mut most, mut count) = (0_u64, 0, 0_u64);
    for n in 0..200 {
        let probe = probe(n, 63);
        let hidden = mask.0.product(&secrets.query(&probe).0);
        for (sum, own) in add_up(&rows, &[probe])[0].iter().zip(&hidden) {
            let noise = sum.wrapping_sub(*own).cast_signed().unsigned_abs();
            squares += u64::from(noise) * u64::from(noise);
            most = most.max(noise);
            count += 1;
        }
    }
    let variance = squares / count;
    // 63 * 10.5 = 661.5; the standard error of 409,600 draws is below 2.
    assert!((645..=680).contains(&variance), "{variance}");
    assert!(
        most < 200,
        "{most}: beyond seven standard deviations of 1024's room"
    );
}

#[test]
fn samples_follow_their_distributions() {
    let mut bytes = vec![0; 8 * 300_000];
    SeededEntropy::new(3).fill(&mut bytes);
    let mut counts = [0_u32; 3];
    for word in bytes.as_chunks().0 {
        let value = ternary(u64::from_le_bytes(*word));
        counts[usize::try_from(value + 1).unwrap()] += 1;
    }
    // A third each; the standard deviation is 258.
    assert!(
        counts.iter().all(|count| count.abs_diff(100_000) < 1_300),
        "{counts:?}"
    );
    let errors: Vec<i32> = bytes.as_chunks().0.iter().map(|six| error(*six)).collect();
    let count = i32::try_from(errors.len()).unwrap();
    let mean = f64::from(errors.iter().sum::<i32>()) / f64::from(count);
    let variance =
        f64::from(errors.iter().map(|error| error * error).sum::<i32>()) / f64::from(count);
    assert!(mean.abs() < 0.03, "{mean}");
    assert!((variance - 10.5).abs() < 0.15, "{variance}");
    assert_eq!(ternary(0), -1);
    assert_eq!(ternary(u64::MAX), 1);
    assert_eq!(error([0xff; 6]), 0);
    assert_eq!(error([0xff, 0xff, 0x1f, 0, 0, 0]), 21);
}

#[test]
fn rows_follow_the_vectors_of_another_implementation() {
    // server/benches/gallery/vectors.py, which follows the description with schoolbook products, prints these.
    let permutation = Permutation::derive(&key(1));
    let code = |slot: usize| {
        let coordinates = std::array::from_fn(|at| {
            if (slot + at / 3).is_multiple_of(2) {
                1
            } else {
                -1
            }
        });
        SearchCode::from_coordinates(&coordinates).unwrap()
    };
    let codes: Vec<_> = (0..2050)
        .map(|n| permutation.reference(&code(n)).unwrap())
        .collect();
    let (_, _, rows) = encrypted(Packing::Three, &codes);
    let found = [0, 1, 511].map(|row| rows[row].0.first_chunk::<4>().unwrap());
    assert_eq!(
        found.map(|words| words.map(|word| format!("{word:08x}")).concat()),
        [
            "a93d683d42b02a83488da95c8037d706",
            "bd777eb36789550a43e586254c6a6f20",
            "9426d34248335ee30fe79b415192794b"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn sums_are_those_of_single_rows(n in 0_usize..1_000, weight in 63_usize..=127, probes in 1_usize..6) {
        let rows: Vec<PagedRow> = (0_u32..512)
            .map(|row| std::array::from_fn(|at| u32::try_from(at).unwrap().wrapping_mul(row ^ 0x9e37_79b9)))
            .map(PagedRow)
            .collect();
        let probes: Vec<_> = (0..probes).map(|more| probe(n + more, weight)).collect();
        for (probe, found) in probes.iter().zip(add_up(&rows, &probes)) {
            let mut wanted = [0_u32; N];
            for (dimension, row) in rows.iter().enumerate() {
                let value = i32::from(probe.code().coordinate(dimension)).cast_unsigned();
                for (sum, word) in wanted.iter_mut().zip(&row.0) {
                    *sum = sum.wrapping_add(word.wrapping_mul(value));
                }
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
