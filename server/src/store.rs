//! Ordered bytes that are on disk when they are said to be.
//!
//! [`Store`] is the seam: the embedded [`SledStore`] and [`MemoryStore`] pass the same contract test, and an engine for
//! more than one machine goes behind it later. A store knows nothing of what the bytes mean.

mod memory;
mod sled_store;

use std::{collections::BTreeMap, fmt};

pub use memory::MemoryStore;
pub use sled_store::SledStore;

/// Longest key, in bytes.
pub const KEY_MAX: usize = 256;
/// Longest value, in bytes. Leaves of sled's tree hold 16 values, and a leaf of more than 128 KiB would go to a file
/// of its own under `blobs/`, which a commit does not make durable: this bound keeps every leaf far below.
pub const VALUE_MAX: usize = 4096;

/// Writes that happen together or not at all. The last write of a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Batch {
    /// A batch without writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a value.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.insert(key.into(), Some(value.into()));
    }

    /// Removes a value, if there is one.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.0.insert(key.into(), None);
    }

    /// Adds another batch's writes after its own.
    pub fn merge(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// What this batch does to a key: `None` nothing, `Some(None)` removes it.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0.get(key).map(Option::as_deref)
    }

    /// Every write, in the order of keys.
    pub fn writes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Number of keys written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it writes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every store takes it: keys of 1 to [`KEY_MAX`] bytes, values of at most [`VALUE_MAX`].
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        self.writes().all(|(key, value)| {
            (1..=KEY_MAX).contains(&key.len()) && value.is_none_or(|value| value.len() <= VALUE_MAX)
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_within_bounds() {
            Ok(())
        } else {
            Err(StoreError::TooLarge)
        }
    }
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Keeps ordered bytes.
pub trait Store: fmt::Debug + Send + Sync {
    /// Makes all writes of the batch, or none; they are on disk when it returns `Ok`.
    ///
    /// # Errors
    /// [`StoreError`]. After any but [`StoreError::TooLarge`] nobody knows what is on disk: stop the process.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the disk cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` rows whose keys begin with `prefix`, ascending; only keys above `after` when it is given.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the disk cannot be read.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// As [`Self::scan`], the keys alone. A store that need not copy the values for that has its own way.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the disk cannot be read.
    fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = self.scan(prefix, after, limit)?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the store's files fail: see the source, free or replace the disk, restore a backup.
    #[error("the store failed to {0}: check the disk's space, health and permissions")]
    Failed(
        &'static str,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    ),
    /// Another process has the folder open: one palmd a store.
    #[error("the store is in use by another process: stop the other palmd, or name another folder")]
    InUse,
    /// A key or value above [`KEY_MAX`] or [`VALUE_MAX`]: a bug of the caller. Nothing was written.
    #[error("a key is not 1 to 256 bytes, or a value is above 4096 bytes: nothing was written")]
    TooLarge,
}

#[cfg(test)]
mod tests;
