//! Requests about the shop's money at its bank.

use super::{Parsed, amount, display_name, request_id};
use crate::{
    fault::Malformed,
    id::{CustomerId, IdError, RequestId, wallet_owner},
    money::Money,
    v1,
};

const NOTE_MAX: usize = 200;
const ACCOUNT_MAX: usize = 64;

/// Orders a pay-out to a bank account.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderPayout {
    /// The same one orders once.
    pub request_id: RequestId,
    /// Whose wallet.
    pub customer: CustomerId,
    /// How much.
    pub amount: Money,
    /// As it was typed, at most 64 characters.
    pub account: String,
    /// In whose name the account is; `None`: the customer's own.
    pub holder: Option<String>,
}

/// Without account and name.
impl std::fmt::Debug for OrderPayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderPayout")
            .field("request_id", &self.request_id)
            .field("customer", &self.customer)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

impl TryFrom<v1::OrderPayoutRequest> for OrderPayout {
    type Error = Malformed;

    fn try_from(wire: v1::OrderPayoutRequest) -> Parsed<Self> {
        let customer =
            wallet_owner(&wire.wallet).map_err(|IdError(form)| Malformed::new("wallet", form))?;
        if wire.account.is_empty() || wire.account.chars().count() > ACCOUNT_MAX {
            return Err(Malformed::new(
                "account",
                "send an IBAN or a bank's own number",
            ));
        }
        let holder = (!wire.holder.is_empty()).then(|| {
            let remedy = "send 1 to 64 characters without control characters, or leave it empty";
            display_name(&wire.holder).map_err(|_| Malformed::new("holder", remedy))
        });
        Ok(Self {
            request_id: request_id(&wire.request_id)?,
            customer,
            amount: amount(wire.amount)?,
            account: wire.account,
            holder: holder.transpose()?,
        })
    }
}

/// Cash that was paid in at the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// The same one books once.
    pub request_id: RequestId,
    /// How much.
    pub amount: Money,
    /// What the bank calls it; empty: the request's id.
    pub reference: String,
}

impl TryFrom<v1::DepositRequest> for Deposit {
    type Error = Malformed;

    fn try_from(wire: v1::DepositRequest) -> Parsed<Self> {
        Ok(Self {
            request_id: request_id(&wire.request_id)?,
            amount: amount(wire.amount)?,
            reference: wire.reference,
        })
    }
}

/// Closes a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseBreak {
    /// Which.
    pub number: u64,
    /// What it was, 1 to 200 characters without control characters.
    pub note: String,
}

impl TryFrom<v1::CloseBreakRequest> for CloseBreak {
    type Error = Malformed;

    fn try_from(wire: v1::CloseBreakRequest) -> Parsed<Self> {
        let note = wire.note.trim();
        let is_right =
            (1..=NOTE_MAX).contains(&note.chars().count()) && !note.chars().any(char::is_control);
        if !is_right {
            let remedy = "say what it was, in 1 to 200 characters without control characters";
            return Err(Malformed::new("note", remedy));
        }
        Ok(Self {
            number: wire.number,
            note: note.to_owned(),
        })
    }
}
