//! The one place where a refusal becomes a status.

use palm_proto::{fault, reason::ReasonCode as Reason};
use tonic::{Code, Status};
use tracing::error;

use crate::{
    cards::CardError,
    error::{BankRefusal, Error},
};

impl From<Error> for Status {
    /// Code and reason by kind; the sentence is the error's own, which is fixed text.
    fn from(error: Error) -> Self {
        let (code, reason) = match &error {
            Error::AmountOverflow => (Code::OutOfRange, Reason::AmountOverflow),
            Error::AmountTooLarge => (Code::FailedPrecondition, Reason::AmountTooLarge),
            Error::BalanceRemains => (Code::FailedPrecondition, Reason::BalanceRemains),
            Error::Bank(refusal) => of_bank(*refusal),
            Error::BooksDiffer => (Code::DataLoss, Reason::Unavailable),
            Error::Busy => (Code::Unavailable, Reason::Unavailable),
            Error::Cancelled => (Code::FailedPrecondition, Reason::Cancelled),
            Error::CaptureReplayed => (Code::FailedPrecondition, Reason::CaptureReplayed),
            Error::CertificateTaken => (Code::AlreadyExists, Reason::IdReused),
            Error::Corrupt(_) => (Code::DataLoss, Reason::Unavailable),
            Error::Card(error) => card(*error),
            Error::CustomerNotFound => (Code::NotFound, Reason::NotFound),
            Error::FactorLocked => (Code::PermissionDenied, Reason::FactorLocked),
            Error::FactorWrong => (Code::PermissionDenied, Reason::FactorWrong),
            Error::Frozen => (Code::FailedPrecondition, Reason::Frozen),
            Error::GalleryFull => (Code::ResourceExhausted, Reason::LimitReached),
            Error::IdReused => (Code::AlreadyExists, Reason::IdReused),
            Error::InsufficientFunds => (Code::FailedPrecondition, Reason::InsufficientFunds),
            Error::KeyholderAway => (Code::Unavailable, Reason::Unavailable),
            Error::Malformed(malformed) => return malformed.clone().into(),
            // Not a refusal: whoever gets it asks what became of the payment.
            Error::OutcomeUnknown => (Code::Unavailable, Reason::OutcomeUnknown),
            Error::PaymentNotFound => (Code::NotFound, Reason::NotFound),
            Error::PermissionDenied(_) => (Code::PermissionDenied, Reason::PermissionDenied),
            Error::RailMissing => (Code::Unavailable, Reason::Unavailable),
            Error::RefundsFull => (Code::ResourceExhausted, Reason::LimitReached),
            Error::ReportNotFound => (Code::NotFound, Reason::NotFound),
            Error::SamplesFull => (Code::ResourceExhausted, Reason::LimitReached),
            Error::SealBroken => (Code::InvalidArgument, Reason::SealBroken),
            Error::StateRefuses => (Code::FailedPrecondition, Reason::StateRefuses),
            Error::Store(_) => (Code::Unavailable, Reason::Unavailable),
            Error::Stopping => (Code::Unavailable, Reason::Unavailable),
            Error::TemplateUnknown => (Code::InvalidArgument, Reason::Malformed),
            Error::TooManySearches => (Code::ResourceExhausted, Reason::LimitReached),
            Error::WriteFailed => (Code::Unavailable, Reason::Unavailable),
            Error::TillExists => (Code::AlreadyExists, Reason::IdReused),
            Error::TillNotFound => (Code::NotFound, Reason::NotFound),
        };
        if let Error::Corrupt(table) = error {
            error!(table, "a row of the store cannot be read");
        }
        if let Error::Store(cause) = &error {
            error!(cause = cause as &dyn std::error::Error, "the store failed");
        }
        fault::status(code, reason, error.sentence())
    }
}

fn of_bank(refusal: BankRefusal) -> (Code, Reason) {
    match refusal {
        BankRefusal::AccountMissing
        | BankRefusal::FileGone
        | BankRefusal::NothingOrdered
        | BankRefusal::PayoutSent => (Code::FailedPrecondition, Reason::StateRefuses),
        BankRefusal::BreakNotFound | BankRefusal::FileNotFound | BankRefusal::PayoutNotFound => {
            (Code::NotFound, Reason::NotFound)
        }
        BankRefusal::Short => (Code::FailedPrecondition, Reason::InsufficientFunds),
    }
}

fn card(error: CardError) -> (Code, Reason) {
    match error {
        CardError::PageNotFound => (Code::NotFound, Reason::NotFound),
        CardError::PagesMissing => (Code::FailedPrecondition, Reason::NoCardPage),
        CardError::ProviderAway => (Code::Unavailable, Reason::RailUnavailable),
        CardError::ProviderRefuses => (Code::FailedPrecondition, Reason::RailRefused),
    }
}
