//! Templates at rest: each sample sealed under its person's key, in a row of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use palm_models::template::{Hand, Template};
use palm_proto::id::CustomerId;

use super::sealed::RecordId;
use crate::{
    base::person_key,
    entropy::Entropy,
    error::Error,
    limits,
    rows::{self, Table},
    store::{Batch, Store},
    vault::{Keyholder, PersonKey, Place},
};

const CUSTOMER_BYTES: usize = 16;
const RIGHT: u8 = b'r';
const LEFT: u8 = b'l';

/// The key of a sample's row.
#[must_use]
pub fn key(customer: CustomerId, hand: Hand, number: u8) -> Vec<u8> {
    let hand = match hand {
        Hand::Right => RIGHT,
        Hand::Left => LEFT,
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

/// The templates of the store, and what opens them.
#[derive(Clone)]
pub struct Templates {
    store: Arc<dyn Store>,
    keyholder: Arc<Keyholder>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// Those of a store, whose persons' keys this keyholder wraps.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, keyholder: Arc<Keyholder>) -> Self {
        Self { store, keyholder }
    }

    /// The samples of one palm; none when there are none or their key was destroyed.
    pub(crate) fn of_palm(&self, customer: CustomerId, hand: Hand) -> Result<Vec<Template>, Error> {
        let Some(person) = person_key(&*self.store, &self.keyholder, customer)? else {
            return Ok(Vec::new());
        };
        let mut prefix = key(customer, hand, 0);
        prefix.pop();
        let rows = self.store.scan(&prefix, None, limits::SCAN_ROWS)?;
        rows.iter()
            .map(|(key, sealed)| open(&person, key, sealed))
            .collect()
    }

    /// How many samples of one palm there are.
    pub(super) fn count(&self, customer: CustomerId, hand: Hand) -> Result<u8, Error> {
        let mut prefix = key(customer, hand, 0);
        prefix.pop();
        let rows = self.store.scan(&prefix, None, limits::SCAN_ROWS)?;
        u8::try_from(rows.len()).map_err(|_| Error::SamplesFull)
    }

    /// One sample; `None` when it is not there or its key was destroyed.
    pub(super) fn one(&self, hand: Hand, record: RecordId) -> Result<Option<Template>, Error> {
        let key = key(record.customer, hand, record.number);
        let Some(sealed) = self.store.get(&key)? else {
            return Ok(None);
        };
        let person = person_key(&*self.store, &self.keyholder, record.customer)?;
        person
            .map(|person| open(&person, &key, &sealed))
            .transpose()
    }

    /// Every sample there is, by hand.
    pub(super) fn records(&self) -> Result<BTreeMap<Hand, BTreeSet<RecordId>>, Error> {
        let table = Table::Template;
        let prefix = table.key(&[]);
        let mut after: Option<Vec<u8>> = None;
        let mut records = BTreeMap::<_, BTreeSet<_>>::new();
        loop {
            let page = self
                .store
                .keys(&prefix, after.as_deref(), limits::SCAN_KEYS)?;
            let Some(last) = page.last() else {
                return Ok(records);
            };
            after = Some(last.clone());
            for key in &page {
                let customer = CustomerId::from_bytes(rows::id_at(table, key, prefix.len())?);
                let (hand, number) = match rows::id_at(table, key, prefix.len() + CUSTOMER_BYTES)? {
                    [RIGHT, number] => (Hand::Right, number),
                    [LEFT, number] => (Hand::Left, number),
                    _ => return Err(Error::Corrupt(table.name())),
                };
                let record = RecordId { customer, number };
                records.entry(hand).or_default().insert(record);
            }
        }
    }
}

impl Templates {
    /// Seals every sample anew for another store, under keys of persons that another keyholder wraps. Returns how many
    /// there are; those whose person's key was destroyed stay behind.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Corrupt`].
    pub(crate) fn hand_over(
        &self,
        store: &dyn Store,
        keyholder: &Keyholder,
        entropy: &dyn Entropy,
    ) -> Result<usize, Error> {
        let mut count = 0;
        let mut last: Option<(CustomerId, PersonKey)> = None;
        for (hand, records) in self.records()? {
            for some in Vec::from_iter(records).chunks(limits::SCAN_ROWS) {
                let mut batch = Batch::new();
                let sample = |record: &RecordId| {
                    let sample = self.one(hand, *record).transpose()?;
                    Some(sample.map(|sample| (*record, sample)))
                };
                for found in some.iter().filter_map(sample) {
                    let (record, sample) = found?;
                    let own = match last.take() {
                        Some((customer, own)) if customer == record.customer => own,
                        _ => key_in(&mut batch, store, keyholder, (record.customer, entropy))?,
                    };
                    let key = key(record.customer, hand, record.number);
                    let sealed = seal(&own, &key, &sample, entropy);
                    batch.put(key, sealed);
                    last = Some((record.customer, own));
                    count += 1;
                }
                store.commit(&batch)?;
            }
        }
        Ok(count)
    }
}

/// A person's key in a store; a new one goes into the batch.
fn key_in(
    batch: &mut Batch,
    store: &dyn Store,
    keyholder: &Keyholder,
    (customer, entropy): (CustomerId, &dyn Entropy),
) -> Result<PersonKey, Error> {
    if let Some(person) = person_key(store, keyholder, customer)? {
        return Ok(person);
    }
    let (person, wrapped) = keyholder.create_person_key(customer, entropy);
    let place = Table::CustomerKey.key(&[&customer.to_bytes()]);
    batch.put(place, wrapped.to_bytes());
    Ok(person)
}

/// Keeps samples below the service, for tests and benches: of a person who may not be there, with a key of theirs.
/// Gives their numbers.
///
/// # Errors
/// [`Error::Store`], [`Error::Corrupt`].
#[doc(hidden)]
pub fn plant(
    store: &dyn Store,
    keyholder: &Keyholder,
    (customer, samples): (CustomerId, &[Template]),
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let mut batch = Batch::new();
    let person = key_in(&mut batch, store, keyholder, (customer, entropy))?;
    let mut numbers = Vec::with_capacity(samples.len());
    for sample in samples {
        let is_free = |number: &u8| {
            let key = key(customer, sample.hand(), *number);
            !matches!(store.get(&key), Ok(Some(_))) && batch.get(&key).is_none()
        };
        let number = (0..=u8::MAX).find(is_free).ok_or(Error::SamplesFull)?;
        let key = key(customer, sample.hand(), number);
        let sealed = seal(&person, &key, sample, entropy);
        batch.put(key, sealed);
        numbers.push(number);
    }
    store.commit(&batch)?;
    Ok(numbers)
}
