//! The primitives of the secure session, all of them `ring`'s: P-256 signatures and agreement, SHA-256, HKDF, AES-GCM.
//!
//! The only file of this crate that names `ring`. Nothing here decides anything: what is signed and sealed, and in
//! which order, is [`super::claim`]'s and `connect`'s business. Points and signatures travel as two
//! big-endian numbers of 32 bytes, without the leading `0x04` of SEC 1.
//!
//! Randomness is the operating system's: `ring` takes no other, and a key drawn from anything else would be none.

use std::fmt;
use std::str::FromStr;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{Context, SHA256};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey as Verifier,
};
use zeroize::Zeroizing;

/// Bytes of a point: both coordinates, big-endian.
pub const POINT_LEN: usize = 64;
/// Bytes of a signature: r and s, big-endian.
pub const SIGNATURE_LEN: usize = 64;
/// Bytes of a SHA-256 digest.
pub const DIGEST_LEN: usize = 32;
/// Bytes that sealing adds.
pub const TAG_LEN: usize = 16;
const IV_LEN: usize = 12;

/// SHA-256 of something.
pub type Digest = [u8; DIGEST_LEN];

/// SHA-256 over the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let digest = context.finish();
    digest
        .as_ref()
        .try_into()
        .expect("invariant: SHA-256 has 32 bytes")
}

/// Fresh bytes of the operating system.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("invariant: the operating system gives random bytes");
    bytes
}

/// A point of P-256 that verifies signatures. Whether it is on the curve is found out when it is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; POINT_LEN]);

impl PublicKey {
    /// A key from its coordinates.
    #[must_use]
    pub fn new(point: [u8; POINT_LEN]) -> Self {
        Self(point)
    }

    /// The coordinates.
    #[must_use]
    pub fn bytes(&self) -> &[u8; POINT_LEN] {
        &self.0
    }

    /// Whether `signature` is this key's over SHA-256 of `message` (ECDSA, FIPS 186-5).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        Verifier::new(&ECDSA_P256_SHA256_FIXED, sec1(&self.0))
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A key or digest that is not written as hexadecimal digits of the right number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {digits} hexadecimal digits")]
pub struct HexError {
    /// How many are wanted.
    pub digits: usize,
}

/// `N` bytes from `2 N` hexadecimal digits.
///
/// # Errors
/// [`HexError`] says how many digits are wanted.
pub fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let error = HexError { digits: 2 * N };
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * N).ok_or(error)?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |sum, digit| sum << 4 | digit)).ok())
        .collect();
    bytes.try_into().map_err(|_| error)
}

impl FromStr for PublicKey {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        from_hex(text).map(Self)
    }
}

/// A key that is not one. Remedy: make another with `palm-reader make keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 private key in PKCS#8 form")]
pub struct KeyError;

/// A private key that signs.
pub struct SigningKey(EcdsaKeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {:?})", self.public())
    }
}

impl SigningKey {
    /// A new key and its PKCS#8 file (DER).
    #[must_use]
    pub fn generate() -> (Self, Zeroizing<Vec<u8>>) {
        let file =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .expect("invariant: the operating system gives random bytes");
        let file = Zeroizing::new(file.as_ref().to_vec());
        let key = Self::from_pkcs8(&file).expect("invariant: ring reads what it wrote");
        (key, file)
    }

    /// The key of a PKCS#8 file (DER).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pkcs8(file: &[u8]) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, file, &SystemRandom::new())
            .map(Self)
            .map_err(|_| KeyError)
    }

    /// The key of a private number (big-endian) and its point.
    ///
    /// # Errors
    /// [`KeyError`] when the two do not belong together.
    pub fn from_number(number: &[u8; 32], point: &PublicKey) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            number,
            &sec1(point.bytes()),
            &SystemRandom::new(),
        )
        .map(Self)
        .map_err(|_| KeyError)
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(point(self.0.public_key().as_ref()))
    }

    /// Signs SHA-256 of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature = self
            .0
            .sign(&SystemRandom::new(), message)
            .expect("invariant: the operating system gives random bytes");
        signature
            .as_ref()
            .try_into()
            .expect("invariant: a fixed signature has 64 bytes")
    }
}

