//! What the single writer does to a payment: every change of its state with the transfers that belong to it, in one
//! batch. Beginning and answer of a wallet's step are one call; an outside rail's are two, with the network in between.

use palm_proto::{
    id::{CustomerId, PaymentId, RequestId},
    money::Money,
    reason::ReasonCode,
};

use super::{
    Rules,
    life::{Event, State},
    record::{AnswerRow, PaymentRow, PendingRow, RefundRow, RefundStanding, Source, refund_key},
};
use crate::{
    base::Base,
    cards::instrument,
    clock::Timestamp,
    error::Error,
    ledger::{AccountId, Kind, LedgerError, Transfer, TransferId},
    limits,
    policy::DayRow,
    rail::{self, Action, wallet},
    requests::{self, ChangeRow, RequestRow},
    rows::{self, Table},
    writer::Transaction,
};

/// One command's work on one payment.
pub(crate) struct Booking<'a, 'tx> {
    pub(crate) tx: &'a mut Transaction<'tx>,
    pub(crate) id: PaymentId,
    pub(crate) row: PaymentRow,
    before: Option<PaymentRow>,
    base: &'a Base,
    rules: &'a Rules,
    now: Timestamp,
}

impl<'a, 'tx> Booking<'a, 'tx> {
    /// Works on a payment that is stored as `before`, or on a new one.
    pub(crate) fn new(
        tx: &'a mut Transaction<'tx>,
        id: PaymentId,
        (before, row): (Option<PaymentRow>, PaymentRow),
        (base, rules, now): (&'a Base, &'a Rules, Timestamp),
    ) -> Self {
        Self {
            tx,
            id,
            row,
            before,
            base,
            rules,
            now,
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        self.rules
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes what was done and gives the row.
    pub(crate) fn put(mut self) -> PaymentRow {
        self.row.deadline_us = self.deadline().map(Timestamp::micros);
        let is_settled = matches!(
            self.row.state,
            State::Captured | State::Voided | State::Declined | State::Expired
        );
        if is_settled && self.row.settle_us.is_none() {
            self.row.settle_us = Some(self.now.micros());
        }
        self.row.put(self.tx, self.id, self.before.as_ref());
        self.row
    }

    /// When something has to be done about it. What is in doubt keeps the time that it was given.
    fn deadline(&self) -> Option<Timestamp> {
        let rules = self.rules;
        let since = |span| Timestamp::from_micros(self.row.create_us).after(span);
        match self.row.state {
            State::Created => Some(since(limits::CREATED_FOR)),
            State::StepUp => Some(since(rules.policy.step_up_for())),
            State::Authorised => Some(since(rules.policy.hold_for())),
            State::Authorising
            | State::Capturing
            | State::Voiding
            | State::Expiring
            | State::Refunding => {
                let unknown = self.row.pending.as_ref().map_or(0, |step| step.unknown);
                Some(self.now.after(limits::rail_pause(unknown)))
            }
            State::Captured
            | State::Declined
            | State::Cancelled
            | State::Voided
            | State::Expired => None,
        }
    }

    /// Asks for the whole amount, of a customer who is certain; captures it too when that is automatic.
    pub(crate) fn authorise(&mut self, customer: CustomerId) -> Result<(), Error> {
        self.row.ask = None;
        self.row.customer = Some(customer);
        if self.rules.has_rail
            && let Some(instrument) = instrument::row_of(self.tx, self.base, customer)?
        {
            self.row.instrument = Some(instrument.token);
            self.row.source = Source::Rail;
        }
        let minor = Money::from(self.row.amount).minor();
        let (policy, now) = (self.rules.policy, self.now);
        self.change_day(|day, id| day.add(policy, id, minor, now))?;
        self.row.counted_us = Some(now.micros());
        self.begin(Event::Begin(Action::Authorise), minor, None)
    }

    /// It takes nothing after all.
    fn take_back(&mut self) -> Result<(), Error> {
        let minor = Money::from(self.row.amount).minor();
        let counted = self.row.counted_us.unwrap_or(self.row.create_us);
        let counted = Timestamp::from_micros(counted);
        let policy = self.rules.policy;
        self.change_day(|day, id| day.take_back(policy, id, minor, counted))
    }

    fn change_day(&mut self, change: impl FnOnce(&mut DayRow, PaymentId)) -> Result<(), Error> {
        let Some(customer) = self.row.customer else {
            return Ok(());
        };
        let mut day = day_of(self.tx, customer)?;
        change(&mut day, self.id);
        self.tx.put(day_key(customer), rows::encode(&day));
        Ok(())
    }

    /// Begins a step. The wallet's is done at once; an outside rail's waits for [`Self::answered`].
    pub(crate) fn begin(
        &mut self,
        event: Event,
        minor: u64,
        refund: Option<u8>,
    ) -> Result<(), Error> {
        self.row.advance(event)?;
        self.row.reason = None;
        self.row.pending = Some(PendingRow {
            step: self.random(),
            minor,
            first_us: self.now.micros(),
            refund,
            unknown: 0,
        });
        match self.row.source {
            Source::Rail => Ok(()),
            Source::Wallet => match self.transfer() {
                Ok(()) => self.approved(),
                Err(LedgerError::InsufficientFunds) => self.declined(ReasonCode::InsufficientFunds),
                Err(error) => Err(wallet::refused(error)),
            },
        }
    }

    /// Takes an outside rail's answer to the step that is pending.
    pub(crate) fn answered(&mut self, answer: rail::Answer) -> Result<(), Error> {
        match answer {
            rail::Answer::Approved { reference } => {
                self.transfer().map_err(wallet::refused)?;
                if self.row.state.asked() == Some(Action::Authorise) {
                    self.row.reference = Some(reference.as_str().to_owned());
                }
                self.approved()
            }
            rail::Answer::Declined(reason) => self.declined(reason),
            // Nobody is kept waiting for a rail that is down: charge again under a new id, or otherwise.
            rail::Answer::NotSent if self.row.state == State::Authorising => self.undone(),
            rail::Answer::NotSent | rail::Answer::Unknown => {
                if let Some(pending) = &mut self.row.pending {
                    pending.unknown = pending.unknown.saturating_add(1);
                }
                Ok(())
            }
        }
    }

    /// The rail has no trace of the step, or took it back.
    pub(crate) fn undone(&mut self) -> Result<(), Error> {
        self.settle_refund(RefundStanding::Refused(ReasonCode::Cancelled))?;
        if self.row.state == State::Authorising {
            self.take_back()?;
        }
        self.row.advance(Event::Undone)?;
        self.row.pending = None;
        Ok(())
    }

    fn approved(&mut self) -> Result<(), Error> {
        let asked = self.row.state.asked();
        let pending = self.row.pending.take();
        let minor = pending.as_ref().map_or(0, |pending| pending.minor);
        self.row.advance(Event::Approved)?;
        match asked {
            Some(Action::Authorise) => self.authorised(minor),
            Some(Action::Capture) => {
                self.row.captured_minor = minor;
                Ok(())
            }
            Some(Action::Refund) => {
                self.row.refunded_minor = self.row.refunded_minor.saturating_add(minor);
                let number = pending.and_then(|pending| pending.refund);
                self.keep_refund(number, RefundStanding::Done)
            }
            Some(Action::Void) => self.take_back(),
            None => Ok(()),
        }
    }

    fn authorised(&mut self, minor: u64) -> Result<(), Error> {
        let customer = self.row.customer;
        let balance = match (self.row.source, customer) {
            (Source::Wallet, Some(customer)) => {
                let currency = self.tx.ledger().currency();
                Some(wallet::balance(self.tx, customer, currency).into())
            }
            (Source::Rail, _) | (_, None) => None,
        };
        self.row.answer = Some(AnswerRow::Approved { balance });
        match (self.row.is_unwanted, self.row.is_manual) {
            (true, _) => self.begin(Event::Begin(Action::Void), minor, None),
            (false, false) => self.begin(Event::Begin(Action::Capture), minor, None),
            (false, true) => Ok(()),
        }
    }

    /// The rail, or the shop's rules, refused.
    pub(crate) fn declined(&mut self, reason: ReasonCode) -> Result<(), Error> {
        self.settle_refund(RefundStanding::Refused(reason))?;
        if self.row.state == State::Authorising {
            self.take_back()?;
        }
        self.row.advance(Event::Declined)?;
        self.row.pending = None;
        self.row.reason = Some(reason);
        self.row.ask = None;
        if self.row.answer.is_none() {
            self.row.answer = Some(AnswerRow::Declined);
        }
        Ok(())
    }

    fn settle_refund(&mut self, standing: RefundStanding) -> Result<(), Error> {
        let number = self.row.pending.as_ref().and_then(|pending| pending.refund);
        self.keep_refund(number, standing)
    }

    /// Asks for money back; the refund's own row says what becomes of it.
    pub(crate) fn refund(&mut self, request: RequestId, minor: u64) -> Result<u8, Error> {
        let number = self.row.refunds;
        self.row.refunds = number
            .checked_add(1)
            .filter(|count| *count <= limits::REFUNDS_MAX)
            .ok_or(Error::RefundsFull)?;
        let row = RefundRow {
            request,
            minor,
            create_us: self.now.micros(),
            settle_us: None,
            standing: RefundStanding::InDoubt,
        };
        self.tx.put(refund_key(self.id, number), rows::encode(&row));
        self.begin(Event::Begin(Action::Refund), minor, Some(number))?;
        Ok(number)
    }

    fn keep_refund(&mut self, number: Option<u8>, standing: RefundStanding) -> Result<(), Error> {
        let Some(number) = number else { return Ok(()) };
        let key = refund_key(self.id, number);
        let stored = self.tx.get(&key)?;
        let stored = stored.ok_or(Error::Corrupt(Table::Refund.name()))?;
        let mut row: RefundRow = Table::Refund.decode(&stored)?;
        row.standing = standing;
        if standing == RefundStanding::Done {
            row.settle_us = Some(self.now.micros());
        }
        self.tx.put(key, rows::encode(&row));
        Ok(())
    }

    /// Keeps what a request is answered, for when it is sent again.
    pub(crate) fn keep_answer(
        &mut self,
        request: RequestId,
        mut asked: ChangeRow,
        refund: Option<u8>,
    ) {
        asked.answer(&self.row, refund);
        requests::keep(self.tx, request, &RequestRow::Change(asked));
    }

    /// Books what the pending step moves.
    fn transfer(&mut self) -> Result<(), LedgerError> {
        let (Some(action), Some(pending)) = (self.row.state.asked(), &self.row.pending) else {
            return Ok(());
        };
        let minor = pending.minor;
        let from = match (self.row.source, self.row.customer) {
            (Source::Wallet, Some(customer)) => AccountId::Wallet(customer),
            (Source::Rail, _) | (_, None) => AccountId::Rail,
        };
        let id = TransferId(self.random());
        let hold = TransferId(self.row.hold.unwrap_or_default());
        let is_expiry = self.row.state == State::Expiring;
        let (kind, debit, credit) = match action {
            Action::Authorise => (Kind::Hold, from, AccountId::Merchant),
            Action::Capture => (Kind::Post { hold }, from, AccountId::Merchant),
            Action::Void if is_expiry => (Kind::Expire { hold }, from, AccountId::Merchant),
            Action::Void => (Kind::Void { hold }, from, AccountId::Merchant),
            Action::Refund => (Kind::Direct, AccountId::Merchant, from),
        };
        let transfer = Transfer {
            id,
            kind,
            debit,
            credit,
            amount: self.row.money(minor),
            time: self.now,
        };
        self.tx.post(&[transfer])?;
        if kind == Kind::Hold {
            self.row.hold = Some(id.0);
        }
        Ok(())
    }

    fn random(&self) -> [u8; 16] {
        self.base.random()
    }
}

fn day_key(customer: CustomerId) -> Vec<u8> {
    Table::CustomerDay.key(&[&customer.to_bytes()])
}

/// What a customer paid lately.
pub(crate) fn day_of(tx: &Transaction<'_>, customer: CustomerId) -> Result<DayRow, Error> {
    let row = tx.get(&day_key(customer))?;
    let row = row
        .map(|bytes| Table::CustomerDay.decode(&bytes))
        .transpose()?;
    Ok(row.unwrap_or_default())
}

/// Forgets what belongs to payments of a customer who leaves; the payments stay.
pub(crate) fn forget(tx: &mut Transaction<'_>, customer: CustomerId) {
    tx.delete(day_key(customer));
}
