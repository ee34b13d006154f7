//! A block: the rows of a few thousand codes, written once, and its form on disk.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `OPGB` |
//! | 1 | format version, 1 |
//! | 1 | codes a word, 3 or 2 |
//! | 1 | [`Hand`]: 0 right, 1 left |
//! | 1 | number of the codes' [`ModelVersion`] |
//! | 8 | epoch |
//! | 8 | block id |
//! | 4 | codes in the block |
//! | 32 | seed of the mask |
//! | 32 | SHA-256 of the rows |
//! | 4 MiB | 512 rows of 2048 words |
//!
//! Numbers are little-endian. The digest tells damage; that a header is the keyholder's own is told by the directory,
//! which is sealed with the header as associated data (`keyholder.rs`).

use std::io::{self, Read, Write};

use palm_models::template::{DIMENSIONS, Hand, ModelVersion};

use super::{
    SealedError,
    code::ProbeCode,
    keys::{EPOCH_BYTES, EpochId, Hasher, KEY_BYTES},
    negacyclic::{N, Row},
    scheme::{Mask, Packing, PagedRow, add_up, add_up_into},
};

const MAGIC: [u8; 4] = *b"OPGB";
const FORMAT: u8 = 1;
pub(super) const HEADER_BYTES: usize = 92;
pub(super) const ROW_BYTES: usize = N * 4;

/// Names a block; a later block has a higher id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockId(pub(super) u64);

impl BlockId {
    /// The id as a number, for the name of a file.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Whose codes lie together: of one hand and one extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The hand.
    pub hand: Hand,
    /// What made the codes.
    pub model: ModelVersion,
}

/// What a block is; nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The epoch whose key it was encrypted under.
    pub epoch: EpochId,
    /// Its id.
    pub block: BlockId,
    /// What its codes are of.
    pub kind: Kind,
    /// How many codes share a word.
    pub packing: Packing,
    /// Codes in the block.
    pub(super) count: u32,
    pub(super) seed: [u8; KEY_BYTES],
    pub(super) rows_digest: [u8; KEY_BYTES],
}

impl Header {
    /// Codes in the block, those that were removed since among them.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(self.count).expect("invariant: at most 6144")
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let per_word = u8::try_from(self.packing.per_word()).expect("invariant: at most 3");
        let hand = match self.kind.hand {
            Hand::Right => 0,
            Hand::Left => 1,
        };
        let parts: [&[u8]; 7] = [
            &MAGIC,
            &[FORMAT, per_word, hand, self.kind.model.number()],
            &self.epoch.0,
            &self.block.0.to_le_bytes(),
            &self.count.to_le_bytes(),
            &self.seed,
            &self.rows_digest,
        ];
        let all = parts.concat();
        all.try_into()
            .expect("invariant: the parts have the header's length")
    }

    pub(super) fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Result<Self, SealedError> {
        let (packing, hand, model) = match bytes {
            [b'O', b'P', b'G', b'B', FORMAT, 3, hand, model, ..] => (Packing::Three, hand, model),
            [b'O', b'P', b'G', b'B', FORMAT, 2, hand, model, ..] => (Packing::Two, hand, model),
            _ => return Err(SealedError::Format),
        };
        let hand = match hand {
            0 => Hand::Right,
            1 => Hand::Left,
            _ => return Err(SealedError::Format),
        };
        let model = ModelVersion::from_number(*model).ok_or(SealedError::Format)?;
        let mut rest = &bytes[8..];
        let header = Self {
            epoch: EpochId(take::<EPOCH_BYTES>(&mut rest)),
            block: BlockId(u64::from_le_bytes(take(&mut rest))),
            kind: Kind { hand, model },
            packing,
            count: u32::from_le_bytes(take(&mut rest)),
            seed: take(&mut rest),
            rows_digest: take(&mut rest),
        };
        if header.count() <= packing.capacity() {
            Ok(header)
        } else {
            Err(SealedError::Format)
        }
    }

    /// The mask: from the seed, and from what names the block, so that even a random source that repeats itself gives
    /// no two blocks of a process the same mask.
    pub(super) fn mask(&self) -> Mask {
        let mut hasher = Hasher::new();
        hasher.update(b"openpalm mask");
        hasher.update(&self.naming_bytes());
        Mask::expand(&hasher.finish())
    }

    /// Everything but the digest of the rows.
    pub(super) fn naming_bytes(&self) -> [u8; HEADER_BYTES - KEY_BYTES] {
        let all = self.to_bytes();
        *all.first_chunk().expect("invariant: shorter than a header")
    }
}

