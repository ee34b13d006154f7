//! The sealed envelope of a template: HPKE base mode (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM.
//!
//! The associated data binds the envelope to its one use ([`Binding`]): a recorded template can be neither replayed
//! nor moved to another amount, payment or till. The only file of the house that names the HPKE crate.

use std::{convert::Infallible, fmt};

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable,
    aead::AesGcm256,
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    single_shot_open, single_shot_seal_with_rng,
};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    id::{CustomerId, PaymentId, RequestId, TillId},
    money::Money,
};

/// Largest ciphertext that is accepted, in bytes (a template and its tag take 532).
pub const CIPHERTEXT_MAX: usize = 1024;
/// Length of a capture nonce in bytes.
pub const NONCE_BYTES: usize = 16;
const INFO: &[u8] = b"openpalm/v1 sealed template";

/// What a sealed template may be used for, and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// One sample of one enrolment.
    Enrolment {
        /// The till that captured it.
        till: TillId,
        /// Who is being enrolled.
        customer: CustomerId,
        /// The enrolment's request id.
        request: RequestId,
    },
    /// One payment of one amount.
    Payment {
        /// The till that captured it.
        till: TillId,
        /// The payment.
        payment: PaymentId,
        /// What is to be paid.
        amount: Money,
    },
}

impl Binding {
    /// The associated data: a tag, then each part with its length before it, so that no two bindings write the same
    /// bytes.
    fn associated_data(&self, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Enrolment {
                till,
                customer,
                request,
            } => {
                put(&mut out, b"enrolment");
                put(&mut out, till.as_str().as_bytes());
                put(&mut out, &customer.to_bytes());
                put(&mut out, &request.to_bytes());
            }
            Self::Payment {
                till,
                payment,
                amount,
            } => {
                put(&mut out, b"payment");
                put(&mut out, till.as_str().as_bytes());
                put(&mut out, &payment.to_bytes());
                put(&mut out, &amount.minor().to_be_bytes());
                put(&mut out, amount.currency().code().as_bytes());
            }
        }
        put(&mut out, nonce);
        out
    }
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    let length =
        u8::try_from(part.len()).expect("invariant: no part of a binding is over 255 bytes");
    out.push(length);
    out.extend_from_slice(part);
}

/// A sealed template as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTemplate {
    /// Number of the service's key that it is sealed to.
    pub key_id: u32,
    /// The HPKE encapsulated key.
    pub encapsulated_key: [u8; 32],
    /// Ciphertext and tag, at most [`CIPHERTEXT_MAX`] bytes.
    pub ciphertext: Vec<u8>,
    /// The nonce of the capture that it came from.
    pub capture_nonce: [u8; NONCE_BYTES],
}

/// Why an envelope was not made or not opened. Says no more than that, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes are not an X25519 public key: fetch the till's setup again.
    #[error("the sealing key is not an X25519 public key: fetch the till's setup again")]
    Key,
    /// Damaged, sealed to another key, or moved from another use: capture again.
    #[error(
        "the sealed template does not open: capture again and seal to the key in the till's setup"
    )]
    Open,
}

/// The public half of the service's sealing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKey {
    /// Its number.
    pub id: u32,
    /// X25519 public key.
    pub public: [u8; 32],
}

impl SealingKey {
    /// Seals `plaintext` (a template, at most 1,008 bytes) for one use. `fill` gives random bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::Key`] when this is not a usable public key.
    pub fn seal(
        &self,
        plaintext: &[u8],
        binding: &Binding,
        capture_nonce: [u8; NONCE_BYTES],
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<SealedTemplate, EnvelopeError> {
        let public = PublicKey::from_bytes(&self.public).map_err(|_| EnvelopeError::Key)?;
        let (encapsulated, ciphertext) =
            single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                INFO,
                plaintext,
                &binding.associated_data(&capture_nonce),
                &mut Fill(fill),
            )
            .map_err(|_| EnvelopeError::Key)?;
        let encapsulated_key = encapsulated.to_bytes().into();
        Ok(SealedTemplate {
            key_id: self.id,
            encapsulated_key,
            ciphertext,
            capture_nonce,
        })
    }
}

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncapsulatedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// The private half of the service's sealing key, derived from 32 secret bytes (RFC 9180 DeriveKeyPair).
#[derive(ZeroizeOnDrop)]
pub struct OpeningKey {
    #[zeroize(skip)]
    id: u32,
    secret: [u8; 32],
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningKey({})", self.id)
    }
}

impl OpeningKey {
    /// The key with number `id` that belongs to 32 secret random bytes.
    #[must_use]
    pub fn new(id: u32, secret: [u8; 32]) -> Self {
        Self { id, secret }
    }

    fn pair(&self) -> (PrivateKey, PublicKey) {
        X25519HkdfSha256::derive_keypair(&self.secret)
    }

    /// The half that tills get.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        SealingKey {
            id: self.id,
            public: self.pair().1.to_bytes().into(),
        }
    }

    /// Opens an envelope that was sealed for exactly this use.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`] whatever the cause.
    pub fn open(
        &self,
        sealed: &SealedTemplate,
        binding: &Binding,
    ) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        if sealed.key_id != self.id {
            return Err(EnvelopeError::Open);
        }
        let encapsulated = EncapsulatedKey::from_bytes(&sealed.encapsulated_key)
            .map_err(|_| EnvelopeError::Open)?;
        single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.pair().0,
            &encapsulated,
            INFO,
            &sealed.ciphertext,
            &binding.associated_data(&sealed.capture_nonce),
        )
        .map(Zeroizing::new)
        .map_err(|_| EnvelopeError::Open)
    }
}

/// Lets the caller's source of randomness be the one that HPKE draws from.
struct Fill<'a>(&'a mut dyn FnMut(&mut [u8]));

impl TryRng for Fill<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(out);
        Ok(())
    }
}

impl TryCryptoRng for Fill<'_> {}

#[cfg(test)]
mod tests;
