//! Pay-outs of wallets to their owners' bank accounts: ordered, put into a file for the bank, answered by it.
//!
//! Every change is one command of the single writer, which moves a pay-out along the table of [`life`] and books what
//! belongs to it in the same batch. What is ordered is held; a pay-out's id is its hold's, and its reference at the
//! bank. It is put into one file and never into another; a file's bytes are made of what is stored, so that the same
//! file again is the same bytes under the same `MsgId`, which a bank pays once.
//!
//! Where a pay-out goes is sealed under the customer's key and ends with it.

use std::sync::Arc;

use palm_proto::{
    fault::Malformed,
    id::{CustomerId, PayoutFileId, PayoutId, RequestId},
    money::{Currency, Money},
    reason::ReasonCode,
    request::{OrderPayout, Page},
};

use crate::{
    base::Base,
    clock::Timestamp,
    config::BankConfig,
    customers::{Customers, customer_key},
    error::{BankRefusal, Error},
    ledger::{AccountId, Kind, Transfer, TransferId},
    rail::wallet,
    reports::{Reference, payout::BankAccount},
    requests::{self, RequestRow},
    rows::{self, Table},
    safeguards,
    vault::{PersonKey, Place},
    writer::Transaction,
};

mod file;
pub mod life;
pub(crate) mod record;
mod report;

pub use file::PayoutFile;
use life::Event;
pub use life::State;
use record::{Destination, Effect, PayoutRow};
pub use report::{Reported, ReportedEffect};

/// A pay-out as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// Its id.
    pub id: PayoutId,
    /// From whose wallet.
    pub customer: CustomerId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: State,
    /// The bank's code, where it was refused.
    pub bank_reason: Option<String>,
    /// The file that it is in.
    pub file: Option<PayoutFileId>,
    /// When it was ordered.
    pub create_time: Timestamp,
    /// What the bank knows it by.
    pub reference: Reference,
}

/// All pay-outs.
#[derive(Debug, Clone)]
pub struct Payouts {
    base: Arc<Base>,
    customers: Customers,
    currency: Currency,
    /// The shop's own account, and in whose name it is.
    payer: Option<(BankAccount, String)>,
    utc_offset_min: i32,
}

impl Payouts {
    pub(crate) fn new(
        base: Arc<Base>,
        config: Option<&BankConfig>,
        shop_name: &str,
        utc_offset_min: i32,
        currency: Currency,
    ) -> Self {
        let payer = config.and_then(|config| {
            let account = BankAccount::new(&config.account).ok()?;
            let holder = config.holder.as_deref().unwrap_or(shop_name);
            Some((account, holder.to_owned()))
        });
        Self {
            customers: Customers::new(Arc::clone(&base)),
            base,
            currency,
            payer,
            utc_offset_min,
        }
    }

    /// Sets money of a wallet aside for a bank account. The same request orders once.
    ///
    /// # Errors
    /// [`BankRefusal::AccountMissing`], [`Error::CustomerNotFound`], [`Error::Frozen`], [`Error::InsufficientFunds`],
    /// [`BankRefusal::Short`], [`Error::IdReused`], [`Error::Malformed`] (currency).
    pub async fn order(&self, order: OrderPayout, account: BankAccount) -> Result<Payout, Error> {
        if order.amount.currency() != self.currency {
            let remedy = "send the shop's currency, as palmd.toml names it";
            let malformed = Malformed::new("amount.currency_code", remedy);
            return Err(malformed.with_reason(ReasonCode::AmountInvalid).into());
        }
        self.payer.as_ref().ok_or(BankRefusal::AccountMissing)?;
        let OrderPayout {
            request_id,
            customer,
            amount,
            ..
        } = order;
        let person = self.base.person_key(customer)?;
        let person = person.ok_or(Error::CustomerNotFound)?;
        let name = match order.holder {
            Some(holder) => holder,
            None => self.customers.find(customer)?.display_name,
        };
        let destination = Destination {
            name,
            account: account.as_str().to_owned(),
        };
        let id = PayoutId::from_random(self.base.random());
        let sealed = self.seal(&person, customer, id, &destination);
        let row = PayoutRow {
            state: State::Ordered,
            customer,
            amount: amount.into(),
            create_us: self.base.clock.now().micros(),
            file: None,
            bank_reason: None,
            posted_us: None,
            is_stated: false,
            returned_us: None,
        };
        let kept = row.clone();
        let writing = self
            .base
            .writer
            .write(move |tx| place(tx, request_id, id, &row, sealed));
        match writing.await? {
            None => Ok(kept.told(id)),
            Some(before) => {
                let stored = self.row(before)?;
                let is_same = stored.customer == customer
                    && stored.amount() == amount
                    && self.destination(customer, before)? == Some(destination);
                is_same.then(|| stored.told(before)).ok_or(Error::IdReused)
            }
        }
    }

