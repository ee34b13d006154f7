//! The packet: a 24-byte header, a payload, and a checksum over both.

use crate::Wiped;
use std::fmt::Debug;

use super::crypto::TAG_LEN;
use super::fields::Fields;
use super::{PAYLOAD_MAX, ProtocolError};

/// First bytes of every packet.
pub const MAGIC: [u8; 4] = *b"OPRP";
/// The protocol version this crate speaks.
pub const VERSION: u8 = 1;
/// Bytes before the payload.
pub const HEADER_LEN: usize = 24;
/// The header without its checksum, which is its last field.
const CHECKED_LEN: usize = HEADER_LEN - 4;
/// Bit 0 of the flags: the payload is sealed and ends with a tag.
const FLAG_SEALED: u8 = 1;

/// One packet, checked for damage but not yet for meaning.
pub struct Packet {
    /// Type number, see [`super::Command`] and [`super::Reply`].
    pub kind: u8,
    /// The sender's count of its packets.
    pub sequence: u32,
    /// In a reply: the sequence number of the command it answers. In a command: 0.
    pub answers: u32,
    /// The payload is sealed: [`super::Channel::open`] opens it.
    pub sealed: bool,
    /// Wiped on drop, because it may be a frame.
    pub payload: Wiped,
}

impl Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            sequence,
            answers,
            sealed,
            payload,
        } = self;
        let how = if *sealed { " sealed" } else { "" };
        write!(
            f,
            "Packet({kind:#04x} #{sequence} -> #{answers}, {}{how} bytes)",
            payload.len()
        )
    }
}

/// Writes one packet. The caller ends the USB message.
///
/// # Panics
/// When `payload` is longer than [`PAYLOAD_MAX`]: nothing of ours makes one.
#[must_use]
pub fn encode(kind: u8, sequence: u32, answers: u32, payload: &[u8]) -> Vec<u8> {
    assert!(
        payload.len() <= PAYLOAD_MAX,
        "a payload of {} bytes was built",
        payload.len()
    );
    let header = header(kind, (sequence, answers), payload.len(), 0);
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    bytes.extend(header);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend(crc.to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// The header without its checksum: what the tag of a sealed packet covers beside the payload.
fn header(
    kind: u8,
    (sequence, answers): (u32, u32),
    length: usize,
    flags: u8,
) -> [u8; CHECKED_LEN] {
    let length = u32::try_from(length).expect("invariant: PAYLOAD_MAX fits in 32 bits");
    let mut bytes = [0; CHECKED_LEN];
    let all = MAGIC
        .into_iter()
        .chain([VERSION, kind, flags, 0])
        .chain(sequence.to_le_bytes())
        .chain(length.to_le_bytes())
        .chain(answers.to_le_bytes());
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    bytes
}

/// The header that a sealed packet came under.
pub(super) fn header_of(packet: &Packet) -> [u8; CHECKED_LEN] {
    let numbers = (packet.sequence, packet.answers);
    header(packet.kind, numbers, packet.payload.len(), FLAG_SEALED)
}

/// A packet whose payload is still to be sealed and its tag to be put behind it, with room for that.
pub(super) fn start_sealed(
    kind: u8,
    sequence: u32,
    answers: u32,
    payload: &[u8],
) -> (Vec<u8>, [u8; CHECKED_LEN]) {
    let length = payload.len() + TAG_LEN;
    let header = header(kind, (sequence, answers), length, FLAG_SEALED);
    let mut bytes = Vec::with_capacity(HEADER_LEN + length);
    bytes.extend(header);
    bytes.extend([0; HEADER_LEN - CHECKED_LEN]);
    bytes.extend(payload);
    (bytes, header)
}

/// Puts the checksum into a sealed packet.
pub(crate) fn finish_sealed(bytes: &mut [u8]) {
    if let Some((header, rest)) = bytes.split_at_mut_checked(CHECKED_LEN)
        && let Some((field, payload)) = rest.split_at_mut_checked(HEADER_LEN - CHECKED_LEN)
    {
        let crc = crc32c::crc32c_append(crc32c::crc32c(header), payload);
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

#[derive(Clone, Copy)]
struct Header {
    kind: u8,
    sequence: u32,
    answers: u32,
    sealed: bool,
    length: usize,
    crc: u32,
    /// Checksum of the header's own bytes, to be continued over the payload.
    crc_so_far: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_LEN], payload_max: usize) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("packet header", bytes);
        if fields.array::<4>("magic")? != MAGIC {
            return Err(ProtocolError::BadMagic);
        }
        match fields.u8("version")? {
            VERSION => {}
            other => return Err(ProtocolError::UnsupportedVersion(other)),
        }
        let kind = fields.u8("type")?;
        let sealed = match fields.u8("flags")? {
            0 => false,
            FLAG_SEALED => true,
            other => return Err(ProtocolError::UnsupportedFlags(other)),
        };
        fields.zeros::<1>("byte 7")?;
        let sequence = fields.u32("sequence")?;
        let length = usize::try_from(fields.u32("length")?).unwrap_or(usize::MAX);
        if length > payload_max {
            return Err(ProtocolError::TooLarge {
                length,
                max: payload_max,
            });
        }
        let answers = fields.u32("answers")?;
        let crc = fields.u32("crc")?;
        let (checked, _) = bytes.split_at_checked(CHECKED_LEN).unwrap_or((bytes, &[]));
        Ok(Self {
            kind,
            sequence,
            answers,
            sealed,
            length,
            crc,
            crc_so_far: crc32c::crc32c(checked),
        })
    }
}

/// Puts packets together from the pieces that a transport delivers.
///
/// A malformed message is reported once, as early as it can be seen; the rest of that message is
/// swallowed, and the next message starts afresh.
#[derive(Default)]
pub struct Decoder {
    header_bytes: Vec<u8>,
    header: Option<Header>,
    payload: Wiped,
    payload_max: usize,
    skipping: bool,
}

impl Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Decoder({} payload bytes, skipping: {})",
            self.payload.len(),
            self.skipping
        )
    }
}

