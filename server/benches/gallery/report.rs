//! Clock and lines.

use std::time::Instant;

/// Measures from its start, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the one place that measures")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn ms(self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}

/// What a line is about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) bench: &'a str,
    pub(crate) n: usize,
    pub(crate) threads: usize,
}

impl Subject<'_> {
    pub(crate) fn tell(self, metric: &str, value: f64, unit: &str) {
        let Self { bench, n, threads } = self;
        let value = (value * 1e4).round() / 1e4;
        println!(
            r#"{{"bench":"{bench}","n":{n},"threads":{threads},"metric":"{metric}","value":{value},"unit":"{unit}"}}"#
        );
    }

    /// Least, middle and last but one in a hundred; returns the middle.
    pub(crate) fn tell_times(self, what: &str, times: &mut [f64]) -> f64 {
        times.sort_by(f64::total_cmp);
        for (name, part) in [("min", 0.0), ("p50", 0.5), ("p99", 0.99)] {
            self.tell(&format!("{what}_{name}"), percentile(times, part), "ms");
        }
        percentile(times, 0.5)
    }
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a few hundred measurements"
    )]
    let at = (number(sorted.len()) * part).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) const fn number(count: usize) -> f64 {
    count as f64
}
