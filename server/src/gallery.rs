//! The enrolled palms, and whose a probe is.
//!
//! It holds one packed code a sample in memory and answers [`Identity`]: a person, nobody, or "too close to tell"; the
//! thresholds are its own, and no score leaves it. It knows neither money nor names. What it holds is rebuilt at the
//! start from the templates sealed at rest ([`rest`]). A search uses [`limits::SEARCH_THREADS`] threads of its own and
//! blocks its caller: call it from a thread that may block.
//!
//! Start at [`Gallery::identify`], then `search.rs`.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use palm_models::{compare::compare, template::Template};
use palm_proto::id::CustomerId;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{config::Identification, limits};

pub mod rest;
pub mod sealed;
mod search;
mod shelf;

use shelf::Shelves;

/// Whose palm a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Two people are too close together in similarity: ask again, or take another way to pay.
    Ambiguous,
    /// This person, clearly before everybody else.
    Match(CustomerId),
    /// Nobody who is enrolled.
    NoMatch,
}

/// The gallery has no threads to search with: the system gave none.
#[derive(Debug, thiserror::Error)]
#[error("the threads that search the gallery could not be started: raise the limit of threads")]
pub struct GalleryError(#[source] rayon::ThreadPoolBuildError);

/// The enrolled palms.
#[derive(Debug)]
pub struct Gallery {
    policy: Identification,
    samples_max: usize,
    pool: ThreadPool,
    shelves: RwLock<Shelves>,
}

impl Gallery {
    /// An empty gallery for at most `samples_max` samples.
    ///
    /// # Errors
    /// [`GalleryError`].
    pub fn new(policy: Identification, samples_max: usize) -> Result<Self, GalleryError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(limits::SEARCH_THREADS)
            .thread_name(|n| format!("search-{n}"))
            .build()
            .map_err(GalleryError)?;
        Ok(Self {
            policy,
            samples_max,
            pool,
            shelves: RwLock::default(),
        })
    }

    // A panic under the lock leaves at worst a sample too few or too many of one person.
    fn read(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelves> {
        self.shelves.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether so many more samples fit.
    #[must_use]
    pub fn has_room_for(&self, samples: usize) -> bool {
        self.len().saturating_add(samples) <= self.samples_max
    }

    /// Adds samples of one person.
    pub fn add<'a>(&self, customer: CustomerId, samples: impl IntoIterator<Item = &'a Template>) {
        let mut shelves = self.write();
        for sample in samples {
            shelves.of_mut(sample).add(customer, sample);
        }
    }

    /// Removes every sample of a person and wipes their codes.
    pub fn remove(&self, customer: CustomerId) {
        self.write().remove(customer);
    }

    /// Whose palm this is. Only samples of the same hand are looked at.
    #[must_use]
    pub fn identify(&self, probe: &Template) -> Identity {
        let ranking = self.rank(probe, |_| true);
        search::decide(&self.policy, &ranking)
    }

    /// Whether anybody but this customer could be taken for the owner of this palm.
    #[must_use]
    pub fn is_of_another(&self, probe: &Template, customer: CustomerId) -> bool {
        let ranking = self.rank(probe, |other| other != customer);
        ranking
            .first()
            .is_some_and(|(_, similarity)| *similarity >= self.policy.least())
    }

    /// Whether two samples are of one palm.
    #[must_use]
    pub fn are_of_one_palm(&self, a: &Template, b: &Template) -> bool {
        a.hand() == b.hand() && compare(a, b) >= self.policy.agreement()
    }

    /// How a probe fits the samples of its hand that this customer has: `None` when there are none.
    #[must_use]
    pub fn is_of(&self, probe: &Template, customer: CustomerId) -> Option<bool> {
        let shelves = self.read();
        let own = shelves
            .of(probe)
            .into_iter()
            .flat_map(|shelf| shelf.samples_of(customer));
        let best = own.map(|sample| compare(probe, sample)).max()?;
        Some(best >= self.policy.agreement())
    }

    /// Number of samples of the probe's hand that this customer has.
    #[must_use]
    pub fn samples_of(&self, probe: &Template, customer: CustomerId) -> usize {
        self.read()
            .of(probe)
            .map_or(0, |shelf| shelf.samples_of(customer).count())
    }

    fn rank(
        &self,
        probe: &Template,
        wanted: impl Fn(CustomerId) -> bool + Send + Sync,
    ) -> search::Ranking {
        let shelves = self.read();
        let Some(shelf) = shelves.of(probe) else {
            return Vec::new();
        };
        self.pool
            .install(|| search::rank(shelf, probe, self.policy.coarse_candidates, wanted))
    }
}

#[cfg(test)]
mod tests;
