//! Commands that take no picture: list, info, attest, self-test, update.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use palm_driver::dfu::{self, DfuBus, FirmwareFile, UsbDfuBus};
use palm_driver::protocol::{CONTROL_INFO, Hex, INFO_LEN};
use palm_driver::transport::Control;
use palm_driver::{
    AttestError, Attestation, Bell, Clock, Info, Reader, ReaderAddress, ReaderError, SelfTest,
    SystemClock, TransportError,
};

use crate::making::read;
use crate::{Place, Stop, cameras};

/// Time for what is asked outside of a session.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a reader that restarts is looked for, and how often before it is given up.
const RETURN_STEP: Duration = Duration::from_millis(100);
const RETURN_STEPS: u32 = 100;

pub(crate) fn list(place: &mut Place) -> anyhow::Result<()> {
    place.begin()?;
    let readers = place.readers()?;
    let mut denied = false;
    for address in &readers {
        match place.open(address) {
            Ok(reader) => {
                let info = reader.info();
                let by = vouched(reader.attestation());
                println!(
                    "{address}: {}, firmware {}, {by}",
                    info.model, info.firmware
                );
            }
            Err(error) => {
                println!("{address}: {error}");
                denied |= error == ReaderError::Denied;
            }
        }
    }
    if denied {
        Err(Stop::NoAccess.into())
    } else {
        Ok(())
    }
}

/// In a few words, who vouches for a reader.
fn vouched(attestation: &Attestation) -> &'static str {
    if attestation.development {
        "attested by the development root only"
    } else {
        "attested"
    }
}

pub(crate) fn info(place: &mut Place) -> anyhow::Result<()> {
    let address = match place.first() {
        // A camera may stand in for a reader; it promises less, and that is told.
        Err(error) if place.has_own_bus() && is_no_reader(&error) && cameras::any()? => {
            return cameras::list(None);
        }
        first => first?,
    };
    match place.open(&address) {
        Ok(reader) => {
            tell(&address, reader.info());
            println!("attested:   yes, {}", root(reader.attestation()));
        }
        Err(ReaderError::NotTrusted(error)) => {
            tell(&address, &unproved(place, &address)?);
            println!("attested:   NO: {error}");
        }
        Err(error) => return Err(Stop::from_reader(error)),
    }
    Ok(())
}

fn is_no_reader(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Stop::NoReader))
}

/// What a reader says of itself and has not proved.
fn unproved(place: &mut Place, address: &ReaderAddress) -> anyhow::Result<Info> {
    let mut transport = place.bus.open(address).map_err(ReaderError::from)?;
    let request = Control::In {
        request: CONTROL_INFO,
        value: 0,
        length: u16::try_from(INFO_LEN)?,
    };
    let bytes = transport.control(request, CONTROL_TIMEOUT)?;
    Ok(Info::parse(&bytes)?)
}

fn tell(address: &ReaderAddress, info: &Info) {
    println!("reader:     {address}");
    println!("kind:       OpenPalm reader, protocol {}", info.version);
    println!("model:      {}", info.model);
    println!("serial:     {}", info.serial);
    println!("firmware:   {}", info.firmware);
    println!(
        "shots:      up to {} a burst, {} LEDs a bank",
        info.shots_max, info.leds
    );
    println!(
        "exposure:   {} to {} us",
        info.exposure_us_min, info.exposure_us_max
    );
    println!("frame:      up to {} pixels", info.frame_pixels_max);
}

fn root(attestation: &Attestation) -> &'static str {
    if attestation.development {
        "by the development root, which anybody can use: not for payments"
    } else {
        "by a trusted root"
    }
}

pub(crate) fn attest(place: &mut Place) -> anyhow::Result<()> {
    let address = place.first()?;
    let reader = match place.open(&address) {
        Ok(reader) => reader,
        Err(ReaderError::NotTrusted(error)) => {
            println!("{address}: NOT attested");
            if let AttestError::FirmwareNotAllowed(digest) = error {
                println!("digest:           {}", Hex(&digest));
            }
            return Err(error.into());
        }
        Err(error) => return Err(Stop::from_reader(error)),
    };
    let attestation = reader.attestation();
    println!("{address}: attested, {}", root(attestation));
    println!("model:            {}", attestation.model);
    println!("serial:           {}", attestation.serial);
    println!("firmware:         {}", attestation.firmware);
    println!("security version: {}", attestation.security_version);
    println!("digest:           {}", Hex(&attestation.digest));
    Ok(())
}

