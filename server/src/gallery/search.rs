//! Templates against one probe: a coarse comparison with many samples, a full one with the best sample of those who
//! lead, then with every sample of the first few, and a decision.
//!
//! How much is compared depends on how many samples there are and on nothing else: not on whether one of them is of the
//! probe's palm.

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
/// People of whom every sample is compared in full: whoever comes first or second is among them.
const LEADING: usize = 8;

/// The first few people in falling order of the similarity of their best sample. `samples` are those to look through;
/// the people whose samples lead the coarse comparison are looked at closely, at most `keep` of them; `palm_of` gives
/// every sample of one of the first few. Runs on the current pool of threads.
pub(super) fn rank<S: AsRef<[Template]>, E: Send>(
    samples: &[(CustomerId, &Template)],
    probe: &Template,
    keep: usize,
    palm_of: impl Fn(CustomerId) -> Result<S, E> + Sync,
) -> Result<Ranking, E> {
    let probe = TemplateProbe::new(probe);
    let leading = leading(samples, &probe, keep).into_par_iter();
    let mut ranking: Ranking = leading
        .map(|(own, sample)| (own, probe.compare(sample)))
        .collect();
    sort(&mut ranking);
    ranking.truncate(LEADING);
    let whole = |(own, found): (CustomerId, Similarity)| {
        let samples = palm_of(own)?;
        let scores = samples.as_ref().iter().map(|sample| probe.compare(sample));
        Ok((own, scores.max().unwrap_or(found)))
    };
    let ranking: Result<Ranking, E> = ranking.into_par_iter().map(whole).collect();
    ranking.map(|mut ranking| {
        sort(&mut ranking);
        ranking
    })
}

/// The people of whom a sample leads the coarse comparison, each with the best of theirs.
fn leading<'a>(
    samples: &[(CustomerId, &'a Template)],
    probe: &TemplateProbe,
    keep: usize,
) -> Vec<(CustomerId, &'a Template)> {
    let all = samples.par_iter();
    let coarse = |(own, sample): &(CustomerId, &'a Template)| (*own, probe.coarse(sample), *sample);
    let mut scored: Vec<_> = all.map(coarse).collect();
    scored.sort_by_key(|(own, score, _)| (*own, Reverse(*score)));
    scored.dedup_by_key(|(own, ..)| *own);
    scored.sort_by_key(|(_, score, _)| Reverse(*score));
    scored.truncate(keep);
    let best = scored.into_iter();
    best.map(|(own, _, sample)| (own, sample)).collect()
}

fn sort(ranking: &mut Ranking) {
    ranking.sort_by_key(|(own, score)| (Reverse(*score), *own));
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
