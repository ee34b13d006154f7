//! `./x bench`: what a palm payment costs on this machine, one JSON object a line:
//! `{"bench","metric","value","unit"}`.
//!
//! | bench | what is measured |
//! |---|---|
//! | `extract` | one burst of five frames to a template, in this thread |
//! | `identify/PALMSxSAMPLES` | one probe against so many palms: the service's gallery, store and threads; peer: the plain gallery |
//! | `checkout` | a payment at a real till: from the last frame to the answer, and its stages |
//! | `authorise/CLIENTS` | requests a second against a real palmd, each approved and on disk before its answer |
//! | `fdatasync` | the peer: one append of 1 KiB and its fdatasync at a time, on the same disk in the same run |
//!
//! Palms are synthetic. Those of `identify` are orientation fields without an image: their number matters, not their
//! skin; who is enrolled is checked to be found.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the lines are what this program says"
)]

use std::{fs::File, io::Write, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use palm_models::{
    extract::extract,
    template::{Hand, OrientationCode, SearchCode, Template},
};
use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
    v1::{
        self, authorise_payment_response::Outcome, checkout_service_client::CheckoutServiceClient,
    },
};
use palm_server::{
    config::Identification,
    entropy::{Entropy, SystemEntropy},
    gallery::{
        self, Gallery, Identity,
        plain::PlainGallery,
        rest::{self, Templates},
        sealed::EpochKey,
    },
    limits,
    store::{SledStore, Store},
    vault::Keyholder,
};
use palm_tests::{
    Caller, Page, Shop, caller::Setup, clock::Stopwatch, palms, shop::Folder, snapshot::Timings,
};

/// Names of the benches, for `--only`.
const ALL: [&str; 5] = ["extract", "identify", "checkout", "authorise", "fdatasync"];
const TILL: &str = "counter-1";
const CAPTURES: u64 = 40;
const PALMS: [u64; 3] = [1_000, 10_000, 100_000];
const PROBES: u64 = 40;
/// Probes for the plain gallery, which takes a second each among 100,000 palms.
const PEER_PROBES: usize = 10;
const CHECKOUTS: u32 = 25;
/// Clients at once, and payments of each run.
const CLIENTS: [(usize, usize); 3] = [(1, 400), (8, 1_600), (64, 3_200)];
const SYNCS: usize = 1_000;
const RICH: u64 = 999_999_999;

/// Measures; about two minutes in a release build.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these of extract, identify, checkout, authorise, fdatasync; may be given more than once
    #[arg(long, value_parser = ALL)]
    only: Vec<String>,
    /// Folder on the disk to measure, instead of the system's for temporary files
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palm-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let wanted =
        |bench: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == bench);
    let folder = match &arguments.dir {
        Some(dir) => {
            tempfile::tempdir_in(dir).with_context(|| format!("--dir {}", dir.display()))?
        }
        None => tempfile::tempdir()?,
    };
    if wanted("extract") {
        extraction()?;
    }
    if wanted("identify") {
        identification(folder.path())?;
    }
    let synced = if wanted("authorise") || wanted("fdatasync") {
        Some(syncs(folder.path())?)
    } else {
        None
    };
    if wanted("checkout") || wanted("authorise") {
        let shop = Shop::open_in(Folder::Kept(folder.path().to_owned()))?;
        shop.enrol_till(TILL)?;
        let counter = Counter::open(&shop)?;
        if wanted("checkout") {
            checkout(&shop)?;
        }
        if let Some(synced) = synced.filter(|_| wanted("authorise")) {
            counter.authorisations(synced)?;
        }
    }
    Ok(())
}

fn tell(bench: &str, metric: &str, value: f64, unit: &str) {
    let value = (value * 1e4).round() / 1e4;
    // By hand, so that the keys stand in the order that the head of this file gives; none of the texts needs escapes.
    println!(r#"{{"bench":"{bench}","metric":"{metric}","value":{value},"unit":"{unit}"}}"#);
}

/// The value below which `part` of all lie.
fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a few thousand measurements"
    )]
    let at = ((values.len() as f64 * part).ceil() as usize).clamp(1, values.len());
    values[at - 1]
}

fn tell_percentiles(bench: &str, what: &str, mut ms: Vec<f64>) {
    for (name, part) in [("p50", 0.5), ("p95", 0.95)] {
        let metric = if what.is_empty() {
            name.to_owned()
        } else {
            format!("{what}_{name}")
        };
        tell(bench, &metric, percentile(&mut ms, part), "ms");
    }
}

fn per_second(count: usize, watch: Stopwatch) -> f64 {
    let count = u32::try_from(count).expect("invariant: the counts of this file are small");
    f64::from(count) / watch.elapsed().as_secs_f64()
}

