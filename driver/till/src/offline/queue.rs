//! What was accepted without the service, on disk until the service has answered.
//!
//! An append-only file like the journal's, one JSON line an entry: `accepted` with the sealed request, synced before
//! anybody is told; `paid` or `declined` once the service has answered. A last line without its end is a write that a
//! crash cut off: nobody was told of it. Templates in it are sealed to the service; it holds nobody's name.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use palm_proto::{id::PaymentId, money::Money, request::AuthorisePayment, v1};
use serde::{Deserialize, Serialize};

use super::Standing;
use crate::{checkout::Sale, journal::JournalError, limits};

/// How an accepted payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum End {
    Declined,
    Paid,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Entry {
    Accepted {
        payment: String,
        amount_minor: u64,
        currency: String,
        key_id: u32,
        encapsulated_key: String,
        ciphertext: String,
        capture_nonce: String,
    },
    Ended {
        payment: String,
        amount_minor: u64,
        end: End,
    },
}

#[derive(Debug, Default)]
struct Kept {
    /// Oldest first, by the place of their line.
    waiting: BTreeMap<usize, (Sale, v1::AuthorisePaymentRequest)>,
    declined: usize,
    declined_minor: u64,
    lines: usize,
    /// Bytes of whole lines.
    length: u64,
}

/// The file.
pub(super) struct Queue {
    path: PathBuf,
    file: File,
    kept: Kept,
}

impl Queue {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |operation| {
            move |source| JournalError::File {
                path: path.to_owned(),
                operation,
                source,
            }
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed("open"))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(limits::OFFLINE_FILE_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read"))?;
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if read > limits::OFFLINE_FILE_MAX {
            return Err(JournalError::TooLong {
                path: path.to_owned(),
            });
        }
        let kept = replay(&bytes).map_err(|line| JournalError::Line {
            path: path.to_owned(),
            line,
        })?;
        crate::journal::sync_folder(path).map_err(failed("sync the folder of"))?;
        if kept.length < read {
            file.set_len(kept.length).map_err(failed("cut"))?;
            file.sync_data().map_err(failed("sync"))?;
        }
        let path = path.to_owned();
        Ok(Self { path, file, kept })
    }

    pub(super) fn standing(&self) -> Standing {
        let waiting = self.kept.waiting.values();
        Standing {
            waiting: self.kept.waiting.len(),
            waiting_minor: waiting.map(|(sale, _)| sale.amount.minor()).sum(),
            declined: self.kept.declined,
            declined_minor: self.kept.declined_minor,
        }
    }

    pub(super) fn holds(&self, payment: PaymentId) -> bool {
        let mut waiting = self.kept.waiting.values();
        waiting.any(|(sale, _)| sale.payment == payment)
    }

    pub(super) fn first(&self) -> Option<(Sale, v1::AuthorisePaymentRequest)> {
        self.kept.waiting.values().next().cloned()
    }

    /// On disk when it returns.
    pub(super) fn accept(
        &mut self,
        sale: Sale,
        request: &v1::AuthorisePaymentRequest,
    ) -> Result<(), JournalError> {
        let sample = request.sample.clone().unwrap_or_default();
        self.write(&Entry::Accepted {
            payment: sale.payment.to_string(),
            amount_minor: sale.amount.minor(),
            currency: sale.amount.currency().code().to_owned(),
            key_id: sample.key_id,
            encapsulated_key: to_hex(&sample.encapsulated_key),
            ciphertext: to_hex(&sample.ciphertext),
            capture_nonce: to_hex(&sample.capture_nonce),
        })?;
        let request = accepted_offline(request.clone());
        self.kept.waiting.insert(self.kept.lines, (sale, request));
        Ok(())
    }

