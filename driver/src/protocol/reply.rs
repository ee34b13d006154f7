//! Reader to host, on bulk IN.

use super::connect::Connected;
use super::fields::Fields;
use super::{ImageFrame, Nonce, Packet, ProtocolError};

/// Bytes of the INFO payload.
pub const INFO_LEN: usize = 88;

/// What a reader says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Protocol version chosen for this session.
    pub version: u8,
    /// Most shots of one burst.
    pub shots_max: u8,
    /// LEDs in each bank, at most 8.
    pub leds: u8,
    /// Shortest exposure in microseconds.
    pub exposure_us_min: u32,
    /// Longest exposure in microseconds.
    pub exposure_us_max: u32,
    /// Most pixels of one frame.
    pub frame_pixels_max: u32,
    /// Model name, up to 24 printable ASCII characters.
    pub model: String,
    /// Serial number, up to 24.
    pub serial: String,
    /// Firmware version, up to 24.
    pub firmware: String,
}

impl Info {
    /// The INFO payload, also what the vendor request [`super::CONTROL_INFO`] answers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = vec![self.version, self.shots_max, self.leds, 0];
        payload.extend(self.exposure_us_min.to_le_bytes());
        payload.extend(self.exposure_us_max.to_le_bytes());
        payload.extend(self.frame_pixels_max.to_le_bytes());
        for text in [&self.model, &self.serial, &self.firmware] {
            let padded = text.bytes().chain(std::iter::repeat(0));
            payload.extend(padded.take(24));
        }
        payload
    }

    /// Reads an INFO payload.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("INFO", payload);
        let version = fields.u8("version")?;
        if version != super::VERSION {
            return Err(ProtocolError::UnsupportedVersion(version));
        }
        let (shots_max, leds) = (fields.u8("shots")?, fields.u8("LEDs")?);
        if leds > 8 {
            return Err(fields.unknown("LEDs", u32::from(leds)));
        }
        fields.zeros::<1>("after LEDs")?;
        let info = Self {
            version,
            shots_max,
            leds,
            exposure_us_min: fields.u32("shortest exposure")?,
            exposure_us_max: fields.u32("longest exposure")?,
            frame_pixels_max: fields.u32("frame size")?,
            model: fields.text::<24>("model")?,
            serial: fields.text::<24>("serial")?,
            firmware: fields.text::<24>("firmware")?,
        };
        fields.end().map(|()| info)
    }
}

/// Why a reader refuses a command. A variant a host need not treat apart still tells the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NakCode {
    /// 1. A field is out of range. Remedy: keep to the limits in INFO.
    #[error("an argument is out of the reader's range")]
    BadArgument,
    /// 2. The command's sequence number did not go up. Remedy: HELLO.
    #[error("the command's sequence number did not go up")]
    BadSequence,
    /// 3. The reader is busy with itself (booting, cooling). Remedy: ask again.
    #[error("the reader is busy")]
    Busy,
    /// 4. No HELLO since power-up. Cause: the reader restarted. Remedy: HELLO.
    #[error("the reader restarted and wants a HELLO first")]
    HelloFirst,
    /// 5. The bytes are not a command. Cause: bad cable, host bug. Remedy: send again.
    #[error("the reader received a malformed command")]
    Malformed,
    /// 6. CAPTURE without ARM, or under another nonce. Remedy: ARM.
    #[error("the reader is not armed with this nonce")]
    NotArmed,
    /// 7. The camera gave no picture. Remedy: capture again; if it persists, replace the reader.
    #[error("the reader's camera gave no picture")]
    SensorFault,
    /// 8. A type number the firmware does not have. Remedy: update the firmware.
    #[error("the reader does not know this command")]
    UnknownType,
    /// 9. No protocol version in common. Remedy: update the older side.
    #[error("the reader speaks no protocol version of this driver")]
    UnsupportedVersion,
    /// 10. In the clear, and only HELLO and one CONNECT after it are. Remedy: HELLO, CONNECT.
    #[error("the reader takes this in a secure session only")]
    ConnectFirst,
    /// 11. Not sealed under this session's keys. Remedy: HELLO, CONNECT.
    #[error("the reader could not open a sealed command")]
    NotAuthentic,
    /// 12. The LEDs shone as long as they may in a second. Remedy: wait a second.
    #[error("the reader's LEDs have shone as long as they may in a second")]
    LightSpent,
    /// A code of newer firmware. Remedy: update the driver.
    #[error("the reader refused with the unknown code {0}")]
    Other(u8),
}

