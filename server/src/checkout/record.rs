//! A payment as it is kept, and as it is told.

use palm_proto::{
    id::{CustomerId, PaymentId, TillId},
    money::Money,
    reason::ReasonCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Error,
    requests::MoneyRow,
    rows::{self, Table, reason, text},
    writer::Transaction,
};

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Money moved.
    Approved,
    /// Given up by the till before anything was booked.
    Cancelled,
    /// Not taken.
    Declined(
        /// Why.
        ReasonCode,
    ),
}

/// A payment as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// What became of it.
    pub standing: Standing,
    /// What was to be paid.
    pub amount: Money,
    /// Who; `None` when it was cancelled.
    pub customer: Option<CustomerId>,
    /// Their name, masked; empty when it was cancelled or they were deleted.
    pub masked_name: String,
    /// Where.
    pub till: TillId,
    /// When it was booked.
    pub create_time: Timestamp,
}

/// A payment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PaymentRow {
    pub(super) standing: StandingRow,
    pub(super) amount: MoneyRow,
    #[serde(with = "text")]
    pub(super) till: TillId,
    pub(super) create_us: u64,
}

/// What became of it, and what the same send is answered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StandingRow {
    Approved {
        #[serde(with = "text")]
        customer: CustomerId,
        balance: MoneyRow,
    },
    Cancelled,
    Declined {
        #[serde(with = "text")]
        customer: CustomerId,
        #[serde(with = "reason")]
        reason: ReasonCode,
    },
}

impl StandingRow {
    pub(super) fn customer(self) -> Option<CustomerId> {
        match self {
            Self::Approved { customer, .. } | Self::Declined { customer, .. } => Some(customer),
            Self::Cancelled => None,
        }
    }

    pub(super) fn to_standing(self) -> Standing {
        match self {
            Self::Approved { .. } => Standing::Approved,
            Self::Cancelled => Standing::Cancelled,
            Self::Declined { reason, .. } => Standing::Declined(reason),
        }
    }
}

impl PaymentRow {
    pub(super) fn new(standing: StandingRow, amount: Money, till: TillId, now: Timestamp) -> Self {
        Self {
            standing,
            amount: amount.into(),
            till,
            create_us: now.micros(),
        }
    }

    /// Writes the row and its places in the lists.
    pub(super) fn put(&self, tx: &mut Transaction<'_>, id: PaymentId) {
        // Later payments sort first.
        let order = [
            (u64::MAX - self.create_us).to_be_bytes().as_slice(),
            &id.to_bytes(),
        ]
        .concat();
        for reader in [None, Some(&self.till)] {
            let (_, prefix) = self::order(reader);
            tx.put([prefix, order.clone()].concat(), Vec::new());
        }
        tx.put(key(id), rows::encode(self));
    }

    /// An id belongs to one till and one amount.
    pub(super) fn must_be_of(&self, till: &TillId, amount: Money) -> Result<(), Error> {
        if self.till == *till && Money::from(self.amount) == amount {
            Ok(())
        } else {
            Err(Error::IdReused)
        }
    }
}

pub(super) fn key(id: PaymentId) -> Vec<u8> {
    Table::Payment.key(&[&id.to_bytes()])
}

/// The table and the prefix of a list: one till's payments, or all.
pub(super) fn order(till: Option<&TillId>) -> (Table, Vec<u8>) {
    let (table, prefix) = match till {
        // No till id holds a '/', so that no list runs into the next.
        Some(till) => (Table::PaymentByTill, vec![till.as_str().as_bytes(), b"/"]),
        None => (Table::PaymentOrder, vec![]),
    };
    (table, table.key(&prefix))
}
