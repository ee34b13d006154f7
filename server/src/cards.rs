//! Cards that customers save on the card provider's page.
//!
//! Opening a page is three steps, each on disk before the next: that it is wanted, what the provider calls the
//! customer, and where the page is. The same request goes on where the last one stopped, and the provider knows both
//! of its questions by ids of ours, so that nothing is made twice. A customer has one page at a time.
//!
//! What the provider calls the customer, the page and the card are sealed under the customer's key. With the customer
//! they go at the provider too (`chores`).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use palm_proto::{
    digits::Digits,
    id::{CardPageId, CustomerId, RequestId},
    request::{ForgetCard, OpenCardPage},
};
use serde::{Deserialize, Serialize};

use crate::{
    base::Base,
    clock::Timestamp,
    customers::customer_key,
    error::Error,
    payments::Asker,
    rail::{
        Rail,
        stripe::{CustomerRef, HostedPage, PageStanding, SaveError, SavedCard, Stripe},
    },
    requests::{self, CardPageRow, RequestRow},
    rows::{Table, text},
    safeguards::Safeguards,
    writer::Transaction,
};

mod chores;
pub(crate) mod instrument;

use instrument::InstrumentRow;

/// What may be shown of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// For instance `visa`.
    pub brand: String,
    /// The last four digits of its number.
    pub last4: String,
    /// The last month in which it is good, 1 to 12.
    pub expire_month: u8,
    /// Its year.
    pub expire_year: u16,
}

/// A page as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardPage {
    /// Whose, and by which request.
    pub id: CardPageId,
    /// How it stands.
    pub standing: Standing,
}

/// How a page stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No card yet.
    Open {
        /// Where it is.
        url: String,
        /// When it closes by itself, where the provider says so.
        expires: Option<Timestamp>,
    },
    /// The customer pays with this card.
    Saved(Card),
    /// Nothing comes of it any more.
    Expired,
}

/// Why nothing was done about a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardError {
    /// No page was opened under this name.
    PageNotFound,
    /// The shop's rail has no page on which customers save their cards.
    PagesMissing,
    /// The card provider does not answer.
    ProviderAway,
    /// The card provider does not do this.
    ProviderRefuses,
}

impl CardError {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::PageNotFound => "there is no such page: open one",
            Self::PagesMissing => {
                "this shop has no page to save cards on: set rails.stripe.return_url in palmd.toml, or set a token by \
                 `palmctl customer instrument`"
            }
            Self::ProviderAway => {
                "the card provider does not answer: send the same request again in a moment"
            }
            Self::ProviderRefuses => {
                "the card provider refuses this: check the account's settings, and send a new request"
            }
        }
    }
}

