//! The `stripe` rail: cards saved on the provider's hosted page, charged through its PaymentIntents.
//!
//! | step | call | done when |
//! |---|---|---|
//! | authorise | create and confirm, `off_session`, `capture_method=manual` | `requires_capture` |
//! | capture | capture, `amount_to_capture`; the rest is freed | `succeeded` |
//! | void | cancel | `canceled` |
//! | refund | create a refund, as often as wanted up to what was captured | `succeeded` or `pending` |
//!
//! **The same step again.** Its id is the `Idempotency-Key`: for a day the provider repeats its first answer. An older
//! step is looked up first, and only sent where the provider has no trace of it.
//!
//! **Looking up.** The step's id stands in the metadata of the payment or refund. It is looked for in lists, which are
//! consistent, and not by the provider's search, which lags behind. "No trace" is only said of a step that was last
//! sent [`SETTLED_AFTER`](super::SETTLED_AFTER) ago: a request can still be on its way when its connection is long
//! gone. For as long after a start it is said of none, for what the process before it sent.
//!
//! **Reversing.** The authorisation is sent once more under the same key: that names the payment it made, or makes it
//! now, and keeps one that is still on its way from making another. Then that payment is cancelled. A refund cannot be
//! undone here; it is looked up, which always finds it out.
//!
//! **Amounts** are the provider's minor units: those of ISO 4217, except that the third digit of three-digit currencies
//! must be 0.
//!
//! Written against the public API reference; it has spoken to other people's stand-ins and to our own, never to the
//! provider itself.

use std::{fmt, sync::Arc, time::Duration};

use palm_proto::{money::Money, reason::ReasonCode};

use super::{Action, Answer, Rail, Reference, Step, StepId, sendings::Sendings};
use crate::{clock::Clock, config::rails::StripeConfig, files::FileError};

mod client;
mod decline;
mod saving;
mod webhook;
mod wire;

pub use saving::{CustomerRef, HostedPage, PageStanding, SaveError, SavedCard};
pub use webhook::{BODY_MAX, TOLERANCE_S, Webhook, WebhookError, WebhookEvent, fuzz_webhook};

use client::{Client, Form, Reach, Said, Silence, certificates};
use wire::{IntentStatus, Page, PaymentIntent, Refund};

/// The provider forgets idempotency keys after a day; an hour is left for clocks that differ.
const KEY_LIFE: Duration = Duration::from_secs(23 * 3600);
/// Payments and refunds a page, and pages looked through.
const PAGE: usize = 100;
const PAGES_MAX: usize = 20;
/// How far the provider's clock may be behind ours, in seconds.
const CLOCKS_DIFFER_S: u64 = 300;
const ROOTS_MAX: u64 = 1 << 20;

/// The rail. It keeps nothing but when it last sent what: every answer is the provider's.
#[derive(Debug)]
pub struct Stripe {
    client: Client,
    clock: Arc<dyn Clock>,
    sendings: Sendings,
    return_url: Option<String>,
}

/// Why there is no rail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StripeError {
    /// The file of the API key or of the root certificates cannot be used.
    #[error("rails.stripe: a file cannot be used")]
    File(#[source] FileError),
    /// The file holds no API key.
    #[error(
        "rails.stripe.key: the file must hold one secret key of the provider's dashboard, beginning with sk_ or rk_"
    )]
    Key,
    /// The file holds no certificate.
    #[error("rails.stripe.roots: the file must hold root certificates as PEM")]
    Roots,
}

