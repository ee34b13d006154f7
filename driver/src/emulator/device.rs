//! The emulated device as the bus sees it: plug, claim, endpoints, and time.
//!
//! Script lines and host messages queue in one inbox, in the order they came. `SLEEP` closes the
//! inbox for a while: what follows it, from either side, waits.

use crate::Wiped;
use std::collections::VecDeque;
use std::time::Duration;

use super::faults::{Fault, Faults};
use super::firmware::Firmware;
use super::loader::Loader;
use super::pipe::Pipe;
use super::script::Line;
use super::sensor::{Sensor, Subject};
use crate::dfu::{Mode, State, request};
use crate::limits::EMULATOR_INBOX_MAX;
use crate::maker::Birth;
use crate::protocol::{
    CONTROL_ABORT, CONTROL_INFO, EVENT_LEN, EventKind, HandState, Pattern, finish_sealed,
};
use crate::transport::{Control, Recovery, TransportError};

/// More than one largest packet.
const BABBLE_LEN: usize = 600;

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
    /// The last message on bulk IN, kept while a fault is to send it again.
    before: Option<Wiped>,
    inbox: VecDeque<Item>,
    asleep_until: Option<Duration>,
    /// Counts pluggings-in.
    plug: u64,
    plugged: bool,
    claimed: bool,
    halted: bool,
    /// In DFU mode: then there is nothing else.
    loader: Option<Loader>,
}

impl Device {
    pub(super) fn new(sensor: Box<dyn Sensor>, birth: Birth) -> Self {
        Self {
            firmware: Firmware::new(sensor, birth),
            faults: Faults::default(),
            pipe: Pipe::default(),
            before: None,
            inbox: VecDeque::new(),
            asleep_until: None,
            plug: 1,
            plugged: true,
            claimed: false,
            halted: false,
            loader: None,
        }
    }

    pub(super) fn plug(&self) -> Option<u64> {
        (self.plugged && self.loader.is_none()).then_some(self.plug)
    }

    fn mode(&self) -> Mode {
        match self.loader {
            Some(_) => Mode::Loader,
            None => Mode::RunTime,
        }
    }

    /// The plugging-in, if the reader is in this mode. Its DFU interface is nobody's claim.
    pub(super) fn dfu(&self, mode: Mode) -> Option<Claim> {
        (self.plugged && self.mode() == mode).then_some(Claim(self.plug))
    }

    /// A class request to the DFU interface of this plugging-in.
    pub(super) fn dfu_send(
        &mut self,
        plug: Claim,
        request: (u8, u16),
        data: &[u8],
        now: Duration,
    ) -> Result<(), TransportError> {
        self.dfu_befall(plug)?;
        let (number, value) = request;
        if let Some(loader) = &mut self.loader {
            return loader.send(number, value, data, self.firmware.flash());
        }
        if number != request::DETACH || !self.firmware.is_detachable(now) {
            return Err(TransportError::Stalled);
        }
        self.pull();
        self.plug_in();
        self.loader = Some(Loader::new());
        Ok(())
    }

    pub(super) fn dfu_receive(
        &mut self,
        plug: Claim,
        number: u8,
    ) -> Result<Vec<u8>, TransportError> {
        self.dfu_befall(plug)?;
        match &mut self.loader {
            Some(loader) => loader.receive(number, self.firmware.flash().0),
            None if number == request::GETSTATE => Ok(vec![State::AppIdle.code()]),
            None => Err(TransportError::Stalled),
        }
    }

    /// What may come between: the plug, or the start of the new firmware.
    fn dfu_befall(&mut self, plug: Claim) -> Result<(), TransportError> {
        if self.faults.strikes(Fault::Unplug) {
            self.pull();
        }
        if self.loader.as_ref().is_some_and(Loader::leaves) {
            self.pull();
            self.plug_in();
        }
        self.check(plug)
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
        match self.plug() {
            Some(_) => self.claim_whole().map(|(claim, _)| claim),
            None => Err(TransportError::Disconnected),
        }
    }

