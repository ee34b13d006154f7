//! What runs inside the reader: commands in, replies, frames and events out. It knows the
//! protocol and its camera; it does not know USB, faults other than refusals, or scripts.

use crate::Wiped;
use std::collections::VecDeque;
use std::time::Duration;

use super::device::approach;
use super::faults::{Fault, Faults};
use super::flash::Flash;
use super::sensor::{Sensor, Subject};
use crate::burst::{BurstPlan, Frame};
use crate::light::{LightBudget, is_too_bright};
use crate::limits::{
    COMMAND_PAYLOAD_MAX, DFU_ALLOWED, EMULATOR_EVENTS_MAX, EXPOSURE_US_MAX, EXPOSURE_US_MIN,
    FRAME_PIXELS_MAX, SHOTS_MAX,
};
use crate::maker::Birth;
use crate::protocol::claim::ModelCertificate;
use crate::protocol::crypto::TAG_LEN;
use crate::protocol::{
    Channel, Command, Connect, Decoder, EVENT_LEN, EventKind, HandState, Identity, Info, NakCode,
    Nonce, Packet, Pattern, Purpose, ReaderEvent, Reply, SelfTest, Ticket, VERSION, encode,
    encode_frame,
};

/// The payment that a lying firmware moves a frame to.
const SOMEBODY_ELSES: [u8; 16] = [0xee; 16];

