//! A payment by palm: open the envelope, identify, rule, hold and post in one durable batch.
//!
//! The order of the checks is part of the contract: id seen before, amount, seal, capture nonce, identification, the
//! shop's and the customer's rules, funds. What is answered under a payment id:
//!
//! | seen before | same till, amount and capture mode | others |
//! |---|---|---|
//! | announced (`CreatePayment`) | the palm is taken | [`Error::IdReused`] |
//! | approved, declined | the same answer, whatever became of it since | [`Error::IdReused`] |
//! | waits for a second factor or the cashier's word | what it waits for | [`Error::IdReused`] |
//! | a rail's answer is awaited | [`Error::OutcomeUnknown`] | [`Error::IdReused`] |
//! | cancelled | [`Error::Cancelled`] | [`Error::IdReused`] |
//! | not recognised | the id is free; the same capture gets the same answer | free |
//!
//! "The same content" does not ask for the same sample: a till that lost the answer may send the same bytes again or
//! a new capture. An id belongs to the till that used it first.

use std::sync::Arc;

use palm_proto::{
    envelope::Binding,
    id::{CustomerId, PaymentId, TillId},
    money::Money,
    reason::ReasonCode,
    request::AuthorisePayment,
};

use crate::{
    base::Base,
    clock::Timestamp,
    customers::customer_key,
    error::Error,
    gallery::{Identity, palms::Opened},
    payments::{
        Payment, Payments, State, Work,
        booking::{self, Booking},
        life::Event,
        record::{AnswerRow, AskRow, Need, PaymentRow},
    },
    policy::Ruling,
    requests::{self, Nonce, NonceRow},
    rows::Table,
    safeguards::{self, Safeguards},
    writer::Transaction,
};

mod confirm;
pub mod stages;

use stages::{Monotonic, StageTimes, Stages};

/// What the till is answered. None of it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The money is held or moved, and the record of it is on disk.
    Approved {
        /// The record.
        payment: Payment,
        /// What was left in the wallet; `None` when an outside rail paid.
        balance: Option<Money>,
    },
    /// The palm was recognised, the payment was not taken.
    Declined {
        /// Why.
        reason: ReasonCode,
        /// The customer's name, masked.
        masked_name: String,
    },
    /// Nobody was charged; the id is free for another try.
    NotRecognised {
        /// `NotRecognised` or `Ambiguous`.
        reason: ReasonCode,
    },
    /// Nobody is charged yet: something is to be given first.
    StepUp {
        /// `SecondFactor`, `Ambiguous`, `LikelyDuplicate` or `FactorWrong`.
        reason: ReasonCode,
        /// The customer's name, masked; empty while it may be one of two.
        masked_name: String,
        /// When the payment is given up.
        expire_time: Timestamp,
    },
}

/// Takes payments.
#[derive(Debug, Clone)]
pub struct Checkout {
    pub(crate) base: Arc<Base>,
    payments: Payments,
    safeguards: Safeguards,
    monotonic: Arc<dyn Monotonic>,
}

/// Whoever a palm may be.
#[derive(Debug, Clone, Copy)]
enum Found {
    One(CustomerId),
    Two([CustomerId; 2]),
}

impl Checkout {
    pub(crate) fn new(
        payments: Payments,
        safeguards: Safeguards,
        monotonic: Arc<dyn Monotonic>,
    ) -> Self {
        Self {
            base: Arc::clone(&payments.base),
            payments,
            safeguards,
            monotonic,
        }
    }

    /// Identifies the palm and takes the money.
    ///
    /// # Errors
    /// [`Error::IdReused`], [`Error::Cancelled`], [`Error::OutcomeUnknown`], [`Error::Malformed`] (the amount),
    /// [`Error::SealBroken`], [`Error::TemplateUnknown`], [`Error::CaptureReplayed`], [`Error::AmountOverflow`],
    /// [`Error::TooManySearches`], [`Error::KeyholderAway`].
    pub async fn authorise(
        &self,
        till: TillId,
        request: AuthorisePayment,
    ) -> Result<(Outcome, StageTimes), Error> {
        let mut stages = Stages::start(&*self.monotonic);
        if let Some(row) = self.payments.row(request.payment)? {
            row.must_be_of(&till, request.amount, request.capture_mode)?;
            if row.state != State::Created {
                return Ok((self.again(request.payment, &row)?, stages.times()));
            }
        }
        self.payments.check_amount(request.amount)?;
        let probe = self.open(&till, &request).await?;
        stages.opened();
        if let Some(reason) = self.used_before(&request)? {
            return Ok((Outcome::NotRecognised { reason }, stages.times()));
        }
        self.base.count_search(&till)?;
        let identity = self.identify(probe).await?;
        stages.identified();
        let outcome = match identity {
            Identity::NoMatch => {
                self.refuse(till, request, ReasonCode::NotRecognised)
                    .await?
            }
            // The same answer as to a stranger: it must not say that somebody is there.
            Identity::Match(customer) if !self.may_match(customer) => {
                self.refuse(till, request, ReasonCode::NotRecognised)
                    .await?
            }
            Identity::Match(customer) => self.charge(till, request, Found::One(customer)).await?,
            Identity::Ambiguous(two) => self.charge(till, request, Found::Two(two)).await?,
        };
        stages.committed();
        Ok((outcome, stages.times()))
    }

