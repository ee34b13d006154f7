//! People who pay by palm: their consent, their name (sealed under their own key), and their end.
//!
//! Deleting a customer destroys their key and every row sealed under it in one batch, which also leaves word for the
//! card provider to forget them. Payments keep the bare id.

use std::sync::Arc;

use palm_models::template::Hand;
use palm_proto::{
    id::CustomerId,
    request::{CreateCustomer, Page},
};
use serde::{Deserialize, Serialize};

use crate::{
    base::Base,
    cards,
    clock::Timestamp,
    error::Error,
    ledger::AccountId,
    limits,
    payments::booking,
    payouts,
    requests::{self, RequestRow},
    rows::{self, Table},
    safeguards,
    vault::{PersonKey, Place},
    writer::Transaction,
};

/// A customer as an operator may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Who.
    pub id: CustomerId,
    /// The name they gave.
    pub display_name: String,
    /// Version of the notice that they agreed to.
    pub notice_version: String,
    /// BCP 47 language of that notice.
    pub language: String,
    /// When they agreed and were created.
    pub create_time: Timestamp,
    /// Palms enrolled: 0, 1 or 2.
    pub palms: u32,
}

/// What is kept of a customer in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CustomerRow {
    pub(crate) notice_version: String,
    pub(crate) language: String,
    pub(crate) create_us: u64,
    /// Samples kept of the right palm and of the left.
    pub(crate) right_samples: u8,
    pub(crate) left_samples: u8,
}

impl CustomerRow {
    pub(crate) fn palms(&self) -> u32 {
        u32::from(self.right_samples > 0) + u32::from(self.left_samples > 0)
    }

    /// Counts one more sample of a hand; gives its number.
    pub(crate) fn next_number(&mut self, hand: Hand) -> u8 {
        let samples = match hand {
            Hand::Right => &mut self.right_samples,
            Hand::Left => &mut self.left_samples,
        };
        let number = *samples;
        *samples = number
            .checked_add(1)
            .expect("invariant: at most 12 samples of a palm are kept");
        number
    }
}

pub(crate) fn customer_key(customer: CustomerId) -> Vec<u8> {
    Table::Customer.key(&[&customer.to_bytes()])
}

fn name_key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerName.key(&[&customer.to_bytes()])
}

fn wrapped_key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerKey.key(&[&customer.to_bytes()])
}

fn order_key(customer: CustomerId, create_us: u64) -> Vec<u8> {
    Table::CustomerOrder.key(&[&create_us.to_be_bytes(), &customer.to_bytes()])
}

/// The people who pay by palm.
#[derive(Debug, Clone)]
pub struct Customers {
    base: Arc<Base>,
}

