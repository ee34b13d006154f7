//! Sealing at rest: AES-256-GCM (NIST SP 800-38D) under a key of the person's own, itself wrapped by the keyholder's.
//!
//! A sealed value is bound to its place: (table, key, format version) is associated data, so that a value moved to
//! another row does not open. Destroying a person's wrapped key is erasure of everything sealed under it, as far
//! as nobody keeps a copy of that wrapped key: a log-structured store may hold the old bytes until it rewrites its
//! files.
//!
//! Nonces are 96 random bits. A person's key seals a few dozen values in its life, the keyholder's key one for each
//! person: at 2^32 values the chance of a repeated nonce would be 2^-33 (SP 800-38D, 8.3), far beyond any gallery here.
//!
//! Sealed form: version (1 byte, 1), nonce (12), ciphertext, tag (16).

use std::fmt;

use palm_proto::id::CustomerId;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::entropy::Entropy;

const FORMAT: u8 = 1;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = 1 + NONCE_LEN + KEY_BYTES + TAG_BYTES;
const WRAPPED_TABLE: &str = "customer-key";

/// Where a sealed value stands; it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The kind of row.
    pub table: &'static str,
    /// The row's key.
    pub key: &'a [u8],
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        for part in [self.table.as_bytes(), self.key] {
            let length = u32::try_from(part.len()).expect("invariant: a key is below 4 GiB");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A format that this build does not know, or bytes cut short.
    #[error(
        "a sealed value has an unknown format: start the version that wrote it, or restore a backup"
    )]
    Format,
    /// Changed, moved to another row, or sealed under another key.
    #[error(
        "a sealed value does not open: check that the master key file is the one this store was made with, or \
         restore a backup"
    )]
    Open,
}

/// Holds the key that wraps every person's key. Zeroized when dropped.
#[derive(ZeroizeOnDrop)]
pub struct Keyholder(Secret);

impl fmt::Debug for Keyholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyholder")
    }
}

impl Keyholder {
    /// Takes the 32 secret bytes of the master key file.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Secret(secret))
    }

    /// Makes a key for a person, and its wrapped form for the store.
    #[must_use]
    pub fn create_person_key(
        &self,
        customer: CustomerId,
        entropy: &dyn Entropy,
    ) -> (PersonKey, WrappedKey) {
        let mut secret = Secret([0; KEY_BYTES]);
        entropy.fill(&mut secret.0);
        let id = customer.to_bytes();
        let wrapped = self.0.seal(&wrapped_place(&id), &secret.0, entropy);
        (PersonKey(secret), WrappedKey(wrapped))
    }

    /// Unwraps a person's key.
    ///
    /// # Errors
    /// [`VaultError`] when it was wrapped by another keyholder or for another person.
    pub fn unwrap(
        &self,
        customer: CustomerId,
        wrapped: &WrappedKey,
    ) -> Result<PersonKey, VaultError> {
        let plain = self
            .0
            .open(&wrapped_place(&customer.to_bytes()), &wrapped.0)?;
        let secret = plain
            .as_slice()
            .try_into()
            .map_err(|_| VaultError::Format)?;
        Ok(PersonKey(Secret(secret)))
    }
}

fn wrapped_place(id: &[u8]) -> Place<'_> {
    Place {
        table: WRAPPED_TABLE,
        key: id,
    }
}

/// A person's key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// Takes the stored bytes.
    ///
    /// # Errors
    /// [`VaultError::Format`] when they are no wrapped key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        let known = bytes.len() == WRAPPED_BYTES && bytes[0] == FORMAT;
        if known {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(VaultError::Format)
        }
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// Seals what belongs to one person. Zeroized when dropped.
#[derive(ZeroizeOnDrop)]
pub struct PersonKey(Secret);

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonKey")
    }
}

impl PersonKey {
    /// Seals a value for one place.
    #[must_use]
    pub fn seal(&self, place: &Place<'_>, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        self.0.seal(place, plain, entropy)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.0.open(place, sealed)
    }
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Secret([u8; KEY_BYTES]);

impl Secret {
    fn key(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.0);
        LessSafeKey::new(key.expect("invariant: an AES-256 key has 32 bytes"))
    }

    fn seal(&self, place: &Place<'_>, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut body = plain.to_vec();
        let aad = Aad::from(place.associated_data());
        self.key()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .expect("invariant: a stored value is far below AES-GCM's 64 GiB");
        [&[FORMAT], nonce.as_slice(), &body].concat()
    }

    fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let rest = sealed.strip_prefix(&[FORMAT]).ok_or(VaultError::Format)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(VaultError::Format)?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from(place.associated_data());
        let length = self
            .key()
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body)
            .map_err(|_| VaultError::Open)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

/// Opens any bytes; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_sealed(bytes: &[u8]) {
    let keyholder = Keyholder::new([1; KEY_BYTES]);
    let place = Place {
        table: "fuzz",
        key: b"key",
    };
    drop(keyholder.0.open(&place, bytes));
    if let Ok(wrapped) = WrappedKey::from_bytes(bytes) {
        drop(keyholder.unwrap(CustomerId::from_bytes([1; 16]), &wrapped));
    }
}

#[cfg(test)]
mod tests;
