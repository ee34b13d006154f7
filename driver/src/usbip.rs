//! Cables between a USB device in software and whoever speaks to it.
//!
//! A [`Gadget`] is a device seen from its plug: descriptors, a control endpoint, endpoints that take and give
//! transfers. One gadget serves every kind of host:
//!
//! | host | through | module |
//! |---|---|---|
//! | the driver in the same process, without a kernel | USB/IP over a socket pair | [`client`] |
//! | a Linux kernel (`vhci-hcd`) | USB/IP over a socket pair handed to the kernel | [`vhci`] |
//! | a guest kernel behind a real controller (xHCI) | QEMU's usb-redir | [`redir`] |
//!
//! The emulated reader is such a gadget ([`crate::EmulatorHandle::gadget`]). [`wire`] is the USB/IP format as
//! `Documentation/usb/usbip_protocol.rst` of Linux describes it; the network handshake (`OP_REQ_IMPORT`) is left out,
//! because the socket is handed over, not dialled.
//!
//! Not here: real hardware ([`crate::usb`]), and isochronous transfers, which no reader of ours uses.

pub mod client;
pub mod descriptors;
mod engine;
pub mod gadget;
pub mod redir;
pub mod server;
pub mod vhci;
pub mod wire;

pub use client::UsbIpTransport;
pub use gadget::{Gadget, Refusal, Setup};
pub use server::Server;

#[cfg(test)]
mod tests;
