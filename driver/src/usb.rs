//! The real bus. The only module that names `nusb`.
//!
//! What was learnt about `nusb` 0.2.9 and is heeded here:
//! - reads stay pending across a timeout instead of being cancelled: nothing is lost, and
//!   cancelling around an unplug may lose transfers for good, so every drain is bounded;
//! - a device is listed before it is configured: opening is retried for a while;
//! - an unplug often looks like `Fault`: recovery asks the list whether the device is still there;
//! - endpoint addresses come from descriptors; reads are whole multiples of the packet size;
//! - notices of change need a udev daemon: see [`crate::hotplug`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::Stream;
use nusb::descriptors::{InterfaceDescriptor, TransferType};
use nusb::transfer::{
    Buffer, Bulk, BulkOrInterrupt, ControlIn, ControlOut, ControlType, Direction,
    EndpointDirection, In, Interrupt, Out, Recipient, TransferError,
};
use nusb::{Device, DeviceInfo, Endpoint, ErrorKind, Interface, MaybeFuture};
use zeroize::Zeroize;

use crate::clock::{Bell, Clock, Deadline, SystemClock};
use crate::hotplug::{Bus, ReaderAddress};
use crate::limits::{BULK_TRANSFER_LEN, USB_DRAIN, USB_SETTLE, USB_SETTLE_STEP};
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
    notices: Option<nusb::hotplug::HotplugWatch>,
    ringer: Arc<Ringer>,
}

struct Ringer(Bell);

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
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
        let notices = nusb::watch_devices()
            .inspect_err(|error| tracing::debug!(%error, "no notices of USB changes, polling"));
        Self {
            clock: Arc::new(SystemClock::new()),
            notices: notices.ok(),
            ringer: Arc::new(Ringer(Bell::new())),
        }
    }

    /// Whether a notice has come; takes all there are.
    fn noticed(&mut self) -> bool {
        let Some(notices) = &mut self.notices else {
            return false;
        };
        let waker = Waker::from(Arc::clone(&self.ringer));
        let mut context = Context::from_waker(&waker);
        let mut noticed = false;
        while let Poll::Ready(Some(_)) = Pin::new(&mut *notices).poll_next(&mut context) {
            noticed = true;
        }
        noticed
    }
}

impl Bus for UsbBus {
    fn list(&mut self) -> Result<Vec<ReaderAddress>, TransportError> {
        Ok(readers()?.iter().map(address_of).collect())
    }

    fn open(&mut self, address: &ReaderAddress) -> Result<Box<dyn Transport>, TransportError> {
        let transport = UsbTransport::open(address, Arc::clone(&self.clock))?;
        Ok(Box::new(transport))
    }

    fn wait_change(&mut self, timeout: Duration) -> bool {
        let seen = self.ringer.0.rings();
        if self.noticed() {
            return true;
        }
        self.clock.wait(&self.ringer.0, seen, timeout);
        self.noticed()
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
        drain(&mut claimed.output)?;
        drain(&mut claimed.input.endpoint)?;
        claimed
            .output
            .clear_halt()
            .wait()
            .map_err(|error| opening(&error))?;
        claimed
            .input
            .endpoint
            .clear_halt()
            .wait()
            .map_err(|error| opening(&error))
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
        let output = &mut self.claimed()?.output;
        output.submit(Buffer::from(message.to_vec()));
        if message.len().is_multiple_of(output.max_packet_size()) {
            output.submit(Buffer::from(Vec::<u8>::new())); // ends the message
        }
        while output.pending() > 0 {
            match output.wait_next_complete(timeout) {
                Some(done) => done.status.map_err(transferring)?,
                None => return drain(output).and(Err(TransportError::TimedOut)),
            }
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

/// An IN endpoint with at most one read pending, whose buffer is used again and wiped between.
struct Reading<E: BulkOrInterrupt> {
    endpoint: Endpoint<E, In>,
    length: usize,
    buffer: Option<Buffer>,
}

impl<E: BulkOrInterrupt> Reading<E> {
    fn new(endpoint: Endpoint<E, In>, length: usize) -> Self {
        let packet = endpoint.max_packet_size().max(1);
        Self {
            endpoint,
            length: length.next_multiple_of(packet),
            buffer: None,
        }
    }

    fn read(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        if self.endpoint.pending() == 0 {
            let mut buffer = self
                .buffer
                .take()
                .unwrap_or_else(|| Buffer::new(self.length));
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
        done.status.map_err(transferring)?;
        Ok(buffer)
    }
}

impl<E: BulkOrInterrupt> Drop for Reading<E> {
    fn drop(&mut self) {
        self.buffer.iter_mut().for_each(|buffer| buffer.zeroize());
    }
}

/// Takes back what is pending, for a bounded time.
fn drain<E: BulkOrInterrupt, D: EndpointDirection>(
    endpoint: &mut Endpoint<E, D>,
) -> Result<(), TransportError> {
    if endpoint.pending() > 0 {
        endpoint.cancel_all();
    }
    while endpoint.pending() > 0 {
        endpoint
            .wait_next_complete(USB_DRAIN)
            .ok_or(TransportError::Fault)?;
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
    loop {
        match attempt() {
            Ok(claimed) => return Ok(claimed),
            Err(Unready::Refused(error)) => return Err(error),
            Err(Unready::NotYet(error)) => {
                let left = deadline.left(clock).ok_or(error)?;
                clock.wait(&Bell::new(), 0, USB_SETTLE_STEP.min(left));
            }
        }
    }
}

/// Opens afresh each time, because descriptors are read once at opening.
fn claim_at(address: &ReaderAddress) -> Result<Claimed, Unready> {
    let gone = Unready::NotYet(TransportError::Disconnected);
    let listed = readers().map_err(Unready::Refused)?;
    let info = listed
        .iter()
        .find(|device| address_of(device) == *address)
        .ok_or(gone)?;
    let unready = |error: nusb::Error| match error.kind() {
        ErrorKind::NotFound => Unready::NotYet(TransportError::Fault),
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
        input: Reading::new(input, BULK_TRANSFER_LEN),
        events: Reading::new(events, event_len),
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
