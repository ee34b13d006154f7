//! The configuration file: TOML, no key that is not known, paths relative to the file's folder.
//!
//! It holds paths to key files, never a key, and so may be logged whole. `palmd.example.toml` beside the crate shows
//! every key. Nothing is read from the environment.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use palm_models::compare::Similarity;
use palm_proto::money::{Currency, Money};
use serde::{Deserialize, Serialize};

use crate::{
    files::{self, FileError},
    logging::{LogFormat, LogLevel},
    pki::Fingerprint,
};

mod bank;
mod keyholder;
mod policy;
pub mod rails;
mod receipt;

pub use bank::BankConfig;
pub use keyholder::{
    KEYHOLDER_PORT_DEFAULT, KeyholderConfig, KeyholderKeys, KeyholderLimits, KeyholderLink,
    MatcherCertificate,
};
pub use policy::Policy;
use rails::Rails;
pub use receipt::ReceiptConfig;

/// Port that palmd listens on when the configuration says nothing.
pub const PORT_DEFAULT: u16 = 7443;
const SHOP_NAME_MAX: usize = 64;

/// What palmd needs to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    #[serde(default = "listen_default")]
    pub listen: SocketAddr,
    /// Whose payments these are.
    pub shop: Shop,
    /// The service's own certificate, and who signs its callers'.
    pub tls: Tls,
    /// Where everything is kept.
    pub store: StoreConfig,
    /// Key files.
    pub keys: Keys,
    /// A keyholder that is a process of its own; absent: this process is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyholder: Option<KeyholderLink>,
    /// Who may operate it.
    pub operators: Operators,
    /// The shop's rules for payments.
    #[serde(default)]
    pub policy: Policy,
    /// What stands on paper.
    #[serde(default)]
    pub receipt: ReceiptConfig,
    /// The shop's account at a bank. Never written: a configuration is logged, an account's number is not.
    #[serde(default, skip_serializing)]
    pub bank: Option<BankConfig>,
    /// When a palm counts as recognised; absent: the defaults. Refused with a keyholder of its own, whose own
    /// configuration says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identification: Option<Identification>,
    /// Bounds that depend on the machine.
    #[serde(default)]
    pub limits: Limits,
    /// Log lines.
    #[serde(default)]
    pub log: Log,
    /// Ways to move money outside the house.
    #[serde(default, skip_serializing_if = "Rails::is_empty")]
    pub rails: Rails,
}

/// Whose payments these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// 1 to 64 characters; shown on the tills.
    pub name: String,
    /// ISO 4217 code of the only currency taken.
    pub currency: String,
    /// Highest amount of one payment, in minor units.
    pub payment_max_minor: u64,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The service's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA that signs the certificates of tills and operators.
    pub ca: PathBuf,
}

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum StoreConfig {
    /// In memory: for trying out; everything is lost at the stop.
    Memory {},
    /// On disk.
    Sled {
        /// Its folder; made when absent.
        path: PathBuf,
    },
}

impl StoreConfig {
    /// Where the blocks of the gallery are kept.
    #[must_use]
    pub fn gallery_folder(&self) -> Option<PathBuf> {
        match self {
            Self::Memory {} => None,
            Self::Sled { path } => Some(path.join("gallery")),
        }
    }

    fn path(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Memory {} => None,
            Self::Sled { path } => Some(path),
        }
    }
}

/// Files of 32 random bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Wraps every person's key.
    pub master: PathBuf,
    /// Tills seal templates to its public half. Absent with a keyholder of its own, which has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<PathBuf>,
    /// The blocks of the gallery are encrypted under keys derived from it; with a new one they are made again. Absent
    /// with a keyholder of its own, which has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<PathBuf>,
}

/// Who may operate the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// SHA-256 of their certificates (DER), lower-case hex; one or more.
    pub certificates_sha256: Vec<String>,
}

/// When a palm counts as recognised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identification {
    /// Least similarity to be found among everybody enrolled, 0 to 1.
    pub similarity_min: f32,
    /// Least similarity of two samples that one person gives as the same palm when enrolling, 0 to 1: one comparison
    /// needs less than a search through thousands.
    pub agreement_min: f32,
    /// Least lead of the best person over the second, 0 to 1.
    pub margin_min: f32,
    /// Samples whose owners' templates are opened after the encrypted search, 2 to 4,096.
    pub opened_samples: usize,
    /// People looked at closely after a coarse comparison with the opened templates, 2 to 4,096.
    pub coarse_candidates: usize,
}

impl Identification {
    /// [`Self::similarity_min`] as a similarity.
    #[must_use]
    pub fn least(&self) -> Similarity {
        Similarity::new(self.similarity_min)
    }

