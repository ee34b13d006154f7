//! Settlements: what a rail pays in one sum, laid beside the bank's one entry.

use std::collections::BTreeMap;

use super::{Break, Finding, Key, Sources, Verdict};
use crate::reports::{Day, Side, money::sum};

/// One settlement.
struct Settlement {
    /// Captures less refunds, pay-outs and fees, in minor units.
    net_minor: i128,
    last_day: Day,
    /// The bank's entry.
    bank: Option<usize>,
}

/// All that the rail's rows name.
pub(super) struct Settlements<'a> {
    sources: &'a Sources<'a>,
    all: BTreeMap<&'a str, Settlement>,
}

impl<'a> Settlements<'a> {
    /// Sums the rail's rows, and takes the bank's entries of these references out of `bank`.
    pub(super) fn take(
        sources: &'a Sources<'a>,
        rail: &BTreeMap<Key<'a>, usize>,
        bank: &mut BTreeMap<Key<'a>, usize>,
    ) -> Self {
        let mut all = BTreeMap::<&str, Settlement>::new();
        for row in rail.values().filter_map(|at| sources.rail.get(*at)) {
            let Some(reference) = row.settlement.as_deref() else {
                continue;
            };
            let signed = row.movement.side().signed(row.minor);
            let fee = i128::from(row.fee_minor).saturating_neg();
            let settlement = all.entry(reference).or_insert(Settlement {
                net_minor: 0,
                last_day: row.day,
                bank: None,
            });
            settlement.net_minor = sum([settlement.net_minor, signed, fee]);
            settlement.last_day = settlement.last_day.max(row.day);
        }
        for (reference, settlement) in &mut all {
            let (side, _) = Side::of(settlement.net_minor);
            let other = match side {
                Side::Credit => Side::Debit,
                Side::Debit => Side::Credit,
            };
            // On the wrong side is a difference, not a thing missing.
            settlement.bank = [side, other]
                .iter()
                .find_map(|side| bank.remove(&(*side, *reference)));
        }
        Self { sources, all }
    }

    /// The day on which the bank booked it. One that comes to nothing is not booked; it is settled with its last row.
    pub(super) fn day(&self, reference: &str) -> Option<Day> {
        let settlement = self.all.get(reference)?;
        match settlement.bank.and_then(|at| self.sources.bank.get(at)) {
            Some(entry) => Some(entry.day),
            None => (settlement.net_minor == 0).then_some(settlement.last_day),
        }
    }

    /// One finding for each of the bank's entries that was taken.
    pub(super) fn findings(&self, sources: &Sources<'_>) -> Vec<Finding> {
        let found = self.all.iter().filter_map(|(reference, settlement)| {
            let entry = sources.bank.get(settlement.bank?)?;
            let booked = entry.side.signed(entry.minor);
            let verdict = if booked == settlement.net_minor {
                Verdict::Matched
            } else {
                Verdict::Broken(Break::AmountDiffers)
            };
            Some(Finding {
                verdict,
                reference: (*reference).to_owned(),
                side: entry.side,
                ours: None,
                rail: None,
                bank: settlement.bank,
                expected_minor: Some(settlement.net_minor),
                found_minor: Some(booked),
                age_days: sources.age(settlement.last_day.min(entry.day)),
                kept: None,
            })
        });
        found.collect()
    }
}
