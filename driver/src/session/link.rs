//! Packets over a transport: numbered commands out, checked replies in, both sealed once the session is secure. No
//! recovery here.

use std::sync::Arc;
use std::time::Duration;

use super::{CancelToken, Event, ReaderError};
use crate::clock::{Clock, Deadline};
use crate::limits::{CANCEL_SLICE, KEEP_ALIVE, RECOVERY_TIMEOUT, RESYNC_MESSAGES_MAX, SILENCE_MAX};
use crate::protocol::{
    CONTROL_ABORT, Channel, Command, Decoder, PACKETS_MAX, PAYLOAD_MAX, Packet, ProtocolError,
    ProtocolError as E, Reply,
};
use crate::transport::{Control, Recovery, Transport, TransportError};

#[derive(Debug)]
pub(super) struct Link {
    transport: Box<dyn Transport>,
    clock: Arc<dyn Clock>,
    decoder: Decoder,
    /// The keys, once CONNECT was answered; HELLO throws them away.
    channel: Option<Channel>,
    /// Sequence number of the last command. Never starts over, so that an answer to an old
    /// command is never taken for an answer to a new one. Never 0 once something was sent.
    sent: u32,
    /// The last command before this session's keys.
    sealed_from: u32,
    /// Sequence number the next packet must carry.
    due: u32,
    /// Sequence number of the last event that was believed in this session.
    event_heard: Option<u32>,
    /// When the reader last said something that was believed.
    heard_at: Duration,
}

impl Link {
    pub(super) fn new(transport: Box<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self {
            transport,
            clock,
            decoder: Decoder::new(PAYLOAD_MAX),
            channel: None,
            sent: 0,
            sealed_from: 0,
            due: 0,
            event_heard: None,
            heard_at: Duration::ZERO,
        }
    }

