//! `palmctl renew-link`: new certificates for the link between palmd and its keyholder.
//!
//! The CA that signed the old two was forgotten, so there is a new one with them. Stopped half-way, the two do not know
//! each other: run it again, which makes everything anew.

use std::path::Path;

use super::{CONFIG_FILE, CtlError, split};
use crate::{
    clock::Clock,
    config::{Config, KeyholderConfig},
    files::{self, FileError},
    pki::{Authority, Credential},
};

/// Writes palmd's files to `dir` and the keyholder's to `keyholder`, and says what to do next.
pub(in crate::ctl) fn run(
    dir: &Path,
    keyholder: &Path,
    clock: &dyn Clock,
) -> Result<String, CtlError> {
    let config = Config::read(&dir.join(CONFIG_FILE)).map_err(CtlError::Deployment)?;
    if config.keyholder.is_none() {
        return Err(CtlError::Argument {
            argument: "--dir",
            remedy: "palmd.toml names no keyholder: there is no link to renew",
        });
    }
    let now = clock.now();
    let (authority, ca) = Authority::create(&split::ca_name(&config.shop.name), now)?;
    let (own, matcher) = (authority.keyholder(now)?, authority.matcher(now)?);
    let fingerprint = matcher.fingerprint.to_string();
    files::make_folder(keyholder).map_err(CtlError::Make)?;
    let path = keyholder.join(split::CONFIG_FILE);
    let is_here = path.exists();
    let text = if is_here {
        Some(with_matcher(&path, &fingerprint)?)
    } else {
        None
    };
    replace_all(keyholder, &ca, ("keyholder", &own))
        .and_then(|()| text.map_or(Ok(()), |text| files::replace(&path, text.as_bytes())))
        .and_then(|()| replace_all(dir, &ca, ("matcher", &matcher)))
        .map_err(CtlError::Make)?;
    let mut told = String::from("Made new certificates for both ends of the link, for 825 days.\n");
    if !is_here {
        told += &format!(
            "Take the files of {} to the keyholder's folder, and write into its keyholder.toml:\n\
             [matcher]\ncertificate_sha256 = \"{fingerprint}\"\n",
            keyholder.display(),
        );
    }
    told += "Start the keyholder again, then palmd.\n";
    Ok(told)
}

fn replace_all(
    folder: &Path,
    ca: &Credential,
    (name, made): (&str, &Credential),
) -> Result<(), FileError> {
    let put = |file: String, text: &str| files::replace(&folder.join(file), text.as_bytes());
    put(format!("{name}.key"), &made.key)?;
    put(format!("{name}.pem"), &made.certificate)?;
    put("link.pem".to_owned(), &ca.certificate)
}

/// The text of a keyholder's configuration that lets another certificate call.
fn with_matcher(path: &Path, fingerprint: &str) -> Result<String, CtlError> {
    let text = files::read_text(path)?;
    let config = KeyholderConfig::parse(&text, path).map_err(CtlError::Deployment)?;
    // A fingerprint stands nowhere else, so comments stay.
    Ok(text.replace(&config.matcher.certificate_sha256, fingerprint))
}
