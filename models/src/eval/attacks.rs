//! Presentation attack detection on drawn captures, reported as ISO/IEC 30107-3 asks for: by species, and the worst
//! one counts. Everything here is simulated, and says so.

use std::fmt::Write as _;

use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use super::metrics::{Rate, Scores};
use crate::attack::{Assessment, CUES, Cues};
use crate::burst::{Burst, LEDS_ALL, Light};
use crate::compare::compare;
use crate::extract::{Extraction, extract_undecided};
use crate::synth::{self, Identity, Pose, Species};
use crate::template::{Hand, Template};

/// From this fused similarity palmd takes a palm for somebody's (its default).
const SAME_PALM: f32 = 0.64;
/// Captures of the hand itself beside one attack of each species.
const GENUINE: u64 = 4;

/// Which hands are attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Number of the first victim.
    pub first: u64,
    /// Number of victims; each is attacked once by every species.
    pub victims: u64,
}

/// One capture.
#[derive(Debug, Clone)]
pub struct Presentation {
    /// What was shown; nothing for the hand itself.
    pub species: Option<Species>,
    /// The cues and the similarity to the victim, or the quality gate that it did not pass.
    pub outcome: Result<(Cues, f32), &'static str>,
}

impl Presentation {
    fn refused(&self) -> Option<bool> {
        let (cues, _) = self.outcome.as_ref().ok()?;
        Some(cues.suspicion().is_some())
    }

    fn matched(&self) -> bool {
        matches!(self.outcome, Ok((_, similarity)) if similarity >= SAME_PALM)
    }
}

/// Captures of the hands and of attacks on them.
#[must_use]
pub fn presentations(plan: Plan) -> Vec<Presentation> {
    let numbers = plan.first..plan.first.saturating_add(plan.victims);
    let all: Vec<Vec<Presentation>> = numbers.into_par_iter().map(attacked).collect();
    all.concat()
}

fn attacked(number: u64) -> Vec<Presentation> {
    let side = |number: u64| {
        if number % 2 == 1 {
            Hand::Left
        } else {
            Hand::Right
        }
    };
    let victim = Identity::new(number, side(number));
    let attacker = Identity::new(number + 500_000_000, side(number));
    let seed = |n: u64| number.wrapping_mul(1009).wrapping_add(n);
    let genuine = |n: u64| {
        let (pose, shots) = (Pose::sampled(seed(n)), coded(seed(n)));
        synth::burst(&victim, &pose, &shots, seed(n))
    };
    let enrolled = (100..110).find_map(|n| extract_undecided(&genuine(n)).ok());
    let Some(enrolled) = enrolled.map(|extraction| extraction.reference) else {
        return Vec::new();
    };
    let hands = (0..GENUINE).map(|n| presented(None, &genuine(n), &enrolled));
    let attacks = Species::ALL.into_iter().zip(10..).map(|(species, n)| {
        let (pose, shots) = (Pose::sampled(seed(n)), coded(seed(n)));
        let burst = synth::attack(species, &victim, &attacker, &pose, &shots, seed(n));
        presented(Some(species), &burst, &enrolled)
    });
    hands.chain(attacks).collect()
}

fn presented(species: Option<Species>, burst: &Burst, enrolled: &Template) -> Presentation {
    let judged = |extraction: Extraction| match extraction.attack {
        Assessment::Tested(cues) => {
            let similarity = compare(&extraction.probe, enrolled).value();
            Ok((cues, similarity))
        }
        Assessment::NotTested => Err("not_tested"),
    };
    let outcome = extract_undecided(burst)
        .map_err(|rejection| rejection.as_str())
        .and_then(judged);
    Presentation { species, outcome }
}

/// A payment's burst: room, near infrared, visible, and two codes of four LEDs drawn from the seed.
fn coded(seed: u64) -> [(Light, u8); 5] {
    let masks: Vec<u8> = (0..=u8::MAX)
        .filter(|mask| mask.count_ones() == 4)
        .collect();
    let (first, second) = synth::two_of(masks.len(), seed);
    [
        (Light::Ambient, 0),
        (Light::Nir, LEDS_ALL),
        (Light::Visible, LEDS_ALL),
        (Light::Nir, masks[first]),
        (Light::Nir, masks[second]),
    ]
}

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Name of the species, or "genuine hand".
    pub species: &'static str,
    /// Kept away from the choice of cues.
    pub held_out: bool,
    /// Captures.
    pub presentations: usize,
    /// Captures that a quality gate stopped: no decision was made.
    pub no_response: usize,
    /// Captures that were decided and taken for an attack.
    pub refused: usize,
    /// Captures that were decided and accepted.
    pub accepted: usize,
    /// Accepted and taken for the victim.
    pub accepted_and_matched: usize,
    /// Taken for the victim if nothing tested for attacks.
    pub matched_untested: usize,
}

impl Row {
    fn of(name: &'static str, held_out: bool, shown: &[&Presentation]) -> Self {
        let count = |test: &dyn Fn(&Presentation) -> bool| shown.iter().filter(|p| test(p)).count();
        let accepted = |p: &Presentation| p.refused() == Some(false);
        Self {
            species: name,
            held_out,
            presentations: shown.len(),
            no_response: count(&|p| p.outcome.is_err()),
            refused: count(&|p| p.refused() == Some(true)),
            accepted: count(&accepted),
            accepted_and_matched: count(&|p| accepted(p) && p.matched()),
            matched_untested: count(&Presentation::matched),
        }
    }

    /// Accepted among those decided: APCER of an attack species.
    #[must_use]
    pub fn accept_rate(&self) -> Rate {
        Rate {
            hits: self.accepted,
            of: self.accepted + self.refused,
        }
    }
}

