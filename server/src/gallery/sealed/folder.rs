//! Blocks on disk: a folder with one file a block, written once under its final name or not at all.
//!
//! A file is the block ([`super::block`]), then its sealed directory. It is written under another name, made durable,
//! renamed, and the folder made durable: whatever stops the process, a file under its final name is whole. What
//! is damaged all the same, cut short or forged is told by digest and seal; nothing depends on it that the store does
//! not have.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    SealedError,
    block::{Block, BlockId},
    keyholder::FreshBlock,
    keys::EpochId,
};

/// Longest sealed directory, in bytes: 6144 records of 17 bytes, nonce and tag.
pub const DIRECTORY_MAX: u64 = 6144 * 17 + 28;
const ENDING: &str = ".block";
const UNFINISHED: &str = ".unfinished";
const BUFFER_BYTES: usize = 1 << 20;

/// The folder of one gallery.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// A block and its sealed directory as they were read.
#[derive(Debug)]
pub struct Stored {
    /// The block.
    pub block: Block,
    /// Its directory.
    pub directory: Vec<u8>,
}

impl Folder {
    /// Opens a folder, made if it is not there, and removes what an earlier process did not finish writing.
    ///
    /// # Errors
    /// [`SealedError::Read`], [`SealedError::Write`].
    pub fn open(path: &Path) -> Result<Self, SealedError> {
        fs::create_dir_all(path).map_err(SealedError::Write)?;
        for name in names(path)? {
            if name.ends_with(UNFINISHED) {
                fs::remove_file(path.join(name)).map_err(SealedError::Write)?;
            }
        }
        Ok(Self(path.to_owned()))
    }

    fn path_of(&self, epoch: EpochId, block: BlockId) -> PathBuf {
        self.0.join(format!("{epoch}-{:016x}{ENDING}", block.0))
    }

    /// Writes a fresh block; it is on disk when this returns `Ok`.
    ///
    /// # Errors
    /// [`SealedError::Write`]: the block is not there, or not to be relied on. Do not publish it.
    pub fn keep(&self, fresh: &FreshBlock) -> Result<(), SealedError> {
        self.keep_parts(&fresh.block, &fresh.directory)
    }

    /// As [`Self::keep`], of a block that a keyholder in another process made.
    ///
    /// # Errors
    /// As there.
    pub fn keep_stored(&self, stored: &Stored) -> Result<(), SealedError> {
        self.keep_parts(&stored.block, &stored.directory)
    }

    fn keep_parts(&self, block: &Block, directory: &[u8]) -> Result<(), SealedError> {
        let header = block.header();
        let path = self.path_of(header.epoch, header.block);
        self.write(&path, block, directory)
            .map_err(SealedError::Write)
    }

    fn write(&self, path: &Path, block: &Block, directory: &[u8]) -> io::Result<()> {
        let unfinished = path.with_extension(&UNFINISHED[1..]);
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, File::create(&unfinished)?);
        block.write_to(&mut out)?;
        out.write_all(directory)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Every block of an epoch in the folder, the latest first.
    ///
    /// # Errors
    /// [`SealedError::Read`].
    pub fn blocks(&self, epoch: EpochId) -> Result<Vec<BlockId>, SealedError> {
        let prefix = format!("{epoch}-");
        let id = |name: String| {
            let number = name.strip_prefix(&prefix)?.strip_suffix(ENDING)?;
            u64::from_str_radix(number, 16).ok().map(BlockId)
        };
        let mut found: Vec<_> = names(&self.0)?.into_iter().filter_map(id).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// Every block in the folder, of whatever epoch: a matcher without the key cannot know which one counts.
    ///
    /// # Errors
    /// [`SealedError::Read`].
    pub fn blocks_of_all(&self) -> Result<Vec<(EpochId, BlockId)>, SealedError> {
        let id = |name: String| {
            let (epoch, block) = name.strip_suffix(ENDING)?.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((
                EpochId::from_number(number(epoch)?),
                BlockId(number(block)?),
            ))
        };
        Ok(names(&self.0)?.into_iter().filter_map(id).collect())
    }

    /// Reads a block.
    ///
    /// # Errors
    /// As [`Block::read_from`]; [`SealedError::Forged`] when it is not the block that its name says.
    pub fn read(&self, epoch: EpochId, id: BlockId) -> Result<Stored, SealedError> {
        let file = File::open(self.path_of(epoch, id)).map_err(SealedError::Read)?;
        let mut source = BufReader::with_capacity(BUFFER_BYTES, file);
        let block = Block::read_from(&mut source)?;
        let mut directory = Vec::new();
        let mut rest = source.take(DIRECTORY_MAX + 1);
        rest.read_to_end(&mut directory)
            .map_err(SealedError::Read)?;
        if (block.header().epoch, block.header().block) == (epoch, id) {
            Ok(Stored { block, directory })
        } else {
            Err(SealedError::Forged)
        }
    }

    /// Deletes a block. It is no error when it is not there.
    ///
    /// # Errors
    /// [`SealedError::Write`].
    pub fn delete(&self, epoch: EpochId, id: BlockId) -> Result<(), SealedError> {
        delete(&self.path_of(epoch, id))
    }

    /// Deletes every block of another epoch. Returns how many there were.
    ///
    /// # Errors
    /// [`SealedError::Read`], [`SealedError::Write`].
    pub fn delete_other_epochs(&self, epoch: EpochId) -> Result<usize, SealedError> {
        let prefix = format!("{epoch}-");
        let others: Vec<_> = names(&self.0)?
            .into_iter()
            .filter(|name| name.ends_with(ENDING) && !name.starts_with(&prefix))
            .collect();
        for name in &others {
            delete(&self.0.join(name))?;
        }
        Ok(others.len())
    }
}

fn delete(path: &Path) -> Result<(), SealedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SealedError::Write(error)),
        _ => Ok(()),
    }
}

fn names(path: &Path) -> Result<Vec<String>, SealedError> {
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().into_string().ok());
    let names = fs::read_dir(path).and_then(|entries| entries.map(name).collect::<Result<_, _>>());
    let names: Vec<Option<String>> = names.map_err(SealedError::Read)?;
    Ok(names.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