    async fn open(&self, till: &TillId, request: &AuthorisePayment) -> Result<Opened, Error> {
        let binding = Binding::Payment {
            till: till.clone(),
            payment: request.payment,
            amount: request.amount,
        };
        let (gallery, sample) = (Arc::clone(&self.base.gallery), request.sample.clone());
        let opening = tokio::task::spawn_blocking(move || gallery.open(&binding, &[sample]));
        opening.await.map_err(|_| Error::Stopping)?
    }

    /// The reason that this very send was refused for before, when it was.
    fn used_before(&self, request: &AuthorisePayment) -> Result<Option<ReasonCode>, Error> {
        let used = self
            .base
            .store
            .get(&requests::nonce_key(&request.sample.capture_nonce))?;
        let used = used.map(|bytes| Table::Nonce.decode(&bytes)).transpose()?;
        refused_before(used, request.payment)
    }

    fn may_match(&self, customer: CustomerId) -> bool {
        let now = self.base.clock.now();
        self.base.matches.spend(customer, now)
    }

    async fn identify(&self, probe: Opened) -> Result<Identity, Error> {
        let gallery = Arc::clone(&self.base.gallery);
        let searching = tokio::task::spawn_blocking(move || gallery.identify(probe));
        searching.await.map_err(|_| Error::Stopping)?
    }

    /// Uses the capture up and leaves the id free.
    async fn refuse(
        &self,
        till: TillId,
        request: AuthorisePayment,
        reason: ReasonCode,
    ) -> Result<Outcome, Error> {
        let AuthorisePayment {
            payment,
            amount,
            capture_mode,
            sample,
            accepted_offline: _,
        } = request;
        let nonce = sample.capture_nonce;
        let writing = self.payments.write(payment, move |before, work| {
            let is_free = before
                .as_ref()
                .is_none_or(|row| row.state == State::Created);
            if is_free && not_refused_before(work.tx, &nonce, payment)? {
                requests::spend(work.tx, &nonce, NonceRow::NotRecognised { payment, reason })?;
            }
            Ok(before.filter(|_| !is_free))
        });
        match writing.await? {
            None => Ok(Outcome::NotRecognised { reason }),
            Some(row) => {
                row.must_be_of(&till, amount, capture_mode)?;
                self.again(payment, &row)
            }
        }
    }

    /// Rules, hold, post, record and nonce in one batch; an outside rail is asked after it.
    async fn charge(
        &self,
        till: TillId,
        request: AuthorisePayment,
        found: Found,
    ) -> Result<Outcome, Error> {
        let AuthorisePayment {
            payment,
            amount,
            capture_mode,
            sample,
            accepted_offline,
        } = request;
        let nonce = sample.capture_nonce;
        let by = till.clone();
        // Whoever could say whether it is a duplicate has left.
        let given = accepted_offline.then_some(Need::Word);
        let writing = self.payments.write(payment, move |before, work| {
            if let Some(row) = &before
                && row.state != State::Created
            {
                return Ok(Ok((row.clone(), false)));
            }
            if let Some(row) = &before {
                row.must_be_of(&by, amount, capture_mode)?;
            }
            if let Some(reason) = nobody(work.tx, found)? {
                if not_refused_before(work.tx, &nonce, payment)? {
                    let used = NonceRow::NotRecognised { payment, reason };
                    requests::spend(work.tx, &nonce, used)?;
                }
                return Ok(Err(reason));
            }
            requests::spend(work.tx, &nonce, NonceRow::Payment { payment })?;
            let row = before
                .clone()
                .unwrap_or_else(|| PaymentRow::new(amount, capture_mode, by.clone(), work.now));
            book(work, before, row, (found, given)).map(|row| Ok((row, true)))
        });
        match writing.await? {
            Ok((row, false)) => {
                row.must_be_of(&till, amount, capture_mode)?;
                self.again(payment, &row)
            }
            Ok((row, true)) => {
                let row = self.payments.drive(payment, row).await?;
                self.again(payment, &row)
            }
            // Nobody whom it could be charged to.
            Err(reason) => Ok(Outcome::NotRecognised { reason }),
        }
    }

    /// The answer that a booked payment gives, now or to a repeated send.
    fn again(&self, id: PaymentId, row: &PaymentRow) -> Result<Outcome, Error> {
        match row.answer {
            Some(AnswerRow::Approved { balance }) => {
                let payment = self.payments.payment(id, row)?;
                let balance = balance.map(Money::from);
                return Ok(Outcome::Approved { payment, balance });
            }
            Some(AnswerRow::Declined) => {
                return self.declined(row, row.reason.unwrap_or(ReasonCode::OverLimit));
            }
            None => {}
        }
        match (row.state, &row.ask) {
            (State::StepUp, Some(ask)) => self.asked(row, ask),
            (State::Expired, _) => self.declined(row, ReasonCode::Expired),
            (State::Cancelled, _) => Err(Error::Cancelled),
            _ => Err(Error::OutcomeUnknown),
        }
    }

