//! A drive with a volatile cache, as the ones in shops have: what is written is on the platter after a flush, and when
//! the power goes before that, each sector is what it was, or any of what was written to it since.

use std::collections::BTreeMap;

use palm_server::entropy::{Entropy, SeededEntropy};

/// Bytes that a drive writes whole or not at all.
pub const SECTOR: usize = 512;
/// One in so many writes that survive a cut does so in part.
const TORN: u64 = 4;
/// Shares of the writes that survive a cut are drawn in steps of one in so many.
const SHARES: u64 = 8;

/// What a cut did to what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Writes of which nothing is left.
    pub lost: u64,
    /// Writes of which some sectors are left.
    pub torn: u64,
    /// Writes that had reached the platter.
    pub kept: u64,
}

/// A drive; the numbers of a cut come from its seed.
#[derive(Debug)]
pub struct Drive {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What outlasts a cut.
    platter: Vec<u8>,
    /// What the platter has yet to learn, by sector, oldest first.
    cache: BTreeMap<usize, Vec<Version>>,
    /// Writes since the last flush.
    writes: usize,
    is_lying: bool,
    entropy: SeededEntropy,
}

#[derive(Debug)]
struct Version {
    write: usize,
    bytes: [u8; SECTOR],
}

/// What becomes of a write that was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Torn,
    Kept,
}

/// The range lies outside the drive or does not begin and end with sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange;

impl Drive {
    /// A drive with these contents, whole sectors.
    #[must_use]
    pub fn new(contents: Vec<u8>, seed: u64) -> Self {
        assert!(contents.len().is_multiple_of(SECTOR), "sectors are whole");
        Self {
            platter: contents.clone(),
            seen: contents,
            cache: BTreeMap::new(),
            writes: 0,
            is_lying: false,
            entropy: SeededEntropy::new(seed),
        }
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.seen.len()
    }

    /// From now on it says that it flushed and did not.
    pub fn lie(&mut self) {
        self.is_lying = true;
    }

    /// What was last written here.
    ///
    /// # Errors
    /// [`OutOfRange`].
    pub fn read(&self, offset: u64, length: usize) -> Result<&[u8], OutOfRange> {
        let offset = self.checked(offset, length)?;
        Ok(&self.seen[offset..offset + length])
    }

    /// Takes bytes into the cache; with `is_forced` (forced unit access) they are on the platter when it returns.
    ///
    /// # Errors
    /// [`OutOfRange`]: nothing is written.
    pub fn write(&mut self, offset: u64, data: &[u8], is_forced: bool) -> Result<(), OutOfRange> {
        let offset = self.checked(offset, data.len())?;
        self.seen[offset..offset + data.len()].copy_from_slice(data);
        let (sectors, _) = data.as_chunks::<SECTOR>();
        for (bytes, at) in sectors.iter().zip((offset..).step_by(SECTOR)) {
            if is_forced && !self.is_lying {
                self.platter[at..at + SECTOR].copy_from_slice(bytes);
                self.cache.remove(&at);
            } else {
                let (write, bytes) = (self.writes, *bytes);
                let version = Version { write, bytes };
                self.cache.entry(at).or_default().push(version);
            }
        }
        self.writes += 1;
        Ok(())
    }

    /// Brings everything that was written to the platter.
    pub fn flush(&mut self) {
        if self.is_lying {
            return;
        }
        for (at, versions) in std::mem::take(&mut self.cache) {
            if let Some(last) = versions.last() {
                self.platter[at..at + SECTOR].copy_from_slice(&last.bytes);
            }
        }
        self.writes = 0;
    }

    /// The power goes: of what was not flushed a drawn part is left, and that is what is read from now on.
    pub fn cut(&mut self) -> Damage {
        let share = self.draw(SHARES + 1);
        let fates: Vec<Fate> = (0..self.writes).map(|_| self.fate(share)).collect();
        let mut damage = Damage::default();
        for fate in &fates {
            match fate {
                Fate::Lost => damage.lost += 1,
                Fate::Torn => damage.torn += 1,
                Fate::Kept => damage.kept += 1,
            }
        }
        for (at, versions) in std::mem::take(&mut self.cache) {
            // A drive writes in its own order, so an older version may be what is left.
            let mut left = None;
            for version in &versions {
                let is_left = match fates[version.write] {
                    Fate::Lost => false,
                    Fate::Torn => self.draw(2) == 0,
                    Fate::Kept => true,
                };
                if is_left {
                    left = Some(version.bytes);
                }
            }
            if let Some(bytes) = left {
                self.platter[at..at + SECTOR].copy_from_slice(&bytes);
            }
            self.seen[at..at + SECTOR].copy_from_slice(&self.platter[at..at + SECTOR]);
        }
        self.writes = 0;
        damage
    }

    fn fate(&self, share: u64) -> Fate {
        if self.draw(SHARES) >= share {
            Fate::Lost
        } else if self.draw(TORN) == 0 {
            Fate::Torn
        } else {
            Fate::Kept
        }
    }

    /// A number below `below`, which is not 0.
    #[must_use]
    pub fn draw(&self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }

    fn checked(&self, offset: u64, length: usize) -> Result<usize, OutOfRange> {
        let offset = usize::try_from(offset).map_err(|_| OutOfRange)?;
        let end = offset.checked_add(length).ok_or(OutOfRange)?;
        let is_whole = offset.is_multiple_of(SECTOR) && length.is_multiple_of(SECTOR);
        if is_whole && end <= self.size() {
            Ok(offset)
        } else {
            Err(OutOfRange)
        }
    }
}

#[cfg(test)]
mod tests;
