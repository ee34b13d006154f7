//! The reader protocol, version 1: bytes to values and back. No I/O, no clock, no state but the
//! bytes of an unfinished message.
//!
//! One packet ([`Packet`]) travels as one USB message: header, payload, and a short or zero-length
//! USB packet to end it. The host sends a [`Command`], the reader answers with [`Reply`]s on bulk
//! IN and raises [`ReaderEvent`]s on interrupt IN. What is outside the types here is refused by name
//! ([`ProtocolError`]). `driver/PROTOCOL.md` is the specification; both directions are here,
//! because the emulated reader uses the other half.
//!
//! A session is secured by [`HostHandshake`] and [`Identity`], which make the two ends of a [`Channel`]; from then on
//! every packet and event is sealed. Whom a host believes is its [`Trust`].
//!
//! Not here: when to send what ([`crate::session`]), firmware update ([`crate::dfu`]).

#![deny(clippy::indexing_slicing)]

pub mod claim;
mod command;
mod connect;
pub mod crypto;
mod error;
mod event;
mod fields;
mod frame;
mod packet;
mod reply;
mod ticket;
mod trust;

pub use command::{Command, Pattern, PatternEffect, fuzz_command};
pub use connect::{
    CONNECT_LEN, CONNECTED_LEN, Channel, Connect, Connected, HostHandshake, Identity, PACKETS_MAX,
    fuzz_connected,
};
pub use error::ProtocolError;
pub use event::{EVENT_LEN, EventKind, HandState, ReaderEvent, fuzz_event};
pub(crate) use fields::Fields;
pub use frame::{FRAME_HEADER_LEN, ImageFrame, encode_frame, fuzz_frame};
pub(crate) use packet::finish_sealed;
pub use packet::{Decoder, HEADER_LEN, MAGIC, Packet, VERSION, encode, fuzz_packet};
pub use reply::{INFO_LEN, Info, NakCode, Reply, SelfTest, fuzz_reply};
pub use ticket::{Purpose, TICKET_LEN, Ticket};
pub use trust::{AttestError, Attestation, DEVELOPMENT_ROOT, Hex, Trust};

/// Host-drawn bytes that name one capture; every frame of it carries them back.
pub type Nonce = [u8; 16];

/// `bRequest` of the vendor request that stops a capture and empties the reader's bulk IN, whatever
/// state bulk is in. No data stage.
pub const CONTROL_ABORT: u8 = 0x03;
/// `bRequest` of the vendor request that reads the INFO payload without a session. 88 bytes IN.
pub const CONTROL_INFO: u8 = 0x01;

/// Longest payload a host accepts: one sealed frame.
pub const PAYLOAD_MAX: usize = FRAME_HEADER_LEN + crate::limits::FRAME_PIXELS_MAX + crypto::TAG_LEN;

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests;
