//! What can be wrong with bytes.

/// A message that is not protocol version 1. The session answers each by resynchronising; what
/// follows is for the operator when it keeps happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first four bytes are not `OPRP`. Cause: another device under this id, or a message
    /// begun in the middle. Remedy: check the device id; resynchronise.
    #[error("not a reader message: the magic is wrong")]
    BadMagic,
    /// Frame sides that do not make the pixels that came. Cause: firmware bug. Remedy: update it.
    #[error("frame of {width} x {height} with {pixels} bytes of pixels")]
    BadDimensions {
        /// Columns claimed.
        width: u32,
        /// Rows claimed.
        height: u32,
        /// Bytes that came.
        pixels: usize,
    },
    /// The plan inside an ARM command cannot be played. Remedy: correct the named shot.
    #[error("the plan cannot be played: {0}")]
    BadPlan(crate::burst::PlanError),
    /// The CRC32C does not match. Cause: a bad cable or port. Remedy: ask again; replace the cable.
    #[error("checksum mismatch: bytes were damaged on the way")]
    CrcMismatch,
    /// A sequence number came twice or went back. Cause: firmware resent. Remedy: resynchronise.
    #[error("packet {got} came again, {expected} was next")]
    DuplicatePacket {
        /// The sequence number that was due.
        expected: u32,
        /// The one that came.
        got: u32,
    },
    /// A sequence number was skipped. Cause: the reader lost a packet. Remedy: resynchronise.
    #[error("packet {expected} is missing, {got} came")]
    MissingPacket {
        /// The sequence number that was due.
        expected: u32,
        /// The one that came.
        got: u32,
    },
    /// A packet that was not sealed under this session's keys, or was changed since. Cause: somebody on the cable, or
    /// a reader that restarted. Remedy: connect anew; if it persists, look at the cable.
    #[error("a packet is not authentic: somebody changed it, or it is of another session")]
    NotAuthentic,
    /// A packet in the clear where only sealed ones are taken. Cause and remedy: as for `NotAuthentic`.
    #[error("a packet of type {0:#04x} came in the clear within a secure session")]
    NotSealed(u8),
    /// A reserved field is not zero. Cause: newer firmware. Remedy: update the driver.
    #[error("{message}: reserved field {field} is not zero")]
    ReservedNotZero {
        /// Which message.
        message: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// More bytes than the message has. Cause: firmware bug, or a lost message end. Remedy:
    /// resynchronise; update the firmware.
    #[error("{message}: {extra} bytes too many")]
    TooLong {
        /// Which message.
        message: &'static str,
        /// How many bytes too many, as far as seen.
        extra: usize,
    },
    /// The header announces more than any message may carry. Remedy: as for `TooLong`.
    #[error("payload of {length} bytes announced, at most {max} are allowed")]
    TooLarge {
        /// What was announced.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// A payload ends before the named field. Cause: firmware bug. Remedy: update the firmware.
    #[error("{message}: ends before {field}")]
    TooShort {
        /// Which message.
        message: &'static str,
        /// The first field that is missing.
        field: &'static str,
    },
    /// The USB message ended before the packet did. Cause: the reader lost a transfer. Remedy:
    /// resynchronise.
    #[error("message ended after {got} of {expected} bytes")]
    Truncated {
        /// Bytes announced, or the header's length when not even that came.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A reply of another kind than the command allows. Cause: host and reader disagree about the
    /// state. Remedy: resynchronise; update the firmware.
    #[error("expected {wanted}, got {got}")]
    UnexpectedReply {
        /// What the command allows.
        wanted: &'static str,
        /// What came.
        got: &'static str,
    },
    /// A type number that version 1 does not have. Remedy: update the driver or the firmware.
    #[error("unknown packet type {0:#04x}")]
    UnknownType(u8),
    /// A field holds a value that version 1 does not have. Remedy: update driver or firmware.
    #[error("{message}: {field} has the unknown value {value}")]
    UnknownValue {
        /// Which message.
        message: &'static str,
        /// Which field.
        field: &'static str,
        /// What it held.
        value: u32,
    },
    /// Flag bits that this driver does not know. Remedy: update the driver.
    #[error("unsupported flags {0:#04x}")]
    UnsupportedFlags(u8),
    /// A protocol version other than 1. Remedy: update the older side.
    #[error("protocol version {0} is not supported, this driver speaks 1")]
    UnsupportedVersion(u8),
    /// A frame of another capture. Cause: a stale or replayed frame. Remedy: capture again; if it
    /// persists the reader is not to be trusted.
    #[error("a frame carries the nonce of another capture")]
    WrongNonce,
    /// A frame taken for something else than was asked. Cause: firmware that mixes captures, or means to. Remedy: as
    /// for `WrongNonce`.
    #[error("a frame belongs to another payment or enrolment")]
    WrongPurpose,
    /// A frame that answers no shot of the plan, or out of order. Remedy: update the firmware.
    #[error("frame {index} does not answer the shot that was due")]
    WrongShot {
        /// The index the frame claims.
        index: u8,
    },
}
