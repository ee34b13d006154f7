//! `palmctl init`: keys, CA, certificates and configuration of a new deployment.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{CtlError, InitArguments, link, link::Operator};
use crate::{
    clock::Clock,
    config::{
        Config, Identification, Keys, Limits, Log, Operators, Policy, ReceiptConfig, Shop,
        StoreConfig, Tls, rails::Rails,
    },
    entropy::Entropy,
    files::{self, FileError},
    pki::{Authority, Credential, Fingerprint},
};

pub(super) mod convert;
pub(super) mod renew;
mod split;

use split::Split;

const CONFIG_FILE: &str = "palmd.toml";
const FILES: [&str; 11] = [
    "ca.pem",
    "ca.key",
    "server.pem",
    "server.key",
    "operator.pem",
    "operator.key",
    "master.key",
    "sealing.key",
    "gallery.key",
    CONFIG_FILE,
    link::OPERATOR_FILE,
];

/// Makes every file of a deployment; says what was made and what to do next.
pub(super) fn run(
    dir: &Path,
    arguments: &InitArguments,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<String, CtlError> {
    // All of it is checked and made in memory before the first file is written.
    let now = clock.now();
    let (authority, ca) = Authority::create(&arguments.shop_name, now)?;
    let server = authority.server(&arguments.host, now)?;
    let operator = authority.operator(now)?;
    let config = config_text(arguments, operator.fingerprint)?;
    let operator_text = operator_text(arguments);
    let folder = arguments.keyholder.keyholder.as_deref();
    let make = |_| Split::make(&arguments.shop_name, &arguments.keyholder, now);
    let split = folder.map(make).transpose()?;
    refuse_taken(dir, folder)?;
    let keys: &[_] = match split {
        None => &["master.key", "sealing.key", "gallery.key"],
        Some(_) => &["master.key"],
    };
    write_all(
        dir,
        [("ca", &ca), ("server", &server), ("operator", &operator)],
        keys,
        entropy,
    )
    .and_then(|()| files::write_new(&dir.join(CONFIG_FILE), config.as_bytes()))
    .and_then(|()| files::write_new(&dir.join(link::OPERATOR_FILE), operator_text.as_bytes()))
    .map_err(CtlError::Make)?;
    let mut told = format!(
        "Made keys, certificates and configuration in {dir}.\n\
         Keep copies of master.key and ca.key somewhere safe: nobody can restore them.\n\
         Start the service:  palmd --config {config}\n\
         Add a till:         palmctl --dir {dir} till enrol counter-1 --out TILL_FOLDER\n",
        dir = dir.display(),
        config = dir.join(CONFIG_FILE).display(),
    );
    if let (Some(split), Some(folder)) = (split, folder) {
        split.write_matcher(dir).map_err(CtlError::Make)?;
        let keys = [split::key(entropy), split::key(entropy)];
        let written = split.write_keyholder(folder, [&keys[0], &keys[1]], entropy);
        written.map_err(CtlError::Make)?;
        told += &format!(
            "Made a keyholder of its own in {folder}: move that folder to the machine of whoever is to hold the keys\n\
             of the palms, keep copies of its master.key and gallery.key there, and start it before palmd:\n\
             palmd keyholder --config {config}\n",
            folder = folder.display(),
            config = folder.join(split::CONFIG_FILE).display(),
        );
    }
    Ok(told)
}

/// Nothing is written over.
fn refuse_taken(dir: &Path, keyholder: Option<&Path>) -> Result<(), CtlError> {
    let own = FILES.iter().map(|name| dir.join(name));
    let split = keyholder.into_iter().flat_map(|folder| {
        let link = split::LINK_FILES.iter().map(|name| dir.join(name));
        link.chain(split::FILES.iter().map(|name| folder.join(name)))
    });
    match own.chain(split).find(|path| path.exists()) {
        Some(taken) => Err(CtlError::Make(FileError::Exists(taken))),
        None => Ok(()),
    }
}

/// Writes certificates and keys.
fn write_all(
    dir: &Path,
    credentials: [(&str, &Credential); 3],
    keys: &[&str],
    entropy: &dyn Entropy,
) -> Result<(), FileError> {
    files::make_folder(dir)?;
    for (name, made) in credentials {
        write_credential(dir, name, made)?;
    }
    let mut keys = keys.iter();
    keys.try_for_each(|name| split::write_key(dir, name, entropy))
}

/// Writes `NAME.pem` and `NAME.key`.
pub(super) fn write_credential(dir: &Path, name: &str, made: &Credential) -> Result<(), FileError> {
    files::write_new(&dir.join(format!("{name}.key")), made.key.as_bytes())?;
    files::write_new(
        &dir.join(format!("{name}.pem")),
        made.certificate.as_bytes(),
    )
}

fn config_text(arguments: &InitArguments, operator: Fingerprint) -> Result<String, CtlError> {
    let has_keyholder = arguments.keyholder.keyholder.is_some();
    let own = |name| (!has_keyholder).then(|| file(name));
    let config = Config {
        listen: arguments.listen,
        shop: Shop {
            name: arguments.shop_name.clone(),
            currency: arguments.currency.clone(),
            payment_max_minor: arguments.payment_max,
        },
        tls: Tls {
            certificate: file("server.pem"),
            key: file("server.key"),
            ca: file("ca.pem"),
        },
        store: StoreConfig::Sled {
            path: file("store"),
        },
        keys: Keys {
            master: file("master.key"),
            sealing: own("sealing.key"),
            gallery: own("gallery.key"),
        },
        keyholder: has_keyholder.then(|| split::link(&arguments.keyholder)),
        operators: Operators {
            certificates_sha256: vec![operator.to_string()],
        },
        policy: arguments
            .currency
            .parse()
            .map_or_else(|_| Policy::default(), Policy::of_new_shop),
        receipt: ReceiptConfig {
            // Prices in Korea include it.
            vat_rate_bp: if arguments.currency == "KRW" {
                1_000
            } else {
                0
            },
            ..ReceiptConfig::default()
        },
        bank: None,
        identification: (!has_keyholder).then(Identification::default),
        limits: Limits::default(),
        log: Log::default(),
        rails: Rails::default(),
    };
    let text = toml::to_string(&config).expect("invariant: every field of a configuration is TOML");
    // Read back, so that a bad shop name or currency is told by the same words as at palmd's start.
    match Config::parse(&text, Path::new(CONFIG_FILE)) {
        Ok(_) => Ok(text),
        Err(error) => Err(CtlError::Config(error)),
    }
}

fn operator_text(arguments: &InitArguments) -> String {
    let operator = Operator {
        address: format!("https://{}", reachable(arguments.listen)),
        currency: arguments.currency.clone(),
        ca: file("ca.pem"),
        certificate: file("operator.pem"),
        key: file("operator.key"),
    };
    toml::to_string(&operator).expect("invariant: every field is TOML")
}

/// Where the same machine reaches a service that listens on this address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(name)
}
