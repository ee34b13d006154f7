//! What goes wrong with a reader, for the operator.

use crate::protocol::{AttestError, NakCode, ProtocolError};
use crate::transport::TransportError;

/// Why the reader did not do what it was asked. What to tell the *customer* is a [`super::Hint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// The caller cancelled. Remedy: none needed.
    #[error("cancelled")]
    Cancelled,
    /// No rights, or another program holds the reader. Remedy: install `driver/99-openpalm.rules`
    /// and replug, or stop the other program.
    #[error("no access to the reader: install the udev rule, or stop the program that holds it")]
    Denied,
    /// Bus faults that clearing and resetting did not cure. Remedy: another cable or port.
    #[error("bus faults persist: try another cable or port")]
    Fault,
    /// The reader was unplugged or lost power. Remedy: plug it in; wait for hot-plug and open anew.
    #[error("the reader is gone: plug it in again")]
    Gone,
    /// The reader could not prove who made it and what it runs. Remedy: in the inner error.
    #[error("the reader is not trusted: {0}")]
    NotTrusted(AttestError),
    /// The reader sent what the protocol does not allow, twice. Remedy: in the inner error.
    #[error("the reader broke the protocol: {0}")]
    Protocol(ProtocolError),
    /// The reader refused the command, twice if that was worth it. Remedy: in the inner code.
    #[error("the reader refused: {0}")]
    Refused(NakCode),
    /// An endpoint stays halted. Remedy: replug the reader; update its firmware.
    #[error("the reader stays halted: replug it")]
    Stalled,
    /// No answer in time. Remedy: allow more time; if it persists replug the reader.
    #[error("the reader did not answer in time")]
    TimedOut,
}

impl ReaderError {
    /// Whether the same command may go better after a clean-up.
    pub(super) fn is_worth_another_try(self) -> bool {
        match self {
            Self::Fault | Self::Protocol(_) | Self::Stalled | Self::TimedOut => true,
            Self::Refused(code) => match code {
                NakCode::UnknownType | NakCode::UnsupportedVersion => false,
                NakCode::BadArgument
                | NakCode::BadSequence
                | NakCode::Busy
                | NakCode::ConnectFirst
                | NakCode::HelloFirst
                | NakCode::LightSpent
                | NakCode::Malformed
                | NakCode::NotArmed
                | NakCode::NotAuthentic
                | NakCode::SensorFault
                | NakCode::Other(_) => true,
            },
            Self::Cancelled | Self::Denied | Self::Gone | Self::NotTrusted(_) => false,
        }
    }

    /// Whether both sides disagree about the session itself, so that only a new one helps.
    pub(super) fn is_stale_session(self) -> bool {
        matches!(
            self,
            Self::Protocol(ProtocolError::NotAuthentic | ProtocolError::NotSealed(_))
                | Self::Refused(
                    NakCode::BadSequence
                        | NakCode::ConnectFirst
                        | NakCode::HelloFirst
                        | NakCode::NotAuthentic
                )
        )
    }
}

impl From<AttestError> for ReaderError {
    fn from(error: AttestError) -> Self {
        Self::NotTrusted(error)
    }
}

impl From<ProtocolError> for ReaderError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<TransportError> for ReaderError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Denied => Self::Denied,
            TransportError::Disconnected => Self::Gone,
            TransportError::Fault => Self::Fault,
            TransportError::Stalled => Self::Stalled,
            TransportError::TimedOut => Self::TimedOut,
        }
    }
}
