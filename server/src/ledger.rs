//! The books: double entry, immutable transfers, balances derived from them. A pure state machine: it does no I/O,
//! reads no clock and knows no palms. [`crate::writer`] owns the one instance and puts its records on disk.
//!
//! Each account has four counters, in the manner of TigerBeetle's data model: what is pending and what is posted, on
//! either side. A hold moves money to pending; it is posted (wholly or partly), voided or expired, once.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod audit;
mod record;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
};

use crate::{
    clock::Timestamp,
    store::{Batch, Store, StoreError},
};

pub use audit::{Audit, audit};
pub use record::{RecordError, fuzz_record};

/// Whose money, or where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountId {
    /// Money received from customers at the counter (an asset: debits add to it).
    Cash,
    /// What lies at the shop's bank, as far as these books know (an asset: debits add to it).
    Bank,
    /// What providers have kept for their work (an expense: debits add to it).
    Fees,
    /// What the shop has sold (credits add to it).
    Merchant,
    /// What the outside rail owes to the shop (an asset: debits add to it). The one account that may go below zero:
    /// a refund after a settlement is owed to the rail until the next one.
    Rail,
    /// What the shop owes to a customer (credits add to it).
    Wallet(CustomerId),
}

impl AccountId {
    /// Whether debits add to it.
    const fn is_asset(self) -> bool {
        match self {
            Self::Bank | Self::Cash | Self::Fees | Self::Rail => true,
            Self::Merchant | Self::Wallet(_) => false,
        }
    }

    /// Whether it may go below zero.
    const fn may_owe(self) -> bool {
        match self {
            Self::Rail => true,
            Self::Bank | Self::Cash | Self::Fees | Self::Merchant | Self::Wallet(_) => false,
        }
    }
}

/// The id of one transfer; unique in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub [u8; 16]);

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Moves money at once.
    Direct,
    /// Sets money aside.
    Hold,
    /// Moves what a hold set aside, wholly or in part; the rest is free again.
    Post {
        /// The hold.
        hold: TransferId,
    },
    /// Frees what a hold set aside. Its amount is the hold's.
    Void {
        /// The hold.
        hold: TransferId,
    },
    /// Frees what a hold set aside, because its time ran out. Its amount is the hold's.
    Expire {
        /// The hold.
        hold: TransferId,
    },
}

/// One movement of money. Immutable: a correction is another transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// What it does.
    pub kind: Kind,
    /// The account debited.
    pub debit: AccountId,
    /// The account credited.
    pub credit: AccountId,
    /// How much; never zero.
    pub amount: Money,
    /// When.
    pub time: Timestamp,
}

impl Transfer {
    /// What it does, without when: a second transfer of one id must agree with the first in this.
    fn content(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let amount = (self.amount.minor(), self.amount.currency().code());
        (self.kind, self.debit, self.credit, amount).hash(&mut hasher);
        hasher.finish()
    }
}

/// Why a transfer was refused; in this order of precedence. Nothing was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The id was used by another transfer: make a new id.
    #[error("the transfer id was used before with other content: make a new one")]
    ExistsWithDifferentContent,
    /// Not the currency of these books.
    #[error("the books are kept in another currency: send the shop's")]
    CurrencyDiffers,
    /// Nothing to move.
    #[error("the amount is zero: send one of 1 or more")]
    AmountZero,
    /// From an account to itself.
    #[error("debit and credit are one account: name two")]
    AccountsSame,
    /// No hold of this id waits to be resolved.
    #[error("no hold of this id is pending: it was resolved, or never made")]
    HoldNotPending,
    /// The accounts are not those of the hold.
    #[error("the accounts are not those of the hold")]
    HoldAccountsDiffer,
    /// More than was set aside, or a void of another amount.
    #[error("the amount does not fit the hold")]
    HoldAmountDiffers,
    /// An account would go below zero.
    #[error("the account holds less than the amount")]
    InsufficientFunds,
    /// A counter would not fit.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
}

/// The four counters of an account, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    debits_pending: u64,
    debits_posted: u64,
    credits_pending: u64,
    credits_posted: u64,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    debit: AccountId,
    credit: AccountId,
    minor: u64,
}

/// How to take a transfer back before it is on disk.
#[derive(Debug)]
struct Undo {
    id: TransferId,
    accounts: [(AccountId, Option<Account>); 2],
    hold: Option<(TransferId, Option<Hold>)>,
}

/// A start puts millions into it; it is looked into by id only, so that its order can change nothing.
#[expect(clippy::disallowed_types, reason = "never iterated")]
type Contents = std::collections::HashMap<TransferId, u64>;

