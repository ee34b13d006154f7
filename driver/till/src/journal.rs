//! Payments in flight, on disk before their first byte is on the wire.
//!
//! An append-only file, one JSON line an entry: a payment is noted as `sent` and synced before it is sent, and as
//! `resolved` once its outcome is known. What is sent and not resolved is looked up before another payment is taken,
//! also after a crash. A last line without its end is a write that a crash cut off: its payment was never sent, and
//! it is dropped. Anything else unreadable stops the till and leaves the file as it is.
//!
//! It holds payment ids and amounts: nothing of a palm, nobody's name.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use palm_proto::{id::PaymentId, money::Money};
use serde::{Deserialize, Serialize};

use crate::{checkout::Sale, limits};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A line in the middle is not an entry: the file was changed or damaged. It is kept as it is.
    #[error(
        "journal {path}: line {line} is not an entry. Nothing was changed. Look up the payments of this till with \
         palmctl, then move the file away and start again"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Reading, writing or syncing failed: check the disk and the rights on the file.
    #[error("journal {path}: cannot {operation}: check the disk and the rights on the file")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Longer than the till ever writes: not a journal.
    #[error("journal {path}: longer than 1 MiB, so not a journal of a till: name another file")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Where the journal's bytes go. A file, or a test's record of what was asked in which order.
pub trait Sink: Send {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// As the disk says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything appended is on the disk.
    ///
    /// # Errors
    /// As the disk says.
    fn sync(&mut self) -> io::Result<()>;

    /// Drops everything behind the first `length` bytes.
    ///
    /// # Errors
    /// As the disk says.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Sink for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::End(0))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Sent,
    Resolved,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    payment: String,
    amount_minor: u64,
    currency: String,
    state: State,
}

impl Entry {
    fn of(sale: Sale, state: State) -> Self {
        Self {
            payment: sale.payment.to_string(),
            amount_minor: sale.amount.minor(),
            currency: sale.amount.currency().code().to_owned(),
            state,
        }
    }

    fn sale(&self) -> Option<Sale> {
        let currency = self.currency.parse().ok()?;
        let amount = Money::amount(self.amount_minor, currency).ok()?;
        Some(Sale {
            payment: self.payment.parse().ok()?,
            amount,
        })
    }
}

/// The journal of one till.
pub struct Journal {
    path: PathBuf,
    sink: Box<dyn Sink>,
    length: u64,
    open: BTreeMap<PaymentId, Sale>,
}

impl Journal {
    /// Opens the journal, or makes it; a line that a crash cut off is removed.
    ///
    /// # Errors
    /// [`JournalError`] names the file and the remedy; the file is then as it was.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |operation| {
            move |source| JournalError::File {
                path: path.to_owned(),
                operation,
                source,
            }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open"))?;
        let mut bytes = Vec::new();
        let limit = limits::JOURNAL_MAX + 1;
        Read::by_ref(&mut file)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(failed("read"))?;
        if bytes_len(&bytes) > limits::JOURNAL_MAX {
            return Err(JournalError::TooLong {
                path: path.to_owned(),
            });
        }
        // The name itself must survive a power cut too, or a later sync saves a file nobody finds.
        sync_folder(path).map_err(failed("sync the folder of"))?;
        Self::on(path, &bytes, Box::new(file))
    }

    /// Takes what stands in a journal and where to write on.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn on(path: &Path, bytes: &[u8], sink: Box<dyn Sink>) -> Result<Self, JournalError> {
        let Replayed { length, open } = replay(bytes).map_err(|line| JournalError::Line {
            path: path.to_owned(),
            line,
        })?;
        let mut journal = Self {
            path: path.to_owned(),
            sink,
            length,
            open,
        };
        if length < bytes_len(bytes) {
            let cut = journal.sink.cut(length).and_then(|()| journal.sink.sync());
            cut.map_err(|source| journal.failed("cut", source))?;
        }
        Ok(journal)
    }

    /// Payments that were sent and whose outcome is not known.
    #[must_use]
    pub fn unresolved(&self) -> Vec<Sale> {
        self.open.values().copied().collect()
    }

    /// Notes a payment about to be sent; on the disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::File`]; the payment must then not be sent.
    pub fn sent(&mut self, sale: Sale) -> Result<(), JournalError> {
        self.write(&Entry::of(sale, State::Sent))?;
        self.sink
            .sync()
            .map_err(|source| self.failed("sync", source))?;
        self.open.insert(sale.payment, sale);
        Ok(())
    }

    /// Notes that a payment's outcome is known. Not synced: a lost note costs one more lookup.
    ///
    /// # Errors
    /// [`JournalError::File`]; the payment is then looked up again at the next start.
    pub fn resolved(&mut self, payment: PaymentId) -> Result<(), JournalError> {
        let Some(sale) = self.open.remove(&payment) else {
            return Ok(());
        };
        self.write(&Entry::of(sale, State::Resolved))?;
        if self.open.is_empty() && self.length > limits::JOURNAL_COMPACT {
            self.sink
                .cut(0)
                .map_err(|source| self.failed("empty", source))?;
            self.length = 0;
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).expect("invariant: an entry is plain JSON");
        line.push(b'\n');
        if let Err(source) = self.sink.append(&line) {
            // Half a line must not stand in the middle once the disk has room again.
            let error = self.failed("write", source);
            return self
                .sink
                .cut(self.length)
                .map_err(|source| self.failed("cut", source))
                .and(Err(error));
        }
        self.length += bytes_len(&line);
        Ok(())
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> JournalError {
        JournalError::File {
            path: self.path.clone(),
            operation,
            source,
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({} unresolved)", self.open.len())
    }
}

struct Replayed {
    /// Bytes of whole lines.
    length: u64,
    open: BTreeMap<PaymentId, Sale>,
}

/// Reads whole lines; gives the number of the first that is not an entry.
fn replay(bytes: &[u8]) -> Result<Replayed, usize> {
    let mut replayed = Replayed {
        length: 0,
        open: BTreeMap::new(),
    };
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        let entry: Entry = serde_json::from_slice(text).map_err(|_| index + 1)?;
        let sale = entry.sale().ok_or(index + 1)?;
        match entry.state {
            State::Sent => replayed.open.insert(sale.payment, sale),
            State::Resolved => replayed.open.remove(&sale.payment),
        };
        replayed.length += bytes_len(line);
    }
    Ok(replayed)
}

fn bytes_len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Makes the name of a new file survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Reads arbitrary bytes as a journal; must not panic.
#[doc(hidden)]
pub fn fuzz_journal(bytes: &[u8]) {
    if let Ok(replayed) = replay(bytes) {
        assert!(
            replayed.length <= bytes_len(bytes),
            "no more is kept than was there"
        );
    }
}

#[cfg(test)]
mod tests;