fn extraction() -> Result<()> {
    let bursts: Vec<_> = (0..CAPTURES).map(|n| palms::capture(n, n)).collect();
    let (mut times, mut refused) = (Vec::new(), 0_u32);
    for burst in &bursts {
        let watch = Stopwatch::start();
        let extraction = extract(burst);
        times.push(watch.ms());
        refused += u32::from(extraction.is_err());
    }
    ensure!(
        u64::from(refused) < CAPTURES / 2,
        "{refused} of {CAPTURES} captures were refused"
    );
    tell_percentiles("extract", "", times);
    tell("extract", "refused", f64::from(refused), "captures");
    Ok(())
}

/// SplitMix64 (Steele et al., OOPSLA 2014) of two numbers.
fn mixed(a: u64, b: u64) -> u64 {
    let mut z = a
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(b.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An orientation field of 8 x 8 patches, as smooth as creases make it; of 100 cells, `noise` are drawn anew.
fn field(person: u64, sample: u64, noise: u64) -> Template {
    let code = OrientationCode::from_cells(|x, y| {
        let number = |n: usize| u64::try_from(n).unwrap_or(0);
        let patch = mixed(person, number(x / 4 + 8 * (y / 4)));
        let cell = mixed(mixed(person, sample) | 1, number(x + 32 * y));
        let drawn = if cell % 100 < noise {
            cell >> 32
        } else {
            patch
        };
        u8::try_from(drawn % 6).ok()
    });
    let drawn = |a: u64, b: u64| mixed(a, b) as f32 / u64::MAX as f32 - 0.5;
    let embedding = std::array::from_fn(|at| {
        let at = at as u64;
        drawn(person, at ^ 1 << 40) + 0.6 * drawn(mixed(person, sample), at ^ 1 << 41)
    });
    let search = SearchCode::strongest(&embedding, 341).expect("invariant: hardly any is zero");
    Template::orientation_only(Hand::Right, 80, code).with_search(search)
}

fn customer(person: u64) -> CustomerId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&person.to_be_bytes());
    CustomerId::from_random(bytes)
}

/// The product's gallery on the embedded store, and the plain gallery in memory with the same templates as its peer.
fn identification(folder: &Path) -> Result<()> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&folder.join("identify"))?);
    let keyholder = Arc::new(Keyholder::new([1; 32]));
    let policy = Identification::default();
    let mut plain = PlainGallery::new(policy, gallery::threads(limits::SEARCH_THREADS)?);
    let mut enrolled = 0;
    for palms in PALMS {
        for person in enrolled..palms {
            let own = [0, 1, 2].map(|sample| field(person, sample, 15));
            rest::plant(&*store, &keyholder, (customer(person), &own), &*entropy)?;
            own.into_iter()
                .for_each(|sample| plain.add(customer(person), sample));
        }
        enrolled = palms;
        let name = format!("identify/{palms}x3");
        let watch = Stopwatch::start();
        let sealed = Gallery::open(gallery::Setup {
            policy,
            samples_max: 600_000,
            templates: Templates::new(Arc::clone(&store), Arc::clone(&keyholder)),
            key: EpochKey::new([2; 32]),
            folder: None,
            entropy: Arc::clone(&entropy),
        })?;
        tell(&name, "all_blocks_made", watch.ms() / 1e3, "s");
        let (mut times, mut peer_times, mut found) = (Vec::new(), Vec::new(), 0);
        for probe in 0..PROBES {
            let person = mixed(probe, palms) % palms;
            let probe = field(person, 1_000 + probe, 15);
            let watch = Stopwatch::start();
            let identity = sealed.identify(&probe)?;
            times.push(watch.ms());
            found += u64::from(identity == Identity::Match(customer(person)));
            if peer_times.len() < PEER_PROBES {
                let watch = Stopwatch::start();
                let peer = plain.identify(&probe);
                peer_times.push(watch.ms());
                ensure!(peer == identity, "the plain gallery answers otherwise");
            }
        }
        ensure!(
            found == PROBES,
            "{found} of {PROBES} were found among {palms} palms"
        );
        // The times must not say whether somebody is there.
        let mut other_times = Vec::new();
        for probe in 0..PROBES {
            let stranger = field(palms + 1_000_000 + probe, 0, 15);
            let watch = Stopwatch::start();
            let identity = sealed.identify(&stranger)?;
            other_times.push(watch.ms());
            ensure!(identity == Identity::NoMatch, "a stranger was found");
        }
        tell_percentiles(&name, "nobody", other_times);
        let ratio = peer_times.iter().sum::<f64>() / times[..PEER_PROBES].iter().sum::<f64>();
        tell_percentiles(&name, "", times);
        tell(&name, "plain_over_sealed", ratio, "ratio");
    }
    Ok(())
}

