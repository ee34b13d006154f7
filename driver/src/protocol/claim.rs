//! Who a reader is: three signed statements of fixed size, from a maker's root down to the firmware that booted.
//!
//! | statement | says | signed by |
//! |---|---|---|
//! | [`ModelCertificate`] | these keys make readers, and firmware, of this model | a maker's root |
//! | [`DeviceCertificate`] | this key lives in the reader of this serial number | the model's key |
//! | [`FirmwareStatement`] | this firmware booted, and drew this key | the device's key |
//!
//! In the shape of Microsoft's Secure Device Connection Protocol, with a format of our own: nothing in it is optional,
//! so there is nothing to parse but lengths and values. Every signature covers all bytes before it, the magic
//! included. Who is trusted, [`super::Trust`] says.

use super::ProtocolError;
use super::crypto::{Digest, POINT_LEN, PublicKey, SIGNATURE_LEN, SigningKey};
use super::fields::Fields;

/// Bytes of a [`ModelCertificate`].
pub const MODEL_LEN: usize = 224;
/// Bytes of a [`DeviceCertificate`].
pub const DEVICE_LEN: usize = 160;
/// Bytes of a [`FirmwareStatement`].
pub const FIRMWARE_LEN: usize = 200;
/// Bytes of a [`Claim`].
pub const CLAIM_LEN: usize = MODEL_LEN + DEVICE_LEN + FIRMWARE_LEN;
const TEXT_LEN: usize = 24;
const VERSION: u8 = 1;

type Signature = [u8; SIGNATURE_LEN];

/// What a maker's root says of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCertificate {
    /// Made for development: its keys may be known to anybody.
    pub development: bool,
    /// The model's name, as in INFO.
    pub model: String,
    /// Signs the devices of this model.
    pub device_signer: PublicKey,
    /// Signs the firmware of this model.
    pub firmware_signer: PublicKey,
    /// The root's.
    pub signature: Signature,
}

/// What a model's key says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// The reader's serial number, as in INFO.
    pub serial: String,
    /// The device's own key, which never leaves it.
    pub key: PublicKey,
    /// The model's.
    pub signature: Signature,
}

/// What a device says of the firmware that it booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareStatement {
    /// Goes up when a weakness was mended; a device never boots one below the highest it has seen.
    pub security_version: u32,
    /// SHA-256 of the image that booted.
    pub digest: Digest,
    /// The firmware's version, as in INFO.
    pub version: String,
    /// Drawn at this start, forgotten at the next.
    pub key: PublicKey,
    /// The device's.
    pub signature: Signature,
}

/// The three statements together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of the root.
    pub model: ModelCertificate,
    /// Of the model.
    pub device: DeviceCertificate,
    /// Of the device.
    pub firmware: FirmwareStatement,
}

impl ModelCertificate {
    fn body(&self) -> Vec<u8> {
        let mut bytes = statement(b"OPMC");
        bytes.extend([u8::from(self.development), 0, 0]);
        text(&mut bytes, &self.model);
        bytes.extend(self.device_signer.bytes());
        bytes.extend(self.firmware_signer.bytes());
        bytes
    }

    /// A certificate signed by `root`.
    #[must_use]
    pub fn issue(
        root: &SigningKey,
        development: bool,
        model: &str,
        (device_signer, firmware_signer): (PublicKey, PublicKey),
    ) -> Self {
        let mut certificate = Self {
            development,
            model: model.to_owned(),
            device_signer,
            firmware_signer,
            signature: [0; SIGNATURE_LEN],
        };
        certificate.signature = root.sign(&certificate.body());
        certificate
    }

    /// Whether `root` signed it.
    #[must_use]
    pub fn is_signed_by(&self, root: &PublicKey) -> bool {
        root.verifies(&self.body(), &self.signature)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        signed(self.body(), &self.signature)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("model certificate", bytes);
        begin(&mut fields, *b"OPMC")?;
        let development = match fields.u8("class")? {
            0 => false,
            1 => true,
            other => return Err(fields.unknown("class", u32::from(other))),
        };
        fields.zeros::<2>("after class")?;
        let certificate = Self {
            development,
            model: fields.text::<TEXT_LEN>("model")?,
            device_signer: point(&mut fields, "device signer")?,
            firmware_signer: point(&mut fields, "firmware signer")?,
            signature: fields.array("signature")?,
        };
        fields.end().map(|()| certificate)
    }
}

