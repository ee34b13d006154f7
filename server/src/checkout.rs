//! A payment by palm: open the envelope, identify, hold and post in one durable batch.
//!
//! The order of the checks is part of the contract: id seen before, amount, seal, capture nonce, identification, funds.
//! What is answered under a payment id:
//!
//! | seen before | same till and amount | another till or amount |
//! |---|---|---|
//! | approved, declined | the same answer | [`Error::IdReused`] |
//! | cancelled | [`Error::Cancelled`] | [`Error::IdReused`] |
//! | not recognised | the id is free; the same capture gets the same answer | free |
//!
//! "The same content" is till and amount, not the sample: a till that lost the answer may send the same bytes again or
//! a new capture. An id belongs to the till that used it first.
//!
//! [`Checkout::find`] tells what is booked now; a send that is still on its way may be booked after it.
//! [`Checkout::cancel`] is certain: it books the end of the id in the same single writer that books payments, so that
//! whichever comes first, wins.

use std::sync::Arc;

use palm_proto::{
    envelope::Binding,
    fault::Malformed,
    id::{CustomerId, PaymentId, TillId},
    money::Money,
    reason::ReasonCode,
    request::{AuthorisePayment, CancelPayment, Page},
};

use crate::{
    base::Base,
    clock::Timestamp,
    customers::{Customers, customer_key},
    error::Error,
    gallery::{Identity, palms::Opened},
    rail::wallet,
    requests::{self, Nonce, NonceRow},
    rows::{self, Table},
    writer::Transaction,
};

mod record;
pub mod stages;

pub use record::{Payment, Standing};
use record::{PaymentRow, StandingRow};
use stages::{Monotonic, StageTimes, Stages};

/// What the till is answered. None of it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The money moved and the record of it is on disk.
    Approved {
        /// The record.
        payment: Payment,
        /// What was left in the wallet.
        balance: Money,
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
}

/// Takes payments.
#[derive(Debug, Clone)]
pub struct Checkout {
    pub(crate) base: Arc<Base>,
    customers: Customers,
    payment_max: Money,
    monotonic: Arc<dyn Monotonic>,
}

/// What the single writer found or did.
enum Booked {
    Now(PaymentRow),
    Before(PaymentRow),
    /// The customer was deleted between identification and booking.
    Gone,
}

impl Checkout {
    pub(crate) fn new(base: Arc<Base>, payment_max: Money, monotonic: Arc<dyn Monotonic>) -> Self {
        let customers = Customers::new(Arc::clone(&base));
        Self {
            base,
            customers,
            payment_max,
            monotonic,
        }
    }

    /// Identifies the palm and takes the money.
    ///
    /// # Errors
    /// [`Error::IdReused`], [`Error::Cancelled`], [`Error::Malformed`] (the amount), [`Error::SealBroken`],
    /// [`Error::TemplateUnknown`], [`Error::CaptureReplayed`], [`Error::AmountOverflow`], [`Error::TooManySearches`],
    /// [`Error::KeyholderAway`].
    pub async fn authorise(
        &self,
        till: TillId,
        request: AuthorisePayment,
    ) -> Result<(Outcome, StageTimes), Error> {
        let mut stages = Stages::start(&*self.monotonic);
        if let Some(row) = self.row(request.payment)? {
            let outcome = self.again(request.payment, &row, &till, request.amount)?;
            return Ok((outcome, stages.times()));
        }
        self.check_amount(request.amount)?;
        let probe = self.open(&till, &request).await?;
        stages.opened();
        if let Some(reason) = self.used_before(&request)? {
            return Ok((Outcome::NotRecognised { reason }, stages.times()));
        }
        self.base.count_search(&till)?;
        let identity = self.identify(probe).await?;
        stages.identified();
        let outcome = match identity {
            Identity::Ambiguous(_) => self.refuse(till, request, ReasonCode::Ambiguous).await?,
            Identity::NoMatch => {
                self.refuse(till, request, ReasonCode::NotRecognised)
                    .await?
            }
            // The same answer as to a stranger: it must not say that somebody is there.
            Identity::Match(customer) if !self.may_match(customer) => {
                self.refuse(till, request, ReasonCode::NotRecognised)
                    .await?
            }
            Identity::Match(customer) => self.charge(till, request, customer).await?,
        };
        stages.committed();
        Ok((outcome, stages.times()))
    }

