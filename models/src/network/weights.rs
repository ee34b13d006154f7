//! The file of weights: a magic number, then for each layer its biases (little-endian `f32`) and its weights (the upper
//! half of a little-endian `f32`, bfloat16), in the order in which they are used. `models/training/export.py` writes
//! it.

const MAGIC: &[u8] = b"OPNET\0\0\x01";

/// Why bytes are not the weights of this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WeightsError {
    #[error(
        "the file does not begin as weights of version 1 do: write it with export.py of this release"
    )]
    Magic,
    #[error(
        "the file has {0} bytes fewer than this network needs: write it with export.py of this release"
    )]
    Short(usize),
    #[error(
        "the file has {0} bytes more than this network needs: write it with export.py of this release"
    )]
    Long(usize),
    #[error("a weight is no finite number: train again")]
    NotFinite,
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        bytes
            .strip_prefix(MAGIC)
            .map(Self)
            .ok_or(WeightsError::Magic)
    }

    pub(super) fn biases(&mut self, count: usize) -> Result<Vec<f32>, WeightsError> {
        finite(
            self.take::<4>(count)?
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes)),
        )
    }

    pub(super) fn weights(&mut self, count: usize) -> Result<Vec<f32>, WeightsError> {
        let values = self.take::<2>(count)?.iter();
        finite(values.map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16)))
    }

    pub(super) fn end(self) -> Result<(), WeightsError> {
        match self.0.len() {
            0 => Ok(()),
            more => Err(WeightsError::Long(more)),
        }
    }

    fn take<const SIZE: usize>(&mut self, count: usize) -> Result<&'a [[u8; SIZE]], WeightsError> {
        let wanted = count * SIZE;
        let missing = wanted.saturating_sub(self.0.len());
        let (taken, rest) = self
            .0
            .split_at_checked(wanted)
            .ok_or(WeightsError::Short(missing))?;
        self.0 = rest;
        Ok(taken.as_chunks().0)
    }
}

fn finite(values: impl Iterator<Item = f32>) -> Result<Vec<f32>, WeightsError> {
    let finite = |value: f32| {
        value
            .is_finite()
            .then_some(value)
            .ok_or(WeightsError::NotFinite)
    };
    values.map(finite).collect()
}
