//! The real bus. The only module that names `nusb`.
//!
//! What was learnt about `nusb` 0.2.9 and is heeded here:
//! - reads stay pending across a timeout instead of being cancelled: nothing is lost, and
//!   cancelling around an unplug may lose transfers for good, so every drain is bounded;
//! - a device is listed before it is configured, and before the udev daemon gave the rights: opening is retried;
//! - an unplug often looks like `Fault`: recovery asks the list whether the device is still there;
//! - endpoint addresses come from descriptors; reads are whole multiples of the packet size;
//! - its notices of change need a udev daemon: the kernel's own are heard instead, see [`crate::hotplug`].
//!
//! Each of these has a test in the virtual machine of `./x test-usb`.

pub(crate) mod unit;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nusb::descriptors::{InterfaceDescriptor, TransferType};
use nusb::transfer::{
    Buffer, Bulk, BulkOrInterrupt, ControlIn, ControlOut, ControlType, Direction,
    EndpointDirection, In, Interrupt, Out, Recipient, TransferError,
};
use nusb::{Device, DeviceInfo, Endpoint, ErrorKind, Interface, MaybeFuture};
use zeroize::Zeroize;

use crate::clock::{Bell, Clock, Deadline, SystemClock};
use crate::hotplug::{Bus, Listing, Notices, ReaderAddress};
use crate::limits::{BULK_TRANSFER_LEN, USB_DRAIN, USB_READS, USB_SETTLE, USB_SETTLE_STEP};
use crate::transport::{BulkRead, Control, Recovery, Transport, TransportError};

/// USB vendor id of readers: pid.codes.
pub const VENDOR_ID: u16 = 0x1209;
/// USB product id of readers: the test id of pid.codes, until one is assigned.
pub const PRODUCT_ID: u16 = 0x0001;
/// Class, subclass and protocol of the interface that speaks the reader protocol.
pub const INTERFACE_CLASS: (u8, u8, u8) = (0xff, 0x50, 0x01);

/// Readers on this machine's USB.
pub struct UsbBus {
    clock: Arc<dyn Clock>,
    notices: Option<Notices>,
    /// Nobody rings it: what waits without notices waits on it.
    silence: Bell,
}

impl fmt::Debug for UsbBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsbBus(notices: {})", self.notices.is_some())
    }
}

impl Default for UsbBus {
    fn default() -> Self {
        Self::new()
    }
}

impl UsbBus {
    /// The machine's bus, with notices of change where the system gives them.
    #[must_use]
    pub fn new() -> Self {
        let notices = Notices::open()
            .inspect_err(|error| tracing::debug!(%error, "no notices of USB changes, polling"));
        Self {
            clock: Arc::new(SystemClock::new()),
            notices: notices.ok(),
            silence: Bell::new(),
        }
    }
}

impl Listing for UsbBus {
    fn list(&mut self) -> Result<Vec<ReaderAddress>, TransportError> {
        Ok(readers()?.iter().map(address_of).collect())
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

impl Bus for UsbBus {
    fn open(&mut self, address: &ReaderAddress) -> Result<Box<dyn Transport>, TransportError> {
        let transport = UsbTransport::open(address, Arc::clone(&self.clock))?;
        Ok(Box::new(transport))
    }
}

fn readers() -> Result<Vec<DeviceInfo>, TransportError> {
    let devices = match nusb::list_devices().wait() {
        Ok(devices) => devices,
        // A machine without USB at all has no readers; that is no error.
        Err(error) if error.kind() == ErrorKind::NotFound || error.os_error() == Some(2) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(opening(&error)),
    };
    Ok(devices
        .filter(|d| (d.vendor_id(), d.product_id()) == (VENDOR_ID, PRODUCT_ID))
        .collect())
}

fn address_of(device: &DeviceInfo) -> ReaderAddress {
    ReaderAddress {
        path: format!(
            "usb bus {} device {}",
            device.bus_id(),
            device.device_address()
        ),
        serial: device.serial_number().map(str::to_owned),
    }
}

/// One claimed reader.
pub struct UsbTransport {
    address: ReaderAddress,
    clock: Arc<dyn Clock>,
    /// `None` after a reset that the device did not come back from.
    claimed: Option<Claimed>,
}

/// Dropped in this order: endpoints before the interface, the interface before the device.
struct Claimed {
    output: Endpoint<Bulk, Out>,
    input: Reading<Bulk>,
    events: Reading<Interrupt>,
    interface: Interface,
    device: Device,
}

impl fmt::Debug for UsbTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsbTransport({})", self.address)
    }
}

