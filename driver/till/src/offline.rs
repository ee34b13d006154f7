//! Payments while the service cannot be reached: off unless the merchant asks for it, since the risk is theirs.
//!
//! The till accepts within the merchant's caps a palm that the service recognised here lately: it keeps the templates
//! of such palms in memory, never on disk, for as long as it was told to, and compares a new one with them. What is
//! accepted is on disk, sealed to the service as ever, before the screens say so, and is sent once the service is back,
//! under the same payment id: however often it is sent, it charges once. The service may then decline it, for instance
//! for want of money: that loss is the merchant's, and the screens say how much it was.
//!
//! Only a payment that certainly never left the till is accepted here; one of unknown outcome is looked up as ever.

use std::{collections::VecDeque, path::Path, time::Duration};

use palm_models::{compare::compare, template::Template};
use palm_proto::{id::CustomerId, v1};
use serde::Deserialize;

use crate::{checkout::Sale, journal::JournalError, limits};

mod queue;

pub use queue::fuzz_queue;
use queue::{End, Queue};

/// The merchant's caps. Amounts are in minor units of the shop's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflineConfig {
    /// Highest amount of one payment.
    pub payment_max_minor: u64,
    /// Highest sum of all that the service has not answered yet.
    pub total_max_minor: u64,
    /// A palm is known for so many minutes after the service recognised it here, 1 to 10,080.
    pub seen_within_min: u32,
}

/// A palm that the service recognised.
struct Seen {
    customer: CustomerId,
    template: Template,
    masked_name: String,
    at: Duration,
}

/// What is waiting, and what came of what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Accepted and not yet answered by the service.
    pub waiting: usize,
    /// Their sum.
    pub waiting_minor: u64,
    /// Sent and not taken: the merchant's loss.
    pub declined: usize,
    /// Their sum.
    pub declined_minor: u64,
}

/// Accepts and forwards.
pub struct Offline {
    config: OfflineConfig,
    seen: VecDeque<Seen>,
    queue: Queue,
    forwarding: bool,
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offline({:?})", self.standing())
    }
}

impl Offline {
    /// Opens the file of what was accepted and not yet answered, or makes it.
    ///
    /// # Errors
    /// [`JournalError`] names the file and the remedy.
    pub fn open(config: OfflineConfig, path: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            config,
            seen: VecDeque::new(),
            queue: Queue::open(path)?,
            forwarding: false,
        })
    }

    /// What is waiting, and what was lost.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.queue.standing()
    }

    /// Whether this payment was accepted here and waits for the service.
    #[must_use]
    pub fn holds(&self, sale: Sale) -> bool {
        self.queue.holds(sale.payment)
    }

    /// Keeps a palm that the service recognised; the oldest go when there are [`limits::OFFLINE_SEEN`].
    pub fn remember(
        &mut self,
        customer: CustomerId,
        template: Template,
        masked_name: String,
        at: Duration,
    ) {
        let is_other =
            |seen: &Seen| seen.customer != customer || seen.template.hand() != template.hand();
        self.seen.retain(is_other);
        if self.seen.len() >= limits::OFFLINE_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            customer,
            template,
            masked_name,
            at,
        });
    }

    /// Forgets palms that were seen too long ago.
    pub fn forget(&mut self, now: Duration) {
        let within = Duration::from_secs(u64::from(self.config.seen_within_min) * 60);
        self.seen
            .retain(|seen| now.saturating_sub(seen.at) < within);
    }

    /// Accepts a payment that certainly did not reach the service: on disk when this returns the customer's masked
    /// name; `None` when it is not to be accepted.
    ///
    /// # Errors
    /// [`JournalError`]; the payment is then not accepted.
    pub fn accept(
        &mut self,
        sale: Sale,
        probe: &Template,
        request: &v1::AuthorisePaymentRequest,
        now: Duration,
    ) -> Result<Option<String>, JournalError> {
        self.forget(now);
        let minor = sale.amount.minor();
        let total = self.standing().waiting_minor.saturating_add(minor);
        let is_within =
            minor <= self.config.payment_max_minor && total <= self.config.total_max_minor;
        let Some(known) = self.known(probe).filter(|_| is_within) else {
            return Ok(None);
        };
        let masked_name = known.masked_name.clone();
        self.queue.accept(sale, request)?;
        Ok(Some(masked_name))
    }

    /// Whose palm this is among those seen; nobody when two are close.
    fn known(&self, probe: &Template) -> Option<&Seen> {
        let same_hand = self
            .seen
            .iter()
            .filter(|seen| seen.template.hand() == probe.hand());
        let mut ranking: Vec<_> = same_hand
            .map(|seen| (compare(&seen.template, probe).value(), seen))
            .collect();
        ranking.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (best, seen) = ranking.first()?;
        let other = ranking
            .iter()
            .find(|(_, other)| other.customer != seen.customer);
        let second = other.map_or(0.0, |(similarity, _)| *similarity);
        let is_clear =
            *best >= limits::OFFLINE_SIMILARITY_MIN && best - second >= limits::OFFLINE_MARGIN_MIN;
        is_clear.then_some(*seen)
    }

    /// The next payment to send, one at a time: [`Self::answered`] or [`Self::not_sent`] must follow.
    pub fn take_next(&mut self) -> Option<(Sale, v1::AuthorisePaymentRequest)> {
        if self.forwarding {
            return None;
        }
        let next = self.queue.first()?;
        self.forwarding = true;
        Some(next)
    }

    /// The service answered: paid, or not.
    ///
    /// # Errors
    /// [`JournalError`]: it will be sent once more, which charges nothing twice.
    pub fn answered(&mut self, sale: Sale, is_paid: bool) -> Result<(), JournalError> {
        self.forwarding = false;
        let end = if is_paid { End::Paid } else { End::Declined };
        self.queue.end(sale.payment, end)
    }

    /// The service did not answer: it is sent again later.
    pub fn not_sent(&mut self) {
        self.forwarding = false;
    }
}

#[cfg(test)]
mod tests;
