//! `./x demo`: a whole shop on this machine. A palm enrols, tops up and pays, a stranger is refused; then both pages
//! stay up. What happened is printed as a receipt roll. Exit status 0 only if all of it went as told.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the roll is what this program says"
)]

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use palm_tests::{
    Page, Shop, Till,
    clock::Stopwatch,
    shop::{CURRENCY, Folder, SHOP_NAME},
    snapshot::{Checkout, Timings},
};
use tokio::signal::unix::{SignalKind, signal};

/// Columns of the roll.
const WIDTH: usize = 48;
const TILL: &str = "counter-1";
/// The synthetic person who enrols, as the emulated reader numbers them, and the one who does not.
const PERSON: (&str, &str) = ("Person 1", "PALM 1");
const STRANGER: &str = "PALM 900";
const TOP_UP: u64 = 20_000;
const PRICE: u64 = 4_500;

/// A shop with an emulated reader, from the first enrolment to the books.
#[derive(Debug, Parser)]
struct Arguments {
    /// Stop when the roll is printed, instead of leaving the pages up
    #[arg(long)]
    once: bool,
    /// Keep everything in this folder, which must not hold a shop yet, instead of a temporary one
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palm-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let folder = match &arguments.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("--dir {}", dir.display()))?;
            Folder::Kept(dir.clone())
        }
        None => Folder::temporary()?,
    };
    let mut shop = Shop::open_in(folder).context("step 0, starting palmd")?;
    let served = serve(&shop, arguments.once).and_then(|()| {
        ensure!(shop.stop_palmd()?.success(), "palmd did not stop cleanly");
        Ok(())
    });
    match served {
        Ok(()) => Ok(()),
        Err(error) => {
            let logs = shop.keep();
            Err(error.context(format!(
                "not as told; palmd.log and {TILL}.log are in {}",
                logs.display()
            )))
        }
    }
}

fn serve(shop: &Shop, once: bool) -> Result<()> {
    shop.enrol_till(TILL)
        .context("step 0, enrolling the till")?;
    let till = shop.start_till(TILL).context("step 0, starting the till")?;
    play(shop, &till)?;
    if !once {
        invite(&till);
        wait_for_stop()?;
    }
    ensure!(till.stop()?.success(), "the till did not stop cleanly");
    Ok(())
}

fn play(shop: &Shop, till: &Till) -> Result<()> {
    let mut page = till.page()?;
    page.ready()?;
    head(shop)?;
    enrol(&mut page).context("step 1, enrolment")?;
    top_up(shop).context("step 2, top-up")?;
    pay(&mut page).context("step 3, payment")?;
    refuse(&mut page).context("step 4, a stranger")?;
    books(shop).context("step 5, the books")
}

fn head(shop: &Shop) -> Result<()> {
    rule('=');
    centred(SHOP_NAME);
    centred("pay by palm, emulated reader, synthetic palms");
    rule('=');
    line("palmd, sled store, mutual TLS", &shop.palmd()?.to_string());
    Ok(())
}

fn enrol(page: &mut Page) -> Result<()> {
    let (name, palm) = PERSON;
    step(1, &format!("ENROL {name}"), "");
    let watch = Stopwatch::start();
    let end = page.enrol(name, palm)?;
    ensure!(end.screen == "done", "{}: {:?}", end.screen, end.reason);
    line(
        &format!("{} captures, from consent to enrolled", end.needed),
        &ms(watch.ms()),
    );
    line("palms enrolled", &end.palms.unwrap_or(0).to_string());
    Ok(())
}

fn top_up(shop: &Shop) -> Result<()> {
    step(2, "TOP UP with palmctl", &money(TOP_UP));
    let balance = shop.top_up(PERSON.0, TOP_UP)?;
    ensure!(balance == TOP_UP, "the balance is {balance}");
    line("balance", &money(balance));
    Ok(())
}

