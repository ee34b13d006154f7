//! The clean-up that is never skipped, and the bounded ladder it climbs.
//!
//! | rung | does | cures |
//! |---|---|---|
//! | abort | ABORT on bulk, read up to its answer | cancel, deadline, damage, lost packets |
//! | clear | clear both halts, abort on control, HELLO | stall, a reader that restarted |
//! | reset | reset the port, HELLO | a reader that no longer answers |
//!
//! Each rung is tried once and has [`crate::limits::RECOVERY_TIMEOUT`] a transfer. After the last
//! one the session is unclean: the next call starts at the clear rung.

use super::ReaderError;
use super::link::{Link, unexpected};
use crate::protocol::{Command, Info, NakCode, Reply, VERSION};
use crate::transport::Recovery;

/// Puts the reader back into its ready state after `error`.
pub(super) fn clean_up(link: &mut Link, error: ReaderError) -> Result<(), ReaderError> {
    match error {
        ReaderError::Gone => return Err(ReaderError::Gone),
        // An endpoint that is halted or faulted, or a reader that wants a HELLO, cannot abort.
        ReaderError::Fault
        | ReaderError::Stalled
        | ReaderError::Refused(NakCode::HelloFirst | NakCode::BadSequence) => {}
        ReaderError::Cancelled
        | ReaderError::Denied
        | ReaderError::Protocol(_)
        | ReaderError::Refused(_)
        | ReaderError::TimedOut => match link.resynchronise(&Command::Abort) {
            Ok(Reply::Ack) => return Ok(()),
            Err(ReaderError::Gone) => return Err(ReaderError::Gone),
            Ok(_) | Err(_) => {}
        },
    }
    greet(link).map(drop)
}

/// Begins a session, or begins it again.
pub(super) fn greet(link: &mut Link) -> Result<Info, ReaderError> {
    match clear_and_hello(link) {
        Ok(info) => Ok(info),
        Err(ReaderError::Gone) => Err(ReaderError::Gone),
        Err(error) => {
            tracing::debug!(%error, "no answer after clearing, resetting the port");
            link.recover(Recovery::Reset)?;
            hello(link)
        }
    }
}

fn clear_and_hello(link: &mut Link) -> Result<Info, ReaderError> {
    link.recover(Recovery::ClearHalt)?;
    link.control_abort()?;
    hello(link)
}

fn hello(link: &mut Link) -> Result<Info, ReaderError> {
    match link.resynchronise(&Command::Hello {
        version_min: VERSION,
        version_max: VERSION,
    })? {
        Reply::Info(info) => Ok(info),
        other => Err(unexpected("INFO", &other)),
    }
}
