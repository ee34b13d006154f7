//! Any UVC or V4L2 camera as a reader of a second class: frames of the same type, weaker promises.
//!
//! A camera photographs a hand as well as it can. What it does not do, and no program can add:
//!
//! - it does not prove who it is: another program or device can feed pictures in its place ([`Promises::attested`]);
//! - its light, if it has any, follows no code drawn by the host: a film of a hand looks like a hand;
//! - no payment id is bound to its pictures, and nothing says that its case was opened.
//!
//! So whoever takes payments has to allow it by name (the till's `reader.accept_unattested`). Presence is told from
//! differences between frames ([`presence`]); formats are GREY, Y16, YUYV and MJPG ([`decode`]); exposure and lamp are
//! set as a quirk file tells by USB id ([`quirks`]). Calls block and have deadlines, like those of
//! [`crate::session::Reader`], and one thread owns a camera.

pub mod decode;
mod device;
mod list;
pub mod presence;
pub mod quirks;

use crate::Wiped;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::burst::{Frame, LEDS_ALL, Light, Shot};
use crate::clock::{Clock, Deadline};
use crate::hotplug::ReaderAddress;
use crate::limits::{CAMERA_SILENCE, CANCEL_SLICE};
use crate::protocol::HandState;
use crate::session::{CancelToken, Event, ReaderError};
use crate::transport::TransportError;
use decode::PixelFormat;
use device::Source;
use presence::Presence;
use quirks::{Lamp, Quirk, Quirks};

pub use list::CameraBus;

/// What a reader's make can be relied on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promises {
    /// It proves its make, its firmware and that its pictures are its own.
    pub attested: bool,
    /// Its light follows a code that the host drew for this capture.
    pub led_code: bool,
    /// It tells when its case is opened.
    pub tamper: bool,
}

/// What is known of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraInfo {
    /// What the kernel calls it.
    pub model: String,
    /// Its serial number, or the place where it is plugged in.
    pub serial: String,
    /// Vendor and product id, of a USB camera.
    pub usb: Option<(u16, u16)>,
    /// Columns and rows of its frames.
    pub size: (u32, u32),
    /// How its frames are encoded.
    pub format: PixelFormat,
    /// The light of its pictures, as the quirk says; visible for a camera without one.
    pub light: Light,
    /// Whether a quirk is known for it.
    pub is_known: bool,
}

impl CameraInfo {
    /// What it can be relied on for: nothing.
    #[must_use]
    pub fn promises(&self) -> Promises {
        Promises {
            attested: false,
            led_code: false,
            tamper: false,
        }
    }
}

impl fmt::Display for CameraInfo {
    /// As `palm-reader info` prints it, several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        writeln!(f, "camera: {}", self.model)?;
        writeln!(f, "serial: {}", self.serial)?;
        if let Some((vendor, product)) = self.usb {
            let quirk = if self.is_known { "known" } else { "no quirk" };
            writeln!(f, "usb: {vendor:04x}:{product:04x} ({quirk})")?;
        }
        writeln!(
            f,
            "frames: {width} x {height} {}, {:?}",
            self.format, self.light
        )?;
        f.write_str(
            "promises: not attested; no LED code; no tamper switch. A till takes payments with it only under \
             reader.accept_unattested",
        )
    }
}

/// An open camera that streams.
#[derive(Debug)]
pub struct Camera {
    source: Source,
    info: CameraInfo,
    quirk: Quirk,
    presence: Presence,
    clock: Arc<dyn Clock>,
    /// The last frame in grey.
    grey: Wiped,
}

