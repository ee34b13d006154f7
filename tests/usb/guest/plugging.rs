//! Readers coming and going, several at once, and what only a kernel shows: claims, configurations, notices.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use palm_driver::hotplug::{Bus, Change, Listing, Watch};
use palm_driver::transport::Recovery;
use palm_driver::usb::UsbBus;
use palm_driver::usbip::vhci::{self, Plugged};
use palm_driver::{CancelToken, ReaderAddress, ReaderError, TransportError};

use crate::Case;
use crate::rig::{
    PATIENCE, Rig, SERIAL, capture, emulator, greet, pause, plan, sysfs, timed, wait_for,
};

pub(crate) const CASES: &[Case] = &[
    (
        "arrivals_and_departures_are_told_without_a_udev_daemon",
        without_udevd,
    ),
    (
        "reader_opened_the_moment_it_is_listed_is_waited_for",
        listed_before_configured,
    ),
    (
        "unconfigured_reader_is_waited_for_and_not_for_ever",
        unconfigured,
    ),
    ("claimed_reader_is_denied_until_it_is_released", claims),
    ("two_readers_work_at_once_and_one_leaves", two_readers),
    ("fault_for_an_unplug_is_told_as_gone", faults_for_unplugs),
    ("reader_detached_by_the_kernel_is_gone", detached),
];

fn change(watch: &mut Watch<UsbBus>, what: &str) -> anyhow::Result<Change> {
    watch
        .next_change(PATIENCE, &CancelToken::new())?
        .with_context(|| format!("no news of {what}"))
}

#[expect(clippy::print_stdout, reason = "a figure for the log")]
fn without_udevd(rig: &mut Rig) -> anyhow::Result<()> {
    let mut watch = Watch::new(Box::new(UsbBus::new()));
    for _ in 0..3 {
        rig.plug_unseen()?;
        let (arrived, to_arrive) = timed(|| change(&mut watch, "the arrival"));
        let Change::Arrived(address) = arrived? else {
            bail!("something left first");
        };
        let mut reader = greet(watch.open(&address)?)?;
        rig.unplug()?;
        let (left, to_leave) = timed(|| change(&mut watch, "the departure"));
        ensure!(left? == Change::Left(address), "another one left");
        let heard = reader.next_event(Duration::from_millis(1));
        ensure!(heard == Err(ReaderError::Gone), "{heard:?}");
        println!("    arrival told after {to_arrive:.0?}, departure after {to_leave:.0?}");
    }
    Ok(())
}

/// `nusb`'s trap: a device is listed before it is configured.
fn listed_before_configured(rig: &mut Rig) -> anyhow::Result<()> {
    for round in 0..if rig.is_long { 200 } else { 15 } {
        rig.plug_unseen()?;
        // Without a pause, so that the earliest moment is met.
        let mut looks = 0_u32;
        let address = loop {
            if let Some(address) = rig.address()? {
                break address;
            }
            looks += 1;
            ensure!(looks < 2_000_000, "round {round}: never listed");
        };
        let mut transport = rig
            .bus
            .open(&address)
            .with_context(|| format!("round {round}"))?;
        transport.recover(Recovery::ClearHalt)?;
        drop(transport);
        rig.clear()?;
    }
    Ok(())
}

fn unconfigured(rig: &mut Rig) -> anyhow::Result<()> {
    let address = rig.plug()?;
    let configuration = sysfs(SERIAL)?.join("bConfigurationValue");
    fs::write(&configuration, "-1")?;
    let (opened, took) = timed(|| rig.bus.open(&address).map(drop));
    ensure!(opened == Err(TransportError::Fault), "{opened:?}");
    ensure!(took < PATIENCE, "given up after {took:?}");
    let later = std::thread::spawn(move || {
        pause(Duration::from_millis(100));
        fs::write(&configuration, "1")
    });
    let opened = rig.bus.open(&address);
    later.join().ok().context("the other thread panicked")??;
    let mut reader = greet(opened?)?;
    rig.say("PALM 7")?;
    rig.burst(&mut reader)
}

