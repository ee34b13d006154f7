//! The operator's tool.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its operator"
)]

use std::{error::Error, process::ExitCode};

use clap::Parser;
use palm_server::{
    clock::SystemClock,
    ctl::{self, Arguments, Output},
    entropy::SystemEntropy,
};

/// Exit status: 0 when done, 1 when refused or an audit found something, 2 for arguments that cannot be read.
fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(Output { text, is_ok }) => {
            print!("{text}");
            if is_ok {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprint!("palmctl: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<Output, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(ctl::run(arguments, &SystemClock, &SystemEntropy::new()))?)
}
