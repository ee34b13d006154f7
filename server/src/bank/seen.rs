//! What the bank was seen to book earlier: it stands for the statements that are not given again.

use std::collections::BTreeSet;

use palm_proto::id::PayoutId;

use super::{
    Bank, Error, Reference, Table,
    facts::{SettlementRow, settlement_key},
};
use crate::{
    payouts::{State, record},
    reports::{
        Day, Side,
        bank::BankEntry,
        reconcile::{Movement, RailRow},
    },
    store::KEY_MAX,
};

impl Bank {
    /// The bank's entries with those of earlier comparisons added that the rail or we speak of, and without those that
    /// were agreed on then and that nobody speaks of now.
    pub(super) fn with_what_was_seen(
        &self,
        bank: Vec<BankEntry>,
        rail: &[RailRow],
    ) -> Result<Vec<BankEntry>, Error> {
        let name = |row: &RailRow| {
            row.settlement
                .clone()
                .unwrap_or_else(|| row.reference.clone())
        };
        let spoken: BTreeSet<String> = rail.iter().map(name).collect();
        let mut given = BTreeSet::new();
        let mut entries = Vec::with_capacity(bank.len());
        for entry in bank {
            let named = entry.reference.as_ref().filter(|_| !entry.is_return);
            let Some(name) = named.cloned() else {
                entries.push(entry);
                continue;
            };
            let is_first = given.insert((entry.side, name.clone()));
            let is_over = is_first && !spoken.contains(&name);
            let seen = if is_over {
                self.seen(entry.side, &name)?
            } else {
                None
            };
            if seen.is_none_or(|seen| seen.minor != entry.minor) {
                entries.push(entry);
            }
        }
        for row in rail {
            let (name, way) = (name(row), row.movement.side());
            let sides: &[Side] = match row.settlement {
                // It may be owed either way.
                Some(_) => &[Side::Credit, Side::Debit],
                None => &[way],
            };
            if sides
                .iter()
                .any(|side| given.contains(&(*side, name.clone())))
            {
                continue;
            }
            for side in sides {
                let seen = match row.movement {
                    Movement::PayOut | Movement::Return => self.seen_payout(row)?,
                    Movement::Capture | Movement::Refund | Movement::Deposit => {
                        self.seen(*side, &name)?
                    }
                };
                if let Some(seen) = seen {
                    given.insert((*side, name.clone()));
                    entries.push(seen);
                }
            }
        }
        Ok(entries)
    }

    fn seen(&self, side: Side, name: &str) -> Result<Option<BankEntry>, Error> {
        let key = settlement_key(side, name);
        // Longer than any name that is kept.
        if key.len() > KEY_MAX {
            return Ok(None);
        }
        let Some(row) = self.base.store.get(&key)? else {
            return Ok(None);
        };
        let row: SettlementRow = Table::Settlement.decode(&row)?;
        let day = row.day.parse();
        let day = day.map_err(|_| Error::Corrupt(Table::Settlement.name()))?;
        Ok(Some(entry(side, name, row.net_minor, day)))
    }

    /// The bank is known to have paid it, or to have got it back.
    fn seen_payout(&self, row: &RailRow) -> Result<Option<BankEntry>, Error> {
        let Some(id) = Reference::id(&row.reference) else {
            return Ok(None);
        };
        let key = record::key(PayoutId::from_bytes(id));
        let Some(stored) = self.base.store.get(&key)? else {
            return Ok(None);
        };
        let payout: record::PayoutRow = Table::Payout.decode(&stored)?;
        let is_seen = match row.movement {
            Movement::Return => payout.state == State::Returned,
            _ => payout.is_stated,
        };
        let entry = || entry(row.movement.side(), &row.reference, row.minor, row.day);
        Ok(is_seen.then(entry))
    }
}

fn entry(side: Side, name: &str, minor: u64, day: Day) -> BankEntry {
    BankEntry {
        side,
        minor,
        day,
        reference: Some(name.to_owned()),
        bank_reference: None,
        note: String::new(),
        is_return: false,
    }
}
