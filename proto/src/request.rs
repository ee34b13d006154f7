//! From wire shapes to domain requests and back: the only place that rejects shapes.
//!
//! Each wire request has one domain type here and one `TryFrom`; what comes out needs no further look at its shape.
//! Whether it makes sense (does the customer exist, is the amount below the shop's limit) is for the service to say.

use crate::{
    envelope::{CIPHERTEXT_MAX, SealedTemplate},
    fault::Malformed,
    id::{CustomerId, IdError, RequestId, TillId, wallet_owner},
    money::{Money, MoneyError},
    reason::ReasonCode,
    v1,
};

/// Most samples of one enrolment.
pub const SAMPLES_MAX: usize = 12;
/// Longest display name, in characters.
pub const DISPLAY_NAME_MAX: usize = 64;
/// Longest page.
pub const PAGE_SIZE_MAX: u32 = 1_000;
const PAGE_SIZE_DEFAULT: u32 = 100;
const PAGE_TOKEN_MAX: usize = 128;
const NOTICE_VERSION_MAX: usize = 32;
const SERIAL_MAX: usize = 64;

type Parsed<T> = Result<T, Malformed>;

mod bank;
mod cards;
mod payments;

pub use bank::{CloseBreak, Deposit, OrderPayout};
pub use cards::{ForgetCard, OpenCardPage};
pub use payments::{
    AuthorisePayment, CancelPayment, CaptureMode, ChangePayment, ConfirmPayment, Confirmation,
    CreatePayment, Factor, UpdateSafeguards, safeguards_named,
};

/// Registers a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCustomer {
    /// The same one gives the same customer.
    pub request_id: RequestId,
    /// 1 to [`DISPLAY_NAME_MAX`] characters, no control characters, trimmed.
    pub display_name: String,
    /// Version of the notice that was agreed to.
    pub notice_version: String,
    /// BCP 47 language of the notice.
    pub language: String,
}

impl TryFrom<v1::CreateCustomerRequest> for CreateCustomer {
    type Error = Malformed;

    fn try_from(wire: v1::CreateCustomerRequest) -> Parsed<Self> {
        let consent = wire.consent.ok_or_else(|| {
            Malformed::new(
                "consent",
                "ask the person for consent and send what they agreed to",
            )
            .with_reason(ReasonCode::ConsentMissing)
        })?;
        Ok(Self {
            request_id: request_id(&wire.request_id)?,
            display_name: display_name(&wire.display_name)?,
            notice_version: notice_version(consent.notice_version)?,
            language: language(consent.language)?,
        })
    }
}

/// Adds palms to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrol {
    /// The same one gives the same answer; bound into every sample.
    pub request_id: RequestId,
    /// Who.
    pub customer: CustomerId,
    /// 1 to [`SAMPLES_MAX`]; whether they are enough is the service's answer.
    pub samples: Vec<SealedTemplate>,
}

impl TryFrom<v1::EnrolRequest> for Enrol {
    type Error = Malformed;

    fn try_from(wire: v1::EnrolRequest) -> Parsed<Self> {
        if !(1..=SAMPLES_MAX).contains(&wire.samples.len()) {
            return Err(Malformed::new("samples", "send 3 to 12 sealed samples"));
        }
        Ok(Self {
            request_id: request_id(&wire.request_id)?,
            customer: named("customer", &wire.customer)?,
            samples: wire
                .samples
                .into_iter()
                .map(SealedTemplate::try_from)
                .collect::<Parsed<_>>()
                .map_err(|malformed| malformed.below("samples"))?,
        })
    }
}

/// Moves money into or out of a wallet (`TopUp`, `PayOut`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletTransfer {
    /// The same one moves money once.
    pub request_id: RequestId,
    /// Whose wallet.
    pub customer: CustomerId,
    /// How much.
    pub amount: Money,
}

impl TryFrom<v1::TopUpRequest> for WalletTransfer {
    type Error = Malformed;

    fn try_from(wire: v1::TopUpRequest) -> Parsed<Self> {
        wallet_transfer(&wire.request_id, &wire.wallet, wire.amount)
    }
}

impl TryFrom<v1::PayOutRequest> for WalletTransfer {
    type Error = Malformed;

    fn try_from(wire: v1::PayOutRequest) -> Parsed<Self> {
        wallet_transfer(&wire.request_id, &wire.wallet, wire.amount)
    }
}

