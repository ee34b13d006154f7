//! A USB device in software, seen from its plug.

use crate::Wiped;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::descriptors::Descriptors;
use crate::clock::Bell;

/// Why a transfer came back without having been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The device is unplugged.
    Gone,
    /// The device has more bytes than the host has room for: babble.
    Overflow,
    /// The endpoint is halted, or the request is unknown.
    Stall,
}

/// What became of a transfer: `None` is a NAK, the host is to ask again.
pub type Outcome<T> = Option<Result<T, Refusal>>;

/// A SETUP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// `bmRequestType`: direction, type, recipient.
    pub request_type: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// `wLength`: bytes of the data stage.
    pub length: u16,
}

impl Setup {
    /// Reads the eight bytes as they are on the wire.
    #[must_use]
    pub fn parse(bytes: [u8; 8]) -> Self {
        let [
            request_type,
            request,
            value_0,
            value_1,
            index_0,
            index_1,
            length_0,
            length_1,
        ] = bytes;
        Self {
            request_type,
            request,
            value: u16::from_le_bytes([value_0, value_1]),
            index: u16::from_le_bytes([index_0, index_1]),
            length: u16::from_le_bytes([length_0, length_1]),
        }
    }

    /// The eight bytes as they are on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; 8] {
        let [value_0, value_1] = self.value.to_le_bytes();
        let [index_0, index_1] = self.index.to_le_bytes();
        let [length_0, length_1] = self.length.to_le_bytes();
        [
            self.request_type,
            self.request,
            value_0,
            value_1,
            index_0,
            index_1,
            length_0,
            length_1,
        ]
    }

    /// Whether the data stage goes from device to host.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.request_type & 0x80 != 0
    }
}

/// A device in software. Calls never block: what is not ready is a NAK (`None`), and the bell says when to ask again.
///
/// Standard requests (descriptors, configuration, halts) are answered by the cable from [`Gadget::descriptors`]; the
/// gadget sees what follows from them. Implemented by the emulated reader, and by the emulated cameras of the tests.
pub trait Gadget: Debug + Send {
    /// What the device says of itself. Does not change while it is plugged in.
    fn descriptors(&self) -> &Descriptors;

    /// A class or vendor request; `data` is the data stage of one from the host. The answer is cut to `wLength`.
    fn control(&mut self, setup: Setup, data: &[u8]) -> Outcome<Vec<u8>>;

    /// One IN transfer of at most `room` bytes on the endpoint with this address; fewer bytes mean that a short or
    /// empty packet ended it.
    fn input(&mut self, endpoint: u8, room: usize) -> Outcome<Wiped>;

    /// One OUT transfer. After a NAK it is offered again unchanged.
    fn output(&mut self, endpoint: u8, data: &[u8]) -> Outcome<()>;

    /// The host cleared the halt of an endpoint (or says so to stop a stream).
    fn clear_halt(&mut self, endpoint: u8);

    /// The host reset the port or chose the configuration: everything begins anew.
    fn restart(&mut self);

    /// Whether the plug is in. Once out, this gadget stays out; a new one is made for the next plugging-in.
    fn is_plugged(&self) -> bool;

    /// Rung when something may have changed. The cable rings it too.
    fn bell(&self) -> Arc<Bell>;

    /// How long the cable may wait for a ring before it asks again all the same.
    fn patience(&self) -> Duration;
}
