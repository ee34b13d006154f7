//! The scheme: additive ring-LWE with a shared mask, over R = Z_2^32\[X\]/(X^2048 + 1).
//!
//! An epoch has one ternary secret s_j for each dimension j. A block has one public mask `a`, expanded from a seed that
//! is drawn when the block is encrypted and never again, and a row `b_j = a s_j + e_j + D m_j` for each dimension. m_j
//! packs coordinate j of every code of the block: slot t stands at coefficient t mod 2048, in digit t div 2048.
//!
//! For a probe q, the **matcher** adds and subtracts rows, `sum q_j b_j`, and knows no secret. The **keyholder** takes
//! `a sum q_j s_j` away, one product a block, and rounds: what is left is D times the packed scores, plus noise.
//!
//! The secrets are an epoch's and not a block's: rows of many blocks are then ordinary ring-LWE samples with many
//! masks, the secret of a probe is summed and transformed once a search and not once a block, and no block's
//! secret, which is derived from the epoch's key in either way, has to be kept at hand (1 MiB a block).
//!
//! **Noise.** An error is centred binomial of 42 bits (variance 10.5, as Microsoft SEAL's), so it is subgaussian with
//! that variance, and a sum of w of them exceeds r with a probability below 2 exp(-r^2 / (21 w)). Three codes in a
//! word leave room for 2^10; with 63 coordinates and at most 16 from the product (`negacyclic.rs`), r = 1007 and that
//! is 2 exp(-766), below 2^-1100 for each score. Two codes in a word leave room for 2^15, and 127 errors of at most 21
//! never reach it.

use std::fmt;

use palm_models::template::DIMENSIONS;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{
    code::{ProbeCode, ReferenceCode},
    keys::{EpochKey, KEY_BYTES, Stream},
    negacyclic::{N, Row, Spectrum},
};

const TERNARY_BYTES: usize = 8;
const ERROR_BYTES: usize = 6;
const ERROR_BITS: u32 = 21;
/// Words of a page of memory, 4 KiB.
const PAGE_WORDS: usize = 1024;
/// Rows that are read side by side when a probe is alone: as many streams keep the memory busy (measured: 4 are 60 % as
/// fast, 31 slower again).
const ABREAST: usize = 15;
/// Columns that probes which share a scan go through together: 512 KiB of a block's rows, which stay in the cache.
const SHARED_WORDS: usize = 256;
/// Registers that hold sums while the rows go by.
const SUMS_HELD: usize = 8;
/// Most codes in one word.
const PER_WORD_MAX: usize = 3;

/// How many codes share a word of a block, and so how heavy a probe may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Three codes a word, 683 bytes a code; probes of at most 63 coordinates.
    Three,
    /// Two codes a word, 1024 bytes a code; probes of at most 127 coordinates.
    Two,
}

impl Packing {
    /// Codes in one word.
    #[must_use]
    pub const fn per_word(self) -> usize {
        match self {
            Self::Three => 3,
            Self::Two => 2,
        }
    }

    /// Slots of a block.
    #[must_use]
    pub const fn capacity(self) -> usize {
        self.per_word() * N
    }

    /// Non-zero coordinates that a probe may have.
    #[must_use]
    pub const fn probe_weight_max(self) -> usize {
        (1 << (self.digit_bits() - 1)) - 1
    }

    const fn digit_bits(self) -> u32 {
        match self {
            Self::Three => 7,
            Self::Two => 8,
        }
    }

    /// Bits below the digits: D = 2^`noise_bits`.
    const fn noise_bits(self) -> u32 {
        match self {
            Self::Three => u32::BITS - 3 * 7,
            Self::Two => u32::BITS - 2 * 8,
        }
    }

    const fn shift(self, digit: u32) -> u32 {
        self.noise_bits() + digit * self.digit_bits()
    }
}

/// -1, 0 or 1, each with a third of the chance (within 2^-62), without a branch or a look-up.
fn ternary(word: u64) -> i8 {
    let third = (u128::from(word) * 3) >> 64;
    i8::try_from(third).expect("invariant: below 3") - 1
}

/// Centred binomial of twice 21 bits, without a branch or a look-up.
fn error(bytes: [u8; ERROR_BYTES]) -> i32 {
    let mut word = [0; 8];
    word[..ERROR_BYTES].copy_from_slice(&bytes);
    let word = u64::from_le_bytes(word);
    let ones = |bits: u64| (bits & ((1 << ERROR_BITS) - 1)).count_ones().cast_signed();
    ones(word) - ones(word >> ERROR_BITS)
}

/// The public mask of a block, expanded from its seed.
pub(super) struct Mask(Spectrum);

impl Mask {
    pub(super) fn expand(seed: &[u8; KEY_BYTES]) -> Self {
        let mut bytes = [0; N * 4];
        Stream::new(seed).fill(0, &mut bytes);
        let (words, _) = bytes.as_chunks();
        Self(Spectrum::of(&std::array::from_fn(|at| {
            i32::from_le_bytes(words[at])
        })))
    }
}

/// A row as a block holds it, on pages of its own: reading it asks the system's page table twice and not three times,
/// and no register is filled from two lines of the cache.
#[repr(C, align(4096))]
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PagedRow(pub(super) Row);