/// The books.
#[derive(Debug)]
pub struct Ledger {
    currency: Currency,
    accounts: BTreeMap<AccountId, Account>,
    /// Every transfer's content, as a digest.
    transfers: Contents,
    /// Holds that are neither posted nor freed.
    holds: BTreeMap<TransferId, Hold>,
    next_sequence: u64,
    undo: Vec<Undo>,
}

impl Ledger {
    /// Empty books in one currency.
    #[must_use]
    pub fn new(currency: Currency) -> Self {
        Self {
            currency,
            accounts: BTreeMap::new(),
            transfers: Contents::default(),
            holds: BTreeMap::new(),
            next_sequence: 0,
            undo: Vec::new(),
        }
    }

    /// The books as the store has them, by replaying every transfer.
    ///
    /// # Errors
    /// [`LoadError`] when the store cannot be read, or its transfers do not make sound books.
    pub fn load(store: &dyn Store, currency: Currency) -> Result<Self, LoadError> {
        let mut ledger = Self::new(currency);
        record::each(store, |sequence, transfer| {
            let transfer = transfer?;
            if sequence != ledger.next_sequence {
                return Err(LoadError::Gap(ledger.next_sequence));
            }
            ledger
                .apply(&transfer)
                .map_err(|error| LoadError::Unsound(sequence, error))?;
            ledger.undo.clear();
            Ok(())
        })?;
        Ok(ledger)
    }

    /// Every transfer on disk, in order.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn each(
        store: &dyn Store,
        mut visit: impl FnMut(&Transfer),
    ) -> Result<(), LoadError> {
        record::each(store, |_, transfer| {
            visit(&transfer?);
            Ok(())
        })
    }

    /// What an account holds that is not set aside, in minor units; 0 for what is below zero.
    #[must_use]
    pub fn balance(&self, account: AccountId) -> u64 {
        u64::try_from(self.net(account)).unwrap_or(0)
    }

    /// What an account holds that is not set aside, in minor units. Below zero only for [`AccountId::Rail`].
    #[must_use]
    pub fn net(&self, account: AccountId) -> i128 {
        let counters = self.accounts.get(&account).copied().unwrap_or_default();
        available(account, counters)
    }

    /// What is set aside of an account, in minor units: holds that are neither resolved nor expired.
    #[must_use]
    pub fn held(&self, account: AccountId) -> u64 {
        let counters = self.accounts.get(&account).copied().unwrap_or_default();
        if account.is_asset() {
            counters.credits_pending
        } else {
            counters.debits_pending
        }
    }

    /// The currency of these books.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Number of transfers booked.
    #[must_use]
    pub fn transfers(&self) -> u64 {
        self.next_sequence
    }

    /// Books a transfer; its record goes into `batch`. The same transfer again changes nothing.
    pub(crate) fn book(
        &mut self,
        transfer: &Transfer,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let sequence = self.next_sequence;
        self.apply(transfer)?;
        if self.next_sequence != sequence {
            batch.put(record::key(sequence), record::encode(transfer));
        }
        Ok(())
    }

    /// How far the books can be taken back.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Takes back everything since the mark.
    pub(crate) fn roll_back(&mut self, mark: usize) {
        while self.undo.len() > mark {
            let Some(undo) = self.undo.pop() else { break };
            self.transfers.remove(&undo.id);
            for (account, counters) in undo.accounts {
                match counters {
                    Some(counters) => self.accounts.insert(account, counters),
                    None => self.accounts.remove(&account),
                };
            }
            if let Some((id, hold)) = undo.hold {
                match hold {
                    Some(hold) => self.holds.insert(id, hold),
                    None => self.holds.remove(&id),
                };
            }
            self.next_sequence = self.next_sequence.saturating_sub(1);
        }
    }

    /// What was booked is on disk: it cannot be taken back.
    pub(crate) fn settle(&mut self) {
        self.undo.clear();
    }

    fn apply(&mut self, transfer: &Transfer) -> Result<(), LedgerError> {
        match self.transfers.get(&transfer.id) {
            Some(content) if *content == transfer.content() => return Ok(()),
            Some(_) => return Err(LedgerError::ExistsWithDifferentContent),
            None => {}
        }
        self.check(transfer)?;
        let hold = self.resolved(transfer)?;
        let before =
            [transfer.debit, transfer.credit].map(|id| (id, self.accounts.get(&id).copied()));
        let [debit, credit] = moved(before, transfer, hold)?;
        self.accounts.insert(transfer.debit, debit);
        self.accounts.insert(transfer.credit, credit);
        let hold = self.change_holds(transfer);
        self.transfers.insert(transfer.id, transfer.content());
        self.undo.push(Undo {
            id: transfer.id,
            accounts: before,
            hold,
        });
        self.next_sequence = self
            .next_sequence
            .checked_add(1)
            .ok_or(LedgerError::Overflow)?;
        Ok(())
    }

    fn check(&self, transfer: &Transfer) -> Result<(), LedgerError> {
        if transfer.amount.currency() != self.currency {
            Err(LedgerError::CurrencyDiffers)
        } else if transfer.amount.minor() == 0 {
            Err(LedgerError::AmountZero)
        } else if transfer.debit == transfer.credit {
            Err(LedgerError::AccountsSame)
        } else {
            Ok(())
        }
    }

    /// The hold that the transfer resolves.
    fn resolved(&self, transfer: &Transfer) -> Result<Option<Hold>, LedgerError> {
        let (id, whole) = match transfer.kind {
            Kind::Direct | Kind::Hold => return Ok(None),
            Kind::Post { hold } => (hold, false),
            Kind::Void { hold } | Kind::Expire { hold } => (hold, true),
        };
        let hold = self.holds.get(&id).ok_or(LedgerError::HoldNotPending)?;
        if (hold.debit, hold.credit) != (transfer.debit, transfer.credit) {
            return Err(LedgerError::HoldAccountsDiffer);
        }
        let minor = transfer.amount.minor();
        if minor > hold.minor || (whole && minor != hold.minor) {
            return Err(LedgerError::HoldAmountDiffers);
        }
        Ok(Some(*hold))
    }

    /// Adds or removes the hold; gives what was there before.
    fn change_holds(&mut self, transfer: &Transfer) -> Option<(TransferId, Option<Hold>)> {
        match transfer.kind {
            Kind::Direct => None,
            Kind::Hold => {
                let (debit, credit) = (transfer.debit, transfer.credit);
                let hold = Hold {
                    debit,
                    credit,
                    minor: transfer.amount.minor(),
                };
                Some((transfer.id, self.holds.insert(transfer.id, hold)))
            }
            Kind::Post { hold } | Kind::Void { hold } | Kind::Expire { hold } => {
                Some((hold, self.holds.remove(&hold)))
            }
        }
    }
}

