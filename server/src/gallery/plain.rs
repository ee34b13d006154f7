//! The gallery without encryption: what the sealed one must agree with in tests, and its peer in `./x bench`.

use std::{collections::BTreeMap, sync::Arc};

use palm_models::template::{Hand, Template};
use palm_proto::id::CustomerId;
use rayon::ThreadPool;

use super::{Identity, search};
use crate::config::Identification;

/// Templates in memory, in the clear.
#[derive(Debug)]
pub struct PlainGallery {
    policy: Identification,
    pool: Arc<ThreadPool>,
    people: BTreeMap<(Hand, CustomerId), Vec<Template>>,
}

impl PlainGallery {
    /// An empty gallery.
    #[must_use]
    pub const fn new(policy: Identification, pool: Arc<ThreadPool>) -> Self {
        Self {
            policy,
            pool,
            people: BTreeMap::new(),
        }
    }

    /// Adds a sample.
    pub fn add(&mut self, customer: CustomerId, sample: Template) {
        let own = self.people.entry((sample.hand(), customer));
        own.or_default().push(sample);
    }

    /// Whose palm this is.
    #[must_use]
    pub fn identify(&self, probe: &Template) -> Identity {
        let hand = self
            .people
            .iter()
            .filter(|((hand, _), _)| *hand == probe.hand());
        let people: Vec<_> = hand
            .map(|((_, own), samples)| (*own, samples.as_slice()))
            .collect();
        let keep = self.policy.coarse_candidates;
        let ranking = self.pool.install(|| search::rank(&people, probe, keep));
        search::decide(&self.policy, &ranking)
    }
}
