//! What this machine's memory gives: the limit of every scan.

use rayon::{ThreadPool, prelude::*};

use crate::report::{Stopwatch, number};

const BYTES: usize = 1 << 30;

/// Memory that is read to see how fast it can be.
pub(crate) struct Memory(Vec<u64>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self((0..u64::try_from(BYTES / 8).expect("invariant: a count")).collect())
    }

    /// Gigabytes a second that all threads together read, once.
    pub(crate) fn bandwidth(&self, pool: &ThreadPool) -> f64 {
        let watch = Stopwatch::start();
        let part = self.0.len() / pool.current_num_threads();
        let sum = pool.install(|| {
            let parts = self.0.par_chunks(part);
            parts.map(sum).reduce(|| 0, u64::wrapping_add)
        });
        std::hint::black_box(sum);
        number(BYTES) / watch.ms() / 1e6
    }
}

fn sum(words: &[u64]) -> u64 {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            words
                .iter()
                .fold(0, |sum: u64, word| sum.wrapping_add(*word))
        },
    )
}
