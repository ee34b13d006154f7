//! How a customer guards their money: a second factor, limits of their own, and a switch that stops every payment.
//!
//! Second factors are kept as Argon2id digests (RFC 9106) sealed under the customer's own key, so that they end with
//! it. Four digits are few: what holds is that five wrong ones in a row end it, and that the digests never leave.

use std::sync::Arc;

use palm_proto::{
    digits::Digits,
    id::CustomerId,
    request::{Factor, UpdateSafeguards},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    base::Base,
    customers::customer_key,
    error::Error,
    limits,
    rows::{self, Table},
    vault::Place,
    writer::Transaction,
};

mod digest;

use digest::Digest;

/// What a customer has set, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Whose.
    pub customer: CustomerId,
    /// A PIN is set.
    pub has_pin: bool,
    /// Digits of a telephone number are set.
    pub has_phone_digits: bool,
    /// Every payment needs the second factor.
    pub always_second_factor: bool,
    /// No payment by palm is taken.
    pub is_frozen: bool,
    /// Highest amount of one payment in minor units; 0: the shop's limit alone.
    pub payment_max_minor: u64,
    /// Highest sum of one day in minor units; 0: the shop's limit alone.
    pub day_max_minor: u64,
    /// Too many wrong second factors.
    pub is_locked: bool,
}

/// What is kept in the clear: the single writer must see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SafeguardsRow {
    has_pin: bool,
    has_phone_digits: bool,
    pub(crate) always_second_factor: bool,
    pub(crate) is_frozen: bool,
    payment_max_minor: u64,
    day_max_minor: u64,
    /// Wrong second factors in a row.
    wrong: u8,
    /// Counts changes, so that two at once do not undo each other.
    version: u32,
}

/// What is kept sealed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Factors {
    pin: Option<Digest>,
    phone_digits: Option<Digest>,
}

impl SafeguardsRow {
    pub(crate) fn payment_max(&self) -> Option<u64> {
        (self.payment_max_minor > 0).then_some(self.payment_max_minor)
    }

    pub(crate) fn day_max(&self) -> Option<u64> {
        (self.day_max_minor > 0).then_some(self.day_max_minor)
    }

    pub(crate) fn has_factor(&self) -> bool {
        self.has_pin || self.has_phone_digits
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.wrong >= limits::WRONG_FACTORS_MAX
    }

    fn view(&self, customer: CustomerId) -> View {
        View {
            customer,
            has_pin: self.has_pin,
            has_phone_digits: self.has_phone_digits,
            always_second_factor: self.always_second_factor,
            is_frozen: self.is_frozen,
            payment_max_minor: self.payment_max_minor,
            day_max_minor: self.day_max_minor,
            is_locked: self.is_locked(),
        }
    }
}

/// Everybody's safeguards.
#[derive(Debug, Clone)]
pub struct Safeguards {
    base: Arc<Base>,
    checks: Arc<Semaphore>,
}

