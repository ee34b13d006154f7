//! The reader's flash: two slots for firmware, one of them marked, and a counter that only goes up.

use crate::dfu::{FirmwareFile, Manifest, SIGNED_LEN, Status};
use crate::protocol::claim::ModelCertificate;
use crate::protocol::crypto::{Digest, sha256};

/// What every emulated reader is delivered with.
const FIRST_IMAGE: &[u8] = b"OpenPalm emulated reader: this text stands for a firmware image";
const FIRST_SECURITY_VERSION: u32 = 1;

/// One image, by what its maker says of it.
#[derive(Debug, Clone)]
struct Slot {
    version: String,
    security_version: u32,
    digest: Digest,
}

#[derive(Debug)]
pub(super) struct Flash {
    /// The slot that is marked, and runs after the next start.
    marked: Slot,
    /// The other one, once something whole is in it.
    other: Option<Slot>,
    running: Slot,
    /// Highest security version that has run.
    floor: u32,
}

impl Flash {
    pub(super) fn new() -> Self {
        let first = Slot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            security_version: FIRST_SECURITY_VERSION,
            digest: sha256(&[FIRST_IMAGE]),
        };
        Self {
            marked: first.clone(),
            other: None,
            running: first,
            floor: FIRST_SECURITY_VERSION,
        }
    }

    /// A start: the marked slot runs, and the counter follows it.
    pub(super) fn boot(&mut self) {
        self.running = self.marked.clone();
        self.floor = self.floor.max(self.running.security_version);
    }

    pub(super) fn version(&self) -> &str {
        &self.running.version
    }

    pub(super) fn security_version(&self) -> u32 {
        self.running.security_version
    }

    pub(super) fn digest(&self) -> Digest {
        self.running.digest
    }

    /// Whether firmware with this head may be written at all.
    pub(super) fn admits(
        &self,
        head: &[u8; SIGNED_LEN],
        model: &ModelCertificate,
    ) -> Result<Manifest, Status> {
        let manifest = Manifest::parse(head).map_err(|_| Status::File)?;
        if !manifest.is_signed_by(&model.firmware_signer) {
            return Err(Status::File);
        }
        if manifest.model != model.model {
            return Err(Status::Target);
        }
        if manifest.security_version < self.floor {
            return Err(Status::RolledBack);
        }
        Ok(manifest)
    }

    /// Whatever is in the slot that does not run is worth nothing any more.
    pub(super) fn erase(&mut self) {
        self.other = None;
    }

    /// Checks what was written and marks it: one write, the last of an update.
    pub(super) fn mark(&mut self, manifest: Manifest, image: &[u8]) -> Result<(), Status> {
        if sha256(&[image]) != manifest.digest {
            return Err(Status::Verify);
        }
        let Manifest {
            version,
            security_version,
            digest,
            ..
        } = manifest;
        let written = Slot {
            version,
            security_version,
            digest,
        };
        self.other = Some(std::mem::replace(&mut self.marked, written));
        Ok(())
    }
}

/// What the loader has of a file.
#[derive(Debug, Default)]
pub(super) struct Staged {
    bytes: Vec<u8>,
    manifest: Option<Manifest>,
}

impl Staged {
    /// Takes the next block; the head is judged as soon as it is there.
    pub(super) fn take(
        &mut self,
        block: &[u8],
        flash: &mut Flash,
        model: &ModelCertificate,
    ) -> Result<(), Status> {
        self.bytes.extend(block);
        if self.manifest.is_none()
            && let Some((head, _)) = self.bytes.split_first_chunk()
        {
            self.manifest = Some(flash.admits(head, model)?);
            flash.erase();
        }
        let room = self.manifest.as_ref().map_or(0, |manifest| manifest.length);
        let image = self.bytes.len().saturating_sub(SIGNED_LEN);
        if u32::try_from(image).is_ok_and(|image| image <= room) {
            Ok(())
        } else {
            Err(Status::Address)
        }
    }

    /// The file is over.
    pub(super) fn finish(self, flash: &mut Flash) -> Result<(), Status> {
        let Self { bytes, manifest } = self;
        let manifest = manifest.ok_or(Status::NotDone)?;
        let image = bytes.get(SIGNED_LEN..).unwrap_or_default();
        if u32::try_from(image.len()) != Ok(manifest.length) {
            return Err(Status::NotDone);
        }
        flash.mark(manifest, image)
    }
}

/// A firmware file for the emulated reader: what `image` says is up to the caller, it is never run.
#[must_use]
pub fn emulator_firmware(version: (&str, u32), image: &[u8]) -> Option<FirmwareFile> {
    let maker = crate::Maker::development();
    FirmwareFile::build(
        maker.firmware_signer(),
        crate::maker::EMULATOR_MODEL,
        version,
        image,
    )
}
