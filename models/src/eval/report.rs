//! What a measurement prints: a table for people, one JSON object a set and protocol for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::matcher::Matcher;
use super::metrics::{OperatingPoint, Rate, Scores};
use super::protocol::{Outcome, SHORT_LIST};

/// The false accept rates that are reported, with their names in JSON.
pub const FALSE_ACCEPT_RATES: [(&str, f64); 4] = [
    ("1e-3", 1e-3),
    ("1e-4", 1e-4),
    ("1e-5", 1e-5),
    ("1e-6", 1e-6),
];

/// An image that gave no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The file, or the synthetic sample.
    pub image: String,
    /// Why, in the extractor's words.
    pub reason: String,
}

/// What was measured on one set.
#[derive(Debug, Clone, PartialEq)]
pub struct SetReport {
    /// Name of the set.
    pub set: String,
    /// Number of hands.
    pub hands: usize,
    /// Number of images, those without a template included.
    pub images: usize,
    /// Images that gave no template.
    pub failures: Vec<Failure>,
    /// Mean time from grey image to template, milliseconds.
    pub ms_per_image: f64,
    /// What was compared, and how, with the protocols that could be run.
    pub outcomes: Vec<(Matcher, Outcome)>,
}

/// One line of JSON. Rates are fractions; a rate that cannot be measured is null.
#[derive(Debug, Serialize)]
struct Line<'a> {
    set: &'a str,
    protocol: &'a str,
    matcher: &'a str,
    hands: usize,
    images: usize,
    fta: Option<f64>,
    genuine: usize,
    impostor: usize,
    eer: Option<f64>,
    tar_at_far: BTreeMap<&'a str, Option<f64>>,
    tar_at_far_interval: BTreeMap<&'a str, Option<(f64, f64)>>,
    threshold_at_far: BTreeMap<&'a str, Option<f32>>,
    tar_at_zero_false_accepts: Option<f64>,
    rank1: Option<f64>,
    rank32: Option<f64>,
    rank1_one_reference: Option<f64>,
    ms_per_image: f64,
}

/// One line of JSON for a set that is to be refused.
#[derive(Debug, Serialize)]
struct RefusalLine<'a> {
    set: &'a str,
    protocol: &'a str,
    hands: usize,
    images: usize,
    refused: usize,
    accepted: usize,
    reasons: BTreeMap<&'a str, usize>,
    ms_per_image: f64,
}

impl SetReport {
    /// Failure to acquire: images without a template.
    #[must_use]
    pub fn failure_to_acquire(&self) -> Rate {
        Rate {
            hits: self.failures.len(),
            of: self.images,
        }
    }

    /// How many images failed for each reason.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for failure in &self.failures {
            *reasons.entry(failure.reason.as_str()).or_insert(0) += 1;
        }
        reasons
    }

    /// One JSON object a protocol, one a line.
    ///
    /// # Errors
    /// When a number is not finite, which no measurement gives.
    pub fn json_lines(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        for (matcher, outcome) in &self.outcomes {
            text.push_str(&serde_json::to_string(&self.line(*matcher, outcome))?);
            text.push('\n');
        }
        Ok(text)
    }

    fn line<'a>(&'a self, matcher: Matcher, outcome: &'a Outcome) -> Line<'a> {
        let points = FALSE_ACCEPT_RATES.map(|(name, far)| (name, outcome.scores.at_far(far)));
        let tar = |point: OperatingPoint| point.true_accepts;
        Line {
            set: &self.set,
            protocol: outcome.protocol.name(),
            matcher: matcher.name(),
            hands: self.hands,
            images: self.images,
            fta: self.failure_to_acquire().fraction(),
            genuine: outcome.scores.genuine().len(),
            impostor: outcome.scores.impostor().len(),
            eer: outcome.scores.eer(),
            tar_at_far: points
                .map(|(name, p)| (name, p.and_then(|p| tar(p).fraction())))
                .into(),
            tar_at_far_interval: points
                .map(|(name, p)| (name, p.and_then(|p| tar(p).interval())))
                .into(),
            threshold_at_far: points
                .map(|(name, p)| (name, p.map(|p| p.threshold)))
                .into(),
            tar_at_zero_false_accepts: outcome
                .scores
                .at_zero_false_accepts()
                .and_then(|point| tar(point).fraction()),
            rank1: outcome.rank1.fraction(),
            rank32: outcome.short_list.fraction(),
            rank1_one_reference: outcome.rank1_one_reference.and_then(Rate::fraction),
            ms_per_image: self.ms_per_image,
        }
    }

    /// How many images of a set that holds no palm were refused, as one JSON object.
    ///
    /// # Errors
    /// When a number is not finite, which no measurement gives.
    pub fn refusal_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&RefusalLine {
            set: &self.set,
            protocol: "refusal",
            hands: self.hands,
            images: self.images,
            refused: self.failures.len(),
            accepted: self.images - self.failures.len(),
            reasons: self.reasons(),
            ms_per_image: self.ms_per_image,
        })
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = self.heading("failure to acquire");
        for (matcher, outcome) in &self.outcomes {
            text.push_str(&outcome_table(*matcher, outcome));
        }
        text
    }

    /// The table of a set that is to be refused.
    #[must_use]
    pub fn refusal_table(&self) -> String {
        let accepted = self.images - self.failures.len();
        format!("{}  accepted {accepted}\n", self.heading("refused"))
    }

    fn heading(&self, failures: &str) -> String {
        let mut text = format!(
            "{}: {} hands, {} images, {failures} {}, {:.1} ms an image\n",
            self.set,
            self.hands,
            self.images,
            shown(self.failure_to_acquire()),
            self.ms_per_image
        );
        for (reason, count) in self.reasons() {
            line(&mut text, &format!("{count} x {reason}"));
        }
        text
    }

    /// Every image without a template, and why.
    #[must_use]
    pub fn failure_list(&self) -> String {
        let one = |failure: &Failure| format!("{}: {}\n", failure.image, failure.reason);
        self.failures.iter().map(one).collect()
    }
}

