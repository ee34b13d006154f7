//! The seam: bytes to and from one claimed interface of one reader.
//!
//! A transport moves bytes and nothing else. It does not know packets, sequence numbers or
//! retries; those are [`crate::protocol`] and [`crate::session`]. Implementations:
//! [`crate::usb::UsbTransport`] (real) and [`crate::emulator::EmulatedTransport`] (firmware in
//! process). Calls block; one thread owns a transport.

use std::fmt::Debug;
use std::time::Duration;

/// Why a transfer did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The operating system refused: no rights on the device node, or another program holds the
    /// interface. Remedy: install `driver/99-openpalm.rules` and replug, or stop the other program.
    #[error("access denied: no rights on the device, or another program holds it")]
    Denied,
    /// The device is gone. Remedy: drop this transport, wait for hot-plug, open a new one.
    #[error("device disconnected")]
    Disconnected,
    /// A bus or controller fault; also what an unplug looks like about half of the time. Remedy:
    /// [`Transport::recover`], which answers `Disconnected` when the device really left.
    #[error("bus fault or protocol violation on the wire")]
    Fault,
    /// The device halted the endpoint. Remedy: [`Recovery::ClearHalt`], then start afresh.
    #[error("endpoint stalled")]
    Stalled,
    /// Nothing moved in the time given. The transport stays usable and no received byte is lost.
    /// Remedy: wait longer, or abort what was asked of the device.
    #[error("transfer timed out")]
    TimedOut,
}

/// Bytes of one bulk IN transfer, valid until the next call on the transport.
#[derive(Clone, Copy)]
pub struct BulkRead<'a> {
    /// What arrived; empty for a zero-length packet.
    pub bytes: &'a [u8],
    /// The transfer was ended by a short or zero-length packet: the message is complete.
    pub last: bool,
}

impl Debug for BulkRead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the bytes: they are somebody's palm.
        write!(
            f,
            "BulkRead({} bytes, last: {})",
            self.bytes.len(),
            self.last
        )
    }
}

/// A vendor request on the control endpoint, recipient interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control<'a> {
    /// Device to host.
    In {
        /// `bRequest`.
        request: u8,
        /// `wValue`.
        value: u16,
        /// Most bytes to read, `wLength`.
        length: u16,
    },
    /// Host to device.
    Out {
        /// `bRequest`.
        request: u8,
        /// `wValue`.
        value: u16,
        /// Data stage, may be empty.
        data: &'a [u8],
    },
}

/// A rung of the recovery ladder, gentlest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Takes back what is pending on the bulk endpoints and clears the halt of every endpoint.
    ClearHalt,
    /// Resets the port: the device starts again, this transport stays claimed.
    Reset,
}

/// Moves bytes to and from one claimed interface.
pub trait Transport: Debug + Send {
    /// Sends one message, ended by a short or zero-length packet.
    ///
    /// # Errors
    /// Any [`TransportError`]; after `TimedOut` the device may have taken a part of it.
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError>;

    /// Waits for one bulk IN transfer: up to the transport's own transfer length, or less when a
    /// short packet ends it.
    ///
    /// # Errors
    /// Any [`TransportError`]. `TimedOut` loses nothing: call again to go on waiting.
    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError>;

    /// Waits for one interrupt IN packet.
    ///
    /// # Errors
    /// Any [`TransportError`]. `TimedOut` loses nothing: call again to go on waiting.
    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError>;

    /// Makes one vendor request and returns what the device answered (empty for `Out`).
    ///
    /// # Errors
    /// Any [`TransportError`]; `Stalled` means the device does not know the request.
    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError>;

    /// Brings the endpoints back to a usable state.
    ///
    /// # Errors
    /// `Disconnected` when the device has left; otherwise why this rung did not hold: try the
    /// next one.
    fn recover(&mut self, step: Recovery) -> Result<(), TransportError>;
}
