//! Requests about saved cards. None has room for a card number.

use super::{Parsed, named, payments::pin_digits, request_id};
use crate::{
    digits::Digits,
    fault::Malformed,
    id::{CustomerId, RequestId},
    v1,
};

/// Opens a page of the card provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCardPage {
    /// The same one gives the same page.
    pub request_id: RequestId,
    /// Whose card is saved.
    pub customer: CustomerId,
    /// The PIN that is in force.
    pub current_pin: Option<Digits>,
}

impl TryFrom<v1::OpenCardPageRequest> for OpenCardPage {
    type Error = Malformed;

    fn try_from(wire: v1::OpenCardPageRequest) -> Parsed<Self> {
        Ok(Self {
            request_id: request_id(&wire.request_id)?,
            customer: named("customer", &wire.customer)?,
            current_pin: current_pin(wire.current_pin)?,
        })
    }
}

/// Forgets a customer's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetCard {
    /// Whose.
    pub customer: CustomerId,
    /// The PIN that is in force.
    pub current_pin: Option<Digits>,
}

impl TryFrom<v1::ForgetCardRequest> for ForgetCard {
    type Error = Malformed;

    fn try_from(wire: v1::ForgetCardRequest) -> Parsed<Self> {
        Ok(Self {
            customer: named("customer", &wire.customer)?,
            current_pin: current_pin(wire.current_pin)?,
        })
    }
}

fn current_pin(pin: Option<String>) -> Parsed<Option<Digits>> {
    pin.map(|pin| pin_digits("current_pin", pin)).transpose()
}