    /// Frees what an order set aside. Again, it changes nothing.
    ///
    /// # Errors
    /// [`BankRefusal::PayoutNotFound`]; [`BankRefusal::PayoutSent`] when it is in a file.
    pub async fn cancel(&self, id: PayoutId) -> Result<Payout, Error> {
        let (entropy, now) = (Arc::clone(&self.base.entropy), self.base.clock.now());
        let writing = self.base.writer.write(move |tx| {
            match record::happen(tx, id, Event::Cancel, now, &*entropy)? {
                Effect::Changed(row) | Effect::Unchanged(row) => Ok(row.told(id)),
                Effect::Refused(_) => Err(BankRefusal::PayoutSent.into()),
            }
        });
        writing.await
    }

    /// One pay-out.
    ///
    /// # Errors
    /// [`BankRefusal::PayoutNotFound`].
    pub fn find(&self, id: PayoutId) -> Result<Payout, Error> {
        Ok(self.row(id)?.told(id))
    }

    /// A part of the list, newest first, and the token of the next part (empty: there is none).
    ///
    /// # Errors
    /// [`Error::Malformed`] for a token that was not given out.
    pub fn list(&self, page: &Page) -> Result<(Vec<Payout>, String), Error> {
        let table = Table::PayoutOrder;
        let part = rows::page(&*self.base.store, &table.key(&[]), 24..=24, page)?;
        let mut payouts = Vec::with_capacity(part.keys.len());
        for key in &part.keys {
            payouts.push(self.find(PayoutId::from_bytes(rows::id_at(table, key, 8)?))?);
        }
        Ok((payouts, part.next_page_token))
    }

    fn row(&self, id: PayoutId) -> Result<PayoutRow, Error> {
        let row = self.base.store.get(&record::key(id))?;
        Table::Payout.decode(&row.ok_or(BankRefusal::PayoutNotFound)?)
    }

    fn seal(
        &self,
        person: &PersonKey,
        customer: CustomerId,
        id: PayoutId,
        destination: &Destination,
    ) -> Vec<u8> {
        let key = record::account_key(customer, id);
        let plain = zeroize::Zeroizing::new(rows::encode(destination));
        person.seal(&sealed_place(&key), &plain, &*self.base.entropy)
    }

    /// Where a pay-out goes; `None` when its customer was deleted.
    fn destination(
        &self,
        customer: CustomerId,
        id: PayoutId,
    ) -> Result<Option<Destination>, Error> {
        let Some(person) = self.base.person_key(customer)? else {
            return Ok(None);
        };
        let key = record::account_key(customer, id);
        let Some(sealed) = self.base.store.get(&key)? else {
            return Ok(None);
        };
        let table = Table::PayoutAccount;
        let plain = person.open(&sealed_place(&key), &sealed);
        let plain = plain.map_err(|_| Error::Corrupt(table.name()))?;
        table.decode(&plain).map(Some)
    }
}

fn sealed_place(key: &[u8]) -> Place<'_> {
    Place {
        table: Table::PayoutAccount.name(),
        key,
    }
}

/// Books an order, unless the request was answered before: then the pay-out of that time.
fn place(
    tx: &mut Transaction<'_>,
    request: RequestId,
    id: PayoutId,
    row: &PayoutRow,
    sealed: Vec<u8>,
) -> Result<Option<PayoutId>, Error> {
    match requests::answered(tx, request)? {
        Some(RequestRow::OrderPayout { payout }) => return Ok(Some(payout)),
        Some(_) => return Err(Error::IdReused),
        None => {}
    }
    let (customer, amount) = (row.customer, row.amount());
    if tx.get(&customer_key(customer))?.is_none() {
        return Err(Error::CustomerNotFound);
    }
    if safeguards::row_of(tx, customer)?.is_frozen {
        return Err(Error::Frozen);
    }
    let wallet = AccountId::Wallet(customer);
    if tx.ledger().balance(wallet) < amount.minor() {
        return Err(Error::InsufficientFunds);
    }
    if tx.ledger().balance(AccountId::Bank) < amount.minor() {
        return Err(BankRefusal::Short.into());
    }
    let hold = Transfer {
        id: TransferId(id.to_bytes()),
        kind: Kind::Hold,
        debit: wallet,
        credit: AccountId::Bank,
        amount,
        time: Timestamp::from_micros(row.create_us),
    };
    tx.post(&[hold]).map_err(wallet::refused)?;
    tx.put(record::key(id), rows::encode(row));
    tx.put(record::account_key(customer, id), sealed);
    tx.put(record::order_key(row.create_us, id), Vec::new());
    tx.put(record::waiting_key(row.create_us, id), Vec::new());
    requests::keep(tx, request, &RequestRow::OrderPayout { payout: id });
    Ok(None)
}

#[cfg(test)]
mod tests;