/// What stands at the provider for a customer; sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ProviderRow {
    /// When the provider was first asked to make the customer.
    since_us: u64,
    /// What it calls them, once it has said so.
    customer: Option<String>,
    page: Option<PageRow>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PageRow {
    #[serde(with = "text")]
    request: RequestId,
    state: PageState,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum PageState {
    /// The provider was, or is to be, asked for it.
    Wanted,
    Open {
        session: String,
        url: String,
        expire_us: Option<u64>,
    },
    Saved,
    Expired,
}

impl PageState {
    fn open(page: HostedPage) -> Self {
        Self::Open {
            session: page.session,
            url: page.url,
            expire_us: page.expires.map(Timestamp::micros),
        }
    }
}

impl From<SavedCard> for InstrumentRow {
    fn from(saved: SavedCard) -> Self {
        let (expire_month, expire_year) = saved.expires;
        Self {
            token: saved.instrument.as_str().to_owned(),
            card: Some(Card {
                brand: saved.brand,
                last4: saved.last4,
                expire_month,
                expire_year,
            }),
        }
    }
}

/// Where customers save their cards.
#[derive(Debug, Clone)]
pub struct Cards {
    base: Arc<Base>,
    safeguards: Safeguards,
    rail: Option<Arc<dyn Rail>>,
    /// Whose page is being opened.
    opening: Arc<Mutex<BTreeSet<CustomerId>>>,
}

/// How far an opening has come.
enum Step {
    Answered(ProviderRow),
    /// The page before it must be closed first.
    Closing(PageRow),
    Going(ProviderRow),
}

impl Cards {
    pub(crate) fn new(
        base: Arc<Base>,
        safeguards: Safeguards,
        rail: Option<Arc<dyn Rail>>,
    ) -> Self {
        Self {
            base,
            safeguards,
            rail,
            opening: Arc::default(),
        }
    }

    fn provider(&self) -> Option<&Stripe> {
        self.rail.as_deref()?.card_provider()
    }

    /// Opens a page. The same request gives the same page.
    ///
    /// # Errors
    /// [`CardError::PagesMissing`]; [`Error::CustomerNotFound`]; [`Error::IdReused`]; [`Error::PermissionDenied`],
    /// [`Error::FactorWrong`] and [`Error::FactorLocked`] for a till; [`Error::Busy`] while another is opened for the
    /// same customer; [`CardError::ProviderAway`] and [`CardError::ProviderRefuses`].
    pub async fn open(&self, request: OpenCardPage, asker: Asker<'_>) -> Result<CardPage, Error> {
        let provider = self
            .provider()
            .ok_or(Error::Card(CardError::PagesMissing))?;
        let return_url = provider
            .return_url()
            .ok_or(Error::Card(CardError::PagesMissing))?;
        let id = CardPageId {
            customer: request.customer,
            request: request.request_id,
        };
        let till = asker.0.map(|till| till.as_str().to_owned());
        let asked = CardPageRow {
            customer: id.customer,
            till,
        };
        let is_known = match self.answered(id.request)? {
            None => false,
            Some(row) if row == asked => true,
            Some(_) => return Err(Error::IdReused),
        };
        if asker.0.is_some() && !is_known {
            self.admit(id.customer, request.current_pin, true).await?;
        }
        let _opening = Opening::begin(&self.opening, id.customer)?;
        let row = match self.begin(id, &asked).await? {
            Step::Closing(before) => {
                self.close(provider, id.customer, before).await?;
                self.begin(id, &asked).await?
            }
            step => step,
        };
        let row = match row {
            Step::Answered(row) => return self.told(id, &row),
            Step::Closing(_) => return Err(Error::Busy),
            Step::Going(row) => row,
        };
        let name = self.name_at(provider, id.customer, &row).await?;
        let page = provider.open_page((id.customer, &name), id.request, return_url);
        let page = PageState::open(page.await.map_err(away)?);
        let writing = self.change(id.customer, move |row| {
            if let Some(kept) = row.page_of(id.request)
                && kept.state == PageState::Wanted
            {
                kept.state = page;
            }
        });
        self.told(id, &writing.await?)
    }

    /// The request that opened a page.
    fn answered(&self, request: RequestId) -> Result<Option<CardPageRow>, Error> {
        let stored = self.base.store.get(&requests::request_key(request))?;
        match stored
            .map(|bytes| Table::Request.decode(&bytes))
            .transpose()?
        {
            None => Ok(None),
            Some(RequestRow::OpenCardPage(row)) => Ok(Some(row)),
            Some(_) => Err(Error::IdReused),
        }
    }

    /// A till acts for a customer who gave their PIN; who has none can save a first card all the same.
    async fn admit(
        &self,
        customer: CustomerId,
        pin: Option<Digits>,
        is_first_free: bool,
    ) -> Result<(), Error> {
        if self.safeguards.prove_if_set(customer, pin).await? {
            return Ok(());
        }
        let store = &self.base.store;
        let kept = instrument::find(&self.base, customer, |key| Ok(store.get(key)?))?;
        if is_first_free && kept.is_none() {
            return Ok(());
        }
        Err(Error::PermissionDenied(
            "this customer has no PIN: let them set one, or ask an operator",
        ))
    }

    /// Notes that a page is wanted.
    async fn begin(&self, id: CardPageId, asked: &CardPageRow) -> Result<Step, Error> {
        let (base, asked) = (Arc::clone(&self.base), asked.clone());
        let writing = self.base.writer.write(move |tx| {
            let mut row = row_of(tx, &base, id.customer)?;
            match requests::answered(tx, id.request)? {
                Some(RequestRow::OpenCardPage(before)) if before == asked => {
                    let page = row.page_of(id.request);
                    return Ok(match page.map(|page| &page.state) {
                        Some(PageState::Wanted) => Step::Going(row),
                        _ => Step::Answered(row),
                    });
                }
                Some(_) => return Err(Error::IdReused),
                None => {}
            }
            if let Some(before) = &row.page
                && let PageState::Open { .. } = before.state
            {
                return Ok(Step::Closing(before.clone()));
            }
            if row.since_us == 0 {
                row.since_us = base.clock.now().micros();
            }
            row.page = Some(PageRow {
                request: id.request,
                state: PageState::Wanted,
            });
            put(tx, &base, id.customer, &row)?;
            requests::keep(tx, id.request, &RequestRow::OpenCardPage(asked));
            Ok(Step::Going(row))
        });
        writing.await
    }

    /// What the provider calls a customer; makes one there unless it has.
    async fn name_at(
        &self,
        provider: &Stripe,
        customer: CustomerId,
        row: &ProviderRow,
    ) -> Result<CustomerRef, Error> {
        let corrupt = |_| Error::Corrupt(Table::CustomerProvider.name());
        if let Some(known) = &row.customer {
            return CustomerRef::new(known.as_str()).map_err(corrupt);
        }
        let since = Timestamp::from_micros(row.since_us);
        let made = provider.create_customer(customer, since).await;
        let made = made.map_err(away)?;
        let name = made.as_str().to_owned();
        // Who was erased meanwhile left word that the provider may have made them.
        let writing = self.change(customer, move |row| row.customer = Some(name));
        writing.await?;
        Ok(made)
    }

    /// Closes a page that a newer one follows; a card that was saved on it is kept.
    async fn close(
        &self,
        provider: &Stripe,
        customer: CustomerId,
        before: PageRow,
    ) -> Result<(), Error> {
        let id = CardPageId {
            customer,
            request: before.request,
        };
        if let (Standing::Open { .. }, PageState::Open { session, .. }) =
            (self.look(id).await?.standing, before.state)
        {
            provider.close_page(&session).await.map_err(away)?;
            let writing = self.change(customer, move |row| {
                if let Some(page) = row.page_of(id.request) {
                    page.state = PageState::Expired;
                }
            });
            writing.await?;
        }
        Ok(())
    }

    /// How it went with a page. A till is told of those that it opened.
    ///
    /// # Errors
    /// [`CardError::PageNotFound`]; [`Error::PermissionDenied`]; [`CardError::ProviderAway`] and
    /// [`CardError::ProviderRefuses`] while it is open.
    pub async fn find(&self, id: CardPageId, asker: Asker<'_>) -> Result<CardPage, Error> {
        let asked = match self.answered(id.request) {
            Ok(Some(row)) if row.customer == id.customer => row,
            Ok(_) | Err(Error::IdReused) => return Err(Error::Card(CardError::PageNotFound)),
            Err(error) => return Err(error),
        };
        match (asker.0, asked.till) {
            (Some(till), opener) if opener.as_deref() != Some(till.as_str()) => Err(
                Error::PermissionDenied("this page is not this till's: ask an operator"),
            ),
            _ => self.look(id).await,
        }
    }

    /// The provider told that something happened on a customer's page: asks how it went.
    pub(crate) async fn look_again(&self, customer: CustomerId) -> Result<(), Error> {
        match self.row(customer)?.page {
            Some(PageRow { request, .. }) => {
                self.look(CardPageId { customer, request }).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// How a page stands, asked of the provider while it is open; a card that was saved is kept.
    async fn look(&self, id: CardPageId) -> Result<CardPage, Error> {
        let mut row = self.row(id.customer)?;
        let open = row.page_of(id.request).map(|page| page.state.clone());
        let Some(PageState::Open { session, .. }) = open else {
            return self.told(id, &row);
        };
        let provider = self
            .provider()
            .ok_or(Error::Card(CardError::PagesMissing))?;
        let standing = provider.page(&session).await.map_err(away)?;
        if standing == PageStanding::Open {
            return self.told(id, &row);
        }
        let base = Arc::clone(&self.base);
        let writing = self.base.writer.write(move |tx| {
            let mut row = row_of(tx, &base, id.customer)?;
            // Whoever came first has kept it.
            if let Some(page) = row.page_of(id.request)
                && matches!(page.state, PageState::Open { .. })
            {
                page.state = PageState::Expired;
                if let PageStanding::Saved(card) = standing {
                    page.state = PageState::Saved;
                    instrument::replace(tx, &base, id.customer, Some(&card.into()))?;
                }
                put(tx, &base, id.customer, &row)?;
            }
            Ok::<_, Error>(row)
        });
        self.told(id, &writing.await?)
    }

    /// Forgets a customer's card here, and at the provider: says whether that is confirmed.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`]; for a till as in [`Self::open`].
    pub async fn forget(&self, request: ForgetCard, asker: Asker<'_>) -> Result<bool, Error> {
        let customer = request.customer;
        if asker.0.is_some() {
            self.admit(customer, request.current_pin, false).await?;
        }
        let base = Arc::clone(&self.base);
        let writing = self.base.writer.write(move |tx| {
            if tx.get(&customer_key(customer))?.is_none() {
                return Err(Error::CustomerNotFound);
            }
            instrument::replace(tx, &base, customer, None)
        });
        writing.await?;
        self.sweep_of(customer).await
    }

    fn row(&self, customer: CustomerId) -> Result<ProviderRow, Error> {
        let store = &self.base.store;
        let table = Table::CustomerProvider;
        let row = instrument::open(&self.base, table, customer, |key| Ok(store.get(key)?))?;
        Ok(row.unwrap_or_default())
    }

    async fn change(
        &self,
        customer: CustomerId,
        change: impl FnOnce(&mut ProviderRow) + Send + 'static,
    ) -> Result<ProviderRow, Error> {
        let base = Arc::clone(&self.base);
        let writing = self.base.writer.write(move |tx| {
            let mut row = row_of(tx, &base, customer)?;
            change(&mut row);
            put(tx, &base, customer, &row)?;
            Ok::<_, Error>(row)
        });
        writing.await
    }

    fn told(&self, id: CardPageId, row: &ProviderRow) -> Result<CardPage, Error> {
        let page = row.page.as_ref().filter(|page| page.request == id.request);
        let standing = match page.map(|page| &page.state) {
            Some(PageState::Open { url, expire_us, .. }) => Standing::Open {
                url: url.clone(),
                expires: expire_us.map(Timestamp::from_micros),
            },
            Some(PageState::Saved) => {
                let store = &self.base.store;
                let kept = instrument::find(&self.base, id.customer, |key| Ok(store.get(key)?))?;
                let card = kept.and_then(|kept| kept.card);
                card.map_or(Standing::Expired, Standing::Saved)
            }
            // Asked for, and given up before the provider answered: the same request opens it.
            Some(PageState::Wanted) => return Err(Error::Card(CardError::ProviderAway)),
            Some(PageState::Expired) | None => Standing::Expired,
        };
        Ok(CardPage { id, standing })
    }
}

impl ProviderRow {
    fn page_of(&mut self, request: RequestId) -> Option<&mut PageRow> {
        self.page.as_mut().filter(|page| page.request == request)
    }
}

/// A customer whose page is being opened, until it is dropped.
struct Opening<'a>(&'a Mutex<BTreeSet<CustomerId>>, CustomerId);

impl<'a> Opening<'a> {
    fn begin(
        opening: &'a Mutex<BTreeSet<CustomerId>>,
        customer: CustomerId,
    ) -> Result<Self, Error> {
        let mut set = opening.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alone = set.insert(customer);
        drop(set);
        is_alone.then(|| Self(opening, customer)).ok_or(Error::Busy)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.remove(&self.1);
    }
}

fn away(error: SaveError) -> Error {
    match error {
        SaveError::Unavailable => Error::Card(CardError::ProviderAway),
        SaveError::Refused | SaveError::Token(_) => Error::Card(CardError::ProviderRefuses),
    }
}

/// What stands at the provider for a customer who is still one.
fn row_of(tx: &Transaction<'_>, base: &Base, customer: CustomerId) -> Result<ProviderRow, Error> {
    if tx.get(&customer_key(customer))?.is_none() {
        return Err(Error::CustomerNotFound);
    }
    let table = Table::CustomerProvider;
    let row = instrument::open(base, table, customer, |key| Ok(tx.get(key)?))?;
    Ok(row.unwrap_or_default())
}

fn put(
    tx: &mut Transaction<'_>,
    base: &Base,
    customer: CustomerId,
    row: &ProviderRow,
) -> Result<(), Error> {
    let sealed = instrument::seal(base, Table::CustomerProvider, customer, row)?;
    tx.put(provider_key(customer), sealed);
    Ok(())
}

fn provider_key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerProvider.key(&[&customer.to_bytes()])
}

/// Forgets the card of a customer who leaves, and leaves word that the provider is to forget them.
pub(crate) fn forget(
    tx: &mut Transaction<'_>,
    base: &Base,
    customer: CustomerId,
) -> Result<(), Error> {
    let row = row_of(tx, base, customer)?;
    if row.since_us > 0 {
        chores::put_delete(tx, base, customer, (row.customer, row.since_us));
    }
    instrument::forget(tx, customer);
    tx.delete(provider_key(customer));
    Ok(())
}
