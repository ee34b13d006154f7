//! Cameras coming and going, as sysfs tells.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::device::Source;
use crate::clock::{Bell, Clock, Deadline, SystemClock};
use crate::hotplug::{Listing, Notices, ReaderAddress};
use crate::limits::{CAMERAS_MAX, USB_SETTLE_STEP, XU_SETTLE};
use crate::transport::TransportError;

const CLASS: &str = "/sys/class/video4linux";

/// Cameras of this machine that can be read: one for each node that captures.
pub struct CameraBus {
    notices: Option<Notices>,
    clock: SystemClock,
    /// Nobody rings it: what waits without notices waits on it.
    silence: Bell,
    /// Nodes that were looked at, by their place; opening one wakes the camera, so it is done once.
    known: BTreeMap<String, bool>,
}

impl fmt::Debug for CameraBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraBus(notices: {})", self.notices.is_some())
    }
}

impl Default for CameraBus {
    fn default() -> Self {
        Self::new()
    }
}

impl CameraBus {
    /// The machine's cameras.
    #[must_use]
    pub fn new() -> Self {
        Self {
            notices: Notices::open().ok(),
            clock: SystemClock::new(),
            silence: Bell::new(),
            known: BTreeMap::new(),
        }
    }
}

impl Listing for CameraBus {
    fn list(&mut self) -> Result<Vec<ReaderAddress>, TransportError> {
        let found = all();
        self.known
            .retain(|place, _| found.iter().any(|camera| camera.address().path == *place));
        let mut cameras = Vec::new();
        for camera in found {
            let address = camera.address();
            let is_camera = *self
                .known
                .entry(address.path.clone())
                .or_insert_with(|| Source::is_camera(&camera.node));
            if is_camera {
                cameras.push(address);
            }
        }
        Ok(cameras)
    }

    fn wait_change(&mut self, timeout: Duration) -> bool {
        match &self.notices {
            Some(notices) => notices.wait(timeout),
            None => {
                self.clock
                    .wait(&self.silence, self.silence.rings(), timeout);
                false
            }
        }
    }
}

/// One node of a camera, as sysfs describes it.
pub(super) struct Found {
    pub(super) node: PathBuf,
    pub(super) name: String,
    pub(super) usb: Option<(u16, u16)>,
    /// Bus and device number on USB.
    pub(super) usb_place: Option<(u8, u8)>,
    serial: Option<String>,
    index: String,
}

impl Found {
    /// Plugged in again, it has another device number and so another address.
    pub(super) fn address(&self) -> ReaderAddress {
        let place = match self.usb_place {
            Some((bus, device)) => format!("usb bus {bus} device {device}"),
            None => self.node.display().to_string(),
        };
        ReaderAddress {
            path: format!("camera {} {place}", self.index),
            serial: self.serial.clone(),
        }
    }
}

fn all() -> Vec<Found> {
    let Ok(entries) = fs::read_dir(CLASS) else {
        return Vec::new(); // A machine without cameras.
    };
    let mut found: Vec<Found> = entries
        .flatten()
        .take(CAMERAS_MAX)
        .filter_map(|entry| describe(&entry.path()))
        .collect();
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

fn describe(folder: &Path) -> Option<Found> {
    let own = folder.file_name()?.to_str()?;
    if !own.starts_with("video") {
        return None; // Radio, sub-devices, teletext.
    }
    let said = |path: PathBuf| Some(fs::read_to_string(path).ok()?.trim().to_owned());
    // The interface's device is the USB device.
    let device = fs::canonicalize(folder.join("device/..")).ok();
    let of_device = |name: &str| said(device.as_ref()?.join(name));
    let hex = |name| u16::from_str_radix(&of_device(name)?, 16).ok();
    let number = |name| of_device(name)?.parse::<u8>().ok();
    Some(Found {
        node: Path::new("/dev").join(own),
        name: said(folder.join("name"))?,
        usb: hex("idVendor").zip(hex("idProduct")),
        usb_place: number("busnum").zip(number("devnum")),
        serial: of_device("serial"),
        index: said(folder.join("index")).unwrap_or_default(),
    })
}

pub(super) fn find(address: &ReaderAddress) -> Option<Found> {
    all()
        .into_iter()
        .find(|camera| camera.address() == *address)
}

/// The same after its driver was away for a moment.
pub(super) fn find_again(address: &ReaderAddress, clock: &dyn Clock) -> Option<Found> {
    let deadline = Deadline::after(clock, XU_SETTLE);
    loop {
        // The node in /dev comes a moment after its description.
        if let Some(found) = find(address).filter(|camera| camera.node.exists()) {
            return Some(found);
        }
        let left = deadline.left(clock)?;
        clock.wait(&Bell::new(), 0, USB_SETTLE_STEP.min(left));
    }
}
