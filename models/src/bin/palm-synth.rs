//! Draws synthetic palms into a file, for the trainer of the network.
#![expect(
    clippy::print_stderr,
    reason = "a program that answers on its terminal"
)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use palm_models::synth::{GENERATOR_VERSION, skin_layers};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

/// The skin of synthetic palms as layers: an array of hands x 4 x side x side bytes in NumPy's format.
#[derive(Debug, Parser)]
#[command(name = "palm-synth", version)]
struct Arguments {
    /// Where the array goes.
    #[arg(value_name = "FILE.npy")]
    out: PathBuf,
    /// Number of hands.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    hands: u64,
    /// Number of the first hand.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    first: u64,
    /// Pixels of the window's side.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u16).range(32..=1024))]
    side: u16,
    /// Half the window's side, in half sides of the palm square.
    #[arg(long, default_value_t = 1.4)]
    reach: f32,
}

/// Hands drawn before they are written.
const CHUNK: usize = 64;
/// Bytes of NumPy's header before its dictionary.
const FIXED: usize = 10;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palm-synth: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let hands = usize::try_from(arguments.hands).context("too many hands for this machine")?;
    let write = |path: &Path| -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&npy_header(arguments.hands, arguments.side))?;
        let numbers: Vec<u64> = (arguments.first..).take(hands).collect();
        for chunk in numbers.chunks(CHUNK) {
            let drawn: Vec<Vec<u8>> = chunk
                .par_iter()
                .map(|number| skin_layers(*number, usize::from(arguments.side), arguments.reach))
                .collect();
            for layers in drawn {
                file.write_all(&layers)?;
            }
        }
        file.flush()
    };
    write(&arguments.out)
        .with_context(|| format!("{} cannot be written", arguments.out.display()))?;
    eprintln!(
        "generator version {GENERATOR_VERSION}, {} hands",
        arguments.hands
    );
    Ok(())
}

/// Version 1.0 of the format: magic, length, a dictionary padded to 64 bytes.
fn npy_header(hands: u64, side: u16) -> Vec<u8> {
    let mut about = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({hands}, 4, {side}, {side}), }}"
    );
    while !(FIXED + about.len() + 1).is_multiple_of(64) {
        about.push(' ');
    }
    about.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    let length = u16::try_from(about.len()).expect("invariant: a line of at most 118 bytes");
    header.extend(length.to_le_bytes());
    header.extend(about.as_bytes());
    header
}
