//! The counters and kiosks: whose certificate acts for which till, until it is revoked.

use std::sync::Arc;

use palm_proto::{
    id::TillId,
    request::{CreateTill, Page, ReportReader},
    v1::reader::State,
};
use serde::{Deserialize, Serialize};

use crate::{
    base::Base,
    clock::Timestamp,
    error::Error,
    pki::Fingerprint,
    rows::{self, Table, text},
    writer::Transaction,
};

/// A till as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Till {
    /// Its id.
    pub id: TillId,
    /// Whose holder acts for it.
    pub certificate: Fingerprint,
    /// When it was enrolled.
    pub create_time: Timestamp,
    /// Its certificate is refused.
    pub is_revoked: bool,
    /// What it last told of its reader.
    pub reader: Option<Reader>,
}

/// What a till last told of its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// As it is.
    pub state: State,
    /// Its serial number; may be empty.
    pub serial: String,
    /// When it was told.
    pub report_time: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TillRow {
    #[serde(with = "text")]
    certificate: Fingerprint,
    create_us: u64,
    is_revoked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReaderRow {
    state: i32,
    serial: String,
    report_us: u64,
}

/// Which till a certificate is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CertificateRow {
    #[serde(with = "text")]
    till: TillId,
}

/// The counters and kiosks of the shop.
#[derive(Debug, Clone)]
pub struct Tills {
    base: Arc<Base>,
}

impl Tills {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        Self { base }
    }

    /// Lets a certificate act for a till. A revoked till takes a new certificate; the same call again changes nothing.
    ///
    /// # Errors
    /// [`Error::TillExists`], [`Error::CertificateTaken`].
    pub async fn create(&self, request: CreateTill) -> Result<Till, Error> {
        let now = self.base.clock.now();
        let id = request.till.clone();
        let certificate = Fingerprint::from_bytes(request.certificate_sha256);
        let writing = self.base.writer.write(move |tx| {
            if let Some(row) = find_row(tx, &id)? {
                if row.certificate == certificate && !row.is_revoked {
                    return Ok(());
                }
                if !row.is_revoked || row.certificate == certificate {
                    return Err(Error::TillExists);
                }
                // The old certificate stays refused: it leads to no till any more.
                tx.delete(certificate_key(row.certificate));
            }
            let taken = tx.get(&certificate_key(certificate))?;
            if taken.is_some() {
                return Err(Error::CertificateTaken);
            }
            let row = TillRow {
                certificate,
                create_us: now.micros(),
                is_revoked: false,
            };
            tx.put(till_key(&id), rows::encode(&row));
            tx.put(
                certificate_key(certificate),
                rows::encode(&CertificateRow { till: id }),
            );
            Ok(())
        });
        writing.await?;
        self.find(&request.till)
    }

    /// Refuses a till's certificate from now on.
    ///
    /// # Errors
    /// [`Error::TillNotFound`].
    pub async fn revoke(&self, id: TillId) -> Result<Till, Error> {
        let till = id.clone();
        let writing = self.base.writer.write(move |tx| {
            let row = find_row(tx, &till)?.ok_or(Error::TillNotFound)?;
            tx.put(
                till_key(&till),
                rows::encode(&TillRow {
                    is_revoked: true,
                    ..row
                }),
            );
            Ok::<_, Error>(())
        });
        writing.await?;
        self.find(&id)
    }

    /// One till.
    ///
    /// # Errors
    /// [`Error::TillNotFound`].
    pub fn find(&self, id: &TillId) -> Result<Till, Error> {
        let row = self
            .base
            .store
            .get(&till_key(id))?
            .ok_or(Error::TillNotFound)?;
        let row: TillRow = Table::Till.decode(&row)?;
        let reader = self.base.store.get(&reader_key(id))?;
        let reader: Option<ReaderRow> = reader
            .map(|bytes| Table::TillReader.decode(&bytes))
            .transpose()?;
        Ok(Till {
            id: id.clone(),
            certificate: row.certificate,
            create_time: Timestamp::from_micros(row.create_us),
            is_revoked: row.is_revoked,
            reader: reader.map(|row| Reader {
                state: State::try_from(row.state).unwrap_or(State::Unspecified),
                serial: row.serial,
                report_time: Timestamp::from_micros(row.report_us),
            }),
        })
    }

    /// A part of the list by name, and the token of the next part (empty: there is none).
    ///
    /// # Errors
    /// [`Error::Malformed`] for a token that was not given out.
    pub fn list(&self, page: &Page) -> Result<(Vec<Till>, String), Error> {
        let table = Table::Till;
        let part = rows::page(&*self.base.store, &table.key(&[]), 1..=32, page)?;
        let till = |key: &Vec<u8>| {
            let id = std::str::from_utf8(key)
                .ok()
                .and_then(|id| TillId::new(id).ok());
            self.find(&id.ok_or(Error::Corrupt(table.name()))?)
        };
        let tills = part.keys.iter().map(till).collect::<Result<_, _>>()?;
        Ok((tills, part.next_page_token))
    }

    /// The till that this certificate acts for; `None` when it never did or was revoked.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn of_certificate(&self, certificate: Fingerprint) -> Result<Option<TillId>, Error> {
        let Some(row) = self.base.store.get(&certificate_key(certificate))? else {
            return Ok(None);
        };
        let CertificateRow { till } = Table::TillCertificate.decode(&row)?;
        let row = self.base.store.get(&till_key(&till))?;
        let row: TillRow = Table::Till.decode(&row.ok_or(Error::Corrupt(Table::Till.name()))?)?;
        Ok((!row.is_revoked && row.certificate == certificate).then_some(till))
    }

    /// Keeps what a till tells of its reader.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn report_reader(&self, till: TillId, report: ReportReader) -> Result<(), Error> {
        let ReportReader { state, serial } = report;
        let row = ReaderRow {
            state: state.into(),
            serial,
            report_us: self.base.clock.now().micros(),
        };
        let writing = self.base.writer.write(move |tx| {
            tx.put(reader_key(&till), rows::encode(&row));
            Ok::<_, Error>(())
        });
        writing.await
    }
}

fn till_key(id: &TillId) -> Vec<u8> {
    Table::Till.key(&[id.as_str().as_bytes()])
}

fn reader_key(id: &TillId) -> Vec<u8> {
    Table::TillReader.key(&[id.as_str().as_bytes()])
}

fn certificate_key(certificate: Fingerprint) -> Vec<u8> {
    Table::TillCertificate.key(&[&certificate.to_bytes()])
}

fn find_row(tx: &Transaction<'_>, id: &TillId) -> Result<Option<TillRow>, Error> {
    tx.get(&till_key(id))?
        .map(|bytes| Table::Till.decode(&bytes))
        .transpose()
}

#[cfg(test)]
mod tests;
