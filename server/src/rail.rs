//! How money moves for a payment.
//!
//! The `wallet` rail is the house's own books: what it does is part of the writer's batch, so it is never in doubt.
//! An outside [`Rail`] is a network away. Each thing asked of it is a [`Step`] that is on disk, as an intent, before
//! the first byte is sent, and whose id the rail knows it by; its [`Answer`] is on disk before anybody is told. What a
//! rail did not answer is looked up, and reversed where it cannot be looked up. Rails know no palms.

use std::fmt;

use palm_proto::{id::PaymentId, money::Money, reason::ReasonCode};
use serde::{Deserialize, Serialize};

pub mod iso8583;
mod sendings;
pub mod stripe;
pub(crate) mod wallet;

pub use sendings::SETTLED_AFTER;

/// A rail that is reached over a network.
///
/// Every call is idempotent in the step's id and answers within 50 seconds, which is less than a step is left alone
/// before it is looked up; none panics on what the other side sends.
#[tonic::async_trait]
pub trait Rail: fmt::Debug + Send + Sync {
    /// Who keeps cards that customers save on a page of theirs, where this rail has one.
    fn card_provider(&self) -> Option<&stripe::Stripe> {
        None
    }

    /// Asks for a step.
    async fn send(&self, step: &Step) -> Answer;

    /// Asks what became of a step that was sent and got [`Answer::Unknown`]. [`Answer::NotSent`]: the rail has never
    /// heard of it. [`Answer::Unknown`]: it cannot say, now or ever.
    async fn look_up(&self, step: &Step) -> Answer;

    /// Undoes an [`Action::Authorise`] or [`Action::Refund`] of unknown outcome, whether or not the rail ever heard of
    /// it. [`Answer::Approved`]: it is as if it had never been. Anything else: to be asked again.
    async fn reverse(&self, step: &Step) -> Answer;
}

/// One thing that a rail is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its own id, never used for another: the rail's idempotency key.
    pub id: StepId,
    /// The payment that it belongs to.
    pub payment: PaymentId,
    /// What is asked.
    pub action: Action,
    /// How much. For [`Action::Void`], what is held.
    pub amount: Money,
    /// Whose card or account: the token that the rail's hosted page gave. Never a card number.
    pub instrument: Instrument,
    /// The rail's own reference of the payment, as [`Answer::Approved`] gave it for the authorisation; `None` for
    /// the authorisation itself.
    pub reference: Option<Reference>,
    /// When it was first sent, in microseconds since 1970: rails that name messages by time send the same one again.
    pub time_us: u64,
}

/// The id of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(pub [u8; 16]);

/// What a step does. The words are the field's: an authorisation holds money, a capture takes it, a void frees it, a
/// refund gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Holds the amount.
    Authorise,
    /// Takes the amount, at most what is held; the rest is freed.
    Capture,
    /// Frees what is held.
    Void,
    /// Gives back the amount out of what was captured.
    Refund,
}

/// What a rail answers. A decline is an answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Approved {
        /// The rail's own reference of the payment.
        reference: Reference,
    },
    /// Refused, and nothing was done.
    Declined(ReasonCode),
    /// It certainly did not reach the rail, or the rail has certainly no trace of it.
    NotSent,
    /// Nobody can say whether it was done.
    Unknown,
}

/// A rail's own reference of a payment, 1 to [`TOKEN_MAX`] printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Names a customer's card or account at a rail, 1 to [`TOKEN_MAX`] printable ASCII characters. A card number is
/// refused, and never logged: [`fmt::Debug`] prints none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Instrument(String);

/// Longest token or reference, in characters.
pub const TOKEN_MAX: usize = 128;

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It looks like a card number, which must never enter: send the token of the rail's hosted page.
    #[error(
        "this looks like a card number: cards are saved on the provider's page only; send the token that it gives"
    )]
    CardNumber,
    /// Empty, too long, or other characters than printable ASCII without spaces.
    #[error("send 1 to 128 printable ASCII characters without spaces")]
    Shape,
}

impl Reference {
    /// Takes a reference that a rail gave.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn new(text: impl Into<String>) -> Result<Self, TokenError> {
        token(text.into()).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Instrument {
    /// Takes a token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn new(text: impl Into<String>) -> Result<Self, TokenError> {
        token(text.into()).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instrument({} characters)", self.0.len())
    }
}

fn token(text: String) -> Result<String, TokenError> {
    if looks_like_card_number(&text) {
        return Err(TokenError::CardNumber);
    }
    let is_right =
        (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
    is_right.then_some(text).ok_or(TokenError::Shape)
}

/// Whether a text holds what may be a primary account number (ISO/IEC 7812-1): 12 to 19 digits in a row, spaces and
/// hyphens between them passed over, whose last is right by Luhn's rule (its annex B).
#[must_use]
pub fn looks_like_card_number(text: &str) -> bool {
    let mut run: Vec<u8> = Vec::new();
    for c in text.bytes().chain([b'.']) {
        match c {
            b'0'..=b'9' => run.push(c - b'0'),
            b' ' | b'-' => {}
            _ => {
                if (12..=19).contains(&run.len()) && is_luhn(&run) {
                    return true;
                }
                run.clear();
            }
        }
    }
    false
}

fn is_luhn(digits: &[u8]) -> bool {
    let from_right = digits.iter().rev().enumerate();
    let sum: u32 = from_right
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            if place % 2 == 0 {
                digit
            } else {
                digit * 2 / 10 + digit * 2 % 10
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests;