fn outcome_table(matcher: Matcher, outcome: &Outcome) -> String {
    let scores = &outcome.scores;
    let (genuine, impostor) = (scores.genuine().len(), scores.impostor().len());
    let name = format!("{}, {}", outcome.protocol.name(), matcher.name());
    let mut text = format!("  {name}: {genuine} mated, {impostor} non-mated comparisons\n");
    line(
        &mut text,
        &format!("EER                 {}", percent(scores.eer())),
    );
    for (name, far) in FALSE_ACCEPT_RATES {
        let shown = match scores.at_far(far) {
            Some(point) => operating(point),
            None => format!("not measurable: {impostor} of {:.0} comparisons", 1.0 / far),
        };
        line(&mut text, &format!("TAR at FAR {name}     {shown}"));
    }
    if let Some(point) = scores.at_zero_false_accepts() {
        let bound = Rate::bound_of_none(impostor).unwrap_or(1.0);
        let shown = operating(point);
        line(
            &mut text,
            &format!("TAR at no false accept {shown}; FAR below {bound:.1e} at 95 %"),
        );
    }
    line(
        &mut text,
        &format!("rank 1              {}", shown(outcome.rank1)),
    );
    line(
        &mut text,
        &format!(
            "rank {SHORT_LIST} or better   {}",
            shown(outcome.short_list)
        ),
    );
    if let Some(rate) = outcome.rank1_one_reference {
        line(&mut text, &format!("rank 1, one reference {}", shown(rate)));
    }
    distribution(&mut text, "mated similarity    ", scores.genuine());
    distribution(&mut text, "non-mated similarity", scores.impostor());
    text
}

fn distribution(text: &mut String, name: &str, sorted: &[f32]) {
    let parts = [0.0, 0.01, 0.5, 0.99, 1.0].map(|part| Scores::quantile(sorted, part));
    if let [Some(low), Some(p1), Some(middle), Some(p99), Some(high)] = parts {
        let shown = format!("{low:.3} .. {p1:.3} .. {middle:.3} .. {p99:.3} .. {high:.3}");
        line(
            text,
            &format!("{name} {shown} (lowest, 1 %, median, 99 %, highest)"),
        );
    }
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "    {content}").expect("invariant: writing to a String succeeds");
}

fn operating(point: OperatingPoint) -> String {
    format!(
        "{}, similarity {:.4} or more",
        shown(point.true_accepts),
        point.threshold
    )
}

/// A rate as percent, with its counts and its interval.
fn shown(rate: Rate) -> String {
    match rate.interval() {
        Some((low, high)) => format!(
            "{} [{:.3}, {:.3}] ({} of {})",
            percent(rate.fraction()),
            100.0 * low,
            100.0 * high,
            rate.hits,
            rate.of
        ),
        None => "none to count".to_owned(),
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "not measurable".to_owned(),
        |share| format!("{:.3} %", 100.0 * share),
    )
}

#[cfg(test)]
mod tests;
