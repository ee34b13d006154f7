//! The matcher's half of a gallery whose keyholder is another process: blocks, and sealed directories that it cannot
//! read. It knows no key, no code, no score and no owner.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rayon::{ThreadPool, prelude::*};
use tracing::{info, warn};

use super::{
    Kind, MODELS, folder_name,
    sealed::{
        LOADED_TOGETHER, ProbeCode, SealedError,
        block::Header,
        folder::{Folder, Stored},
        wire::{self, BlockName},
    },
};
use crate::limits;
use palm_models::template::Hand;

/// The blocks that are searched.
#[derive(Debug)]
pub struct Matcher {
    folders: BTreeMap<Kind, Folder>,
    blocks: BTreeMap<BlockName, Stored>,
    pool: Arc<ThreadPool>,
}

/// Sums of some blocks: each one's, of all probes of its kind.
pub type SumsOfBlocks = Vec<(BlockName, Vec<u8>)>;

impl Matcher {
    /// Reads every block of a folder; those that are damaged are deleted, since the keyholder can make them again.
    /// Without a folder, blocks are in memory only.
    ///
    /// # Errors
    /// [`SealedError::Read`], [`SealedError::Write`].
    pub fn load(folder: Option<&Path>, pool: Arc<ThreadPool>) -> Result<Self, SealedError> {
        let mut matcher = Self {
            folders: BTreeMap::new(),
            blocks: BTreeMap::new(),
            pool,
        };
        let Some(all) = folder else {
            return Ok(matcher);
        };
        for hand in [Hand::Right, Hand::Left] {
            for model in MODELS {
                let kind = Kind { hand, model };
                let path: PathBuf = all.join(folder_name(kind));
                matcher.load_kind(kind, Folder::open(&path)?)?;
            }
        }
        info!(blocks = matcher.blocks.len(), "blocks loaded");
        Ok(matcher)
    }

    fn load_kind(&mut self, kind: Kind, folder: Folder) -> Result<(), SealedError> {
        for ids in folder.blocks_of_all()?.chunks(LOADED_TOGETHER) {
            let read = |(epoch, block): &(_, _)| (*epoch, *block, folder.read(*epoch, *block));
            let stored: Vec<_> = self.pool.install(|| ids.par_iter().map(read).collect());
            for (epoch, block, stored) in stored {
                match stored {
                    Ok(stored) if stored.block.header().kind == kind => {
                        let name = BlockName::of(stored.block.header());
                        self.blocks.insert(name, stored);
                    }
                    Err(SealedError::Read(source)) => return Err(SealedError::Read(source)),
                    _ => {
                        warn!(block = block.number(), "a damaged block is made again");
                        folder.delete(epoch, block)?;
                    }
                }
            }
        }
        self.folders.insert(kind, folder);
        Ok(())
    }

    /// What the keyholder is to be shown of each block.
    pub fn directories(&self) -> impl Iterator<Item = (&Header, &[u8])> {
        let all = self.blocks.values();
        all.map(|stored| (stored.block.header(), stored.directory.as_slice()))
    }

    /// The folder of a kind's blocks, unless they are in memory only.
    #[must_use]
    pub fn folder(&self, kind: Kind) -> Option<&Folder> {
        self.folders.get(&kind)
    }

    /// Searches a block from now on. It is on disk already.
    pub fn insert(&mut self, stored: Stored) {
        let name = BlockName::of(stored.block.header());
        self.blocks.insert(name, stored);
    }

    /// Searches a block no more, and deletes it.
    ///
    /// # Errors
    /// [`SealedError::Write`]; it is searched no more all the same.
    pub fn remove(&mut self, name: BlockName) -> Result<(), SealedError> {
        self.blocks.remove(&name);
        let folder = self.folders.get(&name.kind);
        folder.map_or(Ok(()), |folder| folder.delete(name.epoch, name.block))
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Adds up, for these probes, the rows of every block of their kinds, and hands the sums on as they come, from any
    /// of its threads. Stops when `send` says that nobody takes them any more.
    pub fn sums(&self, probes: &[(Kind, ProbeCode)], send: impl Fn(SumsOfBlocks) -> bool + Sync) {
        let mut by_kind: BTreeMap<Kind, Vec<ProbeCode>> = BTreeMap::new();
        for (kind, probe) in probes {
            by_kind.entry(*kind).or_default().push(probe.clone());
        }
        for (kind, probes) in &by_kind {
            let blocks = self.blocks.iter().filter(|(name, _)| name.kind == *kind);
            let blocks: Vec<_> = blocks.collect();
            let together = limits::LINK_SUMS_BYTES / wire::SUMS_BYTES / probes.len();
            let sums = |(name, stored): &(&BlockName, &Stored)| {
                let sums = stored.block.sums_of(probes);
                (**name, wire::rows_of(&sums))
            };
            let is_taken = self.pool.install(|| {
                let chunks = blocks.par_chunks(together.max(1));
                let all = |blocks: &[(&BlockName, &Stored)]| {
                    send(blocks.iter().map(sums).collect()).then_some(())
                };
                chunks.try_for_each(all)
            });
            if is_taken.is_none() {
                return;
            }
        }
    }
}