/// One side's half of a key agreement; used once.
pub(super) struct Ephemeral {
    secret: EphemeralPrivateKey,
    pub(super) public: [u8; POINT_LEN],
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral")
    }
}

impl Ephemeral {
    pub(super) fn generate() -> Self {
        let secret = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
            .expect("invariant: the operating system gives random bytes");
        let public = secret
            .compute_public_key()
            .expect("invariant: a private key has a point");
        Self {
            secret,
            public: point(public.as_ref()),
        }
    }

    /// The x-coordinate that both sides reach; `None` when `peer` is no point of the curve.
    pub(super) fn agree(self, peer: &[u8; POINT_LEN]) -> Option<Zeroizing<[u8; 32]>> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, sec1(peer));
        agree_ephemeral(self.secret, &peer, |shared| shared.try_into().ok())
            .ok()
            .flatten()
            .map(Zeroizing::new)
    }
}

/// Keys drawn from one shared secret (HKDF-SHA256, RFC 5869).
pub(super) struct Schedule(Prk);

impl Schedule {
    pub(super) fn new(salt: &Digest, shared: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, salt).extract(shared))
    }

    pub(super) fn draw<const N: usize>(&self, label: &str) -> Zeroizing<[u8; N]> {
        struct Len(usize);
        impl KeyType for Len {
            fn len(&self) -> usize {
                self.0
            }
        }
        let mut out = Zeroizing::new([0; N]);
        self.0
            .expand(&[label.as_bytes()], Len(N))
            .and_then(|okm| okm.fill(&mut *out))
            .expect("invariant: less than 255 blocks are drawn");
        out
    }
}

/// Seals or opens one direction: AES-256-GCM, the nonce made of a secret start and the packet's own number, which never
/// comes twice under one key.
pub(super) struct DirectionKey {
    key: LessSafeKey,
    iv: Zeroizing<[u8; IV_LEN]>,
}

impl fmt::Debug for DirectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectionKey")
    }
}

impl DirectionKey {
    pub(super) fn draw(schedule: &Schedule, label: &str) -> Self {
        let key = schedule.draw::<32>(&format!("{label} key"));
        let key = UnboundKey::new(&AES_256_GCM, &*key).expect("invariant: 32 bytes are a key");
        Self {
            key: LessSafeKey::new(key),
            iv: schedule.draw(&format!("{label} iv")),
        }
    }

    fn nonce(&self, number: u32) -> Nonce {
        let mut nonce = *self.iv;
        let (_, last) = nonce.split_at_mut(IV_LEN - 4);
        for (byte, with) in last.iter_mut().zip(number.to_le_bytes()) {
            *byte ^= with;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts in place and gives the tag.
    pub(super) fn seal(&self, number: u32, header: &[u8], bytes: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(number), Aad::from(header), bytes)
            .expect("invariant: a packet is far shorter than AES-GCM allows");
        tag.as_ref()
            .try_into()
            .expect("invariant: a tag has 16 bytes")
    }

    /// Decrypts in place; the clear bytes are all but the last 16. `false` when the tag is wrong.
    pub(super) fn open(&self, number: u32, header: &[u8], bytes: &mut [u8]) -> bool {
        self.key
            .open_in_place(self.nonce(number), Aad::from(header), bytes)
            .is_ok()
    }
}

/// The point as SEC 1 writes it.
fn sec1(point: &[u8; POINT_LEN]) -> Vec<u8> {
    let mut bytes = vec![4];
    bytes.extend(point);
    bytes
}

fn point(sec1: &[u8]) -> [u8; POINT_LEN] {
    sec1.get(1..)
        .and_then(|point| point.try_into().ok())
        .expect("invariant: ring writes points uncompressed")
}
