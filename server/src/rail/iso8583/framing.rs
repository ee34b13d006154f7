//! Where one message ends and the next begins on a TCP stream: a length, then perhaps a TPDU, then the message.

use super::codec::MESSAGE_MAX;
use crate::config::rails::{Header, Iso8583Config};

const TPDU: usize = 5;

/// What stands before each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The length.
    pub header: Header,
    /// The TPDU: its kind (1 byte), whereto (2), wherefrom (2).
    pub tpdu: Option<[u8; TPDU]>,
}

/// The stream is out of step, and must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no length of a message where one should stand: check rails.iso8583.header and .tpdu")]
pub struct FramingError;

impl Framing {
    /// As the configuration says.
    #[must_use]
    pub fn of(config: &Iso8583Config) -> Self {
        Self {
            header: config.header,
            tpdu: config.tpdu_bytes(),
        }
    }

    const fn header_len(self) -> usize {
        match self.header {
            Header::Bytes2 => 2,
            Header::Bytes4 | Header::Digits4 => 4,
        }
    }

    /// The frame of a message of at most [`MESSAGE_MAX`] bytes.
    #[must_use]
    pub fn frame(self, message: &[u8]) -> Vec<u8> {
        let tpdu = self.tpdu.as_ref().map_or(&[][..], |tpdu| &tpdu[..]);
        let length = tpdu.len() + message.len();
        let mut out = match self.header {
            Header::Bytes2 => u16::try_from(length).unwrap_or(0).to_be_bytes().to_vec(),
            Header::Bytes4 => u32::try_from(length).unwrap_or(0).to_be_bytes().to_vec(),
            Header::Digits4 => format!("{length:04}").into_bytes(),
        };
        out.extend_from_slice(tpdu);
        out.extend_from_slice(message);
        out
    }

    /// Takes the first whole message out of what was received; `None` while it is not whole. An empty frame, which some
    /// hosts send to keep a line open, gives an empty message.
    ///
    /// # Errors
    /// [`FramingError`] when no more can be made of the stream.
    pub fn take(self, received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, FramingError> {
        let header = self.header_len();
        let Some(length) = received.get(..header) else {
            return Ok(None);
        };
        let length = match self.header {
            Header::Bytes2 | Header::Bytes4 => length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            Header::Digits4 => length.iter().try_fold(0, |sum, digit| {
                let is_digit = digit.is_ascii_digit();
                is_digit
                    .then(|| sum * 10 + usize::from(digit - b'0'))
                    .ok_or(FramingError)
            })?,
        };
        if length > MESSAGE_MAX + TPDU {
            return Err(FramingError);
        }
        if received.len() < header + length {
            return Ok(None);
        }
        let mut frame: Vec<u8> = received.drain(..header + length).skip(header).collect();
        if self.tpdu.is_some() && !frame.is_empty() {
            if frame.len() < TPDU {
                return Err(FramingError);
            }
            frame.drain(..TPDU);
        }
        Ok(Some(frame))
    }
}

/// Reads any bytes as a stream of frames, the first byte choosing how; nothing may panic.
#[doc(hidden)]
pub fn fuzz_frames(bytes: &[u8]) {
    let Some((kind, stream)) = bytes.split_first() else {
        return;
    };
    let header = [Header::Bytes2, Header::Bytes4, Header::Digits4][usize::from(kind % 3)];
    let framing = Framing {
        header,
        tpdu: (kind & 0x80 != 0).then_some([0x60, 0, 1, 0, 0]),
    };
    let mut received = stream.to_vec();
    while let Ok(Some(message)) = framing.take(&mut received) {
        assert!(message.len() <= MESSAGE_MAX + TPDU);
    }
}
