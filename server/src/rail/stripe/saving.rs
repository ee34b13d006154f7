//! Saving a card on the provider's hosted page, and forgetting it.
//!
//! The shop shows [`HostedPage::url`] as a QR code; the customer types the card there, on their own phone, and confirms
//! with the bank where it asks. We learn a token, the brand and the last four digits. The provider is told our
//! customer's id and nothing else: no name, no address, no palm.

use std::fmt;

use palm_proto::id::{CustomerId, RequestId};

use super::{
    CLOCKS_DIFFER_S, Found, KEY_LIFE, Stripe,
    client::{Form, Said, Silence, encode},
    wire::{CheckoutSession, Customer, Expandable, Page, PaymentMethod, Removed},
};
use crate::{
    clock::Timestamp,
    rail::{Instrument, TokenError, looks_like_card_number},
};

/// Cards listed of a customer.
const CARDS_MAX: usize = 20;
/// Stands in an instrument between the provider's customer and payment method, in whose ids it does not occur.
const JOINT: char = ':';

/// The provider's name for a customer, for instance `cus_9s6XKzkNRiz8i3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRef(String);

/// A page of the provider for one customer to save one card on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedPage {
    /// The provider's name for it; with it, [`Stripe::page`] asks how it went.
    pub session: String,
    /// Where it is. To be shown as a QR code; it is good for one card, and for a day.
    pub url: String,
    /// When it closes by itself, where the provider says so.
    pub expires: Option<Timestamp>,
}

/// How it went with a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageStanding {
    /// No card yet.
    Open,
    /// This card was saved on it.
    Saved(SavedCard),
    /// None was, and none can be any more.
    Expired,
}

/// A card that can be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedCard {
    /// What to charge.
    pub instrument: Instrument,
    /// For instance `visa`.
    pub brand: String,
    /// The last four digits of its number.
    pub last4: String,
    /// Month (1 to 12) and year after which it is void.
    pub expires: (u8, u16),
}

/// Why a card was not saved, or not forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The provider was not reached or did not answer. Doing it again does it once.
    #[error("the card provider did not answer: try again")]
    Unavailable,
    /// The provider does not do this.
    #[error("the card provider refused: check the account's settings")]
    Refused,
    /// A text that looks like a card number, or is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<Silence> for SaveError {
    fn from(_: Silence) -> Self {
        Self::Unavailable
    }
}

impl CustomerRef {
    /// Takes the provider's name for a customer as it was kept.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn new(text: impl Into<String>) -> Result<Self, TokenError> {
        let text = text.into();
        if looks_like_card_number(&text) {
            return Err(TokenError::CardNumber);
        }
        let is_right = text.starts_with("cus_")
            && text.len() <= 64
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        is_right.then_some(Self(text)).ok_or(TokenError::Shape)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Stripe {
    /// Makes a customer at the provider, once for each of ours. `since` is when that was first tried: what was made
    /// longer ago than the provider remembers requests is looked for.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn create_customer(
        &self,
        customer: CustomerId,
        since: Timestamp,
    ) -> Result<CustomerRef, SaveError> {
        let ago_us = self.clock.now().micros().saturating_sub(since.micros());
        if u128::from(ago_us) > KEY_LIFE.as_micros() {
            let since_s = (since.micros() / 1_000_000).saturating_sub(CLOCKS_DIFFER_S);
            let query = Form::default().with("created[gte]", since_s);
            let path = "/v1/customers";
            let wanted = customer.to_string();
            let found = self.find(&wanted, path, query, |made: &Customer| {
                let mark = made.metadata.as_ref();
                let mark = mark.and_then(|mark| mark.openpalm_customer.as_deref());
                (made.id.clone(), mark)
            });
            match found.await {
                Found::It(made) => return Ok(CustomerRef::new(made.id)?),
                Found::Nothing => {}
                Found::CannotSay => return Err(SaveError::Unavailable),
            }
        }
        let form = Form::default().with("metadata[openpalm_customer]", customer);
        let path = "/v1/customers".to_owned();
        let key = format!("{customer}-create");
        let made: Customer = done(self.client.post(path, form, key).await?)?;
        Ok(CustomerRef::new(made.id)?)
    }

