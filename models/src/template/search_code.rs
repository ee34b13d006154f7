//! The search code: 512 coordinates, each +1, -1 or 0, made of the signs of an embedding's largest components.

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
    /// One coordinate is +1 and -1 at once.
    #[error("a search code has a coordinate that is both +1 and -1: the bytes are damaged")]
    Contradiction,
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

/// 512 ternary coordinates in 128 bytes: a plane of 512 bits for +1, then one for -1, coordinate 0 first, lowest bit
/// of a byte first. Zeroized when dropped; `Debug` shows the number of non-zero coordinates only.
///
/// After IDFace (ICCV 2025), which keeps 341 of 512 coordinates of an enrolled face and 63 or 127 of a probe.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SearchCode {
    plus: [u64; WORDS],
    minus: [u64; WORDS],
}

impl fmt::Debug for SearchCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchCode({} non-zero)", self.weight())
    }
}

impl SearchCode {
    const ZERO: Self = Self {
        plus: [0; WORDS],
        minus: [0; WORDS],
    };

    /// Keeps the sign of the `weight` components of largest magnitude and sets the others to zero; of equal ones the
    /// first are kept.
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
            code.put(at, if embedding[at] > 0.0 { 1 } else { -1 });
        }
        Ok(code)
    }

    /// The code with these coordinates.
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
        self.plus[at / 64] |= u64::from(value == 1) << (at % 64);
        self.minus[at / 64] |= u64::from(value == -1) << (at % 64);
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`SearchCodeError::Contradiction`].
    pub fn from_bytes(bytes: &[u8; SEARCH_CODE_BYTES]) -> Result<Self, SearchCodeError> {
        let (words, _) = bytes.as_chunks::<WORD_BYTES>();
        let plane = |first: usize| std::array::from_fn(|at| u64::from_le_bytes(words[first + at]));
        let code = Self {
            plus: plane(0),
            minus: plane(PLANE_BYTES / WORD_BYTES),
        };
        let is_sound = code.plus.iter().zip(&code.minus).all(|(p, m)| p & m == 0);
        is_sound
            .then_some(code)
            .ok_or(SearchCodeError::Contradiction)
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SEARCH_CODE_BYTES] {
        let mut out = [0; SEARCH_CODE_BYTES];
        let words = self.plus.iter().chain(&self.minus);
        for (own, word) in out.as_chunks_mut::<WORD_BYTES>().0.iter_mut().zip(words) {
            *own = word.to_le_bytes();
        }
        out
    }

    /// Number of non-zero coordinates, 0 to 512.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let words = self.plus.iter().chain(&self.minus);
        words.map(|word| word.count_ones()).sum()
    }

    /// Coordinate `at`.
    ///
    /// # Panics
    /// When `at` is 512 or more.
    #[must_use]
    pub fn coordinate(&self, at: usize) -> i8 {
        let bit = |plane: &[u64; WORDS]| i8::from(plane[at / 64] >> (at % 64) & 1 == 1);
        bit(&self.plus) - bit(&self.minus)
    }

    /// The inner product: -512 to 512.
    #[must_use]
    pub fn dot(&self, other: &Self) -> i16 {
        let mut balance = 0;
        for word in 0..WORDS {
            let agree = self.plus[word] & other.plus[word] | self.minus[word] & other.minus[word];
            let differ = self.plus[word] & other.minus[word] | self.minus[word] & other.plus[word];
            balance += agree.count_ones().cast_signed() - differ.count_ones().cast_signed();
        }
        i16::try_from(balance).expect("invariant: at most 512 either way")
    }
}

#[cfg(test)]
mod tests;
