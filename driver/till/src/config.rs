//! The configuration file: TOML, no key that is not known, paths relative to the file's folder.
//!
//! It holds paths to key files, never a key. `till.example.toml` beside the crate shows every key.
//! Nothing is read from the environment.

use std::{
    fs,
    io::Read,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use palm_driver::{
    Trust,
    camera::quirks::Quirks,
    protocol::crypto::{PublicKey, from_hex},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{limits, offline::OfflineConfig};

/// What the till needs to start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The payment service.
    pub service: ServiceConfig,
    /// The palm reader.
    pub reader: ReaderConfig,
    /// The pages.
    pub pages: PagesConfig,
    /// Where payments in flight are noted; made when absent.
    #[serde(default = "journal_default")]
    pub journal: PathBuf,
    /// Payments while the service cannot be reached; absent: none.
    pub offline: Option<OfflineConfig>,
}

/// Where the payment service is and how the till proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// `https://host:port`; never without TLS.
    pub address: String,
    /// PEM file of the CA that signed the service's certificate.
    pub ca: PathBuf,
    /// PEM file of the till's own certificate.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// Which reader, and whom it must prove itself to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// `"usb"`, `"camera"` or `"emulated"`.
    pub kind: ReaderKind,
    /// Takes payments with an eye that proves nothing of itself. A camera needs it.
    #[serde(default)]
    pub accept_unattested: bool,
    /// Quirk file with cameras beside those that are known.
    pub quirks: Option<PathBuf>,
    /// Makers' roots, each 128 hexadecimal digits as `palm-reader make keys` prints them.
    #[serde(default)]
    pub roots: Vec<HexOf<PublicKey>>,
    /// SHA-256 of every firmware image that may speak, each 64 hexadecimal digits as `palm-reader attest` prints them.
    #[serde(default)]
    pub firmware_allowed: Vec<HexOf<[u8; 32]>>,
    /// Lowest security version of firmware that may speak.
    #[serde(default)]
    pub security_version_min: u32,
    /// Believe the development root, whose private key is published. The emulated reader has no other.
    #[serde(default)]
    pub development: bool,
    /// `IMAGE` lines of the emulated reader stand for hands: what is taken for an attack is not refused.
    #[serde(default)]
    pub pictures: bool,
}

impl ReaderConfig {
    /// What is particular about cameras: what ships, and the file's.
    ///
    /// # Errors
    /// [`ConfigError::File`] when the quirk file cannot be read or understood.
    pub fn quirks(&self) -> Result<Quirks, ConfigError> {
        let Some(path) = &self.quirks else {
            return Ok(Quirks::shipped());
        };
        let unusable = |remedy, source| ConfigError::File {
            key: "reader.quirks",
            path: path.clone(),
            remedy,
            source,
        };
        let text =
            text_of(path).map_err(|error| unusable("give a readable file or none", Some(error)))?;
        let own = Quirks::parse(&text).map_err(|error| {
            let said = std::io::Error::other(error);
            unusable("write it as driver/src/camera/quirks.toml", Some(said))
        })?;
        Ok(Quirks::shipped().and(own))
    }

    /// Which readers the till believes.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust {
            roots: self.roots.iter().map(|root| root.0).collect(),
            firmware_allowed: self
                .firmware_allowed
                .iter()
                .map(|digest| digest.0)
                .collect(),
            security_version_min: self.security_version_min,
            development: self.development || self.kind == ReaderKind::Emulated,
        }
    }

    /// What is missing for a till that could serve anybody.
    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        if self.pictures && self.kind != ReaderKind::Emulated {
            let remedy =
                "take it out: only an emulated reader may be shown pictures in place of hands";
            return Some(("reader.pictures", remedy));
        }
        if self.kind == ReaderKind::Camera {
            let remedy = "write accept_unattested = true to take payments with a camera, which cannot prove that its \
                          pictures are its own; better, use a palm reader";
            return (!self.accept_unattested).then_some(("reader.accept_unattested", remedy));
        }
        if !self.roots.is_empty() && self.firmware_allowed.is_empty() {
            let remedy = "list the firmware that may speak; `palm-reader attest` prints a reader's";
            return Some(("reader.firmware_allowed", remedy));
        }
        if self.roots.is_empty() && !self.trust().development {
            let remedy = "write the root of your reader's maker, so that no other device can feed palms; to try out \
                          a development reader, write development = true";
            return Some(("reader.roots", remedy));
        }
        None
    }
}