impl DeviceCertificate {
    fn body(&self) -> Vec<u8> {
        let mut bytes = statement(b"OPDC");
        bytes.extend([0; 3]);
        text(&mut bytes, &self.serial);
        bytes.extend(self.key.bytes());
        bytes
    }

    /// A certificate signed by the model's key.
    #[must_use]
    pub fn issue(model: &SigningKey, serial: &str, key: PublicKey) -> Self {
        let mut certificate = Self {
            serial: serial.to_owned(),
            key,
            signature: [0; SIGNATURE_LEN],
        };
        certificate.signature = model.sign(&certificate.body());
        certificate
    }

    /// Whether `model` signed it.
    #[must_use]
    pub fn is_signed_by(&self, model: &PublicKey) -> bool {
        model.verifies(&self.body(), &self.signature)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        signed(self.body(), &self.signature)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("device certificate", bytes);
        begin(&mut fields, *b"OPDC")?;
        fields.zeros::<3>("after version")?;
        let certificate = Self {
            serial: fields.text::<TEXT_LEN>("serial")?,
            key: point(&mut fields, "key")?,
            signature: fields.array("signature")?,
        };
        fields.end().map(|()| certificate)
    }
}

impl FirmwareStatement {
    fn body(&self) -> Vec<u8> {
        let mut bytes = statement(b"OPFS");
        bytes.extend([0; 3]);
        bytes.extend(self.security_version.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.digest);
        text(&mut bytes, &self.version);
        bytes.extend(self.key.bytes());
        bytes
    }

    /// A statement signed by the device's key.
    #[must_use]
    pub fn issue(
        device: &SigningKey,
        (version, security_version): (&str, u32),
        digest: Digest,
        key: PublicKey,
    ) -> Self {
        let mut statement = Self {
            security_version,
            digest,
            version: version.to_owned(),
            key,
            signature: [0; SIGNATURE_LEN],
        };
        statement.signature = device.sign(&statement.body());
        statement
    }

    /// Whether `device` signed it.
    #[must_use]
    pub fn is_signed_by(&self, device: &PublicKey) -> bool {
        device.verifies(&self.body(), &self.signature)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        signed(self.body(), &self.signature)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("firmware statement", bytes);
        begin(&mut fields, *b"OPFS")?;
        fields.zeros::<3>("after version")?;
        let security_version = fields.u32("security version")?;
        fields.zeros::<4>("after security version")?;
        let statement = Self {
            security_version,
            digest: fields.array("digest")?,
            version: fields.text::<TEXT_LEN>("firmware version")?,
            key: point(&mut fields, "key")?,
            signature: fields.array("signature")?,
        };
        fields.end().map(|()| statement)
    }
}

impl Claim {
    /// The bytes of all three.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [
            self.model.encode(),
            self.device.encode(),
            self.firmware.encode(),
        ]
        .concat()
    }

    /// Reads all three.
    ///
    /// # Errors
    /// [`ProtocolError`] names the statement and the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("claim", bytes);
        let model: [u8; MODEL_LEN] = fields.array("model certificate")?;
        let device: [u8; DEVICE_LEN] = fields.array("device certificate")?;
        let firmware: [u8; FIRMWARE_LEN] = fields.array("firmware statement")?;
        fields.end()?;
        Ok(Self {
            model: ModelCertificate::parse(&model)?,
            device: DeviceCertificate::parse(&device)?,
            firmware: FirmwareStatement::parse(&firmware)?,
        })
    }
}

fn statement(magic: &[u8; 4]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.push(VERSION);
    bytes
}

fn begin(fields: &mut Fields<'_>, magic: [u8; 4]) -> Result<(), ProtocolError> {
    if fields.array::<4>("magic")? != magic {
        return Err(ProtocolError::BadMagic);
    }
    match fields.u8("version")? {
        VERSION => Ok(()),
        other => Err(ProtocolError::UnsupportedVersion(other)),
    }
}

pub(super) fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.bytes().chain(std::iter::repeat(0)).take(TEXT_LEN));
}

fn signed(mut body: Vec<u8>, signature: &Signature) -> Vec<u8> {
    body.extend(signature);
    body
}

fn point(fields: &mut Fields<'_>, field: &'static str) -> Result<PublicKey, ProtocolError> {
    fields.array::<POINT_LEN>(field).map(PublicKey::new)
}

/// Reads arbitrary bytes as a claim; must not panic.
#[doc(hidden)]
pub fn fuzz_claim(bytes: &[u8]) {
    if let Ok(claim) = Claim::parse(bytes) {
        assert_eq!(
            claim.encode(),
            bytes,
            "what was decoded encodes to the same bytes"
        );
    }
}
