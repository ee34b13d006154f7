//! How alike two templates are: by their search codes, and above all by their orientation codes.
//!
//! Angular Hamming distance over a window of shifts, after Kong and Zhang (ICPR 2004), and over a few turns, because a
//! hand held freely is never placed to the degree. At the best of these each patch of the palm then finds a place of
//! its own close by, because a hand also bends: on drawn regions that makes four times as many matches certain. It
//! decides nothing: which similarity is enough, and by how much the next palm must be behind, is for who asks.
//!
//! A search makes one [`TemplateProbe`]: [`TemplateProbe::coarse`] for a first pass over a large gallery,
//! [`TemplateProbe::compare`] for what that leaves.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::params::{
    NEUTRAL_SEARCH, OVERLAP_MIN, PATCH_REACH, PATCH_SIDE, SEARCH_SHARE, SHIFT_MAX, TURNS_DEGREES,
};
use crate::template::{CODE_SIDE, OrientationCode, SearchCode, Template};

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
/// First rows and columns of the patches, which overlap and end with the code.
const PATCH_STARTS: [usize; 4] = [0, 7, 13, CODE_SIDE - PATCH_SIDE];
/// Patches in each direction.
const PATCHES: usize = PATCH_STARTS.len();
/// Valid cells that a patch must share: a third of its own.
const PATCH_OVERLAP_MIN: u32 = 48;

/// How alike two codes are: one minus the mean angular distance of the cells that both hold, as a share of the
/// largest. 1 is the same code; codes of different palms have about 0.59 at their best; 0 says that too
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

/// The similarity of two templates; see [`TemplateProbe::compare`], which is cheaper for many.
#[must_use]
pub fn compare(probe: &Template, reference: &Template) -> Similarity {
    TemplateProbe::new(probe).compare(reference)
}

/// A template made ready to be compared with many.
#[derive(Debug)]
pub struct TemplateProbe {
    lines: Probe,
    search: Option<SearchCode>,
}

impl TemplateProbe {
    /// Makes a template ready.
    #[must_use]
    pub fn new(template: &Template) -> Self {
        Self {
            lines: Probe::new(template.orientation()),
            search: template.search().cloned(),
        }
    }

    /// The [`fused`] similarity. Where a template has no search code, that score is taken to say nothing either way.
    #[must_use]
    pub fn compare(&self, reference: &Template) -> Similarity {
        let lines = self.lines.compare(reference.orientation());
        fused(self.search(reference), lines)
    }

    /// A cheap stand-in for [`TemplateProbe::compare`], to put many people in an order: [`Probe::coarse`] in place of
    /// [`Probe::compare`].
    #[must_use]
    pub fn coarse(&self, reference: &Template) -> Similarity {
        let lines = self.lines.coarse(reference.orientation());
        fused(self.search(reference), lines)
    }

    fn search(&self, reference: &Template) -> f32 {
        let codes = self.search.as_ref().zip(reference.search());
        codes.map_or(NEUTRAL_SEARCH, |(own, other)| own.similarity(other))
    }
}

/// Both scores of two palms as one: the orientation codes' similarity, and that of the search codes
/// ([`SearchCode::similarity`]) weighted by [`SEARCH_SHARE`]. Below zero the latter says no more than zero; codes that
/// overlap too little to be compared are not alike whatever it says.
#[must_use]
pub fn fused(search: f32, orientation: Similarity) -> Similarity {
    if orientation == Similarity::ZERO {
        return Similarity::ZERO;
    }
    let search = Similarity::new(search).value();
    Similarity(orientation.value() + SEARCH_SHARE * (search - orientation.value()))
}

