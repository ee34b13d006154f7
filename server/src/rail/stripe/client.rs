//! The one place that speaks HTTP to the provider: forms out, JSON in, and whether a call can have had an effect.
//!
//! [`ureq`] is a blocking client; each call runs on tokio's pool for blocking work, at most [`CALLS_MAX`] at once. No
//! redirect is followed and no proxy of the environment used: the key goes to the configured host and nowhere else.

use std::{fmt, io, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use ureq::{
    Agent,
    config::Config,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};
use zeroize::Zeroizing;

use super::wire::{ErrorBody, Fault};

/// Calls in progress at once; more wait, within the time-out.
pub(super) const CALLS_MAX: usize = 32;
/// Longest answer that is read, in bytes. A page of 100 refunds has about 100 KiB.
const ANSWER_MAX: u64 = 1 << 20;
/// The version whose shapes [`super::wire`] knows.
const API_VERSION: &str = "2024-06-20";

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Not a byte of the request left this machine, or the provider turned it away at the door.
    NotSent,
    /// It may have been carried out.
    Unknown,
    /// The provider gave it up half-way (status 500) and is done with it: it has had what effect it will have.
    GivenUp,
}

/// What the provider said to a request that it looked at.
#[derive(Debug)]
pub(super) enum Said<T> {
    /// Status 200.
    Done(T),
    /// A refusal: nothing was done, for this reason.
    Refused(Fault),
}

/// Name-value pairs, percent-encoded (`application/x-www-form-urlencoded`).
#[derive(Debug, Default, Clone)]
pub(super) struct Form(String);

impl Form {
    pub(super) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(&mut self.0, name);
        self.0.push('=');
        encode(&mut self.0, &value.to_string());
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Appends a text with all but RFC 3986's unreserved characters percent-encoded.
pub(super) fn encode(out: &mut String, text: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend(['%', HEX[high], HEX[low]]);
        }
    }
}

/// The HTTP client and the account's key.
pub(super) struct Client {
    agent: Agent,
    base_url: String,
    authorisation: Zeroizing<String>,
    slots: Arc<Semaphore>,
    timeout: Duration,
}

/// Prints where it goes; the key is a secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// Where and how long.
#[derive(Debug)]
pub(super) struct Reach {
    /// Without a slash at the end.
    pub(super) base_url: String,
    /// PEM certificates to trust; not looked at for plain HTTP.
    pub(super) roots_pem: Vec<u8>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
}

enum Verb {
    Get,
    Post,
    Delete,
}

impl Client {
    pub(super) fn new(reach: Reach, key: &str) -> Self {
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(reach.connect_timeout))
            .timeout_global(Some(reach.timeout))
            .max_idle_connections_per_host(CALLS_MAX)
            .user_agent("openpalm")
            .tls_config(tls(&reach.roots_pem))
            .build();
        Self {
            agent: config.new_agent(),
            base_url: reach.base_url,
            authorisation: Zeroizing::new(format!("Bearer {key}")),
            slots: Arc::new(Semaphore::new(CALLS_MAX)),
            timeout: reach.timeout,
        }
    }

    /// Reads something; `path` begins with `/v1/` and holds no outside text that is not encoded.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: String,
        query: Form,
    ) -> Result<Said<T>, Silence> {
        let path = match query.as_str() {
            "" => path,
            query => format!("{path}?{query}"),
        };
        self.call(Verb::Get, path, Form::default(), None).await
    }

    /// Changes something. The same `idempotency_key` again gets the first answer again (the provider keeps it for a
    /// day).
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: String,
        form: Form,
        idempotency_key: String,
    ) -> Result<Said<T>, Silence> {
        self.call(Verb::Post, path, form, Some(idempotency_key))
            .await
    }

    /// Removes something; doing it twice is doing it once.
    pub(super) async fn delete<T: DeserializeOwned>(
        &self,
        path: String,
    ) -> Result<Said<T>, Silence> {
        self.call(Verb::Delete, path, Form::default(), None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        verb: Verb,
        path: String,
        form: Form,
        idempotency_key: Option<String>,
    ) -> Result<Said<T>, Silence> {
        let slot = tokio::time::timeout(self.timeout, Arc::clone(&self.slots).acquire_owned());
        let Ok(Ok(slot)) = slot.await else {
            return Err(Silence::NotSent);
        };
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.base_url));
        let authorisation = self.authorisation.clone();
        let call = tokio::task::spawn_blocking(move || {
            let outcome = exchange(&agent, verb, &url, &form, &authorisation, idempotency_key);
            drop(slot);
            outcome
        });
        // A pool that is shutting down may have begun the call or not.
        let outcome = call.await.map_err(|_| Silence::Unknown)?;
        let (status, body) = outcome.map_err(|error| {
            let silence = silence(&error);
            tracing::warn!(?silence, "provider: {}", kind(&error));
            silence
        })?;
        read(status, &body)
    }
}

