//! What follows the encrypted search: the templates of the nearest are opened and compared in full.

use std::sync::Arc;

use palm_models::{
    compare::compare,
    template::{Hand, Template},
};
use palm_proto::{id::CustomerId, reason::ReasonCode};
use rayon::{ThreadPool, prelude::*};

use super::{
    Identity,
    rest::Templates,
    sealed::{Candidate, RecordId},
    search,
};
use crate::{config::Identification, error::Error, limits};

/// The second stage of a search.
#[derive(Debug, Clone)]
pub(super) struct SecondStage {
    pub(super) policy: Identification,
    pub(super) templates: Templates,
    pub(super) pool: Arc<ThreadPool>,
}

impl SecondStage {
    /// The owners of `found` in falling order of similarity.
    pub(super) fn rank(
        &self,
        probe: &Template,
        found: &[Candidate],
        wanted: impl Fn(&CustomerId) -> bool,
    ) -> Result<search::Ranking, Error> {
        let hand = probe.hand();
        let records = found.iter().map(|candidate| candidate.record);
        let records: Vec<_> = records.filter(|record| wanted(&record.customer)).collect();
        self.pool.install(|| {
            let open = |record: RecordId| {
                let template = self.templates.one(hand, record)?;
                Ok(template.map(|template| (record.customer, template)))
            };
            let opened: Result<Vec<_>, Error> = records.into_par_iter().map(open).collect();
            let opened = opened?;
            let samples = opened.iter().flatten();
            let samples: Vec<_> = samples.map(|(own, sample)| (*own, sample)).collect();
            let palm_of = |own| self.templates.of_palm(own, hand);
            search::rank(&samples, probe, self.policy.coarse_candidates, palm_of)
        })
    }

    /// Whose palm it is.
    pub(super) fn identify(
        &self,
        probe: &Template,
        found: &[Candidate],
    ) -> Result<Identity, Error> {
        let ranking = self.rank(probe, found, |_| true)?;
        Ok(search::decide(&self.policy, &ranking))
    }

    /// Whether anybody but this customer could be taken for its owner.
    pub(super) fn is_of_another(
        &self,
        probe: &Template,
        found: &[Candidate],
        customer: CustomerId,
    ) -> Result<bool, Error> {
        let ranking = self.rank(probe, found, |other| *other != customer)?;
        let best = ranking.first();
        Ok(best.is_some_and(|(_, similarity)| *similarity >= self.policy.least()))
    }

    fn are_of_one_palm(&self, a: &Template, b: &Template) -> bool {
        a.hand() == b.hand() && compare(a, b) >= self.policy.agreement()
    }

    /// Whether these samples may be enrolled for this customer; `Some` says why not. `is_of_another` looks for the
    /// sample of an index among everybody else's.
    ///
    /// # Errors
    /// [`Error::SamplesFull`]; those of the store and of `is_of_another`.
    pub(super) fn judge(
        &self,
        customer: CustomerId,
        samples: &[Template],
        mut is_of_another: impl FnMut(usize, &Template) -> Result<bool, Error>,
    ) -> Result<Option<ReasonCode>, Error> {
        for hand in [Hand::Right, Hand::Left] {
            let palm: Vec<&Template> = samples.iter().filter(|s| s.hand() == hand).collect();
            if palm.is_empty() {
                continue;
            }
            if palm.len() < limits::SAMPLES_PER_PALM_MIN {
                return Ok(Some(ReasonCode::SamplesMissing));
            }
            let enrolled = self.templates.of_palm(customer, hand)?;
            if enrolled.len() + palm.len() > limits::SAMPLES_PER_PALM_MAX {
                return Err(Error::SamplesFull);
            }
            if !self.agree(&palm, &enrolled) {
                return Ok(Some(ReasonCode::SamplesDisagree));
            }
        }
        for (index, sample) in samples.iter().enumerate() {
            if is_of_another(index, sample)? {
                return Ok(Some(ReasonCode::AlreadyEnrolled));
            }
        }
        Ok(None)
    }

    /// Whether the samples are of one palm, and of the one that the customer has enrolled for this hand, if any.
    fn agree(&self, palm: &[&Template], enrolled: &[Template]) -> bool {
        let is_enrolled = |sample: &Template| {
            enrolled.is_empty() || enrolled.iter().any(|own| self.are_of_one_palm(sample, own))
        };
        palm.iter().enumerate().all(|(n, sample)| {
            palm[..n]
                .iter()
                .all(|other| self.are_of_one_palm(sample, other))
                && is_enrolled(sample)
        })
    }
}
