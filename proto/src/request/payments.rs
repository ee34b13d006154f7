//! Requests about payments and what guards them.

use super::{Parsed, amount, named, request_id};
use crate::{
    digits::{Digits, PHONE_DIGITS, PIN_DIGITS},
    envelope::SealedTemplate,
    fault::Malformed,
    id::{CustomerId, IdError, PaymentId, RequestId, TillId, safeguards_owner},
    money::{AMOUNT_MAX, Money},
    reason::ReasonCode,
    v1,
};

/// Takes a payment by palm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisePayment {
    /// Minted by the till.
    pub payment: PaymentId,
    /// What to pay.
    pub amount: Money,
    /// The palm, sealed for this payment and amount.
    pub sample: SealedTemplate,
    /// When it is captured.
    pub capture_mode: CaptureMode,
    /// The till accepted it without the service; the customer has left.
    pub accepted_offline: bool,
}

/// When an authorised payment is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureMode {
    /// At once.
    Automatic,
    /// When `CapturePayment` says so.
    Manual,
}

impl CaptureMode {
    fn parse(number: i32) -> Parsed<Self> {
        match v1::payment::CaptureMode::try_from(number) {
            Ok(v1::payment::CaptureMode::Automatic) => Ok(Self::Automatic),
            Ok(v1::payment::CaptureMode::Manual) => Ok(Self::Manual),
            Err(_) => Err(Malformed::new("capture_mode", "send AUTOMATIC or MANUAL")),
        }
    }
}

impl From<CaptureMode> for v1::payment::CaptureMode {
    fn from(mode: CaptureMode) -> Self {
        match mode {
            CaptureMode::Automatic => Self::Automatic,
            CaptureMode::Manual => Self::Manual,
        }
    }
}

impl TryFrom<v1::AuthorisePaymentRequest> for AuthorisePayment {
    type Error = Malformed;

    fn try_from(wire: v1::AuthorisePaymentRequest) -> Parsed<Self> {
        let sample = wire
            .sample
            .ok_or_else(|| Malformed::new("sample", "send the sealed template"))?;
        Ok(Self {
            payment: named("payment", &wire.payment)?,
            amount: amount(wire.amount)?,
            sample: sample
                .try_into()
                .map_err(|malformed: Malformed| malformed.below("sample"))?,
            capture_mode: CaptureMode::parse(wire.capture_mode)?,
            accepted_offline: wire.accepted_offline,
        })
    }
}

impl From<AuthorisePayment> for v1::AuthorisePaymentRequest {
    fn from(request: AuthorisePayment) -> Self {
        Self {
            payment: request.payment.to_string(),
            amount: Some(request.amount.into()),
            sample: Some(request.sample.into()),
            capture_mode: v1::payment::CaptureMode::from(request.capture_mode).into(),
            accepted_offline: request.accepted_offline,
        }
    }
}

/// Settles an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelPayment {
    /// The payment to give up.
    pub payment: PaymentId,
    /// What it was for.
    pub amount: Money,
}

impl TryFrom<v1::CancelPaymentRequest> for CancelPayment {
    type Error = Malformed;

    fn try_from(wire: v1::CancelPaymentRequest) -> Parsed<Self> {
        Ok(Self {
            payment: named("name", &wire.name)?,
            amount: amount(wire.amount)?,
        })
    }
}

/// What a payment in `STEP_UP` waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmPayment {
    /// The same one counts as one try.
    pub request_id: RequestId,
    /// The payment.
    pub payment: PaymentId,
    /// What is given.
    pub what: Confirmation,
}

/// What a customer or a cashier gives before the money moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The customer's second factor.
    Factor(Factor),
    /// The cashier's word that it is no duplicate.
    NotADuplicate,
}

/// A second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Factor {
    /// A PIN.
    Pin(Digits),
    /// The last digits of a telephone number.
    PhoneDigits(Digits),
}

impl From<Confirmation> for v1::confirm_payment_request::What {
    fn from(what: Confirmation) -> Self {
        match what {
            Confirmation::Factor(Factor::Pin(pin)) => Self::Pin(pin.to_text()),
            Confirmation::Factor(Factor::PhoneDigits(digits)) => {
                Self::PhoneDigits(digits.to_text())
            }
            Confirmation::NotADuplicate => Self::NotADuplicate(true),
        }
    }
}

impl TryFrom<v1::ConfirmPaymentRequest> for ConfirmPayment {
    type Error = Malformed;

    fn try_from(wire: v1::ConfirmPaymentRequest) -> Parsed<Self> {
        use v1::confirm_payment_request::What;
        let what = match wire.what {
            Some(What::Pin(pin)) => Confirmation::Factor(Factor::Pin(pin_digits("pin", pin)?)),
            Some(What::PhoneDigits(digits)) => {
                Confirmation::Factor(Factor::PhoneDigits(phone_digits("phone_digits", digits)?))
            }
            Some(What::NotADuplicate(true)) => Confirmation::NotADuplicate,
            Some(What::NotADuplicate(false)) | None => {
                let remedy = "send a pin, phone_digits, or not_a_duplicate = true";
                return Err(Malformed::new("what", remedy));
            }
        };
        Ok(Self {
            request_id: request_id(&wire.request_id)?,
            payment: named("payment", &wire.payment)?,
            what,
        })
    }
}