    pub(super) fn end(&mut self, payment: PaymentId, end: End) -> Result<(), JournalError> {
        let mut waiting = self.kept.waiting.iter();
        let found = waiting.find(|(_, (sale, _))| sale.payment == payment);
        let Some((line, (sale, _))) = found else {
            return Ok(());
        };
        let (line, minor) = (*line, sale.amount.minor());
        self.write(&Entry::Ended {
            payment: payment.to_string(),
            amount_minor: minor,
            end,
        })?;
        self.kept.waiting.remove(&line);
        self.kept.count(end, minor);
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).expect("invariant: an entry is plain JSON");
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let whole = self.kept.length.saturating_add(length);
        if whole > limits::OFFLINE_FILE_MAX {
            return Err(JournalError::TooLong {
                path: self.path.clone(),
            });
        }
        let end = SeekFrom::Start(self.kept.length);
        let written = self.file.seek(end).and_then(|_| self.file.write_all(&line));
        if let Err(source) = written.and_then(|()| self.file.sync_data()) {
            // Half a line must not stand in the middle; what cannot be cut now is cut at the next start.
            self.file.set_len(self.kept.length).unwrap_or_default();
            return Err(JournalError::File {
                path: self.path.clone(),
                operation: "write",
                source,
            });
        }
        self.kept.length = whole;
        self.kept.lines += 1;
        Ok(())
    }
}

impl Kept {
    fn count(&mut self, end: End, minor: u64) {
        if end == End::Declined {
            self.declined += 1;
            self.declined_minor = self.declined_minor.saturating_add(minor);
        }
    }
}

/// The service is told that the customer has left with the goods.
fn accepted_offline(request: v1::AuthorisePaymentRequest) -> v1::AuthorisePaymentRequest {
    v1::AuthorisePaymentRequest {
        accepted_offline: true,
        ..request
    }
}

/// Reads whole lines; gives the number of the first that is not an entry.
fn replay(bytes: &[u8]) -> Result<Kept, usize> {
    let mut kept = Kept::default();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        let wrong = index + 1;
        match serde_json::from_slice(text).map_err(|_| wrong)? {
            Entry::Ended {
                payment,
                amount_minor,
                end,
            } => {
                let payment: PaymentId = payment.parse().map_err(|_| wrong)?;
                kept.waiting.retain(|_, (sale, _)| sale.payment != payment);
                kept.count(end, amount_minor);
            }
            accepted @ Entry::Accepted { .. } => {
                let waiting = accepted.waiting().ok_or(wrong)?;
                kept.waiting.insert(index + 1, waiting);
            }
        }
        kept.lines = index + 1;
        kept.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
    }
    Ok(kept)
}

impl Entry {
    fn waiting(self) -> Option<(Sale, v1::AuthorisePaymentRequest)> {
        let Self::Accepted {
            payment,
            amount_minor,
            currency,
            key_id,
            encapsulated_key,
            ciphertext,
            capture_nonce,
        } = self
        else {
            return None;
        };
        let amount = Money::amount(amount_minor, currency.parse().ok()?).ok()?;
        let sale = Sale {
            payment: payment.parse().ok()?,
            amount,
        };
        let sample = v1::SealedTemplate {
            key_id,
            encapsulated_key: from_hex(&encapsulated_key)?,
            ciphertext: from_hex(&ciphertext)?,
            capture_nonce: from_hex(&capture_nonce)?,
        };
        let request = accepted_offline(v1::AuthorisePaymentRequest {
            payment,
            amount: Some(amount.into()),
            sample: Some(sample),
            ..v1::AuthorisePaymentRequest::default()
        });
        // What the service would refuse for its shape is no request of this till's.
        AuthorisePayment::try_from(request.clone()).ok()?;
        Some((sale, request))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?));
    if rest.is_empty() {
        bytes.collect()
    } else {
        None
    }
}

/// Reads arbitrary bytes as the file; must not panic.
#[doc(hidden)]
pub fn fuzz_queue(bytes: &[u8]) {
    if let Ok(kept) = replay(bytes) {
        assert!(kept.length <= u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}
