//! What to tell the person over the reader: one id for each thing to do.
//!
//! The driver's hints (how the hand is held) and the extractor's rejections (what the picture lacks) come together
//! here with the till's own. Pages turn an id into word, icon and colour; `pages/messages.json` has the words.

use std::fmt;

use palm_driver::Hint;
use palm_models::extract::Rejection;
use serde::{Serialize, Serializer};

/// One thing for the person to do, as a stable id such as `move_closer`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guidance(&'static str);

impl Guidance {
    /// Take the hand away before the next capture.
    pub const LIFT_HAND: Self = Self("lift_hand");
    /// Show the hand that the enrolment began with, not the other one.
    pub const SAME_HAND: Self = Self("same_hand");
    /// Show the other hand now.
    pub const OTHER_HAND: Self = Self("other_hand");
    /// The capture failed for a technical reason: hold the hand there once more.
    pub const ONCE_MORE: Self = Self("once_more");

    /// The id.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl From<Hint> for Guidance {
    fn from(hint: Hint) -> Self {
        Self(match hint {
            Hint::CentreHand => "centre_hand",
            Hint::FlattenHand => "flatten_hand",
            Hint::HoldStill => "hold_still",
            Hint::MoveCloser => "move_closer",
            Hint::MoveFurther => "move_further",
            Hint::ShowHand => "show_hand",
        })
    }
}

impl From<Rejection> for Guidance {
    fn from(rejection: Rejection) -> Self {
        Self(rejection.as_str())
    }
}

impl fmt::Debug for Guidance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Guidance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}