/// Both accounts after the transfer.
fn moved(
    before: [(AccountId, Option<Account>); 2],
    transfer: &Transfer,
    hold: Option<Hold>,
) -> Result<[Account; 2], LedgerError> {
    let [mut debit, mut credit] = before.map(|(_, account)| account.unwrap_or_default());
    let amount = transfer.amount.minor();
    if let Some(hold) = hold {
        debit.debits_pending = less(debit.debits_pending, hold.minor);
        credit.credits_pending = less(credit.credits_pending, hold.minor);
    }
    match transfer.kind {
        Kind::Direct | Kind::Post { .. } => {
            debit.debits_posted = more(debit.debits_posted, amount)?;
            credit.credits_posted = more(credit.credits_posted, amount)?;
        }
        Kind::Hold => {
            debit.debits_pending = more(debit.debits_pending, amount)?;
            credit.credits_pending = more(credit.credits_pending, amount)?;
        }
        Kind::Void { .. } | Kind::Expire { .. } => {}
    }
    for (id, account) in [(transfer.debit, debit), (transfer.credit, credit)] {
        if available(id, account) < 0 && !id.may_owe() {
            return Err(LedgerError::InsufficientFunds);
        }
    }
    Ok([debit, credit])
}

/// Posted on its own side, less posted and pending on the other.
fn available(id: AccountId, account: Account) -> i128 {
    let (own, other, other_pending) = if id.is_asset() {
        (
            account.debits_posted,
            account.credits_posted,
            account.credits_pending,
        )
    } else {
        (
            account.credits_posted,
            account.debits_posted,
            account.debits_pending,
        )
    };
    let [own, other, other_pending] = [own, other, other_pending].map(i128::from);
    own.saturating_sub(other).saturating_sub(other_pending)
}

fn more(counter: u64, amount: u64) -> Result<u64, LedgerError> {
    counter.checked_add(amount).ok_or(LedgerError::Overflow)
}

fn less(pending: u64, amount: u64) -> u64 {
    pending
        .checked_sub(amount)
        .expect("invariant: a pending hold is counted as pending on both accounts")
}

/// Why the books could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A transfer is missing.
    #[error("transfer {0} is missing from the books: restore a backup")]
    Gap(u64),
    /// A record is damaged or of a newer version.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A transfer that the rules refuse.
    #[error(
        "transfer {0} does not fit the books: restore a backup, or start the version that wrote it"
    )]
    Unsound(u64, #[source] LedgerError),
}

#[cfg(test)]
mod tests;
