//! The outside rails in the configuration. Keys and secrets stand in files of their own, which are named here.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Fault, unless};

/// The outside rail that is in use; none by default, and one at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rails {
    /// Saved cards through a provider's PaymentIntents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe: Option<StripeConfig>,
    /// An acquirer's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso8583: Option<Iso8583Config>,
}

impl Rails {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        let is_one = self.stripe.is_none() || self.iso8583.is_none();
        let stripe = unless(is_one, "rails", "name one outside rail only")
            .or_else(|| self.stripe.as_ref().and_then(StripeConfig::fault));
        stripe.or_else(|| self.iso8583.as_ref().and_then(Iso8583Config::fault))
    }

    pub(super) fn settle_paths(&mut self, folder: &Path) {
        if let Some(stripe) = &mut self.stripe {
            let secret = stripe.webhook_secret.iter_mut();
            for path in secret.chain([&mut stripe.key, &mut stripe.roots]) {
                *path = folder.join(&*path);
            }
        }
        if let Some(iso8583) = &mut self.iso8583 {
            iso8583.trace_book = folder.join(&iso8583.trace_book);
        }
    }
}

/// A provider that speaks the Stripe API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeConfig {
    /// File with the secret API key, readable for its owner only. A restricted key needs to write customers, checkout
    /// sessions, payment methods, payment intents and refunds.
    pub key: PathBuf,
    /// File with the secret of the webhook endpoint, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<PathBuf>,
    /// Address on which signed messages of the provider are taken, by plain HTTP: loopback, or behind a proxy that
    /// ends TLS. Needs `webhook_secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_address: Option<SocketAddr>,
    /// Where the provider's page leads a customer's phone when a card is saved or given up: a page of the shop's.
    /// Needed to let customers save cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// Where the provider is; plain HTTP only on loopback.
    #[serde(default = "base_url_default")]
    pub base_url: String,
    /// PEM file of the root certificates that its own must come from.
    #[serde(default = "roots_default")]
    pub roots: PathBuf,
    /// Time to connect, in milliseconds, 100 to 10,000.
    #[serde(default = "connect_timeout_default")]
    pub connect_timeout_ms: u64,
    /// Time for one call, in milliseconds, 100 to 30,000.
    #[serde(default = "call_timeout_default")]
    pub call_timeout_ms: u64,
}

impl StripeConfig {
    /// With defaults for all but the key file.
    #[must_use]
    pub fn new(key: PathBuf) -> Self {
        Self {
            key,
            webhook_secret: None,
            webhook_address: None,
            return_url: None,
            base_url: base_url_default(),
            roots: roots_default(),
            connect_timeout_ms: connect_timeout_default(),
            call_timeout_ms: call_timeout_default(),
        }
    }

    /// Time to connect.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Time for one call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    fn fault(&self) -> Option<Fault> {
        let url = self.base_url.as_str();
        let is_loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
            .iter()
            .any(|host| {
                url.strip_prefix(host)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
            });
        let is_url = (url.starts_with("https://") || is_loopback)
            && url.len() <= 256
            && url
                .bytes()
                .all(|c| c.is_ascii_graphic() && !b"?#@".contains(&c));
        let url = "write an https:// address without user, query or fragment";
        let is_page = |url: &String| {
            url.starts_with("https://")
                && url.len() <= 256
                && url.bytes().all(|c| c.is_ascii_graphic())
        };
        unless(is_url, "rails.stripe.base_url", url)
            .or_else(|| {
                let is_right = self.return_url.as_ref().is_none_or(is_page);
                let remedy = "write the https:// address of a page of the shop's";
                unless(is_right, "rails.stripe.return_url", remedy)
            })
            .or_else(|| {
                let is_right = self.webhook_address.is_none() || self.webhook_secret.is_some();
                let remedy = "name the file of the endpoint's secret, or leave webhook_address out";
                unless(is_right, "rails.stripe.webhook_secret", remedy)
            })
            .or_else(|| {
                let is_right = (100..=10_000).contains(&self.connect_timeout_ms);
                unless(
                    is_right,
                    "rails.stripe.connect_timeout_ms",
                    "write 100 to 10000",
                )
            })
            .or_else(|| {
                let is_right = (100..=30_000).contains(&self.call_timeout_ms);
                unless(
                    is_right,
                    "rails.stripe.call_timeout_ms",
                    "write 100 to 30000",
                )
            })
    }
}

fn base_url_default() -> String {
    "https://api.stripe.com".to_owned()
}

/// Where Debian keeps them.
fn roots_default() -> PathBuf {
    PathBuf::from("/etc/ssl/certs/ca-certificates.crt")
}

const fn connect_timeout_default() -> u64 {
    5_000
}

const fn call_timeout_default() -> u64 {
    20_000
}

