//! The reader protocol, version 1: bytes to values and back. No I/O, no clock, no state but the
//! bytes of an unfinished message.
//!
//! One packet ([`Packet`]) travels as one USB message: header, payload, and a short or zero-length
//! USB packet to end it. The host sends a [`Command`], the reader answers with [`Reply`]s on bulk
//! IN and raises [`ReaderEvent`]s on interrupt IN. What is outside the types here is refused by name
//! ([`ProtocolError`]). `driver/PROTOCOL.md` is the specification; both directions are here,
//! because the emulated reader uses the other half.
//!
//! Not here: when to send what ([`crate::session`]), the secure session (flag bit 0 and types
//! `0x20..=0x2f` are kept for it), firmware update (types `0x30..=0x3f`).

#![deny(clippy::indexing_slicing)]

mod command;
mod error;
mod event;
mod fields;
mod frame;
mod packet;
mod reply;

pub use command::{Command, Pattern, PatternEffect, fuzz_command};
pub use error::ProtocolError;
pub use event::{EVENT_LEN, EventKind, HandState, ReaderEvent, fuzz_event};
pub use frame::{FRAME_HEADER_LEN, ImageFrame, encode_frame, fuzz_frame};
pub use packet::{Decoder, HEADER_LEN, MAGIC, Packet, VERSION, encode, fuzz_packet};
pub use reply::{INFO_LEN, Info, NakCode, Reply, fuzz_reply};

/// Host-drawn bytes that name one capture; every frame of it carries them back.
pub type Nonce = [u8; 16];

/// `bRequest` of the vendor request that stops a capture and empties the reader's bulk IN, whatever
/// state bulk is in. No data stage.
pub const CONTROL_ABORT: u8 = 0x03;
/// `bRequest` of the vendor request that reads the INFO payload without a session. 88 bytes IN.
pub const CONTROL_INFO: u8 = 0x01;

/// Longest payload a host accepts: one frame.
pub const PAYLOAD_MAX: usize = FRAME_HEADER_LEN + crate::limits::FRAME_PIXELS_MAX;

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests;
