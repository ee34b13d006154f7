//! The role that has the secrets: it takes codes, encrypts blocks, reads scores, and keeps no block.
//!
//! Of each block it keeps the mask, the header and the **directory**: whose code lies in which slot. A directory is
//! stored sealed, with the block's header as associated data: one that opens proves the header genuine. A removed
//! record is a tombstone in the directory in memory; on disk it is told by the record's own row, which is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use palm_models::template::SearchCode;
use palm_proto::id::CustomerId;

use super::{
    RecordId, SealedError,
    best::{Best, Candidate, Score},
    block::{Block, BlockId, Header, Kind, Sums},
    code::{Permutation, ProbeCode, ReferenceCode},
    keys::{EpochId, EpochKey, KEY_BYTES, Seal, Stream},
    negacyclic::Row,
    scheme::{Mask, Packing, Query, Secrets},
};
use crate::entropy::Entropy;

const RECORD_BYTES: usize = 17;
const DIRECTORY_PLACE: &[u8] = b"directory v1";
/// Scores that are looked at together.
const STRIDE: usize = 64;
/// A block is to be retired once more than one in this many of its codes is dead.
const DEAD_SHARE: usize = 8;

struct Known {
    mask: Mask,
    /// Whose code lies in which slot; `None` is a tombstone.
    slots: Vec<Option<RecordId>>,
}

impl Known {
    fn live(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

/// What is the same for every block of an epoch.
struct Epoch {
    key: EpochKey,
    id: EpochId,
    kind: Kind,
    packing: Packing,
    secrets: Secrets,
    permutation: Permutation,
    directory_seal: Seal,
}

/// The secrets of an epoch and what they open.
pub struct Keyholder {
    epoch: Arc<Epoch>,
    blocks: BTreeMap<BlockId, Known>,
    /// Codes that wait for a block of their own, in the plain. At rest each lies in its sealed template.
    waiting: Vec<(RecordId, ReferenceCode)>,
    next: u64,
}

impl fmt::Debug for Keyholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyholder({})", self.epoch.id)
    }
}

/// Codes that are about to become a block. It is used up by that: a mask hides one message.
pub struct Draft {
    epoch: Arc<Epoch>,
    block: BlockId,
    codes: Vec<(RecordId, ReferenceCode)>,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({:?}, {} codes)", self.block, self.codes.len())
    }
}

/// A block that was just encrypted. Write both parts to disk, then hand it to [`Keyholder::publish`].
#[derive(Debug)]
pub struct FreshBlock {
    /// For the matcher.
    pub block: Block,
    /// The sealed directory.
    pub directory: Vec<u8>,
    records: Vec<RecordId>,
}

impl Draft {
    /// Draws a seed and encrypts a whole block under its mask, on the current pool of threads. There is no other way to
    /// a block, and none to choose its seed: a slot is written once.
    #[must_use]
    pub fn encrypt(self, entropy: &dyn Entropy) -> FreshBlock {
        let Self {
            epoch,
            block,
            codes,
        } = self;
        let mut seed = [0; KEY_BYTES];
        entropy.fill(&mut seed);
        let header = Header {
            epoch: epoch.id,
            block,
            kind: epoch.kind,
            packing: epoch.packing,
            count: u32::try_from(codes.len()).expect("invariant: at most 6144"),
            seed,
            rows_digest: [0; KEY_BYTES],
        };
        // The errors are the mask's own: from the epoch's secret, and from all that the mask is from.
        let errors = epoch.key.derived(&[b"errors", &header.naming_bytes()]);
        let errors = Stream::new(&errors);
        let (records, codes): (Vec<_>, Vec<_>) = codes.into_iter().unzip();
        let rows = epoch
            .secrets
            .encrypt(&header.mask(), &errors, epoch.packing, &codes);
        let block = Block::new(header, rows);
        FreshBlock {
            directory: epoch.seal_directory(block.header(), &records, entropy),
            block,
            records,
        }
    }
}

impl Epoch {
    fn seal_directory(
        &self,
        header: &Header,
        records: &[RecordId],
        entropy: &dyn Entropy,
    ) -> Vec<u8> {
        let mut plain = Vec::with_capacity(records.len() * RECORD_BYTES);
        for record in records {
            plain.extend_from_slice(&record.customer.to_bytes());
            plain.push(record.number);
        }
        self.directory_seal
            .seal(&directory_place(header), &plain, entropy)
    }

    fn open_directory(&self, header: &Header, sealed: &[u8]) -> Result<Vec<RecordId>, SealedError> {
        if header.epoch != self.id {
            return Err(SealedError::Epoch(header.epoch));
        }
        let plain = self.directory_seal.open(&directory_place(header), sealed)?;
        let records = records_of(&plain)?;
        let fits = records.len() == header.count()
            && header.packing == self.packing
            && header.kind == self.kind;
        fits.then_some(records).ok_or(SealedError::Format)
    }
}

