//! The epoch key, what is derived from it, and every use of a cipher by the sealed gallery.
//!
//! Derivation is HKDF-SHA256 (RFC 5869), sealing AES-256-GCM (NIST SP 800-38D), and streams of random bytes are
//! AES-256 in counter mode: what AES-256-GCM makes of zeros, so that ring's constant-time code does that too. Keys that
//! ring has expanded are not wiped when dropped: ring has no call for it.

use std::fmt;

use palm_models::template::Hand;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hkdf,
};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{SealedError, block::Kind};
use crate::entropy::Entropy;

/// Bytes of a key, of a seed and of a digest.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of an epoch's name.
pub(super) const EPOCH_BYTES: usize = 8;
const SALT: &[u8] = b"openpalm sealed gallery v1";

/// Names an epoch; it is derived from the key and tells nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochId(pub(super) [u8; EPOCH_BYTES]);

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochId({self})")
    }
}

/// The secret of one epoch of a deployment's gallery. Zeroized when dropped.
#[derive(ZeroizeOnDrop)]
pub struct EpochKey {
    secret: [u8; KEY_BYTES],
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({})", self.id())
    }
}

impl EpochKey {
    /// Takes the 32 secret bytes of an epoch.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The key of this epoch for the codes of one hand and one extractor: no two galleries share secrets.
    #[must_use]
    pub fn for_kind(&self, kind: Kind) -> Self {
        let hand = match kind.hand {
            Hand::Right => 0,
            Hand::Left => 1,
        };
        Self::new(*self.derived(&[b"kind", &[hand, kind.model.number()]]))
    }

    /// What the epoch is called.
    #[must_use]
    pub fn id(&self) -> EpochId {
        let own = self.derived(&[b"epoch id"]);
        let id = own
            .first_chunk()
            .expect("invariant: 32 bytes are more than 8");
        EpochId(*id)
    }

    /// A key for one purpose; the same parts give the same key.
    pub(super) fn derived(&self, purpose: &[&[u8]]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
            .extract(&self.secret)
            .expand(purpose, hkdf::HKDF_SHA256)
            .and_then(|key| key.fill(out.as_mut()))
            .expect("invariant: 32 bytes are one round of HKDF-SHA256");
        out
    }
}

/// SHA-256, piece by piece.
pub(super) struct Hasher(digest::Context);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> [u8; KEY_BYTES] {
        let own = self.0.finish();
        own.as_ref()
            .try_into()
            .expect("invariant: SHA-256 has 32 bytes")
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, key);
    LessSafeKey::new(key.expect("invariant: an AES-256 key has 32 bytes"))
}

/// Random bytes from a key: the same lane gives the same bytes, different lanes independent ones.
pub(super) struct Stream(LessSafeKey);

impl Stream {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(cipher(key))
    }

    pub(super) fn fill(&self, lane: u64, out: &mut [u8]) {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&lane.to_le_bytes());
        out.fill(0);
        let nonce = Nonce::assume_unique_for_key(nonce);
        // The tag is of no use: nothing is authenticated here.
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), out);
        assert!(
            sealed.is_ok(),
            "invariant: a lane is far below AES-GCM's 64 GiB"
        );
    }
}

/// Seals what only the keyholder may read. Each value gets a fresh random nonce: at 2^32 values under one key the
/// chance of a repeated one would be 2^-33.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(cipher(key))
    }

    /// Nonce, ciphertext, tag; it opens under the same `place` only.
    pub(super) fn seal(&self, place: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut body = plain.to_vec();
        let nonce_once = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(nonce_once, Aad::from(place), &mut body)
            .expect("invariant: a directory is far below AES-GCM's 64 GiB");
        [nonce.as_slice(), &body].concat()
    }

    pub(super) fn open(
        &self,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealedError::Format)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .0
            .open_in_place(nonce, Aad::from(place), &mut body)
            .map_err(|_| SealedError::Forged)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}
