//! What a page draws, as far as tests look at it; the till's `snapshot.rs` says what each value means.

use serde::Deserialize;

/// One event of the till's stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Snapshot {
    /// The payment service.
    pub service: Service,
    /// The palm reader.
    pub reader: Reader,
    /// The payment.
    pub checkout: Checkout,
    /// The enrolment.
    pub enrolment: Enrolment,
}

impl Snapshot {
    /// Whether the till can take a payment.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.service.state == "ready" && self.reader.state == "ready"
    }
}

/// The payment service as the till sees it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Service {
    /// `connecting`, `ready` or `refused`.
    pub state: String,
    /// The shop's name.
    pub shop_name: String,
}

/// The palm reader.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reader {
    /// `absent`, `ready` or `faulty`.
    pub state: String,
}

/// The payment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Checkout {
    /// Which screen is shown.
    pub screen: String,
    /// `payments/{uuid}`.
    pub payment: Option<String>,
    /// In minor units.
    pub amount_minor: Option<u64>,
    /// What the hand should do.
    pub hint: Option<String>,
    /// Why it was not approved.
    pub reason: Option<String>,
    /// The customer.
    pub masked_name: Option<String>,
    /// Left in the wallet.
    pub balance_minor: Option<u64>,
    /// Where the time went.
    pub timings: Option<Timings>,
}

/// Screens on which a payment is over.
const OVER: [&str; 6] = [
    "approved",
    "declined",
    "not_recognised",
    "not_charged",
    "cancelled",
    "timed_out",
];

impl Checkout {
    /// Whether the payment is over, one way or another.
    #[must_use]
    pub fn is_over(&self) -> bool {
        OVER.contains(&self.screen.as_str())
    }
}

/// Milliseconds of each stage.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Timings {
    /// From the order to the last frame.
    pub capture_ms: f64,
    /// From the last frame to the template.
    pub extract_ms: f64,
    /// Sealing, and syncing the journal.
    pub prepare_ms: f64,
    /// From the first byte sent to the answer.
    pub service_ms: f64,
    /// In the service: opening the envelope.
    pub open_ms: f64,
    /// In the service: finding the person.
    pub identify_ms: f64,
    /// In the service: booking, on disk.
    pub commit_ms: f64,
    /// From the last frame to the answer.
    pub total_ms: f64,
}

/// The enrolment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Enrolment {
    /// Which screen is shown.
    pub screen: String,
    /// `right` or `left`, once known.
    pub hand: Option<String>,
    /// Captures of this palm so far.
    pub taken: u8,
    /// Captures needed of one palm.
    pub needed: u8,
    /// A capture is being taken.
    pub reading: bool,
    /// What the hand should do.
    pub hint: Option<String>,
    /// Palms that the customer has now.
    pub palms: Option<u32>,
    /// Why it was refused.
    pub reason: Option<String>,
}

impl Enrolment {
    /// Whether the enrolment is over, one way or another.
    #[must_use]
    pub fn is_over(&self) -> bool {
        ["done", "refused", "failed"].contains(&self.screen.as_str())
    }
}
