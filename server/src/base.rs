//! What every part of the upper floor stands on.

use std::{fmt, sync::Arc};

use palm_proto::id::{CustomerId, TillId};

use crate::{
    budget::Budget,
    clock::Clock,
    entropy::Entropy,
    error::Error,
    gallery::palms::Palms,
    rows::Table,
    store::Store,
    vault::{Keyholder, PersonKey, WrappedKey},
    writer::Writer,
};

/// The lower floor and the gallery, shared by all parts.
pub(crate) struct Base {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) writer: Writer,
    pub(crate) keyholder: Arc<Keyholder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) gallery: Arc<Palms>,
    /// Searches of a till.
    pub(crate) searches: Budget<TillId>,
    /// Times that a person is recognised.
    pub(crate) matches: Budget<CustomerId>,
    /// Held by whoever adds palms or removes them, from the look at the gallery to its change: two enrolments of one
    /// palm at once must not both find it free.
    pub(crate) palms: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base")
    }
}

impl Base {
    /// 16 random bytes.
    pub(crate) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Counts a search of a till.
    ///
    /// # Errors
    /// [`Error::TooManySearches`].
    pub(crate) fn count_search(&self, till: &TillId) -> Result<(), Error> {
        let is_left = self.searches.spend(till.clone(), self.clock.now());
        is_left.then_some(()).ok_or(Error::TooManySearches)
    }

    /// Lets the gallery put what changed in order, in the background.
    pub(crate) fn settle_gallery(&self) {
        let gallery = Arc::clone(&self.gallery);
        drop(tokio::task::spawn_blocking(move || gallery.settle()));
    }

    /// A person's key; `None` when it was destroyed or never was.
    pub(crate) fn person_key(&self, customer: CustomerId) -> Result<Option<PersonKey>, Error> {
        person_key(&*self.store, &self.keyholder, customer)
    }
}

/// A person's key as the store holds it.
pub(crate) fn person_key(
    store: &dyn Store,
    keyholder: &Keyholder,
    customer: CustomerId,
) -> Result<Option<PersonKey>, Error> {
    let table = Table::CustomerKey;
    let Some(wrapped) = store.get(&table.key(&[&customer.to_bytes()]))? else {
        return Ok(None);
    };
    let wrapped = WrappedKey::from_bytes(&wrapped).map_err(|_| Error::Corrupt(table.name()))?;
    let key = keyholder
        .unwrap(customer, &wrapped)
        .map_err(|_| Error::Corrupt(table.name()))?;
    Ok(Some(key))
}
