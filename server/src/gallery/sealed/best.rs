//! The best few of a search.

use std::{
    cmp::{Ordering, Reverse},
    fmt,
};

use super::RecordId;

/// Fewer candidates than this are not worth sorting out.
const UNSORTED_MIN: usize = 64;

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

/// The best few of what was seen so far.
pub struct Best {
    keep: usize,
    /// The best `keep` of everything offered, and some others that nobody has sorted out yet.
    seen: Vec<Candidate>,
    least: i8,
}

impl fmt::Debug for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Best(of {})", self.keep)
    }
}

impl Best {
    /// Nothing yet, and at most `keep` candidates ever.
    #[must_use]
    pub const fn new(keep: usize) -> Self {
        Self {
            keep,
            seen: Vec::new(),
            least: i8::MIN,
        }
    }

    /// The least score that may still get in.
    pub(super) const fn least(&self) -> i8 {
        self.least
    }

    /// Sorting out costs a few steps for each candidate seen, so it is done once for many.
    pub(super) fn offer(&mut self, candidate: Candidate) {
        self.seen.push(candidate);
        if self.seen.len() >= self.keep.saturating_mul(2).max(UNSORTED_MIN) {
            self.sort_out();
        }
    }

    fn sort_out(&mut self) {
        let Some(last) = self.keep.checked_sub(1) else {
            return self.seen.clear();
        };
        if self.seen.len() > last {
            let (_, worst, _) = self.seen.select_nth_unstable(last);
            self.least = self.least.max(worst.score.0);
            self.seen.truncate(self.keep);
        }
    }

    /// The best of both.
    #[must_use]
    pub fn merged(mut self, mut other: Self) -> Self {
        self.seen.append(&mut other.seen);
        self.least = self.least.max(other.least);
        self.sort_out();
        self
    }

    /// The best first.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Candidate> {
        self.sort_out();
        self.seen.sort_unstable();
        self.seen
    }
}

#[cfg(test)]
mod tests;