fn exchange(
    agent: &Agent,
    verb: Verb,
    url: &str,
    form: &Form,
    authorisation: &str,
    idempotency_key: Option<String>,
) -> Result<(u16, Vec<u8>), ureq::Error> {
    const AUTHORISATION: &str = "Authorization";
    const VERSION: &str = "Stripe-Version";
    let mut response = match verb {
        Verb::Get => agent
            .get(url)
            .header(AUTHORISATION, authorisation)
            .header(VERSION, API_VERSION)
            .call()?,
        Verb::Delete => agent
            .delete(url)
            .header(AUTHORISATION, authorisation)
            .header(VERSION, API_VERSION)
            .call()?,
        Verb::Post => {
            let mut request = agent
                .post(url)
                .header(AUTHORISATION, authorisation)
                .header(VERSION, API_VERSION)
                .content_type("application/x-www-form-urlencoded");
            if let Some(key) = idempotency_key {
                request = request.header("Idempotency-Key", key);
            }
            request.send(form.as_str())?
        }
    };
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_MAX);
    Ok((status, body.read_to_vec()?))
}

/// What an answer says. The provider's rules: 400, 402 and 404 are final refusals; 401, 403 and 429 turn a request away
/// before anything is done; 409 is another request with the same key still at work; what 5xx did is not known.
fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<Said<T>, Silence> {
    match status {
        200 => match serde_json::from_slice(body) {
            Ok(done) => Ok(Said::Done(done)),
            Err(_) => {
                tracing::warn!("provider: an answer that cannot be read");
                Err(Silence::Unknown)
            }
        },
        400 | 402 | 404 => match serde_json::from_slice::<ErrorBody>(body) {
            // The key was used with other content: what that other request did must be looked up.
            Ok(body) if body.error.is_key_reused() => Err(Silence::Unknown),
            Ok(body) => Ok(Said::Refused(body.error)),
            Err(_) => Err(Silence::Unknown),
        },
        401 | 403 => {
            tracing::error!(status, "provider: the key is not accepted: check its file");
            Err(Silence::NotSent)
        }
        429 => {
            tracing::warn!("provider: too many requests");
            Err(Silence::NotSent)
        }
        500 if serde_json::from_slice::<ErrorBody>(body).is_ok() => {
            tracing::warn!("provider: failed half-way");
            Err(Silence::GivenUp)
        }
        _ => {
            tracing::warn!(status, "provider: no answer that can be used");
            Err(Silence::Unknown)
        }
    }
}

/// Whether a request that failed so can have reached the provider. Certainty only where nothing was connected; all
/// else may have been carried out.
fn silence(error: &ureq::Error) -> Silence {
    use io::ErrorKind;
    use ureq::{Error, Timeout};
    match error {
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::BadUri(_)
        | Error::Http(_)
        | Error::RequireHttpsOnly(_)
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => Silence::NotSent,
        Error::Io(error) => {
            let never_connected = matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::AddrNotAvailable
            );
            let is_wrong_certificate = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)));
            if never_connected || is_wrong_certificate {
                Silence::NotSent
            } else {
                Silence::Unknown
            }
        }
        _ => Silence::Unknown,
    }
}

/// A failure in words without anything of the request or the answer.
fn kind(error: &ureq::Error) -> &'static str {
    use ureq::Error;
    match error {
        Error::HostNotFound => "the host's name is not known: check rails.stripe.base_url",
        Error::ConnectionFailed => "no connection",
        Error::Timeout(_) => "no answer in time",
        Error::Tls(_) | Error::Rustls(_) => "TLS failed",
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused"
        }
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            "TLS failed: check rails.stripe.roots"
        }
        Error::Io(_) => "the connection broke",
        Error::Protocol(_) => "no HTTP",
        _ => "the call failed",
    }
}

fn tls(roots_pem: &[u8]) -> TlsConfig {
    let roots: Vec<Certificate<'static>> = parse_pem(roots_pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// How many certificates a PEM text holds.
pub(super) fn certificates(pem: &[u8]) -> usize {
    parse_pem(pem)
        .filter(|item| matches!(item, Ok(PemItem::Certificate(_))))
        .count()
}
