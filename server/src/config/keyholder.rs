//! The configuration of a keyholder that is a process of its own, and palmd's side of the link to it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{ConfigError, Fault, Identification, Log, StoreConfig, Tls, unless};
use crate::{files, pki::Fingerprint};

/// Port that a keyholder listens on when its configuration says nothing.
pub const KEYHOLDER_PORT_DEFAULT: u16 = 7444;

/// How palmd reaches its keyholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyholderLink {
    /// `https://host:port`.
    pub address: String,
    /// PEM: palmd's certificate on this link.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: the CA that signed the keyholder's certificate, and nothing but this link's two.
    pub ca: PathBuf,
}

impl KeyholderLink {
    pub(super) fn fault(&self) -> Option<Fault> {
        let is_right = self.address.starts_with("https://");
        unless(is_right, "keyholder.address", "write https://HOST:PORT")
    }

    pub(super) fn paths(&mut self) -> [&mut PathBuf; 3] {
        [&mut self.certificate, &mut self.key, &mut self.ca]
    }
}

/// What `palmd keyholder` needs to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyholderConfig {
    /// Address to listen on; port 0 takes a free one.
    #[serde(default = "listen_default")]
    pub listen: SocketAddr,
    /// Who may call.
    pub matcher: MatcherCertificate,
    /// The keyholder's own certificate, and who signed the matcher's.
    pub tls: Tls,
    /// Where sealed templates are kept: its own, not palmd's.
    pub store: StoreConfig,
    /// Key files.
    pub keys: KeyholderKeys,
    /// When a palm counts as recognised.
    #[serde(default)]
    pub identification: Identification,
    /// Bounds.
    #[serde(default)]
    pub limits: KeyholderLimits,
    /// Log lines.
    #[serde(default)]
    pub log: Log,
}

/// Who may call a keyholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatcherCertificate {
    /// SHA-256 of palmd's certificate on this link (DER), lower-case hex.
    pub certificate_sha256: String,
}

/// Files of 32 random bytes; none of them is palmd's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyholderKeys {
    /// Wraps the key of every person's palms.
    pub master: PathBuf,
    /// Tills seal templates to its public half.
    pub sealing: PathBuf,
    /// The blocks of the gallery are encrypted under keys derived from it; with a new one they are made again.
    pub gallery: PathBuf,
}

/// Bounds of a keyholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyholderLimits {
    /// Palm samples, 12 to 10,000,000.
    pub samples_max: usize,
    /// Palms that all tills together may have looked for in a minute, 1 to 1,000,000: it holds even for a palmd that
    /// somebody took over.
    pub searches_per_minute: u32,
}

impl Default for KeyholderLimits {
    fn default() -> Self {
        Self {
            samples_max: 600_000,
            searches_per_minute: 600,
        }
    }
}

impl KeyholderConfig {
    /// Reads a configuration file. Relative paths in it are taken from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and the remedy. Files that it names are not looked at yet.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = files::read_text(path).map_err(ConfigError::Read)?;
        Self::parse(&text, path)
    }

    /// Reads the text of a configuration as if it stood in the file `path`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = super::from_toml(text, path)?;
        super::refuse_fault(config.first_fault(), path)?;
        config.settle_paths(path.parent().unwrap_or_else(|| Path::new("")));
        Ok(config)
    }

    fn first_fault(&self) -> Option<Fault> {
        let samples = (12..=10_000_000).contains(&self.limits.samples_max);
        let searches = (1..=1_000_000).contains(&self.limits.searches_per_minute);
        let matcher = "write the 64 lower-case hex digits that `palmctl init` wrote";
        unless(
            self.matcher().is_some(),
            "matcher.certificate_sha256",
            matcher,
        )
        .or_else(|| self.identification.fault())
        .or_else(|| unless(samples, "limits.samples_max", "write 12 to 10000000"))
        .or_else(|| unless(searches, "limits.searches_per_minute", "write 1 to 1000000"))
    }

    fn settle_paths(&mut self, folder: &Path) {
        let Self {
            tls, store, keys, ..
        } = self;
        let named = [
            &mut tls.certificate,
            &mut tls.key,
            &mut tls.ca,
            &mut keys.master,
            &mut keys.sealing,
            &mut keys.gallery,
        ];
        for path in named.into_iter().chain(store.path()) {
            *path = folder.join(&*path);
        }
    }

    /// The only certificate that may call.
    #[must_use]
    pub fn matcher(&self) -> Option<Fingerprint> {
        Fingerprint::from_hex(&self.matcher.certificate_sha256)
    }
}

fn listen_default() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, KEYHOLDER_PORT_DEFAULT))
}
