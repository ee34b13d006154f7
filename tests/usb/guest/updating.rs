//! Firmware update over usbfs: the reader leaves the bus as a reader, comes back as a loader, and the other way round.

use std::time::Duration;

use anyhow::{Context, ensure};
use palm_driver::dfu::{FirmwareFile, Status, UpdateError, UsbDfuBus, update};
use palm_driver::emulator::emulator_firmware;
use palm_driver::usb::UsbBus;
use palm_driver::{Listing, SystemClock, TransportError};

use crate::Case;
use crate::rig::{Rig, SERIAL, timed, wait_for};

pub(crate) const CASES: &[Case] = &[
    (
        "updated_reader_proves_its_new_firmware_and_keeps_it",
        updated,
    ),
    (
        "update_cut_in_the_middle_leaves_the_old_firmware_and_succeeds_when_begun_again",
        cut,
    ),
    (
        "older_firmware_is_refused_and_the_reader_runs_as_before",
        rolled_back,
    ),
    ("reader_that_no_session_asked_stays_at_its_work", not_asked),
];

/// Three blocks.
const SHORT: u32 = 10_000;
/// Fifty.
const LONG: u32 = 200_000;

fn firmware(version: &str, security_version: u32, length: u32) -> anyhow::Result<FirmwareFile> {
    let image: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
    emulator_firmware((version, security_version), &image).context("no firmware file")
}

/// The host's part, from DFU_DETACH on.
fn download(file: &FirmwareFile) -> Result<(), UpdateError> {
    let clock = SystemClock::new();
    update(&mut UsbDfuBus, SERIAL, file, &clock, &mut |_, _| ())
}

/// Asked in a session, downloaded, and back at work.
fn whole_update(rig: &mut Rig, file: &FirmwareFile) -> anyhow::Result<Result<(), UpdateError>> {
    rig.reader()?.allow_update()?;
    rig.following(|| {
        let outcome = download(file);
        if outcome.is_ok() {
            let mut bus = UsbBus::new();
            wait_for("the reader after its update", || {
                Ok((!bus.list()?.is_empty()).then_some(()))
            })?;
        }
        Ok(outcome)
    })
}

/// Firmware and security version that the reader proves.
fn runs(rig: &mut Rig) -> anyhow::Result<(String, u32)> {
    let reader = rig.reader()?;
    let proved = reader.attestation();
    Ok((proved.firmware.clone(), proved.security_version))
}

fn replug(rig: &mut Rig) -> anyhow::Result<()> {
    rig.unplug()?;
    wait_for("the departure", || {
        Ok(rig.address()?.is_none().then_some(()))
    })?;
    rig.plug().map(drop)
}

#[expect(clippy::print_stdout, reason = "a figure for the log")]
fn updated(rig: &mut Rig) -> anyhow::Result<()> {
    rig.plug()?;
    rig.say("PALM 7")?;
    let before = rig.address()?;
    let file = firmware("9.0.0", 2, LONG)?;
    let (outcome, took) = timed(|| whole_update(rig, &file));
    outcome??;
    println!("    200 kB and two times off the bus and on again in {took:.1?}");
    ensure!(rig.address()? != before, "it never left the bus");
    let mut reader = rig.reader()?;
    let proved = reader.attestation();
    ensure!(proved.digest == file.manifest().digest, "{proved:?}");
    rig.burst(&mut reader)?;
    drop(reader);
    replug(rig)?;
    ensure!(runs(rig)? == ("9.0.0".to_owned(), 2), "{:?}", runs(rig)?);
    Ok(())
}

/// The plug is pulled at a request of the download, counted from DFU_DETACH.
fn cut(rig: &mut Rig) -> anyhow::Result<()> {
    let file = firmware("9.0.0", 2, SHORT)?;
    // Before the first block, between blocks, before the mark.
    let cuts: &[u32] = if rig.is_long {
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    } else {
        &[3, 6, 11]
    };
    for request in cuts {
        rig.plug()?;
        let old = runs(rig)?;
        rig.reader()?.allow_update()?;
        rig.say(&format!("UNPLUG {request}"))?;
        let (outcome, took) = timed(|| rig.following(|| Ok(download(&file))));
        ensure!(
            matches!(
                outcome?,
                Err(UpdateError::Lost | UpdateError::Transport(TransportError::Disconnected))
            ),
            "cut at request {request}"
        );
        ensure!(took < Duration::from_secs(20), "given up after {took:?}");
        rig.plug()?;
        ensure!(
            runs(rig)? == old,
            "cut at request {request}: other firmware"
        );
        whole_update(rig, &file)?.with_context(|| format!("begun again after {request}"))?;
        let now = runs(rig)?;
        ensure!(now == ("9.0.0".to_owned(), 2), "after {request}: {now:?}");
        rig.clear()?;
    }
    Ok(())
}

fn rolled_back(rig: &mut Rig) -> anyhow::Result<()> {
    rig.plug()?;
    whole_update(rig, &firmware("9.0.0", 5, SHORT)?)??;
    let refused = whole_update(rig, &firmware("8.0.0", 4, SHORT)?)?;
    ensure!(
        refused == Err(UpdateError::Refused(Status::RolledBack)),
        "{refused:?}"
    );
    // It waits in its loader, where no session is needed.
    let refused = rig.following(|| Ok(download(&firmware("8.0.0", 4, SHORT)?)))?;
    ensure!(
        refused == Err(UpdateError::Refused(Status::RolledBack)),
        "{refused:?}"
    );
    replug(rig)?;
    let now = runs(rig)?;
    ensure!(now == ("9.0.0".to_owned(), 5), "{now:?}");
    Ok(())
}

fn not_asked(rig: &mut Rig) -> anyhow::Result<()> {
    rig.plug()?;
    rig.say("PALM 7")?;
    let refused = download(&firmware("9.0.0", 2, SHORT)?);
    ensure!(
        refused == Err(UpdateError::Transport(TransportError::Stalled)),
        "{refused:?}"
    );
    let mut reader = rig.reader()?;
    rig.burst(&mut reader)
}
