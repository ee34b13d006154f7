//! `palm-till --config till.toml`: starts the till, prints where its pages are, works until SIGTERM or ctrl-c.
#![expect(
    clippy::print_stdout,
    reason = "the addresses are what this program says"
)]

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::Parser;
use palm_till::{Config, RunningTill, Till};
use tracing_subscriber::EnvFilter;

/// The till: palm reader, kiosk and cashier pages, payment service's client.
#[derive(Debug, Parser)]
struct Args {
    /// Configuration; till.example.toml shows every key
    #[arg(long)]
    config: PathBuf,
    /// Lines for the emulated reader, run at the start (PALM 7, LIFT, UNPLUG, ...)
    #[arg(long)]
    emulator_script: Option<PathBuf>,
    /// What to log on stderr: error, warn, info, debug, or a filter such as palm_till=debug
    #[arg(long, default_value = "info")]
    log: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let filter = EnvFilter::try_new(&args.log).context("--log: not a level or filter")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let till = Till::start(Config::read(&args.config)?)?;
    if let Some(path) = &args.emulator_script {
        run_script(&till, path)?;
    }
    announce(&till)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(asked_to_stop())?;
    till.stop();
    Ok(())
}

fn run_script(till: &RunningTill, path: &PathBuf) -> anyhow::Result<()> {
    let emulator = till
        .emulator()
        .context("--emulator-script: only with reader.kind = \"emulated\" in the configuration")?;
    let script = std::fs::read_to_string(path)
        .with_context(|| format!("--emulator-script {}: cannot be read", path.display()))?;
    emulator
        .run_script(&script)
        .with_context(|| format!("--emulator-script {}", path.display()))
}

fn announce(till: &RunningTill) -> std::io::Result<()> {
    let address = till.pages_address();
    println!("palm-till pages on http://{address}");
    println!("kiosk   http://{address}/kiosk");
    println!("cashier http://{address}/cashier");
    std::io::stdout().flush()
}

async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