/// An acquirer's host that speaks ISO 8583:1987 over TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iso8583Config {
    /// Address of the host. The line to it is the operator's to protect (leased line, VPN or TLS tunnel).
    pub host: SocketAddr,
    /// Field 41, 1 to 8 letters and digits.
    pub terminal: String,
    /// Field 42, 1 to 15 letters and digits.
    pub merchant: String,
    /// Private field that carries the token: 48, 60 to 63 or 120 to 127, as the acquirer says.
    #[serde(default = "token_field_default")]
    pub token_field: u8,
    /// Field 22, three digits: `102` says a credential on file and no PIN pad.
    #[serde(default = "entry_mode_default")]
    pub entry_mode: String,
    /// Minutes that local time is ahead of UTC, for fields 12 and 13: -720 to 840.
    #[serde(default)]
    pub utc_offset_min: i16,
    /// How fields are written.
    #[serde(default)]
    pub encoding: Encoding,
    /// Whether field 39 is packed as digits where numbers are; the standard says characters.
    #[serde(default)]
    pub response_code_packed: bool,
    /// What stands before each message.
    #[serde(default)]
    pub header: Header,
    /// Ten hex digits of a TPDU after the header, where the host wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpdu: Option<String>,
    /// Whether the host wants a sign-on (0800) on each new connection.
    #[serde(default = "yes")]
    pub sign_on: bool,
    /// File that notes which trace number each step got. Without it a step that is in doubt cannot be reversed after a
    /// restart.
    pub trace_book: PathBuf,
    /// Time to connect, in milliseconds, 100 to 10,000.
    #[serde(default = "connect_timeout_default")]
    pub connect_timeout_ms: u64,
    /// Time for an answer, in milliseconds, 100 to 30,000.
    #[serde(default = "answer_timeout_default")]
    pub answer_timeout_ms: u64,
    /// An idle line is tried with an echo (0800) this often, in seconds, 1 to 3,600.
    #[serde(default = "echo_default")]
    pub echo_s: u64,
}

/// How the fields of a message are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Characters, and the bitmap as 8 or 16 bytes.
    #[default]
    Ascii,
    /// Characters, and the bitmap as 16 or 32 hex digits.
    AsciiHex,
    /// Type, lengths and numbers as packed decimals, the bitmap as bytes, all else as characters.
    Packed,
}

/// The length before each message; it does not count itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// Two bytes, the higher one first.
    #[default]
    Bytes2,
    /// Four bytes, the highest first.
    Bytes4,
    /// Four decimal digits.
    Digits4,
}

impl Iso8583Config {
    /// With defaults for all but these.
    #[must_use]
    pub fn new(host: SocketAddr, terminal: &str, merchant: &str, trace_book: PathBuf) -> Self {
        Self {
            host,
            terminal: terminal.to_owned(),
            merchant: merchant.to_owned(),
            token_field: token_field_default(),
            entry_mode: entry_mode_default(),
            utc_offset_min: 0,
            encoding: Encoding::default(),
            response_code_packed: false,
            header: Header::default(),
            tpdu: None,
            sign_on: true,
            trace_book,
            connect_timeout_ms: connect_timeout_default(),
            answer_timeout_ms: answer_timeout_default(),
            echo_s: echo_default(),
        }
    }

    /// Time to connect.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Time for an answer.
    #[must_use]
    pub fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    /// The TPDU's bytes.
    #[must_use]
    pub fn tpdu_bytes(&self) -> Option<[u8; 5]> {
        let text = self.tpdu.as_deref()?;
        if text.len() != 10 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 5];
        for (byte, at) in bytes.iter_mut().zip((0..10).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(bytes)
    }

    fn fault(&self) -> Option<Fault> {
        let is_name = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric())
        };
        let is_digits = |text: &str| text.len() == 3 && text.bytes().all(|c| c.is_ascii_digit());
        let key = "rails.iso8583.terminal";
        unless(
            is_name(&self.terminal, 8),
            key,
            "write 1 to 8 letters and digits",
        )
        .or_else(|| {
            let key = "rails.iso8583.merchant";
            unless(
                is_name(&self.merchant, 15),
                key,
                "write 1 to 15 letters and digits",
            )
        })
        .or_else(|| {
            let is_private = matches!(self.token_field, 48 | 60..=63 | 120..=127);
            let remedy = "write 48, 60 to 63 or 120 to 127";
            unless(is_private, "rails.iso8583.token_field", remedy)
        })
        .or_else(|| {
            let key = "rails.iso8583.entry_mode";
            unless(
                is_digits(&self.entry_mode),
                key,
                "write three digits, such as \"102\"",
            )
        })
        .or_else(|| {
            let is_offset = (-720..=840).contains(&self.utc_offset_min);
            unless(
                is_offset,
                "rails.iso8583.utc_offset_min",
                "write -720 to 840",
            )
        })
        .or_else(|| {
            let is_tpdu = self.tpdu.is_none() || self.tpdu_bytes().is_some();
            unless(
                is_tpdu,
                "rails.iso8583.tpdu",
                "write ten hex digits, or leave it out",
            )
        })
        .or_else(|| self.time_fault())
    }

    fn time_fault(&self) -> Option<Fault> {
        let connect = (100..=10_000).contains(&self.connect_timeout_ms);
        let answer = (100..=30_000).contains(&self.answer_timeout_ms);
        let echo = (1..=3_600).contains(&self.echo_s);
        unless(
            connect,
            "rails.iso8583.connect_timeout_ms",
            "write 100 to 10000",
        )
        .or_else(|| {
            unless(
                answer,
                "rails.iso8583.answer_timeout_ms",
                "write 100 to 30000",
            )
        })
        .or_else(|| unless(echo, "rails.iso8583.echo_s", "write 1 to 3600"))
    }
}

const fn token_field_default() -> u8 {
    48
}

fn entry_mode_default() -> String {
    "102".to_owned()
}

const fn answer_timeout_default() -> u64 {
    20_000
}

const fn echo_default() -> u64 {
    60
}

const fn yes() -> bool {
    true
}
