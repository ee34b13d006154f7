//! A payment as it is kept, and as it is told.

use palm_proto::{
    id::{CustomerId, PaymentId, RequestId, TillId},
    money::Money,
    reason::ReasonCode,
    request::CaptureMode,
};
use serde::{Deserialize, Serialize};

use super::life::{Event, State};
use crate::{
    clock::Timestamp,
    error::Error,
    rail::{Action, Instrument, Reference, Step, StepId},
    requests::MoneyRow,
    rows::{self, Table, reason, text},
    writer::Transaction,
};

/// A payment as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Where it stands.
    pub state: State,
    /// Why, when it was declined.
    pub reason: Option<ReasonCode>,
    /// What was to be paid.
    pub amount: Money,
    /// When it is captured.
    pub capture_mode: CaptureMode,
    /// What was taken.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// Who, once that is certain.
    pub customer: Option<CustomerId>,
    /// Their name, masked; empty when nobody is known or they were deleted.
    pub masked_name: String,
    /// Where.
    pub till: TillId,
    /// When it was first booked.
    pub create_time: Timestamp,
    /// When what is held or asked for is given up.
    pub expire_time: Option<Timestamp>,
}

/// A refund as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The request that asked for it.
    pub request: RequestId,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
    /// Whether it was done.
    pub standing: RefundStanding,
    /// When it was asked for.
    pub create_time: Timestamp,
}

/// What became of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundStanding {
    /// Money went back.
    Done,
    /// The rail's answer is awaited.
    InDoubt,
    /// Nothing moved.
    Refused(
        /// Why.
        #[serde(with = "reason")]
        ReasonCode,
    ),
}

/// Where the money of a payment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// The customer's wallet, in the house's own books.
    Wallet,
    /// The outside rail of the configuration.
    Rail,
}

/// A payment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaymentRow {
    pub(crate) state: State,
    pub(crate) amount: MoneyRow,
    #[serde(with = "text")]
    pub(crate) till: TillId,
    pub(crate) create_us: u64,
    pub(crate) is_manual: bool,
    pub(crate) source: Source,
    /// Who. While two are asked for a second factor: nobody yet.
    #[serde(with = "optional_text", default)]
    pub(crate) customer: Option<CustomerId>,
    #[serde(with = "optional_reason", default)]
    pub(crate) reason: Option<ReasonCode>,
    /// What was answered to the palm, for good.
    pub(crate) answer: Option<AnswerRow>,
    pub(crate) ask: Option<AskRow>,
    /// The hold's transfer, while and after the amount is held.
    pub(crate) hold: Option<[u8; 16]>,
    pub(crate) captured_minor: u64,
    pub(crate) refunded_minor: u64,
    pub(crate) refunds: u8,
    /// Of an outside rail.
    pub(crate) instrument: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) pending: Option<PendingRow>,
    /// The till wants it undone.
    pub(crate) is_unwanted: bool,
    /// When it was counted among what its customer pays in a day.
    #[serde(default)]
    pub(crate) counted_us: Option<u64>,
    /// When it was captured, voided, declined or expired.
    #[serde(default)]
    pub(crate) settle_us: Option<u64>,
    /// When something has to be done about it, and its place among those.
    pub(crate) deadline_us: Option<u64>,
}

/// What the palm was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AnswerRow {
    Approved { balance: Option<MoneyRow> },
    Declined,
}

/// What is asked before the money moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskRow {
    /// Whoever it may be: one, or two too close together.
    pub(crate) candidates: Vec<[u8; 16]>,
    /// Still to be given, in this order; never empty.
    pub(crate) needs: Vec<Need>,
    /// Given already.
    pub(crate) given: Vec<Need>,
    /// Wrong second factors given so far.
    pub(crate) wrong: u8,
}

/// One thing to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Need {
    /// A second factor, because two people are too close together.
    FactorOfTwo,
    /// A second factor.
    Factor,
    /// The cashier's word that it is no duplicate.
    Word,
}

impl Need {
    pub(crate) fn reason(self) -> ReasonCode {
        match self {
            Self::FactorOfTwo => ReasonCode::Ambiguous,
            Self::Factor => ReasonCode::SecondFactor,
            Self::Word => ReasonCode::LikelyDuplicate,
        }
    }
}

/// What the outside rail was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingRow {
    pub(crate) step: [u8; 16],
    pub(crate) minor: u64,
    pub(crate) first_us: u64,
    /// Which refund.
    pub(crate) refund: Option<u8>,
    /// Times that nobody could say what became of it.
    pub(crate) unknown: u32,
}

/// A refund as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundRow {
    #[serde(with = "text")]
    pub(crate) request: RequestId,
    pub(crate) minor: u64,
    pub(crate) create_us: u64,
    /// When the money went back.
    #[serde(default)]
    pub(crate) settle_us: Option<u64>,
    pub(crate) standing: RefundStanding,
}

impl PaymentRow {
    pub(crate) fn new(amount: Money, mode: CaptureMode, till: TillId, now: Timestamp) -> Self {
        Self {
            state: State::Created,
            amount: amount.into(),
            till,
            create_us: now.micros(),
            is_manual: mode == CaptureMode::Manual,
            source: Source::Wallet,
            customer: None,
            reason: None,
            answer: None,
            ask: None,
            hold: None,
            captured_minor: 0,
            refunded_minor: 0,
            refunds: 0,
            instrument: None,
            reference: None,
            pending: None,
            is_unwanted: false,
            counted_us: None,
            settle_us: None,
            deadline_us: None,
        }
    }