impl NakCode {
    /// All named codes, in the order of their numbers, from 1.
    pub const NAMED: [Self; 12] = [
        Self::BadArgument,
        Self::BadSequence,
        Self::Busy,
        Self::HelloFirst,
        Self::Malformed,
        Self::NotArmed,
        Self::SensorFault,
        Self::UnknownType,
        Self::UnsupportedVersion,
        Self::ConnectFirst,
        Self::NotAuthentic,
        Self::LightSpent,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::BadArgument => 1,
            Self::BadSequence => 2,
            Self::Busy => 3,
            Self::HelloFirst => 4,
            Self::Malformed => 5,
            Self::NotArmed => 6,
            Self::SensorFault => 7,
            Self::UnknownType => 8,
            Self::UnsupportedVersion => 9,
            Self::ConnectFirst => 10,
            Self::NotAuthentic => 11,
            Self::LightSpent => 12,
            Self::Other(code) => code,
        }
    }

    /// The code of a number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        let named = Self::NAMED.into_iter().find(|nak| nak.code() == code);
        named.unwrap_or(Self::Other(code))
    }
}

/// What a reader answers.
#[derive(Debug)]
pub enum Reply {
    /// Done as asked.
    Ack,
    /// All frames of the capture were sent.
    CaptureDone {
        /// Names the capture.
        nonce: Nonce,
        /// How many frames were sent.
        frames: u8,
    },
    /// The reader's half of a secure session.
    Connected(Box<Connected>),
    /// One photograph.
    Frame(ImageFrame),
    /// Answer to HELLO.
    Info(Info),
    /// Refused.
    Nak(NakCode),
    /// Answer to PING.
    Pong(u64),
    /// Answer to SELF_TEST.
    SelfTest(SelfTest),
}

/// What a reader found out about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTest {
    /// Bit `n` for each part `n` of [`SelfTest::PARTS`] that was tried.
    pub tried: u16,
    /// Those that failed.
    pub failed: u16,
    /// Hottest place inside, in hundredths of a degree Celsius.
    pub temperature_centi: i16,
    /// A tamper event was raised since power-up, whether it was read or not.
    pub tampered: bool,
    /// Since power-up.
    pub uptime_ms: u32,
}

impl SelfTest {
    /// The parts, bit 0 first.
    pub const PARTS: [&str; 8] = [
        "camera",
        "near infrared LEDs",
        "visible LEDs",
        "hand sensor",
        "sounder",
        "button",
        "flash",
        "key store",
    ];

    /// Names of the parts that failed.
    pub fn failures(&self) -> impl Iterator<Item = &'static str> {
        let failed = self.failed;
        Self::PARTS
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| failed >> bit & 1 == 1)
            .map(|(_, part)| part)
    }

    fn encode(self) -> Vec<u8> {
        let mut payload = self.tried.to_le_bytes().to_vec();
        payload.extend(self.failed.to_le_bytes());
        payload.extend(self.temperature_centi.to_le_bytes());
        payload.extend([u8::from(self.tampered), 0]);
        payload.extend(self.uptime_ms.to_le_bytes());
        payload
    }

    fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("SELF_TEST", payload);
        let (tried, failed) = (fields.u16("parts tried")?, fields.u16("parts failed")?);
        let temperature_centi = i16::from_le_bytes(fields.array("temperature")?);
        let tampered = match fields.u8("tampered")? {
            0 => false,
            1 => true,
            other => return Err(fields.unknown("tampered", u32::from(other))),
        };
        fields.zeros::<1>("after tampered")?;
        let uptime_ms = fields.u32("uptime")?;
        fields.end().map(|()| Self {
            tried,
            failed,
            temperature_centi,
            tampered,
            uptime_ms,
        })
    }
}

