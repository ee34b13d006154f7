//! Payments before and after the palm: announced, captured, voided, refunded, given up, and told.
//!
//! Every change is one command of the single writer, which moves a payment along the table of [`life`] and books what
//! belongs to it (`booking`). With an outside rail a step is on disk before it is sent, and what is not answered is
//! found out by `outside` until somebody knows.
//!
//! [`Payments::find`] tells what is booked now; a send that is still on its way may be booked after it.
//! [`Payments::cancel`] is certain: it books the end of the id in the same single writer that books payments, so that
//! whichever comes first, wins.

use std::sync::Arc;

use palm_proto::{
    id::{CustomerId, PaymentId, RequestId, TillId},
    money::Money,
    reason::ReasonCode,
    request::{CancelPayment, CaptureMode, ChangePayment, CreatePayment, Page},
};

use crate::{
    base::Base,
    cards::instrument::{self, InstrumentRow},
    clock::Timestamp,
    customers::{Customers, customer_key},
    error::Error,
    policy::Policy,
    rail::{Action, Instrument, Rail},
    requests::{self, ChangeRow, RequestRow},
    rows::{self, Table},
    writer::Transaction,
};

pub(crate) mod booking;
pub mod life;
mod outside;
pub(crate) mod record;

use booking::Booking;
use life::Event;
pub use life::State;
pub use record::{Payment, Refund, RefundStanding};
use record::{PaymentRow, RefundRow, Source};

/// What the shop lays down for payments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    /// An outside rail is configured.
    pub(crate) has_rail: bool,
    /// Highest amount of one payment; its currency is the shop's.
    pub(crate) payment_max: Money,
}

/// Who asks for something about a payment: a till may for its own only.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a>(
    /// `None`: an operator.
    pub Option<&'a TillId>,
);

/// All payments.
#[derive(Debug, Clone)]
pub struct Payments {
    pub(crate) base: Arc<Base>,
    customers: Customers,
    pub(crate) rules: Rules,
    rail: Option<Arc<dyn Rail>>,
}

