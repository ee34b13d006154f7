//! The gallery without encryption: what the sealed one must agree with in tests, and its peer in `./x bench`.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

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
        let samples: Vec<_> = hand
            .flat_map(|((_, own), samples)| samples.iter().map(|sample| (*own, sample)))
            .collect();
        let palm_of = |own| {
            let own = self.people.get(&(probe.hand(), own));
            Ok::<_, Infallible>(own.map(Vec::as_slice).unwrap_or_default())
        };
        let keep = self.policy.coarse_candidates;
        let ranked = || search::rank(&samples, probe, keep, palm_of);
        let Ok(ranking) = self.pool.install(ranked);
        search::decide(&self.policy, &ranking)
    }
}
