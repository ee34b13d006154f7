//! Outside rails and those they speak to: one [`contract`] for every rail; a card [`provider`] and an [`acquirer`] of
//! our own that can be told to misbehave; and [`counterparts`] that others wrote, as processes of their own.

pub mod acquirer;
pub mod contract;
pub mod counterparts;
pub mod lasting;
pub mod provider;
pub mod stage;

pub use acquirer::Acquirer;
pub use provider::Provider;

/// What goes wrong with the next request about money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is never acted on, and the connection closes.
    DropRequest,
    /// It is acted on, and the connection closes without an answer.
    DropAnswer,
    /// It is acted on, and nothing comes back while the connection stays open.
    Hold,
    /// It is acted on, and what comes back is no answer at all.
    Garbage,
}

/// What a counterpart's own books say, in minor units, over all payments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Held and not yet captured.
    pub held: u64,
    /// Captured.
    pub captured: u64,
    /// Given back.
    pub refunded: u64,
}
