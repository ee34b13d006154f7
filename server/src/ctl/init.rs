//! `palmctl init`: keys, CA, certificates and configuration of a new deployment.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{CtlError, InitArguments, link, link::Operator};
use crate::{
    clock::Clock,
    config::{
        Config, Identification, Keys, Limits, Log, Operators, Policy, ReceiptConfig, Shop,
        StoreConfig, Tls, rails::Rails,
    },
    entropy::Entropy,
    files::{self, FileError, KEY_BYTES},
    pki::{Authority, Credential, Fingerprint},
};

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
    if let Some(taken) = FILES
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.exists())
    {
        return Err(CtlError::Make(FileError::Exists(taken)));
    }
    write_all(
        dir,
        [("ca", &ca), ("server", &server), ("operator", &operator)],
        entropy,
    )
    .and_then(|()| files::write_new(&dir.join(CONFIG_FILE), config.as_bytes()))
    .and_then(|()| files::write_new(&dir.join(link::OPERATOR_FILE), operator_text.as_bytes()))
    .map_err(CtlError::Make)?;
    Ok(format!(
        "Made keys, certificates and configuration in {dir}.\n\
         Keep copies of master.key and ca.key somewhere safe: nobody can restore them.\n\
         Start the service:  palmd --config {config}\n\
         Add a till:         palmctl --dir {dir} till enrol counter-1 --out TILL_FOLDER\n",
        dir = dir.display(),
        config = dir.join(CONFIG_FILE).display(),
    ))
}

/// Writes certificates and keys.
fn write_all(
    dir: &Path,
    credentials: [(&str, &Credential); 3],
    entropy: &dyn Entropy,
) -> Result<(), FileError> {
    files::make_folder(dir)?;
    for (name, made) in credentials {
        write_credential(dir, name, made)?;
    }
    for name in ["master.key", "sealing.key", "gallery.key"] {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(&mut *key);
        files::write_new(&dir.join(name), &*key)?;
    }
    Ok(())
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
            sealing: file("sealing.key"),
            gallery: file("gallery.key"),
        },
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
        identification: Identification::default(),
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
