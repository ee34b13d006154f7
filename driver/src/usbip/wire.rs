//! USB/IP messages: 48 bytes of header, big-endian, then the data stage.

use super::gadget::Setup;
use crate::limits::URB_LEN_MAX;

/// Length of every header.
pub const HEADER_LEN: usize = 48;

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

/// Linux errno of a halted endpoint, as `status` carries it.
pub const EPIPE: i32 = -32;
/// Linux errno of a device that left.
pub const ENODEV: i32 = -19;
/// Linux errno of a device that sent too much.
pub const EOVERFLOW: i32 = -75;
/// Linux errno of a transfer that was taken back.
pub const ECONNRESET: i32 = -104;
/// Linux errno of a device or controller that was shut down.
pub const ESHUTDOWN: i32 = -108;

/// A header that is no USB/IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A command that the protocol does not have. Remedy: the peer is no USB/IP peer; hang up.
    #[error("USB/IP message {0:#x} is unknown")]
    Kind(u32),
    /// A transfer longer than any that we take. Remedy: hang up.
    #[error("USB/IP transfer of {0} bytes is longer than 16 MiB or negative")]
    Length(u32),
    /// An isochronous transfer. Remedy: none here, they are not spoken.
    #[error("isochronous transfers are not spoken here")]
    Isochronous,
}

/// From host to device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Does a transfer.
    Submit {
        /// The host's number of it.
        sequence: u32,
        /// The device's number on the host.
        device: u32,
        /// Endpoint number with bit 7 for IN, 0 and 0x80 both for control.
        endpoint: u8,
        /// Bytes to send, or room to receive.
        length: usize,
        /// Of a control transfer.
        setup: Setup,
    },
    /// Takes one back.
    Unlink {
        /// The host's number of this wish.
        sequence: u32,
        /// The device's number on the host.
        device: u32,
        /// Which transfer.
        which: u32,
    },
}

/// From device to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A transfer came back.
    Submit {
        /// Which.
        sequence: u32,
        /// 0, or a negated Linux errno.
        status: i32,
        /// Bytes that moved.
        length: usize,
    },
    /// A wish to take one back was heard.
    Unlink {
        /// Of the wish.
        sequence: u32,
        /// [`ECONNRESET`] when it was taken back, 0 when it had been done.
        status: i32,
    },
}

fn word(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    let bytes = header.get(at * 4..at * 4 + 4).unwrap_or_default();
    bytes
        .iter()
        .fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

fn length(word: u32) -> Result<usize, WireError> {
    usize::try_from(word)
        .ok()
        .filter(|length| *length <= URB_LEN_MAX)
        .ok_or(WireError::Length(word))
}

fn written(words: &[u32]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    for (place, word) in header.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    header
}

impl Command {
    /// Reads a header.
    ///
    /// # Errors
    /// [`WireError`]: hang up.
    pub fn parse(header: &[u8; HEADER_LEN]) -> Result<Self, WireError> {
        let (sequence, device) = (word(header, 1), word(header, 2));
        match word(header, 0) {
            CMD_SUBMIT => {
                // Linux writes 0 or 0xffffffff for a transfer that is not isochronous.
                if !matches!(word(header, 8), 0 | u32::MAX) {
                    return Err(WireError::Isochronous);
                }
                let number = word(header, 4).to_le_bytes()[0] & 0x0f;
                let direction = if word(header, 3) == 0 { 0 } else { 0x80 };
                let mut setup = [0; 8];
                setup.copy_from_slice(header.get(40..48).unwrap_or(&[0; 8]));
                Ok(Self::Submit {
                    sequence,
                    device,
                    endpoint: number | direction,
                    length: length(word(header, 6))?,
                    setup: Setup::parse(setup),
                })
            }
            CMD_UNLINK => Ok(Self::Unlink {
                sequence,
                device,
                which: word(header, 5),
            }),
            kind => Err(WireError::Kind(kind)),
        }
    }

    /// The header as it is on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        match *self {
            Self::Submit {
                sequence,
                device,
                endpoint,
                length,
                setup,
            } => {
                let direction = u32::from(endpoint >> 7);
                let number = u32::from(endpoint & 0x0f);
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                let head = [CMD_SUBMIT, sequence, device, direction, number, 0, length];
                let mut header = written(&head);
                if let Some(place) = header.get_mut(40..) {
                    place.copy_from_slice(&setup.encode());
                }
                header
            }
            Self::Unlink {
                sequence,
                device,
                which,
            } => written(&[CMD_UNLINK, sequence, device, 0, 0, which]),
        }
    }
}

impl Reply {
    /// Reads a header.
    ///
    /// # Errors
    /// [`WireError`]: hang up.
    pub fn parse(header: &[u8; HEADER_LEN]) -> Result<Self, WireError> {
        let sequence = word(header, 1);
        let status = word(header, 5).cast_signed();
        match word(header, 0) {
            RET_SUBMIT => Ok(Self::Submit {
                sequence,
                status,
                length: length(word(header, 6))?,
            }),
            RET_UNLINK => Ok(Self::Unlink { sequence, status }),
            kind => Err(WireError::Kind(kind)),
        }
    }

    /// The header as it is on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        match *self {
            Self::Submit {
                sequence,
                status,
                length,
            } => {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                let status = status.cast_unsigned();
                written(&[RET_SUBMIT, sequence, 0, 0, 0, status, length])
            }
            Self::Unlink { sequence, status } => {
                written(&[RET_UNLINK, sequence, 0, 0, 0, status.cast_unsigned()])
            }
        }
    }
}

/// Reads arbitrary bytes as headers from either side; must not panic, and what is read is written back the same.
#[doc(hidden)]
pub fn fuzz_usbip(bytes: &[u8]) {
    for header in bytes.as_chunks::<HEADER_LEN>().0 {
        if let Ok(command) = Command::parse(header) {
            assert_eq!(Command::parse(&command.encode()), Ok(command));
        }
        if let Ok(reply) = Reply::parse(header) {
            assert_eq!(Reply::parse(&reply.encode()), Ok(reply));
        }
    }
}
