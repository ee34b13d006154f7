//! A gallery that is searched as ciphertext: nobody who has only the gallery can read a code in it.
//!
//! Two roles: the **matcher** has the blocks and adds up rows ([`block::Block::sums_of`]); the **keyholder** has the
//! secrets and reads scores ([`keyholder::Keyholder`]). [`SealedGallery`] is both in one process. Who can learn what,
//! under which assumptions, stands in [`security`].
//!
//! What a block holds can be made again from the sealed templates of the store: those are the truth, and blocks are a
//! searchable form of them. So a stop at any point loses nobody: what is in no block is enrolled again, and
//! what is in a block but no longer in the store is dead.
//!
//! Start at [`SealedGallery::search`], then `scheme.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use palm_models::template::SearchCode;
use palm_proto::id::CustomerId;
use rayon::{ThreadPool, prelude::*};

mod best;
pub mod block;
mod code;
#[cfg(test)]
mod fixture;
pub mod folder;
pub mod keyholder;
mod keys;
mod negacyclic;
mod scheme;
pub mod security;
pub mod wire;

pub use best::{Best, Candidate, Score};
pub use code::{PROBE_WEIGHTS, ProbeCode, REFERENCE_WEIGHTS};
pub use keys::{EpochId, EpochKey};
pub use scheme::{Packing, Query};

use block::{Block, BlockId, Kind};
use folder::{Folder, Stored};
use keyholder::{Draft, FreshBlock, Keyholder};
use negacyclic::Row;
use tracing::{info, warn};

use crate::entropy::Entropy;

/// Blocks that are read at once at the start: each is 4 MiB.
pub(super) const LOADED_TOGETHER: usize = 16;

/// Names one enrolled sample. A person's samples are numbered for good: no number is ever used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Whose it is.
    pub customer: CustomerId,
    /// Which of theirs, of one hand.
    pub number: u8,
}

/// Why stored bytes, a block or a code cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The rows of a block are not those that were written.
    #[error("a block of the gallery is damaged: delete its file, it is made again from the store")]
    Damaged,
    /// Made under the key of another epoch.
    #[error("a block of the gallery is of epoch {0}, not of this key's")]
    Epoch(EpochId),
    /// Changed, moved to another place, or sealed under another key.
    #[error(
        "a block of the gallery does not open: delete its file, it is made again from the store"
    )]
    Forged,
    /// A format that this build does not know, or parts that do not fit together.
    #[error(
        "a block of the gallery has an unknown format: start the version that wrote it, or delete its file"
    )]
    Format,
    /// The source failed.
    #[error("a block of the gallery could not be read")]
    Read(#[source] io::Error),
    /// Bytes are missing at the end.
    #[error(
        "a block of the gallery ends too early: delete its file, it is made again from the store"
    )]
    Truncated,
    /// The block is there already.
    #[error(
        "two blocks of the gallery have one number: delete one file, it is made again from the store"
    )]
    Twice,
    /// No block of this id.
    #[error("a block of the gallery is not known to the keyholder: hand in its directory first")]
    UnknownBlock,
    /// Too few or too many coordinates are non-zero for the code's role.
    #[error(
        "a search code has {0} non-zero coordinates, which its role does not allow: capture the palm again"
    )]
    Weight(u32),
    /// A block could not be written.
    #[error(
        "a block of the gallery could not be written: check the disk's space, health and permissions"
    )]
    Write(#[source] io::Error),
}

/// Both roles in one process.
///
/// A search takes `&self`, a change `&mut self`. What takes long, [`Draft::encrypt`], needs neither: searches and
/// changes go on meanwhile.
///
/// A block is written once. There is no call that changes one, and none that takes a seed; what becomes a block is
/// used up by that, and so is the block when it is published:
///
/// ```compile_fail,E0382
/// # use palm_server::{entropy::Entropy, gallery::sealed::{SealedGallery, keyholder::Draft}};
/// # fn twice(gallery: &mut SealedGallery, draft: Draft, entropy: &dyn Entropy) {
/// let one = gallery.encrypt(draft, entropy);
/// let other = gallery.encrypt(draft, entropy);
/// # }
/// ```
///
/// ```compile_fail,E0382
/// # use palm_server::gallery::sealed::{SealedGallery, keyholder::FreshBlock};
/// # fn twice(gallery: &mut SealedGallery, fresh: FreshBlock) {
/// gallery.publish(fresh);
/// gallery.publish(fresh);
/// # }
/// ```
#[derive(Debug)]
pub struct SealedGallery {
    keyholder: Keyholder,
    blocks: BTreeMap<BlockId, Block>,
    pool: Arc<ThreadPool>,
}

impl SealedGallery {
    /// An empty gallery that searches with these threads.
    #[must_use]
    pub fn new(key: EpochKey, kind: Kind, packing: Packing, pool: Arc<ThreadPool>) -> Self {
        Self {
            keyholder: Keyholder::new(key, kind, packing),
            blocks: BTreeMap::new(),
            pool,
        }
    }

