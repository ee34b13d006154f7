//! How often each of many may do something within a span of time.
//!
//! A search answers a person or nobody; asked often enough, even that would let somebody climb towards a palm that
//! fits. So searches are counted by till, and matches by person.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Timestamp;

/// What was spent in the current span.
#[derive(Debug)]
struct Spent<K> {
    span: u128,
    counts: BTreeMap<K, u32>,
}

/// The same allowance for each key and span; spans begin at multiples of their length since 1970, and with each
/// everything is forgotten, so that it holds no more keys than can act within one.
#[derive(Debug)]
pub(crate) struct Budget<K> {
    most: u32,
    span: Duration,
    spent: Mutex<Spent<K>>,
}

impl<K: Ord> Budget<K> {
    pub(crate) fn new(most: u32, span: Duration) -> Self {
        let counts = BTreeMap::new();
        Self {
            most,
            span,
            spent: Mutex::new(Spent { span: 0, counts }),
        }
    }

    /// Counts once more; `false` when all is spent. A clock that steps back gives nothing back.
    pub(crate) fn spend(&self, key: K, now: Timestamp) -> bool {
        let span = u128::from(now.micros()) / self.span.as_micros();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if span > spent.span {
            spent.span = span;
            spent.counts.clear();
        }
        let count = spent.counts.entry(key).or_default();
        let is_left = *count < self.most;
        *count += u32::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_allowance_until_the_span_ends() {
        let budget = Budget::new(2, Duration::from_secs(60));
        let at = |seconds: u64| Timestamp::from_micros(seconds * 1_000_000);
        let rows = [
            ("a", 0, true),
            ("a", 1, true),
            ("a", 59, false),
            ("b", 59, true),
            ("a", 60, true),
            // The clock steps back: the later span goes on.
            ("a", 10, true),
            ("a", 11, false),
            ("b", 61, true),
        ];
        for (key, second, is_left) in rows {
            assert_eq!(budget.spend(key, at(second)), is_left, "{key} at {second}");
        }
    }
}
