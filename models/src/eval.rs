//! Measuring recognition: folders of palms or synthetic palms in, error rates with their uncertainty out.
//!
//! The vocabulary and the reporting follow ISO/IEC 19795-1: failure to acquire is counted apart, false match figures
//! carry their number of comparisons, and nothing is said below what the number of comparisons can show. It
//! tunes nothing and keeps nothing: thresholds are frozen on synthetic palms and written down elsewhere.
//!
//! Start reading at [`acquire`], then [`protocol`] and [`metrics`]; the program is `palm-eval`.

pub mod acquire;
pub mod attacks;
pub mod load;
pub mod matcher;
pub mod metrics;
pub mod plot;
pub mod protocol;
pub mod report;