    /// The role that has the secrets.
    #[must_use]
    pub const fn keyholder(&self) -> &Keyholder {
        &self.keyholder
    }

    /// Every block that is searched, by id.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.values()
    }

    /// As [`Keyholder::enrol`].
    ///
    /// # Errors
    /// As there.
    pub fn enrol(&mut self, record: RecordId, code: &SearchCode) -> Result<(), SealedError> {
        self.keyholder.enrol(record, code)
    }

    /// As [`Keyholder::remove`].
    pub fn remove(&mut self, customer: CustomerId) {
        self.keyholder.remove(customer);
    }

    /// As [`Keyholder::draft`].
    pub fn draft(&mut self) -> Option<Draft> {
        self.keyholder.draft()
    }

    /// As [`Keyholder::draft_any`].
    pub fn draft_any(&mut self) -> Option<Draft> {
        self.keyholder.draft_any()
    }

    /// As [`Draft::encrypt`], on the gallery's threads.
    #[must_use]
    pub fn encrypt(&self, draft: Draft, entropy: &dyn Entropy) -> FreshBlock {
        self.pool.install(|| draft.encrypt(entropy))
    }

    /// Searches a fresh block from now on, instead of the codes that it was made of.
    pub fn publish(&mut self, fresh: FreshBlock) {
        let block = self.keyholder.publish(fresh);
        self.blocks.insert(block.header().block, block);
    }

    /// Takes a stored block with its directory, as [`Keyholder::admit`]; one of which nobody lives is not kept.
    /// Returns how many live.
    ///
    /// # Errors
    /// As there.
    pub fn admit(
        &mut self,
        block: Block,
        directory: &[u8],
        wanted: &mut BTreeSet<RecordId>,
    ) -> Result<usize, SealedError> {
        let live = self.keyholder.admit(block.header(), directory, wanted)?;
        if live > 0 {
            self.blocks.insert(block.header().block, block);
        }
        Ok(live)
    }

    /// Takes every block of this epoch in a folder, of which somebody lives. What cannot be used is deleted: those of
    /// `wanted` that are left have to be enrolled again in any case.
    ///
    /// # Errors
    /// [`SealedError::Read`] and [`SealedError::Write`] when the folder cannot be used.
    pub fn load(
        &mut self,
        folder: &Folder,
        wanted: &mut BTreeSet<RecordId>,
    ) -> Result<(), SealedError> {
        let epoch = self.keyholder.epoch();
        let ids = folder.blocks(epoch)?;
        for (done, ids) in (0..)
            .step_by(LOADED_TOGETHER)
            .zip(ids.chunks(LOADED_TOGETHER))
        {
            info!(blocks = done, "loading the sealed gallery");
            let read = |id: &BlockId| (*id, folder.read(epoch, *id));
            let stored: Vec<_> = self.pool.install(|| ids.par_iter().map(read).collect());
            for (id, stored) in stored {
                let admitted = stored
                    .and_then(|Stored { block, directory }| self.admit(block, &directory, wanted));
                match admitted {
                    Ok(live) if live > 0 => (),
                    Err(SealedError::Read(source)) => return Err(SealedError::Read(source)),
                    Ok(_) => folder.delete(epoch, id)?,
                    Err(error) => {
                        warn!(block = id.number(), %error, "a block is made again");
                        folder.delete(epoch, id)?;
                    }
                }
            }
        }
        info!(
            blocks = self.blocks.len(),
            to_enrol = wanted.len(),
            "sealed gallery loaded"
        );
        Ok(())
    }

    /// As [`Keyholder::stale`].
    #[must_use]
    pub fn stale(&self) -> Option<(BlockId, Vec<RecordId>)> {
        self.keyholder.stale()
    }

    /// As [`Keyholder::retire`].
    ///
    /// # Errors
    /// As there.
    pub fn retire(
        &mut self,
        id: BlockId,
        codes: &[(RecordId, SearchCode)],
    ) -> Result<(), SealedError> {
        self.keyholder.retire(id, codes)?;
        self.blocks.remove(&id);
        Ok(())
    }

    /// The `keep` best codes for a probe, the best first. The answer belongs to the keyholder: its scores must not
    /// leave it.
    ///
    /// # Errors
    /// [`SealedError::Weight`].
    pub fn search(&self, probe: &SearchCode, keep: usize) -> Result<Vec<Candidate>, SealedError> {
        let mut found = self.search_all(&[probe], keep)?;
        Ok(found.pop().expect("invariant: one answer a probe"))
    }

    /// As [`Self::search`] for several probes at once, which then share the reading of the rows.
    ///
    /// # Errors
    /// [`SealedError::Weight`].
    pub fn search_all(
        &self,
        probes: &[&SearchCode],
        keep: usize,
    ) -> Result<Vec<Vec<Candidate>>, SealedError> {
        let probes = probes.iter().map(|code| self.keyholder.probe(code));
        let probes: Vec<_> = probes.collect::<Result<_, _>>()?;
        let queries: Vec<_> = self.pool.install(|| {
            let all = probes.par_iter();
            all.map(|probe| self.keyholder.query(probe)).collect()
        });
        let empty = || -> (Vec<Best>, Vec<Row>) {
            let best = probes.iter().map(|_| Best::new(keep));
            (best.collect(), Vec::new())
        };
        let ranked = |(mut best, mut rows): (Vec<Best>, Vec<Row>), block: &Block| {
            block.sums_into(&probes, &mut rows);
            let id = block.header().block;
            for ((row, query), best) in rows.iter().zip(&queries).zip(&mut best) {
                self.keyholder.rank_row(query, id, row, best)?;
            }
            Ok((best, rows))
        };
        let merged = |(a, rows): (Vec<Best>, Vec<Row>), (b, _): (Vec<Best>, Vec<Row>)| {
            let pairs = a.into_iter().zip(b);
            Ok((pairs.map(|(a, b)| a.merged(b)).collect(), rows))
        };
        let blocks: Vec<&Block> = self.blocks.values().collect();
        let best = self.pool.install(|| {
            blocks
                .par_iter()
                .copied()
                .try_fold(empty, ranked)
                .try_reduce(empty, merged)
        });
        let (best, _) = best?;
        let sorted = |(mut best, probe): (Best, &ProbeCode)| {
            self.keyholder.rank_waiting(probe, &mut best);
            best.into_sorted()
        };
        let all = || best.into_par_iter().zip(&probes).map(sorted).collect();
        Ok(self.pool.install(all))
    }
}

