//! The wallet rail: the customer's balance in the books of the house. Functions over the single writer's transaction,
//! so that money, the payment's record and the spent capture are one batch on disk.

use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
};

use crate::{
    clock::Timestamp,
    entropy::Entropy,
    error::Error,
    ledger::{AccountId, Kind, LedgerError, Transfer, TransferId},
    writer::Transaction,
};

/// Id and time of one transfer, drawn before the writer runs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    id: TransferId,
    time: Timestamp,
}

impl Draft {
    pub(crate) fn draw(entropy: &dyn Entropy, time: Timestamp) -> Self {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        Self {
            id: TransferId(id),
            time,
        }
    }
}

/// Cash taken at the counter goes into a wallet; gives the balance after it.
pub(crate) fn cash_in(
    tx: &mut Transaction<'_>,
    draft: Draft,
    customer: CustomerId,
    amount: Money,
) -> Result<Money, Error> {
    let accounts = (AccountId::Cash, AccountId::Wallet(customer));
    direct(tx, draft, accounts, amount)?;
    Ok(balance(tx, customer, amount.currency()))
}

/// Money goes out of a wallet to its owner; gives the balance after it.
pub(crate) fn cash_out(
    tx: &mut Transaction<'_>,
    draft: Draft,
    customer: CustomerId,
    amount: Money,
) -> Result<Money, Error> {
    let accounts = (AccountId::Wallet(customer), AccountId::Cash);
    direct(tx, draft, accounts, amount)?;
    Ok(balance(tx, customer, amount.currency()))
}

fn direct(
    tx: &mut Transaction<'_>,
    draft: Draft,
    (debit, credit): (AccountId, AccountId),
    amount: Money,
) -> Result<(), Error> {
    let transfer = Transfer {
        id: draft.id,
        kind: Kind::Direct,
        debit,
        credit,
        amount,
        time: draft.time,
    };
    tx.post(&[transfer]).map_err(refused)
}

/// What a customer has that is not held.
pub(crate) fn balance(tx: &Transaction<'_>, customer: CustomerId, currency: Currency) -> Money {
    Money::balance(tx.ledger().balance(AccountId::Wallet(customer)), currency)
}

/// The refusals that a caller can bring about; the others mean that the books are not what this code thinks they are.
pub(crate) fn refused(error: LedgerError) -> Error {
    match error {
        LedgerError::InsufficientFunds => Error::InsufficientFunds,
        LedgerError::Overflow => Error::AmountOverflow,
        LedgerError::ExistsWithDifferentContent
        | LedgerError::CurrencyDiffers
        | LedgerError::AmountZero
        | LedgerError::AccountsSame
        | LedgerError::HoldNotPending
        | LedgerError::HoldAccountsDiffer
        | LedgerError::HoldAmountDiffers => Error::Corrupt("ledger"),
    }
}