/// How many appends of 1 KiB a second are on disk when they are said to be.
fn syncs(folder: &Path) -> Result<f64> {
    let mut file = File::create(folder.join("peer"))?;
    let (block, mut times) = ([7; 1024], Vec::with_capacity(SYNCS));
    let whole = Stopwatch::start();
    for _ in 0..SYNCS {
        let watch = Stopwatch::start();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(watch.ms());
    }
    let rate = per_second(SYNCS, whole);
    tell_percentiles("fdatasync", "", times);
    tell("fdatasync", "rate", rate, "1/s");
    Ok(rate)
}

fn checkout(shop: &Shop) -> Result<()> {
    let till = shop.start_till(TILL)?;
    let mut page = till.page()?;
    page.ready()?;
    let mut times = Vec::new();
    for _ in 0..CHECKOUTS {
        times.push(pay(&mut page)?);
    }
    let all = |stage: fn(&Timings) -> f64| times.iter().map(stage).collect::<Vec<_>>();
    tell_percentiles("checkout", "capture", all(|t| t.capture_ms));
    tell_percentiles("checkout", "extract", all(|t| t.extract_ms));
    tell_percentiles("checkout", "prepare", all(|t| t.prepare_ms));
    tell_percentiles("checkout", "service", all(|t| t.service_ms));
    tell_percentiles("checkout", "identify", all(|t| t.identify_ms));
    tell_percentiles("checkout", "commit", all(|t| t.commit_ms));
    tell_percentiles("checkout", "last_frame_to_answer", all(|t| t.total_ms));
    ensure!(till.stop()?.success(), "the till did not stop cleanly");
    Ok(())
}

fn pay(page: &mut Page) -> Result<Timings> {
    let end = page.pay(1, "PALM 7")?;
    ensure!(end.screen == "approved", "{}: {:?}", end.screen, end.reason);
    end.timings.context("no times were told")
}

/// A customer, person 7, who pays as often as wanted, and the till's certificate.
struct Counter {
    till: Caller,
    setup: Setup,
    palm: Template,
}

impl Counter {
    fn open(shop: &Shop) -> Result<Self> {
        let till = shop.caller(TILL)?;
        let setup = till.setup()?;
        let (notice_version, language) = ("2026-11".to_owned(), "en".to_owned());
        let registered = till.create_customer(v1::CreateCustomerRequest {
            request_id: palms::request_id().to_string(),
            display_name: "Seven".to_owned(),
            consent: Some(v1::Consent {
                notice_version,
                language,
                grant_time: None,
            }),
        })?;
        let samples = (0..3)
            .map(|n| palms::template(7, n))
            .collect::<Result<Vec<_>>>()?;
        let answer = till.enrol(palms::enrolment(
            &setup,
            registered.name.parse()?,
            &samples,
        )?)?;
        let is_enrolled = matches!(
            answer.outcome,
            Some(v1::enrol_response::Outcome::Enrolled(_))
        );
        ensure!(is_enrolled, "not enrolled: {answer:?}");
        shop.top_up("Seven", RICH)?;
        Ok(Self {
            till,
            setup,
            palm: palms::template(7, 20)?,
        })
    }

    fn authorisations(&self, synced: f64) -> Result<()> {
        for (clients, payments) in CLIENTS {
            let (rate, mut times) = self.rate(clients, payments)?;
            let bench = format!("authorise/{clients}");
            tell(&bench, "p50", percentile(&mut times, 0.5), "ms");
            tell(&bench, "p99", percentile(&mut times, 0.99), "ms");
            tell(&bench, "rate", rate, "1/s");
            tell(&bench, "rate_per_fdatasync_rate", rate / synced, "ratio");
        }
        Ok(())
    }

    /// Payments a second, and the time of each in milliseconds.
    fn rate(&self, clients: usize, payments: usize) -> Result<(f64, Vec<f64>)> {
        let amount = Money::amount(1, Currency::KRW)?;
        // Sealed before the clock runs: that is the tills' work.
        let request = |_| palms::payment(&self.setup, &self.palm, palms::payment_id(), amount);
        let mut requests = (0..payments).map(request).collect::<Result<Vec<_>>>()?;
        let runtime = self.till.runtime();
        let watch = Stopwatch::start();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let own = requests.split_off(requests.len() - payments / clients);
                runtime.spawn(send_all(
                    CheckoutServiceClient::new(self.till.channel()),
                    own,
                ))
            })
            .collect();
        let mut times = Vec::with_capacity(payments);
        for task in tasks {
            times.extend(runtime.block_on(task)??);
        }
        Ok((per_second(payments / clients * clients, watch), times))
    }
}

async fn send_all(
    mut client: CheckoutServiceClient<tonic::transport::Channel>,
    requests: Vec<v1::AuthorisePaymentRequest>,
) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(requests.len());
    for request in requests {
        let watch = Stopwatch::start();
        let answer = client.authorise_payment(request).await?.into_inner();
        times.push(watch.ms());
        ensure!(
            matches!(answer.outcome, Some(Outcome::Approved(_))),
            "not approved: {answer:?}"
        );
    }
    Ok(times)
}
