//! The search code: the signs of an embedding's 512 components, and which of them are the largest. Those are the
//! coordinates +1 and -1 that the encrypted gallery searches by; the others count as 0 there.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Coordinates of a search code.
pub const DIMENSIONS: usize = 512;
/// Bytes of a search code.
pub const SEARCH_CODE_BYTES: usize = DIMENSIONS / 4;

const WORDS: usize = DIMENSIONS / 64;
const WORD_BYTES: usize = 8;
const PLANE_BYTES: usize = SEARCH_CODE_BYTES / 2;

/// Why numbers or bytes are no search code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchCodeError {
    /// A component of the embedding is not a number, or infinite.
    #[error("an embedding has a component that is no finite number: extract the palm again")]
    NotFinite,
    /// A coordinate is none of -1, 0 and 1.
    #[error("{0} is no coordinate of a search code: it is -1, 0 or 1")]
    NotTernary(i8),
    /// More non-zero coordinates are wanted than the embedding has.
    #[error("an embedding has no {0} non-zero components: extract the palm again")]
    TooSparse(usize),
}

/// 512 signs and which of them are kept, in 128 bytes: a plane of 512 bits that are set where a component is below
/// zero, then one where it is kept, coordinate 0 first, lowest bit of a byte first. Zeroized when dropped; `Debug`
/// shows the number of non-zero coordinates only.
///
/// After IDFace (ICCV 2025), which keeps 341 of 512 coordinates of an enrolled face and 63 or 127 of a probe.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SearchCode {
    negative: [u64; WORDS],
    kept: [u64; WORDS],
}

impl fmt::Debug for SearchCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchCode({} non-zero)", self.weight())
    }
}

impl SearchCode {
    const ZERO: Self = Self {
        negative: [0; WORDS],
        kept: [0; WORDS],
    };

    /// Keeps the `weight` components of largest magnitude, of equal ones the first.
    ///
    /// # Errors
    /// [`SearchCodeError::NotFinite`]; [`SearchCodeError::TooSparse`] when more than 512 are wanted, or a kept
    /// component is zero.
    pub fn strongest(
        embedding: &[f32; DIMENSIONS],
        weight: usize,
    ) -> Result<Self, SearchCodeError> {
        if embedding.iter().any(|component| !component.is_finite()) {
            return Err(SearchCodeError::NotFinite);
        }
        let mut order: [usize; DIMENSIONS] = std::array::from_fn(|at| at);
        order.sort_by(|a, b| embedding[*b].abs().total_cmp(&embedding[*a].abs()));
        let kept = order.get(..weight);
        let kept = kept.filter(|kept| kept.iter().all(|at| embedding[*at] != 0.0));
        let mut code = Self::ZERO;
        for &at in kept.ok_or(SearchCodeError::TooSparse(weight))? {
            code.kept[at / 64] |= 1 << (at % 64);
        }
        for (at, component) in embedding.iter().enumerate() {
            code.negative[at / 64] |= u64::from(*component < 0.0) << (at % 64);
        }
        Ok(code)
    }

    /// The code with these coordinates; what is 0 has no sign to speak of.
    ///
    /// # Errors
    /// [`SearchCodeError::NotTernary`].
    pub fn from_coordinates(values: &[i8; DIMENSIONS]) -> Result<Self, SearchCodeError> {
        let mut code = Self::ZERO;
        for (at, value) in values.iter().enumerate() {
            if !(-1..=1).contains(value) {
                return Err(SearchCodeError::NotTernary(*value));
            }
            code.put(at, *value);
        }
        Ok(code)
    }

    fn put(&mut self, at: usize, value: i8) {
        self.negative[at / 64] |= u64::from(value == -1) << (at % 64);
        self.kept[at / 64] |= u64::from(value != 0) << (at % 64);
    }

    /// Reads the stored form; any bytes are one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SEARCH_CODE_BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<WORD_BYTES>();
        let plane = |first: usize| std::array::from_fn(|at| u64::from_le_bytes(words[first + at]));
        Self {
            negative: plane(0),
            kept: plane(PLANE_BYTES / WORD_BYTES),
        }
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SEARCH_CODE_BYTES] {
        let mut out = [0; SEARCH_CODE_BYTES];
        let words = self.negative.iter().chain(&self.kept);
        for (own, word) in out.as_chunks_mut::<WORD_BYTES>().0.iter_mut().zip(words) {
            *own = word.to_le_bytes();
        }
        out
    }

    /// Number of coordinates that are kept, 0 to 512.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.kept.iter().map(|word| word.count_ones()).sum()
    }

    /// Coordinate `at`: +1, -1, or 0 where it is not kept.
    ///
    /// # Panics
    /// When `at` is 512 or more.
    #[must_use]
    pub fn coordinate(&self, at: usize) -> i8 {
        let bit = |plane: &[u64; WORDS]| i8::from(plane[at / 64] >> (at % 64) & 1 == 1);
        bit(&self.kept) * (1 - 2 * bit(&self.negative))
    }

    /// The inner product of the coordinates: -512 to 512.
    #[must_use]
    pub fn dot(&self, other: &Self) -> i16 {
        self.balance(other, |word| self.kept[word] & other.kept[word])
    }

    /// How many more of the coordinates that `reference` keeps have this code's sign than have not, as a share of them:
    /// -1 to 1, about 0 for different palms. It sees more than [`SearchCode::dot`], as all signs of this code count.
    #[must_use]
    pub fn similarity(&self, reference: &Self) -> f32 {
        let most = u16::try_from(reference.weight()).expect("invariant: at most 512");
        f32::from(self.balance(reference, |word| reference.kept[word])) / f32::from(most.max(1))
    }

    /// Equal signs less different ones where the mask of each word is set.
    fn balance(&self, other: &Self, mask: impl Fn(usize) -> u64) -> i16 {
        let mut balance = 0;
        for word in 0..WORDS {
            let (differ, mask) = (self.negative[word] ^ other.negative[word], mask(word));
            let ones = |bits: u64| (bits & mask).count_ones().cast_signed();
            balance += ones(!differ) - ones(differ);
        }
        i16::try_from(balance).expect("invariant: at most 512 either way")
    }
}

#[cfg(test)]
mod tests;
