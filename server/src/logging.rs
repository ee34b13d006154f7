//! Where log lines go and in which shape. What may stand in them is a rule of the house: till ids, payment ids and
//! counts; never a customer's id or name, a score, a template or a key.
//!
//! Outside crates keep other rules: an HTTP client's debugging lines name addresses with a provider's tokens in them.
//! Of those crates only warnings are logged, at whatever level ours are.

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Plain,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Bugs and fatal failures.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And each answer given.
    Info,
    /// And what only a developer wants.
    Debug,
}

/// Sends this process's log lines to standard error from now on; a second call changes nothing.
pub fn start(format: LogFormat, level: LogLevel) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr);
    // An error means that a subscriber is set already, which then stays.
    let _already_set = match format {
        LogFormat::Plain => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

/// Our lines up to a level, and the warnings of all others. Nothing of it comes from the environment.
fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let others = level.min(LevelFilter::WARN);
    let ours = ["palm_server", "palmd", "palmctl"].map(|name| format!("{name}={level}"));
    EnvFilter::new(format!("{others},{}", ours.join(",")))
}

#[cfg(test)]
mod tests;
