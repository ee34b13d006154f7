//! Samples that are kept and destroyed: the only part of the keyholder that changes its store.

use palm_models::template::{Hand, Template};
use palm_proto::id::{CustomerId, RequestId};
use serde::{Deserialize, Serialize};

use super::{Answered, Found, Holder, Kept};
use crate::{
    base::person_key,
    error::Error,
    gallery::{
        rest,
        sealed::{Candidate, RecordId},
    },
    limits, requests,
    rows::{self, Table, text},
    store::Batch,
};

/// An enrolment that was answered, in the keyholder's store.
#[derive(Serialize, Deserialize)]
struct KeptRow {
    #[serde(with = "text")]
    customer: CustomerId,
    right: u8,
    left: u8,
}

impl Holder {
    pub(super) fn enrol(
        &self,
        request: RequestId,
        customer: CustomerId,
        found: Vec<(Template, Vec<Candidate>)>,
    ) -> Answered<Found> {
        let _alone = self.alone();
        if let Some(kept) = self.kept_before(request, customer)? {
            return Ok(Found::Kept(kept));
        }
        let (samples, nearest): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let refused = self.second.judge(customer, &samples, |index, sample| {
            self.second.is_of_another(sample, &nearest[index], customer)
        })?;
        if let Some(reason) = refused {
            return Ok(Found::Refused(reason));
        }
        let (records, kept) = self.keep(request, customer, &samples)?;
        let mut state = self.write();
        for (record, sample) in records.into_iter().zip(&samples) {
            state.enrol(record, sample)?;
        }
        Ok(Found::Kept(kept))
    }

    /// Puts samples on disk, with the answer to the request. A sample's number is never used again: none of a person's
    /// is deleted alone, and after [`Self::forget`] nothing is kept of them.
    fn keep(
        &self,
        request: RequestId,
        customer: CustomerId,
        samples: &[Template],
    ) -> Result<(Vec<RecordId>, Kept), Error> {
        let mut batch = Batch::new();
        let person = if let Some(person) = person_key(&*self.store, &self.master, customer)? {
            person
        } else {
            let (person, wrapped) = self.master.create_person_key(customer, &*self.entropy);
            batch.put(
                Table::CustomerKey.key(&[&customer.to_bytes()]),
                wrapped.to_bytes(),
            );
            person
        };
        let has = |hand| self.second.templates.count(customer, hand);
        let mut kept = Kept {
            right: has(Hand::Right)?,
            left: has(Hand::Left)?,
        };
        let mut records = Vec::with_capacity(samples.len());
        for sample in samples {
            let count = match sample.hand() {
                Hand::Right => &mut kept.right,
                Hand::Left => &mut kept.left,
            };
            let number = *count;
            *count = number.checked_add(1).ok_or(Error::SamplesFull)?;
            let key = rest::key(customer, sample.hand(), number);
            let sealed = rest::seal(&person, &key, sample, &*self.entropy);
            batch.put(key, sealed);
            records.push(RecordId { customer, number });
        }
        let Kept { right, left } = kept;
        let row = KeptRow {
            customer,
            right,
            left,
        };
        batch.put(requests::request_key(request), rows::encode(&row));
        self.commit_batch(&batch)?;
        Ok((records, kept))
    }

    /// What this enrolment was answered before.
    pub(super) fn kept_before(
        &self,
        request: RequestId,
        customer: CustomerId,
    ) -> Result<Option<Kept>, Error> {
        if self.store.get(&forgotten_key(customer))?.is_some() {
            return Err(Error::CustomerNotFound);
        }
        let Some(row) = self.store.get(&requests::request_key(request))? else {
            return Ok(None);
        };
        let row: KeptRow = Table::Request.decode(&row)?;
        let KeptRow { right, left, .. } = row;
        let is_same = row.customer == customer;
        is_same
            .then_some(Some(Kept { right, left }))
            .ok_or(Error::IdReused)
    }

    /// Destroys a person's key and samples; they are gone from disk when this returns. Done twice, it is done.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget(&self, customer: CustomerId) -> Result<(), Error> {
        let _alone = self.alone();
        let mut batch = Batch::new();
        let samples = Table::Template.key(&[&customer.to_bytes()]);
        for (key, _) in self.store.scan(&samples, None, limits::SCAN_ROWS)? {
            batch.delete(key);
        }
        batch.delete(Table::CustomerKey.key(&[&customer.to_bytes()]));
        batch.put(forgotten_key(customer), Vec::new());
        self.commit_batch(&batch)?;
        let mut state = self.write();
        state.unopened.retain(|(_, own)| own.customer != customer);
        state
            .rooms
            .values_mut()
            .for_each(|room| room.remove(customer));
        Ok(())
    }

    fn commit_batch(&self, batch: &Batch) -> Result<(), Error> {
        self.store.commit(batch).map_err(|error| {
            (self.on_failure)(error);
            Error::WriteFailed
        })
    }
}

fn forgotten_key(customer: CustomerId) -> Vec<u8> {
    Table::Forgotten.key(&[&customer.to_bytes()])
}
