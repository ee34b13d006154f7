//! What was answered to requests that may be sent again, and which captures are used up.
//!
//! Both are kept for ever: a nonce that were forgotten could be replayed.

use palm_proto::{
    envelope::NONCE_BYTES,
    id::{CustomerId, PaymentId, PayoutFileId, PayoutId, RequestId, TillId},
    money::{Currency, Money},
    reason::ReasonCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    payments::{State, record::PaymentRow},
    rail::Action,
    rows::{self, Table, reason, text},
    writer::Transaction,
};

/// What a request id stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RequestRow {
    Change(ChangeRow),
    CloseShift {
        number: u64,
    },
    Confirm(ConfirmRow),
    CreateCustomer {
        #[serde(with = "text")]
        customer: CustomerId,
    },
    Enrol(EnrolRow),
    Deposit(DepositRow),
    OrderPayout {
        #[serde(with = "text")]
        payout: PayoutId,
    },
    OpenCardPage(CardPageRow),
    PayOut(TransferRow),
    PayoutFile {
        #[serde(with = "text")]
        file: PayoutFileId,
        /// The day that was asked for; `None`: that day.
        day: Option<String>,
    },
    TopUp(TransferRow),
}

/// Cash that was paid in at the bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DepositRow {
    pub(crate) amount: MoneyRow,
    pub(crate) reference: String,
}

/// A capture, void or refund that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRow {
    #[serde(with = "text")]
    payment: PaymentId,
    action: Action,
    amount: Option<MoneyRow>,
    /// As the payment stood then.
    state: State,
    captured_minor: u64,
    refunded_minor: u64,
    refund: Option<u8>,
}

impl ChangeRow {
    pub(crate) fn new(payment: PaymentId, action: Action, amount: Option<Money>) -> Self {
        Self {
            payment,
            action,
            amount: amount.map(MoneyRow::from),
            state: State::Created,
            captured_minor: 0,
            refunded_minor: 0,
            refund: None,
        }
    }

    /// Takes down what is answered.
    pub(crate) fn answer(&mut self, row: &PaymentRow, refund: Option<u8>) {
        self.state = row.state;
        self.captured_minor = row.captured_minor;
        self.refunded_minor = row.refunded_minor;
        self.refund = refund;
    }

    /// The same answer to the same request. What was in doubt then is told as it stands now.
    ///
    /// # Errors
    /// [`Error::IdReused`].
    pub(crate) fn repeat(
        self,
        asked: &Self,
        mut row: PaymentRow,
    ) -> Result<(PaymentRow, Option<u8>), Error> {
        let content = |row: &Self| (row.payment, row.action, row.amount);
        if content(&self) != content(asked) {
            return Err(Error::IdReused);
        }
        if !self.state.is_in_doubt() {
            row.state = self.state;
            row.captured_minor = self.captured_minor;
            row.refunded_minor = self.refunded_minor;
        }
        Ok((row, self.refund))
    }
}

/// A confirmation that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfirmRow {
    #[serde(with = "text")]
    pub(crate) payment: PaymentId,
    /// A second factor, not the cashier's word.
    pub(crate) is_factor: bool,
}

/// An enrolment that was answered. Which captures it was made from is in their nonces' rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EnrolRow {
    #[serde(with = "text")]
    pub(crate) till: TillId,
    #[serde(with = "text")]
    pub(crate) customer: CustomerId,
    /// How many captures there were.
    pub(crate) samples: usize,
    pub(crate) outcome: EnrolOutcome,
}

/// How an enrolment was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrolOutcome {
    /// The palms are enrolled.
    Enrolled {
        /// Palms that the customer has now, 1 or 2.
        palms: u32,
    },
    /// They are not.
    Refused {
        /// `SamplesMissing`, `SamplesDisagree` or `AlreadyEnrolled`.
        #[serde(with = "reason")]
        reason: ReasonCode,
    },
}

/// A page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardPageRow {
    #[serde(with = "text")]
    pub(crate) customer: CustomerId,
    /// The till that asked; `None`: an operator.
    pub(crate) till: Option<String>,
}

/// Money that was moved into or out of a wallet, and what was in it then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransferRow {
    #[serde(with = "text")]
    pub(crate) customer: CustomerId,
    pub(crate) amount: MoneyRow,
    pub(crate) balance: MoneyRow,
}

impl TransferRow {
    pub(crate) fn new(customer: CustomerId, amount: Money, balance: Money) -> Self {
        Self {
            customer,
            amount: amount.into(),
            balance: balance.into(),
        }
    }
}

/// An amount in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MoneyRow {
    minor: u64,
    #[serde(with = "text")]
    currency: Currency,
}

impl From<Money> for MoneyRow {
    fn from(money: Money) -> Self {
        Self {
            minor: money.minor(),
            currency: money.currency(),
        }
    }
}

impl From<MoneyRow> for Money {
    fn from(row: MoneyRow) -> Self {
        Self::balance(row.minor, row.currency)
    }
}

/// What a capture was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NonceRow {
    Enrolment {
        #[serde(with = "text")]
        request: RequestId,
    },
    /// A palm that was recognised.
    Payment {
        #[serde(with = "text")]
        payment: PaymentId,
    },
    /// A palm that was not.
    NotRecognised {
        #[serde(with = "text")]
        payment: PaymentId,
        #[serde(with = "reason")]
        reason: ReasonCode,
    },
}

pub(crate) type Nonce = [u8; NONCE_BYTES];

pub(crate) fn request_key(id: RequestId) -> Vec<u8> {
    Table::Request.key(&[&id.to_bytes()])
}

pub(crate) fn nonce_key(nonce: &Nonce) -> Vec<u8> {
    Table::Nonce.key(&[nonce])
}

/// What was answered to this request before.
pub(crate) fn answered(tx: &Transaction<'_>, id: RequestId) -> Result<Option<RequestRow>, Error> {
    tx.get(&request_key(id))?
        .map(|bytes| Table::Request.decode(&bytes))
        .transpose()
}

/// Keeps the answer to a request.
pub(crate) fn keep(tx: &mut Transaction<'_>, id: RequestId, row: &RequestRow) {
    tx.put(request_key(id), rows::encode(row));
}

/// Marks a capture as used, unless it is.
pub(crate) fn spend(tx: &mut Transaction<'_>, nonce: &Nonce, used: NonceRow) -> Result<(), Error> {
    let key = nonce_key(nonce);
    if tx.get(&key)?.is_some() {
        return Err(Error::CaptureReplayed);
    }
    tx.put(key, rows::encode(&used));
    Ok(())
}
