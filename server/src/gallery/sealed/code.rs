//! Search codes as an epoch sees them: their coordinates permuted and their signs flipped by the epoch's key, so that
//! codes of two epochs have nothing in common for whoever has neither key; and the two roles they are used in.

use palm_models::template::{DIMENSIONS, SEARCH_CODE_BYTES, SearchCode};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    SealedError,
    keys::{EpochKey, Stream},
};

/// Non-zero coordinates that an enrolled code may have (IDFace, ICCV 2025, keeps 341).
pub const REFERENCE_WEIGHTS: std::ops::RangeInclusive<u32> = 256..=512;
/// Non-zero coordinates that a probe may have (IDFace, ICCV 2025, keeps 63 or 127).
pub const PROBE_WEIGHTS: std::ops::RangeInclusive<u32> = 32..=127;

const DRAW_BYTES: usize = 8;

/// A signed permutation of the coordinates. Inner products stay what they are, and a ternary code stays ternary.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Permutation {
    /// Where a coordinate comes from.
    from: [usize; DIMENSIONS],
    sign: [i8; DIMENSIONS],
}

impl Permutation {
    /// By Fisher and Yates (Knuth, TAOCP 2, algorithm P); a draw is uniform within 2^-55.
    pub(super) fn derive(key: &EpochKey) -> Self {
        let stream = Stream::new(&key.derived(&[b"permutation"]));
        let mut bytes = Zeroizing::new([0; DIMENSIONS * DRAW_BYTES]);
        stream.fill(0, bytes.as_mut());
        let (draws, _) = bytes.as_chunks::<DRAW_BYTES>();
        let mut from = std::array::from_fn(|at| at);
        for (last, draw) in (0..DIMENSIONS).zip(draws).rev() {
            let choices = u128::try_from(last + 1).expect("invariant: at most 512");
            let drawn = (u128::from(u64::from_le_bytes(*draw)) * choices) >> u64::BITS;
            from.swap(last, usize::try_from(drawn).expect("invariant: below 512"));
        }
        let mut bits = Zeroizing::new([0; DIMENSIONS / 8]);
        stream.fill(1, bits.as_mut());
        let is_set = |at: usize| i8::from(bits[at / 8] >> (at % 8) & 1 == 1);
        Self {
            from,
            sign: std::array::from_fn(|at| 1 - 2 * is_set(at)),
        }
    }

    fn apply(&self, code: &SearchCode) -> [i8; DIMENSIONS] {
        std::array::from_fn(|at| self.sign[at] * code.coordinate(self.from[at]))
    }

    /// A code to enrol.
    ///
    /// # Errors
    /// [`SealedError::Weight`].
    pub(super) fn reference(&self, code: &SearchCode) -> Result<ReferenceCode, SealedError> {
        let weight = code.weight();
        if REFERENCE_WEIGHTS.contains(&weight) {
            Ok(ReferenceCode(ternary(&self.apply(code))))
        } else {
            Err(SealedError::Weight(weight))
        }
    }

    /// A code to search with: at most `weight_max` of its non-zero coordinates, those that come first in the epoch's
    /// order, which nobody else can foretell.
    ///
    /// # Errors
    /// [`SealedError::Weight`].
    pub(super) fn probe(
        &self,
        code: &SearchCode,
        weight_max: usize,
    ) -> Result<ProbeCode, SealedError> {
        let mut coordinates = Zeroizing::new(self.apply(code));
        let kept = coordinates.iter_mut().filter(|value| **value != 0);
        kept.skip(weight_max).for_each(|value| *value = 0);
        let code = ternary(&coordinates);
        let weight = code.weight();
        if PROBE_WEIGHTS.contains(&weight) {
            Ok(ProbeCode(code))
        } else {
            Err(SealedError::Weight(weight))
        }
    }
}

fn ternary(coordinates: &[i8; DIMENSIONS]) -> SearchCode {
    SearchCode::from_coordinates(coordinates).expect("invariant: signs of a ternary code")
}

/// An enrolled code in the epoch's coordinates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReferenceCode(SearchCode);

impl ReferenceCode {
    pub(super) fn coordinate(&self, at: usize) -> i8 {
        self.0.coordinate(at)
    }
}

/// A code to look for in the epoch's coordinates: what the matcher sees of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCode(SearchCode);

impl ProbeCode {
    /// Rows of a block that a search with it adds up.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::try_from(self.0.weight()).expect("invariant: at most 127")
    }

    /// The inner product with an enrolled code, in the plain.
    pub(super) fn dot(&self, reference: &ReferenceCode) -> i8 {
        let score = self.0.dot(&reference.0);
        i8::try_from(score).expect("invariant: a probe has at most 127 coordinates")
    }

    /// Coordinates that are `sign`.
    pub(super) fn coordinates(&self, sign: i8) -> Vec<usize> {
        let all = 0..DIMENSIONS;
        all.filter(|at| self.0.coordinate(*at) == sign).collect()
    }

    /// The form that goes to a matcher in another process.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SEARCH_CODE_BYTES] {
        self.0.to_bytes()
    }

    /// Reads what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// [`SealedError::Weight`].
    pub fn from_bytes(bytes: &[u8; SEARCH_CODE_BYTES]) -> Result<Self, SealedError> {
        let code = SearchCode::from_bytes(bytes);
        let weight = code.weight();
        if PROBE_WEIGHTS.contains(&weight) {
            Ok(Self(code))
        } else {
            Err(SealedError::Weight(weight))
        }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &SearchCode {
        &self.0
    }
}

#[cfg(test)]
mod tests;
