//! What a maker does: keys, certificates, firmware files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use palm_driver::dfu::FirmwareFile;
use palm_driver::protocol::claim::DeviceCertificate;
use palm_driver::protocol::crypto::{PublicKey, SigningKey};
use palm_driver::{Maker, protocol::Hex};

/// What a maker of readers does.
#[derive(Debug, Subcommand)]
pub(crate) enum Make {
    /// Make root, device and firmware keys and the certificate of a model. Keep root.key offline.
    Keys {
        /// The folder, which must not exist yet.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The model's name, up to 24 printable ASCII characters, as in INFO.
        #[arg(long)]
        model: String,
    },
    /// Certify one device and print what it must store, in hexadecimal digits.
    Device {
        /// The folder that `make keys` made.
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
        /// Its serial number, up to 24 printable ASCII characters.
        #[arg(long)]
        serial: String,
        /// The point of the key that the device drew, 128 hexadecimal digits.
        #[arg(long)]
        point: PublicKey,
    },
    /// Sign an image and write the file that `update` takes.
    Firmware(Firmware),
}

/// An image and what to say of it.
#[derive(Debug, Args)]
pub(crate) struct Firmware {
    /// The folder that `make keys` made; without it, the published development keys.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The model that it is for.
    #[arg(long, default_value = palm_driver::maker::EMULATOR_MODEL)]
    model: String,
    /// Its version, up to 24 printable ASCII characters.
    #[arg(long)]
    version: String,
    /// Goes up when a weakness was mended; readers never go back below it.
    #[arg(long)]
    security_version: u32,
    /// The image, up to 8 MiB.
    image: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const LONGEST_TEXT: usize = 24;

pub(crate) fn make(what: &Make) -> anyhow::Result<()> {
    match what {
        Make::Keys { out, model } => keys(out, model),
        Make::Device {
            keys,
            serial,
            point,
        } => device(keys, serial, *point),
        Make::Firmware(firmware) => sign(firmware),
    }
}

fn text(what: &str, text: &str) -> anyhow::Result<()> {
    let printable = text.chars().all(|c| (' '..='~').contains(&c));
    if text.is_empty() || text.len() > LONGEST_TEXT || !printable {
        bail!("{what} {text:?}: write 1 to 24 printable ASCII characters");
    }
    Ok(())
}

fn keys(out: &Path, model: &str) -> anyhow::Result<()> {
    text("--model", model)?;
    fs::create_dir(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let key = |name: &str| {
        let (key, file) = SigningKey::generate();
        write(&out.join(name), &file, 0o600).map(|()| key)
    };
    let root = key("root.key")?;
    let maker = Maker::new(&root, model, key("device.key")?, key("firmware.key")?);
    let certificate = maker.certificate().encode();
    write(&out.join("model.certificate"), &certificate, 0o644)?;
    println!("root: {}", root.public());
    println!(
        "Give the root to shops, for reader.roots of their tills. Keep {}/root.key offline.",
        out.display()
    );
    Ok(())
}

fn device(folder: &Path, serial: &str, point: PublicKey) -> anyhow::Result<()> {
    text("--serial", serial)?;
    let model = read(&folder.join("model.certificate"))?;
    let certificate = DeviceCertificate::issue(&key(&folder.join("device.key"))?, serial, point);
    println!("model certificate: {}", Hex(&model));
    println!("device certificate: {}", Hex(&certificate.encode()));
    Ok(())
}

fn sign(firmware: &Firmware) -> anyhow::Result<()> {
    let Firmware {
        keys,
        model,
        version,
        security_version,
        image,
        out,
    } = firmware;
    text("--model", model)?;
    text("--version", version)?;
    let own = keys
        .as_ref()
        .map(|folder| key(&folder.join("firmware.key")));
    let own = own.transpose()?;
    let development = Maker::development();
    let signer = own
        .as_ref()
        .unwrap_or_else(|| development.firmware_signer());
    let bytes = read(image)?;
    let file = FirmwareFile::build(signer, model, (version, *security_version), &bytes);
    let file = file.with_context(|| format!("{}: empty, or longer than 8 MiB", image.display()))?;
    write(out, &file.encode(), 0o644)?;
    println!("digest: {}", Hex(&file.manifest().digest));
    println!("Shops add the digest to reader.firmware_allowed of their tills before they update.");
    Ok(())
}

fn key(path: &Path) -> anyhow::Result<SigningKey> {
    SigningKey::from_pkcs8(&zeroize::Zeroizing::new(read(path)?))
        .with_context(|| path.display().to_string())
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file that is not there yet: a key is never written over.
fn write(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}