fn wallet_transfer(id: &str, wallet: &str, money: Option<v1::Money>) -> Parsed<WalletTransfer> {
    let customer = wallet_owner(wallet).map_err(|IdError(form)| Malformed::new("wallet", form))?;
    Ok(WalletTransfer {
        request_id: request_id(id)?,
        customer,
        amount: amount(money)?,
    })
}

/// Lets a certificate act as a till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTill {
    /// Its id, chosen by the operator.
    pub till: TillId,
    /// SHA-256 of its certificate (DER).
    pub certificate_sha256: [u8; 32],
}

impl TryFrom<v1::CreateTillRequest> for CreateTill {
    type Error = Malformed;

    fn try_from(wire: v1::CreateTillRequest) -> Parsed<Self> {
        let certificate_sha256 = from_hex(&wire.certificate_sha256)
            .ok_or_else(|| Malformed::new("certificate_sha256", "send 64 lower-case hex digits"))?;
        Ok(Self {
            till: named("name", &wire.name)?,
            certificate_sha256,
        })
    }
}

/// What a till says of its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportReader {
    /// As it is now.
    pub state: v1::reader::State,
    /// Serial number, at most 64 characters; empty when absent.
    pub serial: String,
}

impl TryFrom<v1::ReportReaderRequest> for ReportReader {
    type Error = Malformed;

    fn try_from(wire: v1::ReportReaderRequest) -> Parsed<Self> {
        let state = v1::reader::State::try_from(wire.state)
            .ok()
            .filter(|state| *state != v1::reader::State::Unspecified)
            .ok_or_else(|| Malformed::new("state", "send ABSENT, READY or FAULTY"))?;
        if wire.serial.chars().count() > SERIAL_MAX || wire.serial.chars().any(char::is_control) {
            return Err(Malformed::new(
                "serial",
                "send at most 64 printable characters",
            ));
        }
        Ok(Self {
            state,
            serial: wire.serial,
        })
    }
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// 1 to [`PAGE_SIZE_MAX`].
    pub size: usize,
    /// Empty for the first page; else what the last one gave.
    pub token: String,
}

impl Page {
    /// Reads `page_size` and `page_token` of a list request (AIP-158).
    ///
    /// # Errors
    /// [`Malformed`] when the size is above [`PAGE_SIZE_MAX`] or the token is none that was given out.
    pub fn parse(size: u32, token: String) -> Parsed<Self> {
        let size = if size == 0 { PAGE_SIZE_DEFAULT } else { size };
        if size > PAGE_SIZE_MAX {
            return Err(Malformed::new("page_size", "send 1 to 1000, or 0 for 100"));
        }
        if token.len() > PAGE_TOKEN_MAX || !token.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Malformed::new(
                "page_token",
                "send the next_page_token of the last page",
            ));
        }
        let size = usize::try_from(size).expect("invariant: a usize has 32 bits or more");
        Ok(Self { size, token })
    }
}

/// Reads a resource name out of `field`.
///
/// # Errors
/// [`Malformed`] with the form that was expected.
pub fn named<T: std::str::FromStr<Err = IdError>>(field: &str, name: &str) -> Parsed<T> {
    name.parse()
        .map_err(|IdError(form)| Malformed::new(field, form))
}

/// Reads `customers/{uuid}/wallet` out of the field `name`.
///
/// # Errors
/// [`Malformed`] with the form that was expected.
pub fn wallet_named(name: &str) -> Parsed<CustomerId> {
    wallet_owner(name).map_err(|IdError(form)| Malformed::new("name", form))
}

fn request_id(text: &str) -> Parsed<RequestId> {
    named("request_id", text)
}

fn amount(money: Option<v1::Money>) -> Parsed<Money> {
    money
        .ok_or_else(|| {
            Malformed::new("amount", "send an amount").with_reason(ReasonCode::AmountInvalid)
        })?
        .try_into()
        .map_err(|malformed: Malformed| malformed.below("amount"))
}

impl TryFrom<v1::Money> for Money {
    type Error = Malformed;

    /// An amount to pay; a balance of zero is read with [`balance`].
    fn try_from(wire: v1::Money) -> Parsed<Self> {
        let currency = wire.currency_code.parse().map_err(|_| {
            Malformed::new(
                "currency_code",
                "send an ISO 4217 code that is taken, such as KRW",
            )
            .with_reason(ReasonCode::AmountInvalid)
        })?;
        Self::amount(wire.amount_minor, currency).map_err(|_: MoneyError| {
            Malformed::new("amount_minor", "send 1 to 999999999999 minor units")
                .with_reason(ReasonCode::AmountInvalid)
        })
    }
}