pub(crate) fn self_test(place: &mut Place) -> anyhow::Result<()> {
    let address = place.first()?;
    let mut reader = place.open(&address).map_err(Stop::from_reader)?;
    place.begin()?;
    let found = reader.self_test().map_err(Stop::from_reader)?;
    for (bit, part) in SelfTest::PARTS.into_iter().enumerate() {
        let outcome = match (found.tried >> bit & 1, found.failed >> bit & 1) {
            (_, 1) => "FAILED",
            (1, _) => "good",
            _ => "not tried",
        };
        println!("{part}: {outcome}");
    }
    let centi = found.temperature_centi;
    println!("temperature: {}.{:02} C", centi / 100, (centi % 100).abs());
    println!("up since: {} s", found.uptime_ms / 1000);
    let tampered = if found.tampered { "YES" } else { "no" };
    println!("opened or moved since power-up: {tampered}");
    let failed: Vec<&str> = found.failures().collect();
    if !failed.is_empty() {
        bail!("{} failed: replace the reader", failed.join(", "));
    }
    if found.tampered {
        bail!("the reader was opened or moved: look at it, then unplug it and plug it in");
    }
    Ok(())
}

pub(crate) fn update(place: &mut Place, path: &Path) -> anyhow::Result<()> {
    let file = FirmwareFile::parse(&read(path)?).with_context(|| path.display().to_string())?;
    let manifest = file.manifest();
    let serial = match (place.first(), place.serial.clone()) {
        (Ok(address), _) => allow(place, &address, &file)?,
        (Err(_), Some(serial)) => {
            println!("no reader {serial} at work: looking for it in its loader");
            serial
        }
        (Err(error), None) => {
            return Err(error.context("for a reader in its loader, give its --serial"));
        }
    };
    let mut usb = UsbDfuBus;
    let mut emulated = place.emulator();
    let bus: &mut dyn DfuBus = match &mut emulated {
        Some(emulator) => emulator,
        None => &mut usb,
    };
    let mut told = 0;
    dfu::update(
        bus,
        &serial,
        &file,
        &SystemClock::new(),
        &mut |done, all| {
            let percent = done * 100 / all.max(1);
            if percent >= told + 10 || (done == all && told < 100) {
                told = percent;
                println!("{percent} %");
            }
        },
    )?;
    let digest = manifest.digest;
    let reader = returned(place, &serial)?;
    let runs = reader.attestation();
    if runs.digest != digest {
        bail!(
            "the reader still runs firmware {}: update it again",
            runs.firmware
        );
    }
    println!("runs firmware {}, {}", runs.firmware, vouched(runs));
    Ok(())
}

/// Asks a reader at work to take the file, and gives its serial number.
fn allow(
    place: &mut Place,
    address: &ReaderAddress,
    file: &FirmwareFile,
) -> anyhow::Result<String> {
    let mut reader = place.open(address).map_err(Stop::from_reader)?;
    let (runs, manifest) = (reader.attestation(), file.manifest());
    if runs.model != manifest.model {
        bail!(
            "the file is for {:?}, the reader is a {:?}",
            manifest.model,
            runs.model
        );
    }
    println!("{address}: {} -> {}", runs.firmware, manifest.version);
    place.begin()?;
    reader.allow_update().map_err(Stop::from_reader)?;
    Ok(reader.info().serial.clone())
}

/// The updated reader, once it is back.
fn returned(place: &mut Place, serial: &str) -> anyhow::Result<Reader> {
    let (clock, bell) = (SystemClock::new(), Bell::new());
    let mut last = ReaderError::Gone;
    for _ in 0..RETURN_STEPS {
        let readers = place.bus.list()?;
        let back = readers
            .iter()
            .find(|found| found.serial.as_deref() == Some(serial));
        match back.map(|address| place.open(address)) {
            Some(Ok(reader)) => return Ok(reader),
            Some(Err(error @ ReaderError::NotTrusted(_))) => return Err(Stop::from_reader(error)),
            Some(Err(error)) => last = error,
            None => {}
        }
        clock.wait(&bell, bell.rings(), RETURN_STEP);
    }
    Err(Stop::from_reader(last)).context("the reader was updated and did not come back")
}

impl Stop {
    /// What to tell about a reader that could not be used.
    pub(crate) fn from_reader(error: ReaderError) -> anyhow::Error {
        match error {
            ReaderError::Denied => Self::NoAccess.into(),
            ReaderError::NotTrusted(_) => anyhow::Error::new(error).context(
                "say whom to trust: --root and --allow-firmware, or --development for trying out",
            ),
            other => other.into(),
        }
    }

    pub(crate) fn from_transport(error: TransportError) -> anyhow::Error {
        Self::from_reader(error.into())
    }
}