    /// As [`Self::claim`], whichever its mode.
    pub(super) fn claim_whole(&mut self) -> Result<(Claim, Mode), TransportError> {
        if !self.plugged {
            return Err(TransportError::Disconnected);
        }
        if self.claimed {
            return Err(TransportError::Denied);
        }
        self.claimed = true;
        Ok((Claim(self.plug), self.mode()))
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
            Line::Babble(n) => self.faults.set(Fault::Babble, n),
            Line::Button => self.firmware.raise(EventKind::Button, now),
            Line::Corrupt(n) => self.faults.set(Fault::Corrupt, n),
            Line::Drop(n) => self.faults.set(Fault::Drop, n),
            Line::Duplicate(n) => self.faults.set(Fault::Duplicate, n),
            Line::Forge(n) => self.faults.set(Fault::Forge, n),
            Line::Hint(state) => self.firmware.hand(state, now),
            Line::Image(path) => self.firmware.place(Subject::Image(path), now),
            Line::Lift => self.firmware.place(Subject::Nothing, now),
            Line::Move(n) => self.faults.set(Fault::Move, n),
            Line::Nak(code) => self.faults.set(Fault::Nak(code), 1),
            Line::Palm { identity, left } => {
                self.firmware.place(Subject::Palm { identity, left }, now);
            }
            Line::Plug => self.plug_in(),
            Line::Print { identity } => self.firmware.place(Subject::Print { identity }, now),
            Line::Replay(n) => self.faults.set(Fault::Replay, n),
            Line::Restart(None) => self.power_cycle(),
            Line::Restart(Some(n)) => self.faults.set(Fault::Restart, n),
            Line::Short(n) => self.faults.set(Fault::Short, n),
            Line::Sleep(time) => self.asleep_until = Some(now.saturating_add(time)),
            Line::Stall(n) => self.faults.set(Fault::Stall, n),
            Line::Suspend => {
                self.firmware.suspend();
                self.pipe.clear();
            }
            Line::Tamper => self.firmware.raise(EventKind::Tamper, now),
            Line::Unplug(None) => self.pull(),
            Line::Unplug(Some(n)) => self.faults.set(Fault::Unplug, n),
        }
    }

    fn pull(&mut self) {
        self.plugged = false;
        self.claimed = false;
        self.loader = None;
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
                if let Some(loader) = &mut self.loader {
                    loader.reset();
                }
                self.advance(now);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn standing(&self) -> Vec<u8> {
        let plug = [
            u8::from(self.plugged),
            u8::from(self.halted),
            u8::from(self.asleep_until.is_some()),
            u8::from(self.pipe.is_empty()),
            u8::try_from(self.inbox.len()).unwrap_or(u8::MAX),
        ];
        [&plug[..], &self.firmware.standing()].concat()
    }

    /// What may befall any bulk transfer.
    fn transfer(&mut self) -> Result<(), TransportError> {
        if self.faults.strikes(Fault::Unplug) {
            self.pull();
            return Err(TransportError::Disconnected);
        }
        if self.faults.strikes(Fault::Restart) {
            self.power_cycle();
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
    pub(super) fn bulk_in(&mut self, room: usize) -> Transfer<(Wiped, bool)> {
        if self.halted {
            return Some(Err(TransportError::Stalled));
        }
        while self.pipe.is_empty() {
            let mut message = self.firmware.next_message(&mut self.faults)?;
            if self.faults.strikes(Fault::Drop) {
                continue;
            }
            self.befall(&mut message);
            if self.faults.strikes(Fault::Duplicate) {
                self.pipe.push(message.clone());
            }
            self.pipe.push(message);
        }
        match self.transfer() {
            // Started anew: what was to be sent is forgotten.
            Ok(()) if self.pipe.is_empty() => None,
            outcome => Some(outcome.map(|()| self.pipe.transfer(room))),
        }
    }

    /// What may befall a message on its way in.
    fn befall(&mut self, message: &mut Wiped) {
        let keep = self.faults.awaits(Fault::Replay);
        let sent = keep.then(|| message.clone());
        if self.faults.strikes(Fault::Replay)
            && let Some(before) = self.before.take()
        {
            *message = before;
        }
        self.before = sent;
        if self.faults.strikes(Fault::Corrupt) {
            flip(message);
        }
        if self.faults.strikes(Fault::Forge) {
            flip(message);
            finish_sealed(message);
        }
        if self.faults.strikes(Fault::Short) {
            let half = message.len() / 2;
            message.truncate(half);
        }
        if self.faults.strikes(Fault::Babble) {
            message.extend([0xba; BABBLE_LEN]);
        }
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

/// Changes one bit of what a message ends with.
fn flip(message: &mut [u8]) {
    if let Some(byte) = message.last_mut() {
        *byte ^= 0x20;
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
