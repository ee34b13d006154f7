//! The outcome in text, for the one who has to look, and as a table.

use std::fmt::Write;

use super::{Age, Kept, Reconciliation, Verdict};
use crate::reports::{
    money::{decimal, digits},
    table::Table,
};

impl Verdict {
    /// For machines: `matched`, `in_transit`, or the break's code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::InTransit => "in_transit",
            Self::Broken(kind) => kind.code(),
        }
    }
}

impl Reconciliation {
    /// A summary, the breaks by kind and age, then each break on a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out)
            .expect("invariant: a string takes any text");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let matched = self.count(Verdict::Matched);
        let transit = self.count(Verdict::InTransit);
        let broken = self.breaks().count();
        writeln!(
            out,
            "{}: {matched} matched, {transit} in transit, {broken} to look at ({})",
            self.today, self.currency
        )?;
        for ((kind, age), (count, minor)) in self.aged() {
            let minor = digits(i128::try_from(minor).unwrap_or(i128::MAX), self.currency);
            let (kind, age) = (kind.code(), age.label());
            writeln!(out, "  {kind:<16} {age:>4} days {count:>6} x {minor:>18}")?;
        }
        for (finding, kind) in self.breaks() {
            let open = digits(finding.open_minor(), self.currency);
            let (kind, side) = (kind.code(), finding.side.code());
            let (days, reference) = (finding.age_days, &finding.reference);
            write!(out, "{kind:<16} {days:>4} d {side} {open:>18} {reference}")?;
            match finding.kept {
                Some(kept) => writeln!(out, "  #{} since {}", kept.number, kept.first_seen)?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }

    /// Every finding: how it stands, its age, its amounts, and the places of its rows in the sources (from 1).
    #[must_use]
    pub fn csv(&self) -> String {
        let mut table = Table::new(&[
            "verdict",
            "reference",
            "side",
            "expected",
            "found",
            "open",
            "currency",
            "age_days",
            "age",
            "our_row",
            "rail_row",
            "bank_row",
            "number",
            "first_seen",
            "closed",
        ]);
        for finding in &self.findings {
            let minor = |minor: Option<i128>| {
                minor.map_or_else(String::new, |minor| decimal(minor, self.currency))
            };
            let place = |place: Option<usize>| {
                place.map_or_else(String::new, |place| place.saturating_add(1).to_string())
            };
            let kept = |told: &dyn Fn(&Kept) -> String| {
                finding.kept.as_ref().map_or_else(String::new, told)
            };
            table.row(&[
                finding.verdict.code().to_owned(),
                finding.reference.clone(),
                finding.side.code().to_owned(),
                minor(finding.expected_minor),
                minor(finding.found_minor),
                decimal(finding.open_minor(), self.currency),
                self.currency.code().to_owned(),
                finding.age_days.to_string(),
                Age::of(finding.age_days).label().to_owned(),
                place(finding.ours),
                place(finding.rail),
                place(finding.bank),
                kept(&|kept| kept.number.to_string()),
                kept(&|kept| kept.first_seen.to_string()),
                kept(&|kept| if kept.is_closed { "yes" } else { "no" }.to_owned()),
            ]);
        }
        table.finish()
    }
}
