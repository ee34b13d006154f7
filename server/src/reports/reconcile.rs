//! Three-way reconciliation: what we did, what the rail reports, what the bank booked.
//!
//! A movement is known by its reference and its way (in: a capture; out: a refund or a pay-out). Ours and the rail's
//! are laid side by side one to one. The bank books either each movement under its own reference, or a rail's whole
//! settlement (captures less refunds less fees) under the settlement's; the rail's row says which.
//!
//! [`reconcile`] puts every row that it is given into exactly one [`Finding`]; what is a [`Break`] has to be looked at
//! by a person. Nothing is guessed: rows are never matched by amount.

mod paper;
mod settle;

use std::collections::BTreeMap;

use palm_proto::money::Currency;
use serde::{Deserialize, Serialize};

use super::{Day, Side, bank::BankEntry, money::sum};
use settle::Settlements;

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Movement {
    /// A payment, to us.
    Capture,
    /// A payment back, from us.
    Refund,
    /// A wallet paid out, from us.
    PayOut,
    /// A pay-out that came back, to us.
    Return,
    /// Cash that was paid in at the bank, to us.
    Deposit,
}

impl Movement {
    /// Whether the bank books it in or out.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::Capture | Self::Return | Self::Deposit => Side::Credit,
            Self::Refund | Self::PayOut => Side::Debit,
        }
    }
}

/// A movement in our books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its reference, as it was sent to the rail.
    pub reference: String,
    /// What it is.
    pub movement: Movement,
    /// How much, in minor units.
    pub minor: u64,
    /// The day it was booked.
    pub day: Day,
}

/// A movement in the rail's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RailRow {
    /// Our reference, as the rail has it.
    pub reference: String,
    /// What it is.
    pub movement: Movement,
    /// How much, before fees.
    pub minor: u64,
    /// What the rail keeps of it.
    pub fee_minor: u64,
    /// The day the rail has.
    pub day: Day,
    /// The reference of the settlement it is paid with; none when the bank books it by itself.
    pub settlement: Option<String>,
}

/// What is laid side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources<'a> {
    /// Our movements, by outside rails only.
    pub ours: &'a [Ours],
    /// The rail's report.
    pub rail: &'a [RailRow],
    /// What the bank booked.
    pub bank: &'a [BankEntry],
    /// The day that ages are counted to.
    pub today: Day,
    /// The last day that the rail's report covers: what we did later, it cannot have yet.
    pub rail_until: Day,
    /// Days the bank may take from the rail's day on.
    pub settle_days_max: u16,
    /// Of every amount.
    pub currency: Currency,
}

impl Sources<'_> {
    /// Days from one to today; 0 when it lies ahead.
    fn age(&self, earliest: Day) -> u32 {
        u32::try_from(self.today.days_after(earliest)).unwrap_or(0)
    }
}

/// What has to be looked at. In order of precedence: a finding has the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Break {
    /// A second row of the same source with the same reference and way.
    Duplicate,
    /// The bank took an earlier booking back: a pay-out that did not arrive, a capture that was called back.
    Returned,
    /// The rail, or the bank, has it; we do not.
    MissingInOurs,
    /// We have it; the rail does not.
    MissingAtRail,
    /// Ours and the rail's, or the rail's and the bank's, are of different amounts.
    AmountDiffers,
    /// The bank has not booked it in the days it may take.
    MissingAtBank,
    /// The bank has booked it, after more days than it may take.
    Late,
    /// The entries of a statement of the bank do not lead from its opening balance to its closing one.
    Incomplete,
}

impl Break {
    /// For machines: `duplicate`, `missing_in_ours`, ...
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Returned => "returned",
            Self::MissingInOurs => "missing_in_ours",
            Self::MissingAtRail => "missing_at_rail",
            Self::AmountDiffers => "amount_differs",
            Self::MissingAtBank => "missing_at_bank",
            Self::Late => "late",
            Self::Incomplete => "incomplete",
        }
    }
}

/// How rows stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// All agree.
    Matched,
    /// Ours and the rail's agree and the bank may still take its days, or the rail's report ends before it.
    InTransit,
    /// To be looked at.
    Broken(Break),
}

/// How long something has been open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Age {
    /// Today or yesterday.
    UpTo1,
    /// 2 to 7 days.
    UpTo7,
    /// 8 to 30 days.
    UpTo30,
    /// More.
    Over30,
}

