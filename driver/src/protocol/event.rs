//! Thirty-two bytes on interrupt IN: what the reader notices by itself. Eight say which event, eight are sealed and say
//! what happened, sixteen are the tag.

use super::ProtocolError;
use super::crypto::TAG_LEN;
use super::fields::Fields;

/// Bytes of one event.
pub const EVENT_LEN: usize = HEAD_LEN + SEALED_LEN;
const HEAD_LEN: usize = 8;
const BODY_LEN: usize = 8;
const SEALED_LEN: usize = BODY_LEN + TAG_LEN;
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

impl EventKind {
    /// Kind and detail as they travel.
    pub(crate) fn codes(self) -> [u8; 2] {
        match self {
            Self::Hand(state) => [1, state.code()],
            Self::Button => [2, 0],
            Self::Tamper => [3, 0],
        }
    }

    pub(crate) fn from_codes(codes: [u8; 2]) -> Option<Self> {
        match codes {
            [1, code] => HandState::ALL
                .into_iter()
                .find(|state| state.code() == code)
                .map(Self::Hand),
            [2, 0] => Some(Self::Button),
            [3, 0] => Some(Self::Tamper),
            _ => None,
        }
    }
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
    /// The clear head, which the tag covers, and the body to be sealed.
    pub(super) fn parts(&self) -> ([u8; HEAD_LEN], [u8; BODY_LEN]) {
        let [kind, detail] = self.kind.codes();
        let [a, b, c, d] = self.sequence.to_le_bytes();
        let [e, f, g, h] = self.uptime_ms.to_le_bytes();
        (
            [EVENT_VERSION, 0, 0, 0, a, b, c, d],
            [kind, detail, 0, 0, e, f, g, h],
        )
    }

    /// Head, sequence number, and what is sealed with its tag.
    pub(super) fn split(
        bytes: &[u8],
    ) -> Result<([u8; HEAD_LEN], u32, [u8; SEALED_LEN]), ProtocolError> {
        let mut fields = Fields::new("event", bytes);
        let head: [u8; HEAD_LEN] = fields.array("head")?;
        let sealed = fields.array("sealed part")?;
        fields.end()?;
        let mut fields = Fields::new("event", &head);
        match fields.u8("version")? {
            EVENT_VERSION => {}
            other => return Err(ProtocolError::UnsupportedVersion(other)),
        }
        fields.zeros::<3>("after version")?;
        Ok((head, fields.u32("sequence")?, sealed))
    }

    /// Reads the opened body; what follows it is the tag.
    pub(super) fn parse(sequence: u32, body: &[u8; SEALED_LEN]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("event", body);
        let (kind, detail) = (fields.u8("kind")?, fields.u8("detail")?);
        fields.zeros::<2>("after detail")?;
        let uptime_ms = fields.u32("uptime")?;
        let kind = EventKind::from_codes([kind, detail]).ok_or_else(|| match kind {
            1 => fields.unknown("hand state", u32::from(detail)),
            2 | 3 => fields.unknown("detail", u32::from(detail)),
            _ => fields.unknown("kind", u32::from(kind)),
        })?;
        Ok(Self {
            kind,
            sequence,
            uptime_ms,
        })
    }
}

/// Parses arbitrary bytes as an event, opened and not; must not panic.
#[doc(hidden)]
pub fn fuzz_event(bytes: &[u8]) {
    let Ok((head, sequence, sealed)) = ReaderEvent::split(bytes) else {
        return;
    };
    if let Ok(event) = ReaderEvent::parse(sequence, &sealed) {
        let (head_again, body) = event.parts();
        assert_eq!(
            head_again, head,
            "what was decoded encodes to the same bytes"
        );
        assert!(
            sealed.starts_with(&body),
            "what was decoded encodes to the same bytes"
        );
    }
}
