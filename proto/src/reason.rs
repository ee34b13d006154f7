//! Why something was declined, refused or not done: the stable codes that programs act on.

use crate::v1;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A reason that leaves the house: the `Reason` of the wire without its unspecified value. The `.proto` file
        /// documents each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ReasonCode { $($(#[$doc])* $variant,)* }

        impl ReasonCode {
            /// Every code, in the order of the `.proto` file.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire, for instance `INSUFFICIENT_FUNDS`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl From<ReasonCode> for v1::Reason {
            fn from(code: ReasonCode) -> Self {
                match code { $(ReasonCode::$variant => Self::$variant,)* }
            }
        }

        impl TryFrom<v1::Reason> for ReasonCode {
            type Error = ();

            fn try_from(reason: v1::Reason) -> Result<Self, ()> {
                match reason {
                    v1::Reason::Unspecified => Err(()),
                    $(v1::Reason::$variant => Ok(Self::$variant),)*
                }
            }
        }
    };
}

reasons! {
    /// The amount is 0, above the limit, or not in the shop's currency.
    AmountInvalid = "AMOUNT_INVALID";
    /// A money amount would not fit.
    AmountOverflow = "AMOUNT_OVERFLOW";
    /// The wallet still holds money.
    BalanceRemains = "BALANCE_REMAINS";
    /// Consent is missing.
    ConsentMissing = "CONSENT_MISSING";
    /// An id was used before with other content.
    IdReused = "ID_REUSED";
    /// Two people are too close to tell apart.
    Ambiguous = "AMBIGUOUS";
    /// The palm belongs to a customer who is enrolled already.
    AlreadyEnrolled = "ALREADY_ENROLLED";
    /// No such resource.
    NotFound = "NOT_FOUND";
    /// The wallet holds less than the amount.
    InsufficientFunds = "INSUFFICIENT_FUNDS";
    /// A field is missing or out of range.
    Malformed = "MALFORMED";
    /// Nobody is enrolled with this palm.
    NotRecognised = "NOT_RECOGNISED";
    /// The caller may not do this.
    PermissionDenied = "PERMISSION_DENIED";
    /// The samples of an enrolment are too unlike.
    SamplesDisagree = "SAMPLES_DISAGREE";
    /// Fewer samples than needed.
    SamplesMissing = "SAMPLES_MISSING";
    /// The sealed template does not open.
    SealBroken = "SEAL_BROKEN";
    /// The capture nonce was used before.
    CaptureReplayed = "CAPTURE_REPLAYED";
    /// A bounded store is full.
    LimitReached = "LIMIT_REACHED";
    /// Stopping, or could not write.
    Unavailable = "UNAVAILABLE";
    /// The till gave the payment up before it was booked.
    Cancelled = "CANCELLED";
    /// The payment waits for the customer's second factor.
    SecondFactor = "SECOND_FACTOR";
    /// The payment waits for the cashier's word that it is no duplicate.
    LikelyDuplicate = "LIKELY_DUPLICATE";
    /// The second factor was not right.
    FactorWrong = "FACTOR_WRONG";
    /// Too many wrong second factors.
    FactorLocked = "FACTOR_LOCKED";
    /// The customer has frozen payments by palm.
    Frozen = "FROZEN";
    /// Above what the customer or the shop allows.
    OverLimit = "OVER_LIMIT";
    /// The rail has not answered yet.
    OutcomeUnknown = "OUTCOME_UNKNOWN";
    /// The payment's state does not allow this.
    StateRefuses = "STATE_REFUSES";
    /// More than is held, or than was captured and has not gone back.
    AmountTooLarge = "AMOUNT_TOO_LARGE";
    /// The payment's time ran out.
    Expired = "EXPIRED";
    /// The card's bank refused and does not say why.
    CardDeclined = "CARD_DECLINED";
    /// The saved card has expired.
    CardExpired = "CARD_EXPIRED";
    /// The account behind the card holds too little.
    CardFundsInsufficient = "CARD_FUNDS_INSUFFICIENT";
    /// A limit that the bank sets on the card was reached.
    CardLimitExceeded = "CARD_LIMIT_EXCEEDED";
    /// The rail does not know this saved card any more.
    CardUnknown = "CARD_UNKNOWN";
    /// The bank wants its customer to confirm, which a palm cannot do.
    AuthenticationRequired = "AUTHENTICATION_REQUIRED";
    /// The rail or the card's bank is out of order; nothing was taken.
    RailUnavailable = "RAIL_UNAVAILABLE";
    /// The rail does not take this request from this shop.
    RailRefused = "RAIL_REFUSED";
    /// What was held is gone: captured, voided or expired.
    HoldGone = "HOLD_GONE";
    /// The shop's rail has no page on which customers save their cards.
    NoCardPage = "NO_CARD_PAGE";
}

impl ReasonCode {
    /// The code of a wire name; `None` for names that this build does not know.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The code of a wire number; `None` when unspecified or not known here.
    #[must_use]
    pub fn from_wire(number: i32) -> Option<Self> {
        v1::Reason::try_from(number)
            .ok()
            .and_then(|reason| Self::try_from(reason).ok())
    }

    /// The wire number.
    #[must_use]
    pub fn to_wire(self) -> i32 {
        v1::Reason::from(self).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire_and_read_back() {
        for &code in ReasonCode::ALL {
            assert_eq!(v1::Reason::from(code).as_str_name(), code.as_str());
            assert_eq!(ReasonCode::from_name(code.as_str()), Some(code));
            assert_eq!(ReasonCode::from_wire(code.to_wire()), Some(code));
        }
        assert_eq!(ReasonCode::from_name("SOMETHING_NEWER"), None);
        assert_eq!(ReasonCode::from_wire(0), None);
    }
}
