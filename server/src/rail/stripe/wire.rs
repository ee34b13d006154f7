//! What is read of the provider's JSON, and no more. Every field that this product can do without is optional: the
//! provider adds fields, and older and lesser implementations leave some out.

use serde::Deserialize;

/// A payment, from its authorisation to its capture or cancellation.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: IntentStatus,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) amount_received: Option<u64>,
    #[serde(default)]
    pub(super) metadata: Option<Metadata>,
    #[serde(default)]
    pub(super) last_payment_error: Option<Fault>,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IntentStatus {
    /// Not tried yet, or declined.
    RequiresPaymentMethod,
    RequiresConfirmation,
    /// The customer is to confirm at the bank's page.
    RequiresAction,
    Processing,
    /// Held.
    RequiresCapture,
    Canceled,
    /// Captured.
    Succeeded,
    #[serde(other)]
    Other,
}

/// What we left there to find it again.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) openpalm_step: Option<String>,
    pub(super) openpalm_payment: Option<String>,
    pub(super) openpalm_customer: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) amount: u64,
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) metadata: Option<Metadata>,
}

/// One page, newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Customer {
    pub(super) id: String,
    #[serde(default)]
    pub(super) metadata: Option<Metadata>,
}

/// Something that was removed.
#[derive(Debug, Deserialize)]
pub(super) struct Removed {
    #[serde(default)]
    pub(super) deleted: bool,
}

/// The hosted page on which a card is saved.
#[derive(Debug, Deserialize)]
pub(super) struct CheckoutSession {
    pub(super) id: String,
    pub(super) url: Option<String>,
    pub(super) status: Option<String>,
    pub(super) customer: Option<String>,
    /// Seconds since 1970.
    #[serde(default)]
    pub(super) expires_at: Option<u64>,
    #[serde(default)]
    pub(super) setup_intent: Option<Expandable<SetupIntent>>,
}

/// Told whole only where that was asked for; else by its name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Expandable<T> {
    Whole(T),
    Named(serde::de::IgnoredAny),
}

impl<T> Expandable<T> {
    pub(super) fn whole(self) -> Option<T> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Named(_) => None,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct SetupIntent {
    pub(super) status: Option<String>,
    pub(super) payment_method: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentMethod {
    pub(super) id: String,
    pub(super) customer: Option<String>,
    pub(super) card: Option<Card>,
}

/// What may be shown of a card. Its number is not among what the provider tells.
#[derive(Debug, Deserialize)]
pub(super) struct Card {
    pub(super) brand: String,
    pub(super) last4: String,
    pub(super) exp_month: u8,
    pub(super) exp_year: u16,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: Fault,
}

/// Why a request was refused. The provider's `message` is not read: it is meant for people and may repeat input.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fault {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) code: Option<String>,
    pub(super) decline_code: Option<String>,
    pub(super) param: Option<String>,
}

impl Fault {
    /// Whether an idempotency key was used before with other content.
    pub(super) fn is_key_reused(&self) -> bool {
        self.kind.as_deref() == Some("idempotency_error")
    }
}

/// An event that a webhook brings.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) data: EventData,
}

#[derive(Debug, Deserialize)]
pub(super) struct EventData {
    pub(super) object: EventObject,
}

/// As much of the object of any event as says which payment it is about.
#[derive(Debug, Deserialize)]
pub(super) struct EventObject {
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) metadata: Option<Metadata>,
}