/// An orientation code made ready to be compared with many: turned and moved sideways once for all. Wiped when
/// dropped; 29 kB.
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

    /// The similarity of the patches of two codes, each at its best about the best of 5 turns, up to 6 degrees either
    /// way, and 81 shifts, up to 4 cells in each direction. Which of two codes is turned hardly matters, but is not
    /// without effect.
    #[must_use]
    pub fn compare(&self, reference: &OrientationCode) -> Similarity {
        Arch::new().dispatch(Comparison(self, reference))
    }

    #[inline(always)]
    fn compare_wide(&self, reference: &OrientationCode) -> Similarity {
        let places = (0..self.columns.len())
            .flat_map(|turn| (0..SHIFTS).map(move |shift| (turn, shift)))
            .flat_map(|(turn, shift)| (0..SHIFTS).map(move |start| Place { turn, shift, start }));
        let mut best = (Similarity::ZERO, Place::default());
        for place in places {
            let column = &self.columns[place.turn][place.shift];
            let similarity = column.whole(reference, place.start);
            if similarity > best.0 {
                best = (similarity, place);
            }
        }
        match best {
            (Similarity::ZERO, _) => Similarity::ZERO,
            (_, place) => self.patched(reference, place),
        }
    }

    /// The similarity of the patches, each at its best about a place.
    #[inline(always)]
    fn patched(&self, reference: &OrientationCode, place: Place) -> Similarity {
        let mut best = [[(0.0, 0.0); PATCHES]; PATCHES];
        for (code, start) in self.about(place) {
            code.patches(reference, start, &mut best);
        }
        let (mut similar, mut shared) = (0.0, 0.0);
        for (similarity, cells) in best.as_flattened() {
            similar += similarity * cells;
            shared += cells;
        }
        Similarity::new(similar / shared)
    }

    /// The places about one, its own among them, each with the padded row that meets a reference's first.
    #[inline(always)]
    fn about(&self, place: Place) -> impl Iterator<Item = (&Shifted, usize)> {
        let near = |at: usize, reach: usize, end: usize| {
            at.saturating_sub(reach)..(at + reach + 1).min(end)
        };
        let turns = &self.columns[near(place.turn, 1, self.columns.len())];
        let shifts = near(place.shift, PATCH_REACH, SHIFTS);
        let starts = near(place.start, PATCH_REACH, SHIFTS);
        let codes = turns.iter().flat_map(move |turn| &turn[shifts.clone()]);
        codes.flat_map(move |code| starts.clone().map(move |start| (code, start)))
    }

    /// How alike the codes are as a whole, for a tenth of the cost of [`Probe::compare`]: half of the rows choose the
    /// best of 3 turns and 25 shifts, 2 cells apart, and only the shifts about that one count. It puts people in an
    /// order; its values are lower than those of a comparison.
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

/// Where a probe lies on a reference: indices of a turn and of the shifts along and across rows.
#[derive(Clone, Copy, Default)]
struct Place {
    turn: usize,
    shift: usize,
    start: usize,
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
            let (sum, carry) = differences([a, b, c], mask);
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

// What looks closely runs with the widest registers that the machine has, one row a lane. It counts bits by hand, since
// few of them have an instruction for it.
impl Shifted {
    /// The similarity with the reference's first row on padded row `start`.
    #[inline(always)]
    fn whole(&self, reference: &OrientationCode, start: usize) -> Similarity {
        const HALF: usize = CODE_SIDE / 2;
        let (mut differing, mut shared) = (0_u32, 0_u32);
        for row in 0..HALF {
            let (steps, cells) = nibbles(self.differences(reference, start, row));
            let (others, more) = nibbles(self.differences(reference, start, row + HALF));
            differing = differing.wrapping_add(sixteens(bytes(steps).wrapping_add(bytes(others))));
            shared = shared.wrapping_add(sixteens(bytes(cells.wrapping_add(more))));
        }
        let (differing, shared) = (total(differing), total(shared));
        if shared < OVERLAP_MIN {
            return Similarity::ZERO;
        }
        Similarity(1.0 - differing as f32 / (STEPS_MAX * shared) as f32)
    }