fn pay(page: &mut Page) -> Result<()> {
    step(3, "PAY by palm", &money(PRICE));
    let end = page.pay_known(PRICE, PERSON.1)?;
    ensure!(end.screen == "approved", "{}: {:?}", end.screen, end.reason);
    ensure!(
        end.balance_minor == Some(TOP_UP - PRICE),
        "balance {:?}",
        end.balance_minor
    );
    line("APPROVED", end.masked_name.as_deref().unwrap_or(""));
    line("balance", &money(TOP_UP - PRICE));
    stages(&end)
}

fn refuse(page: &mut Page) -> Result<()> {
    step(4, "PAY with a stranger's palm", &money(PRICE));
    let end = page.pay(PRICE, STRANGER)?;
    ensure!(
        end.screen == "not_recognised",
        "{}: {:?}",
        end.screen,
        end.reason
    );
    line("NOT RECOGNISED", "nobody charged");
    stages(&end)
}

fn stages(end: &Checkout) -> Result<()> {
    let times = end.timings.context("no times were told")?;
    let Timings {
        capture_ms,
        extract_ms,
        prepare_ms,
        service_ms,
        ..
    } = times;
    line("capture", &ms(capture_ms));
    line("extract the template", &ms(extract_ms));
    line("seal it, sync the journal", &ms(prepare_ms));
    line("service, there and back", &ms(service_ms));
    line("  open the envelope", &ms(times.open_ms));
    line("  identify", &ms(times.identify_ms));
    if end.screen == "approved" {
        line("  commit, on disk", &ms(times.commit_ms));
    }
    line("last frame to answer", &ms(times.total_ms));
    Ok(())
}

fn books(shop: &Shop) -> Result<()> {
    step(5, "BOOKS", "");
    let audit = shop.ctl(&["ledger", "audit"])?;
    let violations = audit["violations"].as_array().context("violations")?.len();
    let payments = shop
        .ctl(&["payment", "list"])?
        .as_array()
        .context("a list")?
        .len();
    line("transfers replayed", &audit["transfers"].to_string());
    line("violations", &violations.to_string());
    line("payments booked", &payments.to_string());
    ensure!(
        violations == 0,
        "the ledger does not fit: {}",
        audit["violations"]
    );
    ensure!(payments == 1, "{payments} payments are booked, not one");
    ensure!(
        shop.balance(PERSON.0)? == TOP_UP - PRICE,
        "the stranger's try moved money"
    );
    rule('=');
    centred("as told");
    rule('=');
    Ok(())
}

fn invite(till: &Till) {
    let address = till.address();
    println!();
    println!("kiosk    http://{address}/kiosk");
    println!("cashier  http://{address}/cashier");
    println!();
    println!("Cashier: type an amount, press \"Pay by palm\", then hold a palm out with the");
    println!("panel \"Emulated reader\" below: 1 is enrolled; 2 to 5 and the stranger are not.");
    println!("Kiosk: press \"Enrol\", agree, type a name, then press 2 three times.");
    println!("Ctrl-C stops both and deletes everything, unless --dir was given.");
}

/// Returns when the person at the keyboard or the system asks to stop.
fn wait_for_stop() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut asked = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
        let [interrupt, terminate, hangup] = asked.as_mut_slice() else {
            unreachable!("invariant: three signals");
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        Ok(())
    })
}

fn rule(with: char) {
    println!("{}", with.to_string().repeat(WIDTH));
}

fn centred(text: &str) {
    println!("{}", format!("{text:^WIDTH$}").trim_end());
}

fn step(number: u32, what: &str, value: &str) {
    rule('-');
    spread(&format!("{number}  {what}"), value);
}

fn line(what: &str, value: &str) {
    spread(&format!("   {what}"), value);
}

/// What at the left edge, its value at the right.
fn spread(what: &str, value: &str) {
    let gap = WIDTH
        .saturating_sub(what.chars().count() + value.chars().count())
        .max(1);
    println!("{}", format!("{what}{}{value}", " ".repeat(gap)).trim_end());
}

fn ms(ms: f64) -> String {
    format!("{ms:.1} ms")
}

fn money(minor: u64) -> String {
    let digits = minor.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{CURRENCY} {grouped}")
}
