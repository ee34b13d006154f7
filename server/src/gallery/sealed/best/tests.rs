use proptest::prelude::*;

use super::*;
use crate::gallery::sealed::fixture::record;

/// As the search offers them: only those that may still get in.
fn best_of(candidates: &[Candidate], keep: usize) -> Best {
    let mut best = Best::new(keep);
    for candidate in candidates {
        if candidate.score.0 >= best.least() {
            best.offer(*candidate);
        }
    }
    best
}

proptest! {
    #[test]
    fn the_best_are_those_that_sorting_puts_first(
        scores in prop::collection::vec(-5_i8..=5, 0..600),
        keep in 0_usize..120,
        split in 0_usize..600,
    ) {
        let candidate = |(n, score): (usize, &i8)| Candidate {
            // The same records in another order than they are offered in.
            record: record(n * 7_919 % 10_007),
            score: Score(*score),
        };
        let all: Vec<_> = scores.iter().enumerate().map(candidate).collect();
        let mut expected = all.clone();
        expected.sort_unstable();
        expected.truncate(keep);
        prop_assert_eq!(&best_of(&all, keep).into_sorted(), &expected);
        let (some, others) = all.split_at(split.min(all.len()));
        let merged = best_of(some, keep).merged(best_of(others, keep));
        prop_assert_eq!(merged.into_sorted(), expected);
    }
}
