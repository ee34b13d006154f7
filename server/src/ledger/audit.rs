//! Replays the books from disk by another way than the state machine, and compares the two.

use std::collections::{BTreeMap, BTreeSet};

use palm_proto::money::Currency;

use super::{AccountId, Kind, Ledger, LoadError, Transfer, TransferId, record};
use crate::store::Store;

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Transfers replayed.
    pub transfers: u64,
    /// Accounts compared.
    pub accounts: u64,
    /// What does not fit, in words and without names; empty when the books are right.
    pub violations: Vec<String>,
}

/// Replays every transfer in the store: plain sums on one side, the state machine on the other.
///
/// # Errors
/// [`LoadError::Store`] when the store cannot be read; damage is a violation, not an error.
pub fn audit(store: &dyn Store, currency: Currency) -> Result<Audit, LoadError> {
    let mut audit = Audit::default();
    let mut books = Ledger::new(currency);
    let mut sums = Sums::default();
    record::each(store, |sequence, transfer| {
        if sequence != audit.transfers {
            audit
                .violations
                .push(format!("transfer {} is missing", audit.transfers));
        }
        audit.transfers = sequence.saturating_add(1);
        match transfer {
            Ok(transfer) => {
                if let Err(error) = books.apply(&transfer) {
                    audit
                        .violations
                        .push(format!("transfer {sequence}: {error}"));
                }
                sums.add(&transfer, &mut |what| {
                    audit
                        .violations
                        .push(format!("transfer {sequence}: {what}"))
                });
            }
            Err(error) => audit
                .violations
                .push(format!("transfer {sequence}: {error}")),
        }
        books.settle();
        Ok(())
    })?;
    compare(&books, &sums, &mut audit);
    Ok(audit)
}

fn compare(books: &Ledger, sums: &Sums, audit: &mut Audit) {
    for (account, sum) in &sums.available {
        audit.accounts = audit.accounts.saturating_add(1);
        if *sum != books.net(*account) {
            audit
                .violations
                .push("an account's balance is not the sum of its transfers".to_owned());
        }
        if *sum < 0 && !account.may_owe() {
            audit.violations.push("an account is below zero".to_owned());
        }
    }
}

/// Plain sums over the transfers.
#[derive(Default)]
struct Sums {
    available: BTreeMap<AccountId, i128>,
    holds: BTreeMap<TransferId, i128>,
    seen: BTreeSet<TransferId>,
}

impl Sums {
    fn add(&mut self, transfer: &Transfer, complain: &mut dyn FnMut(&str)) {
        if !self.seen.insert(transfer.id) {
            complain("its id was used before");
        }
        let amount = i128::from(transfer.amount.minor());
        match transfer.kind {
            Kind::Direct => self.both(transfer, amount),
            Kind::Hold => {
                self.holds.insert(transfer.id, amount);
                self.giver(transfer, amount);
            }
            Kind::Post { hold } => match self.holds.remove(&hold) {
                Some(held) => {
                    self.giver(transfer, held.saturating_neg());
                    self.both(transfer, amount);
                }
                None => complain("it posts a hold that is not pending"),
            },
            Kind::Void { hold } | Kind::Expire { hold } => match self.holds.remove(&hold) {
                Some(held) => self.giver(transfer, held.saturating_neg()),
                None => complain("it frees a hold that is not pending"),
            },
        }
    }

    fn both(&mut self, transfer: &Transfer, amount: i128) {
        let sign = |asset: bool| {
            if asset {
                amount
            } else {
                amount.saturating_neg()
            }
        };
        self.change(transfer.debit, sign(transfer.debit.is_asset()));
        self.change(transfer.credit, sign(!transfer.credit.is_asset()));
    }

    /// Takes a pending amount from whoever gives: a hold leaves the receiver's balance as it is.
    fn giver(&mut self, transfer: &Transfer, amount: i128) {
        if !transfer.debit.is_asset() {
            self.change(transfer.debit, amount.saturating_neg());
        }
        if transfer.credit.is_asset() {
            self.change(transfer.credit, amount.saturating_neg());
        }
    }

    fn change(&mut self, account: AccountId, by: i128) {
        let sum = self.available.entry(account).or_default();
        *sum = sum.saturating_add(by);
    }
}
