//! The life of a payment, as one table.
//!
#![doc = include_str!("life.md")]

use serde::{Deserialize, Serialize};

use crate::rail::Action;

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Announced: the amount is known, nobody has held a palm out.
    Created,
    /// Somebody was recognised and something is asked before the money moves: a second factor, the cashier's word.
    StepUp,
    /// The rail was asked to hold the amount; no answer yet.
    Authorising,
    /// The amount is held.
    Authorised,
    /// The rail was asked to take it.
    Capturing,
    /// The rail was asked to free it.
    Voiding,
    /// As `Voiding`, because nobody captured it in time.
    Expiring,
    /// Money moved. Refunds are counted beside it.
    Captured,
    /// The rail was asked to give some back.
    Refunding,
    /// Not taken.
    Declined,
    /// Given up before any money was held, or undone as if it had never been.
    Cancelled,
    /// Held and freed again.
    Voided,
    /// Its time ran out.
    Expired,
}

/// What happens to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Something is asked before the money.
    Ask,
    /// The rail is asked for it.
    Begin(
        /// What for.
        Action,
    ),
    /// Its time is up.
    Expire,
    /// The rail did it.
    Approved,
    /// The rail, or the shop's rules before any rail was asked, refused.
    Declined,
    /// The rail has no trace of it.
    Undone,
    /// Given up before the rail was asked.
    Cancel,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 13] = [
        Self::Created,
        Self::StepUp,
        Self::Authorising,
        Self::Authorised,
        Self::Capturing,
        Self::Voiding,
        Self::Expiring,
        Self::Captured,
        Self::Refunding,
        Self::Declined,
        Self::Cancelled,
        Self::Voided,
        Self::Expired,
    ];

    /// The state after an event; `None` when this state refuses it.
    #[must_use]
    pub const fn after(self, event: Event) -> Option<Self> {
        let next = match (self, event) {
            (Self::Created | Self::StepUp, Event::Ask) => Self::StepUp,
            (Self::Created | Self::StepUp, Event::Begin(Action::Authorise)) => Self::Authorising,
            (Self::Created | Self::StepUp, Event::Expire) => Self::Expired,
            (Self::Created | Self::StepUp, Event::Cancel) => Self::Cancelled,
            (Self::Created | Self::StepUp | Self::Authorising, Event::Declined) => Self::Declined,
            (Self::Authorising, Event::Approved) => Self::Authorised,
            (Self::Authorising, Event::Undone) => Self::Cancelled,
            (Self::Authorised, Event::Begin(Action::Capture)) => Self::Capturing,
            (Self::Authorised, Event::Begin(Action::Void)) => Self::Voiding,
            (Self::Authorised, Event::Expire) => Self::Expiring,
            (Self::Capturing, Event::Approved) => Self::Captured,
            (Self::Voiding, Event::Approved) => Self::Voided,
            (Self::Expiring, Event::Approved) => Self::Expired,
            (Self::Capturing | Self::Voiding | Self::Expiring, Event::Declined) => Self::Authorised,
            (Self::Captured, Event::Begin(Action::Refund)) => Self::Refunding,
            (Self::Refunding, Event::Approved | Event::Declined | Event::Undone) => Self::Captured,
            _ => return None,
        };
        Some(next)
    }

    /// Whether a rail's answer is awaited: nobody may be told that it was, or was not, done.
    #[must_use]
    pub const fn is_in_doubt(self) -> bool {
        matches!(
            self,
            Self::Authorising | Self::Capturing | Self::Voiding | Self::Expiring | Self::Refunding
        )
    }

    /// What the rail was asked, while its answer is awaited.
    #[must_use]
    pub const fn asked(self) -> Option<Action> {
        match self {
            Self::Authorising => Some(Action::Authorise),
            Self::Capturing => Some(Action::Capture),
            Self::Voiding | Self::Expiring => Some(Action::Void),
            Self::Refunding => Some(Action::Refund),
            Self::Created
            | Self::StepUp
            | Self::Authorised
            | Self::Captured
            | Self::Declined
            | Self::Cancelled
            | Self::Voided
            | Self::Expired => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> Event {
        match name {
            "ask" => Event::Ask,
            "authorise" => Event::Begin(Action::Authorise),
            "capture" => Event::Begin(Action::Capture),
            "void" => Event::Begin(Action::Void),
            "refund" => Event::Begin(Action::Refund),
            "expire" => Event::Expire,
            "approved" => Event::Approved,
            "declined" => Event::Declined,
            "undone" => Event::Undone,
            "cancel" => Event::Cancel,
            other => panic!("no event {other}"),
        }
    }

    fn cells(line: &str) -> Vec<&str> {
        let inner = line.trim().trim_matches('|');
        inner.split('|').map(str::trim).collect()
    }

    #[test]
    fn every_transition_is_as_the_page_says() {
        let page = include_str!("life.md");
        let mut table = page.lines().filter(|line| line.starts_with('|'));
        let events: Vec<_> = cells(table.next().unwrap())[1..]
            .iter()
            .map(|name| event(name))
            .collect();
        assert_eq!(events.len(), 10, "every event has its column");
        let rows: Vec<_> = table.skip(1).map(cells).collect();
        assert_eq!(rows.len(), State::ALL.len(), "every state has its row");
        for (state, row) in State::ALL.into_iter().zip(rows) {
            assert_eq!(format!("{state:?}"), row[0]);
            for (event, cell) in events.iter().zip(&row[1..]) {
                let next = state.after(*event);
                let told = next.map_or_else(|| "-".to_owned(), |next| format!("{next:?}"));
                assert_eq!(told, **cell, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn what_is_in_doubt_is_what_the_rail_was_asked() {
        for state in State::ALL {
            assert_eq!(state.is_in_doubt(), state.asked().is_some(), "{state:?}");
        }
    }
}
