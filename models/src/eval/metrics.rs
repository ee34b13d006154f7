//! Error rates from comparison scores, and how far they can be trusted.
//!
//! A comparison is accepted when its similarity is at or above the threshold. Intervals are 95 % Wilson intervals
//! (Wilson 1927) and take comparisons as independent, which those that share a palm are not: with few palms they are
//! too narrow. Where nothing failed the rule of three gives the upper bound.

/// The 97.5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_985;

/// How often something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Times that it happened.
    pub hits: usize,
    /// Times that it could have happened.
    pub of: usize,
}

impl Rate {
    /// The share, 0 to 1; nothing where it could never have happened.
    #[must_use]
    pub fn fraction(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// The 95 % Wilson interval, low and high.
    #[must_use]
    pub fn interval(self) -> Option<(f64, f64)> {
        let p = self.fraction()?;
        let n = self.of as f64;
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let (middle, scale) = (p + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
        Some((
            ((middle - spread) / scale).max(0.0),
            ((middle + spread) / scale).min(1.0),
        ))
    }

    /// The 95 % upper bound of a rate of which nothing was seen in `of` trials: 3 / `of` (rule of three).
    #[must_use]
    pub fn bound_of_none(of: usize) -> Option<f64> {
        (of > 0).then(|| (3.0 / of as f64).min(1.0))
    }
}

/// One decision threshold and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// Lowest similarity that is accepted.
    pub threshold: f32,
    /// Mated comparisons accepted.
    pub true_accepts: Rate,
    /// Non-mated comparisons accepted.
    pub false_accepts: Rate,
}

/// The similarities of mated and of non-mated comparisons, each in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    genuine: Vec<f32>,
    impostor: Vec<f32>,
}

impl Scores {
    /// Takes the similarities in any order.
    #[must_use]
    pub fn new(mut genuine: Vec<f32>, mut impostor: Vec<f32>) -> Self {
        genuine.sort_unstable_by(f32::total_cmp);
        impostor.sort_unstable_by(f32::total_cmp);
        Self { genuine, impostor }
    }

    /// Similarities of mated comparisons, ascending.
    #[must_use]
    pub fn genuine(&self) -> &[f32] {
        &self.genuine
    }

    /// Similarities of non-mated comparisons, ascending.
    #[must_use]
    pub fn impostor(&self) -> &[f32] {
        &self.impostor
    }

    /// What this threshold costs.
    #[must_use]
    pub fn at(&self, threshold: f32) -> OperatingPoint {
        let accepted = |scores: &[f32]| Rate {
            hits: scores.len() - scores.partition_point(|score| *score < threshold),
            of: scores.len(),
        };
        OperatingPoint {
            threshold,
            true_accepts: accepted(&self.genuine),
            false_accepts: accepted(&self.impostor),
        }
    }

    /// The most permissive threshold at which at most this share of the non-mated comparisons is accepted. Nothing
    /// where fewer than `1 / far` were made: that rate cannot be measured with them.
    #[must_use]
    pub fn at_far(&self, far: f64) -> Option<OperatingPoint> {
        let allowed = far * self.impostor.len() as f64;
        // The product of a decimal rate and a count may fall short of a whole number by a rounding.
        let allowed = (1..=self.impostor.len())
            .take_while(|n| *n as f64 <= allowed + 1e-9)
            .last()?;
        self.beyond(allowed)
    }

    /// The most permissive threshold at which no non-mated comparison is accepted.
    #[must_use]
    pub fn at_zero_false_accepts(&self) -> Option<OperatingPoint> {
        self.beyond(0)
    }

    fn beyond(&self, allowed: usize) -> Option<OperatingPoint> {
        let refused = self.impostor.len().checked_sub(allowed + 1);
        let threshold = match refused {
            Some(index) => self.impostor[index].next_up(),
            None => *self.impostor.first()?,
        };
        (!self.genuine.is_empty()).then(|| self.at(threshold))
    }

    /// Equal error rate: the mean of false match and false non-match rate at the threshold where they differ least.
    #[must_use]
    pub fn eer(&self) -> Option<f64> {
        if self.genuine.is_empty() || self.impostor.is_empty() {
            return None;
        }
        let errors = |threshold: f32| {
            let point = self.at(threshold);
            let share = |rate: Rate| rate.hits as f64 / rate.of as f64;
            (share(point.false_accepts), 1.0 - share(point.true_accepts))
        };
        let candidates = self
            .genuine
            .iter()
            .flat_map(|score| [*score, score.next_up()]);
        candidates
            .map(errors)
            .min_by(|a, b| (a.0 - a.1).abs().total_cmp(&(b.0 - b.1).abs()))
            .map(|(false_matches, false_non_matches)| (false_matches + false_non_matches) / 2.0)
    }

    /// Points of the detection error trade-off: (false match rate, false non-match rate), from strict to permissive.
    #[must_use]
    pub fn trade_off(&self) -> Vec<(f64, f64)> {
        let (n, mut allowed) = (self.impostor.len(), 0);
        let mut points = Vec::new();
        while allowed < n {
            let Some(point) = self.beyond(allowed) else {
                break;
            };
            let share = |rate: Rate| rate.hits as f64 / rate.of as f64;
            points.push((share(point.false_accepts), 1.0 - share(point.true_accepts)));
            allowed += 1 + allowed / 12;
        }
        points
    }

    /// Share of a sorted list: `part` 0.5 is the median.
    #[must_use]
    pub fn quantile(sorted: &[f32], part: f64) -> Option<f32> {
        let last = sorted.len().checked_sub(1)?;
        let steps = last as f64 * part.clamp(0.0, 1.0);
        (0..=last)
            .take_while(|n| *n as f64 <= steps + 0.5)
            .last()
            .map(|index| sorted[index])
    }
}

#[cfg(test)]
mod tests;