impl UsbTransport {
    /// Opens and claims the reader at `address`.
    ///
    /// # Errors
    /// [`TransportError::Disconnected`] when it is not there, `Denied` without rights or while
    /// another program holds it, `Fault` when it is no reader of ours or never gets configured.
    pub fn open(address: &ReaderAddress, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        let claimed = settle(&*clock, || claim_at(address))?;
        Ok(Self {
            address: address.clone(),
            clock,
            claimed: Some(claimed),
        })
    }

    fn claimed(&mut self) -> Result<&mut Claimed, TransportError> {
        self.claimed.as_mut().ok_or(TransportError::Disconnected)
    }

    /// Whether the device is still listed: a fault alone does not tell.
    fn present(&self) -> Result<(), TransportError> {
        let here = readers()?
            .iter()
            .any(|device| address_of(device) == self.address);
        here.then_some(()).ok_or(TransportError::Disconnected)
    }

    fn clear_halt(&mut self) -> Result<(), TransportError> {
        self.present()?;
        let claimed = self.claimed()?;
        let events_halted = claimed.events.halted;
        let cleared = drain(&mut claimed.output)
            .and_then(|()| drain(&mut claimed.input.endpoint))
            .and_then(|()| clear(&mut claimed.output))
            .and_then(|()| claimed.input.clear())
            .and_then(|()| match events_halted {
                true => claimed.events.clear(),
                false => Ok(()),
            });
        // It may have left meanwhile, and then every rung of the ladder is in vain.
        cleared.or_else(|error| self.present().and(Err(error)))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        let claimed = self.claimed.take().ok_or(TransportError::Disconnected)?;
        let reset = claimed.device.reset().wait();
        // The old handle is of no use afterwards, whatever came of it.
        drop(claimed);
        reset.map_err(|error| opening(&error))?;
        self.claimed = Some(settle(&*self.clock, || claim_at(&self.address))?);
        Ok(())
    }
}

impl Transport for UsbTransport {
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError> {
        let deadline = Deadline::after(&*self.clock, timeout);
        let clock = Arc::clone(&self.clock);
        let output = &mut self.claimed()?.output;
        output.submit(Buffer::from(message.to_vec()));
        if message.len().is_multiple_of(output.max_packet_size()) {
            output.submit(Buffer::from(Vec::<u8>::new())); // ends the message
        }
        while output.pending() > 0 {
            let left = deadline.left(&*clock).unwrap_or_default();
            let outcome = match output.wait_next_complete(left) {
                Some(done) => done.status.map_err(transferring),
                None => Err(TransportError::TimedOut),
            };
            // Nothing of a message that failed stays on its way.
            outcome.or_else(|error| drain(output).and(Err(error)))?;
        }
        Ok(())
    }

    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError> {
        let bytes = self.claimed()?.input.read(timeout)?;
        Ok(BulkRead {
            bytes,
            last: bytes.len() < BULK_TRANSFER_LEN,
        })
    }

    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        self.claimed()?.events.read(timeout)
    }

    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        let interface = &self.claimed()?.interface;
        let index = u16::from(interface.interface_number());
        let (control_type, recipient) = (ControlType::Vendor, Recipient::Interface);
        match request {
            Control::In {
                request,
                value,
                length,
            } => {
                let setup = ControlIn {
                    control_type,
                    recipient,
                    request,
                    value,
                    index,
                    length,
                };
                interface.control_in(setup, timeout).wait()
            }
            Control::Out {
                request,
                value,
                data,
            } => {
                let setup = ControlOut {
                    control_type,
                    recipient,
                    request,
                    value,
                    index,
                    data,
                };
                interface
                    .control_out(setup, timeout)
                    .wait()
                    .map(|()| Vec::new())
            }
        }
        .map_err(transferring)
    }

    fn recover(&mut self, step: Recovery) -> Result<(), TransportError> {
        match step {
            Recovery::ClearHalt => self.clear_halt(),
            Recovery::Reset => self.reset(),
        }
    }
}