    pub(crate) fn capture_mode(&self) -> CaptureMode {
        if self.is_manual {
            CaptureMode::Manual
        } else {
            CaptureMode::Automatic
        }
    }

    pub(crate) fn money(&self, minor: u64) -> Money {
        Money::balance(minor, Money::from(self.amount).currency())
    }

    /// Moves on in the table of [`super::life`].
    ///
    /// # Errors
    /// [`Error::StateRefuses`].
    pub(crate) fn advance(&mut self, event: Event) -> Result<(), Error> {
        self.state = self.state.after(event).ok_or(Error::StateRefuses)?;
        Ok(())
    }

    /// An id belongs to one till, one amount and one way of capturing.
    pub(crate) fn must_be_of(
        &self,
        till: &TillId,
        amount: Money,
        mode: CaptureMode,
    ) -> Result<(), Error> {
        self.must_be_paid_at(till, amount)?;
        (self.capture_mode() == mode)
            .then_some(())
            .ok_or(Error::IdReused)
    }

    /// An id belongs to one till and one amount.
    pub(crate) fn must_be_paid_at(&self, till: &TillId, amount: Money) -> Result<(), Error> {
        if self.till == *till && Money::from(self.amount) == amount {
            Ok(())
        } else {
            Err(Error::IdReused)
        }
    }

    /// What the outside rail is asked, when its answer is awaited.
    pub(crate) fn step(&self, payment: PaymentId) -> Result<Option<(Step, bool)>, Error> {
        let corrupt = || Error::Corrupt(Table::Payment.name());
        let (Some(action), Some(pending)) = (self.state.asked(), &self.pending) else {
            return Ok(None);
        };
        let instrument = self.instrument.as_deref().ok_or_else(corrupt)?;
        let reference = self.reference.as_deref().map(Reference::new).transpose();
        let reference = match action {
            Action::Authorise => None,
            Action::Capture | Action::Void | Action::Refund => reference.map_err(|_| corrupt())?,
        };
        let step = Step {
            id: StepId(pending.step),
            payment,
            action,
            amount: self.money(pending.minor),
            instrument: Instrument::new(instrument).map_err(|_| corrupt())?,
            reference,
            time_us: pending.first_us,
        };
        Ok(Some((step, pending.unknown > 0)))
    }

    /// Writes the row, new in the lists when `before` is `None`, and its place among the deadlines.
    pub(crate) fn put(&self, tx: &mut Transaction<'_>, id: PaymentId, before: Option<&Self>) {
        if before.is_none() {
            let order = order_of(self.create_us, id);
            for reader in [None, Some(&self.till)] {
                let (_, prefix) = self::order(reader);
                tx.put([prefix, order.clone()].concat(), Vec::new());
            }
        }
        let known = before.and_then(|before| before.customer);
        if let (None, Some(customer)) = (known, self.customer) {
            tx.put(of_customer(customer, self.create_us, id), Vec::new());
        }
        let earlier = before.and_then(|before| before.deadline_us);
        if earlier != self.deadline_us {
            if let Some(at) = earlier {
                tx.delete(deadline(at, id));
            }
            if let Some(at) = self.deadline_us {
                tx.put(deadline(at, id), Vec::new());
            }
        }
        tx.put(key(id), rows::encode(self));
    }
}

/// Later payments sort first.
fn order_of(create_us: u64, id: PaymentId) -> Vec<u8> {
    [
        (u64::MAX - create_us).to_be_bytes().as_slice(),
        &id.to_bytes(),
    ]
    .concat()
}

pub(crate) fn key(id: PaymentId) -> Vec<u8> {
    Table::Payment.key(&[&id.to_bytes()])
}

pub(crate) fn refund_key(id: PaymentId, number: u8) -> Vec<u8> {
    Table::Refund.key(&[&id.to_bytes(), &[number]])
}

fn deadline(at_us: u64, id: PaymentId) -> Vec<u8> {
    Table::PaymentDeadline.key(&[&at_us.to_be_bytes(), &id.to_bytes()])
}

fn of_customer(customer: CustomerId, create_us: u64, id: PaymentId) -> Vec<u8> {
    let order = order_of(create_us, id);
    Table::PaymentByCustomer.key(&[&customer.to_bytes(), &order])
}

/// The table and the prefix of a list: one till's payments, or all.
pub(crate) fn order(till: Option<&TillId>) -> (Table, Vec<u8>) {
    let (table, prefix) = match till {
        // No till id holds a '/', so that no list runs into the next.
        Some(till) => (Table::PaymentByTill, vec![till.as_str().as_bytes(), b"/"]),
        None => (Table::PaymentOrder, vec![]),
    };
    (table, table.key(&prefix))
}

pub(crate) fn find(tx: &Transaction<'_>, id: PaymentId) -> Result<Option<PaymentRow>, Error> {
    tx.get(&key(id))?
        .map(|bytes| Table::Payment.decode(&bytes))
        .transpose()
}

mod optional_text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        id: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, T: FromStr, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(|_| D::Error::custom("not an id")))
            .transpose()
    }
}

mod optional_reason {
    use palm_proto::reason::ReasonCode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        code: &Option<ReasonCode>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match code {
            Some(code) => to.serialize_str(code.as_str()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<ReasonCode>, D::Error> {
        let name = Option::<String>::deserialize(from)?;
        let read = |name: String| {
            ReasonCode::from_name(&name).ok_or_else(|| D::Error::custom("not a reason"))
        };
        name.map(read).transpose()
    }
}
