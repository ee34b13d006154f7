//! The one place of this crate that reads the environment.

/// Rounds of seeded inputs for each parser of outside bytes: `OPENPALM_FUZZ_SEEDS`, or a few thousand.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn fuzz_seeds() -> u64 {
    const DEFAULT: u64 = 3_000;
    std::env::var("OPENPALM_FUZZ_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT)
}