impl Safeguards {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        let checks = Arc::new(Semaphore::new(limits::FACTOR_CHECKS));
        Self { base, checks }
    }

    /// What a customer has set.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`].
    pub fn find(&self, customer: CustomerId) -> Result<View, Error> {
        Ok(self.row(customer)?.view(customer))
    }

    fn row(&self, customer: CustomerId) -> Result<SafeguardsRow, Error> {
        let store = &self.base.store;
        let known = store.get(&customer_key(customer))?;
        known.ok_or(Error::CustomerNotFound)?;
        read(store.get(&key(customer))?)
    }

    /// Changes what is given. `is_trusted`: an operator asks, who need not know the PIN.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`]; [`Error::FactorWrong`] when the current PIN is missing or wrong, which counts;
    /// [`Error::FactorLocked`]; [`Error::Busy`] when somebody else changed them just now.
    pub async fn update(&self, change: UpdateSafeguards, is_trusted: bool) -> Result<View, Error> {
        let customer = change.customer;
        let row = self.row(customer)?;
        if !is_trusted && row.has_pin && !only_freezes(&change) {
            self.prove(customer, &row, change.current_pin.clone())
                .await?;
        }
        let sealed = self.resealed(&change).await?;
        let writing = self.base.writer.write(move |tx| {
            if tx.get(&customer_key(customer))?.is_none() {
                return Err(Error::CustomerNotFound);
            }
            let mut now = row_of(tx, customer)?;
            if now.version != row.version {
                return Err(Error::Busy);
            }
            apply(&mut now, &change);
            tx.put(key(customer), rows::encode(&now));
            if let Some(sealed) = sealed {
                tx.put(factors_key(customer), sealed);
            }
            Ok(now.view(customer))
        });
        writing.await
    }

    /// Whether a customer has a PIN, which must then be the one given; a wrong one is counted.
    pub(crate) async fn prove_if_set(
        &self,
        customer: CustomerId,
        pin: Option<Digits>,
    ) -> Result<bool, Error> {
        let row = self.row(customer)?;
        if row.has_pin {
            self.prove(customer, &row, pin).await?;
        }
        Ok(row.has_pin)
    }

    /// The current PIN; a wrong one is counted.
    async fn prove(
        &self,
        customer: CustomerId,
        row: &SafeguardsRow,
        pin: Option<Digits>,
    ) -> Result<(), Error> {
        if row.is_locked() {
            return Err(Error::FactorLocked);
        }
        let is_right = match pin {
            Some(pin) => self.is_right(customer, Factor::Pin(pin)).await?,
            None => return Err(Error::FactorWrong),
        };
        let counting = self.base.writer.write(move |tx| {
            count(tx, customer, is_right)?;
            Ok::<_, Error>(())
        });
        counting.await?;
        is_right.then_some(()).ok_or(Error::FactorWrong)
    }

    /// Whether a second factor is this customer's. It takes the same time when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn is_right(
        &self,
        customer: CustomerId,
        factor: Factor,
    ) -> Result<bool, Error> {
        let factors = self.factors(customer)?;
        let (kept, given) = match factor {
            Factor::Pin(given) => (factors.pin, given),
            Factor::PhoneDigits(given) => (factors.phone_digits, given),
        };
        self.blocking(move || Digest::is_of(kept.as_ref(), &given))
            .await
    }

    /// The sealed factors after a change; `None` when they stay.
    async fn resealed(&self, change: &UpdateSafeguards) -> Result<Option<Vec<u8>>, Error> {
        if change.pin.is_none() && change.phone_digits.is_none() {
            return Ok(None);
        }
        let customer = change.customer;
        let mut factors = self.factors(customer)?;
        if let Some(pin) = change.pin.clone() {
            factors.pin = self.digest(pin).await?;
        }
        if let Some(digits) = change.phone_digits.clone() {
            factors.phone_digits = self.digest(digits).await?;
        }
        let person = self.base.person_key(customer)?;
        let person = person.ok_or(Error::CustomerNotFound)?;
        let key = factors_key(customer);
        let place = place(&key);
        Ok(Some(person.seal(
            &place,
            &rows::encode(&factors),
            &*self.base.entropy,
        )))
    }

    async fn digest(&self, digits: Option<Digits>) -> Result<Option<Digest>, Error> {
        let Some(digits) = digits else {
            return Ok(None);
        };
        let salt = self.base.random();
        self.blocking(move || Some(Digest::of(&digits, salt))).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.checks.acquire().await.map_err(|_| Error::Stopping)?;
        let working = tokio::task::spawn_blocking(work);
        working.await.map_err(|_| Error::Stopping)
    }

    fn factors(&self, customer: CustomerId) -> Result<Factors, Error> {
        let corrupt = || Error::Corrupt(Table::CustomerFactors.name());
        let Some(person) = self.base.person_key(customer)? else {
            return Ok(Factors::default());
        };
        let key = factors_key(customer);
        let Some(sealed) = self.base.store.get(&key)? else {
            return Ok(Factors::default());
        };
        let plain = person.open(&place(&key), &sealed).map_err(|_| corrupt())?;
        Table::CustomerFactors.decode(&plain)
    }
}

/// To freeze is always allowed: it harms nobody.
fn only_freezes(change: &UpdateSafeguards) -> bool {
    let UpdateSafeguards {
        customer: _,
        current_pin: _,
        pin,
        phone_digits,
        always_second_factor,
        frozen,
        payment_max_minor,
        day_max_minor,
    } = change;
    *frozen == Some(true)
        && pin.is_none()
        && phone_digits.is_none()
        && always_second_factor.is_none()
        && payment_max_minor.is_none()
        && day_max_minor.is_none()
}

fn apply(row: &mut SafeguardsRow, change: &UpdateSafeguards) {
    row.version = row.version.wrapping_add(1);
    if let Some(pin) = &change.pin {
        row.has_pin = pin.is_some();
        row.wrong = 0;
    }
    if let Some(digits) = &change.phone_digits {
        row.has_phone_digits = digits.is_some();
    }
    if let Some(always) = change.always_second_factor {
        row.always_second_factor = always;
    }
    if let Some(frozen) = change.frozen {
        row.is_frozen = frozen;
    }
    if let Some(most) = change.payment_max_minor {
        row.payment_max_minor = most;
    }
    if let Some(most) = change.day_max_minor {
        row.day_max_minor = most;
    }
}

fn key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerSafeguards.key(&[&customer.to_bytes()])
}

fn factors_key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerFactors.key(&[&customer.to_bytes()])
}

fn place(key: &[u8]) -> Place<'_> {
    Place {
        table: Table::CustomerFactors.name(),
        key,
    }
}

fn read(row: Option<Vec<u8>>) -> Result<SafeguardsRow, Error> {
    let row = row.map(|bytes| Table::CustomerSafeguards.decode(&bytes));
    Ok(row.transpose()?.unwrap_or_default())
}

/// What a customer has set, as the writer sees it.
pub(crate) fn row_of(tx: &Transaction<'_>, customer: CustomerId) -> Result<SafeguardsRow, Error> {
    read(tx.get(&key(customer))?)
}

/// Counts a second factor that was given: a right one forgives the wrong ones before. Gives the row after it.
pub(crate) fn count(
    tx: &mut Transaction<'_>,
    customer: CustomerId,
    is_right: bool,
) -> Result<SafeguardsRow, Error> {
    let mut row = row_of(tx, customer)?;
    row.wrong = if is_right {
        0
    } else {
        row.wrong.saturating_add(1)
    };
    tx.put(key(customer), rows::encode(&row));
    Ok(row)
}

/// Forgets the safeguards of a customer who leaves.
pub(crate) fn forget(tx: &mut Transaction<'_>, customer: CustomerId) {
    tx.delete(key(customer));
    tx.delete(factors_key(customer));
}

#[cfg(test)]
mod tests;
