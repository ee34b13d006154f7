//! How alike two orientation codes are.
//!
//! Angular Hamming distance over a window of shifts, after Kong and Zhang (ICPR 2004). It decides nothing: which
//! similarity is enough, and by how much the next palm must be behind, is for who asks.
//!
//! [`compare`] tries every shift; [`coarse`] a ninth of them, for a first pass over a large gallery.

use std::cmp::Ordering;

use crate::params::{OVERLAP_MIN, SHIFT_MAX};
use crate::template::{CODE_SIDE, OrientationCode};

/// Distance in steps of 30 degrees between opposite orientations: the most that two cells can differ.
const STEPS_MAX: u32 = 3;
const MARGIN: usize = SHIFT_MAX.unsigned_abs() as usize;
const PADDED: usize = CODE_SIDE + 2 * MARGIN;
/// Cells between the shifts that [`coarse`] tries.
const COARSE_STEP: i32 = 3;

/// How alike two codes are: one minus the mean angular distance of the cells that both hold, as a share of the
/// largest. 1 is the same code; codes of different palms have about 0.55 at their best shift; 0 says that too
/// few cells overlap to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity(f32);

impl Similarity {
    /// Nothing in common.
    pub const ZERO: Self = Self(0.0);

    /// A similarity from a number, such as a threshold out of a configuration; clamped to 0..=1, NaN counts as 0.
    #[must_use]
    pub fn new(value: f32) -> Self {
        Self(if value.is_nan() {
            0.0
        } else {
            value.clamp(0.0, 1.0)
        })
    }

    /// The number, 0 to 1.
    #[must_use]
    pub fn value(self) -> f32 {
        self.0
    }
}

impl Eq for Similarity {}

impl PartialOrd for Similarity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Similarity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The similarity at the best of 81 shifts, up to 4 cells in each direction; the order of the two does not matter.
#[must_use]
pub fn compare(probe: &OrientationCode, reference: &OrientationCode) -> Similarity {
    let mut best = Similarity::ZERO;
    for dx in -SHIFT_MAX..=SHIFT_MAX {
        best = best.max(best_over_rows(probe, reference, dx, 1));
    }
    best
}

/// The similarity at the best of 9 shifts, 3 cells apart: never above that of [`compare`], and nine times cheaper. Only the order
/// of its answers over one gallery means something.
#[must_use]
pub fn coarse(probe: &OrientationCode, reference: &OrientationCode) -> Similarity {
    let mut best = Similarity::ZERO;
    for dx in [-COARSE_STEP, 0, COARSE_STEP] {
        best = best.max(best_over_rows(probe, reference, dx, COARSE_STEP.unsigned_abs() as usize));
    }
    best
}

/// The best over the shifts by rows, `step` apart, at one shift by columns.
fn best_over_rows(
    probe: &OrientationCode,
    reference: &OrientationCode,
    dx: i32,
    step: usize,
) -> Similarity {
    let shifted = Shifted::new(reference, dx);
    let mut best = Similarity::ZERO;
    for start in (MARGIN % step..=2 * MARGIN - MARGIN % step).step_by(step) {
        best = best.max(shifted.similarity(probe, start));
    }
    best
}

/// A code moved sideways, with empty rows above and below for the moves up and down.
struct Shifted {
    planes: [[u32; PADDED]; 3],
    valid: [u32; PADDED],
}

impl Shifted {
    fn new(code: &OrientationCode, dx: i32) -> Self {
        let padded = |rows: &[u32; CODE_SIDE]| {
            let mut out = [0; PADDED];
            for (to, from) in out[MARGIN..].iter_mut().zip(rows) {
                *to = if dx < 0 { from >> -dx } else { from << dx };
            }
            out
        };
        Self {
            planes: code.planes.each_ref().map(padded),
            valid: padded(&code.valid),
        }
    }

    /// The similarity with the probe's first row on padded row `start`.
    fn similarity(&self, probe: &OrientationCode, start: usize) -> Similarity {
        let window = |rows: &[u32; PADDED]| -> [u32; CODE_SIDE] {
            *rows[start..].first_chunk().expect("invariant: a shift stays within the margins")
        };
        let valid = window(&self.valid);
        let [low, middle, high] = self.planes.each_ref().map(window);
        let [probe_low, probe_middle, probe_high] = &probe.planes;
        let (mut differing, mut shared) = (0, 0);
        for row in (0..CODE_SIDE).step_by(2) {
            let mask = pair(&probe.valid, row) & pair(&valid, row);
            let a = pair(probe_low, row) ^ pair(&low, row);
            let b = pair(probe_middle, row) ^ pair(&middle, row);
            let c = pair(probe_high, row) ^ pair(&high, row);
            // A full adder: three population counts cost two.
            let (sum, carry) = ((a ^ b ^ c) & mask, ((a & b) | (c & (a ^ b))) & mask);
            differing += sum.count_ones() + 2 * carry.count_ones();
            shared += mask.count_ones();
        }
        if shared < OVERLAP_MIN {
            return Similarity::ZERO;
        }
        Similarity(1.0 - differing as f32 / (STEPS_MAX * shared) as f32)
    }
}

/// Two rows as one word.
fn pair(rows: &[u32; CODE_SIDE], row: usize) -> u64 {
    u64::from(rows[row]) | u64::from(rows[row + 1]) << 32
}

#[cfg(test)]
mod tests;
