//! Monotonic time and waiting, as something a test can own.
//!
//! A [`Clock`] tells time since its own start and waits on a [`Bell`]. [`SystemClock`] is the real
//! one. [`ManualClock`] never blocks: a wait for something that has not happened jumps to the end
//! of the wait, so a test of a ten-second silence takes no time. Calendar time is not here.

use std::fmt::Debug;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts rings, so that a ring between looking and waiting is never lost.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// A bell that was never rung.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rings so far. Read it *before* looking at the shared state, then wait on what was read.
    #[must_use]
    pub fn rings(&self) -> u64 {
        *self.lock()
    }

    /// Wakes everybody who waits.
    pub fn ring(&self) {
        let mut rings = self.lock();
        *rings = rings.wrapping_add(1);
        self.rung.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Monotonic time.
pub trait Clock: Debug + Send + Sync {
    /// Time since this clock's own start.
    fn now(&self) -> Duration;

    /// Waits until `bell` has rung more often than `seen` times, at most for `timeout`.
    /// May return early; the caller looks again.
    fn wait(&self, bell: &Bell, seen: u64, timeout: Duration);
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for time"
    )]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Duration) {
        // Early returns are allowed, so what the wait reports does not matter.
        drop(
            bell.rung
                .wait_timeout_while(bell.lock(), timeout, |rings| *rings == seen),
        );
    }
}

/// A clock that moves only when somebody waits on it or advances it.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
}

impl ManualClock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves time forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Duration) {
        if bell.rings() == seen {
            self.advance(timeout);
        }
    }
}

/// A point in time by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Duration);

impl Deadline {
    pub(crate) fn after(clock: &dyn Clock, timeout: Duration) -> Self {
        Self(clock.now().saturating_add(timeout))
    }

    /// Time left, or `None` once it has passed.
    pub(crate) fn left(self, clock: &dyn Clock) -> Option<Duration> {
        self.0
            .checked_sub(clock.now())
            .filter(|left| !left.is_zero())
    }
}
