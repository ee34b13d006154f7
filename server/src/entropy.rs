//! Where randomness comes from, so that a simulation can repeat itself.

use std::{fmt, sync::Mutex};

use ring::rand::{SecureRandom, SystemRandom};

/// Gives random bytes.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// A source; it needs no set-up.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a source is made on purpose, once"
    )]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the operating system gives no randomness: nothing here is safe without it.
    fn fill(&self, out: &mut [u8]) {
        self.0
            .fill(out)
            .expect("invariant: the operating system gives randomness");
    }
}

/// The same bytes for the same seed (SplitMix64, Steele et al., OOPSLA 2014). **No secret may come from it**: it is
/// for simulations and tests.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// A source that repeats itself for the same `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self
            .0
            .lock()
            .expect("invariant: nobody panics while filling");
        for chunk in out.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = *state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