    fn declined(&self, row: &PaymentRow, reason: ReasonCode) -> Result<Outcome, Error> {
        Ok(Outcome::Declined {
            reason,
            masked_name: self.name_of(row.customer)?,
        })
    }

    fn asked(&self, row: &PaymentRow, ask: &AskRow) -> Result<Outcome, Error> {
        let need = ask.needs.first().copied().unwrap_or(Need::Factor);
        let reason = match need {
            Need::Factor | Need::FactorOfTwo if ask.wrong > 0 => ReasonCode::FactorWrong,
            Need::Factor | Need::FactorOfTwo | Need::Word => need.reason(),
        };
        Ok(Outcome::StepUp {
            reason,
            masked_name: self.name_of(row.customer)?,
            expire_time: Timestamp::from_micros(row.deadline_us.unwrap_or_default()),
        })
    }

    fn name_of(&self, customer: Option<CustomerId>) -> Result<String, Error> {
        customer.map_or_else(|| Ok(String::new()), |own| self.payments.masked_name(own))
    }
}

/// Why nobody can be charged: they were deleted since, or two are alike and neither has a second factor.
fn nobody(tx: &Transaction<'_>, found: Found) -> Result<Option<ReasonCode>, Error> {
    match found {
        Found::One(customer) => {
            let is_gone = tx.get(&customer_key(customer))?.is_none();
            Ok(is_gone.then_some(ReasonCode::NotRecognised))
        }
        Found::Two(two) => {
            for customer in two {
                if safeguards::row_of(tx, customer)?.has_factor() {
                    return Ok(None);
                }
            }
            Ok(Some(ReasonCode::Ambiguous))
        }
    }
}

/// Books what the rules say of a palm.
fn book(
    work: Work<'_, '_>,
    before: Option<PaymentRow>,
    row: PaymentRow,
    (found, given): (Found, Option<Need>),
) -> Result<PaymentRow, Error> {
    let mut booking = work.on(before, row);
    match found {
        Found::One(customer) => rule(&mut booking, customer, given.as_slice())?,
        Found::Two(two) => ask(&mut booking, &two, vec![Need::FactorOfTwo])?,
    }
    Ok(booking.put())
}

/// Applies the rules to a customer who is certain.
fn rule(booking: &mut Booking<'_, '_>, customer: CustomerId, given: &[Need]) -> Result<(), Error> {
    booking.row.customer = Some(customer);
    let own = safeguards::row_of(booking.tx, customer)?;
    let day = booking::day_of(booking.tx, customer)?;
    let amount = booking.row.amount.into();
    let policy = booking.rules().policy;
    match policy.rule(amount, &own, &day, (booking.now(), given)) {
        Ruling::Allow => booking.authorise(customer),
        Ruling::Ask(needs) => ask(booking, &[customer], needs),
        Ruling::Decline(reason) => booking.declined(reason),
    }
}

fn ask(
    booking: &mut Booking<'_, '_>,
    candidates: &[CustomerId],
    needs: Vec<Need>,
) -> Result<(), Error> {
    booking.row.advance(Event::Ask)?;
    let given = booking
        .row
        .ask
        .take()
        .map_or_else(Vec::new, |ask| ask.given);
    booking.row.ask = Some(AskRow {
        candidates: candidates.iter().map(|own| own.to_bytes()).collect(),
        needs,
        given,
        wrong: 0,
    });
    Ok(())
}

/// Whether the capture is not yet marked as refused for this payment: two copies of one send may be on their way.
fn not_refused_before(
    tx: &Transaction<'_>,
    nonce: &Nonce,
    payment: PaymentId,
) -> Result<bool, Error> {
    let used = tx.get(&requests::nonce_key(nonce))?;
    let used = used.map(|bytes| Table::Nonce.decode(&bytes)).transpose()?;
    Ok(refused_before(used, payment)?.is_none())
}

/// A capture may be used once. The same send again, refused before, gets the same answer; booked before, perhaps by a
/// copy of it since its payment was looked for, it goes on, and the writer answers as it did.
fn refused_before(used: Option<NonceRow>, id: PaymentId) -> Result<Option<ReasonCode>, Error> {
    match used {
        None => Ok(None),
        Some(NonceRow::Payment { payment }) if payment == id => Ok(None),
        Some(NonceRow::NotRecognised { payment, reason }) if payment == id => Ok(Some(reason)),
        Some(
            NonceRow::Enrolment { .. } | NonceRow::Payment { .. } | NonceRow::NotRecognised { .. },
        ) => Err(Error::CaptureReplayed),
    }
}

#[cfg(test)]
mod tests;
