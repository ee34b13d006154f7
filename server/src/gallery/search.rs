//! Templates against one probe: a coarse comparison with everybody's, a full one with the best few, a decision.

use std::cmp::Reverse;

use palm_models::{
    compare::{Similarity, TemplateProbe},
    template::Template,
};
use palm_proto::id::CustomerId;
use rayon::prelude::*;

use super::Identity;
use crate::config::Identification;

/// People in falling order of similarity.
pub(super) type Ranking = Vec<(CustomerId, Similarity)>;

/// People in falling order of the similarity of their best sample; at most `keep` of them, those that led the coarse
/// comparison. Runs on the current pool of threads.
pub(super) fn rank(people: &[(CustomerId, &[Template])], probe: &Template, keep: usize) -> Ranking {
    let probe = TemplateProbe::new(probe);
    let coarse = |samples: &[Template]| {
        let scores = samples.iter().map(|sample| probe.coarse(sample));
        scores.max().unwrap_or(Similarity::ZERO)
    };
    let fine = |samples: &[Template]| samples.iter().map(|sample| probe.compare(sample)).max();
    let all = people.par_iter();
    let mut best: Vec<_> = all
        .map(|(own, samples)| (coarse(samples), *own, *samples))
        .collect();
    best.sort_unstable_by_key(|(score, own, _)| (Reverse(*score), *own));
    best.truncate(keep);
    let scored = best.into_par_iter();
    let mut ranking: Ranking = scored
        .filter_map(|(_, own, samples)| Some((own, fine(samples)?)))
        .collect();
    ranking.sort_by_key(|(_, score)| Reverse(*score));
    ranking
}

/// The one place where a ranking becomes an answer.
pub(super) fn decide(policy: &Identification, ranking: &[(CustomerId, Similarity)]) -> Identity {
    let [(first, best), rest @ ..] = ranking else {
        return Identity::NoMatch;
    };
    if *best < policy.least() {
        return Identity::NoMatch;
    }
    match rest.first() {
        Some((second, next)) if best.value() - next.value() < policy.margin_min => {
            Identity::Ambiguous([*first, *second])
        }
        _ => Identity::Match(*first),
    }
}
