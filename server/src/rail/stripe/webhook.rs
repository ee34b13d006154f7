//! Signed messages from the provider (`Stripe-Signature`, scheme v1): HMAC-SHA256 of `<time>.<body>` under the
//! endpoint's secret.
//!
//! A message only says "look again". What is true is read from the provider, never from a message: they come late,
//! twice and out of order.

use std::fmt;

use palm_proto::id::{CustomerId, PaymentId};
use ring::hmac;
use zeroize::Zeroizing;

use super::wire::Event;
use crate::{
    clock::Timestamp,
    files::{self, FileError},
};

/// How old, or how far ahead of our clock, a message may be, in seconds.
pub const TOLERANCE_S: u64 = 300;
/// Longest body and longest header that are looked at, in bytes.
pub const BODY_MAX: usize = 256 << 10;
const HEADER_MAX: usize = 1 << 10;
/// While the secret is changed, messages are signed with both.
const SIGNATURES_MAX: usize = 8;
const MICROS: u64 = 1_000_000;

/// Checks messages that come to one endpoint.
pub struct Webhook {
    key: hmac::Key,
}

/// Prints no secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook")
    }
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookEvent {
    /// Something happened to a payment, or to a refund of it: look its step up.
    Payment(PaymentId),
    /// A refund that was on its way came back from the card's bank.
    RefundFailed(PaymentId),
    /// This customer's page was finished or has expired: ask how it went.
    CardPage(CustomerId),
    /// Nothing that concerns us.
    Other,
}

/// Why a message is not believed. All are answered alike, so that nobody learns which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The header is not of the form `t=...,v1=...`, or too long.
    #[error("no signature that can be read")]
    Header,
    /// No signature fits.
    #[error("the signature is wrong: check rails.stripe.webhook_secret")]
    Signature,
    /// Signed too long ago, or in the future.
    #[error("the message is too old: check this machine's clock")]
    Stale,
    /// Signed, but no event, or too long.
    #[error("the message is no event")]
    Body,
}

impl Webhook {
    /// Reads the endpoint's secret from its file.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read, or others may read it.
    pub fn read(path: &std::path::Path) -> Result<Self, FileError> {
        let secret: Zeroizing<String> = files::read_secret_text(path)?;
        Ok(Self::new(secret.trim().as_bytes()))
    }

    /// For an endpoint with this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The header of a message as whoever stands in for the provider writes it.
    #[doc(hidden)]
    #[must_use]
    pub fn sign(&self, body: &[u8], now: Timestamp) -> String {
        let time = now.micros() / MICROS;
        let message = [format!("{time}.").as_bytes(), body].concat();
        let mut header = format!("t={time},v1=");
        for byte in hmac::sign(&self.key, &message).as_ref() {
            header.push_str(&format!("{byte:02x}"));
        }
        header
    }

    /// Reads a message: `header` is the value of `Stripe-Signature`, `body` the bytes as they came.
    ///
    /// # Errors
    /// [`WebhookError`]; the body is not looked at unless its signature and its time are right.
    pub fn open(
        &self,
        header: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<WebhookEvent, WebhookError> {
        let signed = Signed::parse(header)?;
        if body.len() > BODY_MAX {
            return Err(WebhookError::Body);
        }
        let message = [signed.time.as_bytes(), b".", body].concat();
        // `hmac::verify` takes the same time wherever the difference is.
        let is_signed = signed
            .signatures
            .iter()
            .any(|signature| hmac::verify(&self.key, &message, signature).is_ok());
        if !is_signed {
            return Err(WebhookError::Signature);
        }
        let time: u64 = signed.time.parse().map_err(|_| WebhookError::Header)?;
        if time.abs_diff(now.micros() / MICROS) > TOLERANCE_S {
            return Err(WebhookError::Stale);
        }
        parse(body)
    }
}

struct Signed<'a> {
    time: &'a str,
    signatures: Vec<[u8; 32]>,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Result<Self, WebhookError> {
        if header.len() > HEADER_MAX {
            return Err(WebhookError::Header);
        }
        let (mut time, mut signatures) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", text)) => time = Some(text),
                Some(("v1", hex)) if signatures.len() < SIGNATURES_MAX => {
                    signatures.extend(from_hex(hex));
                }
                // Other schemes, such as the v0 of test mode.
                _ => {}
            }
        }
        match time {
            Some(time) if !signatures.is_empty() => Ok(Self { time, signatures }),
            _ => Err(WebhookError::Header),
        }
    }
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn parse(body: &[u8]) -> Result<WebhookEvent, WebhookError> {
    let event: Event = serde_json::from_slice(body).map_err(|_| WebhookError::Body)?;
    let object = event.data.object;
    let ours = object.metadata.unwrap_or_default();
    let payment = ours.openpalm_payment.and_then(|name| name.parse().ok());
    let customer = ours.openpalm_customer.and_then(|name| name.parse().ok());
    let is_about = |kinds: &[&str]| kinds.iter().any(|of| event.kind.starts_with(of));
    // The account may have other payments and pages than ours.
    if is_about(&["checkout.session."]) {
        return Ok(customer.map_or(WebhookEvent::Other, WebhookEvent::CardPage));
    }
    Ok(match payment {
        Some(payment) if is_about(&["refund.", "charge.refund."]) => {
            if object.status.as_deref() == Some("failed") {
                WebhookEvent::RefundFailed(payment)
            } else {
                WebhookEvent::Payment(payment)
            }
        }
        Some(payment) if is_about(&["payment_intent.", "charge."]) => {
            WebhookEvent::Payment(payment)
        }
        _ => WebhookEvent::Other,
    })
}

/// Reads any bytes as a header, a line break and a body, and as a body that is signed rightly; nothing may panic.
#[doc(hidden)]
pub fn fuzz_webhook(bytes: &[u8]) {
    let webhook = Webhook::new(b"whsec_fuzz");
    let now = Timestamp::from_micros(0);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some((header, body)) = text.split_once('\n')
    {
        let opened = webhook.open(header, body.as_bytes(), now);
        assert!(opened.is_err(), "nobody signed this");
    }
    let parsed = parse(bytes);
    drop(parsed);
}
