//! The clean-up that is never skipped, and the bounded ladder it climbs.
//!
//! | rung | does | cures |
//! |---|---|---|
//! | abort | ABORT on bulk, read up to its answer | cancel, deadline, damage, lost packets |
//! | clear | clear both halts, abort on control, HELLO, CONNECT | stall, a reader that restarted, a stale session |
//! | reset | reset the port, HELLO, CONNECT | a reader that no longer answers |
//!
//! Each rung is tried once and has [`crate::limits::RECOVERY_TIMEOUT`] a transfer. After the last
//! one the session is unclean: the next call starts at the clear rung. A reader that is not trusted is asked no
//! second time: it would say the same.

use super::link::{Link, unexpected};
use super::{CancelToken, ReaderError};
use crate::clock::Deadline;
use crate::limits::COMMAND_TIMEOUT;
use crate::protocol::{Attestation, Command, HostHandshake, Info, Reply, Trust, VERSION};
use crate::transport::Recovery;

/// What a reader said and proved when it was greeted.
pub(super) type Greeting = (Info, Attestation);

/// Puts the reader back into its ready state after `error`; the greeting, if the session had to be made anew.
pub(super) fn clean_up(
    link: &mut Link,
    trust: &Trust,
    error: ReaderError,
) -> Result<Option<Greeting>, ReaderError> {
    match error {
        ReaderError::Gone => return Err(ReaderError::Gone),
        // An endpoint that is halted or faulted cannot abort, nor a reader that knows nothing of the session.
        ReaderError::Fault | ReaderError::Stalled => {}
        stale if stale.is_stale_session() => {}
        _ => match link.resynchronise(&Command::Abort) {
            Ok(Reply::Ack) => return Ok(None),
            Err(ReaderError::Gone) => return Err(ReaderError::Gone),
            Ok(_) | Err(_) => {}
        },
    }
    greet(link, trust).map(Some)
}

/// Begins a session, or begins it again.
pub(super) fn greet(link: &mut Link, trust: &Trust) -> Result<Greeting, ReaderError> {
    match clear_and_connect(link, trust) {
        Err(error) if !matches!(error, ReaderError::Gone | ReaderError::NotTrusted(_)) => {
            tracing::debug!(%error, "no answer after clearing, resetting the port");
            link.recover(Recovery::Reset)?;
            connect(link, trust)
        }
        outcome => outcome,
    }
}

fn clear_and_connect(link: &mut Link, trust: &Trust) -> Result<Greeting, ReaderError> {
    link.recover(Recovery::ClearHalt)?;
    link.control_abort()?;
    connect(link, trust)
}

fn connect(link: &mut Link, trust: &Trust) -> Result<Greeting, ReaderError> {
    link.disconnect();
    let info = match link.resynchronise(&Command::Hello {
        version_min: VERSION,
        version_max: VERSION,
    })? {
        Reply::Info(info) => info,
        other => return Err(unexpected("INFO", &other)),
    };
    let handshake = HostHandshake::begin(VERSION, VERSION);
    let deadline = Deadline::after(link.clock(), COMMAND_TIMEOUT);
    let command = Command::Connect(handshake.connect());
    let connected = match link.ask(&command, deadline, &CancelToken::new())? {
        Reply::Connected(connected) => connected,
        other => return Err(unexpected("CONNECTED", &other)),
    };
    let (channel, attestation) = handshake.finish(&info, &connected, trust)?;
    link.secure(channel);
    Ok((info, attestation))
}
