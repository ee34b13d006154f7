//! How long each LED bank shone in the last second: the reader keeps to it, the host does not ask for more.
//!
//! `PROTOCOL.md` section 11. A burst counts for one second with the sum of its exposures, a bank at a time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::burst::{BurstPlan, Light};
use crate::limits::{LIGHT_BURSTS_MAX, LIGHT_WINDOW, NIR_US_MAX, VISIBLE_US_MAX};

/// Lit microseconds of both banks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lit {
    nir_us: u32,
    visible_us: u32,
}

impl Lit {
    fn of(plan: &BurstPlan) -> Self {
        let sum = |light| {
            let shots = plan.shots().iter().filter(|shot| shot.light == light);
            shots.fold(0_u32, |sum, shot| sum.saturating_add(shot.exposure_us))
        };
        Self {
            nir_us: sum(Light::Nir),
            visible_us: sum(Light::Visible),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            nir_us: self.nir_us.saturating_add(other.nir_us),
            visible_us: self.visible_us.saturating_add(other.visible_us),
        }
    }

    fn is_too_much(self) -> bool {
        self.nir_us > NIR_US_MAX || self.visible_us > VISIBLE_US_MAX
    }
}

/// Whether no reader may play `plan`, however long it waits.
pub(crate) fn is_too_bright(plan: &BurstPlan) -> bool {
    Lit::of(plan).is_too_much()
}

/// The bursts of the last second.
#[derive(Debug, Default)]
pub(crate) struct LightBudget {
    /// When each was taken, oldest first.
    spent: VecDeque<(Duration, Lit)>,
}

impl LightBudget {
    /// How long `plan` has to wait at `now`; zero: not at all. A plan that is too bright waits for the whole second.
    pub(crate) fn wait(&self, plan: &BurstPlan, now: Duration) -> Duration {
        let mut sum = Lit::of(plan);
        for (taken, lit) in self.spent.iter().rev() {
            let until = taken.saturating_add(LIGHT_WINDOW);
            sum = sum.and(*lit);
            if until <= now {
                break;
            }
            if sum.is_too_much() {
                return until.saturating_sub(now);
            }
        }
        Duration::ZERO
    }

    /// Counts a burst that was taken at `now`.
    pub(crate) fn spend(&mut self, plan: &BurstPlan, now: Duration) {
        self.add(Lit::of(plan), now);
    }

    /// Takes the second from `now` on as spent: another host used it.
    pub(crate) fn exhaust(&mut self, now: Duration) {
        let all = Lit {
            nir_us: NIR_US_MAX,
            visible_us: VISIBLE_US_MAX,
        };
        self.add(all, now);
    }

    fn add(&mut self, lit: Lit, now: Duration) {
        if lit == Lit::default() {
            return;
        }
        self.spent
            .retain(|(taken, _)| taken.saturating_add(LIGHT_WINDOW) > now);
        // Many short bursts: the oldest two count as one, as long as the later of them.
        if self.spent.len() >= LIGHT_BURSTS_MAX
            && let Some((_, oldest)) = self.spent.pop_front()
            && let Some((_, next)) = self.spent.front_mut()
        {
            *next = next.and(oldest);
        }
        self.spent.push_back((now, lit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::burst::Shot;

    fn plan(light: Light, exposures_us: &[u32]) -> BurstPlan {
        let shot = |exposure_us: &u32| Shot {
            light,
            led_mask: u8::from(light != Light::Ambient),
            exposure_us: *exposure_us,
        };
        BurstPlan::new(exposures_us.iter().map(shot).collect()).unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn sixth_coded_burst_of_a_second_waits_for_the_first_to_be_over() {
        let coded = BurstPlan::coded([0; 8]);
        let mut budget = LightBudget::default();
        for at in [0, 10, 20, 30, 40] {
            assert_eq!(budget.wait(&coded, ms(at)), Duration::ZERO);
            budget.spend(&coded, ms(at));
        }
        assert_eq!(budget.wait(&coded, ms(50)), ms(950));
        assert_eq!(budget.wait(&coded, ms(999)), ms(1));
        assert_eq!(budget.wait(&coded, ms(1000)), Duration::ZERO);
        // The other bank has its own count, and darkness none.
        let infrared = plan(Light::Nir, &[100_000]);
        assert_eq!(budget.wait(&infrared, ms(50)), Duration::ZERO);
        let dark = plan(Light::Ambient, &[100_000; 8]);
        assert_eq!(budget.wait(&dark, ms(50)), Duration::ZERO);
    }

    #[test]
    fn waiting_as_long_as_told_is_always_enough_and_a_second_at_most() {
        let mut budget = LightBudget::default();
        let mut now = Duration::ZERO;
        for n in 0..2_000_u32 {
            let light = if n % 3 == 0 {
                Light::Visible
            } else {
                Light::Nir
            };
            let plan = plan(light, &[10 + (n * 7919) % 20_000]);
            let wait = budget.wait(&plan, now);
            assert!(wait <= LIGHT_WINDOW, "{wait:?}");
            now += wait;
            assert_eq!(budget.wait(&plan, now), Duration::ZERO);
            budget.spend(&plan, now);
            assert!(budget.spent.len() <= LIGHT_BURSTS_MAX);
            now += Duration::from_micros(u64::from(n % 977));
        }
        budget.exhaust(now);
        assert_eq!(budget.wait(&plan(Light::Nir, &[10]), now), LIGHT_WINDOW);
    }
}
