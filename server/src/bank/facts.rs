//! What a bank's statement proves, and what is booked of it: pay-outs that left or came back, settlements that arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use palm_proto::{id::PayoutId, money::Money};
use serde::{Deserialize, Serialize};

use super::{
    AccountId, Bank, BankRefusal, Error, Kind, Reference, Table, Transaction, Transfer, TransferId,
    at_bank, rows,
};
use crate::{
    clock::Timestamp,
    entropy::Entropy,
    limits,
    payouts::{
        life::Event,
        record::{self, Effect},
    },
    reports::{
        Day, Side,
        bank::BankEntry,
        reconcile::{Break, Finding, Movement, RailRow, Reconciliation, Verdict},
    },
};

/// What the bank was seen to book for a rail or a deposit, as it is kept: so that it is booked once here, and known
/// when the statement is not given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SettlementRow {
    pub(super) net_minor: u64,
    fee_minor: u64,
    /// The bank's day.
    pub(super) day: String,
    time_us: u64,
}

pub(super) fn settlement_key(side: Side, reference: &str) -> Vec<u8> {
    let side = match side {
        Side::Credit => b'c',
        Side::Debit => b'd',
    };
    Table::Settlement.key(&[&[side], reference.as_bytes()])
}

/// What a rail paid, or was paid, in one entry of the bank; or cash that was paid in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrival {
    reference: String,
    /// In: from the rail.
    side: Side,
    net_minor: u64,
    fee_minor: u64,
    day: Day,
    /// It was booked when it was paid in.
    is_deposit: bool,
}

impl Bank {
    /// Moves pay-outs on that a statement shows leaving or coming back, with the same reference and amount; gives how
    /// many moved.
    pub(super) async fn book_payouts(&self, bank: &[BankEntry]) -> Result<u32, Error> {
        // First what left, so that it can come back.
        let left = bank
            .iter()
            .filter_map(|entry| payout_fact(entry, Event::Settle));
        let back = bank
            .iter()
            .filter_map(|entry| payout_fact(entry, Event::Return));
        let facts: Vec<(PayoutId, Event, u64)> = left.chain(back).collect();
        let mut booked = 0_u32;
        for part in facts.chunks(limits::BANK_FACTS_A_WRITE) {
            let part = part.to_vec();
            let (entropy, now) = (Arc::clone(&self.base.entropy), self.base.clock.now());
            let writing = self.base.writer.write(move |tx| {
                let mut moved = 0_u32;
                for (id, event, minor) in part {
                    let is_moved = settle_payout(tx, (id, event, minor), now, &*entropy)?;
                    moved = moved.saturating_add(u32::from(is_moved));
                }
                Ok::<_, Error>(moved)
            });
            booked = booked.saturating_add(writing.await?);
        }
        Ok(booked)
    }

    /// Books what a comparison found to have arrived as the rail says: each once. Gives how many.
    pub(super) async fn book_settlements(
        &self,
        outcome: &Reconciliation,
        rail: &[RailRow],
        bank: &[BankEntry],
    ) -> Result<u32, Error> {
        let fees = fees(rail);
        let arrivals = outcome.findings.iter();
        let mut arrivals: Vec<Arrival> = arrivals
            .filter_map(|finding| arrival(finding, rail, bank, &fees))
            .collect();
        // What came in pays for what went out.
        arrivals.sort_by_key(|arrival| arrival.side == Side::Debit);
        let mut booked = 0_u32;
        for part in arrivals.chunks(limits::BANK_FACTS_A_WRITE) {
            let part = part.to_vec();
            let (entropy, now) = (Arc::clone(&self.base.entropy), self.base.clock.now());
            let writing = self.base.writer.write(move |tx| {
                let mut settled = 0_u32;
                for arrival in part {
                    let is_new = settle(tx, &arrival, now, &*entropy)?;
                    settled = settled.saturating_add(u32::from(is_new));
                }
                Ok::<_, Error>(settled)
            });
            booked = booked.saturating_add(writing.await?);
        }
        Ok(booked)
    }

    /// A pay-out that came back and is booked so is no more to be looked at: its entry is one like any other.
    pub(super) fn with_known_returns(
        &self,
        mut bank: Vec<BankEntry>,
    ) -> Result<Vec<BankEntry>, Error> {
        for entry in &mut bank {
            let Some((id, _, minor)) = payout_fact(entry, Event::Return) else {
                continue;
            };
            let Some(row) = self.base.store.get(&record::key(id))? else {
                continue;
            };
            let row: record::PayoutRow = Table::Payout.decode(&row)?;
            if row.returned_us.is_some() && row.amount().minor() == minor {
                entry.is_return = false;
            }
        }
        Ok(bank)
    }
}

