//! What we did, as a comparison with the bank lists it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bank, Error, PaidIn, Reference, Table, Zone};
use crate::{
    clock::Timestamp,
    limits,
    payments::{
        State,
        record::{PaymentRow, Source},
    },
    payouts::{self, record::PayoutRow},
    reports::{
        Day, Side,
        bank::BankEntry,
        reconcile::{Movement, Ours, RailRow},
    },
};

/// A movement of ours, with the moment that orders it among those of one reference.
struct Moved {
    ours: Ours,
    time_us: u64,
    /// The bank is the only other side: its word that it took the order on, or the slip, stands for a rail's.
    is_with_bank: bool,
}

/// The lists of a comparison: ours, the rail's with what the bank itself took on, and the bank's.
pub(super) struct Lists {
    pub(super) ours: Vec<Ours>,
    pub(super) rail: Vec<RailRow>,
    pub(super) bank: Vec<BankEntry>,
}

impl Bank {
    /// Our movements from a day on, and earlier ones that the rail or the bank speaks of.
    pub(super) fn lists(
        &self,
        from: Day,
        rail: Vec<RailRow>,
        bank: Vec<BankEntry>,
    ) -> Result<Lists, Error> {
        let mut moved = self.payments()?;
        self.payouts(&mut moved)?;
        self.deposits(&mut moved)?;
        let mut by_key: BTreeMap<(Side, String), Vec<Moved>> = BTreeMap::new();
        for row in moved {
            let key = (row.ours.movement.side(), row.ours.reference.clone());
            by_key.entry(key).or_default().push(row);
        }
        let named = named(&rail, &bank);
        let mut lists = Lists {
            ours: Vec::new(),
            bank: numbered_bank(bank, &rail),
            rail: numbered(rail),
        };
        for (key, mut rows) in by_key {
            rows.sort_by_key(|row| row.time_us);
            let recent = rows.iter().filter(|row| row.ours.day >= from).count();
            // As many earlier ones as are spoken of: the newest first.
            let wanted = recent.max(named.get(&key).copied().unwrap_or(0));
            let earlier = rows.len().saturating_sub(wanted);
            for (number, row) in (1_u32..).zip(rows.into_iter().skip(earlier)) {
                let mut ours = row.ours;
                ours.reference = reference(&ours.reference, ours.movement, number);
                if row.is_with_bank {
                    lists.rail.push(RailRow {
                        reference: ours.reference.clone(),
                        movement: ours.movement,
                        minor: ours.minor,
                        fee_minor: 0,
                        day: ours.day,
                        settlement: None,
                    });
                }
                lists.ours.push(ours);
            }
        }
        Ok(lists)
    }

    /// Captures and refunds by the outside rail.
    fn payments(&self) -> Result<Vec<Moved>, Error> {
        let mut moved = Vec::new();
        self.paper.each_payment(|id, payment| {
            let is_captured = matches!(payment.state, State::Captured | State::Refunding);
            let Some(settled) = payment.settle_us.filter(|_| is_captured) else {
                return Ok(());
            };
            if payment.source != Source::Rail {
                return Ok(());
            }
            let reference = known_as(&payment, id.to_bytes());
            let row = |movement, minor, time_us| {
                moved_at(
                    self.zone,
                    (reference.clone(), movement, minor),
                    time_us,
                    false,
                )
            };
            moved.push(row(Movement::Capture, payment.captured_minor, settled));
            if payment.refunds > 0 {
                let done = self.paper.refunds(id)?.into_iter();
                let done = done.filter_map(|refund| Some((refund.minor, refund.settle_us?)));
                moved.extend(done.map(|(minor, time)| row(Movement::Refund, minor, time)));
            }
            Ok(())
        })?;
        Ok(moved)
    }

    fn payouts(&self, moved: &mut Vec<Moved>) -> Result<(), Error> {
        self.each(Table::Payout, |key, row| {
            let row: PayoutRow = Table::Payout.decode(row)?;
            let id = crate::rows::id_at(Table::Payout, key, 0)?;
            let reference = Reference::of_id(id).as_str().to_owned();
            let is_out = row.state.is_posted() || row.state == payouts::State::Returned;
            let minor = row.amount().minor();
            let mut add = |movement, time_us| {
                let what = (reference.clone(), movement, minor);
                moved.push(moved_at(self.zone, what, time_us, true));
            };
            if let Some(time) = row.posted_us.filter(|_| is_out) {
                add(Movement::PayOut, time);
            }
            if let Some(time) = row.returned_us {
                add(Movement::Return, time);
            }
            Ok(())
        })
    }

