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
    entropy::SystemEntropy,
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
const PROBES: u64 = 100;
/// People whose palm somebody else has enrolled too; these others are counted among the palms.
const TWINS: u64 = 100;
/// Of the strangers, so many may be taken for somebody: fields have less in them than palms, and among many thousands
/// one is near by chance.
const STRANGERS_FOUND_MAX: u32 = 5;
/// Clients that look for a palm at once, and how many each.
const CROWD: (u64, u64) = (16, 8);
/// Probes for the plain gallery, which takes a second each among 100,000 palms.
const PEER_PROBES: u64 = 10;
/// Marks the number of a twin.
const TWIN: u64 = 1 << 40;
/// Numbers of people who are not enrolled begin beyond any who is.
const STRANGERS: u64 = 1 << 32;
const CHECKOUTS: u32 = 25;
/// Clients at once, and payments of each run.
const CLIENTS: [(usize, usize); 3] = [(1, 400), (8, 1_600), (64, 3_200)];
const SYNCS: usize = 1_000;
const RICH: u64 = 999_999_999;

/// Measures; about four minutes in a release build.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these of extract, identify, checkout, authorise, fdatasync; may be given more than once
    #[arg(long, value_parser = ALL)]
    only: Vec<String>,
    /// Palms in the gallery that `identify` searches, three samples each, 300 or more, rising; may be given more than
    /// once (33334 are 100,000 samples; 333334 are a million, and take some minutes to enrol)
    #[arg(long, default_values_t = [1_000, 10_000, 100_000])]
    palms: Vec<u64>,
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
        identification(folder.path(), &arguments.palms)?;
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
    for (name, part) in [("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
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
struct House {
    store: Arc<dyn Store>,
    sealed: Gallery,
    plain: PlainGallery,
    palms: u64,
}

impl House {
    fn open(folder: &Path) -> Result<(Arc<dyn Store>, Gallery)> {
        let store: Arc<dyn Store> = Arc::new(SledStore::open(&folder.join("identify"))?);
        let sealed = Gallery::open(gallery::Setup {
            policy: Identification::default(),
            samples_max: 3_000_000,
            templates: Templates::new(Arc::clone(&store), Arc::new(Keyholder::new([1; 32]))),
            key: EpochKey::new([2; 32]),
            folder: Some(folder.join("identify-blocks")),
            entropy: Arc::new(SystemEntropy::new()),
        })?;
        Ok((store, sealed))
    }

    /// Enrols more people, and puts their codes into blocks.
    fn filled_to(self, folder: &Path, palms: u64) -> Result<Self> {
        let Self {
            store,
            sealed,
            mut plain,
            palms: enrolled,
        } = self;
        drop(sealed);
        let (keyholder, entropy) = (Keyholder::new([1; 32]), SystemEntropy::new());
        let twins = (enrolled == 0).then_some(0..TWINS);
        let twins = twins.into_iter().flatten().map(|own| (own | TWIN, own, 3));
        let others = enrolled.saturating_sub(TWINS)..palms - TWINS;
        for (person, palm, first) in others.map(|own| (own, own, 0)).chain(twins) {
            let samples = [0, 1, 2].map(|sample| field(palm, first + sample, 15));
            rest::plant(&*store, &keyholder, (customer(person), &samples), &entropy)?;
            samples
                .into_iter()
                .for_each(|sample| plain.add(customer(person), sample));
        }
        drop(store);
        let (store, sealed) = Self::open(folder)?;
        Ok(Self {
            store,
            sealed,
            plain,
            palms,
        })
    }

    fn timed(&self, probe: &Template) -> Result<(f64, Identity)> {
        let watch = Stopwatch::start();
        let identity = self.sealed.identify(probe)?;
        Ok((watch.ms(), identity))
    }

    /// Somebody without a twin.
    fn person(&self, draw: u64) -> u64 {
        TWINS + mixed(draw, self.palms) % (self.palms - 2 * TWINS)
    }

    /// One at a time; whom it knows, whom it does not and whom it knows twice in turn, each for the first time, so that
    /// what the machine does meanwhile and what its caches hold is the same for all three.
    fn one_at_a_time(&self, name: &str) -> Result<()> {
        let (mut found, mut nobody, mut two) = (Vec::new(), Vec::new(), Vec::new());
        let (mut seconds, mut strangers, mut first_ms) = (0, 0, 0.0);
        for draw in 0..PROBES {
            let (probe, own) = (1_000 + draw, self.person(draw));
            let (ms, identity) = self.timed(&field(own, probe, 15))?;
            ensure!(
                identity == Identity::Match(customer(own)),
                "{name}: person {own} was not found"
            );
            found.push(ms);
            let (ms, identity) = self.timed(&field(STRANGERS + self.palms + draw, probe, 15))?;
            strangers += u32::from(identity != Identity::NoMatch);
            nobody.push(ms);
            let (ms, identity) = self.timed(&field(draw % TWINS, probe, 15))?;
            seconds += u32::from(matches!(identity, Identity::Ambiguous(_)));
            two.push(ms);
            if draw < PEER_PROBES {
                let watch = Stopwatch::start();
                let peer = self.plain.identify(&field(own, probe, 15));
                first_ms += watch.ms();
                ensure!(
                    peer == Identity::Match(customer(own)),
                    "the plain gallery answers otherwise"
                );
            }
        }
        ensure!(
            u64::from(seconds) > PROBES / 2,
            "two with one palm: only {seconds} times ambiguous"
        );
        ensure!(
            strangers <= STRANGERS_FOUND_MAX,
            "{strangers} of {PROBES} strangers were taken for somebody"
        );
        tell(name, "strangers_found", f64::from(strangers), "");
        let peers = usize::try_from(PEER_PROBES).expect("invariant: ten");
        let ratio = first_ms / found[..peers].iter().sum::<f64>();
        let [middle, none, both] =
            [&mut found, &mut nobody, &mut two].map(|ms| percentile(ms, 0.5));
        tell_percentiles(name, "", found);
        tell_percentiles(name, "nobody", nobody);
        tell_percentiles(name, "ambiguous", two);
        tell(name, "nobody_over_match_p50", none / middle, "ratio");
        tell(name, "ambiguous_over_match_p50", both / middle, "ratio");
        tell(name, "plain_over_sealed", ratio, "ratio");
        Ok(())
    }

    /// Many clients at once, whose searches share scans, against one client who looks for as many.
    fn at_once(&self, name: &str) -> Result<()> {
        let (clients, each) = CROWD;
        // Drawn before the clock runs.
        let probes = |first: u64| -> Vec<(u64, Template)> {
            let draws = first..first + clients * each;
            let probe = |draw| (self.person(draw), field(self.person(draw), draw, 15));
            draws.map(probe).collect()
        };
        let (alone, at_once) = (probes(10_000), probes(20_000));
        let all_found = |probes: &[(u64, Template)]| -> Result<()> {
            for (own, probe) in probes {
                let identity = self.sealed.identify(probe)?;
                ensure!(identity == Identity::Match(customer(*own)), "not found");
            }
            Ok(())
        };
        let watch = Stopwatch::start();
        all_found(&alone)?;
        let alone = per_second(alone.len(), watch);
        let watch = Stopwatch::start();
        std::thread::scope(|scope| {
            let shares = at_once.chunks(usize::try_from(each)?);
            let clients: Vec<_> = shares
                .map(|own| scope.spawn(move || all_found(own)))
                .collect();
            let ended = clients.into_iter().map(|client| {
                let ended = client.join();
                ended.expect("a client panicked")
            });
            ended.collect::<Result<()>>()
        })?;
        let rate = per_second(at_once.len(), watch);
        tell(name, "at_once_rate", rate, "1/s");
        tell(name, "at_once_rate_per_rate", rate / alone, "ratio");
        Ok(())
    }

    /// Closes everything, and opens it until it has answered.
    fn start_up(self, folder: &Path, name: &str) -> Result<Self> {
        let Self {
            store,
            sealed,
            plain,
            palms,
        } = self;
        drop((store, sealed));
        let probe = field(TWINS, 77, 15);
        let watch = Stopwatch::start();
        let (store, sealed) = Self::open(folder)?;
        let identity = sealed.identify(&probe)?;
        tell(name, "start_up", watch.ms() / 1e3, "s");
        ensure!(
            identity == Identity::Match(customer(TWINS)),
            "not found after a start"
        );
        Ok(Self {
            store,
            sealed,
            plain,
            palms,
        })
    }
}

fn identification(folder: &Path, sizes: &[u64]) -> Result<()> {
    let policy = Identification::default();
    let (store, sealed) = House::open(folder)?;
    let mut house = House {
        store,
        sealed,
        plain: PlainGallery::new(policy, gallery::threads(limits::SEARCH_THREADS)?),
        palms: 0,
    };
    for palms in sizes {
        ensure!(
            *palms >= 3 * TWINS && *palms > house.palms,
            "--palms: 300 or more, rising"
        );
        let name = format!("identify/{palms}x3");
        house = house.filled_to(folder, *palms)?;
        house.one_at_a_time(&name)?;
        house.at_once(&name)?;
        house = house.start_up(folder, &name)?;
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
