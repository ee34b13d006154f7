//! A card provider of the tests' own as a process that can be killed: see `palm_tests::rails::lasting`.
#![expect(clippy::print_stdout, reason = "the line is what this program says")]

use std::path::PathBuf;

use clap::Parser;
use palm_tests::rails::lasting::Lasting;

/// Listens on loopback until it is killed, and says where.
#[derive(Debug, Parser)]
struct Arguments {
    /// What it was asked so far; made when it is missing
    journal: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let rail = Lasting::start(&Arguments::parse().journal)?;
    println!("palm-rail listening on 127.0.0.1:{}", rail.port());
    loop {
        std::thread::park();
    }
}
