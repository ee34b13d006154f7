//! The forms in which a matcher and a keyholder of two processes hand things to each other. None of them holds a score.

use palm_models::template::{Hand, ModelVersion};

use super::{
    EpochId, SealedError,
    block::{BlockId, HEADER_BYTES, Header, Kind, ROW_BYTES, Sums, row_bytes},
};

/// Bytes of the sums of one block for one probe.
pub const SUMS_BYTES: usize = ROW_BYTES;

/// Names a block among those of all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockName {
    /// What its codes are of.
    pub kind: Kind,
    /// The epoch whose key it was encrypted under.
    pub epoch: EpochId,
    /// Which of them.
    pub block: BlockId,
}

impl BlockName {
    /// What a block goes by.
    #[must_use]
    pub const fn of(header: &Header) -> Self {
        Self {
            kind: header.kind,
            epoch: header.epoch,
            block: header.block,
        }
    }
}

impl BlockId {
    /// The id with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl EpochId {
    /// The epoch's name as a number.
    #[must_use]
    pub const fn number(self) -> u64 {
        u64::from_be_bytes(self.0)
    }

    /// The name with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number.to_be_bytes())
    }
}

/// A hand as a number: 0 right, 1 left.
#[must_use]
pub const fn hand_number(hand: Hand) -> u32 {
    match hand {
        Hand::Right => 0,
        Hand::Left => 1,
    }
}

/// A kind from its numbers.
///
/// # Errors
/// [`SealedError::Format`] when this build knows no such hand or extractor.
pub fn kind(hand: u32, model: u32) -> Result<Kind, SealedError> {
    let hand = match hand {
        0 => Hand::Right,
        1 => Hand::Left,
        _ => return Err(SealedError::Format),
    };
    let model = u8::try_from(model).ok().and_then(ModelVersion::from_number);
    let model = model.ok_or(SealedError::Format)?;
    Ok(Kind { hand, model })
}

/// A header as it stands on disk.
///
/// # Errors
/// [`SealedError::Truncated`], [`SealedError::Format`].
pub fn header(bytes: &[u8]) -> Result<Header, SealedError> {
    let bytes: &[u8; HEADER_BYTES] = bytes.try_into().map_err(|_| SealedError::Truncated)?;
    Header::from_bytes(bytes)
}

/// The sums of one block, one probe's after the other's.
#[must_use]
pub fn rows_of(sums: &[Sums]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(sums.len() * ROW_BYTES);
    for sums in sums {
        bytes.extend_from_slice(&row_bytes(&sums.row));
    }
    bytes
}

/// Reads [`rows_of`] so many probes.
///
/// # Errors
/// [`SealedError::Truncated`] when they are more or fewer.
pub fn sums(block: BlockId, rows: &[u8], probes: usize) -> Result<Vec<Sums>, SealedError> {
    if rows.len() != probes * ROW_BYTES {
        return Err(SealedError::Truncated);
    }
    let sums = |row: &[u8]| {
        let (words, _) = row.as_chunks();
        let row = std::array::from_fn(|at| u32::from_le_bytes(words[at]));
        Sums { block, row }
    };
    Ok(rows.chunks(ROW_BYTES).map(sums).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::sealed::{
        code::ProbeCode,
        fixture::{probe, record},
    };

    #[test]
    fn probe_is_read_back_and_one_of_another_weight_is_refused() {
        let own = probe(record(3).number.into(), 63);
        assert_eq!(ProbeCode::from_bytes(&own.to_bytes()).unwrap(), own);
        for filling in [0, 0b0101_0101] {
            let bytes = [filling; palm_models::template::SEARCH_CODE_BYTES];
            let refused = ProbeCode::from_bytes(&bytes);
            assert!(matches!(refused, Err(SealedError::Weight(_))), "{filling}");
        }
    }

    #[test]
    fn sums_are_read_back_and_other_lengths_are_refused() {
        let rows = [1, 2].map(|n| Sums {
            block: BlockId(7),
            row: std::array::from_fn(|at| u32::try_from(at).unwrap() * n),
        });
        let bytes = rows_of(&rows);
        let read = sums(BlockId(7), &bytes, 2).unwrap();
        for (one, other) in rows.iter().zip(&read) {
            assert_eq!((one.block, one.row), (other.block, other.row));
        }
        for (length, probes) in [(bytes.len(), 1), (bytes.len() - 1, 2), (0, 1)] {
            let refused = sums(BlockId(7), &bytes[..length], probes);
            assert!(matches!(refused, Err(SealedError::Truncated)), "{length}");
        }
    }

    #[test]
    fn kinds_of_unknown_numbers_are_refused() {
        assert!(kind(1, 2).is_ok());
        for (hand, model) in [(2, 2), (0, 0), (0, 256), (u32::MAX, 2)] {
            assert!(kind(hand, model).is_err(), "{hand} {model}");
        }
    }
}
