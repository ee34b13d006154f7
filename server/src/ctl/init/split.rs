//! The folder of a keyholder of its own, and the link between it and palmd.
//!
//! The link has a CA of its own, which signs two certificates and is then forgotten: nobody else can ever have one.

use std::path::Path;

use zeroize::Zeroizing;

use super::{CtlError, file, reachable, write_credential};
use crate::{
    clock::Timestamp,
    config::{
        Identification, KeyholderConfig, KeyholderKeys, KeyholderLimits, KeyholderLink, Log,
        MatcherCertificate, StoreConfig, Tls,
    },
    ctl::arguments::KeyholderArguments,
    entropy::Entropy,
    files::{self, FileError, KEY_BYTES},
    pki::{Authority, Credential},
};

pub(super) const CONFIG_FILE: &str = "keyholder.toml";
/// The folder of its store, in its own.
pub(super) const STORE: &str = "store";
/// Beside palmd's other files.
pub(super) const LINK_FILES: [&str; 3] = ["link.pem", "matcher.pem", "matcher.key"];
/// In the keyholder's own folder.
pub(super) const FILES: [&str; 7] = [
    "link.pem",
    "keyholder.pem",
    "keyholder.key",
    "master.key",
    "sealing.key",
    "gallery.key",
    CONFIG_FILE,
];

/// What is made for a keyholder of its own, in memory.
pub(super) struct Split {
    link: Credential,
    keyholder: Credential,
    matcher: Credential,
    pub(super) config: KeyholderConfig,
}

impl Split {
    pub(super) fn make(
        shop_name: &str,
        arguments: &KeyholderArguments,
        now: Timestamp,
    ) -> Result<Self, CtlError> {
        let (authority, link) = Authority::create(&ca_name(shop_name), now)?;
        let matcher = authority.matcher(now)?;
        let config = KeyholderConfig {
            listen: arguments.keyholder_listen,
            matcher: MatcherCertificate {
                certificate_sha256: matcher.fingerprint.to_string(),
            },
            tls: Tls {
                certificate: file("keyholder.pem"),
                key: file("keyholder.key"),
                ca: file("link.pem"),
            },
            store: StoreConfig::Sled { path: file(STORE) },
            keys: KeyholderKeys {
                master: file("master.key"),
                sealing: file("sealing.key"),
                gallery: file("gallery.key"),
            },
            identification: Identification::default(),
            limits: KeyholderLimits::default(),
            log: Log::default(),
        };
        Ok(Self {
            link,
            keyholder: authority.keyholder(now)?,
            matcher,
            config,
        })
    }

    /// Writes the keyholder's folder, with these keys of its own to wrap persons' keys and for tills to seal to. The
    /// configuration comes last: before, no keyholder starts.
    pub(super) fn write_keyholder(
        &self,
        folder: &Path,
        [master, sealing]: [&[u8; KEY_BYTES]; 2],
        entropy: &dyn Entropy,
    ) -> Result<(), FileError> {
        files::make_folder(folder)?;
        write_credential(folder, "keyholder", &self.keyholder)?;
        self.write_ca(folder)?;
        files::write_new(&folder.join("master.key"), master)?;
        files::write_new(&folder.join("sealing.key"), sealing)?;
        write_key(folder, "gallery.key", entropy)?;
        let text = toml::to_string(&self.config).expect("invariant: every field is TOML");
        files::write_new(&folder.join(CONFIG_FILE), text.as_bytes())
    }

    /// Writes palmd's side of the link.
    pub(super) fn write_matcher(&self, folder: &Path) -> Result<(), FileError> {
        write_credential(folder, "matcher", &self.matcher)?;
        self.write_ca(folder)
    }

    fn write_ca(&self, folder: &Path) -> Result<(), FileError> {
        let link = self.link.certificate.as_bytes();
        files::write_new(&folder.join("link.pem"), link)
    }
}

/// How palmd reaches the keyholder.
pub(super) fn link(arguments: &KeyholderArguments) -> KeyholderLink {
    let near = || format!("https://{}", reachable(arguments.keyholder_listen));
    KeyholderLink {
        address: arguments.keyholder_address.clone().unwrap_or_else(near),
        certificate: file("matcher.pem"),
        key: file("matcher.key"),
        ca: file("link.pem"),
    }
}

/// A new key.
pub(super) fn key(entropy: &dyn Entropy) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(&mut *key);
    key
}

/// Writes a new key.
pub(super) fn write_key(folder: &Path, name: &str, entropy: &dyn Entropy) -> Result<(), FileError> {
    files::write_new(&folder.join(name), &*key(entropy))
}

/// What the link's CA is called.
pub(super) fn ca_name(shop_name: &str) -> String {
    format!("{shop_name} keyholder")
}