/// The pay-out that an entry speaks of, if that is what it may be.
fn payout_fact(entry: &BankEntry, event: Event) -> Option<(PayoutId, Event, u64)> {
    let is_right = match event {
        Event::Settle => entry.side == Side::Debit && !entry.is_return,
        Event::Return => entry.side == Side::Credit && entry.is_return,
        Event::Send | Event::Cancel | Event::Accept | Event::Reject => false,
    };
    let id = Reference::id(entry.reference.as_deref()?)?;
    is_right.then(|| (PayoutId::from_bytes(id), event, entry.minor))
}

/// Whether the pay-out moved on. What cannot be is left for the comparison to tell.
fn settle_payout(
    tx: &mut Transaction<'_>,
    (id, event, minor): (PayoutId, Event, u64),
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<bool, Error> {
    match record::row_of(tx, id) {
        Ok(row) if row.amount().minor() == minor => {}
        Ok(_) | Err(Error::Bank(BankRefusal::PayoutNotFound)) => return Ok(false),
        Err(error) => return Err(error),
    }
    let (mut row, is_moved) = match record::happen(tx, id, event, now, entropy) {
        Ok(Effect::Changed(row)) => (row, true),
        Ok(Effect::Unchanged(row)) => (row, false),
        // It came back and its owner was deleted since: a person has to look.
        Ok(Effect::Refused(_)) | Err(Error::CustomerNotFound) => return Ok(false),
        Err(error) => return Err(error),
    };
    if event == Event::Settle && !row.is_stated {
        row.is_stated = true;
        tx.put(record::key(id), rows::encode(&row));
    }
    Ok(is_moved)
}

/// What each settlement's rows cost; a second row of one movement is none of it.
fn fees(rail: &[RailRow]) -> BTreeMap<&str, u64> {
    let mut seen = BTreeSet::new();
    let mut fees = BTreeMap::<&str, u64>::new();
    for row in rail {
        let is_first = seen.insert((row.movement.side(), row.reference.as_str()));
        if let Some(settlement) = row.settlement.as_deref().filter(|_| is_first) {
            let sum = fees.entry(settlement).or_default();
            *sum = sum.saturating_add(row.fee_minor);
        }
    }
    fees
}

/// What a finding shows to have come from the rail, or to have gone to it.
fn arrival(
    finding: &Finding,
    rail: &[RailRow],
    bank: &[BankEntry],
    fees: &BTreeMap<&str, u64>,
) -> Option<Arrival> {
    let entry = bank.get(finding.bank?)?;
    let is_agreed = matches!(
        finding.verdict,
        Verdict::Matched | Verdict::Broken(Break::Late)
    );
    let is_rails = |row: &RailRow| matches!(row.movement, Movement::Capture | Movement::Refund);
    let row = finding.rail.and_then(|at| rail.get(at));
    let is_deposit = row.is_some_and(|row| row.movement == Movement::Deposit);
    let fee_minor = match row {
        Some(row) if is_rails(row) || is_deposit => row.fee_minor,
        Some(_) => return None,
        // A settlement: the finding has the bank's row alone.
        None if finding.ours.is_none() => *fees.get(finding.reference.as_str())?,
        None => return None,
    };
    is_agreed.then(|| Arrival {
        reference: finding.reference.clone(),
        side: entry.side,
        net_minor: entry.minor,
        fee_minor,
        day: entry.day,
        is_deposit,
    })
}

/// Books a settlement; `false` when it was booked before.
fn settle(
    tx: &mut Transaction<'_>,
    arrival: &Arrival,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<bool, Error> {
    let key = settlement_key(arrival.side, &arrival.reference);
    if tx.get(&key)?.is_some() {
        return Ok(false);
    }
    let currency = tx.ledger().currency();
    let transfer = |(debit, credit), minor| {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        Transfer {
            id: TransferId(id),
            kind: Kind::Direct,
            debit,
            credit,
            amount: Money::balance(minor, currency),
            time: now,
        }
    };
    let net = match arrival.side {
        Side::Credit => (AccountId::Bank, AccountId::Rail),
        Side::Debit => (AccountId::Rail, AccountId::Bank),
    };
    let mut transfers = Vec::new();
    for (accounts, minor) in [
        (net, arrival.net_minor),
        ((AccountId::Fees, AccountId::Rail), arrival.fee_minor),
    ] {
        if minor > 0 && !arrival.is_deposit {
            transfers.push(transfer(accounts, minor));
        }
    }
    tx.post(&transfers).map_err(at_bank)?;
    let row = SettlementRow {
        net_minor: arrival.net_minor,
        fee_minor: arrival.fee_minor,
        day: arrival.day.to_string(),
        time_us: now.micros(),
    };
    tx.put(key, rows::encode(&row));
    Ok(!arrival.is_deposit)
}