/// An IN endpoint that is always being read: while the caller looks at one transfer, the next is already on its way.
/// The buffers are used again, and wiped between.
struct Reading<E: BulkOrInterrupt> {
    endpoint: Endpoint<E, In>,
    length: usize,
    /// Reads kept pending.
    depth: usize,
    /// What the caller is looking at.
    buffer: Option<Buffer>,
    /// The device halted the endpoint.
    halted: bool,
}

impl<E: BulkOrInterrupt> Reading<E> {
    fn new(endpoint: Endpoint<E, In>, length: usize, depth: usize) -> Self {
        let packet = endpoint.max_packet_size().max(1);
        Self {
            endpoint,
            length: length.next_multiple_of(packet),
            depth,
            buffer: None,
            halted: false,
        }
    }

    fn read(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        while self.endpoint.pending() < self.depth {
            // Mapped into the kernel where it can be: the bytes are not copied on their way.
            let mut buffer = self
                .buffer
                .take()
                .unwrap_or_else(|| self.endpoint.allocate(self.length));
            buffer.zeroize();
            buffer.clear();
            buffer.set_requested_len(self.length);
            self.endpoint.submit(buffer);
        }
        let done = self
            .endpoint
            .wait_next_complete(timeout)
            .ok_or(TransportError::TimedOut)?;
        let buffer = self.buffer.insert(done.buffer);
        self.halted |= done.status == Err(TransferError::Stall);
        done.status.map_err(transferring)?;
        Ok(buffer)
    }

    fn clear(&mut self) -> Result<(), TransportError> {
        drain(&mut self.endpoint)?;
        clear(&mut self.endpoint)?;
        self.halted = false;
        Ok(())
    }
}

impl<E: BulkOrInterrupt> Drop for Reading<E> {
    fn drop(&mut self) {
        self.buffer.iter_mut().for_each(|buffer| buffer.zeroize());
    }
}

fn clear<E: BulkOrInterrupt, D: EndpointDirection>(
    endpoint: &mut Endpoint<E, D>,
) -> Result<(), TransportError> {
    endpoint
        .clear_halt()
        .wait()
        .map_err(|error| opening(&error))
}

/// Takes back what is pending, for a bounded time: cancelled around an unplug, transfers may never come back.
fn drain<E: BulkOrInterrupt, D: EndpointDirection>(
    endpoint: &mut Endpoint<E, D>,
) -> Result<(), TransportError> {
    if endpoint.pending() > 0 {
        endpoint.cancel_all();
    }
    while endpoint.pending() > 0 {
        let mut done = endpoint
            .wait_next_complete(USB_DRAIN)
            .ok_or(TransportError::Fault)?;
        done.buffer.zeroize();
    }
    Ok(())
}

/// Why a claim failed: worth waiting for, or not.
enum Unready {
    /// Listed but not configured, or just resetting.
    NotYet(TransportError),
    /// Waiting will not help.
    Refused(TransportError),
}

