//! The reader's flash: which firmware is in it and runs.

use crate::protocol::crypto::{Digest, sha256};

/// What every emulated reader is delivered with.
const FIRST_IMAGE: &[u8] = b"OpenPalm emulated reader: this text stands for a firmware image";
const FIRST_SECURITY_VERSION: u32 = 1;

/// One image and what its maker says of it.
#[derive(Debug, Clone)]
struct Slot {
    version: String,
    security_version: u32,
    digest: Digest,
}

#[derive(Debug)]
pub(super) struct Flash {
    running: Slot,
}

impl Flash {
    pub(super) fn new() -> Self {
        Self {
            running: Slot {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                security_version: FIRST_SECURITY_VERSION,
                digest: sha256(&[FIRST_IMAGE]),
            },
        }
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
}