impl fmt::Debug for PagedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PagedRow")
    }
}

/// The secrets of an epoch, one for each dimension. Zeroized when dropped.
pub(super) struct Secrets(Zeroizing<Vec<[i8; N]>>);

impl Secrets {
    pub(super) fn derive(key: &EpochKey) -> Self {
        let stream = Stream::new(&key.derived(&[b"secrets"]));
        let mut bytes = Zeroizing::new(vec![0; N * TERNARY_BYTES]);
        let secret = |dimension: usize| {
            stream.fill(lane(dimension), &mut bytes);
            let (words, _) = bytes.as_chunks();
            std::array::from_fn(|at| ternary(u64::from_le_bytes(words[at])))
        };
        Self(Zeroizing::new((0..DIMENSIONS).map(secret).collect()))
    }

    /// What the keyholder needs of a probe, for any number of blocks.
    pub(super) fn query(&self, probe: &ProbeCode) -> Query {
        // At most 127 secrets of -1 to 1: a byte holds the sum.
        let mut sum = Zeroizing::new([0_i8; N]);
        for dimension in probe.coordinates(1) {
            for (own, secret) in sum.iter_mut().zip(self.0[dimension].iter()) {
                *own = own.wrapping_add(*secret);
            }
        }
        for dimension in probe.coordinates(-1) {
            for (own, secret) in sum.iter_mut().zip(self.0[dimension].iter()) {
                *own = own.wrapping_sub(*secret);
            }
        }
        Query(transformed(&sum))
    }

    /// The rows of a block that holds `codes`, slot by slot; the slots that are left hold zero. `errors` must be a
    /// stream of this mask's own: see [`super::keyholder`].
    pub(super) fn encrypt(
        &self,
        mask: &Mask,
        errors: &Stream,
        packing: Packing,
        codes: &[ReferenceCode],
    ) -> Vec<PagedRow> {
        assert!(codes.len() <= packing.capacity(), "more codes than slots");
        let row = |dimension| {
            let secret = Zeroizing::new(transformed(&self.0[dimension]));
            let mut row = mask.0.product(&secret);
            let mut noise = Zeroizing::new([0; N * ERROR_BYTES]);
            errors.fill(lane(dimension), noise.as_mut());
            for (word, bytes) in row.iter_mut().zip(noise.as_chunks().0) {
                *word = word.wrapping_add_signed(error(*bytes));
            }
            for (digit, own) in (0..).zip(codes.chunks(N)) {
                for (word, code) in row.iter_mut().zip(own) {
                    let value = i32::from(code.coordinate(dimension));
                    *word = word.wrapping_add_signed(value << packing.shift(digit));
                }
            }
            PagedRow(row)
        };
        (0..DIMENSIONS).into_par_iter().map(row).collect()
    }
}

fn transformed(secret: &[i8; N]) -> Spectrum {
    let wide = Zeroizing::new(std::array::from_fn(|at| i32::from(secret[at])));
    Spectrum::of(&wide)
}

fn lane(dimension: usize) -> u64 {
    u64::try_from(dimension).expect("invariant: below 512")
}

/// The coordinates of a probe that are -1, and those that are 1.
type Wanted = [Vec<usize>; 2];

/// Adds up the rows of each probe's coordinates, with their signs: all that the matcher does. Several probes go through
/// the rows together, a few columns at a time, so that most of what they read is in the cache.
pub(super) fn add_up(rows: &[PagedRow], probes: &[ProbeCode]) -> Vec<Row> {
    let mut sums = Vec::new();
    add_up_into(rows, probes, &mut sums);
    sums
}

/// As [`add_up`], in memory that was used before: to get it from the system anew for each block takes as long as a
/// good part of the sums.
pub(super) fn add_up_into(rows: &[PagedRow], probes: &[ProbeCode], sums: &mut Vec<Row>) {
    let signs = |probe: &ProbeCode| [-1, 1].map(|sign| probe.coordinates(sign));
    let wanted: Vec<Wanted> = probes.iter().map(signs).collect();
    sums.resize(probes.len(), [0; N]);
    Arch::new().dispatch(Adding {
        rows,
        wanted: &wanted,
        sums,
    });
}

/// Runs with the widest registers that the machine has, as in `negacyclic.rs`.
struct Adding<'a> {
    rows: &'a [PagedRow],
    wanted: &'a [Wanted],
    sums: &'a mut [Row],
}

impl WithSimd for Adding<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, wanted, sums } = self;
        if let ([wanted], [sums]) = (wanted, &mut *sums) {
            return alone(rows, wanted, sums);
        }
        for start in (0..N).step_by(SHARED_WORDS) {
            for (wanted, sums) in wanted.iter().zip(&mut *sums) {
                let held = SUMS_HELD * S::U32_LANES;
                for start in (start..start + SHARED_WORDS).step_by(held) {
                    hold(simd, rows, wanted, start, &mut sums[start..start + held]);
                }
            }
        }
    }
}