impl Age {
    /// All, youngest first.
    pub const ALL: [Self; 4] = [Self::UpTo1, Self::UpTo7, Self::UpTo30, Self::Over30];

    /// Of so many days.
    #[must_use]
    pub const fn of(days: u32) -> Self {
        match days {
            0..=1 => Self::UpTo1,
            2..=7 => Self::UpTo7,
            8..=30 => Self::UpTo30,
            31.. => Self::Over30,
        }
    }

    /// `0-1`, `2-7`, `8-30`, `31+` days.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UpTo1 => "0-1",
            Self::UpTo7 => "2-7",
            Self::UpTo30 => "8-30",
            Self::Over30 => "31+",
        }
    }
}

/// Rows that belong together, by their places in the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How they stand.
    pub verdict: Verdict,
    /// What they are known by; the bank's own reference, or nothing, where nobody gave one.
    pub reference: String,
    /// In or out.
    pub side: Side,
    /// The row of ours.
    pub ours: Option<usize>,
    /// The rail's.
    pub rail: Option<usize>,
    /// The bank's.
    pub bank: Option<usize>,
    /// What ours, or else the rail's side, comes to; signed. None where the bank's row stands alone.
    pub expected_minor: Option<i128>,
    /// What the other side has; signed. None where it has nothing.
    pub found_minor: Option<i128>,
    /// Days from the earliest row to today, or since it was first told where that is longer; 0 when that lies ahead.
    pub age_days: u32,
    /// Where it is kept, once it is.
    pub kept: Option<Kept>,
}

/// A break that is kept from one comparison to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// What it goes by.
    pub number: u64,
    /// The day it was told first.
    pub first_seen: Day,
    /// Somebody has explained it.
    pub is_closed: bool,
}

impl Finding {
    /// The amount that is open: found less expected.
    #[must_use]
    pub fn open_minor(&self) -> i128 {
        let found = self.found_minor.unwrap_or(0);
        found.saturating_sub(self.expected_minor.unwrap_or(0))
    }

    /// What has to be looked at; `None` also for what somebody has explained.
    #[must_use]
    pub fn open_break(&self) -> Option<Break> {
        match self.verdict {
            Verdict::Broken(kind) if !self.kept.is_some_and(|kept| kept.is_closed) => Some(kind),
            Verdict::Broken(_) | Verdict::Matched | Verdict::InTransit => None,
        }
    }
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Every row in exactly one of these: breaks first, the oldest ahead.
    pub findings: Vec<Finding>,
    currency: Currency,
    today: Day,
}

impl Reconciliation {
    /// What has to be looked at, oldest first.
    pub fn breaks(&self) -> impl Iterator<Item = (&Finding, Break)> {
        self.findings
            .iter()
            .filter_map(|finding| Some((finding, finding.open_break()?)))
    }

    /// How many findings are of a kind.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let same = |finding: &&Finding| finding.verdict == verdict;
        self.findings.iter().filter(same).count()
    }

    /// Breaks first, the oldest ahead.
    pub(crate) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| {
            let rank = match finding.verdict {
                Verdict::Broken(_) => 0_u8,
                Verdict::InTransit => 1,
                Verdict::Matched => 2,
            };
            (rank, std::cmp::Reverse(finding.age_days))
        });
    }

    /// How many breaks there are of each kind and age, and what they come to without their signs.
    #[must_use]
    pub fn aged(&self) -> BTreeMap<(Break, Age), (u64, u128)> {
        let mut aged = BTreeMap::<_, (u64, u128)>::new();
        for (finding, kind) in self.breaks() {
            let (count, minor) = aged.entry((kind, Age::of(finding.age_days))).or_default();
            *count = count.saturating_add(1);
            *minor = minor.saturating_add(finding.open_minor().unsigned_abs());
        }
        aged
    }
}

/// What a movement is known by.
type Key<'a> = (Side, &'a str);

/// The first row of each key, and those that came after it.
struct Index<'a> {
    first: BTreeMap<Key<'a>, usize>,
    again: Vec<(Key<'a>, usize)>,
}