    /// The shop's currency, and at most its limit.
    fn check_amount(&self, amount: Money) -> Result<(), Error> {
        let malformed = |field, remedy| {
            Error::from(Malformed::new(field, remedy).with_reason(ReasonCode::AmountInvalid))
        };
        if amount.currency() != self.payment_max.currency() {
            let remedy = "send the shop's currency, as the till's setup names it";
            return Err(malformed("amount.currency_code", remedy));
        }
        if amount.minor() > self.payment_max.minor() {
            let remedy = "send at most the payment_max of the till's setup";
            return Err(malformed("amount.amount_minor", remedy));
        }
        Ok(())
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
        let (payment, amount) = (request.payment, request.amount);
        let nonce = request.sample.capture_nonce;
        let writing = self.base.writer.write(move |tx| {
            let before = find_row(tx, payment)?;
            if before.is_none() && not_refused_before(tx, &nonce, payment)? {
                requests::spend(tx, &nonce, NonceRow::NotRecognised { payment, reason })?;
            }
            Ok::<_, Error>(before)
        });
        match writing.await? {
            None => Ok(Outcome::NotRecognised { reason }),
            Some(row) => self.again(payment, &row, &till, amount),
        }
    }

    /// Hold, post, record and nonce in one batch.
    async fn charge(
        &self,
        till: TillId,
        request: AuthorisePayment,
        customer: CustomerId,
    ) -> Result<Outcome, Error> {
        let now = self.base.clock.now();
        let (payment, amount) = (request.payment, request.amount);
        let nonce = request.sample.capture_nonce;
        let by = till.clone();
        let draft = wallet::Draft::draw(&*self.base.entropy, now);
        let writing = self.base.writer.write(move |tx| {
            if let Some(row) = find_row(tx, payment)? {
                return Ok(Booked::Before(row));
            }
            if tx.get(&customer_key(customer))?.is_none() {
                let reason = ReasonCode::NotRecognised;
                requests::spend(tx, &nonce, NonceRow::NotRecognised { payment, reason })?;
                return Ok(Booked::Gone);
            }
            requests::spend(tx, &nonce, NonceRow::Payment { payment })?;
            let standing = match wallet::hold_and_post(tx, draft, customer, amount)? {
                wallet::Answer::Approved { balance } => StandingRow::Approved {
                    customer,
                    balance: balance.into(),
                },
                wallet::Answer::Declined(reason) => StandingRow::Declined { customer, reason },
            };
            let row = PaymentRow::new(standing, amount, by, now);
            row.put(tx, payment);
            Ok::<_, Error>(Booked::Now(row))
        });
        match writing.await? {
            Booked::Now(row) | Booked::Before(row) => self.again(payment, &row, &till, amount),
            Booked::Gone => Ok(Outcome::NotRecognised {
                reason: ReasonCode::NotRecognised,
            }),
        }
    }

    /// The answer that a booked payment gives, now or to a repeated send.
    fn again(
        &self,
        id: PaymentId,
        row: &PaymentRow,
        till: &TillId,
        amount: Money,
    ) -> Result<Outcome, Error> {
        row.must_be_of(till, amount)?;
        match row.standing {
            StandingRow::Approved { balance, .. } => {
                let payment = self.payment(id, row)?;
                Ok(Outcome::Approved {
                    payment,
                    balance: balance.into(),
                })
            }
            StandingRow::Declined { customer, reason } => {
                let masked_name = self.customers.masked_name(customer)?;
                Ok(Outcome::Declined {
                    reason,
                    masked_name,
                })
            }
            StandingRow::Cancelled => Err(Error::Cancelled),
        }
    }