fn take<const BYTES: usize>(rest: &mut &[u8]) -> [u8; BYTES] {
    let (own, after) = rest
        .split_first_chunk()
        .expect("invariant: the fields have the header's length");
    *rest = after;
    *own
}

/// The rows of up to 6144 codes, encrypted. It is written once: nothing changes a block that exists.
pub struct Block {
    header: Header,
    rows: Vec<PagedRow>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({:?})", self.header.block)
    }
}

/// The sums that the matcher hands to the keyholder for one block and one probe.
pub struct Sums {
    pub(super) block: BlockId,
    pub(super) row: Row,
}

impl std::fmt::Debug for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sums({:?})", self.block)
    }
}

impl Block {
    /// A block of these rows; the header's digest is theirs from now on.
    pub(super) fn new(mut header: Header, rows: Vec<PagedRow>) -> Self {
        assert_eq!(rows.len(), DIMENSIONS, "one row a dimension");
        let mut hasher = Hasher::new();
        rows.iter()
            .for_each(|row| hasher.update(&row_bytes(&row.0)));
        header.rows_digest = hasher.finish();
        Self { header, rows }
    }

    /// What it is.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of its rows.
    #[must_use]
    pub const fn size(&self) -> usize {
        DIMENSIONS * ROW_BYTES
    }

    /// Adds up the rows of each probe's coordinates.
    #[must_use]
    pub fn sums_of(&self, probes: &[ProbeCode]) -> Vec<Sums> {
        let block = self.header.block;
        let rows = add_up(&self.rows, probes);
        rows.into_iter().map(|row| Sums { block, row }).collect()
    }

    /// As [`Self::sums_of`], in memory that was used before.
    pub(super) fn sums_into(&self, probes: &[ProbeCode], sums: &mut Vec<Row>) {
        add_up_into(&self.rows, probes, sums);
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> &[PagedRow] {
        &self.rows
    }

    /// Writes the stored form, 4 MiB and 92 bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.header.to_bytes())?;
        self.rows
            .iter()
            .try_for_each(|row| out.write_all(&row_bytes(&row.0)))
    }

    /// Reads one stored block and leaves the source behind it.
    ///
    /// # Errors
    /// [`SealedError::Format`], [`SealedError::Truncated`], [`SealedError::Damaged`], [`SealedError::Read`].
    pub fn read_from(source: &mut impl Read) -> Result<Self, SealedError> {
        let mut start = [0; HEADER_BYTES];
        fill(source, &mut start)?;
        let header = Header::from_bytes(&start)?;
        let mut hasher = Hasher::new();
        let mut rows = Vec::with_capacity(DIMENSIONS);
        let mut bytes = [0; ROW_BYTES];
        for _ in 0..DIMENSIONS {
            fill(source, &mut bytes)?;
            hasher.update(&bytes);
            let (words, _) = bytes.as_chunks();
            let row = std::array::from_fn(|at| u32::from_le_bytes(words[at]));
            rows.push(PagedRow(row));
        }
        if hasher.finish() == header.rows_digest {
            Ok(Self { header, rows })
        } else {
            Err(SealedError::Damaged)
        }
    }
}

fn fill(source: &mut impl Read, out: &mut [u8]) -> Result<(), SealedError> {
    source.read_exact(out).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SealedError::Truncated,
        _ => SealedError::Read(error),
    })
}

pub(super) fn row_bytes(row: &Row) -> [u8; ROW_BYTES] {
    let mut out = [0; ROW_BYTES];
    for (own, word) in out.as_chunks_mut().0.iter_mut().zip(row) {
        *own = word.to_le_bytes();
    }
    out
}

/// Reads any bytes as a block; nothing may panic, whatever they are.
///
/// # Panics
/// When a block is not written as it was read: an error of this module.
#[doc(hidden)]
pub fn fuzz_block(mut bytes: &[u8]) {
    let whole = bytes;
    if let Ok(block) = Block::read_from(&mut bytes) {
        let mut written = Vec::new();
        let is_written = block.write_to(&mut written);
        assert!(is_written.is_ok() && whole.starts_with(&written));
    }
}

#[cfg(test)]
mod tests;
