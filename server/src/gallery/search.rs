//! One search: a coarse pass over every sample, a full comparison for the best few people, a decision.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
};

use palm_models::{
    compare::{Similarity, TemplateProbe},
    template::Template,
};
use palm_proto::id::CustomerId;
use rayon::prelude::*;

use super::{
    Identity,
    shelf::{Sample, Shelf},
};
use crate::config::Identification;

/// Samples of one person that lie together, and how they did in the coarse pass.
struct Candidate<'a> {
    coarse: Similarity,
    samples: &'a [Option<Sample>],
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.coarse.cmp(&other.coarse)
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}

/// The best few of what was seen so far.
struct Best<'a> {
    keep: usize,
    heap: BinaryHeap<Reverse<Candidate<'a>>>,
}

impl<'a> Best<'a> {
    fn new(keep: usize) -> Self {
        Self {
            keep,
            heap: BinaryHeap::with_capacity(keep + 1),
        }
    }

    fn with(mut self, candidate: Candidate<'a>) -> Self {
        let worst = self.heap.peek();
        if self.heap.len() < self.keep || worst.is_some_and(|Reverse(worst)| candidate > *worst) {
            self.heap.push(Reverse(candidate));
            if self.heap.len() > self.keep {
                self.heap.pop();
            }
        }
        self
    }

    fn merged(self, other: Self) -> Self {
        other
            .heap
            .into_iter()
            .fold(self, |best, Reverse(candidate)| best.with(candidate))
    }
}

/// People in falling order of similarity.
pub(super) type Ranking = Vec<(CustomerId, Similarity)>;

/// People among those `wanted` in falling order of similarity; at most `keep` of them, those that led the coarse pass.
pub(super) fn rank(
    shelf: &Shelf,
    probe: &Template,
    keep: usize,
    wanted: impl Fn(CustomerId) -> bool + Send + Sync,
) -> Ranking {
    let probe = &TemplateProbe::new(probe);
    let best = shelf
        .places()
        .par_chunk_by(|a, b| owner(a) == owner(b))
        .filter(|samples| samples.first().and_then(owner).is_some_and(&wanted))
        .map(|samples| Candidate {
            coarse: coarse(probe, samples),
            samples,
        })
        .fold(|| Best::new(keep), Best::with)
        .reduce(|| Best::new(keep), Best::merged);
    let candidates: Vec<_> = best.heap.into_iter().collect();
    let scored: Vec<_> = candidates
        .into_par_iter()
        .filter_map(|Reverse(candidate)| fine(probe, candidate.samples))
        .collect();
    // Samples that came at different times lie apart: a person counts once, by the best.
    let mut people = BTreeMap::<CustomerId, Similarity>::new();
    for (customer, score) in scored {
        people
            .entry(customer)
            .and_modify(|best| *best = (*best).max(score))
            .or_insert(score);
    }
    let mut ranking: Ranking = people.into_iter().collect();
    ranking.sort_by_key(|(_, score)| Reverse(*score));
    ranking
}

fn owner(place: &Option<Sample>) -> Option<CustomerId> {
    place.as_ref().map(|sample| sample.customer)
}

fn coarse(probe: &TemplateProbe, samples: &[Option<Sample>]) -> Similarity {
    let scores = samples
        .iter()
        .flatten()
        .map(|sample| probe.coarse(&sample.template));
    scores.max().unwrap_or(Similarity::ZERO)
}

fn fine(probe: &TemplateProbe, samples: &[Option<Sample>]) -> Option<(CustomerId, Similarity)> {
    let scores = samples
        .iter()
        .flatten()
        .map(|sample| probe.compare(&sample.template));
    samples.first().and_then(owner).zip(scores.max())
}

/// The one place where a ranking becomes an answer.
pub(super) fn decide(policy: &Identification, ranking: &[(CustomerId, Similarity)]) -> Identity {
    let [(first, best), rest @ ..] = ranking else {
        return Identity::NoMatch;
    };
    let second = rest.first().map_or(Similarity::ZERO, |(_, second)| *second);
    if *best < policy.least() {
        Identity::NoMatch
    } else if best.value() - second.value() < policy.margin_min {
        Identity::Ambiguous
    } else {
        Identity::Match(*first)
    }
}
