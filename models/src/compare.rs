//! How alike two orientation codes are.
//!
//! Angular Hamming distance over a window of shifts, after Kong and Zhang (ICPR 2004), and over a few turns, because a
//! hand held freely is never placed to the degree. It decides nothing: which similarity is enough, and by how much the
//! next palm must be behind, is for who asks.
//!
//! A search makes one [`Probe`]: [`Probe::coarse`] for a first pass over a large gallery, [`Probe::compare`] for what
//! that leaves.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::params::{OVERLAP_MIN, SHIFT_MAX, TURNS_DEGREES};
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
/// Shifts in each direction.
const SHIFTS: usize = 2 * MARGIN + 1;
/// Turns that a coarse comparison tries: all but the outermost, which only a close look is worth.
const COARSE_TURNS: Range<usize> = 1..TURNS_DEGREES.len() - 1;

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

/// The similarity of two codes; see [`Probe::compare`], which is cheaper for many.
#[must_use]
pub fn compare(probe: &OrientationCode, reference: &OrientationCode) -> Similarity {
    Probe::new(probe).compare(reference)
}

/// A code made ready to be compared with many: turned and moved sideways once for all. Wiped when dropped; 29 kB.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Probe {
    /// By turn and by shift along a row.
    columns: Vec<[Shifted; SHIFTS]>,
}

impl Probe {
    /// Makes a code ready.
    #[must_use]
    pub fn new(code: &OrientationCode) -> Self {
        Self {
            columns: TURNS_DEGREES
                .iter()
                .map(|degrees| {
                    let turned = turned(code, *degrees);
                    std::array::from_fn(|shift| Shifted::new(&turned, shift))
                })
                .collect(),
        }
    }

    /// The similarity at the best of 5 turns, up to 6 degrees either way, and 81 shifts, up to 4 cells in each
    /// direction. Which of two codes is turned hardly matters, but is not without effect.
    #[must_use]
    pub fn compare(&self, reference: &OrientationCode) -> Similarity {
        let mut best = Similarity::ZERO;
        for column in self.columns.iter().flatten() {
            for start in 0..SHIFTS {
                best = best.max(column.similarity::<ALL_ROWS>(reference, start));
            }
        }
        best
    }

    /// [`Probe::compare`] for a tenth of its cost: half of the rows choose the best of 3 turns and 25 shifts, 2 cells
    /// apart, and only the shifts about that one count. Never above it, and rarely far below for the same palm.
    #[must_use]
    pub fn coarse(&self, reference: &OrientationCode) -> Similarity {
        let every_other = || (0..SHIFTS).step_by(COARSE_STEP);
        let places = COARSE_TURNS
            .flat_map(|turn| every_other().map(move |shift| (turn, shift)))
            .flat_map(|(turn, shift)| every_other().map(move |start| (turn, shift, start)));
        let mut best = (Similarity::ZERO, COARSE_TURNS.start, MARGIN, MARGIN);
        for (turn, shift, start) in places {
            let similarity = self.columns[turn][shift].similarity::<COARSE_ROWS>(reference, start);
            if similarity > best.0 {
                best = (similarity, turn, shift, start);
            }
        }
        let (_, turn, shift, start) = best;
        let beside = |at: usize| at.saturating_sub(1)..(at + 2).min(SHIFTS);
        self.columns[turn][beside(shift)]
            .iter()
            .flat_map(|column| {
                beside(start).map(|start| column.similarity::<ALL_ROWS>(reference, start))
            })
            .max()
            .unwrap_or(Similarity::ZERO)
    }
}

/// The code of a palm turned by a few degrees: each cell from where it was, to the nearest cell. Directions stay, as
/// a turn is well below the 30 degrees from one to the next.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cell's place is within 2 * CODE_SIDE of 0"
)]
fn turned(code: &OrientationCode, degrees: f32) -> OrientationCode {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let middle = (CODE_SIDE - 1) as f32 / 2.0;
    let within = |place: f32| {
        let cell = usize::try_from(place.round() as i32).ok();
        cell.filter(|cell| *cell < CODE_SIDE)
    };
    OrientationCode::from_cells(|row, column| {
        let (x, y) = (column as f32 - middle, row as f32 - middle);
        let from_column = within(x * cosine - y * sine + middle)?;
        let from_row = within(x * sine + y * cosine + middle)?;
        code.cell(from_row, from_column)
    })
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
    /// Moved by `shift` less [`MARGIN`] cells.
    fn new(code: &OrientationCode, shift: usize) -> Self {
        let padded = |rows: &[u32; CODE_SIDE]| {
            let mut out = [0; PADDED];
            for (to, from) in out[MARGIN..].iter_mut().zip(rows) {
                *to = if shift < MARGIN {
                    from >> (MARGIN - shift)
                } else {
                    from << (shift - MARGIN)
                };
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