/// What the reader is doing.
enum Job {
    Idle,
    Armed {
        ticket: Ticket,
        plan: BurstPlan,
    },
    Streaming {
        ticket: Ticket,
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
    birth: Birth,
    flash: Flash,
    /// Of this start: the firmware's key and what the device says of it.
    identity: Identity,
    /// The versions that the last HELLO offered; `None` since power-up.
    greeted: Option<(u8, u8)>,
    /// The keys of the session, once CONNECT was answered.
    channel: Option<Channel>,
    tampered: bool,
    /// Until when DFU_DETACH is obeyed.
    detachable_until: Option<Duration>,
    heard: u32,
    sequence: u32,
    job: Job,
    /// Outlasts everything, power-up too.
    light: LightBudget,
    /// Replies that wait to be sent, with the command they answer. One command, one reply.
    replies: VecDeque<(Reply, u32)>,
    events: VecDeque<[u8; EVENT_LEN]>,
    event_sequence: u32,
    shown: Option<Pattern>,
}

impl Firmware {
    pub(super) fn new(sensor: Box<dyn Sensor>, birth: Birth) -> Self {
        let flash = Flash::new();
        let identity = boot(&birth, &flash);
        Self {
            info: info(&birth, &flash),
            sensor,
            subject: Subject::Nothing,
            hand: HandState::Absent,
            placements: 0,
            captures: 0,
            decoder: Decoder::new(COMMAND_PAYLOAD_MAX + TAG_LEN),
            birth,
            flash,
            identity,
            greeted: None,
            channel: None,
            tampered: false,
            detachable_until: None,
            heard: 0,
            sequence: 0,
            job: Job::Idle,
            light: LightBudget::default(),
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

    /// Whether a session has asked for the loader a moment ago.
    pub(super) fn is_detachable(&self, now: Duration) -> bool {
        self.detachable_until.is_some_and(|until| now <= until)
    }

    /// What the loader works on.
    pub(super) fn flash(&mut self) -> (&mut Flash, &ModelCertificate) {
        (&mut self.flash, &self.birth.model)
    }

    /// Sleeps and wakes: keys and plans do not outlast it, everything else does.
    pub(super) fn suspend(&mut self) {
        self.abort();
        self.decoder.clear();
        self.events.clear();
        self.greeted = None;
        self.channel = None;
    }

    pub(super) fn power_cycle(&mut self) {
        self.abort();
        self.decoder.clear();
        self.events.clear();
        self.flash.boot();
        self.identity = boot(&self.birth, &self.flash);
        self.info = info(&self.birth, &self.flash);
        self.greeted = None;
        self.channel = None;
        self.tampered = false;
        self.detachable_until = None;
        self.heard = 0;
        self.sequence = 0;
        self.event_sequence = 0;
        self.shown = None;
    }

    #[cfg(test)]
    pub(super) fn standing(&self) -> Vec<u8> {
        let (job, sent) = match &self.job {
            Job::Idle => (0, 0),
            Job::Armed { .. } => (1, 0),
            Job::Streaming { sent, .. } => (2, *sent),
        };
        let replies = u8::try_from(self.replies.len()).unwrap_or(u8::MAX);
        let secure = u8::from(self.greeted.is_some()) + u8::from(self.channel.is_some());
        vec![job, sent, replies, secure, u8::from(self.events.is_empty())]
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
        let (answers, in_clear) = (packet.sequence, !packet.sealed);
        let command = self
            .open(packet)
            .and_then(|packet| Command::parse(&packet).map_err(Command::nak));
        let command = match command {
            Ok(command) => command,
            Err(code) => {
                self.replies.push_back((Reply::Nak(code), answers));
                return false;
            }
        };
        let allowed = if command.is_clear() == in_clear {
            self.gate(&command, answers, faults)
        } else {
            Err(NakCode::ConnectFirst)
        };
        let stops = allowed.is_ok() && matches!(command, Command::Abort | Command::Hello { .. });
        let reply = match allowed {
            Ok(()) => self.obey(command, answers, now),
            Err(code) => Some(Reply::Nak(code)),
        };
        self.replies.extend(reply.map(|reply| (reply, answers)));
        stops
    }

    /// The packet in the clear, if it may be: only what makes a session is taken outside of one.
    fn open(&self, packet: Packet) -> Result<Packet, NakCode> {
        match &self.channel {
            _ if !packet.sealed && packet.kind == Command::HELLO => Ok(packet),
            Some(channel) => channel.open(packet).map_err(Command::nak),
            None if self.greeted.is_none() => Err(NakCode::HelloFirst),
            None if packet.sealed || packet.kind != Command::CONNECT => Err(NakCode::ConnectFirst),
            None => Ok(packet),
        }
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
        let ahead = sequence.wrapping_sub(self.heard);
        if ahead == 0 || ahead > u32::MAX / 2 {
            return Err(NakCode::BadSequence);
        }
        self.heard = sequence;
        if matches!(command, Command::Abort | Command::Connect(_)) {
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
            Command::Arm { ticket, plan } => Some(self.arm(ticket, plan)),
            Command::Capture { nonce } => self.capture(nonce, answers, now).err().map(Reply::Nak),
            Command::Connect(connect) => Some(self.connect(&connect, now)),
            Command::Hello {
                version_min,
                version_max,
            } => Some(self.greet(version_min, version_max)),
            Command::Ping(echo) => Some(Reply::Pong(echo)),
            Command::SelfTest => Some(self.self_test(now)),
            Command::Update => {
                self.detachable_until = Some(now.saturating_add(DFU_ALLOWED));
                Some(Reply::Ack)
            }
            Command::Signal(pattern) => {
                self.shown = Some(pattern);
                Some(Reply::Ack)
            }
        }
    }

    fn greet(&mut self, version_min: u8, version_max: u8) -> Reply {
        // Whoever says HELLO has no keys any more.
        self.channel = None;
        self.events.clear();
        if !(version_min..=version_max).contains(&VERSION) {
            return Reply::Nak(NakCode::UnsupportedVersion);
        }
        self.abort();
        self.greeted = Some((version_min, version_max));
        self.sequence = 0;
        Reply::Info(self.info.clone())
    }

    fn connect(&mut self, connect: &Connect, now: Duration) -> Reply {
        let versions = self.greeted.unwrap_or_default();
        match self.identity.connect(versions, &self.info, connect) {
            None => Reply::Nak(NakCode::BadArgument),
            Some((connected, channel)) => {
                self.channel = Some(channel);
                self.raise(EventKind::Hand(self.hand), now);
                if self.tampered {
                    self.raise(EventKind::Tamper, now);
                }
                Reply::Connected(Box::new(connected))
            }
        }
    }

    fn self_test(&self, now: Duration) -> Reply {
        Reply::SelfTest(SelfTest {
            tried: 0b1100_1111, // neither sounder nor button: they need somebody to hear and press
            failed: 0,
            temperature_centi: 3_150,
            tampered: self.tampered,
            uptime_ms: millis(now),
        })
    }

    fn arm(&mut self, ticket: Ticket, plan: BurstPlan) -> Reply {
        if is_too_bright(&plan) {
            return Reply::Nak(NakCode::BadArgument);
        }
        match self.job {
            Job::Idle | Job::Armed { .. } => {
                self.job = Job::Armed { ticket, plan };
                Reply::Ack
            }
            Job::Streaming { .. } => Reply::Nak(NakCode::Busy),
        }
    }

    fn capture(&mut self, nonce: Nonce, answers: u32, now: Duration) -> Result<(), NakCode> {
        let (ticket, plan) = match &self.job {
            Job::Armed { ticket, plan } if ticket.nonce == nonce => (*ticket, plan.clone()),
            Job::Idle | Job::Armed { .. } => return Err(NakCode::NotArmed),
            Job::Streaming { .. } => return Err(NakCode::Busy),
        };
        if !self.light.wait(&plan, now).is_zero() {
            return Err(NakCode::LightSpent);
        }
        self.light.spend(&plan, now);
        self.captures += 1;
        let seed = (self.placements << 20) | self.captures;
        let frames = self.expose(&plan, seed).map_err(|error| {
            tracing::warn!(error, "emulated camera");
            self.job = Job::Idle;
            NakCode::SensorFault
        })?;
        self.job = Job::Streaming {
            ticket,
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
    pub(super) fn next_message(&mut self, faults: &mut Faults) -> Option<Wiped> {
        if let Some((reply, answers)) = self.replies.pop_front() {
            let payload = reply.payload().unwrap_or_default();
            return Some(self.packet(reply.kind(), answers, &payload));
        }
        let Job::Streaming {
            ticket,
            answers,
            frames,
            sent,
        } = &mut self.job
        else {
            return None;
        };
        let (ticket, answers) = (*ticket, *answers);
        if let Some(frame) = frames.pop_front() {
            let mut named = ticket;
            if faults.strikes(Fault::Move) {
                named.purpose = Purpose::Payment(SOMEBODY_ELSES);
            }
            let payload = encode_frame(named, *sent, &frame);
            *sent += 1;
            Some(self.packet(Reply::FRAME, answers, &payload))
        } else {
            let done = Reply::CaptureDone {
                nonce: ticket.nonce,
                frames: *sent,
            };
            self.job = Job::Idle;
            Some(self.packet(done.kind(), answers, &done.payload().unwrap_or_default()))
        }
    }

    fn packet(&mut self, kind: u8, answers: u32, payload: &[u8]) -> Wiped {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Wiped::from(match &self.channel {
            Some(channel) if !Reply::is_clear(kind) => {
                channel.seal(kind, sequence, answers, payload)
            }
            _ => encode(kind, sequence, answers, payload),
        })
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

    /// Raises an event, if there is a session; the oldest unread one gives way.
    pub(super) fn raise(&mut self, kind: EventKind, now: Duration) {
        self.tampered |= kind == EventKind::Tamper;
        let Some(channel) = &self.channel else {
            return;
        };
        if self.events.len() >= EMULATOR_EVENTS_MAX {
            self.events.pop_front();
        }
        let sequence = self.event_sequence;
        self.event_sequence = sequence.wrapping_add(1);
        self.events.push_back(channel.seal_event(&ReaderEvent {
            kind,
            sequence,
            uptime_ms: millis(now),
        }));
    }

    pub(super) fn next_event(&mut self) -> Option<[u8; EVENT_LEN]> {
        self.events.pop_front()
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}

/// What this start of the firmware can prove.
fn boot(birth: &Birth, flash: &Flash) -> Identity {
    let version = (flash.version(), flash.security_version());
    Identity::boot(
        &birth.model,
        &birth.device,
        &birth.key,
        version,
        flash.digest(),
    )
}

fn millis(now: Duration) -> u32 {
    u32::try_from(now.as_millis() % (1 << 32)).unwrap_or_default()
}

fn info(birth: &Birth, flash: &Flash) -> Info {
    Info {
        version: VERSION,
        shots_max: u8::try_from(SHOTS_MAX).expect("invariant: at most 8 shots"),
        leds: 8,
        exposure_us_min: EXPOSURE_US_MIN,
        exposure_us_max: EXPOSURE_US_MAX,
        frame_pixels_max: u32::try_from(FRAME_PIXELS_MAX).expect("invariant: 4 MiB"),
        model: birth.model.model.clone(),
        serial: birth.device.serial.clone(),
        firmware: flash.version().to_owned(),
    }
}
