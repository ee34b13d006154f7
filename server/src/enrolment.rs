//! Adding palms to a customer: open the samples, judge them, keep them sealed, then let the gallery know.
//!
//! Refusals ([`EnrolOutcome::Refused`]) are answers and are kept like success: the same request gives the same answer,
//! and its captures are used up. A new try is a new request id.

use std::{collections::BTreeSet, sync::Arc};

use palm_models::template::{Hand, Template};
use palm_proto::{
    envelope::{Binding, OpeningKey},
    id::TillId,
    reason::ReasonCode,
    request::Enrol,
};

pub use crate::requests::EnrolOutcome;
use crate::{
    base::Base,
    customers::{CustomerRow, customer_key},
    error::Error,
    gallery::{Gallery, rest},
    limits,
    requests::{self, EnrolRow, Nonce, NonceRow, RequestRow},
    rows::{self, Table},
    writer::Transaction,
};

/// Adds palms to customers.
#[derive(Debug, Clone)]
pub struct Enrolment {
    base: Arc<Base>,
    opening_key: Arc<OpeningKey>,
}

impl Enrolment {
    pub(crate) fn new(base: Arc<Base>, opening_key: Arc<OpeningKey>) -> Self {
        Self { base, opening_key }
    }

    /// Enrols the palms of a customer, all or nothing.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`], [`Error::IdReused`], [`Error::SealBroken`], [`Error::TemplateUnknown`],
    /// [`Error::CaptureReplayed`], [`Error::SamplesFull`], [`Error::GalleryFull`],
    /// [`Error::TooManySearches`].
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
        let row: CustomerRow = Table::Customer.decode(&row.ok_or(Error::CustomerNotFound)?)?;
        let samples = self.open(&till, &request)?;
        self.base.count_search(&till)?;
        let base = Arc::clone(&self.base);
        let customer = request.customer;
        let judging = tokio::task::spawn_blocking(move || {
            let refused = judge(&base.gallery, customer, &samples)?;
            Ok::<_, Error>((refused, samples))
        });
        let (refused, samples) = judging.await.map_err(|_| Error::Stopping)??;
        match refused {
            Some(reason) => self.refuse(till, request, reason).await,
            None => self.keep(till, request, row, samples).await,
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

    fn open(&self, till: &TillId, request: &Enrol) -> Result<Vec<Template>, Error> {
        let binding = Binding::Enrolment {
            till: till.clone(),
            customer: request.customer,
            request: request.request_id,
        };
        let open = |sealed| {
            let plain = self
                .opening_key
                .open(sealed, &binding)
                .map_err(|_| Error::SealBroken)?;
            let sample = Template::from_bytes(&plain).map_err(|_| Error::TemplateUnknown)?;
            self.base.gallery.refuse_unsearchable(&sample)?;
            Ok::<_, Error>(sample)
        };
        let samples = request.samples.iter().map(open).collect::<Result<_, _>>()?;
        let nonces: BTreeSet<&Nonce> = request.samples.iter().map(|s| &s.capture_nonce).collect();
        if nonces.len() < request.samples.len() {
            return Err(Error::CaptureReplayed);
        }
        Ok(samples)
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

/// Whether these samples may be enrolled for this customer; `Some` says why not.
fn judge(
    gallery: &Gallery,
    customer: palm_proto::id::CustomerId,
    samples: &[Template],
) -> Result<Option<ReasonCode>, Error> {
    if !gallery.has_room_for(samples.len()) {
        return Err(Error::GalleryFull);
    }
    for hand in [Hand::Right, Hand::Left] {
        let palm: Vec<&Template> = samples.iter().filter(|s| s.hand() == hand).collect();
        if palm.is_empty() {
            continue;
        }
        if palm.len() < limits::SAMPLES_PER_PALM_MIN {
            return Ok(Some(ReasonCode::SamplesMissing));
        }
        let enrolled = gallery.samples_of(customer, hand)?;
        if enrolled.len() + palm.len() > limits::SAMPLES_PER_PALM_MAX {
            return Err(Error::SamplesFull);
        }
        if !agree(gallery, &palm, &enrolled) {
            return Ok(Some(ReasonCode::SamplesDisagree));
        }
    }
    for sample in samples {
        if gallery.is_of_another(sample, customer)? {
            return Ok(Some(ReasonCode::AlreadyEnrolled));
        }
    }
    Ok(None)
}

/// Whether the samples are of one palm, and of the one that the customer has enrolled for this hand, if any.
fn agree(gallery: &Gallery, palm: &[&Template], enrolled: &[Template]) -> bool {
    let is_enrolled = |sample: &Template| {
        enrolled.is_empty()
            || enrolled
                .iter()
                .any(|own| gallery.are_of_one_palm(sample, own))
    };
    palm.iter().enumerate().all(|(n, sample)| {
        palm[..n]
            .iter()
            .all(|other| gallery.are_of_one_palm(sample, other))
            && is_enrolled(sample)
    })
}

#[cfg(test)]
mod tests;