impl Stripe {
    /// Reads the key file and the root certificates. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StripeError`] names the key of the configuration.
    pub fn new(config: &StripeConfig, clock: Arc<dyn Clock>) -> Result<Self, StripeError> {
        let key = crate::files::read_secret_text(&config.key).map_err(StripeError::File)?;
        let key = key.trim();
        let is_key = (key.starts_with("sk_") || key.starts_with("rk_"))
            && key.len() <= 256
            && key.bytes().all(|c| c.is_ascii_graphic());
        if !is_key {
            return Err(StripeError::Key);
        }
        let roots_pem = if config.base_url.starts_with("https://") {
            let pem = read_roots(&config.roots)?;
            if certificates(&pem) == 0 {
                return Err(StripeError::Roots);
            }
            pem
        } else {
            Vec::new()
        };
        let reach = Reach {
            base_url: config.base_url.trim_end_matches('/').to_owned(),
            roots_pem,
            connect_timeout: config.connect_timeout(),
            timeout: config.timeout(),
        };
        Ok(Self {
            client: Client::new(reach, key),
            sendings: Sendings::new(Arc::clone(&clock)),
            clock,
            return_url: config.return_url.clone(),
        })
    }

    /// Where the provider's pages lead when they are done or given up; `None`: none are opened.
    #[must_use]
    pub fn return_url(&self) -> Option<&str> {
        self.return_url.as_deref()
    }

    fn age(&self, step: &Step) -> Duration {
        Duration::from_micros(self.clock.now().micros().saturating_sub(step.time_us))
    }

    /// Sends a step for the first time, or again while the provider still knows its key.
    async fn ask(&self, step: &Step) -> Answer {
        // At both ends: it is on its way in between, and may be after a time-out.
        self.sendings.note(step.id);
        let answer = match step.action {
            Action::Authorise => self.authorise(step).await,
            Action::Capture | Action::Void => self.settle(step).await,
            Action::Refund => self.refund(step).await,
        };
        if answer == Answer::Unknown {
            self.sendings.note(step.id);
        }
        answer
    }

    /// The payment that the authorisation makes, or made.
    async fn intent(&self, step: &Step) -> Result<Said<PaymentIntent>, Silence> {
        let (customer, method) = saving::parts(&step.instrument);
        let form = amount(step.amount)
            .with_some("customer", customer)
            .with("payment_method", method)
            .with("payment_method_types[0]", "card")
            .with("capture_method", "manual")
            .with("confirm", true)
            .with("off_session", true)
            .with("metadata[openpalm_step]", Key(step.id))
            .with("metadata[openpalm_payment]", step.payment);
        let path = "/v1/payment_intents".to_owned();
        self.client.post(path, form, key(step.id, "")).await
    }

    async fn authorise(&self, step: &Step) -> Answer {
        match self.intent(step).await {
            Ok(Said::Done(intent)) => self.authorised(step, &intent).await,
            Ok(Said::Refused(fault)) => Answer::Declined(decline::reason(&fault)),
            Err(silence) => silence.into(),
        }
    }

    /// What a payment says about the authorisation that made it.
    async fn authorised(&self, step: &Step, intent: &PaymentIntent) -> Answer {
        if !is_about(intent, step.amount) {
            tracing::error!("provider: a payment of another amount than was asked for");
            return Answer::Unknown;
        }
        match intent.status {
            IntentStatus::RequiresCapture | IntentStatus::Succeeded => approved(&intent.id),
            // Nobody is there to confirm at the bank's page: the payment is closed, so that it cannot come to life.
            IntentStatus::RequiresAction | IntentStatus::RequiresConfirmation => {
                match self.cancel(&intent.id, step.id).await {
                    Answer::Approved { .. } => Answer::Declined(ReasonCode::AuthenticationRequired),
                    _ => Answer::Unknown,
                }
            }
            IntentStatus::RequiresPaymentMethod => {
                let fault = intent.last_payment_error.as_ref();
                Answer::Declined(fault.map_or(ReasonCode::CardDeclined, decline::reason))
            }
            IntentStatus::Canceled => Answer::Declined(ReasonCode::HoldGone),
            IntentStatus::Processing | IntentStatus::Other => Answer::Unknown,
        }
    }

