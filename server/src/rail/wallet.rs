//! The wallet rail: the customer's balance, held and posted in the books of the house. Functions over the single
//! writer's transaction, so that money, the payment's record and the spent capture are one batch on disk.

use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
    reason::ReasonCode,
};

use crate::{
    clock::Timestamp,
    entropy::Entropy,
    error::Error,
    ledger::{AccountId, Kind, LedgerError, Transfer, TransferId},
    writer::Transaction,
};

/// Ids and time of the transfers of one movement, drawn before the writer runs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    first: TransferId,
    second: TransferId,
    time: Timestamp,
}

impl Draft {
    pub(crate) fn draw(entropy: &dyn Entropy, time: Timestamp) -> Self {
        let id = || {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            TransferId(bytes)
        };
        Self {
            first: id(),
            second: id(),
            time,
        }
    }

    fn transfer(&self, kind: Kind, debit: AccountId, credit: AccountId, amount: Money) -> Transfer {
        let id = match kind {
            Kind::Direct | Kind::Hold => self.first,
            Kind::Post { .. } | Kind::Void { .. } => self.second,
        };
        Transfer {
            id,
            kind,
            debit,
            credit,
            amount,
            time: self.time,
        }
    }
}

/// What the rail says.
pub(crate) enum Answer {
    Approved {
        /// Left in the wallet.
        balance: Money,
    },
    Declined(ReasonCode),
}

/// Takes a payment out of a wallet: a hold, and its post.
pub(crate) fn hold_and_post(
    tx: &mut Transaction<'_>,
    draft: Draft,
    customer: CustomerId,
    amount: Money,
) -> Result<Answer, Error> {
    let (from, to) = (AccountId::Wallet(customer), AccountId::Merchant);
    let hold = draft.transfer(Kind::Hold, from, to, amount);
    let post = draft.transfer(Kind::Post { hold: hold.id }, from, to, amount);
    match tx.post(&[hold, post]) {
        Ok(()) => Ok(Answer::Approved {
            balance: balance(tx, customer, amount.currency()),
        }),
        Err(LedgerError::InsufficientFunds) => Ok(Answer::Declined(ReasonCode::InsufficientFunds)),
        Err(error) => Err(refused(error)),
    }
}

/// Cash taken at the counter goes into a wallet; gives the balance after it.
pub(crate) fn cash_in(
    tx: &mut Transaction<'_>,
    draft: Draft,
    customer: CustomerId,
    amount: Money,
) -> Result<Money, Error> {
    let transfer = draft.transfer(
        Kind::Direct,
        AccountId::Cash,
        AccountId::Wallet(customer),
        amount,
    );
    tx.post(&[transfer]).map_err(refused)?;
    Ok(balance(tx, customer, amount.currency()))
}

/// Money goes out of a wallet to its owner; gives the balance after it.
pub(crate) fn cash_out(
    tx: &mut Transaction<'_>,
    draft: Draft,
    customer: CustomerId,
    amount: Money,
) -> Result<Money, Error> {
    let transfer = draft.transfer(
        Kind::Direct,
        AccountId::Wallet(customer),
        AccountId::Cash,
        amount,
    );
    tx.post(&[transfer]).map_err(refused)?;
    Ok(balance(tx, customer, amount.currency()))
}

/// What a customer has.
pub(crate) fn balance(tx: &Transaction<'_>, customer: CustomerId, currency: Currency) -> Money {
    Money::balance(tx.ledger().balance(AccountId::Wallet(customer)), currency)
}

/// The refusals that a caller can bring about; the others mean that the books are not what this code thinks they are.
fn refused(error: LedgerError) -> Error {
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
