//! Host to reader.

use super::connect::{Connect, hello_payload};
use super::fields::Fields;
use super::{NakCode, Nonce, Packet, ProtocolError, Ticket, encode};
use crate::burst::{BurstPlan, Light, Shot};
use crate::limits::SHOTS_MAX;

/// How a [`Pattern`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternEffect {
    /// On and off twice a second.
    Blink,
    /// Swelling and fading.
    Pulse,
    /// On.
    Steady,
}

/// What the LED ring shows and the sounder plays. The reader has no opinion about their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Red, green, blue of the ring; all 0 is off.
    pub colour: [u8; 3],
    /// How the ring moves.
    pub effect: PatternEffect,
    /// Pitch of the tone in hertz; 0 is silence.
    pub tone_hz: u16,
    /// Length of the tone in milliseconds.
    pub tone_ms: u16,
}

/// What a host may ask. Every command is answered by exactly one reply, except `Capture`, which is
/// answered by its frames and a `CaptureDone`, and any may be answered by a `Nak`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Stop what is going on, forget the plan. Answer: `Ack`, and nothing older after it.
    Abort,
    /// Keep this plan under this nonce. Answer: `Ack`.
    Arm {
        /// Names the capture and says what it is for; comes back in every frame.
        ticket: Ticket,
        /// What to photograph.
        plan: BurstPlan,
    },
    /// Play the armed plan. Answer: one `Frame` a shot, in order, then `CaptureDone`.
    Capture {
        /// Must be the armed one.
        nonce: Nonce,
    },
    /// Make the session secure; right after `Hello`. Answer: `Connected`.
    Connect(Connect),
    /// Begin or begin again, in the clear: both sides start afresh. Answer: `Info`.
    Hello {
        /// Oldest protocol version the host speaks.
        version_min: u8,
        /// Newest protocol version the host speaks.
        version_max: u8,
    },
    /// Answer: `Pong` with the same bytes.
    Ping(u64),
    /// Try every part, and tell what was noticed since power-up. Answer: `SelfTest`.
    SelfTest,
    /// Show and play. Answer: `Ack`.
    Signal(Pattern),
    /// Obey one DFU_DETACH, soon. Answer: `Ack`.
    Update,
}

impl Command {
    /// Type number of CONNECT.
    pub const CONNECT: u8 = 0x20;
    /// Type number of HELLO.
    pub const HELLO: u8 = 0x01;

    /// Type number on the wire.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Hello { .. } => Self::HELLO,
            Self::Arm { .. } => 0x02,
            Self::Capture { .. } => 0x03,
            Self::Abort => 0x04,
            Self::Ping(_) => 0x05,
            Self::Signal(_) => 0x06,
            Self::SelfTest => 0x07,
            Self::Connect(_) => Self::CONNECT,
            Self::Update => 0x30,
        }
    }

    /// The packet in the clear.
    #[must_use]
    pub fn encode(&self, sequence: u32) -> Vec<u8> {
        encode(self.kind(), sequence, 0, &self.payload())
    }

    /// What the packet carries.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Self::Abort | Self::SelfTest | Self::Update => {}
            Self::Arm { ticket, plan } => encode_arm(&mut payload, *ticket, plan),
            Self::Capture { nonce } => payload.extend(nonce),
            Self::Connect(connect) => payload.extend(connect.encode()),
            Self::Hello {
                version_min,
                version_max,
            } => {
                payload.extend(hello_payload(*version_min, *version_max));
            }
            Self::Ping(echo) => payload.extend(echo.to_le_bytes()),
            Self::Signal(pattern) => encode_pattern(&mut payload, *pattern),
        }
        payload
    }

    /// Whether it goes in the clear: only what makes a session secure.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        matches!(self, Self::Hello { .. } | Self::Connect(_))
    }

    /// Reads what a host sent.
    ///
    /// # Errors
    /// [`ProtocolError`] names the message and the field; a reader answers it with [`Self::nak`].
    pub fn parse(packet: &Packet) -> Result<Self, ProtocolError> {
        let payload = &packet.payload;
        match packet.kind {
            0x01 => parse_hello(payload),
            0x02 => parse_arm(payload),
            0x03 => {
                let mut fields = Fields::new("CAPTURE", payload);
                let nonce = fields.array("nonce")?;
                fields.end().map(|()| Self::Capture { nonce })
            }
            0x04 => Fields::new("ABORT", payload).end().map(|()| Self::Abort),
            0x05 => {
                let mut fields = Fields::new("PING", payload);
                let echo = fields.u64("echo")?;
                fields.end().map(|()| Self::Ping(echo))
            }
            0x06 => parse_signal(payload),
            0x07 => Fields::new("SELF_TEST", payload)
                .end()
                .map(|()| Self::SelfTest),
            0x30 => Fields::new("UPDATE", payload).end().map(|()| Self::Update),
            0x20 => Connect::parse(payload).map(Self::Connect),
            other => Err(ProtocolError::UnknownType(other)),
        }
    }

    /// The code with which a reader refuses a command that did not parse.
    #[must_use]
    pub fn nak(error: ProtocolError) -> NakCode {
        match error {
            ProtocolError::UnknownType(_) => NakCode::UnknownType,
            ProtocolError::UnsupportedVersion(_) => NakCode::UnsupportedVersion,
            ProtocolError::BadPlan(_) | ProtocolError::UnknownValue { .. } => NakCode::BadArgument,
            ProtocolError::NotAuthentic => NakCode::NotAuthentic,
            ProtocolError::NotSealed(_) => NakCode::ConnectFirst,
            _ => NakCode::Malformed,
        }
    }
}