/// Announces a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePayment {
    /// Minted by the caller.
    pub payment: PaymentId,
    /// What to pay.
    pub amount: Money,
    /// When it is captured.
    pub capture_mode: CaptureMode,
    /// Which till will take it; `None`: the caller.
    pub till: Option<TillId>,
}

impl TryFrom<v1::CreatePaymentRequest> for CreatePayment {
    type Error = Malformed;

    fn try_from(wire: v1::CreatePaymentRequest) -> Parsed<Self> {
        let till = (!wire.till.is_empty()).then(|| named("till", &wire.till));
        Ok(Self {
            payment: named("payment", &wire.payment)?,
            amount: amount(wire.amount)?,
            capture_mode: CaptureMode::parse(wire.capture_mode)?,
            till: till.transpose()?,
        })
    }
}

/// Captures, voids or refunds (`CapturePayment`, `VoidPayment`, `RefundPayment`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangePayment {
    /// The same one changes it once.
    pub request_id: RequestId,
    /// The payment.
    pub payment: PaymentId,
    /// How much; `None`: all there is.
    pub amount: Option<Money>,
}

impl TryFrom<v1::CapturePaymentRequest> for ChangePayment {
    type Error = Malformed;

    fn try_from(wire: v1::CapturePaymentRequest) -> Parsed<Self> {
        change_payment(&wire.request_id, &wire.name, wire.amount)
    }
}

impl TryFrom<v1::VoidPaymentRequest> for ChangePayment {
    type Error = Malformed;

    fn try_from(wire: v1::VoidPaymentRequest) -> Parsed<Self> {
        change_payment(&wire.request_id, &wire.name, None)
    }
}

impl TryFrom<v1::RefundPaymentRequest> for ChangePayment {
    type Error = Malformed;

    fn try_from(wire: v1::RefundPaymentRequest) -> Parsed<Self> {
        change_payment(&wire.request_id, &wire.name, wire.amount)
    }
}

fn change_payment(id: &str, name: &str, money: Option<v1::Money>) -> Parsed<ChangePayment> {
    Ok(ChangePayment {
        request_id: request_id(id)?,
        payment: named("name", name)?,
        amount: money.map(|money| amount(Some(money))).transpose()?,
    })
}

/// Changes how a customer guards their money. `None` leaves a thing as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSafeguards {
    /// Whose.
    pub customer: CustomerId,
    /// The PIN that is in force.
    pub current_pin: Option<Digits>,
    /// `Some(None)` takes it away.
    pub pin: Option<Option<Digits>>,
    /// `Some(None)` takes them away.
    pub phone_digits: Option<Option<Digits>>,
    /// Whether every payment needs the second factor.
    pub always_second_factor: Option<bool>,
    /// Whether no payment by palm is taken.
    pub frozen: Option<bool>,
    /// Highest amount of one payment in minor units; 0: the shop's limit alone.
    pub payment_max_minor: Option<u64>,
    /// Highest sum of one day in minor units; 0: the shop's limit alone.
    pub day_max_minor: Option<u64>,
}

impl TryFrom<v1::UpdateSafeguardsRequest> for UpdateSafeguards {
    type Error = Malformed;

    fn try_from(wire: v1::UpdateSafeguardsRequest) -> Parsed<Self> {
        let or_none = |text: String, read: fn(&str, String) -> Parsed<Digits>, field| {
            (!text.is_empty()).then(|| read(field, text)).transpose()
        };
        for (field, limit) in [
            ("payment_max_minor", wire.payment_max_minor),
            ("day_max_minor", wire.day_max_minor),
        ] {
            if limit.is_some_and(|limit| limit > AMOUNT_MAX) {
                let remedy = "send at most 999999999999 minor units, or 0 for none";
                return Err(Malformed::new(field, remedy).with_reason(ReasonCode::AmountInvalid));
            }
        }
        Ok(Self {
            customer: safeguards_named(&wire.name)?,
            current_pin: wire
                .current_pin
                .map(|pin| pin_digits("current_pin", pin))
                .transpose()?,
            pin: wire
                .pin
                .map(|pin| or_none(pin, pin_digits, "pin"))
                .transpose()?,
            phone_digits: wire
                .phone_digits
                .map(|digits| or_none(digits, phone_digits, "phone_digits"))
                .transpose()?,
            always_second_factor: wire.always_second_factor,
            frozen: wire.frozen,
            payment_max_minor: wire.payment_max_minor,
            day_max_minor: wire.day_max_minor,
        })
    }
}

/// Reads `customers/{uuid}/safeguards` out of the field `name`.
///
/// # Errors
/// [`Malformed`] with the form that was expected.
pub fn safeguards_named(name: &str) -> Parsed<CustomerId> {
    safeguards_owner(name).map_err(|IdError(form)| Malformed::new("name", form))
}

pub(super) fn pin_digits(field: &str, text: String) -> Parsed<Digits> {
    Digits::new(text, PIN_DIGITS).ok_or_else(|| Malformed::new(field, "send 4 to 12 digits"))
}

fn phone_digits(field: &str, text: String) -> Parsed<Digits> {
    Digits::new(text, PHONE_DIGITS)
        .ok_or_else(|| Malformed::new(field, "send the last 4 digits of the telephone number"))
}
