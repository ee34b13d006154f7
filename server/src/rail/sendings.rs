//! What may still be on its way: a request can reach a rail after its connection is gone and its time-out is over, also
//! after a question about it that was asked later. Until it is settled, "no trace of it" proves nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Step, StepId};
use crate::clock::Clock;

/// A request that did not arrive in this time never will.
pub const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// Steps whose last sending is remembered.
const STEPS_MAX: usize = 65_536;

/// When which step was last sent. For [`SETTLED_AFTER`] after a start nothing is settled, for what the process before
/// it sent.
#[derive(Debug)]
pub(super) struct Sendings {
    clock: Arc<dyn Clock>,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    /// In microseconds since 1970, those of the last [`SETTLED_AFTER`].
    last_us: BTreeMap<StepId, u64>,
    /// Of steps that do not stand there it is only known that they were not sent since this.
    forgot_us: u64,
}

impl Sendings {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let noted = Noted {
            last_us: BTreeMap::new(),
            forgot_us: clock.now().micros(),
        };
        Self {
            clock,
            noted: Mutex::new(noted),
        }
    }

    /// A step is on its way from now on. To be called when it is sent, and again when no answer came.
    pub(super) fn note(&self, step: StepId) {
        let now_us = self.clock.now().micros();
        let mut noted = self.noted();
        let Noted { last_us, forgot_us } = &mut *noted;
        last_us.retain(|_, sent_us| !is_settled(now_us, *sent_us));
        if last_us.len() >= STEPS_MAX {
            last_us.clear();
            *forgot_us = now_us;
        }
        last_us.insert(step, now_us);
    }

    /// Whether nothing of a step can still be on its way.
    pub(super) fn is_settled(&self, step: &Step) -> bool {
        let now_us = self.clock.now().micros();
        let noted = self.noted();
        let last_us = noted.last_us.get(&step.id);
        is_settled(now_us, step.time_us) && is_settled(now_us, *last_us.unwrap_or(&noted.forgot_us))
    }

    /// Nothing panics while it holds the lock; were it so, what is noted would still be right.
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_settled(now_us: u64, sent_us: u64) -> bool {
    Duration::from_micros(now_us.saturating_sub(sent_us)) >= SETTLED_AFTER
}
