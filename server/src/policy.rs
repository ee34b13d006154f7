//! What a customer may pay by palm, and what is asked first: pure rules over what the shop set, what the customer set
//! and what they paid today.
//!
//! A palm found among many is one factor (inherence). Above the shop's limit, or where the customer wishes it, a second
//! one is asked for (knowledge), as strong customer authentication asks for two of three. What is refused is refused
//! before what is asked: nobody gives a PIN for nothing.

use std::time::Duration;

use palm_proto::{id::PaymentId, money::Money, reason::ReasonCode};
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, config, limits, payments::record::Need, safeguards::SafeguardsRow};

/// The shop's rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy(pub(crate) config::Policy);

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    Allow,
    /// These are to be given first, in this order; never empty.
    Ask(Vec<Need>),
    Decline(ReasonCode),
}

/// What one customer paid lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DayRow {
    /// The shop's day that `sum_minor` is of, since 1970.
    day: u64,
    sum_minor: u64,
    /// The last few payments, newest last.
    last: Vec<Paid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Paid {
    id: [u8; 16],
    minor: u64,
    time_us: u64,
}

impl Policy {
    pub(crate) fn hold_for(self) -> Duration {
        Duration::from_secs(u64::from(self.0.hold_h) * 3_600)
    }

    pub(crate) fn step_up_for(self) -> Duration {
        Duration::from_secs(self.0.step_up_s.into())
    }

    /// Rules on an amount. `given` is what was given already: it is not asked for again.
    pub(crate) fn rule(
        self,
        amount: Money,
        own: &SafeguardsRow,
        day: &DayRow,
        (now, given): (Timestamp, &[Need]),
    ) -> Ruling {
        let minor = amount.minor();
        let today = day.sum_on(self.day(now)).saturating_add(minor);
        let above = |sum: u64, most: Option<u64>| most.is_some_and(|most| sum > most);
        if own.is_frozen {
            return Ruling::Decline(ReasonCode::Frozen);
        }
        if above(minor, own.payment_max())
            || above(today, own.day_max())
            || above(today, self.0.day_max_minor)
        {
            return Ruling::Decline(ReasonCode::OverLimit);
        }
        let mut needs = Vec::new();
        if own.always_second_factor || above(minor, self.0.palm_max_minor) {
            needs.push(Need::Factor);
        }
        let window = Duration::from_secs(self.0.duplicate_window_s.into());
        if day.has(minor, now, window) {
            needs.push(Need::Word);
        }
        let has_given = |need: &Need| {
            let by_two = *need == Need::Factor && given.contains(&Need::FactorOfTwo);
            by_two || given.contains(need)
        };
        needs.retain(|need| !has_given(need));
        if needs.contains(&Need::Factor) {
            if own.is_locked() {
                return Ruling::Decline(ReasonCode::FactorLocked);
            }
            if !own.has_factor() {
                return Ruling::Decline(ReasonCode::SecondFactor);
            }
        }
        if needs.is_empty() {
            Ruling::Allow
        } else {
            Ruling::Ask(needs)
        }
    }

    /// The shop's day, since 1970.
    pub(crate) fn day(self, time: Timestamp) -> u64 {
        let seconds = i64::try_from(time.micros() / 1_000_000).unwrap_or(i64::MAX);
        let local = seconds.saturating_add(i64::from(self.0.utc_offset_min) * 60);
        u64::try_from(local.div_euclid(86_400)).unwrap_or_default()
    }
}

impl DayRow {
    fn sum_on(&self, day: u64) -> u64 {
        if self.day == day { self.sum_minor } else { 0 }
    }

    fn has(&self, minor: u64, now: Timestamp, window: Duration) -> bool {
        let since = |paid: &Paid| now.since(Timestamp::from_micros(paid.time_us));
        let mut last = self.last.iter();
        last.any(|paid| paid.minor == minor && since(paid) < window)
    }

    /// Counts a payment.
    pub(crate) fn add(&mut self, policy: Policy, id: PaymentId, minor: u64, now: Timestamp) {
        let day = policy.day(now);
        self.sum_minor = self.sum_on(day).saturating_add(minor);
        self.day = day;
        if self.last.len() >= limits::RECENT_PAYMENTS {
            self.last.remove(0);
        }
        self.last.push(Paid {
            id: id.to_bytes(),
            minor,
            time_us: now.micros(),
        });
    }

    /// Takes back what a payment that was counted then did not take after all: it neither counts nor makes another a
    /// duplicate.
    pub(crate) fn take_back(&mut self, policy: Policy, id: PaymentId, minor: u64, then: Timestamp) {
        if self.day == policy.day(then) {
            self.sum_minor = self.sum_minor.saturating_sub(minor);
        }
        self.last.retain(|paid| paid.id != id.to_bytes());
    }
}

#[cfg(test)]
mod tests;
