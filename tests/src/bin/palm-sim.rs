//! Payments against other books, seed after seed: what is done and what counts as a failure stands in
//! `palm_tests::sim`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the lines are what this program says"
)]

use std::{
    process::ExitCode,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, channel},
    },
};

use anyhow::{Context, bail};
use clap::Parser;
use palm_tests::{
    clock::Stopwatch,
    kills::{Victim, rail::CardVictim},
    palms,
    power::PowerCuts,
    sim::{self, Done},
};

/// Cuts with a drive that lies until one must have been noticed.
const LIES_MAX: u64 = 8;
/// Kills after which a card provider begins with new books: each start of it acts on all of them again.
const CARD_KILLS_MAX: usize = 200;
/// How often it says where it is, in seeds.
const SAID_EACH: u64 = 1_000;

/// Simulates payments; stops at the first failure and names its seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Operations of each
    #[arg(long, default_value_t = 300)]
    operations: u64,
    /// Seeds at a time; as many as there are processors unless told
    #[arg(long)]
    jobs: Option<usize>,
    /// Instead: kills a real palmd so many times while it takes payments, and as often palmd and a card provider
    #[arg(long, conflicts_with_all = ["seeds", "first", "operations"])]
    kills: Option<u64>,
    /// Instead: cuts the power of a palmd in a virtual machine so many times while it takes payments
    #[arg(long, conflicts_with_all = ["seeds", "first", "operations", "kills"])]
    power_cuts: Option<u64>,
    /// With power cuts: what is drawn for the drive comes from it; random when it is left out
    #[arg(long, requires = "power_cuts")]
    drive_seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palm-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    if let Some(kills) = arguments.kills {
        return run_kills(kills);
    }
    if let Some(cuts) = arguments.power_cuts {
        let seed = match arguments.drive_seed {
            Some(seed) => seed,
            None => u64::from_be_bytes(palms::random()[..8].try_into()?),
        };
        return cut_power(cuts, seed).with_context(|| format!("drive's seed {seed}"));
    }
    let opening = sim::opening()?;
    let jobs = match arguments.jobs {
        Some(jobs) => jobs,
        None => std::thread::available_parallelism()?.get(),
    };
    let next = AtomicU64::new(arguments.first);
    let end = arguments.first.saturating_add(arguments.seeds);
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (tell, next, opening) = (tell.clone(), &next, &opening);
            let take =
                move || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < end);
            scope.spawn(move || {
                let mut done = std::iter::from_fn(take)
                    .map(|seed| sim::run(seed, arguments.operations, opening));
                // Nobody listens any more once another seed has failed.
                while done.next().is_some_and(|done| tell.send(done).is_ok()) {}
            });
        }
        drop(tell);
        add_up(arguments.seeds, told, &watch)
    })
}

/// Says how far it is, until all seeds are done or one has failed.
fn add_up(
    seeds: u64,
    told: Receiver<anyhow::Result<Done>>,
    watch: &Stopwatch,
) -> anyhow::Result<()> {
    let (mut count, mut operations, mut crashes, mut payments) = (0, 0, 0, 0);
    for done in told {
        let done = done?;
        count += 1;
        operations += done.operations;
        crashes += done.crashes;
        payments += done.payments;
        if count % SAID_EACH == 0 || count == seeds {
            let seconds = watch.elapsed().as_secs();
            println!(
                concat!(
                    r#"{{"seeds":{},"operations":{},"payments":{},"crashes":{},"#,
                    r#""violations":0,"seconds":{}}}"#
                ),
                count, operations, payments, crashes, seconds
            );
        }
    }
    Ok(())
}

/// First palmd, whose customers pay from a wallet; then as often palmd, a card provider or both.
fn run_kills(kills: u64) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let mut victim = Victim::open()?;
    for count in 1..=kills {
        victim.round(count)?;
        if count % 10 == 0 || count == kills {
            victim.audit()?;
            let payers = victim.payers();
            let (acknowledged, in_doubt) = (payers.acknowledged, payers.in_doubt);
            say_kills("wallet", count, [acknowledged, in_doubt, 0], watch);
        }
    }
    let watch = Stopwatch::start();
    let mut before = [0; 3];
    for first in (1..=kills).step_by(CARD_KILLS_MAX) {
        let mut victim = CardVictim::open()?;
        let last = kills.min(first + CARD_KILLS_MAX as u64 - 1);
        let mut sums = before;
        for count in first..=last {
            victim.round(count)?;
            if count % 10 == 0 || count == last {
                victim.audit()?;
                let payers = victim.payers();
                sums = [
                    before[0] + payers.acknowledged,
                    before[1] + payers.in_doubt,
                    before[2] + victim.undone,
                ];
                say_kills("card", count, sums, watch);
            }
        }
        before = sums;
    }
    Ok(())
}

fn say_kills(kind: &str, count: u64, sums: [u64; 3], watch: Stopwatch) {
    let [acknowledged, unanswered, undone] = sums;
    let said = serde_json::json!({
        "kind": kind,
        "kills": count,
        "acknowledged": acknowledged,
        "unanswered": unanswered,
        "undone": undone,
        "lost": 0,
        "doubled": 0,
        "seconds": watch.elapsed().as_secs(),
    });
    println!("{said}");
}

fn cut_power(cuts: u64, seed: u64) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let mut victim = PowerCuts::open(seed)?;
    for count in 1..=cuts {
        victim
            .round(count)
            .with_context(|| format!("power cut {count}"))?;
        if count % 10 == 0 || count == cuts {
            victim.audit()?;
            let (payers, damage) = (victim.payers(), victim.damage);
            let said = serde_json::json!({
                "power_cuts": count,
                "acknowledged": payers.acknowledged,
                "unanswered": payers.in_doubt,
                "lost": 0,
                "doubled": 0,
                "drive": { "lost": damage.lost, "torn": damage.torn, "kept": damage.kept },
                "seconds": watch.elapsed().as_secs(),
            });
            println!("{said}");
        }
    }
    catch_a_lie(victim)
}

/// Goes on with a drive that says that it flushed and did not, which must be noticed: else the test proves nothing.
fn catch_a_lie(mut victim: PowerCuts) -> anyhow::Result<()> {
    victim.lie()?;
    for count in 1..=LIES_MAX {
        if let Err(noticed) = victim.round(count) {
            let noticed = format!("{noticed:#}");
            let said = serde_json::json!({ "cuts_with_a_lying_drive": count, "noticed": noticed });
            println!("{said}");
            return Ok(());
        }
    }
    bail!("{LIES_MAX} cuts with a drive that does not flush went unnoticed")
}
