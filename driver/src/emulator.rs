//! A palm reader without hardware: its firmware in Rust, *below* the [`Transport`] seam.
//!
//! The emulated reader speaks the wire protocol byte for byte, in USB packets, so that everything
//! above runs as it does on a real one. It is told what happens to it by lines (see [`script`]),
//! from any thread, through an [`EmulatorHandle`]; what its lens sees comes from a [`Sensor`].
//!
//! It has no thread of its own: the firmware runs inside the calls made on it, so that a run is
//! the same each time. A picture is therefore rendered inside a transport call, which may exceed
//! that call's timeout by the time the sensor takes.
//!
//! It proves itself by the development root ([`crate::maker`]), or by a maker's if it was born so, and takes firmware
//! by DFU.
//!
//! Not here: cabling to a kernel ([`crate::usbip`] has it). The firmware knows nothing of this module's handle and
//! transport; another way in is another caller of `device`.

mod device;
mod faults;
mod firmware;
mod flash;
mod gadget;
mod loader;
mod pipe;
pub mod script;
pub mod sensor;

use crate::Wiped;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Bell, Clock, SystemClock};
use crate::dfu::{DfuBus, DfuPort, Mode};
use crate::hotplug::{Bus, Listing, ReaderAddress};
use crate::limits::EMULATED_TRANSFER_LEN;
use crate::maker::{Birth, Maker};
use crate::protocol::Pattern;
use crate::transport::{BulkRead, Control, Recovery, Transport, TransportError};
use device::{Claim, Device};
pub use flash::emulator_firmware;
use script::{Line, ScriptError};
use sensor::Sensor;

/// What tells one emulated reader from another.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// Serial number, up to 24 printable ASCII characters; longer ones are cut.
    pub serial: String,
    /// The reader's time; a session on another clock would disagree about deadlines.
    pub clock: Arc<dyn Clock>,
}

/// Holds an emulated reader. Clones hold the same one.
#[derive(Clone)]
pub struct EmulatorHandle {
    shared: Arc<Shared>,
}

struct Shared {
    device: Mutex<Device>,
    clock: Arc<dyn Clock>,
    bell: Arc<Bell>,
    serial: String,
}

impl Shared {
    fn device(&self) -> MutexGuard<'_, Device> {
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        device.advance(self.clock.now());
        device
    }
}

impl EmulatorHandle {
    /// A reader that is plugged in and sees nothing, on the machine's clock, serial `EMULATED-1`.
    #[must_use]
    pub fn new(sensor: Box<dyn Sensor>) -> Self {
        let serial = "EMULATED-1".to_owned();
        Self::with_config(
            sensor,
            EmulatorConfig {
                serial,
                clock: Arc::new(SystemClock::new()),
            },
        )
    }

    /// A development reader with a serial number and a clock of the caller's.
    #[must_use]
    pub fn with_config(sensor: Box<dyn Sensor>, config: EmulatorConfig) -> Self {
        let serial: String = config
            .serial
            .chars()
            .filter(|c| (' '..='~').contains(c))
            .take(24)
            .collect();
        let birth = Maker::development().device(&serial);
        Self::born(sensor, birth, config)
    }

    /// A reader of a maker's, under whose root it proves itself. Its serial number is the certificate's.
    #[must_use]
    pub fn born(sensor: Box<dyn Sensor>, birth: Birth, config: EmulatorConfig) -> Self {
        let EmulatorConfig { clock, .. } = config;
        let serial = birth.device.serial.clone();
        let device = Mutex::new(Device::new(sensor, birth));
        Self {
            shared: Arc::new(Shared {
                device,
                clock,
                bell: Arc::new(Bell::new()),
                serial,
            }),
        }
    }

    /// Obeys one script line. Blank lines and `# comments` do nothing.
    ///
    /// # Errors
    /// [`ScriptError`] says what is allowed; nothing happened then.
    pub fn run_line(&self, line: &str) -> Result<(), ScriptError> {
        self.run_script(line)
    }