/// One probe: its rows come from memory, so many are read side by side, a page of each at a time.
#[inline(always)]
fn alone(rows: &[PagedRow], [minus, plus]: &Wanted, sums: &mut Row) {
    sums.fill(0);
    for (page, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
        side_by_side(rows, minus, page, sums);
        sums.iter_mut().for_each(|sum| *sum = sum.wrapping_neg());
        side_by_side(rows, plus, page, sums);
    }
}

#[inline(always)]
fn side_by_side(rows: &[PagedRow], wanted: &[usize], page: usize, sums: &mut [u32; PAGE_WORDS]) {
    let (many, rest) = wanted.as_chunks::<ABREAST>();
    many.iter().for_each(|own| add_pages(rows, own, page, sums));
    let (fours, rest) = rest.as_chunks::<4>();
    fours
        .iter()
        .for_each(|own| add_pages(rows, own, page, sums));
    let ones = rest.as_chunks::<1>().0;
    ones.iter().for_each(|own| add_pages(rows, own, page, sums));
}

#[inline(always)]
fn add_pages<const COUNT: usize>(
    rows: &[PagedRow],
    wanted: &[usize; COUNT],
    page: usize,
    sums: &mut [u32; PAGE_WORDS],
) {
    let pages: [&[u32; PAGE_WORDS]; COUNT] = wanted.map(|row| &rows[row].0.as_chunks().0[page]);
    for (at, sum) in sums.iter_mut().enumerate() {
        *sum = pages
            .iter()
            .fold(*sum, |sum, page| sum.wrapping_add(page[at]));
    }
}

/// Some columns of one of several probes: the rows come from the cache, so the sums stay in registers meanwhile.
#[inline(always)]
fn hold<S: Simd>(
    simd: S,
    rows: &[PagedRow],
    [minus, plus]: &Wanted,
    start: usize,
    sums: &mut [u32],
) {
    let columns = |row: usize| -> &[S::u32s; SUMS_HELD] {
        let columns = &rows[row].0[start..start + SUMS_HELD * S::U32_LANES];
        let columns = S::as_simd_u32s(columns).0.try_into();
        columns.expect("invariant: as many columns as the registers have lanes")
    };
    let mut held = [simd.splat_u32s(0); SUMS_HELD];
    for row in plus {
        for (sum, value) in held.iter_mut().zip(columns(*row)) {
            *sum = simd.add_u32s(*sum, *value);
        }
    }
    for row in minus {
        for (sum, value) in held.iter_mut().zip(columns(*row)) {
            *sum = simd.sub_u32s(*sum, *value);
        }
    }
    S::as_mut_simd_u32s(sums).0.copy_from_slice(&held);
}

/// The transform of a probe's secret: the sum of the secrets of its coordinates. Zeroized when dropped.
#[derive(ZeroizeOnDrop)]
pub struct Query(Spectrum);

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query")
    }
}

impl Query {
    /// What hides the sums: the mask times the probe's secret.
    pub(super) fn hidden(&self, mask: &Mask) -> Row {
        mask.0.product(&self.0)
    }

    /// The scores of a block's slots from the matcher's sums.
    pub(super) fn read(&self, mask: &Mask, sums: &Row, packing: Packing) -> Scores {
        let hidden = self.hidden(mask);
        match packing {
            Packing::Three => Arch::new().dispatch(Digits::<3>(packing, sums, &hidden)),
            Packing::Two => Arch::new().dispatch(Digits::<2>(packing, sums, &hidden)),
        }
    }
}

/// The scores of every slot of a block.
pub(super) struct Scores([[i8; N]; PER_WORD_MAX]);

impl Scores {
    /// The first `count` scores.
    pub(super) fn first(&self, count: usize) -> &[i8] {
        &self.0.as_flattened()[..count]
    }
}

/// Rounds the noise off and takes the digits apart, each with half its range added so that none borrows.
struct Digits<'a, const PER_WORD: usize>(Packing, &'a Row, &'a Row);

impl<const PER_WORD: usize> WithSimd for Digits<'_, PER_WORD> {
    type Output = Scores;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Scores {
        let Self(packing, sums, hidden) = self;
        let half = 1 << (packing.digit_bits() - 1);
        let digit_mask = (1 << packing.digit_bits()) - 1;
        let shifts: [u32; PER_WORD] = std::array::from_fn(|digit| {
            packing.shift(u32::try_from(digit).expect("invariant: < 3"))
        });
        let offset = shifts
            .iter()
            .fold(1 << (packing.noise_bits() - 1), |all, shift| {
                all + (half << shift)
            });
        let mut scores = Scores([[0; N]; PER_WORD_MAX]);
        for (shift, out) in shifts.iter().zip(&mut scores.0) {
            for ((score, sum), hidden) in out.iter_mut().zip(sums).zip(hidden) {
                let digit = sum.wrapping_sub(*hidden).wrapping_add(offset) >> shift & digit_mask;
                *score = signed(digit, half);
            }
        }
        scores
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a digit less half its range is within -128 and 127"
)]
#[inline(always)]
const fn signed(digit: u32, half: u32) -> i8 {
    (digit.wrapping_sub(half)).cast_signed() as i8
}

#[cfg(test)]
mod tests;
