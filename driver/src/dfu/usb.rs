//! The DFU interface of a reader on USB, by `nusb`.

use std::fmt;
use std::time::Duration;

use nusb::transfer::{ControlIn, ControlOut, ControlType, Recipient, TransferError};
use nusb::{ErrorKind, Interface, MaybeFuture};

use super::{DFU_CLASS, DfuBus, DfuPort, LOADER_PRODUCT_ID, Mode};
use crate::transport::TransportError;
use crate::usb::{PRODUCT_ID, VENDOR_ID};

/// The machine's bus.
#[derive(Debug)]
pub struct UsbDfuBus;

struct UsbDfuPort(Interface);

impl fmt::Debug for UsbDfuPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsbDfuPort(interface {})", self.0.interface_number())
    }
}

impl DfuBus for UsbDfuBus {
    fn open(&mut self, serial: &str, mode: Mode) -> Result<Box<dyn DfuPort>, TransportError> {
        let product = match mode {
            Mode::RunTime => PRODUCT_ID,
            Mode::Loader => LOADER_PRODUCT_ID,
        };
        let mut devices = nusb::list_devices()
            .wait()
            .map_err(|error| opening(&error))?;
        let device = devices.find(|device| {
            (device.vendor_id(), device.product_id()) == (VENDOR_ID, product)
                && device.serial_number() == Some(serial)
        });
        let device = device.ok_or(TransportError::Disconnected)?;
        let number = device.interfaces().find_map(|interface| {
            let class = (interface.class(), interface.subclass());
            let found = class == DFU_CLASS && interface.protocol() == mode.protocol();
            found.then(|| interface.interface_number())
        });
        let number = number.ok_or(TransportError::Disconnected)?;
        let device = device.open().wait().map_err(|error| opening(&error))?;
        let claimed = device.claim_interface(number).wait();
        let interface = claimed.map_err(|error| opening(&error))?;
        Ok(Box::new(UsbDfuPort(interface)))
    }
}

impl DfuPort for UsbDfuPort {
    fn send(
        &mut self,
        request: u8,
        value: u16,
        data: &[u8],
        timeout: Duration,
    ) -> Result<(), TransportError> {
        let setup = ControlOut {
            control_type: ControlType::Class,
            recipient: Recipient::Interface,
            request,
            value,
            index: u16::from(self.0.interface_number()),
            data,
        };
        let sent = self.0.control_out(setup, timeout).wait();
        sent.map_err(transferring)
    }

    fn receive(
        &mut self,
        request: u8,
        length: u16,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        let setup = ControlIn {
            control_type: ControlType::Class,
            recipient: Recipient::Interface,
            request,
            value: 0,
            index: u16::from(self.0.interface_number()),
            length,
        };
        let received = self.0.control_in(setup, timeout).wait();
        received.map_err(transferring)
    }
}

fn opening(error: &nusb::Error) -> TransportError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::Busy => TransportError::Denied,
        ErrorKind::NotFound | ErrorKind::Disconnected => TransportError::Disconnected,
        _ => TransportError::Fault,
    }
}

fn transferring(error: TransferError) -> TransportError {
    match error {
        TransferError::Cancelled => TransportError::TimedOut,
        TransferError::Stall => TransportError::Stalled,
        TransferError::Disconnected => TransportError::Disconnected,
        _ => TransportError::Fault,
    }
}
