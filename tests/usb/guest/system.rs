//! The system round the driver: rights given by the shipped udev rule, notices of a real udev daemon, sleep.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use palm_driver::hotplug::{Change, Watch};
use palm_driver::usb::UsbBus;
use palm_driver::{Bus, CancelToken, Listing, ReaderError, TransportError};

use crate::Case;
use crate::rig::{PATIENCE, Rig, SERIAL, capture, greet, plan, sysfs, timed, wait_for};

pub(crate) const CASES: &[Case] = &[
    (
        "idle_reader_sleeps_and_wakes_when_it_is_opened",
        runtime_suspend,
    ),
    (
        "rule_lets_its_group_use_the_reader_and_nobody_else",
        permissions,
    ),
    (
        "reader_opened_before_the_rule_was_applied_is_waited_for",
        permissions_in_time,
    ),
    (
        "arrivals_and_departures_are_told_beside_a_udev_daemon",
        with_udevd,
    ),
];

/// `vhci-hcd` refuses to sleep while something is plugged in; a real controller does not.
pub(crate) const XHCI_CASES: &[Case] = &[
    (
        "idle_reader_sleeps_and_wakes_when_it_is_opened",
        runtime_suspend,
    ),
    (
        "open_reader_survives_the_sleep_of_the_machine",
        system_suspend,
    ),
];

/// The group of the shipped rule, as the image's `/etc/group` numbers it.
const PLUGDEV: u32 = 46;
const CLERK: u32 = 1000;
const GUEST: u32 = 1001;

/// A udev daemon that is ended with its case.
struct Udevd(Child);

impl Udevd {
    fn start() -> anyhow::Result<Self> {
        let daemon = Command::new("/bin/udevadm")
            .arg0("/lib/systemd/systemd-udevd")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("no udev daemon")?;
        let daemon = Self(daemon);
        wait_for("the udev daemon", || {
            Ok(fs::exists("/run/udev/control")?.then_some(()))
        })?;
        Ok(daemon)
    }

    fn settle() -> anyhow::Result<()> {
        let status = Command::new("/bin/udevadm")
            .args(["settle", "--timeout=10"])
            .status()?;
        ensure!(status.success(), "udevadm settle: {status}");
        Ok(())
    }
}

impl Drop for Udevd {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.0.kill());
        drop(self.0.wait());
        drop(fs::remove_file("/run/udev/control"));
    }
}

/// `try-open`, run as somebody else.
fn as_user(user: u32, group: u32) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("try-open").uid(user).gid(group).spawn()
}

fn status(mut child: Child) -> anyhow::Result<i32> {
    child.wait()?.code().context("ended by a signal")
}

/// Opens and greets the first reader, at the moment it is listed: status 0, or 4 when it is denied.
#[expect(clippy::exit, reason = "the status is the answer")]
pub(crate) fn try_open() -> anyhow::Result<bool> {
    let mut bus = UsbBus::new();
    let address = wait_for("a reader", || Ok(bus.list()?.into_iter().next()))?;
    match bus.open(&address) {
        Ok(transport) => {
            greet(transport)?;
            Ok(true)
        }
        Err(TransportError::Denied) => std::process::exit(4),
        Err(error) => Err(error.into()),
    }
}

fn permissions(rig: &mut Rig) -> anyhow::Result<()> {
    let _udevd = Udevd::start()?;
    rig.plug()?;
    Udevd::settle()?;
    let other = status(as_user(GUEST, GUEST)?)?;
    ensure!(other == 4, "somebody else: status {other}");
    let group = status(as_user(CLERK, PLUGDEV)?)?;
    ensure!(group == 0, "a member of the group: status {group}");
    Ok(())
}

/// The kernel lists a device before the daemon has given it to its group.
fn permissions_in_time(rig: &mut Rig) -> anyhow::Result<()> {
    let _udevd = Udevd::start()?;
    for round in 0..3 {
        let waiting = as_user(CLERK, PLUGDEV)?;
        rig.plug_unseen()?;
        let opened = status(waiting)?;
        ensure!(opened == 0, "round {round}: status {opened}");
        rig.clear()?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a figure for the log")]
fn with_udevd(rig: &mut Rig) -> anyhow::Result<()> {
    let _udevd = Udevd::start()?;
    let mut watch = Watch::new(Box::new(UsbBus::new()));
    let mut next = || {
        watch
            .next_change(PATIENCE, &CancelToken::new())?
            .context("no news")
    };
    rig.plug_unseen()?;
    let (arrived, to_arrive) = timed(&mut next);
    let Change::Arrived(address) = arrived? else {
        bail!("something left first");
    };
    rig.unplug()?;
    let (left, to_leave) = timed(&mut next);
    ensure!(left? == Change::Left(address), "another one left");
    println!("    arrival told after {to_arrive:.0?}, departure after {to_leave:.0?}");
    Ok(())
}

fn runtime_suspend(rig: &mut Rig) -> anyhow::Result<()> {
    rig.plug()?;
    rig.say("PALM 7")?;
    let power = sysfs(SERIAL)?.join("power");
    fs::write(power.join("autosuspend_delay_ms"), "0")?;
    fs::write(power.join("control"), "auto")?;
    for _ in 0..3 {
        wait_for("the reader's sleep", || {
            let status = fs::read_to_string(power.join("runtime_status"))?;
            Ok((status.trim() == "suspended").then_some(()))
        })?;
        let mut reader = rig.reader()?;
        rig.burst(&mut reader)?;
    }
    Ok(())
}

/// The whole machine's devices go to sleep and wake up again while the reader is open.
fn system_suspend(rig: &mut Rig) -> anyhow::Result<()> {
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    rig.burst(&mut reader)?;
    // Devices only: they are put to sleep, the kernel waits, and wakes them.
    fs::write("/sys/power/pm_test", "devices")?;
    fs::write("/sys/module/suspend/parameters/pm_test_delay", "1").unwrap_or_default();
    fs::write("/sys/power/state", "mem").context("the machine does not sleep")?;
    fs::write("/sys/power/pm_test", "none")?;
    let after = match capture(&mut reader, &plan()) {
        Ok(frames) => rig.film.check(7, &plan(), &frames),
        // The reader lost power with the port: it is plugged in anew, as far as the kernel is concerned.
        Err(ReaderError::Gone) => {
            drop(reader);
            wait_for("the reader after the sleep", || rig.address())?;
            let mut reader = rig.reader()?;
            return rig.burst(&mut reader);
        }
        Err(error) => Err(error.into()),
    };
    after?;
    rig.burst(&mut reader)
}
