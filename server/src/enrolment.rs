//! Adding palms to a customer: open the samples, judge them, keep them sealed, then let the gallery know.
//!
//! Refusals ([`EnrolOutcome::Refused`]) are answers and are kept like success: the same request gives the same answer,
//! and its captures are used up. A new try is a new request id.

use std::{collections::BTreeSet, sync::Arc};

use palm_models::template::Template;
use palm_proto::{envelope::Binding, id::TillId, reason::ReasonCode, request::Enrol};

pub use crate::requests::EnrolOutcome;
use crate::{
    base::Base,
    customers::{CustomerRow, customer_key},
    error::Error,
    gallery::{
        palms::{Judged, Opened},
        rest,
    },
    requests::{self, EnrolRow, Nonce, NonceRow, RequestRow},
    rows::{self, Table},
    writer::Transaction,
};

/// Adds palms to customers.
#[derive(Debug, Clone)]
pub struct Enrolment {
    base: Arc<Base>,
}

impl Enrolment {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        Self { base }
    }

    /// Enrols the palms of a customer, all or nothing.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`], [`Error::IdReused`], [`Error::SealBroken`], [`Error::TemplateUnknown`],
    /// [`Error::CaptureReplayed`], [`Error::SamplesFull`], [`Error::GalleryFull`],
    /// [`Error::TooManySearches`], [`Error::KeyholderAway`].
    pub async fn enrol(&self, till: TillId, request: Enrol) -> Result<EnrolOutcome, Error> {
        let this = self.clone();
        // A task of its own: a caller who hangs up must not keep committed palms out of the gallery.
        let enrolling = tokio::spawn(async move { this.enrol_alone(till, request).await });
        enrolling.await.map_err(|_| Error::Stopping)?
    }

    async fn enrol_alone(&self, till: TillId, request: Enrol) -> Result<EnrolOutcome, Error> {
        let _palms = self.base.palms.lock().await;
        if let Some(outcome) = self.answered(&till, &request)? {
            return Ok(outcome);
        }
        let row = self.base.store.get(&customer_key(request.customer))?;
        let mut row: CustomerRow = Table::Customer.decode(&row.ok_or(Error::CustomerNotFound)?)?;
        let opened = self.open(&till, &request).await?;
        if matches!(opened, Opened::There(_)) {
            self.refuse_replayed(&request)?;
        }
        self.base.count_search(&till)?;
        let gallery = Arc::clone(&self.base.gallery);
        let customer = request.customer;
        let judging = tokio::task::spawn_blocking(move || gallery.judge(opened, customer));
        match judging.await.map_err(|_| Error::Stopping)?? {
            Judged::Refused(reason) => self.refuse(till, request, reason).await,
            Judged::ToKeep(samples) => self.keep(till, request, row, samples).await,
            Judged::Kept(kept) => {
                // A keyholder of its own has them on disk; should this end before the answer is, the same request is
                // answered the same there.
                row.right_samples = kept.right;
                row.left_samples = kept.left;
                self.note(till, request, row).await
            }
        }
    }

    /// The answer to the same request before.
    fn answered(&self, till: &TillId, request: &Enrol) -> Result<Option<EnrolOutcome>, Error> {
        let store = &self.base.store;
        let Some(row) = store.get(&requests::request_key(request.request_id))? else {
            return Ok(None);
        };
        let RequestRow::Enrol(row) = Table::Request.decode(&row)? else {
            return Err(Error::IdReused);
        };
        let used = NonceRow::Enrolment {
            request: request.request_id,
        };
        for sample in &request.samples {
            let nonce = store.get(&requests::nonce_key(&sample.capture_nonce))?;
            let nonce: Option<NonceRow> =
                nonce.map(|bytes| Table::Nonce.decode(&bytes)).transpose()?;
            if nonce != Some(used) {
                return Err(Error::IdReused);
            }
        }
        let is_same = row.till == *till
            && row.customer == request.customer
            && row.samples == request.samples.len();
        if is_same {
            Ok(Some(row.outcome))
        } else {
            Err(Error::IdReused)
        }
    }

    async fn open(&self, till: &TillId, request: &Enrol) -> Result<Opened, Error> {
        let binding = Binding::Enrolment {
            till: till.clone(),
            customer: request.customer,
            request: request.request_id,
        };
        let (gallery, samples) = (Arc::clone(&self.base.gallery), request.samples.clone());
        let opening = tokio::task::spawn_blocking(move || gallery.open(&binding, &samples));
        let opened = opening.await.map_err(|_| Error::Stopping)??;
        let nonces: BTreeSet<&Nonce> = request.samples.iter().map(|s| &s.capture_nonce).collect();
        if nonces.len() < request.samples.len() {
            return Err(Error::CaptureReplayed);
        }
        Ok(opened)
    }

    /// A keyholder of its own keeps samples before the answer is written here, where a capture that was used before
    /// would be found out otherwise.
    fn refuse_replayed(&self, request: &Enrol) -> Result<(), Error> {
        for sample in &request.samples {
            let key = requests::nonce_key(&sample.capture_nonce);
            if self.base.store.get(&key)?.is_some() {
                return Err(Error::CaptureReplayed);
            }
        }
        Ok(())
    }

    async fn refuse(
        &self,
        till: TillId,
        request: Enrol,
        reason: ReasonCode,
    ) -> Result<EnrolOutcome, Error> {
        let outcome = EnrolOutcome::Refused { reason };
        let written = self
            .base
            .writer
            .write(move |tx| record(tx, till, &request, outcome));
        written.await?;
        Ok(outcome)
    }

    async fn keep(
        &self,
        till: TillId,
        request: Enrol,
        mut row: CustomerRow,
        samples: Vec<Template>,
    ) -> Result<EnrolOutcome, Error> {
        let customer = request.customer;
        let person = self
            .base
            .person_key(customer)?
            .ok_or(Error::CustomerNotFound)?;
        let mut number = |sample: &Template| row.next_number(sample.hand());
        let numbers: Vec<_> = samples.iter().map(&mut number).collect();
        let numbered = || samples.iter().zip(&numbers);
        let sealed: Vec<_> = numbered()
            .map(|(sample, number)| {
                let key = rest::key(customer, sample.hand(), *number);
                let value = rest::seal(&person, &key, sample, &*self.base.entropy);
                (key, value)
            })
            .collect();
        let outcome = EnrolOutcome::Enrolled { palms: row.palms() };
        let written = self.base.writer.write(move |tx| {
            record(tx, till, &request, outcome)?;
            sealed
                .into_iter()
                .for_each(|(key, value)| tx.put(key, value));
            tx.put(customer_key(customer), rows::encode(&row));
            Ok::<_, Error>(())
        });
        written.await?;
        for (sample, number) in numbered() {
            self.base.gallery.add(customer, *number, sample)?;
        }
        self.base.settle_gallery();
        Ok(outcome)
    }

    /// Keeps the answer for samples that a keyholder of its own has.
    async fn note(
        &self,
        till: TillId,
        request: Enrol,
        row: CustomerRow,
    ) -> Result<EnrolOutcome, Error> {
        let outcome = EnrolOutcome::Enrolled { palms: row.palms() };
        let written = self.base.writer.write(move |tx| {
            let key = customer_key(request.customer);
            record(tx, till, &request, outcome)?;
            tx.put(key, rows::encode(&row));
            Ok::<_, Error>(())
        });
        written.await?;
        self.base.settle_gallery();
        Ok(outcome)
    }
}

/// Keeps the answer and uses up the captures.
fn record(
    tx: &mut Transaction<'_>,
    till: TillId,
    request: &Enrol,
    outcome: EnrolOutcome,
) -> Result<(), Error> {
    if requests::answered(tx, request.request_id)?.is_some() {
        return Err(Error::IdReused);
    }
    let used = NonceRow::Enrolment {
        request: request.request_id,
    };
    for sample in &request.samples {
        requests::spend(tx, &sample.capture_nonce, used)?;
    }
    let samples = request.samples.len();
    let row = EnrolRow {
        till,
        customer: request.customer,
        samples,
        outcome,
    };
    requests::keep(tx, request.request_id, &RequestRow::Enrol(row));
    Ok(())
}

#[cfg(test)]
mod tests;