impl Customers {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        Self { base }
    }

    /// Registers a person. The same request gives the same customer.
    ///
    /// # Errors
    /// [`Error::IdReused`] when the request id came with other content before.
    pub async fn create(&self, request: CreateCustomer) -> Result<Customer, Error> {
        let customer = self.drafted(&request);
        let (person, wrapped) = self
            .base
            .keyholder
            .create_person_key(customer.id, &*self.base.entropy);
        let name = self.seal_name(&person, customer.id, &customer.display_name);
        let row = CustomerRow {
            notice_version: customer.notice_version.clone(),
            language: customer.language.clone(),
            create_us: customer.create_time.micros(),
            right_samples: 0,
            left_samples: 0,
        };
        let (id, request_id) = (customer.id, request.request_id);
        let before = self.base.writer.write(move |tx| {
            match requests::answered(tx, request_id)? {
                Some(RequestRow::CreateCustomer { customer }) => return Ok(Some(customer)),
                Some(_) => return Err(Error::IdReused),
                None => {}
            }
            tx.put(customer_key(id), rows::encode(&row));
            tx.put(wrapped_key(id), wrapped.to_bytes());
            tx.put(name_key(id), name);
            tx.put(order_key(id, row.create_us), Vec::new());
            requests::keep(tx, request_id, &RequestRow::CreateCustomer { customer: id });
            Ok(None)
        });
        match before.await? {
            None => Ok(customer),
            Some(before) => self.repeated(before, &request),
        }
    }

    fn drafted(&self, request: &CreateCustomer) -> Customer {
        Customer {
            id: CustomerId::from_random(self.base.random()),
            display_name: request.display_name.clone(),
            notice_version: request.notice_version.clone(),
            language: request.language.clone(),
            create_time: self.base.clock.now(),
            palms: 0,
        }
    }

    /// The customer of an earlier request, if this one says the same.
    fn repeated(&self, before: CustomerId, request: &CreateCustomer) -> Result<Customer, Error> {
        let stored = self.find(before)?;
        let is_same = stored.display_name == request.display_name
            && stored.notice_version == request.notice_version
            && stored.language == request.language;
        if is_same {
            Ok(stored)
        } else {
            Err(Error::IdReused)
        }
    }

    /// One customer.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`], also after deletion.
    pub fn find(&self, id: CustomerId) -> Result<Customer, Error> {
        let row = self
            .base
            .store
            .get(&customer_key(id))?
            .ok_or(Error::CustomerNotFound)?;
        let row: CustomerRow = Table::Customer.decode(&row)?;
        let display_name = self.name(id)?.ok_or(Error::CustomerNotFound)?;
        Ok(Customer {
            id,
            display_name,
            palms: row.palms(),
            notice_version: row.notice_version,
            language: row.language,
            create_time: Timestamp::from_micros(row.create_us),
        })
    }

    /// A part of the list in order of creation, and the token of the next part (empty: there is none).
    ///
    /// # Errors
    /// [`Error::Malformed`] for a token that was not given out.
    pub fn list(&self, page: &Page) -> Result<(Vec<Customer>, String), Error> {
        let table = Table::CustomerOrder;
        let part = rows::page(&*self.base.store, &table.key(&[]), 24..=24, page)?;
        let mut customers = Vec::with_capacity(part.keys.len());
        for key in &part.keys {
            match self.find(CustomerId::from_bytes(rows::id_at(table, key, 8)?)) {
                Ok(customer) => customers.push(customer),
                // Deleted since the keys were read.
                Err(Error::CustomerNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((customers, part.next_page_token))
    }

    /// Destroys a customer's key, name and templates; says when. Payments stay.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`]; [`Error::BalanceRemains`] while the wallet holds money;
    /// [`Error::KeyholderAway`].
    pub async fn delete(&self, id: CustomerId) -> Result<Timestamp, Error> {
        let base = Arc::clone(&self.base);
        // A task of its own: a caller who hangs up must not leave the palms in the gallery.
        let deleting = tokio::spawn(async move {
            let _palms = base.palms.lock().await;
            // A keyholder of its own forgets first: stopped in between, the customer is there to be deleted again.
            base.writer.write(move |tx| erasable(tx, id)).await?;
            let gallery = Arc::clone(&base.gallery);
            let forgetting = tokio::task::spawn_blocking(move || gallery.forget(id));
            forgetting.await.map_err(|_| Error::Stopping)??;
            let at = Arc::clone(&base);
            base.writer.write(move |tx| erase(tx, &at, id)).await?;
            base.gallery.remove(id);
            base.settle_gallery();
            Ok(base.clock.now())
        });
        deleting.await.map_err(|_| Error::Stopping)?
    }

    /// The customer's name; `None` when their key was destroyed.
    fn name(&self, id: CustomerId) -> Result<Option<String>, Error> {
        let corrupt = || Error::Corrupt(Table::CustomerName.name());
        let Some(person) = self.base.person_key(id)? else {
            return Ok(None);
        };
        let key = name_key(id);
        let Some(sealed) = self.base.store.get(&key)? else {
            return Ok(None);
        };
        let plain = person
            .open(&name_place(&key), &sealed)
            .map_err(|_| corrupt())?;
        String::from_utf8(plain.to_vec())
            .map(Some)
            .map_err(|_| corrupt())
    }

    /// The customer's name for a cashier's eyes: the first letter of each word. Empty when they were deleted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn masked_name(&self, id: CustomerId) -> Result<String, Error> {
        Ok(self
            .name(id)?
            .map_or_else(String::new, |name| masked(&name)))
    }

    fn seal_name(&self, person: &PersonKey, id: CustomerId, name: &str) -> Vec<u8> {
        person.seal(
            &name_place(&name_key(id)),
            name.as_bytes(),
            &*self.base.entropy,
        )
    }
}

fn name_place(key: &[u8]) -> Place<'_> {
    Place {
        table: Table::CustomerName.name(),
        key,
    }
}

/// The row of a customer who may be erased.
fn erasable(tx: &Transaction<'_>, id: CustomerId) -> Result<CustomerRow, Error> {
    let row = tx.get(&customer_key(id))?.ok_or(Error::CustomerNotFound)?;
    let wallet = AccountId::Wallet(id);
    // What is held may come back.
    if tx.ledger().balance(wallet) > 0 || tx.ledger().held(wallet) > 0 {
        return Err(Error::BalanceRemains);
    }
    Table::Customer.decode(&row)
}

fn erase(tx: &mut Transaction<'_>, base: &Base, id: CustomerId) -> Result<(), Error> {
    let row = erasable(tx, id)?;
    let templates = Table::Template.key(&[&id.to_bytes()]);
    // The bound of the scan is above what can be there: 12 samples of each palm.
    for (key, _) in tx.scan(&templates, None, limits::SCAN_ROWS)? {
        tx.delete(key);
    }
    booking::forget(tx, id);
    payouts::record::forget(tx, id)?;
    cards::forget(tx, base, id)?;
    safeguards::forget(tx, id);
    tx.delete(wrapped_key(id));
    tx.delete(name_key(id));
    tx.delete(order_key(id, row.create_us));
    tx.delete(customer_key(id));
    Ok(())
}

/// `Kim Minjun` becomes `K** M**`: three characters a word, so that not even its length is told.
fn masked(name: &str) -> String {
    let words = name
        .split_whitespace()
        .filter_map(|word| word.chars().next());
    words
        .map(|first| format!("{first}**"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