impl Reply {
    /// Type number of a frame.
    pub const FRAME: u8 = 0x84;

    /// Type number on the wire.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Info(_) => 0x81,
            Self::Ack => 0x82,
            Self::Pong(_) => 0x83,
            Self::Frame(_) => Self::FRAME,
            Self::CaptureDone { .. } => 0x85,
            Self::SelfTest(_) => 0x86,
            Self::Connected(_) => 0xa0,
            Self::Nak(_) => 0xbf,
        }
    }

    /// Whether replies of this type go in the clear: what makes a session, and nothing else.
    #[must_use]
    pub fn is_clear(kind: u8) -> bool {
        matches!(kind, 0x81 | 0xa0)
    }

    /// The reply's name in the specification.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Info(_) => "INFO",
            Self::Ack => "ACK",
            Self::Pong(_) => "PONG",
            Self::Frame(_) => "FRAME",
            Self::CaptureDone { .. } => "CAPTURE_DONE",
            Self::SelfTest(_) => "SELF_TEST",
            Self::Connected(_) => "CONNECTED",
            Self::Nak(_) => "NAK",
        }
    }

    /// Reads what a reader sent. A frame keeps the packet's buffer: pixels are not copied.
    ///
    /// # Errors
    /// [`ProtocolError`] names the message and the field.
    pub fn parse(packet: Packet) -> Result<Self, ProtocolError> {
        let payload = packet.payload.as_slice();
        match packet.kind {
            0x81 => Info::parse(payload).map(Self::Info),
            0x82 => Fields::new("ACK", payload).end().map(|()| Self::Ack),
            0x83 => {
                let mut fields = Fields::new("PONG", payload);
                let echo = fields.u64("echo")?;
                fields.end().map(|()| Self::Pong(echo))
            }
            Self::FRAME => ImageFrame::parse(packet.payload).map(Self::Frame),
            0x85 => parse_done(payload),
            0x86 => SelfTest::parse(payload).map(Self::SelfTest),
            0xa0 => Connected::parse(payload).map(|connected| Self::Connected(Box::new(connected))),
            0xbf => {
                let mut fields = Fields::new("NAK", payload);
                let code = fields.u8("code")?;
                fields.zeros::<3>("after code")?;
                fields.end().map(|()| Self::Nak(NakCode::from_code(code)))
            }
            other => Err(ProtocolError::UnknownType(other)),
        }
    }

    /// The payload of every reply but a frame, whose pixels are laid down once by
    /// [`super::encode_frame`].
    #[must_use]
    pub fn payload(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ack => Some(Vec::new()),
            Self::CaptureDone { nonce, frames } => {
                let mut payload = nonce.to_vec();
                payload.extend([*frames, 0, 0, 0]);
                Some(payload)
            }
            Self::Connected(connected) => Some(connected.encode()),
            Self::Frame(_) => None,
            Self::Info(info) => Some(info.encode()),
            Self::Nak(code) => Some(vec![code.code(), 0, 0, 0]),
            Self::Pong(echo) => Some(echo.to_le_bytes().to_vec()),
            Self::SelfTest(found) => Some(found.encode()),
        }
    }
}

fn parse_done(payload: &[u8]) -> Result<Reply, ProtocolError> {
    let mut fields = Fields::new("CAPTURE_DONE", payload);
    let (nonce, frames) = (fields.array("nonce")?, fields.u8("frame count")?);
    fields.zeros::<3>("after frame count")?;
    fields.end().map(|()| Reply::CaptureDone { nonce, frames })
}

/// Parses arbitrary bytes (type, then payload) as a reply; must not panic.
#[doc(hidden)]
pub fn fuzz_reply(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else {
        return;
    };
    let packet = Packet {
        kind: *kind,
        sequence: 0,
        answers: 0,
        sealed: false,
        payload: crate::Wiped::from(payload.to_vec()),
    };
    if let Ok(reply) = Reply::parse(packet)
        && let Some(again) = reply.payload()
    {
        assert_eq!(again, payload, "what was decoded encodes to the same bytes");
    }
}