    /// Looks whether patches are more alike with the reference's first row on padded row `start` than at their best so
    /// far: the similarity and the cells that count, by first row and first column of the patch. One of which too few
    /// cells are valid is not alike.
    #[inline(always)]
    fn patches(
        &self,
        reference: &OrientationCode,
        start: usize,
        best: &mut [[(f32, f32); PATCHES]; PATCHES],
    ) {
        for (at, column) in PATCH_STARTS.into_iter().enumerate() {
            let across = ((1 << PATCH_SIDE) - 1) << column;
            // By row: the steps in the upper half, the cells in the lower one.
            let mut rows = [0_u32; CODE_SIDE];
            for (row, both) in rows.iter_mut().enumerate() {
                let words = self.differences(reference, start, row);
                let (steps, cells) = nibbles(words.map(|word| word & across));
                *both = total(sixteens(bytes(steps))) << 16 | total(sixteens(bytes(cells)));
            }
            for (best, row) in best.iter_mut().zip(PATCH_STARTS) {
                let rows = &rows[row..row + PATCH_SIDE];
                let both = rows.iter().fold(0_u32, |all, own| all.wrapping_add(*own));
                let (differing, shared) = (both >> 16, both & 0xffff);
                let similarity = 1.0 - differing as f32 / (STEPS_MAX * shared) as f32;
                if shared >= PATCH_OVERLAP_MIN && similarity >= best[at].0 {
                    best[at] = (similarity, shared as f32);
                }
            }
        }
    }

    /// How many planes differ in each cell of a row that both hold, as two bits a cell, and which cells both hold.
    #[inline(always)]
    fn differences(&self, reference: &OrientationCode, start: usize, row: usize) -> [u32; 3] {
        let mask = reference.valid[row] & window(&self.valid, start)[row];
        let [a, b, c] = std::array::from_fn(|plane| {
            reference.planes[plane][row] ^ window(&self.planes[plane], start)[row]
        });
        [(a ^ b ^ c) & mask, ((a & b) | (c & (a ^ b))) & mask, mask]
    }
}

/// Steps and cells of a row by fours of columns, four bits each, from [`Shifted::differences`].
#[inline(always)]
fn nibbles([low, high, mask]: [u32; 3]) -> (u32, u32) {
    const EVEN: u32 = 0x5555_5555;
    const PAIR: u32 = 0x3333_3333;
    let even = low & EVEN | high << 1 & !EVEN;
    let odd = low >> 1 & EVEN | high & !EVEN;
    let some = (even & PAIR).wrapping_add(odd & PAIR);
    let others = (even >> 2 & PAIR).wrapping_add(odd >> 2 & PAIR);
    let pairs = mask.wrapping_sub(mask >> 1 & EVEN);
    let cells = (pairs & PAIR).wrapping_add(pairs >> 2 & PAIR);
    (some.wrapping_add(others), cells)
}

/// Neighbouring nibbles added up.
#[inline(always)]
const fn bytes(nibbles: u32) -> u32 {
    (nibbles & 0x0f0f_0f0f).wrapping_add(nibbles >> 4 & 0x0f0f_0f0f)
}

/// Neighbouring bytes added up.
#[inline(always)]
const fn sixteens(bytes: u32) -> u32 {
    (bytes & 0x00ff_00ff).wrapping_add(bytes >> 8 & 0x00ff_00ff)
}

/// Both halves added up.
#[inline(always)]
const fn total(sixteens: u32) -> u32 {
    (sixteens & 0xffff).wrapping_add(sixteens >> 16)
}

// A structure and not a closure, because a closure's body is not always inlined where wide registers are allowed.
struct Comparison<'a>(&'a Probe, &'a OrientationCode);

impl WithSimd for Comparison<'_> {
    type Output = Similarity;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Similarity {
        self.0.compare_wide(self.1)
    }
}

/// How many of three planes differ where the mask is set, as two bits a cell: three population counts cost two.
fn differences([a, b, c]: [u64; 3], mask: u64) -> (u64, u64) {
    ((a ^ b ^ c) & mask, ((a & b) | (c & (a ^ b))) & mask)
}

/// As many rows as a code has, from `start` on.
#[inline(always)]
fn window(rows: &[u32; PADDED], start: usize) -> &[u32; CODE_SIDE] {
    rows[start..]
        .first_chunk()
        .expect("invariant: a shift stays within the margins")
}

/// Two rows as one word.
fn pair<const ROWS: usize>(rows: &[u32; ROWS], row: usize) -> u64 {
    u64::from(rows[row]) | u64::from(rows[row + 1]) << 32
}

#[cfg(test)]
mod tests;
