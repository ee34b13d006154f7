//! The firmware file: manifest, detached signature, image, DFU suffix (`PROTOCOL.md` section 9).

use crate::limits::FIRMWARE_IMAGE_MAX;
use crate::protocol::ProtocolError;
use crate::protocol::crypto::{Digest, PublicKey, SIGNATURE_LEN, SigningKey, sha256};

/// Bytes of the manifest.
pub const MANIFEST_LEN: usize = 96;
/// Bytes before the image.
pub const SIGNED_LEN: usize = MANIFEST_LEN + SIGNATURE_LEN;
const SUFFIX_LEN: usize = 16;
const TEXT_LEN: usize = 24;
/// In the suffix: any release, 1209:0001, DFU 1.0 as the suffix has it, "UFD", its length.
const SUFFIX: [u8; SUFFIX_LEN - 4] = [
    0xff, 0xff, 0x01, 0x00, 0x09, 0x12, 0x00, 0x01, b'U', b'F', b'D', 16,
];

/// What a maker says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The model that it is for.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Its security version.
    pub security_version: u32,
    /// Bytes of the image.
    pub length: u32,
    /// SHA-256 of the image.
    pub digest: Digest,
    signature: [u8; SIGNATURE_LEN],
}

impl Manifest {
    /// Reads manifest and signature.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(bytes: &[u8; SIGNED_LEN]) -> Result<Self, ProtocolError> {
        let mut fields = crate::protocol::Fields::new("firmware manifest", bytes);
        if fields.array::<4>("magic")? != *b"OPFW" {
            return Err(ProtocolError::BadMagic);
        }
        match fields.u8("version")? {
            1 => {}
            other => return Err(ProtocolError::UnsupportedVersion(other)),
        }
        fields.zeros::<3>("after version")?;
        let manifest = Self {
            model: fields.text::<TEXT_LEN>("model")?,
            version: fields.text::<TEXT_LEN>("firmware version")?,
            security_version: fields.u32("security version")?,
            length: fields.u32("length")?,
            digest: fields.array("digest")?,
            signature: fields.array("signature")?,
        };
        if manifest.length == 0 || manifest.length > FIRMWARE_IMAGE_MAX {
            return Err(fields.unknown("length", manifest.length));
        }
        fields.end().map(|()| manifest)
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = b"OPFW".to_vec();
        bytes.extend([1, 0, 0, 0]);
        for text in [&self.model, &self.version] {
            bytes.extend(text.bytes().chain(std::iter::repeat(0)).take(TEXT_LEN));
        }
        bytes.extend(self.security_version.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.digest);
        bytes
    }

    /// Whether the model's firmware key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies(&self.body(), &self.signature)
    }
}

/// Why a file is no firmware. Remedy: fetch it again from the maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The suffix's checksum, or the image's digest: damaged on the way.
    #[error("the file is damaged: fetch it again")]
    Damaged,
    /// More or less image than the manifest says.
    #[error("the file has {got} bytes of image, its manifest says {announced}")]
    Length {
        /// What the manifest says.
        announced: u32,
        /// What is there.
        got: usize,
    },
    /// The manifest cannot be read.
    #[error("no firmware manifest: {0}")]
    Manifest(ProtocolError),
    /// Too short, or no DFU suffix.
    #[error("not a firmware file: no DFU suffix")]
    NoSuffix,
}

/// A file whose parts fit together. Whether its signature holds is the reader's to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareFile {
    manifest: Manifest,
    image: Vec<u8>,
}

impl FirmwareFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or(FileError::NoSuffix)?;
        let (rest, suffix) = content
            .split_last_chunk::<12>()
            .ok_or(FileError::NoSuffix)?;
        // Ids and release may be a maker's own; what makes it a suffix is the end.
        if suffix.last_chunk::<4>() != SUFFIX.last_chunk::<4>() {
            return Err(FileError::NoSuffix);
        }
        if crc32(content) != u32::from_le_bytes(*crc) {
            return Err(FileError::Damaged);
        }
        let (head, image) = rest
            .split_first_chunk::<SIGNED_LEN>()
            .ok_or(FileError::NoSuffix)?;
        let manifest = Manifest::parse(head).map_err(FileError::Manifest)?;
        if u32::try_from(image.len()) != Ok(manifest.length) {
            return Err(FileError::Length {
                announced: manifest.length,
                got: image.len(),
            });
        }
        if sha256(&[image]) != manifest.digest {
            return Err(FileError::Damaged);
        }
        Ok(Self {
            manifest,
            image: image.to_vec(),
        })
    }

    /// A file of `image`, signed by a model's firmware key; `None` when the image is empty or longer than 8 MiB.
    #[must_use]
    pub fn build(
        signer: &SigningKey,
        model: &str,
        (version, security_version): (&str, u32),
        image: &[u8],
    ) -> Option<Self> {
        let length = u32::try_from(image.len()).ok()?;
        if !(1..=FIRMWARE_IMAGE_MAX).contains(&length) {
            return None;
        }
        let mut manifest = Manifest {
            model: model.to_owned(),
            version: version.to_owned(),
            security_version,
            length,
            digest: sha256(&[image]),
            signature: [0; SIGNATURE_LEN],
        };
        manifest.signature = signer.sign(&manifest.body());
        Some(Self {
            manifest,
            image: image.to_vec(),
        })
    }

    /// What the maker says of it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What goes to the reader: all but the suffix.
    #[must_use]
    pub fn sendable(&self) -> Vec<u8> {
        [
            &self.manifest.body()[..],
            &self.manifest.signature,
            &self.image,
        ]
        .concat()
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.sendable();
        bytes.extend(SUFFIX);
        let crc = crc32(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }
}

/// CRC-32 (IEEE 802.3) as the DFU suffix has it: without the inversion at the end.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

/// Parses arbitrary bytes as a firmware file, and as one whose suffix is right; must not panic.
#[doc(hidden)]
pub fn fuzz_firmware(bytes: &[u8]) {
    drop(FirmwareFile::parse(bytes));
    let mut mended = bytes.to_vec();
    mended.extend(SUFFIX);
    let crc = crc32(&mended);
    mended.extend(crc.to_le_bytes());
    if let Ok(file) = FirmwareFile::parse(&mended) {
        assert_eq!(file.encode(), mended, "what was decoded encodes so");
    }
}
