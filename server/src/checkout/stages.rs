//! Where the time of a payment went.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// A source of time that only goes forward, for measuring.
pub trait Monotonic: Send + Sync + fmt::Debug {
    /// Time since some moment that stays the same while the process lives.
    fn elapsed(&self) -> Duration;
}

/// The machine's own.
#[derive(Debug)]
pub struct MachineMonotonic(Instant);

impl MachineMonotonic {
    /// Counts from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that measures")]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Monotonic for MachineMonotonic {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Time of each stage in microseconds; 0 when it was not reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Looking the id up and opening the envelope.
    pub open_us: u32,
    /// Finding out whose palm it is.
    pub identify_us: u32,
    /// Booking, until it is on disk.
    pub commit_us: u32,
}

/// Takes the time of one payment.
pub(super) struct Stages<'a> {
    monotonic: &'a dyn Monotonic,
    last: Duration,
    times: StageTimes,
}

impl<'a> Stages<'a> {
    pub(super) fn start(monotonic: &'a dyn Monotonic) -> Self {
        Self {
            monotonic,
            last: monotonic.elapsed(),
            times: StageTimes::default(),
        }
    }

    pub(super) fn opened(&mut self) {
        self.times.open_us = self.lap_us();
    }

    pub(super) fn identified(&mut self) {
        self.times.identify_us = self.lap_us();
    }

    pub(super) fn committed(&mut self) {
        self.times.commit_us = self.lap_us();
    }

    fn lap_us(&mut self) -> u32 {
        let now = self.monotonic.elapsed();
        let lap = now.saturating_sub(self.last);
        self.last = now;
        u32::try_from(lap.as_micros()).unwrap_or(u32::MAX)
    }

    pub(super) fn times(&self) -> StageTimes {
        self.times
    }
}
