//! The life of a pay-out, as one table.
//!
#![doc = include_str!("life.md")]

use serde::{Deserialize, Serialize};

/// Where a pay-out stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Held; in no file yet.
    Ordered,
    /// Held; in a file for the bank.
    Sent,
    /// The bank has taken it on.
    Accepted,
    /// The bank has paid it.
    Paid,
    /// The bank has refused it.
    Rejected,
    /// Called off before it was in a file.
    Cancelled,
    /// It came back after it was accepted.
    Returned,
}

/// What happens to a pay-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is put into a file.
    Send,
    /// It is called off.
    Cancel,
    /// The bank takes it on.
    Accept,
    /// The bank has paid it.
    Settle,
    /// The bank refuses it.
    Reject,
    /// The bank has it back.
    Return,
}

impl State {
    /// The state after an event; `None` when the event cannot happen.
    #[must_use]
    pub const fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Ordered, Event::Send) => Some(Self::Sent),
            (Self::Ordered | Self::Cancelled, Event::Cancel) => Some(Self::Cancelled),
            (Self::Sent | Self::Accepted, Event::Accept) => Some(Self::Accepted),
            (Self::Sent | Self::Accepted | Self::Paid, Event::Settle)
            | (Self::Paid, Event::Accept) => Some(Self::Paid),
            (Self::Sent | Self::Accepted | Self::Rejected, Event::Reject)
            | (Self::Rejected, Event::Accept) => Some(Self::Rejected),
            (Self::Accepted | Self::Paid | Self::Returned, Event::Return)
            | (Self::Returned, Event::Accept | Event::Settle) => Some(Self::Returned),
            (Self::Ordered, Event::Accept | Event::Settle | Event::Reject | Event::Return)
            | (Self::Sent, Event::Send | Event::Cancel | Event::Return)
            | (Self::Accepted, Event::Send | Event::Cancel)
            | (Self::Paid, Event::Send | Event::Cancel | Event::Reject)
            | (Self::Rejected, Event::Send | Event::Cancel | Event::Settle | Event::Return)
            | (
                Self::Cancelled,
                Event::Send | Event::Accept | Event::Settle | Event::Reject | Event::Return,
            )
            | (Self::Returned, Event::Send | Event::Cancel | Event::Reject) => None,
        }
    }

    /// Whether its money has left the wallet.
    #[must_use]
    pub const fn is_posted(self) -> bool {
        match self {
            Self::Accepted | Self::Paid => true,
            Self::Ordered | Self::Sent | Self::Rejected | Self::Cancelled | Self::Returned => false,
        }
    }

    /// Whether its money is set aside.
    #[must_use]
    pub const fn is_held(self) -> bool {
        match self {
            Self::Ordered | Self::Sent => true,
            Self::Accepted | Self::Paid | Self::Rejected | Self::Cancelled | Self::Returned => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 7] = [
        State::Ordered,
        State::Sent,
        State::Accepted,
        State::Paid,
        State::Rejected,
        State::Cancelled,
        State::Returned,
    ];
    const EVENTS: [Event; 6] = [
        Event::Send,
        Event::Cancel,
        Event::Accept,
        Event::Settle,
        Event::Reject,
        Event::Return,
    ];

    #[test]
    fn table_of_the_documentation_is_the_table_of_the_code() {
        let rows: Vec<Vec<&str>> = include_str!("life.md")
            .lines()
            .filter(|line| line.starts_with('|') && !line.starts_with("|-"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        let names = EVENTS.map(|event| format!("{event:?}").to_lowercase());
        assert_eq!(rows[0][1..], names);
        assert_eq!(rows.len(), STATES.len() + 1);
        for (state, row) in STATES.iter().zip(&rows[1..]) {
            assert_eq!(row[0], format!("{state:?}"));
            for (event, cell) in EVENTS.iter().zip(&row[1..]) {
                let after = state.after(*event);
                let told = after.map_or_else(|| "-".to_owned(), |after| format!("{after:?}"));
                assert_eq!(told, *cell, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn what_the_bank_says_twice_changes_nothing_the_second_time() {
        for state in STATES {
            for event in [Event::Accept, Event::Settle, Event::Reject, Event::Return] {
                if let Some(after) = state.after(event) {
                    assert_eq!(after.after(event), Some(after), "{state:?} {event:?}");
                }
            }
        }
    }
}
