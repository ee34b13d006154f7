//! How alike two orientation codes are.
//!
//! Angular Hamming distance over a window of shifts, after Kong and Zhang (ICPR 2004). It decides nothing: which
//! similarity is enough, and by how much the next palm must be behind, is for who asks.
//!
//! [`compare`] tries every shift; [`coarse`] those about the likely one, for a first pass over a large gallery. A search makes
//! one [`Probe`] and asks it.

use std::cmp::Ordering;
use std::fmt;
use std::ops::RangeInclusive;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::params::{OVERLAP_MIN, SHIFT_MAX};
use crate::template::{CODE_SIDE, OrientationCode};

/// Distance in steps of 30 degrees between opposite orientations: the most that two cells can differ.
const STEPS_MAX: u32 = 3;
const MARGIN: usize = SHIFT_MAX.unsigned_abs() as usize;
const PADDED: usize = CODE_SIDE + 2 * MARGIN;
/// Cells between the shifts of a coarse comparison: more loses the true palm, as lines are about two cells wide.
const COARSE_STEP: usize = 2;
/// All rows are counted when each second one starts a pair.
const ALL_ROWS: u8 = 2;
/// The first look of a coarse comparison counts every other pair.
const COARSE_ROWS: u8 = 4;
/// The shifts in each direction, cells.
const SHIFTS: [i32; 2 * MARGIN + 1] = [-4, -3, -2, -1, 0, 1, 2, 3, SHIFT_MAX];

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
/// One probe against many references is cheaper with a [`Probe`].
#[must_use]
pub fn compare(probe: &OrientationCode, reference: &OrientationCode) -> Similarity {
    Probe::new(probe).compare(reference)
}

/// [`compare`] for a fifth of its cost: half of the rows choose the best of 25 shifts, 2 cells apart, and only the shifts
/// about that one count. Never above [`compare`], and rarely below it for the same palm. A search asks a [`Probe`].
#[must_use]
pub fn coarse(probe: &OrientationCode, reference: &OrientationCode) -> Similarity {
    Probe::new(probe).coarse(reference)
}

/// A code made ready to be compared with many: moved sideways once for all. Wiped when dropped; 5.8 kB.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Probe {
    /// One for each of [`SHIFTS`].
    columns: [Shifted; SHIFTS.len()],
}

impl Probe {
    /// Makes a code ready.
    #[must_use]
    pub fn new(code: &OrientationCode) -> Self {
        Self {
            columns: SHIFTS.map(|dx| Shifted::new(code, dx)),
        }
    }

    /// As [`compare`].
    #[must_use]
    pub fn compare(&self, reference: &OrientationCode) -> Similarity {
        let all = 0..=SHIFTS.len() - 1;
        self.best(reference, all.clone(), all)
    }

    /// As [`coarse`].
    #[must_use]
    pub fn coarse(&self, reference: &OrientationCode) -> Similarity {
        let every_other = || (0..SHIFTS.len()).step_by(COARSE_STEP);
        let mut best = (Similarity::ZERO, MARGIN, MARGIN);
        for column in every_other() {
            for start in every_other() {
                let similarity = self.columns[column].similarity::<COARSE_ROWS>(reference, start);
                if similarity > best.0 {
                    best = (similarity, column, start);
                }
            }
        }
        let beside = |at: usize| at.saturating_sub(1)..=(at + 1).min(SHIFTS.len() - 1);
        self.best(reference, beside(best.1), beside(best.2))
    }

    /// The best over some shifts by columns and by rows.
    fn best(
        &self,
        reference: &OrientationCode,
        columns: RangeInclusive<usize>,
        starts: RangeInclusive<usize>,
    ) -> Similarity {
        let mut best = Similarity::ZERO;
        for column in &self.columns[columns] {
            for start in starts.clone() {
                best = best.max(column.similarity::<ALL_ROWS>(reference, start));
            }
        }
        best
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// A code moved sideways, with empty rows above and below for the moves up and down.
#[derive(Zeroize)]
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

    /// The similarity with the reference's first row on padded row `start`, of one pair of rows in every `ROWS` rows.
    fn similarity<const ROWS: u8>(&self, reference: &OrientationCode, start: usize) -> Similarity {
        let valid = window(&self.valid, start);
        let [low, middle, high] = self.planes.each_ref().map(|plane| window(plane, start));
        let [other_low, other_middle, other_high] = &reference.planes;
        let (mut differing, mut shared) = (0, 0);
        for row in (0..CODE_SIDE).step_by(usize::from(ROWS)) {
            let mask = pair(&reference.valid, row) & pair(valid, row);
            let a = pair(other_low, row) ^ pair(low, row);
            let b = pair(other_middle, row) ^ pair(middle, row);
            let c = pair(other_high, row) ^ pair(high, row);
            // A full adder: three population counts cost two.
            let (sum, carry) = ((a ^ b ^ c) & mask, ((a & b) | (c & (a ^ b))) & mask);
            differing += sum.count_ones() + 2 * carry.count_ones();
            shared += mask.count_ones();
        }
        let every_row = shared * u32::from(ROWS) / 2;
        if every_row < OVERLAP_MIN {
            return Similarity::ZERO;
        }
        Similarity(1.0 - differing as f32 / (STEPS_MAX * shared) as f32)
    }
}

/// As many rows as a code has, from `start` on.
fn window(rows: &[u32; PADDED], start: usize) -> &[u32; CODE_SIDE] {
    rows[start..]
        .first_chunk()
        .expect("invariant: a shift stays within the margins")
}

/// Two rows as one word.
fn pair(rows: &[u32; CODE_SIDE], row: usize) -> u64 {
    u64::from(rows[row]) | u64::from(rows[row + 1]) << 32
}

#[cfg(test)]
mod tests;