impl Light {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ambient => 0,
            Self::Nir => 1,
            Self::Visible => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Ambient, Self::Nir, Self::Visible]
            .into_iter()
            .find(|light| light.code() == code)
    }
}

impl PatternEffect {
    fn code(self) -> u8 {
        match self {
            Self::Steady => 0,
            Self::Pulse => 1,
            Self::Blink => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Steady, Self::Pulse, Self::Blink]
            .into_iter()
            .find(|effect| effect.code() == code)
    }
}

fn encode_arm(payload: &mut Vec<u8>, ticket: Ticket, plan: &BurstPlan) {
    ticket.encode(payload);
    let count = u8::try_from(plan.shots().len()).expect("invariant: a plan has at most 8 shots");
    payload.extend([count, 0, 0, 0]);
    for shot in plan.shots() {
        payload.extend([shot.light.code(), shot.led_mask, 0, 0]);
        payload.extend(shot.exposure_us.to_le_bytes());
    }
}

fn parse_arm(payload: &[u8]) -> Result<Command, ProtocolError> {
    let mut fields = Fields::new("ARM", payload);
    let ticket = Ticket::parse(&mut fields)?;
    let count = usize::from(fields.u8("shot count")?);
    fields.zeros::<3>("after shot count")?;
    let mut shots = Vec::new();
    // One beyond the limit is enough for the plan to be refused as too long.
    for _ in 0..count.min(SHOTS_MAX + 1) {
        let code = fields.u8("light")?;
        let light =
            Light::from_code(code).ok_or_else(|| fields.unknown("light", u32::from(code)))?;
        let led_mask = fields.u8("LED mask")?;
        fields.zeros::<2>("after LED mask")?;
        shots.push(Shot {
            light,
            led_mask,
            exposure_us: fields.u32("exposure")?,
        });
    }
    let plan = BurstPlan::new(shots).map_err(ProtocolError::BadPlan)?;
    fields.end().map(|()| Command::Arm { ticket, plan })
}

fn parse_hello(payload: &[u8]) -> Result<Command, ProtocolError> {
    let mut fields = Fields::new("HELLO", payload);
    let (version_min, version_max) = (fields.u8("oldest version")?, fields.u8("newest version")?);
    fields.zeros::<2>("after versions")?;
    fields.end().map(|()| Command::Hello {
        version_min,
        version_max,
    })
}

fn encode_pattern(payload: &mut Vec<u8>, pattern: Pattern) {
    payload.extend(pattern.colour);
    payload.push(pattern.effect.code());
    payload.extend(pattern.tone_hz.to_le_bytes());
    payload.extend(pattern.tone_ms.to_le_bytes());
}

fn parse_signal(payload: &[u8]) -> Result<Command, ProtocolError> {
    let mut fields = Fields::new("SIGNAL", payload);
    let colour = fields.array("colour")?;
    let code = fields.u8("effect")?;
    let effect =
        PatternEffect::from_code(code).ok_or_else(|| fields.unknown("effect", u32::from(code)))?;
    let (tone_hz, tone_ms) = (fields.u16("tone pitch")?, fields.u16("tone length")?);
    fields.end().map(|()| {
        Command::Signal(Pattern {
            colour,
            effect,
            tone_hz,
            tone_ms,
        })
    })
}

/// Parses arbitrary bytes (type, then payload) as a command; must not panic.
#[doc(hidden)]
pub fn fuzz_command(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else {
        return;
    };
    let payload = crate::Wiped::from(payload.to_vec());
    let packet = Packet {
        kind: *kind,
        sequence: 0,
        answers: 0,
        sealed: false,
        payload,
    };
    if let Ok(command) = Command::parse(&packet) {
        assert_eq!(
            command.encode(0).get(super::HEADER_LEN..),
            Some(packet.payload.as_slice())
        );
    }
}
