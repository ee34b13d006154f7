//! The comparison: files in, what they prove booked, breaks out.

use std::collections::BTreeSet;

use palm_proto::{fault::Malformed, money::Currency};

use super::{Bank, BankAccount, BankRefusal, Error, ours::Lists};
use crate::{
    limits,
    reports::{
        Day, Side,
        bank::{BankEntry, BankStatement, read_bank_statements},
        rail::read_rail_report,
        reconcile::{Break, Finding, RailRow, Reconciliation, Sources, Verdict, reconcile},
    },
};

/// What is compared with our own books.
#[derive(Clone, Default)]
pub struct Files {
    /// The rail's reports, CSV; see [`crate::reports::rail`].
    pub rail_reports: Vec<Vec<u8>>,
    /// The bank's statements, camt.053.
    pub bank_statements: Vec<Vec<u8>>,
    /// Movements of ours from this day on; `None`: the first day in the files.
    pub from: Option<Day>,
    /// The last day that the rail's reports cover; `None`: the last day in them.
    pub rail_until: Option<Day>,
}

/// Without what stands in them.
impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("rail_reports", &self.rail_reports.len())
            .field("bank_statements", &self.bank_statements.len())
            .field("from", &self.from)
            .field("rail_until", &self.rail_until)
            .finish()
    }
}

/// How the outcome is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A summary, and each open break.
    Text,
    /// RFC 4180: everything.
    Csv,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// Breaks that are open.
    pub open_breaks: usize,
    /// Findings on which all agree.
    pub matched: usize,
    /// Findings that wait for the bank or the rail.
    pub in_transit: usize,
    /// What the statements proved and was booked now.
    pub booked: u32,
    /// As it was asked for.
    pub content: Vec<u8>,
}

/// The files, read.
struct Read {
    rail: Vec<RailRow>,
    bank: Vec<BankEntry>,
    /// Findings about whole statements.
    gaps: Vec<Finding>,
}

impl Bank {
    /// Books what the bank's statements prove, then lays our movements, the rail's and the bank's side by side. The
    /// same files again book nothing. Breaks are kept: one that is told again has the age of its first day, and one
    /// that these files do not settle is told all the same.
    ///
    /// # Errors
    /// [`BankRefusal::AccountMissing`]; [`Error::Malformed`] for a file that cannot be read, or a statement of another
    /// account; [`BankRefusal::Short`] when a rail was repaid more than the books know of at the bank.
    pub async fn reconcile(&self, files: Files, written: Written) -> Result<Reconciled, Error> {
        let (account, settle_days_max) = self.own.clone().ok_or(BankRefusal::AccountMissing)?;
        let (from, rail_until, currency) = (files.from, files.rail_until, self.currency);
        let reading = tokio::task::spawn_blocking(move || read(&files, &account, currency));
        let Read { rail, bank, gaps } = reading.await.map_err(|_| Error::Stopping)??;
        let today = self.zone.day(self.base.clock.now());
        let days = rail.iter().map(|row| row.day);
        let rail_until = rail_until.or_else(|| days.clone().max());
        let from = from.or_else(|| days.chain(bank.iter().map(|entry| entry.day)).min());
        let from = from.unwrap_or(today);
        let before = Day::from_epoch(from.since_epoch().saturating_sub(1)).unwrap_or(from);
        let paid = self.book_payouts(&bank).await?;
        let own = self.clone();
        let comparing = tokio::task::spawn_blocking(move || {
            let bank = own.with_known_returns(bank)?;
            let Lists { ours, rail, bank } = own.lists(from, rail, bank)?;
            let bank = own.with_what_was_seen(bank, &rail)?;
            let mut outcome = reconcile(&Sources {
                ours: &ours,
                rail: &rail,
                bank: &bank,
                today,
                rail_until: rail_until.unwrap_or(before),
                settle_days_max,
                currency,
            });
            outcome.findings.extend(gaps);
            Ok::<_, Error>((outcome, rail, bank))
        });
        let (outcome, rail, bank) = comparing.await.map_err(|_| Error::Stopping)??;
        let settled = self.book_settlements(&outcome, &rail, &bank).await?;
        let outcome = self.keep_breaks(outcome, today).await?;
        Ok(told(&outcome, paid.saturating_add(settled), written))
    }
}

fn told(outcome: &Reconciliation, booked: u32, written: Written) -> Reconciled {
    Reconciled {
        open_breaks: outcome.breaks().count(),
        matched: outcome.count(Verdict::Matched),
        in_transit: outcome.count(Verdict::InTransit),
        booked,
        content: match written {
            Written::Text => outcome.text(),
            Written::Csv => outcome.csv(),
        }
        .into_bytes(),
    }
}

fn read(files: &Files, account: &BankAccount, currency: Currency) -> Result<Read, Error> {
    let wrong = |field: &'static str, remedy| Error::from(Malformed::new(field, remedy));
    let count = files
        .rail_reports
        .len()
        .saturating_add(files.bank_statements.len());
    if count > limits::RECONCILE_FILES_MAX {
        return Err(wrong("bank_statements", "send at most 1000 files at once"));
    }
    let mut read = Read {
        rail: Vec::new(),
        bank: Vec::new(),
        gaps: Vec::new(),
    };
    for report in &files.rail_reports {
        let rows = read_rail_report(report, currency);
        let remedy = "send CSV with the columns reference, movement, amount, fee, currency, day and settlement, in \
                      the shop's currency";
        read.rail.extend(rows.map_err(|error| {
            tracing::warn!(%error, "a rail's report cannot be read");
            wrong("rail_reports", remedy)
        })?);
    }
    let mut seen = BTreeSet::new();
    for statements in &files.bank_statements {
        let remedy = "send the bank's camt.053.001.02 or .08 as it came";
        let statements = read_bank_statements(statements).map_err(|error| {
            tracing::warn!(%error, "a bank's statement cannot be read");
            wrong("bank_statements", remedy)
        })?;
        for statement in statements {
            let other = statement.account.replace(' ', "") != account.as_str()
                || statement.currency != currency;
            if other {
                let remedy = "send statements of the account and currency of palmd.toml only";
                return Err(wrong("bank_statements", remedy));
            }
            // The same statement in two files is one.
            if seen.insert(statement.id.clone()) {
                read.gaps.extend(gap(&statement));
                read.bank.extend(statement.entries);
            }
        }
    }
    Ok(read)
}

/// A statement whose entries do not lead from its opening to its closing balance.
fn gap(statement: &BankStatement) -> Option<Finding> {
    let gap = statement.gap_minor().filter(|gap| *gap != 0)?;
    Some(Finding {
        verdict: Verdict::Broken(Break::Incomplete),
        reference: statement.id.clone(),
        side: Side::of(gap).0,
        ours: None,
        rail: None,
        bank: None,
        expected_minor: Some(gap),
        found_minor: None,
        age_days: 0,
        kept: None,
    })
}
