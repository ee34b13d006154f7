//! A Z report: what a shift of one till, or of the whole shop, comes to; numbered without gaps, and closed only when it
//! agrees with the books.
//!
//! [`ZReport::close`] sums the rows twice by different ways, by outcome and tender for the paper and by account for the
//! books, and refuses where the second is not what the ledger moved in that time.

mod drawer;
mod paper;

use std::collections::BTreeMap;

use palm_proto::{id::TillId, money::Currency};

use super::{
    Zone,
    money::{Tender, sum},
    receipt::Shop,
};
use crate::clock::Timestamp;

pub use drawer::{Drawer, DrawerTally};

/// What came of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A payment was captured: a sale.
    Captured,
    /// A payment, or a part of it, went back.
    Refunded,
    /// A hold was called off.
    Voided,
    /// A payment was refused.
    Declined,
    /// A hold ran out.
    Expired,
    /// It is not known what came of a payment.
    Unresolved,
    /// Money was put into a wallet.
    ToppedUp,
    /// Money was paid out of a wallet.
    PaidOut,
    /// A pay-out came back from the bank into its wallet.
    CameBack,
    /// Cash was paid in at the bank, or a rail's settlement arrived there.
    Banked,
    /// The bank paid a rail what the shop owed to it.
    RailRepaid,
    /// A rail kept something for its work.
    Fee,
}

impl Outcome {
    /// All, in the order of the report.
    pub const ALL: [Self; 12] = [
        Self::Captured,
        Self::Refunded,
        Self::Voided,
        Self::Declined,
        Self::Expired,
        Self::Unresolved,
        Self::ToppedUp,
        Self::PaidOut,
        Self::CameBack,
        Self::Banked,
        Self::RailRepaid,
        Self::Fee,
    ];

    /// For machines: `captured`, `refunded`, ...
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Voided => "voided",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Unresolved => "unresolved",
            Self::ToppedUp => "topped_up",
            Self::PaidOut => "paid_out",
            Self::CameBack => "came_back",
            Self::Banked => "banked",
            Self::RailRepaid => "rail_repaid",
            Self::Fee => "fee",
        }
    }

    /// The accounts debited and credited; none when no money moved. `Err` for what cannot be: money that moves from an
    /// account to itself, or a rail's money that is not by card.
    const fn accounts(self, tender: Tender) -> Result<Option<(Account, Account)>, CloseError> {
        let other = match tender {
            Tender::Bank => Account::Bank,
            Tender::Card => Account::Rail,
            Tender::Cash => Account::Cash,
            Tender::Wallet => Account::Wallets,
        };
        match self {
            Self::Captured => Ok(Some((other, Account::Merchant))),
            Self::Refunded => Ok(Some((Account::Merchant, other))),
            Self::ToppedUp | Self::PaidOut if matches!(tender, Tender::Wallet) => {
                Err(CloseError::Tender)
            }
            Self::ToppedUp => Ok(Some((other, Account::Wallets))),
            Self::PaidOut => Ok(Some((Account::Wallets, other))),
            Self::CameBack if matches!(tender, Tender::Bank) => {
                Ok(Some((Account::Bank, Account::Wallets)))
            }
            Self::Banked if matches!(tender, Tender::Cash | Tender::Card) => {
                Ok(Some((Account::Bank, other)))
            }
            Self::RailRepaid if matches!(tender, Tender::Card) => {
                Ok(Some((Account::Rail, Account::Bank)))
            }
            Self::Fee if matches!(tender, Tender::Card) => Ok(Some((Account::Fees, Account::Rail))),
            Self::CameBack | Self::Banked | Self::RailRepaid | Self::Fee => Err(CloseError::Tender),
            Self::Voided | Self::Declined | Self::Expired | Self::Unresolved => Ok(None),
        }
    }
}

/// One thing that happened in the shift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// At which till.
    pub till: TillId,
    /// When.
    pub time: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// How the money was to move.
    pub tender: Tender,
    /// How much, in minor units.
    pub minor: u64,
    /// The tax inside, of captures and refunds.
    pub vat_minor: u64,
}

/// Accounts of the ledger, wallets taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The shop's bank.
    Bank,
    /// Cash at the counters.
    Cash,
    /// What providers kept.
    Fees,
    /// What the shop has sold.
    Merchant,
    /// What an outside rail owes.
    Rail,
    /// What the shop owes to its customers.
    Wallets,
}

/// What was posted to an account, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// Sum of debits.
    pub debits: i128,
    /// Sum of credits.
    pub credits: i128,
}

/// What the ledger posted in the time of the shift. Accounts that are not named moved nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books(BTreeMap<Account, Posted>);

impl Books {
    /// Adds a transfer that moved money: a direct one, or a hold's post. Holds and voids move none.
    pub fn post(&mut self, debit: Account, credit: Account, minor: u64) {
        let debits = &mut self.0.entry(debit).or_default().debits;
        *debits = debits.saturating_add(minor.into());
        let credits = &mut self.0.entry(credit).or_default().credits;
        *credits = credits.saturating_add(minor.into());
    }

    /// What was posted to an account.
    #[must_use]
    pub fn of(&self, account: Account) -> Posted {
        self.0.get(&account).copied().unwrap_or_default()
    }

    /// The accounts on which the two differ.
    fn differences(&self, other: &Self) -> Vec<Account> {
        let mut accounts: Vec<Account> = self.0.keys().chain(other.0.keys()).copied().collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|account| self.of(*account) != other.of(*account));
        accounts
    }
}