/// Reads a balance, which may be zero.
///
/// # Errors
/// [`Malformed`] when the currency is none that is taken.
pub fn balance(wire: &v1::Money) -> Parsed<Money> {
    let currency = wire
        .currency_code
        .parse()
        .map_err(|_| Malformed::new("currency_code", "expected an ISO 4217 code that is taken"))?;
    Ok(Money::balance(wire.amount_minor, currency))
}

impl From<Money> for v1::Money {
    fn from(money: Money) -> Self {
        Self {
            amount_minor: money.minor(),
            currency_code: money.currency().code().to_owned(),
        }
    }
}

impl TryFrom<v1::SealedTemplate> for SealedTemplate {
    type Error = Malformed;

    fn try_from(wire: v1::SealedTemplate) -> Parsed<Self> {
        let encapsulated_key = wire
            .encapsulated_key
            .try_into()
            .map_err(|_| Malformed::new("encapsulated_key", "send 32 bytes"))?;
        let capture_nonce = wire
            .capture_nonce
            .try_into()
            .map_err(|_| Malformed::new("capture_nonce", "send the capture's 16 bytes"))?;
        if !(1..=CIPHERTEXT_MAX).contains(&wire.ciphertext.len()) {
            return Err(Malformed::new("ciphertext", "send 1 to 1024 bytes"));
        }
        let ciphertext = wire.ciphertext;
        Ok(Self {
            key_id: wire.key_id,
            encapsulated_key,
            ciphertext,
            capture_nonce,
        })
    }
}

impl From<SealedTemplate> for v1::SealedTemplate {
    fn from(sealed: SealedTemplate) -> Self {
        Self {
            key_id: sealed.key_id,
            encapsulated_key: sealed.encapsulated_key.to_vec(),
            ciphertext: sealed.ciphertext,
            capture_nonce: sealed.capture_nonce.to_vec(),
        }
    }
}

fn display_name(text: &str) -> Parsed<String> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=DISPLAY_NAME_MAX).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(Malformed::new(
            "display_name",
            "send 1 to 64 characters without control characters",
        ))
    }
}

fn notice_version(text: String) -> Parsed<String> {
    let known = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
    if (1..=NOTICE_VERSION_MAX).contains(&text.len()) && text.bytes().all(known) {
        Ok(text)
    } else {
        Err(Malformed::new(
            "consent.notice_version",
            "send the version of the notice shown, such as 2026-11",
        ))
    }
}

fn language(text: String) -> Parsed<String> {
    let known = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if (2..=35).contains(&text.len()) && text.bytes().all(known) {
        Ok(text)
    } else {
        Err(Malformed::new(
            "consent.language",
            "send a BCP 47 language, such as ko",
        ))
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? * 16 + digit(*low)?;
    }
    Some(bytes)
}

/// Reads every request shape from protobuf bytes; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_requests(bytes: &[u8]) {
    fn parse<W, T>(bytes: &[u8])
    where
        W: prost::Message + Default,
        T: TryFrom<W, Error = Malformed>,
    {
        drop(W::decode(bytes).map(T::try_from));
    }
    parse::<v1::CreateCustomerRequest, CreateCustomer>(bytes);
    parse::<v1::EnrolRequest, Enrol>(bytes);
    parse::<v1::AuthorisePaymentRequest, AuthorisePayment>(bytes);
    parse::<v1::CancelPaymentRequest, CancelPayment>(bytes);
    parse::<v1::ConfirmPaymentRequest, ConfirmPayment>(bytes);
    parse::<v1::CreatePaymentRequest, CreatePayment>(bytes);
    parse::<v1::CapturePaymentRequest, ChangePayment>(bytes);
    parse::<v1::RefundPaymentRequest, ChangePayment>(bytes);
    parse::<v1::UpdateSafeguardsRequest, UpdateSafeguards>(bytes);
    parse::<v1::OpenCardPageRequest, OpenCardPage>(bytes);
    parse::<v1::ForgetCardRequest, ForgetCard>(bytes);
    parse::<v1::TopUpRequest, WalletTransfer>(bytes);
    parse::<v1::OrderPayoutRequest, OrderPayout>(bytes);
    parse::<v1::DepositRequest, Deposit>(bytes);
    parse::<v1::CloseBreakRequest, CloseBreak>(bytes);
    parse::<v1::CreateTillRequest, CreateTill>(bytes);
    parse::<v1::ReportReaderRequest, ReportReader>(bytes);
}

#[cfg(test)]
mod tests;
