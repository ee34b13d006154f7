//! The best few of a search.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    fmt,
};

use super::RecordId;

/// How well a probe fits an enrolled code. It can be compared and nothing else: its value is for the keyholder, and
/// would be an oracle for forging palms anywhere else.
///
/// ```compile_fail
/// # fn no_printing(score: palm_server::gallery::sealed::Score) {
/// println!("{score}");
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(pub(super) i8);

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Score")
    }
}

/// An enrolled code that a probe may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Whose it is.
    pub record: RecordId,
    /// How well it fits.
    pub score: Score,
}

impl Ord for Candidate {
    /// The better first; of equal ones, the one of the lower record.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |one: &Self| (Reverse(one.score), one.record);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best few of what was seen so far: the worst of them on top.
pub struct Best {
    keep: usize,
    heap: BinaryHeap<Candidate>,
}

impl fmt::Debug for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Best({} of {})", self.heap.len(), self.keep)
    }
}

impl Best {
    /// Nothing yet, and at most `keep` candidates ever.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            keep,
            heap: BinaryHeap::new(),
        }
    }

    /// The least score that may still get in.
    pub(super) fn least(&self) -> i8 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.keep => worst.score.0,
            _ => i8::MIN,
        }
    }

    pub(super) fn offer(&mut self, candidate: Candidate) {
        self.heap.push(candidate);
        if self.heap.len() > self.keep {
            self.heap.pop();
        }
    }

    /// The best of both.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        other.heap.into_iter().for_each(|own| self.offer(own));
        self
    }

    /// The best first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec()
    }
}
