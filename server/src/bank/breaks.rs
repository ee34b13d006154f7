//! Breaks from one comparison to the next: since when each is known, and which of them somebody has explained.

use std::{collections::BTreeMap, sync::Arc};

use palm_proto::request::CloseBreak;
use serde::{Deserialize, Serialize};

use super::{Bank, BankRefusal, Error, Table, Transaction, rows};
use crate::{
    limits,
    reports::{
        Day, Side,
        reconcile::{Break, Finding, Kept, Reconciliation, Verdict},
    },
};

/// Longest part of a reference that a break is known by, in bytes.
const NAME_MAX: usize = 128;
/// What was explained, and is not in the files any more, is kept for so many days.
const CLOSED_FOR_DAYS: u32 = 400;
/// Longest reference that is kept of a break, in characters.
const REFERENCE_MAX: usize = 128;

/// A break as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BreakRow {
    kind: Break,
    reference: String,
    /// Into the account.
    is_credit: bool,
    expected_minor: Option<i128>,
    found_minor: Option<i128>,
    /// The day of its earliest row.
    day: String,
    first_seen: String,
    /// What somebody found it to be.
    note: Option<String>,
}

fn key(number: u64) -> Vec<u8> {
    Table::Break.key(&[&number.to_be_bytes()])
}

/// Second rows and what came back are known apart from the movement that they belong to; a movement's own break may
/// change its kind from one comparison to the next.
fn name(finding: &Finding) -> Vec<u8> {
    let group = match finding.verdict {
        Verdict::Broken(Break::Duplicate) => b'2',
        Verdict::Broken(Break::Returned) => b'r',
        Verdict::Broken(Break::Incomplete) => b'i',
        Verdict::Broken(_) | Verdict::Matched | Verdict::InTransit => b'm',
    };
    let side = match finding.side {
        Side::Credit => b'c',
        Side::Debit => b'd',
    };
    let mut name = vec![group, side];
    match finding.reference.as_bytes() {
        // Without a name, the amount is the best that there is.
        [] => name.extend_from_slice(finding.open_minor().to_string().as_bytes()),
        reference => name.extend(reference.iter().take(NAME_MAX)),
    }
    name
}

/// Tells breaks apart that are known by the same: the second of a name from the first.
#[derive(Default)]
struct Names(BTreeMap<Vec<u8>, u32>);

impl Names {
    fn of(&mut self, finding: &Finding) -> Vec<u8> {
        let mut name = name(finding);
        let times = self.0.entry(name.clone()).or_default();
        *times = times.saturating_add(1);
        if *times > 1 {
            name.push(b'#');
            name.extend_from_slice(&times.to_be_bytes());
        }
        name
    }
}

impl BreakRow {
    fn new(finding: &Finding, kind: Break, today: Day) -> Self {
        let age = i32::try_from(finding.age_days).unwrap_or(i32::MAX);
        let day = Day::from_epoch(today.since_epoch().saturating_sub(age)).unwrap_or(today);
        Self {
            kind,
            reference: finding.reference.chars().take(REFERENCE_MAX).collect(),
            is_credit: finding.side == Side::Credit,
            expected_minor: finding.expected_minor,
            found_minor: finding.found_minor,
            day: day.to_string(),
            first_seen: today.to_string(),
            note: None,
        }
    }

    fn kept(&self, number: u64) -> Result<Kept, Error> {
        Ok(Kept {
            number,
            first_seen: day(&self.first_seen)?,
            is_closed: self.note.is_some(),
        })
    }

    /// As it is told when this comparison does not speak of it.
    fn finding(self, number: u64, today: Day) -> Result<Finding, Error> {
        let kept = self.kept(number)?;
        let since = day(&self.day)?.min(kept.first_seen);
        Ok(Finding {
            verdict: Verdict::Broken(self.kind),
            reference: self.reference,
            side: if self.is_credit {
                Side::Credit
            } else {
                Side::Debit
            },
            ours: None,
            rail: None,
            bank: None,
            expected_minor: self.expected_minor,
            found_minor: self.found_minor,
            age_days: age(since, today),
            kept: Some(kept),
        })
    }
}

fn day(text: &str) -> Result<Day, Error> {
    text.parse()
        .map_err(|_| Error::Corrupt(Table::Break.name()))
}

fn age(since: Day, today: Day) -> u32 {
    u32::try_from(today.days_after(since)).unwrap_or(0)
}

