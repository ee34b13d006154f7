//! What one command may see and do.

use std::collections::BTreeMap;

use crate::{
    ledger::{Ledger, LedgerError, Transfer},
    store::{Batch, Row, Store, StoreError},
};

/// One command's view: the store, under what earlier commands of the same commit wrote, under its own writes.
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a dyn Store,
    group: &'a mut Batch,
    ledger: &'a mut Ledger,
    own: Batch,
    mark: usize,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(store: &'a dyn Store, group: &'a mut Batch, ledger: &'a mut Ledger) -> Self {
        let mark = ledger.mark();
        Self {
            store,
            group,
            ledger,
            own: Batch::new(),
            mark,
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.own.get(key).or_else(|| self.group.get(key)) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.store.get(key),
        }
    }

    /// As [`Store::scan`].
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot be read.
    pub fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let within = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let pending: Vec<_> = self
            .group
            .writes()
            .chain(self.own.writes())
            .filter(|(key, _)| within(key))
            .collect();
        // Each pending removal may take one of the store's rows away.
        let stored = self
            .store
            .scan(prefix, after, limit.saturating_add(pending.len()))?;
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for (key, value) in pending {
            match value {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    /// Writes a value when the command ends well.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.own.put(key, value);
    }

    /// Removes a value when the command ends well.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.own.delete(key);
    }

    /// The books, with what this command and those before it booked.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        self.ledger
    }

    /// Books transfers, all or none.
    ///
    /// # Errors
    /// [`LedgerError`] of the first that is refused.
    pub fn post(&mut self, transfers: &[Transfer]) -> Result<(), LedgerError> {
        let mark = self.ledger.mark();
        let mut records = Batch::new();
        for transfer in transfers {
            if let Err(error) = self.ledger.book(transfer, &mut records) {
                self.ledger.roll_back(mark);
                return Err(error);
            }
        }
        self.own.merge(records);
        Ok(())
    }

    /// Keeps what the command did, or takes all of it back.
    pub(super) fn end(&mut self, well: bool) {
        let own = std::mem::take(&mut self.own);
        if well {
            assert!(
                own.is_within_bounds(),
                "a command wrote a key or value above the store's bounds"
            );
            self.group.merge(own);
        } else {
            self.ledger.roll_back(self.mark);
        }
    }
}