    /// Captures or voids. A refusal may mean that an earlier try did it already: the payment itself tells.
    async fn settle(&self, step: &Step) -> Answer {
        let Some(id) = intent_id(step) else {
            return Answer::Declined(ReasonCode::RailRefused);
        };
        let said = if step.action == Action::Capture {
            let path = format!("/v1/payment_intents/{id}/capture");
            let form = Form::default().with("amount_to_capture", step.amount.minor());
            self.client.post(path, form, key(step.id, "")).await
        } else {
            self.cancel_call(&id, key(step.id, "")).await
        };
        match said {
            Ok(Said::Done(intent)) => match settled(step, &intent) {
                // It was done, says the status line, and was not, says the payment.
                Answer::NotSent => Answer::Unknown,
                answer => answer,
            },
            Ok(Said::Refused(fault)) => match self.settled_before(step).await {
                Answer::NotSent => Answer::Declined(decline::reason(&fault)),
                answer => answer,
            },
            Err(silence) => silence.into(),
        }
    }

    /// What the payment says about a capture or a void.
    async fn settled_before(&self, step: &Step) -> Answer {
        let Some(id) = intent_id(step) else {
            return Answer::Declined(ReasonCode::RailRefused);
        };
        let path = format!("/v1/payment_intents/{id}");
        match self.client.get(path, Form::default()).await {
            Ok(Said::Done(intent)) => settled(step, &intent),
            Ok(Said::Refused(_)) => Answer::Declined(ReasonCode::HoldGone),
            Err(_) => Answer::Unknown,
        }
    }

    async fn cancel_call(&self, id: &str, key: String) -> Result<Said<PaymentIntent>, Silence> {
        let path = format!("/v1/payment_intents/{id}/cancel");
        self.client.post(path, Form::default(), key).await
    }

    /// Cancels what an authorisation made; being cancelled already is as good.
    async fn cancel(&self, id: &str, step: StepId) -> Answer {
        match self.cancel_call(id, key(step, "-cancel")).await {
            Ok(Said::Done(intent)) if intent.status == IntentStatus::Canceled => approved(id),
            Ok(Said::Refused(_)) => {
                let path = format!("/v1/payment_intents/{id}");
                match self
                    .client
                    .get::<PaymentIntent>(path, Form::default())
                    .await
                {
                    Ok(Said::Done(intent)) if intent.status == IntentStatus::Canceled => {
                        approved(id)
                    }
                    _ => Answer::Unknown,
                }
            }
            _ => Answer::Unknown,
        }
    }

    async fn refund(&self, step: &Step) -> Answer {
        let Some(id) = charged_id(step) else {
            return Answer::Declined(ReasonCode::RailRefused);
        };
        let form = Form::default()
            .with(charged_by(&id), &id)
            .with("amount", step.amount.minor())
            .with("metadata[openpalm_step]", Key(step.id))
            .with("metadata[openpalm_payment]", step.payment);
        let path = "/v1/refunds".to_owned();
        match self.client.post(path, form, key(step.id, "")).await {
            Ok(Said::Done(refund)) => refunded(step, &id, &refund),
            Ok(Said::Refused(fault)) => Answer::Declined(decline::reason(&fault)),
            Err(silence) => silence.into(),
        }
    }

    /// Looks for the payment that an authorisation made.
    async fn find_intent(&self, step: &Step) -> Answer {
        let (customer, _) = saving::parts(&step.instrument);
        let since = (step.time_us / 1_000_000).saturating_sub(CLOCKS_DIFFER_S);
        let query = Form::default()
            .with_some("customer", customer)
            .with("created[gte]", since);
        let found = self
            .find(
                &Key(step.id).to_string(),
                "/v1/payment_intents",
                query,
                |intent: &PaymentIntent| (intent.id.clone(), step_of(intent.metadata.as_ref())),
            )
            .await;
        match found {
            Found::It(intent) => self.authorised(step, &intent).await,
            Found::Nothing => self.no_trace(step),
            Found::CannotSay => Answer::Unknown,
        }
    }

