//! The emulated device as the bus sees it: plug, claim, endpoints, and time.
//!
//! Script lines and host messages queue in one inbox, in the order they came. `SLEEP` closes the
//! inbox for a while: what follows it, from either side, waits.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::faults::{Fault, Faults};
use super::firmware::Firmware;
use super::pipe::Pipe;
use super::script::Line;
use super::sensor::{Sensor, Subject};
use crate::limits::EMULATOR_INBOX_MAX;
use crate::protocol::{CONTROL_ABORT, CONTROL_INFO, EVENT_LEN, EventKind, HandState, Pattern};
use crate::transport::{Control, Recovery, TransportError};

/// A claim on one plugging-in of the device; the next plugging-in has another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim(u64);

enum Item {
    Line(Line),
    Message(Vec<u8>),
}

type Transfer<T> = Option<Result<T, TransportError>>;

pub(super) struct Device {
    firmware: Firmware,
    faults: Faults,
    pipe: Pipe,
    inbox: VecDeque<Item>,
    asleep_until: Option<Duration>,
    /// Counts pluggings-in.
    plug: u64,
    plugged: bool,
    claimed: bool,
    halted: bool,
}

impl Device {
    pub(super) fn new(sensor: Box<dyn Sensor>, serial: &str) -> Self {
        Self {
            firmware: Firmware::new(sensor, serial),
            faults: Faults::default(),
            pipe: Pipe::default(),
            inbox: VecDeque::new(),
            asleep_until: None,
            plug: 1,
            plugged: true,
            claimed: false,
            halted: false,
        }
    }

    pub(super) fn plug(&self) -> Option<u64> {
        self.plugged.then_some(self.plug)
    }

    pub(super) fn shown(&self) -> Option<Pattern> {
        self.firmware.shown()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.inbox.is_empty() && self.asleep_until.is_none() && !self.firmware.has_events()
    }

    pub(super) fn wakes_at(&self) -> Option<Duration> {
        self.asleep_until
    }

    pub(super) fn claim(&mut self) -> Result<Claim, TransportError> {
        if !self.plugged {
            return Err(TransportError::Disconnected);
        }
        if self.claimed {
            return Err(TransportError::Denied);
        }
        self.claimed = true;
        Ok(Claim(self.plug))
    }

    pub(super) fn release(&mut self, claim: Claim) {
        if claim == Claim(self.plug) {
            self.claimed = false;
        }
    }

    pub(super) fn check(&self, claim: Claim) -> Result<(), TransportError> {
        if self.plugged && claim == Claim(self.plug) {
            Ok(())
        } else {
            Err(TransportError::Disconnected)
        }
    }

    pub(super) fn has_room_for(&self, lines: usize) -> bool {
        self.inbox.len() + lines <= EMULATOR_INBOX_MAX
    }

