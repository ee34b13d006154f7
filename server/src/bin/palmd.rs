//! The matching and payment service.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its operator"
)]

use std::{error::Error, io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use palm_server::{config::Config, daemon::Prepared, logging};
use tokio::signal::unix::{SignalKind, signal};

/// The matching and payment service of an OpenPalm deployment.
#[derive(Debug, Parser)]
#[command(name = "palmd", version)]
struct Arguments {
    /// Its configuration, such as `palmctl init` writes.
    #[arg(long)]
    config: PathBuf,
}

/// Exit status: 0 after a stop that was asked for, 1 when it cannot go on, 2 when the configuration cannot be used.
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let prepared = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(error) => {
            tell(&*error);
            return ExitCode::from(2);
        }
    };
    match serve(prepared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

fn prepare(arguments: &Arguments) -> Result<Prepared, Box<dyn Error>> {
    let config = Config::read(&arguments.config)?;
    logging::start(config.log.format, config.log.level);
    Ok(Prepared::load(config)?)
}

fn serve(prepared: Prepared) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        Ok(prepared.run(announce, stop).await?)
    });
    // Whatever still runs was given its time.
    runtime.shutdown_background();
    result
}

/// Scripts wait for this line.
fn announce(address: SocketAddr) {
    println!("palmd listening on {address}");
    // A closed standard output is no reason not to serve.
    drop(std::io::stdout().flush());
}

/// Prints an error and what caused it.
fn tell(error: &dyn Error) {
    eprint!("palmd: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
}