    async fn find_refund(&self, step: &Step) -> Answer {
        let Some(id) = charged_id(step) else {
            return Answer::Declined(ReasonCode::RailRefused);
        };
        let query = Form::default().with(charged_by(&id), &id);
        let wanted = Key(step.id).to_string();
        let found = self
            .find(&wanted, "/v1/refunds", query, |refund: &Refund| {
                (refund.id.clone(), step_of(refund.metadata.as_ref()))
            })
            .await;
        match found {
            Found::It(refund) => refunded(step, &id, &refund),
            Found::Nothing => self.no_trace(step),
            Found::CannotSay => Answer::Unknown,
        }
    }

    /// Goes through a list, page by page, for what carries an id of ours; `marks` gives the provider's and ours.
    async fn find<T: serde::de::DeserializeOwned>(
        &self,
        wanted: &str,
        path: &str,
        query: Form,
        marks: impl Fn(&T) -> (String, Option<&str>),
    ) -> Found<T> {
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let query = query
                .clone()
                .with("limit", PAGE)
                .with_some("starting_after", after.as_deref());
            let said = self.client.get::<Page<T>>(path.to_owned(), query).await;
            let Ok(Said::Done(page)) = said else {
                return Found::CannotSay;
            };
            let more = page.has_more;
            after = page.data.last().map(|last| marks(last).0);
            if let Some(one) = page
                .data
                .into_iter()
                .find(|one| marks(one).1 == Some(wanted))
            {
                return Found::It(one);
            }
            if !more || after.is_none() {
                return Found::Nothing;
            }
        }
        Found::CannotSay
    }

    fn no_trace(&self, step: &Step) -> Answer {
        if self.sendings.is_settled(step) {
            Answer::NotSent
        } else {
            Answer::Unknown
        }
    }

    async fn undo_authorisation(&self, step: &Step) -> Answer {
        if self.age(step) <= KEY_LIFE {
            match self.intent(step).await {
                Ok(Said::Done(intent)) => {
                    return match intent.status {
                        IntentStatus::Canceled => approved(&intent.id),
                        _ => self.cancel(&intent.id, step.id).await,
                    };
                }
                // Declined, then or now: nothing is held.
                Ok(Said::Refused(_)) => return approved("none"),
                Err(Silence::NotSent | Silence::Unknown) => {
                    self.sendings.note(step.id);
                    return Answer::Unknown;
                }
                // What came of it is found out below; the key says no more.
                Err(Silence::GivenUp) => {}
            }
        }
        match self.find_intent(step).await {
            Answer::Approved { reference } => self.cancel(reference.as_str(), step.id).await,
            Answer::Declined(_) | Answer::NotSent => approved("none"),
            Answer::Unknown => Answer::Unknown,
        }
    }
}

#[tonic::async_trait]
impl Rail for Stripe {
    fn card_provider(&self) -> Option<&Stripe> {
        Some(self)
    }

    async fn send(&self, step: &Step) -> Answer {
        if let Some(reason) = unfit(step.amount) {
            return Answer::Declined(reason);
        }
        if self.age(step) > KEY_LIFE {
            match self.look_up(step).await {
                Answer::NotSent => {}
                answer => return answer,
            }
        }
        self.ask(step).await
    }

    async fn look_up(&self, step: &Step) -> Answer {
        match step.action {
            Action::Authorise => self.find_intent(step).await,
            Action::Capture | Action::Void => match self.settled_before(step).await {
                Answer::NotSent => self.no_trace(step),
                answer => answer,
            },
            Action::Refund => self.find_refund(step).await,
        }
    }

    /// For a refund: [`Answer::Approved`] where the provider has no trace of it, [`Answer::Declined`] where it stands.
    async fn reverse(&self, step: &Step) -> Answer {
        match step.action {
            Action::Authorise => self.undo_authorisation(step).await,
            Action::Refund => match self.find_refund(step).await {
                Answer::NotSent | Answer::Declined(_) => approved("none"),
                Answer::Approved { .. } => Answer::Declined(ReasonCode::RailRefused),
                Answer::Unknown => Answer::Unknown,
            },
            Action::Capture | Action::Void => Answer::Unknown,
        }
    }
}

