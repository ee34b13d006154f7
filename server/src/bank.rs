//! The shop's money at its bank: cash that is paid in, and the comparison of our movements with the rail's report and
//! the bank's statements ([`Bank::reconcile`]), which also books what those statements prove.

use std::sync::Arc;

use palm_proto::{
    fault::Malformed,
    id::RequestId,
    money::{Currency, Money},
    reason::ReasonCode,
    request::Deposit,
};
use serde::{Deserialize, Serialize};

use crate::{
    base::Base,
    config::BankConfig,
    error::{BankRefusal, Error},
    ledger::{AccountId, Kind, Ledger, LedgerError, Transfer, TransferId},
    paper::Paper,
    rail::wallet,
    reports::{Reference, Zone, payout::BankAccount},
    requests::{self, DepositRow, RequestRow},
    rows::{self, Table},
    writer::Transaction,
};

mod breaks;
mod facts;
mod ours;
mod reconcile;
mod seen;

pub use reconcile::{Files, Reconciled, Written};

/// What the books know of, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Of every amount.
    pub currency: Currency,
    /// What lies at the bank and is not set aside.
    pub bank_minor: u64,
    /// Cash at the counters.
    pub cash_minor: u64,
    /// What the outside rail owes to the shop, or the shop to it (below zero).
    pub rail_minor: i128,
    /// What providers have kept.
    pub fees_minor: u64,
}

impl Books {
    fn of(ledger: &Ledger) -> Self {
        Self {
            currency: ledger.currency(),
            bank_minor: ledger.balance(AccountId::Bank),
            cash_minor: ledger.balance(AccountId::Cash),
            rail_minor: ledger.net(AccountId::Rail),
            fees_minor: ledger.balance(AccountId::Fees),
        }
    }
}

/// Cash that was paid in, as it is kept under its reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PaidIn {
    minor: u64,
    time_us: u64,
}

/// The shop's bank.
#[derive(Debug, Clone)]
pub struct Bank {
    base: Arc<Base>,
    paper: Paper,
    currency: Currency,
    zone: Zone,
    /// The shop's own account, and days that the bank may take.
    own: Option<(BankAccount, u16)>,
}

impl Bank {
    pub(crate) fn new(
        base: Arc<Base>,
        paper: Paper,
        config: Option<&BankConfig>,
        utc_offset_min: i32,
        currency: Currency,
    ) -> Self {
        let own = config.and_then(|config| {
            let account = BankAccount::new(&config.account).ok()?;
            Some((account, config.settle_days))
        });
        Self {
            base,
            paper,
            currency,
            zone: Zone::east(utc_offset_min).unwrap_or(Zone::UTC),
            own,
        }
    }

    /// What the books know of now.
    ///
    /// # Errors
    /// When the service stops.
    pub async fn books(&self) -> Result<Books, Error> {
        let reading = self.base.writer.write(|tx| Ok(Books::of(tx.ledger())));
        reading.await
    }

    /// Cash was paid in at the bank. The same request books once, and so does a reference.
    ///
    /// # Errors
    /// [`Error::InsufficientFunds`] above what there is in cash; [`Error::IdReused`] for another deposit under the
    /// same request or reference; [`Error::Malformed`] (currency, reference).
    pub async fn deposit(&self, deposit: Deposit) -> Result<Books, Error> {
        let Deposit {
            request_id,
            amount,
            reference,
        } = deposit;
        if amount.currency() != self.currency {
            let remedy = "send the shop's currency, as palmd.toml names it";
            let malformed = Malformed::new("amount.currency_code", remedy);
            return Err(malformed.with_reason(ReasonCode::AmountInvalid).into());
        }
        let reference = match reference.as_str() {
            "" => Reference::of_id(request_id.to_bytes()),
            text => Reference::new(text).map_err(|_| {
                let remedy =
                    "send 1 to 35 characters out of A-Z a-z 0-9 and + - . , : ? ( ) ' / space";
                Malformed::new("reference", remedy)
            })?,
        };
        let transfer = Transfer {
            id: TransferId(self.base.random()),
            kind: Kind::Direct,
            debit: AccountId::Bank,
            credit: AccountId::Cash,
            amount,
            time: self.base.clock.now(),
        };
        let writing = self
            .base
            .writer
            .write(move |tx| pay_in(tx, request_id, &reference, &transfer));
        writing.await
    }
}

fn deposit_key(reference: &str) -> Vec<u8> {
    Table::Deposit.key(&[reference.as_bytes()])
}

fn pay_in(
    tx: &mut Transaction<'_>,
    request: RequestId,
    reference: &Reference,
    transfer: &Transfer,
) -> Result<Books, Error> {
    let asked = DepositRow {
        amount: transfer.amount.into(),
        reference: reference.as_str().to_owned(),
    };
    match requests::answered(tx, request)? {
        Some(RequestRow::Deposit(row)) if row == asked => return Ok(Books::of(tx.ledger())),
        Some(_) => return Err(Error::IdReused),
        None => {}
    }
    let key = deposit_key(reference.as_str());
    if tx.get(&key)?.is_some() {
        return Err(Error::IdReused);
    }
    tx.post(&[*transfer]).map_err(wallet::refused)?;
    let row = PaidIn {
        minor: Money::from(asked.amount).minor(),
        time_us: transfer.time.micros(),
    };
    tx.put(key, rows::encode(&row));
    requests::keep(tx, request, &RequestRow::Deposit(asked));
    Ok(Books::of(tx.ledger()))
}

/// Below zero at the bank is not a customer's doing.
fn at_bank(error: LedgerError) -> Error {
    match error {
        LedgerError::InsufficientFunds => BankRefusal::Short.into(),
        other => wallet::refused(other),
    }
}

#[cfg(test)]
mod tests;
