//! Templates at rest: each sample sealed under its person's key, in a row of its own.

use palm_models::template::{Hand, Template};
use palm_proto::id::CustomerId;
use tracing::info;

use super::Gallery;
use crate::{
    base::person_key,
    entropy::Entropy,
    error::Error,
    limits,
    rows::{self, Table},
    store::Store,
    vault::{Keyholder, PersonKey, Place},
};

const PROGRESS_SAMPLES: usize = 10_000;

/// The key of a sample's row.
#[must_use]
pub fn key(customer: CustomerId, hand: Hand, number: u8) -> Vec<u8> {
    let hand = match hand {
        Hand::Right => b'r',
        Hand::Left => b'l',
    };
    Table::Template.key(&[&customer.to_bytes(), &[hand, number]])
}

/// Seals a sample for the row with this key.
pub(crate) fn seal(
    person: &PersonKey,
    key: &[u8],
    sample: &Template,
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let place = Place {
        table: Table::Template.name(),
        key,
    };
    let plain = zeroize::Zeroizing::new(sample.to_bytes());
    person.seal(&place, &*plain, entropy)
}

fn open(person: &PersonKey, key: &[u8], sealed: &[u8]) -> Result<Template, Error> {
    let place = Place {
        table: Table::Template.name(),
        key,
    };
    let plain = person
        .open(&place, sealed)
        .map_err(|_| Error::Corrupt(Table::Template.name()))?;
    Template::from_bytes(&plain).map_err(|_| Error::Corrupt(Table::Template.name()))
}

/// Fills the gallery from the store.
///
/// # Errors
/// [`Error::Corrupt`] when a template does not open: the master key is another one, or the store was changed.
pub fn load(store: &dyn Store, keyholder: &Keyholder, gallery: &Gallery) -> Result<(), Error> {
    let table = Table::Template;
    let prefix = table.key(&[]);
    let mut after: Option<Vec<u8>> = None;
    let mut current: Option<(CustomerId, PersonKey)> = None;
    let mut loaded = 0_usize;
    loop {
        let page = store.scan(&prefix, after.as_deref(), limits::SCAN_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (key, sealed) in &page {
            let customer = CustomerId::from_bytes(rows::id_at(table, key, prefix.len())?);
            if current.as_ref().is_none_or(|(owner, _)| *owner != customer) {
                let person = person_key(store, keyholder, customer)?;
                current = Some((
                    customer,
                    person.ok_or(Error::Corrupt(Table::CustomerKey.name()))?,
                ));
            }
            let (_, person) = current.as_ref().expect("invariant: set above");
            gallery.add(customer, [&open(person, key, sealed)?]);
            loaded += 1;
            if loaded.is_multiple_of(PROGRESS_SAMPLES) {
                info!(samples = loaded, "loading the gallery");
            }
        }
    }
    info!(samples = loaded, "gallery loaded");
    Ok(())
}
