//! The trace book: which trace number (field 11) each step got, on disk before the number is used.
//!
//! The standard knows a message again by its trace number and time. A step that is sent again after a crash, or
//! reversed, must carry those of the first time; and a number must not come twice in a day. So the numbers go round
//! from 1 to 999,999, and each is noted in a file of fixed records, forced to disk, before the first byte is sent.
//!
//! A record is 32 bytes: step (16), role (1), trace number (3, little-endian), time in microseconds (8), check (4). The
//! first record only says since when the book is kept. A torn record at the end, of a write that was cut off, was never
//! used and is dropped; what is older than [`KEPT`] is left out when the book is opened.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{clock::Timestamp, rail::StepId};

/// How long a step is remembered. Whatever is in doubt is resolved within hours.
pub const KEPT: Duration = Duration::from_secs(8 * 86_400);
/// The highest trace number.
pub const TRACE_MAX: u32 = 999_999;
/// No number comes twice within this.
const DAY_US: u64 = 86_400_000_000;
const RECORD: usize = 32;
/// Longest book that is read: [`KEPT`] days with every number used.
const BOOK_MAX: u64 = 10 * 1_000_000 * RECORD as u64;
const SINCE: u8 = 0;

/// What a trace number was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Role {
    /// The step itself.
    Step = 1,
    /// Its reversal.
    Reversal = 2,
}

/// A trace number and whether it was given out before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) number: u32,
    pub(super) is_repeat: bool,
}

/// Why a number could not be had. Nothing may be sent then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The file cannot be read or written.
    #[error(
        "trace book {path}: cannot be read or written: check its folder's owner and the free space"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Every number was used within a day.
    #[error("trace book: a million messages in a day: this terminal can send no more today")]
    Exhausted,
}

/// The book.
#[derive(Debug)]
pub(super) struct TraceBook {
    path: PathBuf,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    file: File,
    /// A write failed: what stands at the end of the file is not known, and it is written anew before it is used again.
    is_torn: bool,
    known: BTreeMap<(StepId, Role), Record>,
    /// When each number was last given out.
    used: BTreeMap<u32, u64>,
    last: u32,
    since_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    step: StepId,
    role: u8,
    number: u32,
    time_us: u64,
}