    fn deposits(&self, moved: &mut Vec<Moved>) -> Result<(), Error> {
        self.each(Table::Deposit, |key, row| {
            let row: PaidIn = Table::Deposit.decode(row)?;
            let reference = String::from_utf8(key.to_vec());
            let reference = reference.map_err(|_| Error::Corrupt(Table::Deposit.name()))?;
            let what = (reference, Movement::Deposit, row.minor);
            moved.push(moved_at(self.zone, what, row.time_us, true));
            Ok(())
        })
    }

    /// Every row of a table: its key without the table's name, and its value.
    fn each(
        &self,
        table: Table,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefix = table.key(&[]);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let part = self
                .base
                .store
                .scan(&prefix, after.as_deref(), limits::SCAN_ROWS)?;
            let Some((last, _)) = part.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (key, row) in &part {
                visit(key.strip_prefix(prefix.as_slice()).unwrap_or(key), row)?;
            }
        }
    }
}

fn moved_at(
    zone: Zone,
    (reference, movement, minor): (String, Movement, u64),
    time_us: u64,
    is_with_bank: bool,
) -> Moved {
    Moved {
        ours: Ours {
            reference,
            movement,
            minor,
            day: zone.day(Timestamp::from_micros(time_us)),
        },
        time_us,
        is_with_bank,
    }
}

/// What the rail calls a payment; our own id where it gave no reference.
fn known_as(payment: &PaymentRow, id: [u8; 16]) -> String {
    let own = || Reference::of_id(id).as_str().to_owned();
    payment.reference.clone().unwrap_or_else(own)
}

/// Several refunds of one payment have one reference at the rail; they are told apart by their order.
fn reference(reference: &str, movement: Movement, number: u32) -> String {
    match (movement, number) {
        (Movement::Refund, 2..) => format!("{reference}#{number}"),
        _ => reference.to_owned(),
    }
}

fn numbered(mut rail: Vec<RailRow>) -> Vec<RailRow> {
    let mut refunds = BTreeMap::<String, u32>::new();
    for row in rail
        .iter_mut()
        .filter(|row| row.movement == Movement::Refund)
    {
        let number = refunds.entry(row.reference.clone()).or_default();
        *number = number.saturating_add(1);
        row.reference = reference(&row.reference, row.movement, *number);
    }
    rail
}

/// The same at a bank that books each refund by itself.
fn numbered_bank(mut bank: Vec<BankEntry>, rail: &[RailRow]) -> Vec<BankEntry> {
    let by_itself = |row: &&RailRow| row.movement == Movement::Refund && row.settlement.is_none();
    let known: BTreeSet<&str> = rail
        .iter()
        .filter(by_itself)
        .map(|row| row.reference.as_str())
        .collect();
    let mut refunds = BTreeMap::<String, u32>::new();
    let out = bank
        .iter_mut()
        .filter(|entry| entry.side == Side::Debit && !entry.is_return);
    for entry in out {
        let name = entry.reference.as_deref().unwrap_or_default();
        if known.contains(name) {
            let number = refunds.entry(name.to_owned()).or_default();
            *number = number.saturating_add(1);
            entry.reference = Some(reference(name, Movement::Refund, *number));
        }
    }
    bank
}

/// How often the rail, or the bank, speaks of a movement.
fn named(rail: &[RailRow], bank: &[BankEntry]) -> BTreeMap<(Side, String), usize> {
    let count = |keys: &mut dyn Iterator<Item = (Side, String)>| {
        let mut counts = BTreeMap::<_, usize>::new();
        for key in keys {
            let count = counts.entry(key).or_default();
            *count = count.saturating_add(1);
        }
        counts
    };
    let mut rail = rail
        .iter()
        .map(|row| (row.movement.side(), row.reference.clone()));
    let mut bank = bank
        .iter()
        .filter_map(|entry| Some((entry.side, entry.reference.clone()?)));
    let mut named = count(&mut rail);
    for (key, number) in count(&mut bank) {
        let known = named.entry(key).or_default();
        *known = number.max(*known);
    }
    named
}