    /// [`Self::agreement_min`] as a similarity.
    #[must_use]
    pub fn agreement(&self) -> Similarity {
        Similarity::new(self.agreement_min)
    }
}

/// The thresholds to start from, frozen on synthetic palms (`palm-eval --synthetic 150 --samples 6 --first 7000000`,
/// with and without `--region`): 0.60 accepts one in 100,000 non-mated comparisons, none of 800,000 reached 0.61. The
/// 0.03 on top of that are for what real palms have in common and drawn ones have not.
impl Default for Identification {
    fn default() -> Self {
        Self {
            similarity_min: 0.64,
            agreement_min: 0.6,
            margin_min: 0.03,
            opened_samples: 512,
            coarse_candidates: 64,
        }
    }
}

/// Bounds that depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Palm samples in the gallery, 12 to 10,000,000; one takes about 0.7 KiB of memory.
    pub samples_max: usize,
    /// Calls in progress at once, 1 to 4,096; more are told to come again.
    pub calls_max: usize,
    /// Time for one call in milliseconds, 100 to 60,000.
    pub call_timeout_ms: u64,
    /// Palms that one till may have looked for in a minute, payments and enrolments together, 1 to 1,000,000.
    pub searches_per_minute: u32,
    /// Times that one person is recognised in an hour, 1 to 1,000,000; after that they are not.
    pub matches_per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples_max: 600_000,
            calls_max: 64,
            call_timeout_ms: 10_000,
            searches_per_minute: 120,
            matches_per_hour: 60,
        }
    }
}

/// Log lines, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Their shape.
    pub format: LogFormat,
    /// How many.
    pub level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Plain,
            level: LogLevel::Info,
        }
    }
}

/// Why there is no usable configuration. Names the file, the key and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "configuration: give --config a readable TOML file, such as the one that `palmctl init` writes"
    )]
    Read(#[source] FileError),
    /// Not TOML, or a key missing, unknown or of the wrong type.
    #[error("configuration {path}: {message}. See palmd.example.toml for every key")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Line, key and what was expected, as the TOML reader says it.
        message: String,
    },
    /// A key holds a value that palmd will not use.
    #[error("configuration {path}: {key}: {remedy}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, for instance `shop.currency`.
        key: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A file that a key names cannot be used.
    #[error("configuration {path}: {key}")]
    File {
        /// The file.
        path: PathBuf,
        /// The key, for instance `keys.master`.
        key: &'static str,
        /// What is wrong with the file that it names, and what to do.
        #[source]
        source: FileError,
    },
}

impl Config {
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
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = from_toml(text, path)?;
        refuse_fault(config.first_fault(), path)?;
        config.settle_paths(path.parent().unwrap_or_else(|| Path::new("")));
        Ok(config)
    }

    fn first_fault(&self) -> Option<Fault> {
        let Self {
            shop,
            operators,
            policy,
            receipt,
            bank,
            identification,
            keys,
            keyholder,
            limits,
            rails,
            ..
        } = self;
        let link = keyholder.as_ref();
        let faults = [
            shop.fault(),
            link.and_then(KeyholderLink::fault),
            keys.fault(link.is_some()),
            operators.fault(),
            policy.fault(),
            receipt.fault(),
            bank.as_ref().and_then(BankConfig::fault),
            unless(
                link.is_none() || identification.is_none(),
                "identification",
                "leave it out: with a keyholder of its own, keyholder.toml says it",
            ),
            identification.and_then(|own| own.fault()),
            limits.fault(),
            rails.fault(),
        ];
        faults.into_iter().flatten().next()
    }

    fn settle_paths(&mut self, folder: &Path) {
        let Self {
            tls,
            store,
            keys,
            keyholder,
            rails,
            ..
        } = self;
        rails.settle_paths(folder);
        let link = keyholder.iter_mut().flat_map(KeyholderLink::paths);
        let palms = keys.sealing.iter_mut().chain(&mut keys.gallery);
        let named = [
            &mut tls.certificate,
            &mut tls.key,
            &mut tls.ca,
            &mut keys.master,
        ];
        let others = palms.chain(link).chain(store.path());
        for path in named.into_iter().chain(others) {
            *path = folder.join(&*path);
        }
    }

    /// The highest amount of one payment, in the shop's currency.
    ///
    /// # Panics
    /// When the configuration was not made by [`Config::read`] or [`Config::parse`].
    #[must_use]
    pub fn payment_limit(&self) -> Money {
        self.shop
            .payment_max()
            .expect("invariant: the amount was checked when the configuration was read")
    }

    /// Fingerprints of the operators' certificates.
    #[must_use]
    pub fn operator_fingerprints(&self) -> Vec<Fingerprint> {
        self.operators
            .certificates_sha256
            .iter()
            .filter_map(|text| Fingerprint::from_hex(text))
            .collect()
    }

    /// Time for one call.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.call_timeout_ms)
    }
}

