//! The card or account that a customer pays from at the outside rail, as it is kept: the token and what may be shown,
//! sealed under the customer's key.

use palm_proto::id::CustomerId;
use serde::{Deserialize, Serialize};

use super::{Card, chores};
use crate::{
    base::Base,
    error::Error,
    rows::{self, Table},
    vault::Place,
    writer::Transaction,
};

/// What is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct InstrumentRow {
    /// Charged by the rail.
    pub(crate) token: String,
    /// `None`: an operator set the token.
    pub(crate) card: Option<Card>,
}

fn key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerInstrument.key(&[&customer.to_bytes()])
}

/// What a customer pays from; `None`: their wallet.
pub(crate) fn find(
    base: &Base,
    customer: CustomerId,
    stored: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Option<InstrumentRow>, Error> {
    open(base, Table::CustomerInstrument, customer, stored)
}

/// As [`find`], for the writer.
pub(crate) fn row_of(
    tx: &Transaction<'_>,
    base: &Base,
    customer: CustomerId,
) -> Result<Option<InstrumentRow>, Error> {
    find(base, customer, |key| Ok(tx.get(key)?))
}

/// Keeps another instrument, or none. A card that was saved on the provider's page is then to be forgotten there.
///
/// # Errors
/// [`Error::CustomerNotFound`] when their key was destroyed.
pub(crate) fn replace(
    tx: &mut Transaction<'_>,
    base: &Base,
    customer: CustomerId,
    row: Option<&InstrumentRow>,
) -> Result<(), Error> {
    let before = row_of(tx, base, customer)?.filter(|before| before.card.is_some());
    if let Some(before) = before.filter(|before| row.is_none_or(|row| row.token != before.token)) {
        chores::put_forget(tx, base, customer, before.token);
    }
    match row {
        Some(row) => {
            let sealed = seal(base, Table::CustomerInstrument, customer, row)?;
            tx.put(key(customer), sealed);
        }
        None => tx.delete(key(customer)),
    }
    Ok(())
}

/// Takes it away with its owner.
pub(crate) fn forget(tx: &mut Transaction<'_>, customer: CustomerId) {
    tx.delete(key(customer));
}

/// Seals a customer's row of a table that has one for each.
pub(super) fn seal<T: Serialize>(
    base: &Base,
    table: Table,
    customer: CustomerId,
    row: &T,
) -> Result<Vec<u8>, Error> {
    let person = base.person_key(customer)?.ok_or(Error::CustomerNotFound)?;
    let key = table.key(&[&customer.to_bytes()]);
    let place = Place {
        table: table.name(),
        key: &key,
    };
    Ok(person.seal(&place, &rows::encode(row), &*base.entropy))
}

/// Opens it; `None` where there is none.
pub(super) fn open<T: serde::de::DeserializeOwned>(
    base: &Base,
    table: Table,
    customer: CustomerId,
    stored: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Option<T>, Error> {
    let key = table.key(&[&customer.to_bytes()]);
    let Some(sealed) = stored(&key)? else {
        return Ok(None);
    };
    let Some(person) = base.person_key(customer)? else {
        return Ok(None);
    };
    let place = Place {
        table: table.name(),
        key: &key,
    };
    let plain = person.open(&place, &sealed);
    let plain = plain.map_err(|_| Error::Corrupt(table.name()))?;
    table.decode(&plain).map(Some)
}
