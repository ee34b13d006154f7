//! What goes into the checkout and what comes out of it. The rules are in the parent.

use palm_proto::{
    id::{CustomerId, PaymentId},
    money::Money,
    reason::ReasonCode,
};

use super::{Ask, Sale};
use crate::guidance::Guidance;

/// Why a request came to nothing, for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The id could not be noted on disk, so nothing was sent.
    Journal,
    /// The service says that the payment was never booked, nor will be.
    NotBooked,
    /// The service refused the request.
    Refused(ReasonCode),
    /// The service's sealing key is not usable.
    SealingKey,
    /// The service could not be reached, so nothing was sent.
    Unreachable,
}

impl Trouble {
    /// A stable id for the pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "JOURNAL_FAILED",
            Self::NotBooked => "NOT_BOOKED",
            Self::Refused(reason) => reason.as_str(),
            Self::SealingKey => "SEALING_KEY_UNUSABLE",
            Self::Unreachable => "SERVICE_UNREACHABLE",
        }
    }
}

/// What happens to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The cashier asks for an amount.
    Charge(Sale),
    /// The cashier or the customer stops it.
    Cancel,
    /// Once more, after an end without money moved.
    Retry {
        /// The id to use where the old one was used up.
        fresh: PaymentId,
    },
    /// Back to the start.
    Clear,
    /// Found unresolved in the journal at the start.
    Recover(Sale),
    /// The hand is not well placed, or the picture was not good enough.
    Guide(Guidance),
    /// A capture began.
    Reading,
    /// A capture gave a template; whoever runs this machine keeps it for [`Effect::Authorise`].
    Captured,
    /// What was asked for was given; whoever runs this machine keeps it for [`Effect::Confirm`].
    Give,
    /// The reader left.
    ReaderLost,
    /// The reader is back.
    ReaderBack,
    /// The service answered a send, or did not.
    Answered(Answer),
    /// The service resolved it, or did not answer.
    Found(Lookup),
    /// Time passed.
    Tick,
}

/// What came of sending a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As [`super::Outcome::Approved`].
    Approved {
        /// The customer's name, masked.
        masked_name: String,
        /// What is left in the wallet.
        balance: Option<Money>,
        /// Who, when told.
        customer: Option<CustomerId>,
    },
    /// As [`super::Outcome::AcceptedOffline`].
    AcceptedOffline {
        /// The customer's name, masked.
        masked_name: String,
    },
    /// As [`super::Outcome::Declined`].
    Declined {
        /// Why.
        reason: Option<ReasonCode>,
        /// The customer's name, masked.
        masked_name: String,
    },
    /// As [`super::Outcome::NotRecognised`].
    NotRecognised(Option<ReasonCode>),
    /// Something is asked before the money moves.
    StepUp(Ask),
    /// This request did nothing, for certain.
    Nothing(Trouble),
    /// It may or may not have been booked.
    Unknown,
}

/// What came of resolving a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It was approved.
    Approved {
        /// The customer's name, masked.
        masked_name: String,
    },
    /// It was declined.
    Declined {
        /// Why.
        reason: Option<ReasonCode>,
        /// The customer's name, masked.
        masked_name: String,
    },
    /// Nothing was booked, and nothing ever will be.
    Cancelled,
    /// No answer.
    Unknown,
}

/// What is to be done about it, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Let the reader capture.
    Arm,
    /// Stop it.
    Disarm,
    /// Seal the last capture for this sale, journal it, send it.
    Authorise(Sale),
    /// Send what was given.
    Confirm(PaymentId),
    /// Send the same bytes again.
    Resend(PaymentId),
    /// Ask what became of it, and have it cancelled if nothing is booked: after that no late send can charge.
    Resolve(PaymentId),
    /// The outcome is known: close it in the journal, forget the sealed request.
    Settle(PaymentId),
    /// Show and play it on the reader.
    Signal(Signal),
}

/// What the reader shows about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It went through.
    Accepted,
    /// It did not.
    Refused,
}

/// Why a command does nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A payment or an enrolment is under way.
    Busy,
    /// There is nothing that this could apply to.
    NotNow,
    /// An earlier payment's outcome is being looked up.
    Unresolved,
}