impl Camera {
    /// Opens the camera at `address` and lets it stream.
    ///
    /// # Errors
    /// `Gone` when it has left, `Denied` without rights or while another program streams, `Fault` when it has no format
    /// that is read here (GREY, Y16, YUYV, MJPG).
    pub fn open(
        address: &ReaderAddress,
        quirks: &Quirks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ReaderError> {
        let found = list::find(address).ok_or(ReaderError::Gone)?;
        let known = found.usb.and_then(|id| quirks.of(id)).cloned();
        Self::open_found(found, address, known, clock)
    }

    /// As [`Self::open`], under this quirk whatever the camera's id.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        address: &ReaderAddress,
        quirk: Quirk,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ReaderError> {
        let found = list::find(address).ok_or(ReaderError::Gone)?;
        Self::open_found(found, address, Some(quirk), clock)
    }

    fn open_found(
        mut found: list::Found,
        address: &ReaderAddress,
        known: Option<Quirk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ReaderError> {
        let is_known = known.is_some();
        let quirk = known.unwrap_or_default();
        if let (Some(Lamp::Unit(unit)), Some(place)) = (&quirk.lamp, &found.usb_place) {
            // Through the kernel's back door: its camera driver steps aside for a moment.
            crate::usb::unit::send(place, unit)?;
            found = list::find_again(address, &*clock).ok_or(ReaderError::Gone)?;
        }
        let source = Source::open(&found.node, &quirk)?;
        let info = CameraInfo {
            model: found.name,
            serial: address
                .serial
                .clone()
                .unwrap_or_else(|| address.path.clone()),
            usb: found.usb,
            size: source.size(),
            format: source.format(),
            light: quirk.light.into(),
            is_known,
        };
        tracing::info!(model = info.model, "camera open");
        Ok(Self {
            source,
            info,
            quirk,
            presence: Presence::new(),
            clock,
            grey: Wiped::default(),
        })
    }

    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> &CameraInfo {
        &self.info
    }

    /// Waits for a change of the hand; `None` when nothing changed in `timeout`.
    ///
    /// # Errors
    /// [`ReaderError::Gone`] after an unplug, `TimedOut` when no frame has come for [`CAMERA_SILENCE`], `Fault` when
    /// its frames cannot be read.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>, ReaderError> {
        let deadline = Deadline::after(&*self.clock, timeout);
        loop {
            let left = deadline.left(&*self.clock).unwrap_or_default();
            match self.photograph(left) {
                Ok(()) => {}
                Err(ReaderError::TimedOut) if left < CAMERA_SILENCE => return Ok(None),
                Err(error) => return Err(error),
            }
            let change = self.presence.look(&self.grey, self.info.size);
            if let Some(state) = change {
                return Ok(Some(Event::Hand(state)));
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// How the hand is placed, as far as a camera can tell: absent, moving or present.
    #[must_use]
    pub fn hand(&self) -> HandState {
        self.presence.state()
    }

    /// Photographs one burst: with the lamp off and on where the lamp obeys, else one frame.
    ///
    /// # Errors
    /// [`ReaderError`]; after every error but `Gone` it can be used again.
    pub fn capture(
        &mut self,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<Vec<Frame>, ReaderError> {
        let deadline = Deadline::after(&*self.clock, timeout);
        let lit = Shot {
            light: self.info.light,
            led_mask: if self.info.light == Light::Ambient {
                0
            } else {
                LEDS_ALL
            },
            exposure_us: self.quirk.exposure_us,
        };
        let dark = Shot {
            light: Light::Ambient,
            led_mask: 0,
            ..lit
        };
        let obeys = matches!(self.quirk.lamp, Some(Lamp::Control(_)));
        let shots: &[Shot] = if obeys { &[dark, lit] } else { &[lit] };
        let taken = shots
            .iter()
            .map(|shot| self.shoot(*shot, obeys, deadline, cancel))
            .collect();
        if obeys {
            // Presence is told under light, whatever became of the burst.
            self.source.lamp(&self.quirk, true)?;
        }
        taken
    }

    fn shoot(
        &mut self,
        shot: Shot,
        obeys: bool,
        deadline: Deadline,
        cancel: &CancelToken,
    ) -> Result<Frame, ReaderError> {
        let mut skipped = 0;
        if obeys {
            self.source.lamp(&self.quirk, shot.led_mask != 0)?;
            // Frames that were on their way before the lamp changed.
            skipped = self.quirk.settle_frames;
        }
        for _ in 0..=skipped {
            self.frame_before(deadline, cancel)?;
        }
        let (width, height) = self.info.size;
        let pixels = self.grey.to_vec();
        Frame::new(shot, width, height, pixels).map_err(|_| ReaderError::Fault)
    }

    fn frame_before(
        &mut self,
        deadline: Deadline,
        cancel: &CancelToken,
    ) -> Result<(), ReaderError> {
        loop {
            if cancel.is_cancelled() {
                return Err(ReaderError::Cancelled);
            }
            let left = deadline.left(&*self.clock).ok_or(ReaderError::TimedOut)?;
            match self.photograph(left.min(CANCEL_SLICE)) {
                Err(ReaderError::TimedOut) => {}
                outcome => return outcome,
            }
        }
    }

    /// The next whole frame, into `grey`. Damaged ones are passed over.
    fn photograph(&mut self, timeout: Duration) -> Result<(), ReaderError> {
        const DAMAGED_MAX: usize = 30;
        for _ in 0..DAMAGED_MAX {
            match self.source.next(timeout, &mut self.grey) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(TransportError::Fault | TransportError::Stalled) => {
                    return Err(ReaderError::Fault);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ReaderError::Fault)
    }
}

#[cfg(test)]
mod tests;