fn from_toml<T: serde::de::DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Shape {
        path: path.to_owned(),
        message: error.to_string().trim_end().replace('\n', " "),
    })
}

fn refuse_fault(fault: Option<Fault>, path: &Path) -> Result<(), ConfigError> {
    let path = path.to_owned();
    match fault {
        None => Ok(()),
        Some((key, remedy)) => Err(ConfigError::Value { path, key, remedy }),
    }
}

/// A key with a value out of range, and what to write instead.
type Fault = (&'static str, &'static str);

/// The fault unless the value is right.
fn unless(is_right: bool, key: &'static str, remedy: &'static str) -> Option<Fault> {
    (!is_right).then_some((key, remedy))
}

impl Shop {
    fn fault(&self) -> Option<Fault> {
        let name_ok = (1..=SHOP_NAME_MAX).contains(&self.name.chars().count())
            && !self.name.chars().any(char::is_control);
        let name = "write 1 to 64 characters without control characters";
        let currency = "write an ISO 4217 code that is taken, such as \"KRW\"";
        let max = "write 1 to 999999999999 minor units";
        unless(name_ok, "shop.name", name)
            .or_else(|| unless(self.currency().is_some(), "shop.currency", currency))
            .or_else(|| unless(self.payment_max().is_some(), "shop.payment_max_minor", max))
    }

    fn currency(&self) -> Option<Currency> {
        self.currency.parse().ok()
    }

    fn payment_max(&self) -> Option<Money> {
        Money::amount(self.payment_max_minor, self.currency()?).ok()
    }
}

impl Keys {
    /// Whoever opens palms has the keys for it, and nobody else.
    fn fault(&self, has_keyholder: bool) -> Option<Fault> {
        let remedy = if has_keyholder {
            "leave it out: the keyholder has it, and must not share it"
        } else {
            "name the file, as `palmctl init` wrote it"
        };
        let is_right = |key: &Option<PathBuf>| key.is_some() != has_keyholder;
        unless(is_right(&self.sealing), "keys.sealing", remedy)
            .or_else(|| unless(is_right(&self.gallery), "keys.gallery", remedy))
    }
}

impl Operators {
    fn fault(&self) -> Option<Fault> {
        let fingerprints = &self.certificates_sha256;
        let is_right = !fingerprints.is_empty()
            && fingerprints
                .iter()
                .all(|text| Fingerprint::from_hex(text).is_some());
        let remedy = "write one or more, each 64 lower-case hex digits";
        unless(is_right, "operators.certificates_sha256", remedy)
    }
}

impl Identification {
    fn fault(&self) -> Option<Fault> {
        let share = "write 0.0 to 1.0";
        let several = |count: &usize| (2..=4096).contains(count);
        [
            ("identification.similarity_min", self.similarity_min),
            ("identification.agreement_min", self.agreement_min),
            ("identification.margin_min", self.margin_min),
        ]
        .into_iter()
        .find_map(|(key, value)| unless(is_share(value), key, share))
        .or_else(|| {
            [
                ("identification.opened_samples", self.opened_samples),
                ("identification.coarse_candidates", self.coarse_candidates),
            ]
            .into_iter()
            .find_map(|(key, count)| unless(several(&count), key, "write 2 to 4096"))
        })
    }
}

impl Limits {
    fn fault(&self) -> Option<Fault> {
        let samples = (12..=10_000_000).contains(&self.samples_max);
        let calls = (1..=4096).contains(&self.calls_max);
        let timeout = (100..=60_000).contains(&self.call_timeout_ms);
        unless(samples, "limits.samples_max", "write 12 to 10000000")
            .or_else(|| unless(calls, "limits.calls_max", "write 1 to 4096"))
            .or_else(|| unless(timeout, "limits.call_timeout_ms", "write 100 to 60000"))
            .or_else(|| {
                [
                    ("limits.searches_per_minute", self.searches_per_minute),
                    ("limits.matches_per_hour", self.matches_per_hour),
                ]
                .into_iter()
                .find_map(|(key, most)| {
                    let is_right = (1..=1_000_000).contains(&most);
                    unless(is_right, key, "write 1 to 1000000")
                })
            })
    }
}

fn is_share(value: f32) -> bool {
    (0.0..=1.0).contains(&value)
}

fn listen_default() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, PORT_DEFAULT))
}

/// Reads any bytes as a configuration; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_config(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(Config::parse(text, Path::new("palmd.toml")));
        drop(KeyholderConfig::parse(text, Path::new("keyholder.toml")));
    }
}

#[cfg(test)]
mod tests;
