//! The outside rails: one contract for each of them, against counterparts of our own that misbehave when told and
//! counterparts that others wrote, and what only one of them does. Nothing leaves this machine.

mod card_numbers;
mod cards;
mod iso8583;
mod stripe;
mod tls;

use std::{sync::Arc, time::Duration};

use palm_server::clock::{Clock, ManualClock, Timestamp};

/// 2026-11-25 10:30:59 UTC.
const BEGIN_US: u64 = 1_795_602_659_000_000;
/// For rails that are to give up soon, and yet not on a busy machine.
const SHORT: Duration = Duration::from_millis(1_200);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(BEGIN_US)))
}

fn now_us(clock: &ManualClock) -> u64 {
    clock.now().micros()
}

fn short_ms() -> u64 {
    u64::try_from(SHORT.as_millis()).unwrap_or(u64::MAX)
}