impl<'a> Index<'a> {
    fn new(keys: impl Iterator<Item = (Key<'a>, usize)>) -> Self {
        let (mut first, mut again) = (BTreeMap::new(), Vec::new());
        for (key, place) in keys {
            match first.entry(key) {
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(place);
                }
                std::collections::btree_map::Entry::Occupied(_) => again.push((key, place)),
            }
        }
        Self { first, again }
    }
}

/// Lays the three side by side.
#[must_use]
pub fn reconcile(sources: &Sources<'_>) -> Reconciliation {
    let mut desk = Desk::new(sources);
    desk.duplicates();
    desk.movements();
    desk.rest_of_the_bank();
    let mut outcome = Reconciliation {
        findings: desk.findings,
        currency: sources.currency,
        today: sources.today,
    };
    outcome.sort();
    outcome
}

/// What is still to be put somewhere.
struct Desk<'a> {
    sources: &'a Sources<'a>,
    ours: Index<'a>,
    rail: Index<'a>,
    /// What the bank booked under a reference; taken out as it is used.
    bank: Index<'a>,
    /// What it booked without.
    unnamed: Vec<usize>,
    /// What it took back; under the reference of what it took back, on the other side.
    returned: Vec<usize>,
    findings: Vec<Finding>,
}

impl<'a> Desk<'a> {
    fn new(sources: &'a Sources<'a>) -> Self {
        let ours = (0..).zip(sources.ours);
        let rail = (0..).zip(sources.rail);
        let named = (0..).zip(sources.bank).filter_map(|(place, entry)| {
            let reference = entry.reference.as_deref().filter(|_| !entry.is_return)?;
            Some(((entry.side, reference), place))
        });
        let returned = (0..).zip(sources.bank).filter(|(_, entry)| entry.is_return);
        let unnamed = (0..)
            .zip(sources.bank)
            .filter(|(_, entry)| entry.reference.is_none() && !entry.is_return);
        Self {
            sources,
            ours: Index::new(
                ours.map(|(at, row)| ((row.movement.side(), row.reference.as_str()), at)),
            ),
            rail: Index::new(
                rail.map(|(at, row)| ((row.movement.side(), row.reference.as_str()), at)),
            ),
            bank: Index::new(named),
            unnamed: unnamed.map(|(place, _)| place).collect(),
            returned: returned.map(|(place, _)| place).collect(),
            findings: Vec::new(),
        }
    }

    /// Second rows, each by itself.
    fn duplicates(&mut self) {
        let lists = [
            std::mem::take(&mut self.ours.again),
            std::mem::take(&mut self.rail.again),
            std::mem::take(&mut self.bank.again),
        ];
        for (which, list) in (0..).zip(lists) {
            for ((side, reference), place) in list {
                let at = |own: usize| (own == which).then_some(place);
                let places = [at(0), at(1), at(2)];
                let Some((minor, day)) = self.row(places) else {
                    continue;
                };
                self.findings.push(Finding {
                    verdict: Verdict::Broken(Break::Duplicate),
                    reference: reference.to_owned(),
                    side,
                    ours: at(0),
                    rail: at(1),
                    bank: at(2),
                    expected_minor: None,
                    found_minor: Some(side.signed(minor)),
                    age_days: self.sources.age(day),
                    kept: None,
                });
            }
        }
    }

    /// Amount and day of the first row that is named.
    fn row(&self, [ours, rail, bank]: [Option<usize>; 3]) -> Option<(u64, Day)> {
        let ours = ours.and_then(|at| self.sources.ours.get(at));
        let rail = rail.and_then(|at| self.sources.rail.get(at));
        let bank = bank.and_then(|at| self.sources.bank.get(at));
        ours.map(|row| (row.minor, row.day))
            .or_else(|| rail.map(|row| (row.minor, row.day)))
            .or_else(|| bank.map(|row| (row.minor, row.day)))
    }