impl Asker<'_> {
    pub(crate) fn may_ask_about(self, row: &PaymentRow) -> Result<(), Error> {
        match self.0 {
            Some(till) if *till != row.till => Err(Error::PermissionDenied(
                "this payment is another till's: ask an operator",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl Payments {
    pub(crate) fn new(base: Arc<Base>, rules: Rules, rail: Option<Arc<dyn Rail>>) -> Self {
        let customers = Customers::new(Arc::clone(&base));
        Self {
            base,
            customers,
            rules,
            rail,
        }
    }

    /// Announces a payment. The same again gives it as it stands.
    ///
    /// # Errors
    /// [`Error::IdReused`]; [`Error::Malformed`] (the amount; an operator who names no till).
    pub async fn create(&self, request: CreatePayment, asker: Asker<'_>) -> Result<Payment, Error> {
        self.check_amount(request.amount)?;
        let till = self.till_of(&request, asker)?;
        let CreatePayment {
            payment,
            amount,
            capture_mode,
            till: _,
        } = request;
        let writing = self.write(payment, move |before, work| {
            if let Some(row) = before {
                row.must_be_of(&till, amount, capture_mode)?;
                return Ok(row);
            }
            let row = PaymentRow::new(amount, capture_mode, till, work.now);
            Ok(work.on(None, row).put())
        });
        self.payment(payment, &writing.await?)
    }

    fn till_of(&self, request: &CreatePayment, asker: Asker<'_>) -> Result<TillId, Error> {
        match (&request.till, asker.0) {
            (None, Some(own)) => Ok(own.clone()),
            (Some(till), Some(own)) if till == own => Ok(own.clone()),
            (Some(_), Some(_)) => Err(Error::PermissionDenied(
                "a till announces its own payments only: leave `till` empty",
            )),
            (Some(till), None) if self.base.store.get(&till_key(till))?.is_some() => {
                Ok(till.clone())
            }
            (Some(_), None) => Err(Error::TillNotFound),
            (None, None) => {
                let remedy = "name the till that will take the payment";
                Err(palm_proto::fault::Malformed::new("till", remedy).into())
            }
        }
    }

    /// The shop's currency, and at most its limit.
    pub(crate) fn check_amount(&self, amount: Money) -> Result<(), Error> {
        let malformed = |field, remedy| {
            let malformed = palm_proto::fault::Malformed::new(field, remedy);
            Error::from(malformed.with_reason(ReasonCode::AmountInvalid))
        };
        let most = self.rules.payment_max;
        if amount.currency() != most.currency() {
            let remedy = "send the shop's currency, as the till's setup names it";
            return Err(malformed("amount.currency_code", remedy));
        }
        if amount.minor() > most.minor() {
            let remedy = "send at most the payment_max of the till's setup";
            return Err(malformed("amount.amount_minor", remedy));
        }
        Ok(())
    }

    /// Takes what is held, wholly or in part; the rest is freed.
    ///
    /// # Errors
    /// [`Error::PaymentNotFound`], [`Error::PermissionDenied`], [`Error::IdReused`], [`Error::StateRefuses`],
    /// [`Error::AmountTooLarge`], [`Error::Malformed`] (the currency).
    pub async fn capture(
        &self,
        request: ChangePayment,
        asker: Asker<'_>,
    ) -> Result<Payment, Error> {
        let (row, _) = self.change(request, asker, Action::Capture).await?;
        self.payment(request.payment, &row)
    }

    /// Frees what is held.
    ///
    /// # Errors
    /// As [`Self::capture`].
    pub async fn void(&self, request: ChangePayment, asker: Asker<'_>) -> Result<Payment, Error> {
        let (row, _) = self.change(request, asker, Action::Void).await?;
        self.payment(request.payment, &row)
    }

    /// Gives back what was captured, wholly or in part.
    ///
    /// # Errors
    /// As [`Self::capture`]; [`Error::CustomerNotFound`] when the wallet's owner was deleted: give cash back;
    /// [`Error::RefundsFull`].
    pub async fn refund(&self, request: ChangePayment, asker: Asker<'_>) -> Result<Refund, Error> {
        let (row, number) = self.change(request, asker, Action::Refund).await?;
        let number = number.ok_or(Error::Corrupt(Table::Request.name()))?;
        let key = record::refund_key(request.payment, number);
        let stored = self.base.store.get(&key)?;
        let stored = stored.ok_or(Error::Corrupt(Table::Refund.name()))?;
        let refund: RefundRow = Table::Refund.decode(&stored)?;
        Ok(told(request.payment, &row, &refund))
    }

    /// One change by an idempotent request: the row as it was answered first, and which refund it was.
    async fn change(
        &self,
        request: ChangePayment,
        asker: Asker<'_>,
        action: Action,
    ) -> Result<(PaymentRow, Option<u8>), Error> {
        let ChangePayment {
            request_id,
            payment,
            amount,
        } = request;
        let till = asker.0.cloned();
        let asked = ChangeRow::new(payment, action, amount);
        let writing = self.write(payment, move |before, work| {
            let row = before.ok_or(Error::PaymentNotFound)?;
            Asker(till.as_ref()).may_ask_about(&row)?;
            if let Some(answered) = requests::answered(work.tx, request_id)? {
                let RequestRow::Change(first) = answered else {
                    return Err(Error::IdReused);
                };
                let (row, number) = first.repeat(&asked, row)?;
                return Ok((row, number, false));
            }
            let minor = most(&row, action, amount)?;
            let mut booking = work.on(Some(row.clone()), row);
            let number = begin(&mut booking, request_id, action, minor)?;
            booking.keep_answer(request_id, asked, number);
            Ok((booking.put(), number, true))
        });
        let (row, number, is_begun) = writing.await?;
        let row = if is_begun {
            self.drive(payment, row).await?
        } else {
            row
        };
        Ok((row, number))
    }

    /// Keeps or forgets the token of a customer's card or account at the outside rail. With one, they pay from there.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`]; [`Error::RailMissing`] when there is no outside rail.
    pub async fn set_instrument(
        &self,
        customer: CustomerId,
        token: Option<Instrument>,
    ) -> Result<(), Error> {
        if !self.rules.has_rail {
            return Err(Error::RailMissing);
        }
        let base = Arc::clone(&self.base);
        let writing = self.base.writer.write(move |tx| {
            if tx.get(&customer_key(customer))?.is_none() {
                return Err(Error::CustomerNotFound);
            }
            let row = token.map(|token| InstrumentRow {
                token: token.as_str().to_owned(),
                card: None,
            });
            instrument::replace(tx, &base, customer, row.as_ref())
        });
        writing.await
    }

    /// What is booked under an id as yet. A till sees its own payments only.
    ///
    /// # Errors
    /// [`Error::PaymentNotFound`]; [`Error::PermissionDenied`] when it is another till's.
    pub fn find(&self, id: PaymentId, asker: Asker<'_>) -> Result<Payment, Error> {
        let row = self.row(id)?.ok_or(Error::PaymentNotFound)?;
        asker.may_ask_about(&row)?;
        self.payment(id, &row)
    }

    /// Every refund of a payment, oldest first.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn refunds(&self, id: PaymentId, asker: Asker<'_>) -> Result<Vec<Refund>, Error> {
        let row = self.row(id)?.ok_or(Error::PaymentNotFound)?;
        asker.may_ask_about(&row)?;
        let prefix = Table::Refund.key(&[&id.to_bytes()]);
        let stored = self.base.store.scan(&prefix, None, usize::from(u8::MAX))?;
        let refund =
            |(_, bytes): (Vec<u8>, Vec<u8>)| Ok(told(id, &row, &Table::Refund.decode(&bytes)?));
        stored.into_iter().map(refund).collect()
    }

    /// Gives a payment up unless something is certain under its id; tells what is booked then.
    ///
    /// # Errors
    /// [`Error::IdReused`] when the id was used by another till or for another amount.
    pub async fn cancel(&self, till: TillId, request: CancelPayment) -> Result<Payment, Error> {
        let CancelPayment { payment, amount } = request;
        let by = till.clone();
        let writing = self.write(payment, move |before, work| {
            let Some(row) = before else {
                let row = PaymentRow::new(amount, CaptureMode::Automatic, by, work.now);
                let mut booking = work.on(None, row);
                booking.row.advance(Event::Cancel)?;
                return Ok(booking.put());
            };
            row.must_be_paid_at(&by, amount)?;
            let mut booking = work.on(Some(row.clone()), row);
            match booking.row.state {
                State::Created | State::StepUp => {
                    booking.row.advance(Event::Cancel)?;
                    booking.row.ask = None;
                }
                State::Authorising => booking.row.is_unwanted = true,
                State::Authorised
                | State::Capturing
                | State::Voiding
                | State::Expiring
                | State::Captured
                | State::Refunding
                | State::Declined
                | State::Cancelled
                | State::Voided
                | State::Expired => return Ok(booking.row),
            }
            Ok(booking.put())
        });
        let row = writing.await?;
        // While its first send is on its way, only that send's answer is certain.
        let is_unanswered = row.pending.as_ref().is_some_and(|step| step.unknown > 0);
        let row = if row.state == State::Authorising && is_unanswered {
            self.find_out(payment).await?;
            self.row(payment)?.ok_or(Error::PaymentNotFound)?
        } else {
            row
        };
        self.payment(payment, &row)
    }

    /// A part of the list, newest first, and the token of the next part (empty: there is none). A till sees its own
    /// payments only.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a token that was not given out.
    pub fn list(&self, page: &Page, asker: Asker<'_>) -> Result<(Vec<Payment>, String), Error> {
        let (table, prefix) = record::order(asker.0);
        let part = rows::page(&*self.base.store, &prefix, 24..=24, page)?;
        let payment = |key: &Vec<u8>| {
            let id = PaymentId::from_bytes(rows::id_at(table, key, 8)?);
            let row = self.row(id)?.ok_or(Error::Corrupt(table.name()))?;
            self.payment(id, &row)
        };
        let payments = part.keys.iter().map(payment).collect::<Result<_, _>>()?;
        Ok((payments, part.next_page_token))
    }

    pub(crate) fn row(&self, id: PaymentId) -> Result<Option<PaymentRow>, Error> {
        let row = self.base.store.get(&record::key(id))?;
        row.map(|bytes| Table::Payment.decode(&bytes)).transpose()
    }

    pub(crate) fn payment(&self, id: PaymentId, row: &PaymentRow) -> Result<Payment, Error> {
        let masked_name = match row.customer {
            Some(customer) => self.masked_name(customer)?,
            None => String::new(),
        };
        Ok(Payment {
            id,
            state: row.state,
            reason: row.reason,
            amount: row.amount.into(),
            capture_mode: row.capture_mode(),
            captured: row.money(row.captured_minor),
            refunded: row.money(row.refunded_minor),
            customer: row.customer,
            masked_name,
            till: row.till.clone(),
            create_time: Timestamp::from_micros(row.create_us),
            expire_time: row
                .deadline_us
                .filter(|_| !row.state.is_in_doubt())
                .map(Timestamp::from_micros),
        })
    }

    pub(crate) fn masked_name(&self, customer: CustomerId) -> Result<String, Error> {
        self.customers.masked_name(customer)
    }

    /// Runs a command of the writer that works on one payment.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        id: PaymentId,
        command: impl FnOnce(Option<PaymentRow>, Work<'_, '_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let base = Arc::clone(&self.base);
        let rules = self.rules;
        let writing = self.base.writer.write(move |tx| {
            let now = base.clock.now();
            let before = record::find(tx, id)?;
            let work = Work {
                tx,
                id,
                rules: &rules,
                base: &base,
                now,
            };
            command(before, work)
        });
        writing.await
    }
}

/// What a command needs to work on a payment.
pub(crate) struct Work<'a, 'tx> {
    pub(crate) tx: &'a mut Transaction<'tx>,
    pub(crate) id: PaymentId,
    pub(crate) rules: &'a Rules,
    pub(crate) base: &'a Base,
    pub(crate) now: Timestamp,
}

impl<'a, 'tx> Work<'a, 'tx> {
    /// Works on this row, stored as `before`.
    pub(crate) fn on(self, before: Option<PaymentRow>, row: PaymentRow) -> Booking<'a, 'tx> {
        let ground = (self.base, self.rules, self.now);
        Booking::new(self.tx, self.id, (before, row), ground)
    }
}

/// How much a request is about: at most what there is.
fn most(row: &PaymentRow, action: Action, asked: Option<Money>) -> Result<u64, Error> {
    let whole = Money::from(row.amount);
    let there_is = match action {
        Action::Authorise | Action::Capture | Action::Void => whole.minor(),
        Action::Refund => row.captured_minor.saturating_sub(row.refunded_minor),
    };
    let Some(asked) = asked else {
        // Nothing left to refund is a matter of its state.
        return (there_is > 0)
            .then_some(there_is)
            .ok_or(Error::StateRefuses);
    };
    if asked.currency() != whole.currency() {
        let remedy = "send the payment's currency";
        let malformed = palm_proto::fault::Malformed::new("amount.currency_code", remedy);
        return Err(malformed.with_reason(ReasonCode::AmountInvalid).into());
    }
    let is_too_large = asked.minor() > there_is;
    (!is_too_large)
        .then_some(asked.minor())
        .ok_or(Error::AmountTooLarge)
}

fn begin(
    booking: &mut Booking<'_, '_>,
    request: RequestId,
    action: Action,
    minor: u64,
) -> Result<Option<u8>, Error> {
    if action != Action::Refund {
        booking.begin(Event::Begin(action), minor, None)?;
        return Ok(None);
    }
    if let (Source::Wallet, Some(customer)) = (booking.row.source, booking.row.customer)
        && booking.tx.get(&customer_key(customer))?.is_none()
    {
        return Err(Error::CustomerNotFound);
    }
    booking.refund(request, minor).map(Some)
}

fn told(payment: PaymentId, row: &PaymentRow, refund: &RefundRow) -> Refund {
    Refund {
        request: refund.request,
        payment,
        amount: row.money(refund.minor),
        standing: refund.standing,
        create_time: Timestamp::from_micros(refund.create_us),
    }
}

fn till_key(till: &TillId) -> Vec<u8> {
    Table::Till.key(&[till.as_str().as_bytes()])
}

#[cfg(test)]
mod tests;