    /// Removes a customer and every card saved for them from the provider; one that is gone already stays so.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn delete_customer(&self, customer: &CustomerRef) -> Result<(), SaveError> {
        let path = format!("/v1/customers/{}", customer.0);
        match self.client.delete::<Removed>(path).await? {
            Said::Done(removed) if removed.deleted => Ok(()),
            Said::Done(_) => Err(SaveError::Refused),
            Said::Refused(fault) if fault.code.as_deref() == Some("resource_missing") => Ok(()),
            Said::Refused(_) => Err(SaveError::Refused),
        }
    }

    /// Makes a page to save a card on. `request` makes it once; `return_url` is where the provider's page leads when it
    /// is done or given up.
    ///
    /// # Errors
    /// [`SaveError`]; a card number in `return_url` is refused.
    pub async fn open_page(
        &self,
        (ours, customer): (CustomerId, &CustomerRef),
        request: RequestId,
        return_url: &str,
    ) -> Result<HostedPage, SaveError> {
        if looks_like_card_number(return_url) {
            return Err(TokenError::CardNumber.into());
        }
        let form = Form::default()
            .with("mode", "setup")
            .with("customer", &customer.0)
            .with("metadata[openpalm_customer]", ours)
            .with("payment_method_types[0]", "card")
            .with("success_url", return_url)
            .with("cancel_url", return_url);
        let path = "/v1/checkout/sessions".to_owned();
        let key = format!("{request}-page");
        let session: CheckoutSession = done(self.client.post(path, form, key).await?)?;
        let url = session.url.ok_or(SaveError::Refused)?;
        let expires = session.expires_at.and_then(|s| s.checked_mul(1_000_000));
        Ok(HostedPage {
            session: session.id,
            url,
            expires: expires.map(Timestamp::from_micros),
        })
    }

    /// How it went with the page whose [`HostedPage::session`] this is.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn page(&self, session: &str) -> Result<PageStanding, SaveError> {
        let query = Form::default().with("expand[0]", "setup_intent");
        let path = session_path(session);
        let session: CheckoutSession = done(self.client.get(path, query).await?)?;
        if session.status.as_deref() == Some("expired") {
            return Ok(PageStanding::Expired);
        }
        let setup = session
            .setup_intent
            .and_then(Expandable::whole)
            .filter(|setup| setup.status.as_deref() == Some("succeeded"));
        let is_complete = session.status.as_deref() == Some("complete");
        let (Some(method), true) = (setup.and_then(|s| s.payment_method), is_complete) else {
            return Ok(PageStanding::Open);
        };
        let mut path = "/v1/payment_methods/".to_owned();
        encode(&mut path, &method);
        let method: PaymentMethod = done(self.client.get(path, Form::default()).await?)?;
        let card = saved(method, session.customer)?;
        Ok(card.map_or(PageStanding::Open, PageStanding::Saved))
    }

    /// Closes a page, so that no card can be saved on it any more; one that is closed already stays so.
    ///
    /// # Errors
    /// [`SaveError`]; [`SaveError::Refused`] also where a card was saved on it meanwhile.
    pub async fn close_page(&self, session: &str) -> Result<(), SaveError> {
        let path = session_path(session) + "/expire";
        let key = format!("{session}-close");
        let said = self.client.post(path, Form::default(), key).await?;
        let session: CheckoutSession = done(said)?;
        let is_closed = session.status.as_deref() == Some("expired");
        is_closed.then_some(()).ok_or(SaveError::Refused)
    }

    /// The cards saved for a customer, newest first, at most 20.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn cards(&self, customer: &CustomerRef) -> Result<Vec<SavedCard>, SaveError> {
        let query = Form::default()
            .with("customer", &customer.0)
            .with("type", "card")
            .with("limit", CARDS_MAX);
        let path = "/v1/payment_methods".to_owned();
        let page: Page<PaymentMethod> = done(self.client.get(path, query).await?)?;
        let cards = page.data.into_iter().map(|method| saved(method, None));
        cards.filter_map(Result::transpose).collect()
    }

    /// Forgets a card; one that is forgotten already stays so.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn forget_card(&self, instrument: &Instrument) -> Result<(), SaveError> {
        let (_, method) = parts(instrument);
        let mut path = "/v1/payment_methods/".to_owned();
        encode(&mut path, method);
        path.push_str("/detach");
        let key = format!("{method}-detach");
        let said: Said<PaymentMethod> = self.client.post(path, Form::default(), key).await?;
        if let Said::Done(_) = said {
            return Ok(());
        }
        // Belonging to nobody, or not being there, is what was wanted.
        let mut path = "/v1/payment_methods/".to_owned();
        encode(&mut path, method);
        match self
            .client
            .get::<PaymentMethod>(path, Form::default())
            .await?
        {
            Said::Done(method) if method.customer.is_none() => Ok(()),
            Said::Refused(fault) if fault.code.as_deref() == Some("resource_missing") => Ok(()),
            Said::Done(_) | Said::Refused(_) => Err(SaveError::Refused),
        }
    }
}

fn done<T>(said: Said<T>) -> Result<T, SaveError> {
    match said {
        Said::Done(done) => Ok(done),
        Said::Refused(fault) => {
            tracing::warn!(code = fault.code.as_deref(), "provider: refused");
            Err(SaveError::Refused)
        }
    }
}

fn session_path(session: &str) -> String {
    let mut path = "/v1/checkout/sessions/".to_owned();
    encode(&mut path, session);
    path
}

fn saved(method: PaymentMethod, customer: Option<String>) -> Result<Option<SavedCard>, SaveError> {
    let Some(card) = method.card else {
        return Ok(None);
    };
    let instrument = match method.customer.or(customer) {
        Some(customer) => Instrument::new(format!("{customer}{JOINT}{}", method.id))?,
        None => Instrument::new(method.id)?,
    };
    Ok(Some(SavedCard {
        instrument,
        brand: card.brand,
        last4: card.last4,
        expires: (card.exp_month, card.exp_year),
    }))
}

/// The provider's customer, where the instrument names one, and payment method.
pub(super) fn parts(instrument: &Instrument) -> (Option<&str>, &str) {
    match instrument.as_str().split_once(JOINT) {
        Some((customer, method)) => (Some(customer), method),
        None => (None, instrument.as_str()),
    }
}

impl fmt::Display for CustomerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