    /// Whether the reader has said nothing for so long that it may have forgotten the session.
    pub(super) fn is_silent(&self) -> bool {
        self.clock.now().saturating_sub(self.heard_at) >= KEEP_ALIVE
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Sends a command and waits for its first reply; a refusal is an error.
    pub(super) fn ask(
        &mut self,
        command: &Command,
        deadline: Deadline,
        cancel: &CancelToken,
    ) -> Result<Reply, ReaderError> {
        self.send(command, deadline)?;
        self.reply(deadline, cancel)
    }

    pub(super) fn send(
        &mut self,
        command: &Command,
        deadline: Deadline,
    ) -> Result<(), ReaderError> {
        self.sent = self.sent.wrapping_add(1).max(1);
        let left = deadline.left(&*self.clock).ok_or(ReaderError::TimedOut)?;
        let message = if command.is_clear() {
            command.encode(self.sent)
        } else {
            let channel = self.channel.as_ref();
            let channel = channel.ok_or_else(|| ProtocolError::NotSealed(command.kind()))?;
            channel.seal(command.kind(), self.sent, 0, &command.payload())
        };
        Ok(self.transport.bulk_out(&message, left)?)
    }

    /// Throws the session's keys away, before HELLO.
    pub(super) fn disconnect(&mut self) {
        self.channel = None;
        self.event_heard = None;
    }

    /// From here on everything is sealed.
    pub(super) fn secure(&mut self, channel: Channel) {
        self.channel = Some(channel);
        self.sealed_from = self.sent;
    }

    /// As if so many packets had gone out already.
    #[cfg(test)]
    pub(super) fn wear(&mut self, sent: u32) {
        self.sealed_from = self.sent.wrapping_sub(sent);
    }

    /// Whether so much was said under these keys that new ones are due.
    pub(super) fn is_worn(&self) -> bool {
        let sent = self.sent.wrapping_sub(self.sealed_from);
        self.channel.is_some() && sent.max(self.due) >= PACKETS_MAX
    }

    /// The next reply to the last command, in sequence.
    pub(super) fn reply(
        &mut self,
        deadline: Deadline,
        cancel: &CancelToken,
    ) -> Result<Reply, ReaderError> {
        loop {
            let packet = self.packet(deadline, cancel)?;
            self.check_sequence(&packet)?;
            // An answer to an earlier command that came after its deadline is nobody's answer.
            if self.is_answer(&packet) {
                return match Reply::parse(packet)? {
                    Reply::Nak(code) => Err(ReaderError::Refused(code)),
                    reply => Ok(reply),
                };
            }
        }
    }

    /// Sends a command and throws everything away up to its answer, whose sequence number is the
    /// new count. This is how both sides agree again.
    pub(super) fn resynchronise(&mut self, command: &Command) -> Result<Reply, ReaderError> {
        let deadline = Deadline::after(&*self.clock, RECOVERY_TIMEOUT);
        self.send(command, deadline)?;
        for _ in 0..RESYNC_MESSAGES_MAX {
            let packet = match self.packet(deadline, &CancelToken::new()) {
                Ok(packet) if self.is_past(&packet) => continue,
                Ok(packet) => packet,
                // Within a session, no abort helps against these: it is made anew.
                Err(error @ ReaderError::Protocol(E::NotSealed(_) | E::NotAuthentic))
                    if self.channel.is_some() =>
                {
                    return Err(error);
                }
                Err(ReaderError::Protocol(_)) => continue,
                Err(error) => return Err(error),
            };
            if self.is_answer(&packet) {
                self.due = packet.sequence.wrapping_add(1);
                return match Reply::parse(packet)? {
                    Reply::Nak(code) => Err(ReaderError::Refused(code)),
                    reply => Ok(reply),
                };
            }
        }
        Err(ReaderError::TimedOut)
    }

    pub(super) fn recover(&mut self, step: Recovery) -> Result<(), ReaderError> {
        self.decoder.clear();
        Ok(self.transport.recover(step)?)
    }

    /// Stops the reader and empties its bulk IN without using bulk.
    pub(super) fn control_abort(&mut self) -> Result<(), ReaderError> {
        let request = Control::Out {
            request: CONTROL_ABORT,
            value: 0,
            data: &[],
        };
        self.transport.control(request, RECOVERY_TIMEOUT)?;
        Ok(())
    }

    pub(super) fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>, ReaderError> {
        let deadline = Deadline::after(&*self.clock, timeout);
        loop {
            // A deadline that has passed still takes what is already there.
            let left = deadline.left(&*self.clock).unwrap_or_default();
            let bytes = match self.transport.interrupt_in(left) {
                Ok(bytes) => bytes,
                Err(TransportError::TimedOut) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let heard = self.event_heard;
            let event = match &self.channel {
                Some(channel) => channel.open_event(bytes),
                None => Err(E::NotAuthentic),
            };
            match event {
                Ok(event) if heard.is_some_and(|heard| event.sequence <= heard) => {
                    tracing::warn!("an event that came again was dropped");
                }
                Ok(event) => {
                    self.event_heard = Some(event.sequence);
                    self.heard_at = self.clock.now();
                    return Ok(Some(event.kind.into()));
                }
                Err(error) => tracing::warn!(%error, "unreadable event dropped"),
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    fn packet(&mut self, deadline: Deadline, cancel: &CancelToken) -> Result<Packet, ReaderError> {
        let mut silence = Deadline::after(&*self.clock, SILENCE_MAX);
        loop {
            if cancel.is_cancelled() {
                return Err(ReaderError::Cancelled);
            }
            let left = deadline.left(&*self.clock).ok_or(ReaderError::TimedOut)?;
            let quiet = silence.left(&*self.clock).ok_or(ReaderError::TimedOut)?;
            let read = match self.transport.bulk_in(left.min(quiet).min(CANCEL_SLICE)) {
                Ok(read) => read,
                Err(TransportError::TimedOut) => continue,
                Err(error) => return Err(error.into()),
            };
            silence = Deadline::after(&*self.clock, SILENCE_MAX);
            if let Some(packet) = self.decoder.push(read.bytes, read.last)? {
                let packet = self.opened(packet)?;
                self.heard_at = self.clock.now();
                return Ok(packet);
            }
        }
    }

    fn opened(&self, packet: Packet) -> Result<Packet, ProtocolError> {
        match &self.channel {
            Some(channel) => channel.open(packet),
            // What is left of an earlier session.
            None if packet.sealed => Err(E::NotAuthentic),
            None => Ok(packet),
        }
    }

    /// Whether this is a sealed packet of earlier in this session, sent again by somebody.
    fn is_past(&self, packet: &Packet) -> bool {
        self.channel.is_some() && packet.sequence < self.due
    }

    /// Whether this answers the last command; 0 is the answer to one too damaged to be numbered.
    fn is_answer(&self, packet: &Packet) -> bool {
        packet.answers == self.sent || packet.answers == 0
    }

    fn check_sequence(&mut self, packet: &Packet) -> Result<(), ProtocolError> {
        let (expected, got) = (self.due, packet.sequence);
        // Counting wraps: less than half the circle ahead is a gap, the rest is the past.
        match got.wrapping_sub(expected) {
            0 => {
                self.due = expected.wrapping_add(1);
                Ok(())
            }
            ahead if ahead <= u32::MAX / 2 => Err(ProtocolError::MissingPacket { expected, got }),
            _ => Err(ProtocolError::DuplicatePacket { expected, got }),
        }
    }
}

pub(super) fn unexpected(wanted: &'static str, got: &Reply) -> ReaderError {
    ReaderError::Protocol(ProtocolError::UnexpectedReply {
        wanted,
        got: got.name(),
    })
}