    /// What is booked under an id as yet. A till sees its own payments only.
    ///
    /// # Errors
    /// [`Error::PaymentNotFound`]; [`Error::PermissionDenied`] when it is another till's.
    pub fn find(&self, id: PaymentId, reader: Option<&TillId>) -> Result<Payment, Error> {
        let row = self.row(id)?.ok_or(Error::PaymentNotFound)?;
        if reader.is_some_and(|till| *till != row.till) {
            return Err(Error::PermissionDenied(
                "this payment is another till's: ask an operator",
            ));
        }
        self.payment(id, &row)
    }

    /// Gives a payment up unless something is booked; tells what is booked then.
    ///
    /// # Errors
    /// [`Error::IdReused`] when the id was used by another till or for another amount.
    pub async fn cancel(&self, till: TillId, request: CancelPayment) -> Result<Payment, Error> {
        let now = self.base.clock.now();
        let CancelPayment { payment, amount } = request;
        let by = till.clone();
        let writing = self.base.writer.write(move |tx| {
            if let Some(row) = find_row(tx, payment)? {
                return Ok(row);
            }
            let row = PaymentRow::new(StandingRow::Cancelled, amount, by, now);
            row.put(tx, payment);
            Ok::<_, Error>(row)
        });
        let row = writing.await?;
        row.must_be_of(&till, amount)?;
        self.payment(payment, &row)
    }

    /// A part of the list, newest first, and the token of the next part (empty: there is none). A till sees its own
    /// payments only.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a token that was not given out.
    pub fn list(
        &self,
        page: &Page,
        reader: Option<&TillId>,
    ) -> Result<(Vec<Payment>, String), Error> {
        let (table, prefix) = record::order(reader);
        let part = rows::page(&*self.base.store, &prefix, 24..=24, page)?;
        let payment = |key: &Vec<u8>| {
            let id = PaymentId::from_bytes(rows::id_at(table, key, 8)?);
            let row = self.row(id)?.ok_or(Error::Corrupt(table.name()))?;
            self.payment(id, &row)
        };
        let payments = part.keys.iter().map(payment).collect::<Result<_, _>>()?;
        Ok((payments, part.next_page_token))
    }

    fn row(&self, id: PaymentId) -> Result<Option<PaymentRow>, Error> {
        let row = self.base.store.get(&record::key(id))?;
        row.map(|bytes| Table::Payment.decode(&bytes)).transpose()
    }

    fn payment(&self, id: PaymentId, row: &PaymentRow) -> Result<Payment, Error> {
        let customer = row.standing.customer();
        let masked_name = match customer {
            Some(customer) => self.customers.masked_name(customer)?,
            None => String::new(),
        };
        Ok(Payment {
            id,
            standing: row.standing.to_standing(),
            amount: row.amount.into(),
            customer,
            masked_name,
            till: row.till.clone(),
            create_time: Timestamp::from_micros(row.create_us),
        })
    }
}

fn find_row(tx: &Transaction<'_>, id: PaymentId) -> Result<Option<PaymentRow>, Error> {
    tx.get(&record::key(id))?
        .map(|bytes| Table::Payment.decode(&bytes))
        .transpose()
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

/// A capture may be used once. The same send again, refused before, gets the same answer.
fn refused_before(used: Option<NonceRow>, id: PaymentId) -> Result<Option<ReasonCode>, Error> {
    match used {
        None => Ok(None),
        Some(NonceRow::NotRecognised { payment, reason }) if payment == id => Ok(Some(reason)),
        Some(
            NonceRow::Enrolment { .. } | NonceRow::Payment { .. } | NonceRow::NotRecognised { .. },
        ) => Err(Error::CaptureReplayed),
    }
}

#[cfg(test)]
mod tests;