/// What the shift was, before it is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Whose it is.
    pub shop: Shop,
    /// One till; none for the whole shop.
    pub till: Option<TillId>,
    /// Where times are read.
    pub zone: Zone,
    /// Of every amount.
    pub currency: Currency,
    /// Since when: when the one before was closed.
    pub opened: Timestamp,
    /// Until when; what happens at that moment belongs to the next.
    pub closed: Timestamp,
    /// The number of the report before; 0 for the first.
    pub last_number: u64,
    /// What happened.
    pub rows: Vec<Row>,
    /// The cash drawers.
    pub drawers: Vec<Drawer>,
}

/// Why a shift cannot be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The sums are not what the ledger posted.
    #[error("the report and the ledger differ on {0:?}: do not close, run palmctl ledger audit")]
    Books(Vec<Account>),
    /// A till has two drawers, or one that is not of this shift.
    #[error("give one drawer for each till of the shift that takes cash")]
    Drawers,
    /// No number is left.
    #[error("the last number was used")]
    Number,
    /// A row is of another till.
    #[error("a row is of another till than the shift's")]
    OtherTill,
    /// A row lies outside the time of the shift.
    #[error("a row is outside the shift: give those from its opening until before its close")]
    Time,
    /// Money cannot move from an account to itself.
    #[error("a top-up or pay-out is by cash, card or bank; what is banked is cash or by card")]
    Tender,
    /// More tax than price.
    #[error("a row has more tax than its amount")]
    Vat,
}

/// How often, and how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// How much, in minor units.
    pub minor: i128,
    /// The tax inside.
    pub vat_minor: i128,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.minor = self.minor.saturating_add(other.minor);
        self.vat_minor = self.vat_minor.saturating_add(other.vat_minor);
    }
}

/// Tallies by outcome and tender; what did not happen is not there.
pub type Tallies = BTreeMap<(Outcome, Tender), Tally>;

/// A closed shift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZReport {
    /// One more than the report before.
    pub number: u64,
    shift: Shift,
    all: Tallies,
    tills: BTreeMap<TillId, Tallies>,
    drawers: Vec<DrawerTally>,
}

impl ZReport {
    /// Closes a shift that agrees with the books.
    ///
    /// # Errors
    /// [`CloseError`] says what does not fit; nothing is closed then.
    pub fn close(shift: Shift, books: &Books) -> Result<Self, CloseError> {
        let number = shift.last_number.checked_add(1).ok_or(CloseError::Number)?;
        let (mut all, mut tills) = (Tallies::new(), BTreeMap::<TillId, Tallies>::new());
        let mut posted = Books::default();
        for row in &shift.rows {
            check(row, &shift)?;
            let tally = Tally {
                count: 1,
                minor: row.minor.into(),
                vat_minor: row.vat_minor.into(),
            };
            let key = (row.outcome, row.tender);
            all.entry(key).or_default().add(tally);
            let till = tills.entry(row.till.clone()).or_default();
            till.entry(key).or_default().add(tally);
            if let Some((debit, credit)) = row.outcome.accounts(row.tender)? {
                posted.post(debit, credit, row.minor);
            }
        }
        let net = |side: fn(&Posted) -> i128| sum(posted.0.values().map(side));
        assert_eq!(
            net(|p| p.debits),
            net(|p| p.credits),
            "every row is posted twice"
        );
        let differences = posted.differences(books);
        if !differences.is_empty() {
            return Err(CloseError::Books(differences));
        }
        let drawers = drawer::tally(&shift, &tills)?;
        Ok(Self {
            number,
            shift,
            all,
            tills,
            drawers,
        })
    }

    /// Everything, by outcome and tender.
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.all
    }

    /// The same by till.
    #[must_use]
    pub fn tills(&self) -> &BTreeMap<TillId, Tallies> {
        &self.tills
    }

    /// The cash drawers, in the order they were given.
    #[must_use]
    pub fn drawers(&self) -> &[DrawerTally] {
        &self.drawers
    }

    /// Sales less refunds, and the tax in them.
    #[must_use]
    pub fn net_sales(&self) -> Tally {
        net_sales(&self.all)
    }

    /// When the first and the last payment was captured.
    #[must_use]
    pub fn first_and_last(&self) -> Option<(Timestamp, Timestamp)> {
        let captured = |row: &&Row| row.outcome == Outcome::Captured;
        let times = self.shift.rows.iter().filter(captured).map(|row| row.time);
        times.clone().min().zip(times.max())
    }
}

fn check(row: &Row, shift: &Shift) -> Result<(), CloseError> {
    if row.time < shift.opened || row.time >= shift.closed {
        Err(CloseError::Time)
    } else if shift.till.as_ref().is_some_and(|till| *till != row.till) {
        Err(CloseError::OtherTill)
    } else if row.vat_minor > row.minor {
        Err(CloseError::Vat)
    } else {
        Ok(())
    }
}

/// The tally of an outcome over all tenders.
fn total(tallies: &Tallies, outcome: Outcome) -> Tally {
    let mut total = Tally::default();
    let of_outcome = tallies.iter().filter(|((of, _), _)| *of == outcome);
    of_outcome.for_each(|(_, tally)| total.add(*tally));
    total
}

fn net_sales(tallies: &Tallies) -> Tally {
    let sold = total(tallies, Outcome::Captured);
    let back = total(tallies, Outcome::Refunded);
    Tally {
        count: sold.count,
        minor: sold.minor.saturating_sub(back.minor),
        vat_minor: sold.vat_minor.saturating_sub(back.vat_minor),
    }
}

#[cfg(test)]
mod tests;
