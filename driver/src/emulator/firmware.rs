//! What runs inside the reader: commands in, replies, frames and events out. It knows the
//! protocol and its camera; it does not know USB, faults other than refusals, or scripts.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::device::approach;
use super::faults::Faults;
use super::sensor::{Sensor, Subject};
use crate::burst::{BurstPlan, Frame};
use crate::limits::{
    COMMAND_PAYLOAD_MAX, EMULATOR_EVENTS_MAX, EXPOSURE_US_MAX, EXPOSURE_US_MIN, FRAME_PIXELS_MAX,
    SHOTS_MAX,
};
use crate::protocol::{
    Command, Decoder, EVENT_LEN, EventKind, HandState, Info, NakCode, Nonce, Pattern, ReaderEvent,
    Reply, VERSION, encode, encode_frame,
};

/// What the reader is doing.
enum Job {
    Idle,
    Armed {
        nonce: Nonce,
        plan: BurstPlan,
    },
    Streaming {
        nonce: Nonce,
        answers: u32,
        frames: VecDeque<Frame>,
        sent: u8,
    },
}

pub(super) struct Firmware {
    info: Info,
    sensor: Box<dyn Sensor>,
    subject: Subject,
    hand: HandState,
    /// Counts hands placed, captures of each are counted below: together the capture seed.
    placements: u64,
    captures: u64,
    decoder: Decoder,
    greeted: bool,
    heard: u32,
    sequence: u32,
    job: Job,
    /// Replies that wait to be sent, with the command they answer. One command, one reply.
    replies: VecDeque<(Reply, u32)>,
    events: VecDeque<[u8; EVENT_LEN]>,
    event_sequence: u32,
    shown: Option<Pattern>,
}

impl Firmware {
    pub(super) fn new(sensor: Box<dyn Sensor>, serial: &str) -> Self {
        Self {
            info: info(serial),
            sensor,
            subject: Subject::Nothing,
            hand: HandState::Absent,
            placements: 0,
            captures: 0,
            decoder: Decoder::new(COMMAND_PAYLOAD_MAX),
            greeted: false,
            heard: 0,
            sequence: 0,
            job: Job::Idle,
            replies: VecDeque::new(),
            events: VecDeque::new(),
            event_sequence: 0,
            shown: None,
        }
    }

    pub(super) fn info(&self) -> &Info {
        &self.info
    }

    pub(super) fn shown(&self) -> Option<Pattern> {
        self.shown
    }

    pub(super) fn power_cycle(&mut self) {
        self.abort();
        self.decoder.clear();
        self.events.clear();
        self.greeted = false;
        self.heard = 0;
        self.sequence = 0;
        self.event_sequence = 0;
        self.shown = None;
    }

    /// Stops a capture and forgets its plan and every unsent reply.
    pub(super) fn abort(&mut self) {
        self.job = Job::Idle;
        self.replies.clear();
    }

    /// Takes one bulk OUT message. Whether it stopped what was being sent.
    pub(super) fn receive(&mut self, message: &[u8], faults: &mut Faults, now: Duration) -> bool {
        let packet = match self.decoder.push(message, true) {
            Ok(Some(packet)) => packet,
            Ok(None) => return false,
            Err(error) => {
                // 0: the command that this answers cannot be told.
                self.replies.push_back((Reply::Nak(Command::nak(error)), 0));
                return false;
            }
        };
        let answers = packet.sequence;
        let command = match Command::parse(&packet) {
            Ok(command) => command,
            Err(error) => {
                self.replies
                    .push_back((Reply::Nak(Command::nak(error)), answers));
                return false;
            }
        };
        let stops = matches!(command, Command::Abort | Command::Hello { .. });
        let reply = match self.gate(&command, answers, faults) {
            Ok(()) => self.obey(command, answers, now),
            Err(code) => Some(Reply::Nak(code)),
        };
        self.replies.extend(reply.map(|reply| (reply, answers)));
        stops
    }

    /// What is refused whatever it asks.
    fn gate(
        &mut self,
        command: &Command,
        sequence: u32,
        faults: &mut Faults,
    ) -> Result<(), NakCode> {
        if matches!(command, Command::Hello { .. }) {
            self.heard = sequence;
            return Ok(());
        }
        if !self.greeted {
            return Err(NakCode::HelloFirst);
        }
        let ahead = sequence.wrapping_sub(self.heard);
        if ahead == 0 || ahead > u32::MAX / 2 {
            return Err(NakCode::BadSequence);
        }
        self.heard = sequence;
        if *command == Command::Abort {
            return Ok(());
        }
        faults.next_nak().map_or(Ok(()), Err)
    }

    fn obey(&mut self, command: Command, answers: u32, now: Duration) -> Option<Reply> {
        match command {
            Command::Abort => {
                self.abort();
                Some(Reply::Ack)
            }
            Command::Arm { nonce, plan } => Some(self.arm(nonce, plan)),
            Command::Capture { nonce } => self.capture(nonce, answers).err().map(Reply::Nak),
            Command::Hello {
                version_min,
                version_max,
            } => Some(self.greet(version_min, version_max, now)),
            Command::Ping(echo) => Some(Reply::Pong(echo)),
            Command::Signal(pattern) => {
                self.shown = Some(pattern);
                Some(Reply::Ack)
            }
        }
    }