/// How a search through a list ends.
enum Found<T> {
    It(T),
    Nothing,
    CannotSay,
}

impl From<Silence> for Answer {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::NotSent => Self::NotSent,
            Silence::Unknown | Silence::GivenUp => Self::Unknown,
        }
    }
}

fn step_of(metadata: Option<&wire::Metadata>) -> Option<&str> {
    metadata?.openpalm_step.as_deref()
}

/// A step's id in hex.
struct Key(StepId);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The idempotency key of a call that belongs to a step.
fn key(step: StepId, which: &str) -> String {
    format!("{}{which}", Key(step))
}

fn amount(amount: Money) -> Form {
    Form::default()
        .with("amount", amount.minor())
        .with("currency", amount.currency().code().to_ascii_lowercase())
}

/// Why the provider cannot take this amount: of three minor digits the last must be 0.
fn unfit(amount: Money) -> Option<ReasonCode> {
    let is_fit = amount.currency().minor_digits() < 3 || amount.minor().is_multiple_of(10);
    (!is_fit).then_some(ReasonCode::AmountInvalid)
}

fn is_about(intent: &PaymentIntent, amount: Money) -> bool {
    intent.amount == amount.minor()
        && intent
            .currency
            .eq_ignore_ascii_case(amount.currency().code())
}

/// The payment's id, where the reference is one that can stand in a path.
fn intent_id(step: &Step) -> Option<String> {
    charged_id(step).filter(|id| id.starts_with("pi_"))
}

fn charged_id(step: &Step) -> Option<String> {
    let id = step.reference.as_ref()?.as_str();
    let is_id = id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    is_id.then(|| id.to_owned())
}

/// Payments from before PaymentIntents are charges (`ch_`); they can be refunded, and no more.
fn charged_by(id: &str) -> &'static str {
    if id.starts_with("ch_") {
        "charge"
    } else {
        "payment_intent"
    }
}

/// What the state of a payment says about a capture or a void of it; [`Answer::NotSent`] while it is still held.
fn settled(step: &Step, intent: &PaymentIntent) -> Answer {
    let wanted = match step.action {
        Action::Capture => IntentStatus::Succeeded,
        Action::Authorise | Action::Void | Action::Refund => IntentStatus::Canceled,
    };
    match intent.status {
        status if status == wanted => {
            let captured = intent
                .amount_received
                .unwrap_or_else(|| step.amount.minor());
            if step.action == Action::Capture && captured != step.amount.minor() {
                return Answer::Declined(ReasonCode::HoldGone);
            }
            approved(&intent.id)
        }
        IntentStatus::RequiresCapture => Answer::NotSent,
        IntentStatus::Processing | IntentStatus::Other => Answer::Unknown,
        _ => Answer::Declined(ReasonCode::HoldGone),
    }
}

/// What a refund says. A card's refund is `pending` until the bank takes it, which it does.
fn refunded(step: &Step, id: &str, refund: &Refund) -> Answer {
    if refund.amount != step.amount.minor() {
        tracing::error!("provider: a refund of another amount than was asked for");
        return Answer::Unknown;
    }
    match refund.status.as_deref() {
        Some("succeeded" | "pending") => approved(id),
        Some("failed" | "canceled") => Answer::Declined(ReasonCode::RailRefused),
        _ => Answer::Unknown,
    }
}

/// Done, unless the provider's reference is none that we can keep.
fn approved(id: &str) -> Answer {
    match Reference::new(id) {
        Ok(reference) => Answer::Approved { reference },
        Err(_) => Answer::Unknown,
    }
}

fn read_roots(path: &std::path::Path) -> Result<Vec<u8>, StripeError> {
    use std::io::Read;
    let failed = |source| {
        StripeError::File(FileError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(ROOTS_MAX).read_to_end(&mut pem).map_err(failed)?;
    Ok(pem)
}

#[cfg(test)]
mod tests;
