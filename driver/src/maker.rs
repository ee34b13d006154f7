//! What a maker of readers holds and does: keys, a model's certificate, the birth of a device.
//!
//! A maker keeps the root's key offline; it signs a model once. The model's key signs devices on the line, another key
//! signs firmware. `palm-reader make keys` writes all three; how they are kept is the maker's business.
//!
//! [`Maker::development`] is a maker whose keys are published, for the emulated reader and for firmware at work.

use crate::protocol::DEVELOPMENT_ROOT;
use crate::protocol::claim::{DeviceCertificate, ModelCertificate};
use crate::protocol::crypto::{PublicKey, SigningKey, sha256};

/// The model of the emulated reader.
pub const EMULATOR_MODEL: &str = "OpenPalm emulator";
const DEVELOPMENT_MODEL_POINT: [u8; 64] = [
    0x52, 0xf5, 0x6b, 0xd8, 0x2d, 0x14, 0x06, 0xe4, 0x0c, 0x40, 0xe2, 0x4e, 0x43, 0xb4, 0xf8, 0xa6,
    0x61, 0xd3, 0xb6, 0x4f, 0xef, 0xe8, 0x0c, 0xf5, 0xb3, 0xee, 0x1c, 0xce, 0x3d, 0x7f, 0xce, 0x07,
    0x6f, 0xef, 0xf0, 0xb6, 0x81, 0x4c, 0xa8, 0x46, 0xc2, 0x66, 0xfb, 0x23, 0x5b, 0x23, 0xbd, 0x8a,
    0x25, 0xd5, 0x4d, 0x42, 0xd6, 0xde, 0x1f, 0x11, 0xa8, 0xa8, 0x50, 0xba, 0x77, 0x57, 0xff, 0xa6,
];
const DEVELOPMENT_FIRMWARE_POINT: [u8; 64] = [
    0xc3, 0x1e, 0x6d, 0x5f, 0xde, 0x04, 0x8d, 0x37, 0xa4, 0xa3, 0x0d, 0xbc, 0x0b, 0xa3, 0x59, 0xbc,
    0xcb, 0xd6, 0x39, 0x8a, 0x9b, 0xc4, 0x11, 0xa3, 0x38, 0x89, 0xed, 0x7b, 0xfb, 0x2d, 0xf8, 0x5c,
    0x53, 0x30, 0x25, 0x09, 0xe6, 0xe6, 0x1c, 0xf4, 0x14, 0xaa, 0x70, 0x56, 0x41, 0xbc, 0xb9, 0x7b,
    0x77, 0x87, 0x03, 0xbc, 0xac, 0x1a, 0x0e, 0x66, 0x10, 0x79, 0xb4, 0xc0, 0x9a, 0xab, 0xcf, 0xa4,
];

/// A maker of one model.
#[derive(Debug)]
pub struct Maker {
    certificate: ModelCertificate,
    device_signer: SigningKey,
    firmware_signer: SigningKey,
}

/// What a device is given on the line, and keeps.
#[derive(Debug)]
pub struct Birth {
    /// Its model's certificate.
    pub model: ModelCertificate,
    /// Its own.
    pub device: DeviceCertificate,
    /// Its own key.
    pub key: SigningKey,
}

impl Maker {
    /// A maker of `model`, certified by `root`.
    #[must_use]
    pub fn new(
        root: &SigningKey,
        model: &str,
        device_signer: SigningKey,
        firmware_signer: SigningKey,
    ) -> Self {
        let keys = (device_signer.public(), firmware_signer.public());
        Self {
            certificate: ModelCertificate::issue(root, false, model, keys),
            device_signer,
            firmware_signer,
        }
    }

    /// The maker whose keys everybody has: each private number is SHA-256 of a sentence.
    #[must_use]
    pub fn development() -> Self {
        let root = published("root", DEVELOPMENT_ROOT);
        let device_signer = published("model", DEVELOPMENT_MODEL_POINT);
        let firmware_signer = published("firmware", DEVELOPMENT_FIRMWARE_POINT);
        let keys = (device_signer.public(), firmware_signer.public());
        Self {
            certificate: ModelCertificate::issue(&root, true, EMULATOR_MODEL, keys),
            device_signer,
            firmware_signer,
        }
    }

    /// The model's certificate.
    #[must_use]
    pub fn certificate(&self) -> &ModelCertificate {
        &self.certificate
    }

    /// The key that signs firmware of this model.
    #[must_use]
    pub fn firmware_signer(&self) -> &SigningKey {
        &self.firmware_signer
    }

    /// A device of this model: its key is drawn and certified.
    #[must_use]
    pub fn device(&self, serial: &str) -> Birth {
        let (key, _) = SigningKey::generate();
        Birth {
            model: self.certificate.clone(),
            device: DeviceCertificate::issue(&self.device_signer, serial, key.public()),
            key,
        }
    }
}

fn published(what: &str, point: [u8; 64]) -> SigningKey {
    let sentence = format!("OpenPalm reader development {what}, not a secret");
    SigningKey::from_number(&sha256(&[sentence.as_bytes()]), &PublicKey::new(point))
        .expect("invariant: the published points belong to the published numbers")
}