/// Repeats an attempt while the device settles.
fn settle(
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> Result<Claimed, Unready>,
) -> Result<Claimed, TransportError> {
    let deadline = Deadline::after(clock, USB_SETTLE);
    let mut pause = USB_SETTLE_STEP;
    loop {
        match attempt() {
            Ok(claimed) => return Ok(claimed),
            Err(Unready::Refused(error)) => return Err(error),
            Err(Unready::NotYet(error)) => {
                let left = deadline.left(clock).ok_or(error)?;
                clock.wait(&Bell::new(), 0, pause.min(left));
                // Longer and longer, because `nusb` writes an error into the log for each attempt.
                pause = (pause * 2).min(USB_SETTLE_STEP * 8);
            }
        }
    }
}

/// Opens afresh each time, because descriptors are read once at opening.
fn claim_at(address: &ReaderAddress) -> Result<Claimed, Unready> {
    let gone = Unready::Refused(TransportError::Disconnected);
    let listed = readers().map_err(Unready::Refused)?;
    let info = listed
        .iter()
        .find(|device| address_of(device) == *address)
        .ok_or(gone)?;
    let unready = |error: nusb::Error| match error.kind() {
        ErrorKind::NotFound => Unready::NotYet(TransportError::Fault),
        // Listed, but its node is not there: not yet, or no longer, which the next look at the list tells.
        ErrorKind::Disconnected => Unready::NotYet(TransportError::Disconnected),
        // The udev daemon gives the rights a moment after the kernel lists the device; a handle that was just dropped
        // is closed a moment later.
        ErrorKind::Busy | ErrorKind::PermissionDenied => Unready::NotYet(TransportError::Denied),
        _ => Unready::Refused(opening(&error)),
    };
    let device = info.open().wait().map_err(unready)?;
    let unusable = || Unready::NotYet(TransportError::Fault);
    let (number, addresses) = {
        let configuration = device.active_configuration().map_err(|_| unusable())?;
        let ours = configuration
            .interface_alt_settings()
            .find(|i| (i.class(), i.subclass(), i.protocol()) == INTERFACE_CLASS)
            .ok_or_else(unusable)?;
        (
            ours.interface_number(),
            Addresses::find(&ours).ok_or_else(unusable)?,
        )
    };
    let interface = device.claim_interface(number).wait().map_err(unready)?;
    let output = interface.endpoint(addresses.output).map_err(unready)?;
    let input = interface.endpoint(addresses.input).map_err(unready)?;
    let events: Endpoint<Interrupt, In> = interface.endpoint(addresses.events).map_err(unready)?;
    let event_len = events.max_packet_size();
    Ok(Claimed {
        output,
        input: Reading::new(input, BULK_TRANSFER_LEN, USB_READS),
        events: Reading::new(events, event_len, 1),
        interface,
        device,
    })
}

struct Addresses {
    output: u8,
    input: u8,
    events: u8,
}

impl Addresses {
    fn find(interface: &InterfaceDescriptor<'_>) -> Option<Self> {
        let find = |kind, direction| {
            let mut endpoints = interface.endpoints();
            endpoints
                .find(|e| (e.transfer_type(), e.direction()) == (kind, direction))
                .map(|e| e.address())
        };
        Some(Self {
            output: find(TransferType::Bulk, Direction::Out)?,
            input: find(TransferType::Bulk, Direction::In)?,
            events: find(TransferType::Interrupt, Direction::In)?,
        })
    }
}

fn opening(error: &nusb::Error) -> TransportError {
    tracing::debug!(%error, "usb");
    match error.kind() {
        ErrorKind::Busy | ErrorKind::PermissionDenied => TransportError::Denied,
        ErrorKind::Disconnected => TransportError::Disconnected,
        _ => TransportError::Fault,
    }
}

fn transferring(error: TransferError) -> TransportError {
    match error {
        TransferError::Cancelled => TransportError::TimedOut,
        TransferError::Disconnected => TransportError::Disconnected,
        TransferError::Stall => TransportError::Stalled,
        TransferError::Fault | TransferError::InvalidArgument | TransferError::Unknown(_) => {
            TransportError::Fault
        }
    }
}
