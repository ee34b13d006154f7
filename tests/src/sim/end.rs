//! What must be so when everything has come to rest: sums, the rail's books against ours, and the same answers.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use palm_proto::money::Currency;
use palm_server::{
    ledger::{AccountId, Ledger},
    payments::State,
};

use super::{Ask, Run, ground, rail::Standing};

impl Run<'_> {
    pub(super) fn end(&mut self) -> Result<()> {
        self.land()?;
        self.rail.let_late_ones_come();
        // The rail is well: whatever is in doubt is found out within its longest pause, a few times over.
        for _ in 0..6 {
            self.machine()?.clock.advance(Duration::from_secs(601));
            self.sweep(false)?;
        }
        for (number, paid) in &self.books.paid {
            ensure!(
                !paid.state.is_in_doubt(),
                "payment {number} stays in doubt: {paid:?}"
            );
        }
        let hold = Duration::from_secs(ground::HOLD_H * 3_600);
        self.machine()?.clock.advance(hold);
        self.sweep(false)?;
        self.sweep(false)?;
        for (number, paid) in &self.books.paid {
            let waits = matches!(paid.state, State::Authorised | State::StepUp);
            ensure!(!waits, "payment {number} is never given up: {paid:?}");
        }
        self.compare_balances()?;
        self.compare_rail()?;
        self.compare_ledger()?;
        // Whatever was answered is answered alike.
        for ask in std::mem::take(&mut self.sent) {
            let is_pay = matches!(ask, Ask::Pay { id, .. } if self.books.paid.contains_key(&id));
            if is_pay {
                self.send(ask)?;
            }
        }
        self.compare_balances()
    }

    fn compare_rail(&self) -> Result<()> {
        let mut known = BTreeSet::new();
        for number in self.rail_payments() {
            let (id, paid) = (self.payment_id(number), &self.books.paid[&number]);
            known.insert(id);
            let theirs = self.rail.standing(id);
            let ours = Standing {
                held: 0,
                captured: paid.captured,
                refunded: paid.refunded,
            };
            ensure!(
                ours == theirs,
                "payment {number}: we say {ours:?}, the rail {theirs:?}"
            );
        }
        let unknown = self.rail.payments().into_iter();
        let unknown: Vec<_> = unknown.filter(|id| !known.contains(id)).collect();
        ensure!(
            unknown.is_empty(),
            "the rail knows payments that we do not: {unknown:?}"
        );
        Ok(())
    }

    fn compare_ledger(&self) -> Result<()> {
        let machine = self.machine()?;
        let audit = self.block_on(machine.service.wallets.audit())?;
        let audit = audit.map_err(|error| anyhow::anyhow!("{}", error.sentence()))?;
        ensure!(audit.violations.is_empty(), "{:?}", audit.violations);
        let ledger = Ledger::load(&*machine.disk, Currency::KRW)?;
        let net = |is_rail: bool| -> u64 {
            let paid = self.books.paid.values();
            paid.filter(|paid| paid.is_of_rail() == is_rail)
                .map(|paid| paid.captured - paid.refunded)
                .sum()
        };
        let (merchant, rail) = (net(false) + net(true), net(true));
        let sums = [
            (AccountId::Cash, self.books.cash),
            (AccountId::Merchant, merchant),
            (AccountId::Rail, rail),
        ];
        for (account, foreseen) in sums {
            let (told, held) = (ledger.balance(account), ledger.held(account));
            ensure!(
                (told, held) == (foreseen, 0),
                "{account:?} has {told} and {held} held, not {foreseen} and 0"
            );
        }
        Ok(())
    }
}
