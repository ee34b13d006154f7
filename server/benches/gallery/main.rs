//! `./x bench-gallery`: what the sealed gallery costs on this machine, beside peers that search the same templates in
//! the clear, in the same run. One JSON object a line: `{"bench","n","threads","metric","value","unit"}`.
//!
//! | bench | what is measured |
//! |---|---|
//! | `machine` | reading 1 GiB in memory: the limit of any scan |
//! | `exact` | 10^8 scores of each packing against the plain ones: how many differ |
//! | `sealed/PACKING` | one identification end to end, the scan alone, shared scans, enrolment, start-up |
//! | `int8` | the hand-written peer: inner products of 512 bytes, in the clear |
//! | `faiss-*`, `usearch-*` | peers from the Python registry (`gallery/peers.py`), their templates read from a file |
//!
//! `./x bench-gallery` gets the peers by itself, in the versions of `gallery/requirements.txt`; `./x plot-gallery`
//! draws latency against the number of templates from the lines (`gallery/plot.py`).
//!
//! Templates are synthetic: independent normal embeddings, and captures at a cosine of 0.8. Everybody who is looked for
//! is enrolled, and is checked to be found.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the lines are what this program says"
)]

mod data;
mod machine;
mod peers;
mod report;
mod sealed;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use data::People;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ALL: [&str; 4] = ["exact", "sealed", "int8", "peers"];

/// Measures; about ten minutes with a million templates.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these; may be given more than once
    #[arg(long, value_parser = ALL)]
    only: Vec<String>,
    /// Templates in the gallery; may be given more than once
    #[arg(long = "n", default_values_t = [10_000, 100_000, 1_000_000])]
    sizes: Vec<usize>,
    /// Python with faiss-cpu, usearch and numpy, for the peers
    #[arg(long, overrides_with = "python")]
    python: Option<PathBuf>,
    /// Folder for what the peers read and for blocks, instead of the system's for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// `cargo bench` gives it
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-gallery: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let wanted =
        |bench: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == bench);
    let folder = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    if wanted("exact") {
        sealed::exactness()?;
    }
    for &n in &arguments.sizes {
        let any = ["sealed", "int8", "peers"].into_iter().any(wanted);
        if !any {
            break;
        }
        let people = People::draw(n);
        let mut bench = peers::Comparison::new(n);
        if wanted("sealed") {
            sealed::measure(&people, folder.path(), &mut bench)?;
        }
        if wanted("int8") {
            peers::int8(&people, &mut bench)?;
        }
        if let Some(python) = arguments.python.as_deref().filter(|_| wanted("peers")) {
            peers::python(python, &people, folder.path(), &mut bench)?;
        }
        bench.ratios();
    }
    Ok(())
}
