//! What a reader notices, what to tell the customer about it, and what the reader shows back.

use crate::protocol::{EventKind, HandState, Pattern, PatternEffect};

/// What the reader noticed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The reader's button was pressed.
    Button,
    /// The hand is now so; [`Hint::for_hand`] says what to ask of the customer.
    Hand(HandState),
    /// The case was opened or the reader moved. The operator must look before it is used again.
    Tamper,
}

impl From<EventKind> for Event {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Button => Self::Button,
            EventKind::Hand(state) => Self::Hand(state),
            EventKind::Tamper => Self::Tamper,
        }
    }
}

impl From<Event> for EventKind {
    fn from(event: Event) -> Self {
        match event {
            Event::Button => Self::Button,
            Event::Hand(state) => Self::Hand(state),
            Event::Tamper => Self::Tamper,
        }
    }
}

/// One thing to ask of the customer. Words, icons and tones for it are the page's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// Bring the hand over the middle of the reader.
    CentreHand,
    /// Open the hand and hold it level.
    FlattenHand,
    /// Keep still.
    HoldStill,
    /// Bring the hand nearer.
    MoveCloser,
    /// Take the hand further away.
    MoveFurther,
    /// Hold a palm over the reader.
    ShowHand,
}

impl Hint {
    /// What to ask for a hand so placed; `None` when it is well placed.
    #[must_use]
    pub fn for_hand(state: HandState) -> Option<Self> {
        match state {
            HandState::Absent => Some(Self::ShowHand),
            HandState::Moving => Some(Self::HoldStill),
            HandState::OffCentre => Some(Self::CentreHand),
            HandState::Present => None,
            HandState::Tilted => Some(Self::FlattenHand),
            HandState::TooFar => Some(Self::MoveCloser),
            HandState::TooNear => Some(Self::MoveFurther),
        }
    }
}

/// What the reader shows and plays to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The payment or enrolment went through.
    Accepted,
    /// The pictures were taken; the hand may go.
    Captured,
    /// The hand is seen but not well placed.
    Guiding,
    /// Dark and silent.
    Off,
    /// Hold a palm here.
    Ready,
    /// Not accepted.
    Refused,
}

impl Signal {
    /// Colours follow traffic; each outcome also differs by movement and pitch, for those who do
    /// not tell red from green or do not hear.
    #[must_use]
    pub fn pattern(self) -> Pattern {
        let pattern = |colour, effect, tone_hz, tone_ms| Pattern {
            colour,
            effect,
            tone_hz,
            tone_ms,
        };
        match self {
            Self::Accepted => pattern([0, 255, 0], PatternEffect::Steady, 1_320, 250),
            Self::Captured => pattern([255, 255, 255], PatternEffect::Steady, 880, 80),
            Self::Guiding => pattern([255, 160, 0], PatternEffect::Pulse, 0, 0),
            Self::Off => pattern([0, 0, 0], PatternEffect::Steady, 0, 0),
            Self::Ready => pattern([255, 255, 255], PatternEffect::Pulse, 0, 0),
            Self::Refused => pattern([255, 0, 0], PatternEffect::Blink, 220, 500),
        }
    }
}