/// One row for genuine hands, then one a species.
#[must_use]
pub fn rows(presentations: &[Presentation]) -> Vec<Row> {
    let of = |species| -> Vec<&Presentation> {
        presentations
            .iter()
            .filter(|p| p.species == species)
            .collect()
    };
    let genuine = Row::of("genuine hand", false, &of(None));
    let attacks = Species::ALL.map(|s| Row::of(s.name(), s.held_out(), &of(Some(s))));
    [genuine].into_iter().chain(attacks).collect()
}

/// The table for people.
#[must_use]
pub fn table(presentations: &[Presentation]) -> String {
    let mut text =
        "presentation attacks, simulated (drawn instruments, no real ones); * held out\n"
            .to_owned();
    let rows = rows(presentations);
    for row in &rows {
        let star = if row.held_out { "*" } else { " " };
        let (name, rate) = match row.species {
            "genuine hand" => (
                "BPCER",
                Rate {
                    hits: row.refused,
                    of: row.accepted + row.refused,
                },
            ),
            _ => ("APCER", row.accept_rate()),
        };
        let line = format!(
            "  {star} {:<22} {:>5} shown, {:>4} no response, {name} {}, matched {} of {} ({} untested)",
            row.species,
            row.presentations,
            row.no_response,
            percent(rate),
            row.accepted_and_matched,
            row.presentations,
            row.matched_untested,
        );
        writeln!(text, "{line}").expect("invariant: writing to a String succeeds");
    }
    let attacks = &rows[1..];
    let sum = |part: fn(&Row) -> usize| attacks.iter().map(part).sum::<usize>();
    let line = format!(
        "    all species: {} of {} accepted and taken for the victim\n",
        sum(|row| row.accepted_and_matched),
        sum(|row| row.presentations)
    );
    text.push_str(&line);
    text
}

fn percent(rate: Rate) -> String {
    match (rate.fraction(), rate.interval()) {
        (Some(share), Some((low, high))) => format!(
            "{:.2} % [{:.2}, {:.2}] ({} of {})",
            100.0 * share,
            100.0 * low,
            100.0 * high,
            rate.hits,
            rate.of
        ),
        _ => "none decided".to_owned(),
    }
}

/// How the scaled cues of one kind scatter: where limits lie among them.
#[must_use]
pub fn scatter(presentations: &[Presentation], species: Option<Species>) -> String {
    const NAMES: [&str; CUES] = [
        "ln code error",
        "ln brightness",
        "falloff",
        "relief",
        "ln self-lit",
        "ln veins",
        "atanh agreement",
        "breadth",
        "ln glare",
        "pattern",
    ];
    let cues = decided(presentations, species);
    let name = species.map_or("genuine hand", Species::name);
    let mut text = format!("  {name}: {} decided\n", cues.len());
    let columns = (0..CUES).map(|n| (NAMES[n], cues.iter().map(|c| c.scaled()[n]).collect()));
    let score = ("unlikeness", cues.iter().map(Cues::unlikeness).collect());
    for (name, mut values) in columns.chain([score]) {
        let values: &mut Vec<f32> = &mut values;
        values.sort_unstable_by(f32::total_cmp);
        let parts = [0.0, 0.001, 0.01, 0.5, 0.99, 0.999, 1.0]
            .map(|part| Scores::quantile(values, part).unwrap_or(f32::NAN))
            .map(|value| format!("{value:.3}"));
        writeln!(text, "    {name:<16} {}", parts.join(" "))
            .expect("invariant: writing to a String succeeds");
    }
    text
}

/// What `params` keeps of genuine captures: the cues' means, and the inverse of their covariance's Cholesky factor.
#[must_use]
pub fn fit(presentations: &[Presentation]) -> String {
    let cues: Vec<[f32; CUES]> = decided(presentations, None)
        .iter()
        .map(Cues::scaled)
        .collect();
    let count = cues.len().max(1) as f32;
    let mean = |n: usize| cues.iter().map(|cues| cues[n]).sum::<f32>() / count;
    let means: [f32; CUES] = std::array::from_fn(mean);
    let covariance = |a: usize, b: usize| {
        let products = cues.iter().map(|c| (c[a] - means[a]) * (c[b] - means[b]));
        products.sum::<f32>() / count
    };
    let mut factor = [[0.0_f32; CUES]; CUES];
    for row in 0..CUES {
        for column in 0..=row {
            let before: f32 = (0..column)
                .map(|k| factor[row][k] * factor[column][k])
                .sum();
            let rest = covariance(row, column) - before;
            factor[row][column] = if row == column {
                rest.max(1e-9).sqrt()
            } else {
                rest / factor[column][column]
            };
        }
    }
    let mut text = format!("  genuine means {means:.4?}\n");
    for row in inverse(&factor) {
        writeln!(text, "    {row:.3?},").expect("invariant: writing to a String succeeds");
    }
    text
}

/// The inverse of a lower triangle.
fn inverse(factor: &[[f32; CUES]; CUES]) -> [[f32; CUES]; CUES] {
    let mut inverse = [[0.0; CUES]; CUES];
    for (row, line) in factor.iter().enumerate() {
        inverse[row] = std::array::from_fn(|column| {
            let before = line.iter().zip(&inverse).take(row);
            let known: f32 = before
                .map(|(factor, inverse)| factor * inverse[column])
                .sum();
            (f32::from(u8::from(row == column)) - known) / line[row]
        });
    }
    inverse
}

fn decided(presentations: &[Presentation], species: Option<Species>) -> Vec<Cues> {
    let shown = presentations.iter().filter(|p| p.species == species);
    shown
        .filter_map(|p| p.outcome.as_ref().ok())
        .map(|(cues, _)| *cues)
        .collect()
}

#[cfg(test)]
mod tests;