impl Keyholder {
    /// A keyholder of nobody's codes yet.
    #[must_use]
    pub fn new(key: EpochKey, kind: Kind, packing: Packing) -> Self {
        let epoch = Epoch {
            id: key.id(),
            kind,
            packing,
            secrets: Secrets::derive(&key),
            permutation: Permutation::derive(&key),
            directory_seal: Seal::new(&key.derived(&[b"directory"])),
            key,
        };
        Self {
            epoch: Arc::new(epoch),
            blocks: BTreeMap::new(),
            waiting: Vec::new(),
            next: 0,
        }
    }

    /// The epoch of its key.
    #[must_use]
    pub fn epoch(&self) -> EpochId {
        self.epoch.id
    }

    /// The blocks that a search has to go through.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = BlockId> {
        self.blocks.keys().copied()
    }

    /// Number of codes that a search can find.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.blocks.values().map(Known::live).sum::<usize>()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a code. Its sealed template must be on disk by then. A record is added once in its life.
    ///
    /// # Errors
    /// [`SealedError::Weight`] when the code is too sparse to be enrolled.
    pub fn enrol(&mut self, record: RecordId, code: &SearchCode) -> Result<(), SealedError> {
        let code = self.epoch.permutation.reference(code)?;
        self.waiting.push((record, code));
        Ok(())
    }

    /// Removes every record of a person: no search finds one any more.
    pub fn remove(&mut self, customer: CustomerId) {
        self.waiting.retain(|(own, _)| own.customer != customer);
        let slots = self.blocks.values_mut().flat_map(|known| &mut known.slots);
        for slot in slots {
            slot.take_if(|own| own.customer == customer);
        }
    }

    /// Whether the codes that wait fill a block.
    #[must_use]
    pub fn fills_a_block(&self) -> bool {
        self.waiting.len() >= self.epoch.packing.capacity()
    }

    /// The oldest codes that wait, once they fill a block.
    pub fn draft(&mut self) -> Option<Draft> {
        let capacity = self.epoch.packing.capacity();
        self.fills_a_block().then(|| self.draft_of(capacity))
    }

    /// All codes that wait, up to a block of them, whether they fill it or not.
    pub fn draft_any(&mut self) -> Option<Draft> {
        let count = self.waiting.len().min(self.epoch.packing.capacity());
        (count > 0).then(|| self.draft_of(count))
    }

    fn draft_of(&mut self, count: usize) -> Draft {
        let block = BlockId(self.next);
        self.next += 1;
        Draft {
            epoch: Arc::clone(&self.epoch),
            block,
            codes: self.waiting[..count].to_vec(),
        }
    }

    /// Searches a fresh block from now on instead of the codes that it was made of; returns the block, for the
    /// matcher. A record that was removed while the block was made gets its tombstone.
    pub fn publish(&mut self, fresh: FreshBlock) -> Block {
        let records: BTreeSet<_> = fresh.records.iter().copied().collect();
        let mut live = BTreeSet::new();
        self.waiting.retain(|(own, _)| {
            let is_moved = records.contains(own);
            if is_moved {
                live.insert(*own);
            }
            !is_moved
        });
        let slots = fresh.records.iter();
        let slots = slots.map(|own| live.contains(own).then_some(*own));
        self.keep(fresh.block.header(), slots.collect());
        fresh.block
    }

    fn keep(&mut self, header: &Header, slots: Vec<Option<RecordId>>) {
        self.next = self.next.max(header.block.0.saturating_add(1));
        let known = Known {
            mask: header.mask(),
            slots,
        };
        self.blocks.insert(header.block, known);
    }

    /// Takes a stored block's header and directory. Of its records those are live that are still `wanted`; they are
    /// taken out of that set. Admit the latest block first: when a stop fell between a new block and the deletion of
    /// the one it replaced, both are there.
    ///
    /// Returns how many are live. What is wrong is refused here, before the block is searched.
    ///
    /// # Errors
    /// [`SealedError::Epoch`] for a block of another epoch, [`SealedError::Forged`] when header and directory do not
    /// belong together or are not this keyholder's, [`SealedError::Format`] when they do not fit,
    /// [`SealedError::Twice`] when the block is there already.
    pub fn admit(
        &mut self,
        header: &Header,
        directory: &[u8],
        wanted: &mut BTreeSet<RecordId>,
    ) -> Result<usize, SealedError> {
        if self.blocks.contains_key(&header.block) {
            return Err(SealedError::Twice);
        }
        let records = self.epoch.open_directory(header, directory)?;
        let slots: Vec<_> = records.into_iter().map(|own| wanted.take(&own)).collect();
        let live = slots.iter().flatten().count();
        self.keep(header, slots);
        Ok(live)
    }

    /// A block of which too many codes are dead, and those that live: read their templates, then call
    /// [`Self::retire`].
    #[must_use]
    pub fn stale(&self) -> Option<(BlockId, Vec<RecordId>)> {
        let is_stale = |known: &Known| {
            let dead = known.slots.len() - known.live();
            dead * DEAD_SHARE > known.slots.len()
        };
        let (id, known) = self.blocks.iter().find(|(_, known)| is_stale(known))?;
        Some((*id, known.slots.iter().flatten().copied().collect()))
    }

    /// Gives a block up: those of its records that still live wait for another block, under a mask of its own. Delete
    /// the block itself only when that other block is on disk, or never mind: what is in no block is enrolled again
    /// from its template at the next start.
    ///
    /// # Errors
    /// [`SealedError::UnknownBlock`]; [`SealedError::Weight`]. Nothing has changed then.
    pub fn retire(
        &mut self,
        id: BlockId,
        codes: &[(RecordId, SearchCode)],
    ) -> Result<(), SealedError> {
        let known = self.blocks.get(&id).ok_or(SealedError::UnknownBlock)?;
        let live: BTreeSet<_> = known.slots.iter().flatten().collect();
        let codes = codes.iter().filter(|(own, _)| live.contains(own));
        let codes: Vec<_> = codes
            .map(|(own, code)| Ok((*own, self.epoch.permutation.reference(code)?)))
            .collect::<Result<_, SealedError>>()?;
        self.waiting.extend(codes);
        self.blocks.remove(&id);
        Ok(())
    }

    /// A probe in the epoch's coordinates, thinned to what the packing leaves room for: all that the matcher sees.
    ///
    /// # Errors
    /// [`SealedError::Weight`] when the code is too sparse to be searched for.
    pub fn probe(&self, code: &SearchCode) -> Result<ProbeCode, SealedError> {
        let most = self.epoch.packing.probe_weight_max();
        self.epoch.permutation.probe(code, most)
    }

    /// What reading the scores of a probe takes, for any number of blocks.
    #[must_use]
    pub fn query(&self, probe: &ProbeCode) -> Query {
        self.epoch.secrets.query(probe)
    }

    /// Reads the scores of one block and keeps the best.
    ///
    /// # Errors
    /// [`SealedError::UnknownBlock`].
    pub fn rank(&self, query: &Query, sums: &Sums, best: &mut Best) -> Result<(), SealedError> {
        self.rank_row(query, sums.block, &sums.row, best)
    }

    /// As [`Self::rank`].
    pub(super) fn rank_row(
        &self,
        query: &Query,
        block: BlockId,
        sums: &Row,
        best: &mut Best,
    ) -> Result<(), SealedError> {
        let known = self.blocks.get(&block);
        let known = known.ok_or(SealedError::UnknownBlock)?;
        let scores = query.read(&known.mask, sums, self.epoch.packing);
        let strides = scores.first(known.slots.len()).chunks(STRIDE);
        for (scores, slots) in strides.zip(known.slots.chunks(STRIDE)) {
            let least = best.least();
            if scores.iter().fold(i8::MIN, |max, own| max.max(*own)) < least {
                continue;
            }
            for (score, slot) in scores.iter().zip(slots) {
                if let (Some(record), true) = (*slot, *score >= least) {
                    let score = Score(*score);
                    best.offer(Candidate { record, score });
                }
            }
        }
        Ok(())
    }

    /// Compares the codes that wait for their block.
    pub fn rank_waiting(&self, probe: &ProbeCode, best: &mut Best) {
        for (record, code) in &self.waiting {
            let score = Score(probe.dot(code));
            if score.0 >= best.least() {
                let record = *record;
                best.offer(Candidate { record, score });
            }
        }
    }
}

fn directory_place(header: &Header) -> Vec<u8> {
    [DIRECTORY_PLACE, &header.to_bytes()].concat()
}

fn records_of(plain: &[u8]) -> Result<Vec<RecordId>, SealedError> {
    let (records, rest) = plain.as_chunks::<RECORD_BYTES>();
    let record = |bytes: &[u8; RECORD_BYTES]| {
        let (number, customer) = bytes.split_last().expect("invariant: 17 bytes");
        let customer = customer.try_into().expect("invariant: 16 bytes");
        RecordId {
            customer: CustomerId::from_bytes(customer),
            number: *number,
        }
    };
    if rest.is_empty() {
        Ok(records.iter().map(record).collect())
    } else {
        Err(SealedError::Format)
    }
}

#[cfg(test)]
mod tests;
