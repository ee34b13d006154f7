//! Bytes that are wiped when they are dropped, at the speed of memory.
//!
//! `zeroize` 1.9 wipes a vector byte by byte, each with a barrier of its own, and a slice as a whole: a burst of five
//! frames is 4 MB, so the difference is milliseconds.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// A vector of bytes that leaves nothing behind. One that grew may have left a copy where it was: reserve first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Wipes all there is room for, and is empty then.
    pub fn wipe(&mut self) {
        // What was cut off may still lie behind the end.
        let room = self.0.capacity();
        self.0.resize(room, 0);
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wiped({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiped_bytes_are_gone_also_behind_a_cut_and_no_room_is_added() {
        let mut bytes = Wiped::from(vec![7; 1000]);
        let room = bytes.capacity();
        bytes.truncate(3);
        assert_eq!(format!("{bytes:?}"), "Wiped(3 bytes)");
        bytes.wipe();
        assert_eq!((bytes.len(), bytes.capacity()), (0, room));
        // The same memory, as far as it can be seen without leave.
        bytes.resize(room, 0);
        assert!(bytes.iter().all(|byte| *byte == 0));
    }
}
