//! Why a call did nothing: the refusals of the upper floor, which [`crate::api`] turns into statuses.
//!
//! Declined, not recognised and "these samples disagree" are answers, not errors, and have types of their own.

use std::fmt;

use palm_proto::fault::Malformed;

use crate::{cards::CardError, store::StoreError, writer::WriteError};

mod bank;

pub use bank::BankRefusal;

/// A refusal, or a failure that nobody outside can help. Fixed text: it holds nothing of the request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The sum would not fit.
    AmountOverflow,
    /// More than is held, or than can go back.
    AmountTooLarge,
    /// The wallet still holds money.
    BalanceRemains,
    /// About the shop's bank or a pay-out.
    Bank(BankRefusal),
    /// A report's rows and the ledger do not agree.
    BooksDiffer,
    /// As many calls as allowed are in progress.
    Busy,
    /// The till gave this payment up.
    Cancelled,
    /// The certificate acts for another till, or for an operator.
    CertificateTaken,
    /// The capture nonce was used before.
    CaptureReplayed,
    /// A row of the store cannot be read: it was changed from outside, or a newer version wrote it.
    Corrupt(&'static str),
    /// Of a card that is saved at the provider's.
    Card(CardError),
    /// No such customer, or deleted.
    CustomerNotFound,
    /// Too many wrong second factors.
    FactorLocked,
    /// The second factor is missing or not right.
    FactorWrong,
    /// The customer has frozen their money.
    Frozen,
    /// The gallery holds as many samples as configured.
    GalleryFull,
    /// An id was used before with other content.
    IdReused,
    /// The wallet holds less than is to be paid out.
    InsufficientFunds,
    /// The keyholder, a process of its own, does not answer or is being put in order.
    KeyholderAway,
    /// The request's shape.
    Malformed(Malformed),
    /// A rail's answer is awaited.
    OutcomeUnknown,
    /// The payment id is unknown.
    PaymentNotFound,
    /// The caller may not do this.
    PermissionDenied(&'static str),
    /// A payment was begun with an outside rail, and the configuration has none.
    RailMissing,
    /// As many refunds of one payment as are kept.
    RefundsFull,
    /// No shift was closed under this number.
    ReportNotFound,
    /// As many samples of this palm as are kept.
    SamplesFull,
    /// The sealed template does not open.
    SealBroken,
    /// The payment's state does not allow this.
    StateRefuses,
    /// The store failed.
    Store(StoreError),
    /// The service stops or cannot write.
    Stopping,
    /// A commit failed; what is on disk is not known.
    WriteFailed,
    /// What was sealed is not a template that this build knows.
    TemplateUnknown,
    /// The till has had as many palms looked for as it may in a minute.
    TooManySearches,
    /// A till goes by this name.
    TillExists,
    /// No such till.
    TillNotFound,
}

impl Error {
    /// What is wrong and what to do, for people.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::AmountOverflow => {
                "the amount does not fit: nothing was booked; send a smaller one"
            }
            Self::AmountTooLarge => "more than is held, or than can go back: send less",
            Self::BalanceRemains => "the wallet still holds money: pay it out first",
            Self::Bank(refusal) => refusal.sentence(),
            Self::BooksDiffer => "report and ledger differ: run `palmctl ledger audit`",
            Self::Busy => "too many calls at once: send the same request again in a moment",
            Self::Cancelled => {
                "this payment was given up before it was booked: charge under a new id"
            }
            Self::CertificateTaken => {
                "this certificate is another till's or an operator's: make one for this till alone"
            }
            Self::CaptureReplayed => "this capture was used before: capture again",
            Self::Corrupt(_) => {
                "stored data cannot be read: restore a backup, or start the version that wrote it"
            }
            Self::Card(error) => error.sentence(),
            Self::CustomerNotFound => "there is no such customer: list them, or create one",
            Self::FactorLocked => {
                "too many wrong second factors: pay another way, and let the operator set a new PIN"
            }
            Self::FactorWrong => "the second factor is not right",
            Self::Frozen => "the customer has frozen their money: they take that back first",
            Self::GalleryFull => {
                "the gallery is full: raise limits.samples_max in palmd.toml, or delete customers who left"
            }
            Self::IdReused => "this id was used before with other content: make a new one",
            Self::InsufficientFunds => "the wallet holds less than this: send at most its balance",
            Self::KeyholderAway => {
                "the keyholder does not answer: send the same request again in a moment"
            }
            Self::Malformed(malformed) => malformed.remedy,
            Self::OutcomeUnknown => {
                "the rail has not answered yet: ask what became of the payment, and do not charge again"
            }
            Self::PaymentNotFound => {
                "nothing is booked under this payment id as yet: to know for certain, cancel it"
            }
            Self::PermissionDenied(sentence) => sentence,
            Self::RailMissing => {
                "a payment waits for the outside rail: configure the rail it was begun with"
            }
            Self::RefundsFull => "this payment was refunded 100 times: no more are kept",
            Self::ReportNotFound => "no shift was closed under this number: close one first",
            Self::SamplesFull => {
                "12 samples of this palm are kept already: delete the customer and enrol again to replace them"
            }
            Self::SealBroken => {
                "the sealed template does not open: fetch the till's setup, capture again and seal it for this request"
            }
            Self::StateRefuses => "the payment's state does not allow this: look it up",
            Self::Store(_) => "the service cannot read or write its store: look at its log",
            Self::Stopping => "the service is stopping: send the same request again",
            Self::WriteFailed => {
                "the store failed, and whether this was written is not known: ask again after a restart"
            }
            Self::TemplateUnknown => {
                "the sealed bytes are not a template that this service knows: update the till"
            }
            Self::TooManySearches => {
                "this till has had too many palms looked for: wait a minute, or raise limits.searches_per_minute"
            }
            Self::TillExists => {
                "there is a till of this name: revoke it and make a new certificate, or choose another name"
            }
            Self::TillNotFound => "there is no such till: list them with `palmctl till list`",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Store(source) = self {
            return Some(source);
        }
        None
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::Busy,
            WriteError::Failed => Self::WriteFailed,
            WriteError::Stopped => Self::Stopping,
        }
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        Self::Store(source)
    }
}

impl From<BankRefusal> for Error {
    fn from(refusal: BankRefusal) -> Self {
        Self::Bank(refusal)
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
