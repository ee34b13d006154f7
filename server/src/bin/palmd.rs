//! The matching and payment service.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its operator"
)]

use std::{error::Error, io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use palm_server::{
    config::{Config, KeyholderConfig},
    daemon::{Addresses, Prepared, PreparedKeyholder},
    logging,
};
use tokio::signal::unix::{SignalKind, signal};

/// The matching and payment service of an OpenPalm deployment.
#[derive(Debug, Parser)]
#[command(
    name = "palmd",
    version,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    /// Its configuration, such as `palmctl init` writes.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What palmd is, when it is not the service itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// Hold the keys of the palms for a palmd that has none.
    Keyholder {
        /// Its configuration, such as `palmctl init --keyholder` writes.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Either of the two, ready to run.
enum Ready {
    Service(Box<Prepared>),
    Keyholder(Box<PreparedKeyholder>),
}

/// Exit status: 0 after a stop that was asked for, 1 when it cannot go on, 2 when the configuration cannot be used.
fn main() -> ExitCode {
    let prepared = match prepare(Arguments::parse()) {
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

fn prepare(arguments: Arguments) -> Result<Ready, Box<dyn Error>> {
    if let Some(Role::Keyholder { config }) = arguments.role {
        let config = KeyholderConfig::read(&config)?;
        logging::start(config.log.format, config.log.level);
        let keyholder = Box::new(PreparedKeyholder::load(config)?);
        return Ok(Ready::Keyholder(keyholder));
    }
    let path = arguments.config.expect("invariant: clap demands it");
    let config = Config::read(&path)?;
    logging::start(config.log.format, config.log.level);
    Ok(Ready::Service(Box::new(Prepared::load(config)?)))
}

fn serve(prepared: Ready) -> Result<(), Box<dyn Error>> {
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
        match prepared {
            Ready::Service(service) => service.run(announce_both, stop).await?,
            Ready::Keyholder(keyholder) => {
                keyholder.run(announce("palmd keyholder"), stop).await?;
            }
        }
        Ok(())
    });
    // Whatever still runs was given its time.
    runtime.shutdown_background();
    result
}

fn announce_both(addresses: Addresses) {
    announce("palmd")(addresses.calls);
    if let Some(address) = addresses.webhooks {
        announce("palmd, for webhooks,")(address);
    }
}

/// Scripts wait for this line.
fn announce(role: &str) -> impl FnOnce(SocketAddr) {
    move |address| {
        println!("{role} listening on {address}");
        // A closed standard output is no reason not to serve.
        drop(std::io::stdout().flush());
    }
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
