//! The report on paper, and as a table.

use super::{DrawerTally, Outcome, Tallies, Tally, ZReport, net_sales, total};
use crate::reports::{
    Language,
    money::{amount, decimal, digits},
    roll::{Roll, Weight},
    table::Table,
    words::Word,
};

impl Outcome {
    const fn word(self) -> Word {
        match self {
            Self::Captured => Word::Captured,
            Self::Refunded => Word::Refunds,
            Self::Voided => Word::Voids,
            Self::Declined => Word::Declined,
            Self::Expired => Word::Expired,
            Self::Unresolved => Word::Unresolved,
            Self::ToppedUp => Word::ToppedUp,
            Self::PaidOut => Word::PaidOut,
            Self::CameBack => Word::CameBack,
            Self::Banked => Word::Banked,
            Self::RailRepaid => Word::RailRepaid,
            Self::Fee => Word::Fee,
        }
    }
}

impl ZReport {
    /// The document.
    #[must_use]
    pub fn roll(&self, language: Language) -> Roll {
        let say = |word: Word| word.say(language);
        let shift = &self.shift;
        let mut roll = Roll::default();
        let title = format!("{} {:04}", say(Word::ZReport), self.number);
        roll.centre(&title, Weight::Double);
        shift.shop.head(&mut roll, language);
        roll.rule();
        let till = shift
            .till
            .as_ref()
            .map_or_else(|| say(Word::WholeShop), |till| till.as_str());
        roll.pair(say(Word::Till), till);
        roll.pair(say(Word::OpenedAt), &shift.zone.text(shift.opened));
        roll.pair(say(Word::ClosedAt), &shift.zone.text(shift.closed));
        if let Some((first, last)) = self.first_and_last() {
            roll.pair(say(Word::FirstPayment), &shift.zone.text(first));
            roll.pair(say(Word::LastPayment), &shift.zone.text(last));
        }
        roll.rule();
        self.outcomes(&mut roll, language);
        roll.rule();
        self.sales(&mut roll, language);
        self.by_till(&mut roll, language);
        for drawer in &self.drawers {
            roll.rule();
            self.drawer(drawer, &mut roll, language);
        }
        roll
    }

    /// Each outcome that happened with its tenders below it; sales and refunds always.
    fn outcomes(&self, roll: &mut Roll, language: Language) {
        for outcome in Outcome::ALL {
            let all = total(&self.all, outcome);
            let always = matches!(outcome, Outcome::Captured | Outcome::Refunded);
            if all.count == 0 && !always {
                continue;
            }
            let counted = |label: &str, tally: Tally| format!("{label} x {}", tally.count);
            let label = counted(outcome.word().say(language), all);
            let minor = digits(all.minor, self.shift.currency);
            roll.weighted(&label, &minor, Weight::Strong);
            for ((of, tender), tally) in &self.all {
                if *of == outcome {
                    let label = counted(tender.word().say(language), *tally);
                    roll.pair(
                        &format!("- {label}"),
                        &digits(tally.minor, self.shift.currency),
                    );
                }
            }
        }
    }

    fn sales(&self, roll: &mut Roll, language: Language) {
        let net = self.net_sales();
        let plain = |minor| digits(minor, self.shift.currency);
        let supply = net.minor.saturating_sub(net.vat_minor);
        roll.pair(Word::Supply.say(language), &plain(supply));
        roll.pair(Word::Vat.say(language), &plain(net.vat_minor));
        let total = amount(net.minor, self.shift.currency, language);
        roll.weighted(Word::NetSales.say(language), &total, Weight::Double);
    }

    fn by_till(&self, roll: &mut Roll, language: Language) {
        if self.tills.len() < 2 {
            return;
        }
        roll.rule();
        roll.text_line(Word::Tills.say(language));
        for (till, tallies) in &self.tills {
            let net = net_sales(tallies);
            let label = format!("- {} x {}", till.as_str(), net.count);
            roll.pair(&label, &digits(net.minor, self.shift.currency));
        }
    }

    fn drawer(&self, tally: &DrawerTally, roll: &mut Roll, language: Language) {
        let plain = |minor: i128| digits(minor, self.shift.currency);
        let say = |word: Word| word.say(language);
        let drawer = &tally.drawer;
        roll.pair(say(Word::Drawer), drawer.till.as_str());
        roll.pair(say(Word::Opening), &plain(drawer.opening_minor.into()));
        for (word, minor) in [
            (Word::PaidIn, drawer.put_in_minor),
            (Word::TakenOut, drawer.taken_out_minor),
        ] {
            if minor > 0 {
                roll.pair(say(word), &plain(minor.into()));
            }
        }
        roll.pair(say(Word::Expected), &plain(tally.expected_minor));
        match (drawer.counted_minor, tally.difference_minor) {
            (Some(counted), Some(difference)) => {
                let sign = if difference > 0 { "+" } else { "" };
                roll.pair(say(Word::Counted), &plain(counted.into()));
                let difference = format!("{sign}{}", plain(difference));
                roll.weighted(say(Word::OverOrShort), &difference, Weight::Strong);
            }
            _ => roll.pair(say(Word::Counted), say(Word::NotCounted)),
        }
    }

    /// As a table: a row for every till, outcome and tender, one for each drawer, and the net sales last.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut table = Table::new(&[
            "z_number", "till", "what", "tender", "count", "amount", "vat", "currency",
        ]);
        let number = self.number.to_string();
        let written = |minor| decimal(minor, self.shift.currency);
        let mut row = |till: &str, what: &str, tender: &str, tally: Tally| {
            let (count, minor) = (tally.count.to_string(), written(tally.minor));
            let (vat, currency) = (written(tally.vat_minor), self.shift.currency.code());
            table.row(&[
                number.as_str(),
                till,
                what,
                tender,
                &count,
                &minor,
                &vat,
                currency,
            ]);
        };
        for (till, tallies) in &self.tills {
            each(tallies, |what, tender, tally| {
                row(till.as_str(), what, tender, tally)
            });
        }
        let cash = |minor: i128| Tally {
            minor,
            ..Tally::default()
        };
        for tally in &self.drawers {
            let (till, drawer) = (tally.drawer.till.as_str(), &tally.drawer);
            row(
                till,
                "drawer_opening",
                "cash",
                cash(drawer.opening_minor.into()),
            );
            row(
                till,
                "drawer_put_in",
                "cash",
                cash(drawer.put_in_minor.into()),
            );
            row(
                till,
                "drawer_taken_out",
                "cash",
                cash(drawer.taken_out_minor.into()),
            );
            row(till, "drawer_expected", "cash", cash(tally.expected_minor));
            if let Some(counted) = drawer.counted_minor {
                row(till, "drawer_counted", "cash", cash(counted.into()));
            }
        }
        row("", "net_sales", "", self.net_sales());
        table.finish()
    }
}

fn each(tallies: &Tallies, mut visit: impl FnMut(&str, &str, Tally)) {
    for ((outcome, tender), tally) in tallies {
        visit(outcome.code(), tender.code(), *tally);
    }
}