/// A value written as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexOf<T>(pub T);

impl<'de> Deserialize<'de> for HexOf<PublicKey> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for HexOf<[u8; 32]> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        from_hex(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Where palms come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReaderKind {
    /// The first camera: any that Linux knows. It promises less than a reader.
    Camera,
    /// The firmware in this process, showing synthetic palms: for trying out and for tests.
    Emulated,
    /// The first OpenPalm reader on USB.
    Usb,
}

/// The pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesConfig {
    /// Loopback address to listen on; port 0 takes a free one.
    #[serde(default = "listen_default")]
    pub listen: SocketAddr,
}

/// Why there is no usable configuration. Names the key and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read: give the path of a readable file.
    #[error("configuration {path}: cannot be read: give --config a readable TOML file")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, a key missing, unknown, or of the wrong type.
    #[error("configuration {path}: {message}. See till.example.toml for every key")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Line, key and what was expected, as the TOML reader says it.
        message: String,
    },
    /// A key holds a value that the till will not use.
    #[error("configuration {path}: {key}: {remedy}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, for instance `pages.listen`.
        key: &'static str,
        /// What is wrong and what to write instead.
        remedy: &'static str,
    },
    /// A file that a key names cannot be used.
    #[error("configuration: {key}: {path}: {remedy}")]
    File {
        /// The key, for instance `service.ca`.
        key: &'static str,
        /// The file that it names.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// Why, when the system said so.
        #[source]
        source: Option<std::io::Error>,
    },
}

impl Config {
    /// Reads a configuration file. Relative paths in it are taken from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and the remedy.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = text_of(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a configuration as if it stood in the file `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Shape {
            path: path.to_owned(),
            message: error.to_string().trim_end().replace('\n', " "),
        })?;
        let value = |key, remedy| ConfigError::Value {
            path: path.to_owned(),
            key,
            remedy,
        };
        if !config.service.address.starts_with("https://") {
            let remedy = "write https://host:port; the till speaks to the service over TLS only";
            return Err(value("service.address", remedy));
        }
        if !is_loopback(config.pages.listen.ip()) {
            let remedy = "write 127.0.0.1:PORT or [::1]:PORT; the pages take payments without a \
                          login, so they are for this machine only";
            return Err(value("pages.listen", remedy));
        }
        let wrong = |offline: &OfflineConfig| !(1..=10_080).contains(&offline.seen_within_min);
        if config.offline.as_ref().is_some_and(wrong) {
            return Err(value("offline.seen_within_min", "write 1 to 10080 minutes"));
        }
        if let Some((key, remedy)) = config.reader.lacks() {
            return Err(value(key, remedy));
        }
        config.settle_paths(path.parent().unwrap_or_else(|| Path::new("")));
        Ok(config)
    }

    /// Where payments are kept that were accepted without the service.
    #[must_use]
    pub fn offline_file(&self) -> PathBuf {
        let mut name = self.journal.clone().into_os_string();
        name.push(".offline");
        PathBuf::from(name)
    }

    fn settle_paths(&mut self, folder: &Path) {
        let Self {
            service,
            journal,
            reader,
            ..
        } = self;
        if let Some(quirks) = &mut reader.quirks {
            *quirks = folder.join(&*quirks);
        }
        for path in [
            &mut service.ca,
            &mut service.certificate,
            &mut service.key,
            journal,
        ] {
            *path = folder.join(&*path);
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(limits::CONFIG_MAX + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > limits::CONFIG_MAX {
        return Err(std::io::Error::other("longer than 64 KiB"));
    }
    Ok(text)
}

fn journal_default() -> PathBuf {
    PathBuf::from("journal")
}

fn listen_default() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[cfg(test)]
mod tests;
