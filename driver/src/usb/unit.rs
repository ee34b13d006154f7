//! Switches of UVC extension units. Beside `usb.rs` the only module that names `nusb`.
//!
//! Linux has an ioctl for them (`UVCIOC_CTRL_QUERY`), but no crate offers it without unsafe code of ours. So the camera
//! driver of the kernel is asked to let go of the video control interface, the request is sent over usbfs, and the
//! driver takes the interface back: the camera's nodes go and come again, in some 100 ms. Needs the right to write the
//! USB node, not only `/dev/video*`. Good enough for a lamp that is switched on once.

use std::time::Duration;

use nusb::MaybeFuture;
use nusb::transfer::{ControlOut, ControlType, Recipient};

use super::{opening, transferring};
use crate::camera::quirks::UnitLamp;
use crate::transport::TransportError;

/// UVC 1.5, section 4.2.2: SET_CUR.
const SET_CUR: u8 = 0x01;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Sets the control that is the lamp of the camera with this bus and device number.
pub(crate) fn send((bus, address): &(u8, u8), lamp: &UnitLamp) -> Result<(), TransportError> {
    let mut devices = nusb::list_devices()
        .wait()
        .map_err(|error| opening(&error))?;
    let info = devices
        .find(|device| device.busnum() == *bus && device.device_address() == *address)
        .ok_or(TransportError::Disconnected)?;
    let device = info.open().wait().map_err(|error| opening(&error))?;
    let claimed = device
        .detach_and_claim_interface(lamp.interface)
        .wait()
        .map_err(|error| opening(&error))?;
    let request = ControlOut {
        control_type: ControlType::Class,
        recipient: Recipient::Interface,
        request: SET_CUR,
        value: u16::from(lamp.selector) << 8,
        index: (u16::from(lamp.unit) << 8) | u16::from(lamp.interface),
        data: &lamp.on,
    };
    // Dropping the claim gives the interface back to the kernel's driver, whatever came of the request.
    claimed
        .control_out(request, TIMEOUT)
        .wait()
        .map_err(transferring)
}