    fn greet(&mut self, version_min: u8, version_max: u8, now: Duration) -> Reply {
        if !(version_min..=version_max).contains(&VERSION) {
            return Reply::Nak(NakCode::UnsupportedVersion);
        }
        self.abort();
        self.greeted = true;
        self.sequence = 0;
        self.events.clear();
        self.raise(EventKind::Hand(self.hand), now);
        Reply::Info(self.info.clone())
    }

    fn arm(&mut self, nonce: Nonce, plan: BurstPlan) -> Reply {
        match self.job {
            Job::Idle | Job::Armed { .. } => {
                self.job = Job::Armed { nonce, plan };
                Reply::Ack
            }
            Job::Streaming { .. } => Reply::Nak(NakCode::Busy),
        }
    }

    fn capture(&mut self, nonce: Nonce, answers: u32) -> Result<(), NakCode> {
        let plan = match &self.job {
            Job::Armed { nonce: armed, plan } if *armed == nonce => plan.clone(),
            Job::Idle | Job::Armed { .. } => return Err(NakCode::NotArmed),
            Job::Streaming { .. } => return Err(NakCode::Busy),
        };
        self.captures += 1;
        let seed = (self.placements << 20) | self.captures;
        let frames = self.expose(&plan, seed).map_err(|error| {
            tracing::warn!(error, "emulated camera");
            self.job = Job::Idle;
            NakCode::SensorFault
        })?;
        self.job = Job::Streaming {
            nonce,
            answers,
            frames,
            sent: 0,
        };
        Ok(())
    }

    fn expose(&mut self, plan: &BurstPlan, seed: u64) -> Result<VecDeque<Frame>, String> {
        let exposures = self.sensor.expose(&self.subject, plan, seed)?;
        if exposures.len() != plan.shots().len() {
            return Err(format!(
                "{} exposures for another number of shots",
                exposures.len()
            ));
        }
        let frames = plan.shots().iter().zip(exposures).map(|(shot, exposure)| {
            Frame::new(*shot, exposure.width, exposure.height, exposure.pixels)
                .map_err(|error| error.to_string())
        });
        frames.collect()
    }

    /// The next message for bulk IN: replies first, then the frames of a running capture.
    pub(super) fn next_message(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        if let Some((reply, answers)) = self.replies.pop_front() {
            let payload = reply.payload().unwrap_or_default();
            return Some(self.packet(reply.kind(), answers, &payload));
        }
        let Job::Streaming {
            nonce,
            answers,
            frames,
            sent,
        } = &mut self.job
        else {
            return None;
        };
        let (nonce, answers) = (*nonce, *answers);
        if let Some(frame) = frames.pop_front() {
            let payload = encode_frame(nonce, *sent, &frame);
            *sent += 1;
            Some(self.packet(Reply::FRAME, answers, &payload))
        } else {
            let done = Reply::CaptureDone {
                nonce,
                frames: *sent,
            };
            self.job = Job::Idle;
            Some(self.packet(done.kind(), answers, &done.payload().unwrap_or_default()))
        }
    }

    fn packet(&mut self, kind: u8, answers: u32, payload: &[u8]) -> Zeroizing<Vec<u8>> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Zeroizing::new(encode(kind, sequence, answers, payload))
    }

    /// Puts something else under the lens.
    pub(super) fn place(&mut self, subject: Subject, now: Duration) {
        let was_there = self.subject != Subject::Nothing;
        let is_there = subject != Subject::Nothing;
        self.subject = subject;
        if is_there {
            self.placements += 1;
            self.captures = 0;
        }
        for state in approach(was_there, is_there) {
            self.hand(*state, now);
        }
    }

    /// Says that the hand is now so.
    pub(super) fn hand(&mut self, state: HandState, now: Duration) {
        self.hand = state;
        self.raise(EventKind::Hand(state), now);
    }

    /// Raises an event, if a host has greeted; the oldest unread one gives way.
    pub(super) fn raise(&mut self, kind: EventKind, now: Duration) {
        if !self.greeted {
            return;
        }
        if self.events.len() >= EMULATOR_EVENTS_MAX {
            self.events.pop_front();
        }
        let uptime_ms = u32::try_from(now.as_millis() % (1 << 32)).unwrap_or_default();
        let sequence = self.event_sequence;
        self.event_sequence = sequence.wrapping_add(1);
        self.events.push_back(
            ReaderEvent {
                kind,
                sequence,
                uptime_ms,
            }
            .encode(),
        );
    }

    pub(super) fn next_event(&mut self) -> Option<[u8; EVENT_LEN]> {
        self.events.pop_front()
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}

fn info(serial: &str) -> Info {
    let shown = |text: &str| {
        text.chars()
            .filter(|c| (' '..='~').contains(c))
            .take(24)
            .collect()
    };
    Info {
        version: VERSION,
        shots_max: u8::try_from(SHOTS_MAX).expect("invariant: at most 8 shots"),
        leds: 8,
        exposure_us_min: EXPOSURE_US_MIN,
        exposure_us_max: EXPOSURE_US_MAX,
        frame_pixels_max: u32::try_from(FRAME_PIXELS_MAX).expect("invariant: 4 MiB"),
        model: shown("OpenPalm emulator"),
        serial: shown(serial),
        firmware: shown(env!("CARGO_PKG_VERSION")),
    }
}
