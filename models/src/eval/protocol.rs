//! Which samples are compared with which.
//!
//! **Cross-session**: every sample of a later session (probe) with every sample of the first (reference). **All
//! pairs**: every two samples once, whatever their session. A comparison is mated when both are of one hand; hands of
//! different sides are compared too, since a left is mirrored to a right before its code is made.
//!
//! Rank 1, cross-session: a probe counts as found when the best of all references of its own hand scores strictly
//! higher than every reference of every other; "one reference" keeps only the first reference of each hand. Rank 1,
//! all pairs: when the most similar other sample is of its own hand (leave one out). Probes without a mate are left
//! out.

use std::collections::BTreeMap;

use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use super::metrics::{Rate, Scores};

/// Hands that a search hands on to a closer look.
pub const SHORT_LIST: usize = 32;

/// One sample of one hand; `C` is what is compared.
#[derive(Debug, Clone)]
pub struct Sample<C> {
    /// Index of the hand.
    pub hand: usize,
    /// Session in which it was taken; the lowest is the reference.
    pub session: u32,
    /// What is compared.
    pub code: C,
}

/// Which pairs were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Every two samples.
    AllPairs,
    /// Later sessions with the first.
    CrossSession,
}

impl Protocol {
    /// The name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AllPairs => "all_pairs",
            Self::CrossSession => "cross_session",
        }
    }
}

/// What one protocol gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which pairs were compared.
    pub protocol: Protocol,
    /// Their similarities.
    pub scores: Scores,
    /// Probes whose own hand came first.
    pub rank1: Rate,
    /// Probes whose own hand came among the first [`SHORT_LIST`].
    pub short_list: Rate,
    /// The same with one reference a hand; cross-session only.
    pub rank1_one_reference: Option<Rate>,
}

/// Compares every two samples; `prepare` makes of a probe what answers how similar a reference is.
pub fn all_pairs<C: Sync, F: Fn(&C) -> f32>(
    samples: &[Sample<C>],
    prepare: impl Fn(&C) -> F + Sync,
) -> Outcome {
    let everything: Vec<(usize, &Sample<C>)> = samples.iter().enumerate().collect();
    let rows = everything
        .par_iter()
        .map(|(at, probe)| {
            let mut row = Row::default();
            let similarity = prepare(&probe.code);
            for (index, reference) in everything.iter().filter(|(index, _)| index != at) {
                let score = similarity(&reference.code);
                row.rank(probe, reference, score);
                if index < at {
                    row.keep(probe.hand == reference.hand, score);
                }
            }
            row
        })
        .collect();
    let Gathered {
        scores,
        rank1,
        short_list,
    } = gather(rows);
    Outcome {
        protocol: Protocol::AllPairs,
        scores,
        rank1,
        short_list,
        rank1_one_reference: None,
    }
}

/// Compares later sessions with the first; nothing where there is one session only. `prepare` as for [`all_pairs`].
pub fn cross_session<C: Sync, F: Fn(&C) -> f32>(
    samples: &[Sample<C>],
    prepare: impl Fn(&C) -> F + Sync,
) -> Option<Outcome> {
    let first = samples.iter().map(|sample| sample.session).min()?;
    let (references, probes): (Vec<&Sample<C>>, Vec<&Sample<C>>) =
        samples.iter().partition(|sample| sample.session == first);
    if probes.is_empty() {
        return None;
    }
    let score_row = |references: &[&Sample<C>], probe: &Sample<C>| {
        let mut row = Row::default();
        let similarity = prepare(&probe.code);
        for reference in references {
            let score = similarity(&reference.code);
            row.rank(probe, reference, score);
            row.keep(probe.hand == reference.hand, score);
        }
        row
    };
    let all = gather(
        probes
            .par_iter()
            .map(|probe| score_row(&references, probe))
            .collect(),
    );
    let firsts: Vec<&Sample<C>> = references
        .iter()
        .enumerate()
        .filter(|(at, sample)| {
            references[..*at]
                .iter()
                .all(|before| before.hand != sample.hand)
        })
        .map(|(_, sample)| *sample)
        .collect();
    let one = gather(
        probes
            .par_iter()
            .map(|probe| score_row(&firsts, probe))
            .collect(),
    );
    let protocol = Protocol::CrossSession;
    Some(Outcome {
        protocol,
        scores: all.scores,
        rank1: all.rank1,
        short_list: all.short_list,
        rank1_one_reference: Some(one.rank1),
    })
}

/// The comparisons of one probe.
#[derive(Default)]
struct Row {
    genuine: Vec<f32>,
    impostor: Vec<f32>,
    best_mate: Option<f32>,
    /// By hand.
    best_others: BTreeMap<usize, f32>,
}

impl Row {
    fn keep(&mut self, mated: bool, score: f32) {
        if mated {
            self.genuine.push(score)
        } else {
            self.impostor.push(score)
        }
    }

    fn rank<C>(&mut self, probe: &Sample<C>, reference: &Sample<C>, score: f32) {
        let best = if probe.hand == reference.hand {
            self.best_mate.get_or_insert(score)
        } else {
            self.best_others.entry(reference.hand).or_insert(score)
        };
        *best = best.max(score);
    }

    /// How many hands come before the own one; one as good comes before it too.
    fn before(&self) -> Option<usize> {
        let own = self.best_mate.filter(|_| !self.best_others.is_empty())?;
        Some(
            self.best_others
                .values()
                .filter(|best| **best >= own)
                .count(),
        )
    }
}

struct Gathered {
    scores: Scores,
    rank1: Rate,
    short_list: Rate,
}

fn gather(rows: Vec<Row>) -> Gathered {
    let before: Vec<usize> = rows.iter().filter_map(Row::before).collect();
    let within = |rank: usize| Rate {
        hits: before.iter().filter(|before| **before < rank).count(),
        of: before.len(),
    };
    let (rank1, short_list) = (within(1), within(SHORT_LIST));
    let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
    for row in rows {
        genuine.extend(row.genuine);
        impostor.extend(row.impostor);
    }
    Gathered {
        scores: Scores::new(genuine, impostor),
        rank1,
        short_list,
    }
}

#[cfg(test)]
mod tests;