    /// Ours and the rail's, with the bank's where it books each by itself.
    fn movements(&mut self) {
        let ours = std::mem::take(&mut self.ours.first);
        let rail = std::mem::take(&mut self.rail.first);
        let settled = Settlements::take(self.sources, &rail, &mut self.bank.first);
        let mut keys: Vec<Key<'a>> = ours.keys().chain(rail.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let (ours, rail) = (ours.get(&key).copied(), rail.get(&key).copied());
            let row = rail.and_then(|at| self.sources.rail.get(at));
            let settlement = row.and_then(|row| row.settlement.as_deref());
            // A settlement's entry is judged as a whole, by itself.
            let bank = match settlement {
                Some(_) => None,
                None => self.bank.first.remove(&key),
            };
            let bank_day = match settlement {
                Some(settlement) => settled.day(settlement),
                None => bank
                    .and_then(|at| self.sources.bank.get(at))
                    .map(|entry| entry.day),
            };
            self.movement(key, [ours, rail, bank], bank_day);
        }
        self.findings.extend(settled.findings(self.sources));
    }

    fn movement(
        &mut self,
        (side, reference): Key<'a>,
        places: [Option<usize>; 3],
        bank_day: Option<Day>,
    ) {
        let [ours, rail, bank] = places;
        let our_row = ours.and_then(|at| self.sources.ours.get(at));
        let rail_row = rail.and_then(|at| self.sources.rail.get(at));
        let bank_row = bank.and_then(|at| self.sources.bank.get(at));
        let days = [
            our_row.map(|row| row.day),
            rail_row.map(|row| row.day),
            bank_row.map(|row| row.day),
        ];
        let earliest = days
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.sources.today);
        let signed = |minor: u64| side.signed(minor);
        let our_minor = our_row.map(|row| signed(row.minor));
        let rail_minor = rail_row.map(|row| signed(row.minor));
        let due = rail_row.map(|row| {
            sum([
                signed(row.minor),
                i128::from(row.fee_minor).saturating_neg(),
            ])
        });
        let bank_minor = bank_row.map(|row| signed(row.minor));
        let since = rail_row.map_or(earliest, |row| row.day);
        let late = |day: Day| day.days_after(since) > i32::from(self.sources.settle_days_max);
        let (verdict, expected, found) = match (our_minor, rail_minor) {
            (None, rail) => (
                Verdict::Broken(Break::MissingInOurs),
                None,
                rail.or(bank_minor),
            ),
            (ours, None) if days[0] > Some(self.sources.rail_until) => {
                (Verdict::InTransit, ours, None)
            }
            (ours, None) => (Verdict::Broken(Break::MissingAtRail), ours, bank_minor),
            (ours, rail) if ours != rail => (Verdict::Broken(Break::AmountDiffers), ours, rail),
            (ours, _) => match (bank_minor, bank_day) {
                (Some(_), _) if bank_minor != due => {
                    (Verdict::Broken(Break::AmountDiffers), due, bank_minor)
                }
                (_, Some(day)) if late(day) => (Verdict::Broken(Break::Late), ours, ours),
                (_, Some(_)) => (Verdict::Matched, ours, ours),
                (_, None) if late(self.sources.today) => {
                    (Verdict::Broken(Break::MissingAtBank), due, None)
                }
                (_, None) => (Verdict::InTransit, due, None),
            },
        };
        self.findings.push(Finding {
            verdict,
            reference: reference.to_owned(),
            side,
            ours,
            rail,
            bank,
            expected_minor: expected,
            found_minor: found,
            age_days: self.sources.age(earliest),
            kept: None,
        });
    }

    /// What the bank took back, and what it booked and nobody else knows.
    fn rest_of_the_bank(&mut self) {
        let named = std::mem::take(&mut self.bank.first).into_values();
        let unknown = named.chain(std::mem::take(&mut self.unnamed));
        let unknown = unknown.map(|place| (place, Break::MissingInOurs));
        let returned = std::mem::take(&mut self.returned).into_iter();
        let returned = returned.map(|place| (place, Break::Returned));
        let rest: Vec<(usize, Break)> = unknown.chain(returned).collect();
        for (place, kind) in rest {
            let Some(entry) = self.sources.bank.get(place) else {
                continue;
            };
            let reference = entry.reference.as_ref().or(entry.bank_reference.as_ref());
            self.findings.push(Finding {
                verdict: Verdict::Broken(kind),
                reference: reference.cloned().unwrap_or_default(),
                side: entry.side,
                ours: None,
                rail: None,
                bank: Some(place),
                expected_minor: None,
                found_minor: Some(entry.side.signed(entry.minor)),
                age_days: self.sources.age(entry.day),
                kept: None,
            });
        }
    }
}

#[cfg(test)]
mod tests;