impl Decoder {
    /// A decoder that accepts payloads up to `payload_max` bytes.
    #[must_use]
    pub fn new(payload_max: usize) -> Self {
        Self {
            payload_max,
            ..Self::default()
        }
    }

    /// Takes the next piece; `last` says that the USB message ends with it. Returns the packet
    /// when its message is complete. An empty message (a stray zero-length packet) is nothing.
    ///
    /// # Errors
    /// [`ProtocolError`] for the message at hand; push on with the following pieces.
    pub fn push(&mut self, bytes: &[u8], last: bool) -> Result<Option<Packet>, ProtocolError> {
        let outcome = if self.skipping {
            Ok(None)
        } else {
            match self.absorb(bytes) {
                Ok(()) if last => self.finish(),
                Ok(()) => return Ok(None),
                Err(error) => Err(error),
            }
        };
        self.clear();
        self.skipping = !last;
        outcome
    }

    /// Forgets an unfinished message. The next piece starts a new one.
    pub fn clear(&mut self) {
        self.header_bytes.clear();
        self.header = None;
        self.payload.wipe();
        self.skipping = false;
    }

    fn absorb(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let missing = HEADER_LEN.saturating_sub(self.header_bytes.len());
        let (head, body) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.header_bytes.extend(head);
        if self.header.is_none()
            && let Ok(header) = <&[u8; HEADER_LEN]>::try_from(self.header_bytes.as_slice())
        {
            let header = Header::parse(header, self.payload_max)?;
            // Exactly once, so that growing never leaves a copy of pixels behind.
            self.payload.reserve_exact(header.length);
            self.header = Some(header);
        }
        let room = self
            .header
            .map_or(0, |header| header.length - self.payload.len());
        match body.len().checked_sub(room) {
            None | Some(0) => self.payload.extend_from_slice(body),
            Some(extra) => {
                return Err(ProtocolError::TooLong {
                    message: "packet",
                    extra,
                });
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Packet>, ProtocolError> {
        let Some(header) = self.header else {
            return match self.header_bytes.len() {
                0 => Ok(None),
                got => Err(ProtocolError::Truncated {
                    expected: HEADER_LEN,
                    got,
                }),
            };
        };
        if self.payload.len() != header.length {
            let expected = HEADER_LEN + header.length;
            return Err(ProtocolError::Truncated {
                expected,
                got: HEADER_LEN + self.payload.len(),
            });
        }
        if crc32c::crc32c_append(header.crc_so_far, &self.payload) != header.crc {
            return Err(ProtocolError::CrcMismatch);
        }
        let Header {
            kind,
            sequence,
            answers,
            sealed,
            ..
        } = header;
        let payload = std::mem::take(&mut self.payload);
        Ok(Some(Packet {
            kind,
            sequence,
            answers,
            sealed,
            payload,
        }))
    }
}

/// Feeds arbitrary bytes to the decoder in arbitrary pieces; must not panic. The first byte of
/// each piece says how long it is and whether it ends the message.
#[doc(hidden)]
pub fn fuzz_packet(bytes: &[u8]) {
    let mut decoder = Decoder::new(PAYLOAD_MAX);
    let mut rest = bytes;
    while let Some((control, tail)) = rest.split_first() {
        let (piece, next) = tail
            .split_at_checked(usize::from(control >> 1))
            .unwrap_or((tail, &[]));
        if let Ok(Some(packet)) = decoder.push(piece, control & 1 == 1) {
            let Packet {
                kind,
                sequence,
                answers,
                sealed,
                payload,
            } = &packet;
            let mut again = encode(*kind, *sequence, *answers, payload);
            if *sealed && let Some(flags) = again.get_mut(6) {
                *flags = FLAG_SEALED;
                finish_sealed(&mut again);
            }
            let twin = Decoder::new(PAYLOAD_MAX).push(&again, true);
            assert!(
                matches!(twin, Ok(Some(_))),
                "what was decoded encodes to a packet"
            );
        }
        rest = next;
    }
}