impl Bank {
    /// Keeps the breaks of a comparison, forgets those whose movement matches now, and adds those of earlier
    /// comparisons that this one does not settle.
    pub(super) async fn keep_breaks(
        &self,
        outcome: Reconciliation,
        today: Day,
    ) -> Result<Reconciliation, Error> {
        let writing = self.base.writer.write(move |tx| {
            let mut outcome = outcome;
            follow(tx, &mut outcome, today)?;
            Ok::<_, Error>(outcome)
        });
        writing.await
    }

    /// Somebody has explained a break. Again, it keeps the last explanation.
    ///
    /// # Errors
    /// [`BankRefusal::BreakNotFound`].
    pub async fn close_break(&self, close: CloseBreak) -> Result<(), Error> {
        let writer = &Arc::clone(&self.base).writer;
        let writing = writer.write(move |tx| {
            let key = key(close.number);
            let row = tx.get(&key)?.ok_or(BankRefusal::BreakNotFound)?;
            let mut row: BreakRow = Table::Break.decode(&row)?;
            row.note = Some(close.note);
            tx.put(key, rows::encode(&row));
            Ok(())
        });
        writing.await
    }
}

fn follow(tx: &mut Transaction<'_>, outcome: &mut Reconciliation, today: Day) -> Result<(), Error> {
    let mut known = stored(tx, today)?;
    let mut room = limits::BREAKS_MAX.saturating_sub(known.len());
    let mut names = Names::default();
    for finding in &mut outcome.findings {
        let name = match finding.verdict {
            Verdict::Broken(_) => names.of(finding),
            Verdict::Matched | Verdict::InTransit => name(finding),
        };
        match (finding.verdict, known.remove(&name)) {
            (Verdict::Broken(kind), Some((number, before))) => {
                let mut row = BreakRow::new(finding, kind, today);
                row.first_seen.clone_from(&before.first_seen);
                // An explanation is of these amounts: others are to be looked at again.
                let amounts = |row: &BreakRow| (row.kind, row.expected_minor, row.found_minor);
                if amounts(&row) == amounts(&before) {
                    row.note.clone_from(&before.note);
                }
                let kept = row.kept(number)?;
                finding.kept = Some(kept);
                finding.age_days = finding.age_days.max(age(kept.first_seen, today));
                if row != before {
                    tx.put(key(number), rows::encode(&row));
                }
            }
            (Verdict::Broken(kind), None) if room > 0 => {
                room = room.saturating_sub(1);
                let number = next_number(tx)?;
                let row = BreakRow::new(finding, kind, today);
                finding.kept = Some(row.kept(number)?);
                tx.put(key(number), rows::encode(&row));
            }
            (Verdict::Matched, Some((number, _))) => tx.delete(key(number)),
            (Verdict::InTransit, Some(before)) => {
                known.insert(name, before);
            }
            (Verdict::Broken(_) | Verdict::Matched | Verdict::InTransit, None) => {}
        }
    }
    // Those that this comparison does not settle.
    for (number, row) in known.into_values() {
        let is_closed = row.note.is_some();
        let finding = row.finding(number, today)?;
        if !is_closed {
            outcome.findings.push(finding);
        } else if finding.age_days > CLOSED_FOR_DAYS {
            tx.delete(key(number));
        }
    }
    outcome.sort();
    Ok(())
}

/// Every break that is kept, by what it is known by.
fn stored(tx: &Transaction<'_>, today: Day) -> Result<BTreeMap<Vec<u8>, (u64, BreakRow)>, Error> {
    let prefix = Table::Break.key(&[]);
    let (mut known, mut names) = (BTreeMap::new(), Names::default());
    for (key, row) in tx.scan(&prefix, None, limits::BREAKS_MAX)? {
        let number = u64::from_be_bytes(rows::id_at(Table::Break, &key, prefix.len())?);
        let row: BreakRow = Table::Break.decode(&row)?;
        let name = names.of(&row.clone().finding(number, today)?);
        known.insert(name, (number, row));
    }
    Ok(known)
}

fn next_number(tx: &mut Transaction<'_>) -> Result<u64, Error> {
    let key = Table::BreakLast.key(&[]);
    let last: Option<[u8; 8]> = tx
        .get(&key)?
        .map(|bytes| bytes.try_into())
        .transpose()
        .map_err(|_| Error::Corrupt(Table::BreakLast.name()))?;
    let number = last.map_or(0, u64::from_be_bytes).saturating_add(1);
    tx.put(key, number.to_be_bytes().to_vec());
    Ok(number)
}
