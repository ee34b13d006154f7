//! Sixteen bytes on interrupt IN: what the reader notices by itself.

use super::ProtocolError;
use super::fields::Fields;

/// Bytes of one event.
pub const EVENT_LEN: usize = 16;
const EVENT_VERSION: u8 = 1;

/// Where the hand is. A level, not an edge: a lost event is made good by the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandState {
    /// Nothing over the lens.
    Absent,
    /// Moving too fast to photograph.
    Moving,
    /// Beside the middle of the field.
    OffCentre,
    /// Well placed: capture now.
    Present,
    /// Not flat above the lens.
    Tilted,
    /// Beyond the working distance.
    TooFar,
    /// Closer than the working distance.
    TooNear,
}

impl HandState {
    /// All states, in the order of their numbers, from 0.
    pub const ALL: [Self; 7] = [
        Self::Absent,
        Self::Present,
        Self::TooFar,
        Self::TooNear,
        Self::Tilted,
        Self::Moving,
        Self::OffCentre,
    ];

    /// The state's name in scripts and printed events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Present => "present",
            Self::TooFar => "too_far",
            Self::TooNear => "too_near",
            Self::Tilted => "tilted",
            Self::Moving => "moving",
            Self::OffCentre => "off_centre",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Present => 1,
            Self::TooFar => 2,
            Self::TooNear => 3,
            Self::Tilted => 4,
            Self::Moving => 5,
            Self::OffCentre => 6,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The reader's button was pressed.
    Button,
    /// The hand is now so.
    Hand(HandState),
    /// The case was opened or the reader moved from its place.
    Tamper,
}

/// One event of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderEvent {
    /// What happened.
    pub kind: EventKind,
    /// The reader's count of its events.
    pub sequence: u32,
    /// The reader's time since power-up in milliseconds, wrapping.
    pub uptime_ms: u32,
}

impl ReaderEvent {
    /// The sixteen bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; EVENT_LEN] {
        let (kind, detail) = match self.kind {
            EventKind::Hand(state) => (1, state.code()),
            EventKind::Button => (2, 0),
            EventKind::Tamper => (3, 0),
        };
        let mut bytes = Vec::with_capacity(EVENT_LEN);
        bytes.extend([EVENT_VERSION, kind, detail, 0]);
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.uptime_ms.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
            .try_into()
            .expect("invariant: four fields of four bytes")
    }

    /// Reads one interrupt packet.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field. A host drops an event it cannot read: the next tells the
    /// state anew.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("event", bytes);
        let version = fields.u8("version")?;
        let (kind, detail) = (fields.u8("kind")?, fields.u8("detail")?);
        let reserved = fields.u8("byte 3")?;
        let (sequence, uptime_ms) = (fields.u32("sequence")?, fields.u32("uptime")?);
        let crc = fields.u32("crc")?;
        let unknown = |field, value| ProtocolError::UnknownValue {
            message: "event",
            field,
            value,
        };
        fields.end()?;
        let (checked, _) = bytes
            .split_at_checked(EVENT_LEN - 4)
            .unwrap_or((bytes, &[]));
        if crc32c::crc32c(checked) != crc {
            return Err(ProtocolError::CrcMismatch);
        }
        if version != EVENT_VERSION {
            return Err(ProtocolError::UnsupportedVersion(version));
        }
        if reserved != 0 {
            return Err(ProtocolError::ReservedNotZero {
                message: "event",
                field: "byte 3",
            });
        }
        let kind = match (kind, detail) {
            (1, code) => HandState::ALL
                .into_iter()
                .find(|state| state.code() == code)
                .map(EventKind::Hand)
                .ok_or_else(|| unknown("hand state", u32::from(code)))?,
            (2, 0) => EventKind::Button,
            (3, 0) => EventKind::Tamper,
            (2 | 3, detail) => return Err(unknown("detail", u32::from(detail))),
            (kind, _) => return Err(unknown("kind", u32::from(kind))),
        };
        Ok(Self {
            kind,
            sequence,
            uptime_ms,
        })
    }
}

/// Parses arbitrary bytes as an event; must not panic.
#[doc(hidden)]
pub fn fuzz_event(bytes: &[u8]) {
    if let Ok(event) = ReaderEvent::parse(bytes) {
        assert_eq!(
            event.encode(),
            *bytes,
            "what was decoded encodes to the same bytes"
        );
    }
}