    /// Obeys a script, all lines or none. Lines after a `SLEEP` wait their turn inside the reader.
    ///
    /// # Errors
    /// [`ScriptError`] names the line.
    pub fn run_script(&self, script: &str) -> Result<(), ScriptError> {
        let lines = script::parse(script)?;
        for (number, line) in &lines {
            check_picture(*number, line)?;
        }
        let mut device = self.shared.device();
        if !device.has_room_for(lines.len()) {
            return Err(ScriptError::full(lines.len()));
        }
        device.enqueue_lines(
            lines.into_iter().map(|(_, line)| line),
            self.shared.clock.now(),
        );
        drop(device);
        self.shared.bell.ring();
        Ok(())
    }

    /// Claims the reader; `None` while it is unplugged or somebody else holds it.
    #[must_use]
    pub fn transport(&self) -> Option<EmulatedTransport> {
        self.claim().ok()
    }

    /// The reader as a USB device that a cable can serve ([`crate::usbip`]), in DFU mode as what it is then; `None`
    /// while it is unplugged or somebody else holds it. After it was unplugged and plugged in again, or left the bus
    /// for an update and came back, ask for a new one.
    #[must_use]
    pub fn gadget(&self) -> Option<Box<dyn crate::usbip::Gadget>> {
        let claimed = self.shared.device().claim_whole().ok()?;
        let shared = Arc::clone(&self.shared);
        Some(Box::new(gadget::ReaderGadget::new(shared, claimed)))
    }

    /// Where it is plugged in; `None` while unplugged.
    #[must_use]
    pub fn address(&self) -> Option<ReaderAddress> {
        let plug = self.shared.device().plug()?;
        let serial = self.shared.serial.clone();
        Some(ReaderAddress {
            path: format!("emulated {serial} plug {plug}"),
            serial: Some(serial),
        })
    }

    /// The light and tone it was last asked for; `None` since power-up.
    #[must_use]
    pub fn shown(&self) -> Option<Pattern> {
        self.shared.device().shown()
    }

    /// Whether every line has had its effect and every event was read.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shared.device().is_idle()
    }

    /// Where the device stands, in a few numbers: for tests that count what they have seen.
    #[cfg(test)]
    pub(crate) fn standing(&self) -> Vec<u8> {
        let device = self.shared.device.lock();
        device.unwrap_or_else(PoisonError::into_inner).standing()
    }

    fn claim(&self) -> Result<EmulatedTransport, TransportError> {
        let claim = self.shared.device().claim()?;
        let shared = Arc::clone(&self.shared);
        Ok(EmulatedTransport {
            shared,
            claim,
            received: Wiped::default(),
        })
    }
}

impl fmt::Debug for EmulatorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmulatorHandle({})", self.shared.serial)
    }
}

/// A picture that cannot be shown is refused when the line is given, not in the next capture.
fn check_picture(number: usize, line: &Line) -> Result<(), ScriptError> {
    match line {
        Line::Image(path) => crate::picture::read_grey(path)
            .map(drop)
            .map_err(|error| ScriptError::picture(number, error)),
        _ => Ok(()),
    }
}

/// The claimed interface of an emulated reader. Dropping it releases the claim.
pub struct EmulatedTransport {
    shared: Arc<Shared>,
    claim: Claim,
    received: Wiped,
}

impl fmt::Debug for EmulatedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmulatedTransport({})", self.shared.serial)
    }
}

impl EmulatedTransport {
    /// Tries until the device answers or `timeout` passes, sleeping until something changes.
    fn until<T>(
        &self,
        timeout: Duration,
        mut attempt: impl FnMut(&mut Device) -> Option<Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let Shared { clock, bell, .. } = &*self.shared;
        let deadline = clock.now().saturating_add(timeout);
        loop {
            let seen = bell.rings();
            let mut device = self.shared.device();
            device.check(self.claim)?;
            if let Some(outcome) = attempt(&mut device) {
                return outcome;
            }
            let wake = device.wakes_at().unwrap_or(deadline);
            drop(device);
            let now = clock.now();
            if now >= deadline {
                return Err(TransportError::TimedOut);
            }
            clock.wait(bell, seen, wake.min(deadline).saturating_sub(now));
        }
    }
}