impl TraceBook {
    /// Opens the book, or begins one.
    pub(super) fn open(path: &Path, now: Timestamp) -> Result<Self, BookError> {
        let failed = |source| BookError::File {
            path: path.to_owned(),
            source,
        };
        let records = match File::open(path) {
            Ok(file) => read(file).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let kept_us = u64::try_from(KEPT.as_micros()).unwrap_or(u64::MAX);
        let oldest_us = now.micros().saturating_sub(kept_us);
        let begun_us = records
            .first()
            .filter(|record| record.role == SINCE)
            .map_or_else(|| now.micros(), |record| record.time_us);
        let since_us = begun_us.max(oldest_us);
        // The first record carries the number that was last when the book was written anew.
        let last = records
            .iter()
            .max_by_key(|record| record.time_us)
            .map_or(0, |record| record.number);
        let is_kept = |record: &Record| record.role != SINCE && record.time_us >= oldest_us;
        let kept: Vec<Record> = records.into_iter().filter(is_kept).collect();
        let file = write_anew(path, since_us, last, &kept).map_err(failed)?;
        let mut pages = Pages {
            file,
            is_torn: false,
            known: BTreeMap::new(),
            used: BTreeMap::new(),
            last,
            since_us,
        };
        kept.iter().for_each(|record| pages.note(*record));
        Ok(Self {
            path: path.to_owned(),
            pages: Mutex::new(pages),
        })
    }

    /// The number of a step, the same each time; on disk when this returns. Blocks for a flush.
    pub(super) fn trace(
        &self,
        step: StepId,
        role: Role,
        now: Timestamp,
    ) -> Result<Trace, BookError> {
        let mut pages = self.pages();
        if let Some(record) = pages.known.get(&(step, role)) {
            return Ok(Trace {
                number: record.number,
                is_repeat: true,
            });
        }
        let number = pages.free(now).ok_or(BookError::Exhausted)?;
        let record = Record {
            step,
            role: role as u8,
            number,
            time_us: now.micros(),
        };
        pages
            .write(&self.path, record)
            .map_err(|source| BookError::File {
                path: self.path.clone(),
                source,
            })?;
        pages.last = number;
        pages.note(record);
        Ok(Trace {
            number,
            is_repeat: false,
        })
    }

    /// The number that a step got, if it ever did.
    pub(super) fn find(&self, step: StepId) -> Option<u32> {
        let pages = self.pages();
        let record = pages.known.get(&(step, Role::Step));
        record.map(|record| record.number)
    }

    /// A number for a message that is of no step and need not be known again.
    pub(super) fn passing(&self) -> u32 {
        let mut pages = self.pages();
        pages.last = after(pages.last);
        pages.last
    }

    /// Since when every step that got a number stands in the book, in microseconds since 1970.
    pub(super) fn since_us(&self) -> u64 {
        self.pages().since_us
    }

    /// Nothing panics while it holds the lock; were it so, what is noted would still be right.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// The next number that was not given out within a day.
    fn free(&self, now: Timestamp) -> Option<u32> {
        let mut number = self.last;
        for _ in 0..TRACE_MAX {
            number = after(number);
            let is_free = self
                .used
                .get(&number)
                .is_none_or(|used_us| now.micros().saturating_sub(*used_us) >= DAY_US);
            if is_free {
                return Some(number);
            }
        }
        None
    }

    fn write(&mut self, path: &Path, record: Record) -> io::Result<()> {
        if self.is_torn {
            let mut kept: Vec<Record> = self.known.values().copied().collect();
            kept.sort_by_key(|record| record.time_us);
            self.file = write_anew(path, self.since_us, self.last, &kept)?;
        }
        self.is_torn = true;
        self.file.write_all(&record.to_bytes())?;
        self.file.sync_data()?;
        self.is_torn = false;
        Ok(())
    }

    fn note(&mut self, record: Record) {
        let role = if record.role == Role::Step as u8 {
            Role::Step
        } else {
            Role::Reversal
        };
        self.known.insert((record.step, role), record);
        self.used.insert(record.number, record.time_us);
    }
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.step.0);
        bytes[16] = self.role;
        bytes[17..20].copy_from_slice(&self.number.to_le_bytes()[..3]);
        bytes[20..28].copy_from_slice(&self.time_us.to_le_bytes());
        let check = check(&bytes[..28]);
        bytes[28..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Option<Self> {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        let role = bytes[16];
        let is_whole = word(28) == check(&bytes[..28]) && role <= Role::Reversal as u8;
        if !is_whole {
            return None;
        }
        let mut step = [0; 16];
        step.copy_from_slice(&bytes[..16]);
        Some(Self {
            step: StepId(step),
            role,
            number: word(17) & 0x00ff_ffff,
            time_us: u64::from(word(20)) | u64::from(word(24)) << 32,
        })
    }
}

/// Round from [`TRACE_MAX`] to 1.
const fn after(number: u32) -> u32 {
    number % TRACE_MAX + 1
}

/// FNV-1a (Fowler, Noll, Vo), 32 bits: against torn writes, not against people.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The whole records up to the first that is not.
fn read(file: File) -> io::Result<Vec<Record>> {
    let mut bytes = Vec::new();
    file.take(BOOK_MAX).read_to_end(&mut bytes)?;
    let (records, _) = bytes.as_chunks::<RECORD>();
    Ok(records.iter().map_while(Record::from_bytes).collect())
}

/// Writes the book anew beside the old one and puts it in its place, so that there is a whole one at any moment.
fn write_anew(path: &Path, since_us: u64, last: u32, kept: &[Record]) -> io::Result<File> {
    let since = Record {
        step: StepId([0; 16]),
        role: SINCE,
        number: last,
        time_us: since_us,
    };
    let mut bytes = since.to_bytes().to_vec();
    for record in kept {
        bytes.extend_from_slice(&record.to_bytes());
    }
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()?;
    OpenOptions::new().append(true).open(path)
}

#[cfg(test)]
mod tests;
