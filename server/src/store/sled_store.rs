//! The embedded store: sled 0.34, one tree, one batch, one flush, one `fdatasync`.
//!
//! sled's own `flush` ends in `sync_file_range`, which says nothing of the disk's cache nor of the file's length (its
//! issue 1452), so a commit also calls `fdatasync` on sled's log file. Values are small enough never to
//! leave that file (see [`super::VALUE_MAX`]). The only file that names sled.

use std::{fmt, fs::File, ops::Bound, path::Path};

use super::{Batch, Row, Store, StoreError};

/// A store in a folder of its own.
pub struct SledStore {
    database: sled::Db,
    /// sled's log, opened once more to be made durable.
    log: File,
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SledStore")
    }
}

impl SledStore {
    /// Opens the store in `folder`, making it if there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; [`StoreError::Failed`] when it cannot be read or made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        // Commits flush by themselves; a background flush would only get in their way.
        let config = sled::Config::new().path(folder).flush_every_ms(None);
        let database = config.open().map_err(opening)?;
        let log = File::open(folder.join("db")).map_err(|error| failed("open its log", error))?;
        let store = Self { database, log };
        store.make_durable()?;
        Ok(store)
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        self.database
            .flush()
            .map_err(|error| failed("flush", error))?;
        self.log
            .sync_data()
            .map_err(|error| failed("sync its log", error))
    }
}

impl SledStore {
    /// Rows whose keys begin with `prefix`, only those above `after` when it is given; sled's values are shared, not
    /// copied.
    fn within<'a>(
        &self,
        prefix: &'a [u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), StoreError>> + use<'a> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rows = self.database.range::<&[u8], _>((from, Bound::Unbounded));
        rows.map(|row| row.map_err(|error| failed("read", error)))
            .take_while(|row| {
                row.as_ref()
                    .map_or(true, |(key, _)| key.starts_with(prefix))
            })
    }
}

impl Store for SledStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut writes = sled::Batch::default();
        for (key, value) in batch.writes() {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        self.database
            .apply_batch(writes)
            .map_err(|error| failed("write", error))?;
        self.make_durable()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self
            .database
            .get(key)
            .map_err(|error| failed("read", error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.within(prefix, after).take(limit);
        rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())))
            .collect()
    }

    fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = self.within(prefix, after).take(limit);
        rows.map(|row| row.map(|(key, _)| key.to_vec())).collect()
    }
}

fn opening(error: sled::Error) -> StoreError {
    // sled tells a locked folder only by the text of its message.
    let locked =
        matches!(&error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"));
    if locked {
        StoreError::InUse
    } else {
        failed("open", error)
    }
}

fn failed(
    what: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Failed(what, Box::new(source))
}
