//! `./x bench-payments`: what the single writer makes of a disk. One JSON object a line.
//!
//! | bench | what is measured |
//! |---|---|
//! | `fdatasync` | 4 KiB written and made durable, one after the other: what the disk does alone |
//! | `writer/CLIENTS` | payments that are on disk before their answer, several in one commit (group commit) |
//! | `one_by_one/CLIENTS` | the same by the same writer, but one commit a payment |
//! | `recovery` | opening the store and the books of a process that was killed while it wrote |
//!
//! A payment here is what an authorisation by palm writes, without the palm: a look whether its id is known, the hold
//! and what posts it in the books, and the rows of the payment, its lists, the customer's day and the capture's nonce.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the lines are what this program says"
)]

mod book;

use std::{
    fs::File,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use palm_proto::money::Currency;
use palm_server::{
    ledger::Ledger,
    store::{SledStore, Store},
    writer::{Writer, WriterThread},
};
use tokio::{runtime::Runtime, sync::Mutex};

use book::{Payment, WALLETS, open_wallets, write};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const CLIENTS: [u64; 3] = [1, 8, 64];
const ALL: [&str; 3] = ["fdatasync", "writer", "recovery"];

/// Measures; about a minute, and two more for the recovery of a million payments.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these; may be given more than once
    #[arg(long, value_parser = ALL)]
    only: Vec<String>,
    /// Seconds of each rate
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Payments in the books that are recovered
    #[arg(long, default_value_t = 1_000_000)]
    payments: u64,
    /// Folder on the disk to measure, instead of the system's for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Writes payments into this folder until it is killed: the process that is recovered from
    #[arg(long, hide = true)]
    fill: Option<PathBuf>,
    /// `cargo bench` gives it
    #[arg(long, hide = true)]
    bench: bool,
}

#[expect(clippy::disallowed_methods, reason = "the one place that measures")]
fn now() -> Instant {
    Instant::now()
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn tell(bench: &str, metric: &str, value: f64, unit: &str) {
    let value = (value * 1e4).round() / 1e4;
    println!(r#"{{"bench":"{bench}","metric":"{metric}","value":{value},"unit":"{unit}"}}"#);
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payments: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.fill {
        return fill(folder, arguments.payments);
    }
    let parent = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(parent)?;
    let wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let span = Duration::from_secs(arguments.seconds);
    if wanted("fdatasync") {
        let rate = synced(folder.path(), span)?;
        tell("fdatasync", "rate", rate, "1/s");
    }
    if wanted("writer") {
        rates(folder.path(), span)?;
    }
    if wanted("recovery") {
        recovery(&folder.path().join("killed"), arguments.payments)?;
    }
    Ok(())
}

/// Small writes that a disk makes durable one after the other, a second.
fn synced(folder: &Path, span: Duration) -> Result<f64> {
    let mut file = File::create(folder.join("synced"))?;
    let (start, mut count) = (now(), 0_u32);
    while start.elapsed() < span {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Both ways in turn, so that neither has the better part of the run.
fn rates(folder: &Path, span: Duration) -> Result<()> {
    let runtime = Runtime::new()?;
    for clients in CLIENTS {
        let mut rates = [0.0; 2];
        for (way, name) in ["writer", "one_by_one"].into_iter().enumerate() {
            let store = folder.join(format!("{name}-{clients}"));
            let one_by_one = (name == "one_by_one").then(|| Arc::new(Mutex::new(())));
            let bench = format!("{name}/{clients}");
            rates[way] = runtime.block_on(rate(&store, clients, one_by_one, span, &bench))?;
            std::fs::remove_dir_all(store)?;
        }
        let [grouped, alone] = rates;
        tell(
            &format!("writer/{clients}"),
            "rate_to_one_by_one",
            grouped / alone,
            "ratio",
        );
    }
    Ok(())
}

fn open(folder: &Path) -> Result<(Arc<dyn Store>, Writer, WriterThread)> {
    let store: Arc<dyn Store> = Arc::new(SledStore::open(folder)?);
    let ledger = Ledger::load(&*store, Currency::KRW)?;
    let (writer, thread) = Writer::spawn(Arc::clone(&store), ledger, |error| eprintln!("{error}"));
    Ok((store, writer, thread))
}

/// Payments a second; tells the times of one.
async fn rate(
    folder: &Path,
    clients: u64,
    one_by_one: Option<Arc<Mutex<()>>>,
    span: Duration,
    bench: &str,
) -> Result<f64> {
    let (_store, writer, thread) = open(folder)?;
    open_wallets(&writer).await?;
    let start = now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (writer, one_by_one) = (writer.clone(), one_by_one.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for number in 0.. {
                    if start.elapsed() > span {
                        break;
                    }
                    let asked = now();
                    let _alone = match &one_by_one {
                        Some(turn) => Some(turn.lock().await),
                        None => None,
                    };
                    write(&writer, Payment::new(client, number)).await?;
                    times.push(ms(asked));
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    thread.stop();
    times.sort_by(f64::total_cmp);
    let count = u32::try_from(times.len())?;
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    tell(bench, "rate", f64::from(count) / seconds, "1/s");
    tell(bench, "p50", at(50), "ms");
    tell(bench, "p99", at(99), "ms");
    Ok(f64::from(count) / seconds)
}

/// Writes so many payments, says so for each client, and goes on until it is killed.
fn fill(folder: &Path, payments: u64) -> Result<()> {
    Runtime::new()?.block_on(async {
        let (_store, writer, _thread) = open(folder)?;
        open_wallets(&writer).await?;
        let each = payments.div_ceil(WALLETS);
        let endless = |client| {
            let writer = writer.clone();
            async move {
                write_all(&writer, client, 0..each).await?;
                println!("written");
                write_all(&writer, client, each..u64::MAX).await
            }
        };
        let tasks: Vec<_> = (0..WALLETS)
            .map(|client| tokio::spawn(endless(client)))
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

async fn write_all(writer: &Writer, client: u64, numbers: Range<u64>) -> Result<()> {
    for number in numbers {
        write(writer, Payment::new(client, number)).await?;
    }
    Ok(())
}

/// Kills a process that has written so many payments and writes on, and opens what it leaves.
fn recovery(folder: &Path, payments: u64) -> Result<()> {
    let mut writing = Command::new(std::env::current_exe()?)
        .arg("--fill")
        .arg(folder)
        .args(["--payments", &payments.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let said = writing.stdout.take().ok_or("no output")?;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(said));
    let written = lines.take(usize::try_from(WALLETS)?).count();
    writing.kill()?;
    writing.wait()?;
    if written < usize::try_from(WALLETS)? {
        return Err("the process to be killed ended by itself".into());
    }
    let start = now();
    let store = SledStore::open(folder)?;
    let opened = ms(start);
    let ledger = Ledger::load(&store, Currency::KRW)?;
    tell("recovery", "payments", book::payments(&ledger), "1");
    tell("recovery", "store", opened / 1e3, "s");
    tell("recovery", "books", (ms(start) - opened) / 1e3, "s");
    tell("recovery", "total", ms(start) / 1e3, "s");
    Ok(())
}