impl Transport for EmulatedTransport {
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError> {
        let now = self.shared.clock.now();
        self.until(timeout, |device| device.bulk_out(message, now))
    }

    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError> {
        let (bytes, last) = self.until(timeout, |device| device.bulk_in(EMULATED_TRANSFER_LEN))?;
        self.received = bytes;
        Ok(BulkRead {
            bytes: &self.received,
            last,
        })
    }

    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        let event = self.until(timeout, Device::interrupt_in)?;
        self.received = Wiped::from(event.to_vec());
        Ok(&self.received)
    }

    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        self.until(timeout, |device| device.control(request))
    }

    fn recover(&mut self, step: Recovery) -> Result<(), TransportError> {
        let mut device = self.shared.device();
        device.check(self.claim)?;
        device.recover(step, self.shared.clock.now());
        Ok(())
    }
}

impl Drop for EmulatedTransport {
    fn drop(&mut self) {
        self.shared.device().release(self.claim);
    }
}

/// The DFU interface of one plugging-in of an emulated reader.
struct EmulatedDfu {
    shared: Arc<Shared>,
    plug: Claim,
}

impl fmt::Debug for EmulatedDfu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmulatedDfu({})", self.shared.serial)
    }
}

impl DfuPort for EmulatedDfu {
    fn send(
        &mut self,
        request: u8,
        value: u16,
        data: &[u8],
        _: Duration,
    ) -> Result<(), TransportError> {
        let now = self.shared.clock.now();
        let sent = self
            .shared
            .device()
            .dfu_send(self.plug, (request, value), data, now);
        self.shared.bell.ring(); // it may have left the bus
        sent
    }

    fn receive(
        &mut self,
        request: u8,
        length: u16,
        _: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        let mut bytes = self.shared.device().dfu_receive(self.plug, request)?;
        bytes.truncate(usize::from(length));
        self.shared.bell.ring();
        Ok(bytes)
    }
}

impl DfuBus for EmulatorHandle {
    fn open(&mut self, serial: &str, mode: Mode) -> Result<Box<dyn DfuPort>, TransportError> {
        let plug = self.shared.device().dfu(mode);
        match plug {
            Some(plug) if self.shared.serial == serial => Ok(Box::new(EmulatedDfu {
                shared: Arc::clone(&self.shared),
                plug,
            })),
            _ => Err(TransportError::Disconnected),
        }
    }
}

/// A bus with emulated readers on it.
#[derive(Debug)]
pub struct EmulatedBus {
    readers: Vec<EmulatorHandle>,
    /// Rings of all bells together when the bus was last listed.
    seen: u64,
}

impl EmulatedBus {
    /// A bus with these readers; those unplugged are not listed. The readers share one clock.
    #[must_use]
    pub fn new(readers: Vec<EmulatorHandle>) -> Self {
        Self { readers, seen: 0 }
    }

    fn rings(&self) -> u64 {
        self.readers.iter().fold(0, |sum, reader| {
            sum.wrapping_add(reader.shared.bell.rings())
        })
    }
}

impl Listing for EmulatedBus {
    fn list(&mut self) -> Result<Vec<ReaderAddress>, TransportError> {
        self.seen = self.rings();
        Ok(self
            .readers
            .iter()
            .filter_map(EmulatorHandle::address)
            .collect())
    }

    fn wait_change(&mut self, timeout: Duration) -> bool {
        let Some(EmulatorHandle { shared }) = self.readers.first() else {
            return false;
        };
        // Waiting on one bell is enough: `timeout` is a slice, and the rings of all are counted.
        let seen = shared.bell.rings();
        if self.rings() != self.seen {
            return true;
        }
        let devices = self.readers.iter().map(|reader| reader.shared.device());
        let wake = devices.filter_map(|device| device.wakes_at()).min();
        let until_wake = wake.map(|at| at.saturating_sub(shared.clock.now()));
        let wait = until_wake.unwrap_or(timeout).min(timeout);
        shared.clock.wait(&shared.bell, seen, wait);
        until_wake.is_some_and(|until| until <= timeout) || self.rings() != self.seen
    }
}

impl Bus for EmulatedBus {
    fn open(&mut self, address: &ReaderAddress) -> Result<Box<dyn Transport>, TransportError> {
        let reader = self
            .readers
            .iter()
            .find(|reader| reader.address().as_ref() == Some(address));
        let transport = reader.ok_or(TransportError::Disconnected)?.claim()?;
        Ok(Box::new(transport))
    }
}

#[cfg(test)]
mod tests;
