//! `palmctl till`: the certificates of counters and kiosks.

use std::path::{Path, PathBuf};

use palm_proto::{id::TillId, v1};
use serde::Serialize;

use super::{
    CtlError, ReaderKind, init, link,
    link::Link,
    sheet::{Cell, Sheet},
};
use crate::{
    clock::Clock,
    files::{self, FileError},
    pki::Authority,
};

const CONFIG_FILE: &str = "till.toml";
const FILES: [&str; 4] = ["ca.pem", "till.pem", "till.key", CONFIG_FILE];
const COLUMNS: [&str; 7] = [
    "name",
    "revoked",
    "reader",
    "reader_serial",
    "reader_time",
    "create_time",
    "certificate_sha256",
];

/// Makes a till's files in `out`, then lets its certificate act as that till.
pub(super) async fn enrol(
    dir: &Path,
    link: &Link,
    id: &TillId,
    out: &Path,
    reader: ReaderKind,
    clock: &dyn Clock,
) -> Result<Sheet, CtlError> {
    let ca = files::read_text(&dir.join("ca.pem"))?;
    let ca_key = files::read_secret_text(&dir.join("ca.key"))?;
    let made = Authority::read(&ca, &ca_key)?.till(id, clock.now())?;
    if let Some(taken) = FILES
        .iter()
        .map(|name| out.join(name))
        .find(|path| path.exists())
    {
        return Err(CtlError::Make(FileError::Exists(taken)));
    }
    let config = config_text(link.address(), reader);
    files::make_folder(out)
        .and_then(|()| files::write_new(&out.join("ca.pem"), ca.as_bytes()))
        .and_then(|()| init::write_credential(out, "till", &made))
        .and_then(|()| files::write_new(&out.join(CONFIG_FILE), config.as_bytes()))
        .map_err(CtlError::Make)?;
    let request = v1::CreateTillRequest {
        name: id.to_string(),
        certificate_sha256: made.fingerprint.to_string(),
    };
    match link.tills().create_till(request).await {
        Ok(till) => Ok(Sheet::one(&COLUMNS, row(till.into_inner()))),
        Err(status) => {
            // The files were made a moment ago and let nobody in: leave the folder as it was.
            for name in FILES {
                drop(std::fs::remove_file(out.join(name)));
            }
            Err(status.into())
        }
    }
}

pub(super) async fn list(link: &Link) -> Result<Sheet, CtlError> {
    let mut sheet = Sheet::list(&COLUMNS);
    let mut page_token = String::new();
    loop {
        let page_size = link::page_size(usize::MAX, 0);
        let page = link
            .tills()
            .list_tills(v1::ListTillsRequest {
                page_size,
                page_token,
            })
            .await?;
        let page = page.into_inner();
        page.tills
            .into_iter()
            .for_each(|till| sheet.push(row(till)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(sheet);
        }
    }
}

pub(super) async fn revoke(link: &Link, id: &TillId) -> Result<Sheet, CtlError> {
    let request = v1::RevokeTillRequest {
        name: id.to_string(),
    };
    let till = link.tills().revoke_till(request).await?.into_inner();
    Ok(Sheet::one(&COLUMNS, row(till)))
}

fn row(till: v1::Till) -> Vec<Cell> {
    let reader = till.reader.unwrap_or_default();
    let state = match reader.state() {
        v1::reader::State::Unspecified => "not told",
        known => known.as_str_name(),
    };
    vec![
        Cell::Text(till.name),
        Cell::Flag(till.revoked),
        Cell::Text(state.to_owned()),
        Cell::Text(reader.serial),
        Cell::time(reader.report_time),
        Cell::time(till.create_time),
        Cell::Text(till.certificate_sha256),
    ]
}

#[derive(Serialize)]
struct TillConfig<'a> {
    journal: PathBuf,
    service: ServiceConfig<'a>,
    reader: ReaderConfig,
    pages: PagesConfig,
}

#[derive(Serialize)]
struct ServiceConfig<'a> {
    address: &'a str,
    ca: &'a str,
    certificate: &'a str,
    key: &'a str,
}

#[derive(Serialize)]
struct ReaderConfig {
    kind: &'static str,
}

#[derive(Serialize)]
struct PagesConfig {
    listen: &'static str,
}

/// What palm-till is started with; paths are relative to the file.
fn config_text(address: &str, reader: ReaderKind) -> String {
    let kind = match reader {
        ReaderKind::Emulated => "emulated",
        ReaderKind::Usb => "usb",
    };
    let config = TillConfig {
        journal: PathBuf::from("journal"),
        service: ServiceConfig {
            address,
            ca: "ca.pem",
            certificate: "till.pem",
            key: "till.key",
        },
        reader: ReaderConfig { kind },
        pages: PagesConfig {
            listen: "127.0.0.1:0",
        },
    };
    toml::to_string(&config).expect("invariant: every field is TOML")
}
