//! A pay-out, and a file of them, as they are kept.

use palm_proto::{
    id::{CustomerId, PayoutFileId, PayoutId},
    money::Money,
};
use serde::{Deserialize, Serialize};

use super::{
    Payout,
    life::{Event, State},
};
use crate::{
    clock::Timestamp,
    customers::customer_key,
    entropy::Entropy,
    error::{BankRefusal, Error},
    ledger::{AccountId, Kind, Transfer, TransferId},
    rail::wallet,
    reports::Reference,
    requests::MoneyRow,
    rows::{self, Table, text},
    writer::Transaction,
};

/// A pay-out as it is kept. Where it goes is sealed, in a row of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PayoutRow {
    pub(crate) state: State,
    #[serde(with = "text")]
    pub(crate) customer: CustomerId,
    pub(crate) amount: MoneyRow,
    pub(crate) create_us: u64,
    pub(crate) file: Option<[u8; 16]>,
    /// The bank's code, where it was refused.
    pub(crate) bank_reason: Option<String>,
    /// When it left the wallet.
    pub(crate) posted_us: Option<u64>,
    /// The bank's statement has shown it leave.
    pub(crate) is_stated: bool,
    /// When it came back.
    pub(crate) returned_us: Option<u64>,
}

/// A file of pay-outs as it is kept: all that its bytes are made of, beside the pay-outs in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRow {
    pub(crate) create_us: u64,
    pub(crate) utc_offset_min: i32,
    pub(crate) payer: String,
    /// The shop's own account.
    pub(crate) account: String,
    pub(crate) day: String,
    pub(crate) payouts: u32,
    pub(crate) total_minor: u64,
}

/// Where a pay-out goes; sealed under its customer's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) account: String,
}

pub(crate) fn key(id: PayoutId) -> Vec<u8> {
    Table::Payout.key(&[&id.to_bytes()])
}

pub(crate) fn account_key(customer: CustomerId, id: PayoutId) -> Vec<u8> {
    Table::PayoutAccount.key(&[&customer.to_bytes(), &id.to_bytes()])
}

pub(crate) fn waiting_key(create_us: u64, id: PayoutId) -> Vec<u8> {
    Table::PayoutWaiting.key(&[&create_us.to_be_bytes(), &id.to_bytes()])
}

pub(crate) fn file_key(file: PayoutFileId) -> Vec<u8> {
    Table::PayoutFile.key(&[&file.to_bytes()])
}

pub(crate) fn in_file_key(file: PayoutFileId, id: PayoutId) -> Vec<u8> {
    Table::PayoutInFile.key(&[&file.to_bytes(), &id.to_bytes()])
}

/// Later pay-outs sort first.
pub(crate) fn order_key(create_us: u64, id: PayoutId) -> Vec<u8> {
    let falling = u64::MAX.saturating_sub(create_us);
    Table::PayoutOrder.key(&[&falling.to_be_bytes(), &id.to_bytes()])
}

impl PayoutRow {
    pub(crate) fn amount(&self) -> Money {
        self.amount.into()
    }

    pub(crate) fn told(&self, id: PayoutId) -> Payout {
        Payout {
            id,
            customer: self.customer,
            amount: self.amount(),
            state: self.state,
            bank_reason: self.bank_reason.clone(),
            file: self.file.map(PayoutFileId::from_bytes),
            create_time: Timestamp::from_micros(self.create_us),
            reference: Reference::of_id(id.to_bytes()),
        }
    }
}

/// The row of a pay-out.
pub(crate) fn row_of(tx: &Transaction<'_>, id: PayoutId) -> Result<PayoutRow, Error> {
    let row = tx.get(&key(id))?.ok_or(BankRefusal::PayoutNotFound)?;
    Table::Payout.decode(&row)
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It moved the pay-out on.
    Changed(PayoutRow),
    /// It says what is known.
    Unchanged(PayoutRow),
    /// It cannot happen to the pay-out as it stands.
    Refused(PayoutRow),
}

/// Lets an event happen to a pay-out, and books what belongs to it.
///
/// # Errors
/// [`BankRefusal::PayoutNotFound`]; [`Error::CustomerNotFound`] when money comes back whose owner was deleted.
pub(crate) fn happen(
    tx: &mut Transaction<'_>,
    id: PayoutId,
    event: Event,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Effect, Error> {
    let mut row = row_of(tx, id)?;
    let before = row.state;
    let Some(after) = before.after(event) else {
        return Ok(Effect::Refused(row));
    };
    if after == before {
        return Ok(Effect::Unchanged(row));
    }
    let hold = TransferId(id.to_bytes());
    let wallet = AccountId::Wallet(row.customer);
    let movement = match (before.is_held(), after) {
        (true, State::Accepted | State::Paid) => Some((Kind::Post { hold }, false)),
        (true, State::Rejected | State::Cancelled) => Some((Kind::Void { hold }, false)),
        (false, State::Rejected | State::Returned) => Some((Kind::Direct, true)),
        _ => None,
    };
    if let Some((kind, is_back)) = movement {
        if is_back && tx.get(&customer_key(row.customer))?.is_none() {
            return Err(Error::CustomerNotFound);
        }
        let (debit, credit) = if is_back {
            (AccountId::Bank, wallet)
        } else {
            (wallet, AccountId::Bank)
        };
        let mut transfer = [0; 16];
        entropy.fill(&mut transfer);
        let transfer = Transfer {
            id: TransferId(transfer),
            kind,
            debit,
            credit,
            amount: row.amount(),
            time: now,
        };
        tx.post(&[transfer]).map_err(wallet::refused)?;
    }
    row.state = after;
    if before.is_held() && after.is_posted() {
        row.posted_us = Some(now.micros());
    }
    if after == State::Returned {
        row.returned_us = Some(now.micros());
    }
    if before == State::Ordered {
        tx.delete(waiting_key(row.create_us, id));
    }
    tx.put(key(id), rows::encode(&row));
    Ok(Effect::Changed(row))
}

/// Forgets where pay-outs of a customer who leaves went; the pay-outs stay.
pub(crate) fn forget(tx: &mut Transaction<'_>, customer: CustomerId) -> Result<(), Error> {
    let prefix = Table::PayoutAccount.key(&[&customer.to_bytes()]);
    let mut after: Option<Vec<u8>> = None;
    loop {
        let part = tx.scan(&prefix, after.as_deref(), crate::limits::SCAN_ROWS)?;
        let Some((last, _)) = part.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        part.into_iter().for_each(|(key, _)| tx.delete(key));
    }
}
