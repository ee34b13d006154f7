//! Which readers a host believes.

use super::claim::Claim;
use super::crypto::{Digest, PublicKey, SIGNATURE_LEN};
use super::{Info, ProtocolError};

/// The point of the development root. Its private key is published (`PROTOCOL.md` section 12): it proves nothing, and a
/// host that takes payments does not trust it.
pub const DEVELOPMENT_ROOT: [u8; 64] = [
    0xdc, 0xb4, 0xdd, 0x42, 0xa6, 0xc0, 0x27, 0x20, 0x61, 0xc2, 0xda, 0xa7, 0xce, 0xb8, 0x72, 0xdc,
    0x37, 0x10, 0xa9, 0x7c, 0x7f, 0x2d, 0x4d, 0x3a, 0xd5, 0x5e, 0x06, 0xf5, 0xa4, 0x25, 0xa8, 0x2e,
    0xaa, 0x7a, 0x3b, 0xe9, 0x1e, 0x94, 0xd0, 0xb1, 0xdb, 0x0b, 0x7a, 0xd4, 0x96, 0xcf, 0xa1, 0x09,
    0xd3, 0x8c, 0xb6, 0x47, 0x8e, 0x46, 0x5e, 0x69, 0xc5, 0xe8, 0x99, 0x08, 0x6b, 0x29, 0xd5, 0x6a,
];

/// Whom to believe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Makers' roots.
    pub roots: Vec<PublicKey>,
    /// SHA-256 of the firmware images that may speak. Nothing outside the list is believed; for a development reader
    /// an empty list allows all.
    pub firmware_allowed: Vec<Digest>,
    /// Lowest security version of firmware that is believed.
    pub security_version_min: u32,
    /// Believe the development root as well, whose private key everybody has.
    pub development: bool,
}

impl Trust {
    /// Believes the development root and no other: for the emulated reader, for tests, and for firmware at work.
    #[must_use]
    pub fn development() -> Self {
        Self {
            development: true,
            ..Self::default()
        }
    }

    /// Checks a claim and the signature that ties it to this session.
    ///
    /// The order is from the root down, and what cannot be believed is looked at no further.
    ///
    /// # Errors
    /// [`AttestError`] says what to do.
    pub fn check(
        &self,
        claim: &Claim,
        info: &Info,
        (message, signature): (&[u8], &[u8; SIGNATURE_LEN]),
    ) -> Result<Attestation, AttestError> {
        let Claim {
            model,
            device,
            firmware,
        } = claim;
        self.check_model(claim)?;
        if !device.is_signed_by(&model.device_signer) {
            return Err(AttestError::BadSignature("device certificate"));
        }
        if !firmware.is_signed_by(&device.key) {
            return Err(AttestError::BadSignature("firmware statement"));
        }
        if !firmware.key.verifies(message, signature) {
            return Err(AttestError::BadSignature("session"));
        }
        let said = (&info.model, &info.serial, &info.firmware);
        if said != (&model.model, &device.serial, &firmware.version) {
            return Err(AttestError::InfoDiffers);
        }
        let listed = self.firmware_allowed.contains(&firmware.digest);
        let all = model.development && self.firmware_allowed.is_empty();
        if !listed && !all {
            return Err(AttestError::FirmwareNotAllowed(firmware.digest));
        }
        if firmware.security_version < self.security_version_min {
            return Err(AttestError::FirmwareTooOld {
                version: firmware.security_version,
                min: self.security_version_min,
            });
        }
        Ok(Attestation {
            development: model.development,
            model: model.model.clone(),
            serial: device.serial.clone(),
            firmware: firmware.version.clone(),
            digest: firmware.digest,
            security_version: firmware.security_version,
        })
    }

    fn check_model(&self, Claim { model, .. }: &Claim) -> Result<(), AttestError> {
        // A root that was given never speaks for development, nor the development root for anything else.
        if model.development {
            let root = PublicKey::new(DEVELOPMENT_ROOT);
            return match (model.is_signed_by(&root), self.development) {
                (true, true) => Ok(()),
                (true, false) => Err(AttestError::DevelopmentReader),
                (false, _) => Err(AttestError::UntrustedRoot),
            };
        }
        let known = self.roots.iter().any(|root| model.is_signed_by(root));
        known.then_some(()).ok_or(AttestError::UntrustedRoot)
    }
}

/// What a reader has proved of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// By the development root: it proves nothing of who made it.
    pub development: bool,
    /// The model's name.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// The firmware's version.
    pub firmware: String,
    /// SHA-256 of the firmware image.
    pub digest: Digest,
    /// The firmware's security version.
    pub security_version: u32,
}

/// Why a reader is not believed. None of these goes away by asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// A signature does not fit. Cause: a forged reader, or a claim of another session. Remedy: take the reader out of
    /// service and ask its maker.
    #[error("the signature of the {0} is wrong: take the reader out of service")]
    BadSignature(&'static str),
    /// The statements are not as the protocol has them. Remedy: update the firmware.
    #[error("the claim cannot be read: {0}")]
    BadClaim(ProtocolError),
    /// A development reader, and this host takes none. Remedy: a reader of a maker; for trying out, allow development.
    #[error("this is a development reader: allow development for trying out, never for payments")]
    DevelopmentReader,
    /// Firmware outside the allow list: revoked, or newer than the list. Remedy: update the reader, or allow the
    /// digest.
    #[error("firmware {} is not allowed: update the reader, or allow this digest", Hex(.0))]
    FirmwareNotAllowed(Digest),
    /// Firmware below the least security version. Remedy: update the reader.
    #[error(
        "firmware of security version {version} is too old, {min} is the least: update the reader"
    )]
    FirmwareTooOld {
        /// What runs.
        version: u32,
        /// What is wanted.
        min: u32,
    },
    /// INFO names another model, serial number or firmware than the certificates. Remedy: as for `BadSignature`.
    #[error("the reader calls itself otherwise than its certificates do")]
    InfoDiffers,
    /// The reader's half of the key agreement is no point of the curve. Remedy: as for `BadSignature`.
    #[error("the reader's session key is no point of P-256")]
    NoPoint,
    /// No trusted root signed it. Remedy: add the maker's root to the trusted ones, if it is the maker's.
    #[error("no trusted root stands behind this reader: add its maker's root, if you know it")]
    UntrustedRoot,
}

/// Bytes as hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