/// A block of codes under keys that are drawn for it: for tests and benches that compare scores.
struct Sample {
    packing: Packing,
    permutation: code::Permutation,
    secrets: scheme::Secrets,
    mask: scheme::Mask,
    rows: Vec<scheme::PagedRow>,
    codes: Vec<code::ReferenceCode>,
}

impl Sample {
    fn draw(packing: Packing, codes: &[SearchCode], entropy: &dyn Entropy) -> Self {
        let mut keys = [[0; 32]; 3];
        keys.iter_mut().for_each(|key| entropy.fill(key));
        let [epoch, mask, errors] = keys;
        let epoch = EpochKey::new(epoch);
        let permutation = code::Permutation::derive(&epoch);
        let (secrets, mask) = (scheme::Secrets::derive(&epoch), scheme::Mask::expand(&mask));
        let codes = codes.iter().map(|code| permutation.reference(code));
        let codes: Vec<_> = codes
            .collect::<Result<_, _>>()
            .expect("invariant: the caller's codes have their role's weight");
        let rows = secrets.encrypt(&mask, &keys::Stream::new(&errors), packing, &codes);
        Self {
            packing,
            permutation,
            secrets,
            mask,
            rows,
            codes,
        }
    }

    fn probe(&self, probe: &SearchCode) -> ProbeCode {
        let weight = self.packing.probe_weight_max();
        let probe = self.permutation.probe(probe, weight);
        probe.expect("invariant: the caller's probes have their role's weight")
    }

    fn scores(&self, probe: &ProbeCode) -> Vec<i8> {
        let sums = scheme::add_up(&self.rows, std::slice::from_ref(probe));
        let scores = self.secrets.query(probe);
        let scores = scores.read(&self.mask, &sums[0], self.packing);
        scores.first(self.codes.len()).to_vec()
    }
}

/// How many scores of a whole block, and how many of them differ from the plain ones, over these probes.
///
/// # Panics
/// When a code has not its role's weight, or there are more than fill a block.
#[doc(hidden)]
#[must_use]
pub fn inexact_scores(
    packing: Packing,
    codes: &[SearchCode],
    probes: &[SearchCode],
    entropy: &dyn Entropy,
) -> (usize, usize) {
    let sample = Sample::draw(packing, codes, entropy);
    let differing = |probe: &SearchCode| {
        let probe = sample.probe(probe);
        let scores = sample.scores(&probe);
        let pairs = scores.iter().zip(&sample.codes);
        pairs
            .filter(|(found, code)| **found != probe.dot(code))
            .count()
    };
    let differing = probes.par_iter().map(differing).sum();
    (codes.len() * probes.len(), differing)
}

/// The scores that a keyholder reads: of each probe, with each code. For comparison with another scheme.
///
/// # Panics
/// As [`inexact_scores`].
#[doc(hidden)]
#[must_use]
pub fn scores_of(
    packing: Packing,
    codes: &[SearchCode],
    probes: &[SearchCode],
    entropy: &dyn Entropy,
) -> Vec<Vec<i8>> {
    let sample = Sample::draw(packing, codes, entropy);
    let scores = probes
        .iter()
        .map(|probe| sample.scores(&sample.probe(probe)));
    scores.collect()
}

#[cfg(test)]
mod tests;