fn claims(rig: &mut Rig) -> anyhow::Result<()> {
    let address = rig.plug()?;
    let first = rig.bus.open(&address)?;
    for _ in 0..3 {
        let second = rig.bus.open(&address).map(drop);
        ensure!(second == Err(TransportError::Denied), "{second:?}");
    }
    // The refused ones have not taken the first one's claim with them.
    let mut reader = greet(first)?;
    rig.say("PALM 7")?;
    rig.burst(&mut reader)?;
    drop(reader);
    drop(rig.bus.open(&address)?);
    Ok(())
}

fn by_serial(bus: &mut UsbBus, serial: &str) -> anyhow::Result<ReaderAddress> {
    wait_for(serial, || {
        let readers = bus.list()?;
        Ok(readers
            .into_iter()
            .find(|reader| reader.serial.as_deref() == Some(serial)))
    })
}

fn two_readers(rig: &mut Rig) -> anyhow::Result<()> {
    let film = rig.film.clone();
    let other = emulator("RIG-2", &film);
    let plugged = Plugged::new(other.gadget().context("the second reader is taken")?)?;
    let mut first = rig.reader()?;
    let address = by_serial(&mut rig.bus, "RIG-2")?;
    let mut second = greet(rig.bus.open(&address)?)?;
    rig.say("PALM 7")?;
    other.run_line("PALM 8")?;
    let parallel = std::thread::spawn(move || -> anyhow::Result<_> {
        for _ in 0..5 {
            let frames = capture(&mut second, &plan())?;
            film.check(8, &plan(), &frames)?;
        }
        Ok(second)
    });
    for _ in 0..5 {
        rig.burst(&mut first)?;
    }
    let mut second = parallel
        .join()
        .ok()
        .context("the other thread panicked")??;
    drop(plugged);
    let gone = second.next_event(PATIENCE);
    let gone = match gone {
        Ok(Some(_)) => second.next_event(PATIENCE), // The hand that was raised before.
        other => other,
    };
    ensure!(
        !matches!(gone, Ok(None)),
        "the second one's departure is not told"
    );
    rig.burst(&mut first)
}

/// About half of all unplugs in the middle of a stream look like a bus fault first.
#[expect(clippy::print_stdout, reason = "a figure for the log")]
fn faults_for_unplugs(rig: &mut Rig) -> anyhow::Result<()> {
    let (mut faults, mut departures) = (0, 0);
    for _ in 0..if rig.is_long { 100 } else { 10 } {
        let address = rig.plug()?;
        let mut transport = rig.bus.open(&address)?;
        let nothing = transport.bulk_in(Duration::from_millis(1)).map(drop);
        ensure!(nothing == Err(TransportError::TimedOut), "{nothing:?}");
        vhci::detach(rig.port()?)?;
        match transport.bulk_in(PATIENCE).map(drop) {
            Err(TransportError::Fault) => faults += 1,
            Err(TransportError::Disconnected) => departures += 1,
            other => bail!("{other:?}"),
        }
        let told = wait_for("the word that it is gone", || {
            Ok(transport.recover(Recovery::ClearHalt).err())
        })?;
        ensure!(told == TransportError::Disconnected, "{told:?}");
        drop(transport);
        rig.clear()?;
    }
    println!("    pending reads ended by a fault: {faults}, as disconnected: {departures}");
    Ok(())
}

fn detached(rig: &mut Rig) -> anyhow::Result<()> {
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    rig.burst(&mut reader)?;
    vhci::detach(rig.port()?)?;
    let outcome = capture(&mut reader, &plan()).map(drop);
    ensure!(outcome == Err(ReaderError::Gone), "{outcome:?}");
    let outcome = reader.ping();
    ensure!(outcome == Err(ReaderError::Gone), "{outcome:?}");
    Ok(())
}