    pub(super) fn enqueue_lines(&mut self, lines: impl Iterator<Item = Line>, now: Duration) {
        self.inbox.extend(lines.map(Item::Line));
        self.advance(now);
    }

    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self, now: Duration) {
        // A sleep counts from the moment it was due, not from when somebody looked.
        let mut time = now;
        loop {
            if let Some(until) = self.asleep_until {
                if until > now {
                    return;
                }
                time = until;
                self.asleep_until = None;
            }
            match self.inbox.pop_front() {
                Some(Item::Line(line)) => self.obey(line, time),
                Some(Item::Message(message)) => self.receive(&message, time),
                None => return,
            }
        }
    }

    fn receive(&mut self, message: &[u8], now: Duration) {
        if self.firmware.receive(message, &mut self.faults, now) {
            self.pipe.cut();
        }
    }

    fn obey(&mut self, line: Line, now: Duration) {
        match line {
            Line::Button => self.firmware.raise(EventKind::Button, now),
            Line::Corrupt(n) => self.faults.set(Fault::Corrupt, n),
            Line::Drop(n) => self.faults.set(Fault::Drop, n),
            Line::Duplicate(n) => self.faults.set(Fault::Duplicate, n),
            Line::Hint(state) => self.firmware.hand(state, now),
            Line::Image(path) => self.firmware.place(Subject::Image(path), now),
            Line::Lift => self.firmware.place(Subject::Nothing, now),
            Line::Nak(code) => self.faults.set(Fault::Nak(code), 1),
            Line::Palm { identity, left } => {
                self.firmware.place(Subject::Palm { identity, left }, now);
            }
            Line::Plug => self.plug_in(),
            Line::Sleep(time) => self.asleep_until = Some(now.saturating_add(time)),
            Line::Stall(n) => self.faults.set(Fault::Stall, n),
            Line::Tamper => self.firmware.raise(EventKind::Tamper, now),
            Line::Unplug(None) => self.pull(),
            Line::Unplug(Some(n)) => self.faults.set(Fault::Unplug, n),
        }
    }

    fn pull(&mut self) {
        self.plugged = false;
        self.claimed = false;
        self.power_cycle();
    }

    fn plug_in(&mut self) {
        if !self.plugged {
            self.plugged = true;
            self.plug += 1;
        }
    }

    fn power_cycle(&mut self) {
        self.firmware.power_cycle();
        self.pipe.clear();
        self.halted = false;
        self.inbox.retain(|item| matches!(item, Item::Line(_)));
    }

    pub(super) fn recover(&mut self, step: Recovery, now: Duration) {
        match step {
            Recovery::ClearHalt => self.halted = false,
            Recovery::Reset => {
                self.asleep_until = None;
                self.power_cycle();
                self.advance(now);
            }
        }
    }

    /// What may befall any bulk transfer.
    fn transfer(&mut self) -> Result<(), TransportError> {
        if self.faults.strikes(Fault::Unplug) {
            self.pull();
            return Err(TransportError::Disconnected);
        }
        if self.faults.strikes(Fault::Stall) {
            self.halted = true;
            self.pipe.clear();
        }
        if self.halted {
            Err(TransportError::Stalled)
        } else {
            Ok(())
        }
    }

    pub(super) fn bulk_out(&mut self, message: &[u8], now: Duration) -> Transfer<()> {
        let waiting = self
            .inbox
            .iter()
            .filter(|item| matches!(item, Item::Message(_)))
            .count();
        if waiting >= 4 {
            return None; // The endpoint's buffer is full: NAK on the bus.
        }
        if let Err(error) = self.transfer() {
            return Some(Err(error));
        }
        self.inbox.push_back(Item::Message(message.to_vec()));
        self.advance(now);
        Some(Ok(()))
    }

    /// One transfer of at most `room` bytes, whole packets.
    pub(super) fn bulk_in(&mut self, room: usize) -> Transfer<(Zeroizing<Vec<u8>>, bool)> {
        if self.halted {
            return Some(Err(TransportError::Stalled));
        }
        while self.pipe.is_empty() {
            let mut message = self.firmware.next_message()?;
            if self.faults.strikes(Fault::Drop) {
                continue;
            }
            if self.faults.strikes(Fault::Corrupt)
                && let Some(byte) = message.last_mut()
            {
                *byte ^= 0x20;
            }
            if self.faults.strikes(Fault::Duplicate) {
                self.pipe.push(message.clone());
            }
            self.pipe.push(message);
        }
        Some(self.transfer().map(|()| self.pipe.transfer(room)))
    }

    pub(super) fn interrupt_in(&mut self) -> Transfer<[u8; EVENT_LEN]> {
        self.firmware.next_event().map(Ok)
    }

    pub(super) fn control(&mut self, request: Control<'_>) -> Transfer<Vec<u8>> {
        if self.asleep_until.is_some() {
            return None;
        }
        Some(match request {
            Control::Out {
                request: CONTROL_ABORT,
                ..
            } => {
                self.firmware.abort();
                self.pipe.clear();
                Ok(Vec::new())
            }
            Control::In {
                request: CONTROL_INFO,
                length,
                ..
            } => {
                let mut info = self.firmware.info().encode();
                info.truncate(usize::from(length));
                Ok(info)
            }
            Control::In { .. } | Control::Out { .. } => Err(TransportError::Stalled),
        })
    }
}

/// What a hand does on its way over the lens.
pub(super) fn approach(was_there: bool, is_there: bool) -> &'static [HandState] {
    match (was_there, is_there) {
        (false, true) => &[HandState::TooFar, HandState::Present],
        (true, true) => &[HandState::Absent, HandState::TooFar, HandState::Present],
        (true, false) => &[HandState::Absent],
        (false, false) => &[],
    }
}
