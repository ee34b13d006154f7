//! What a keyholder of its own costs: the same identifications in one process, and with the keyholder behind mutual TLS
//! on loopback, in turn. `cargo bench -p palm-server --bench split -- --n 1000000`. One JSON object a line.
//!
//! Both ends run in this process, as two would on one machine: they share its cores, and every byte goes through the
//! socket. What is compared begins with a sealed envelope and ends with an answer, which must be the same.
#![expect(clippy::print_stdout, reason = "the lines are what this program says")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use palm_models::template::{DIMENSIONS, Hand, OrientationCode, SearchCode, Template};
use palm_proto::{
    envelope::{Binding, OpeningKey, SealedTemplate},
    id::{CustomerId, PaymentId, TillId},
    money::{Currency, Money},
};
use palm_server::{
    api::{self, Api, TlsFiles},
    checkout::stages::{MachineMonotonic, Monotonic},
    clock::{Clock, SystemClock},
    config::Identification,
    entropy::{Entropy, SeededEntropy, SystemEntropy},
    gallery::{
        Gallery, Identity, Setup,
        holder::{Holder, HolderSetup},
        palms::Palms,
        remote::{Remote, RemoteSetup},
        rest::{self, Templates},
        sealed::EpochKey,
    },
    pki::Authority,
    store::{MemoryStore, Store},
    vault,
};
use tokio::runtime::Runtime;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// People whose palms are whole, and who are looked for; the others have a search code only.
const KNOWN: u64 = 50;
const MASTER: [u8; 32] = [7; 32];
const EPOCH: [u8; 32] = [8; 32];
const SEALING: [u8; 32] = [9; 32];

/// Measures; a million people take some minutes and 4 GB.
#[derive(Debug, Parser)]
struct Arguments {
    /// People enrolled, with one sample each; may be given more than once
    #[arg(long = "n", default_values_t = [100_000, 1_000_000])]
    sizes: Vec<u64>,
    /// Identifications by either way
    #[arg(long, default_value_t = 200)]
    probes: u64,
    /// `cargo bench` gives it
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    for &n in &arguments.sizes {
        measure(n, arguments.probes)?;
    }
    Ok(())
}

fn customer(n: u64) -> CustomerId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    CustomerId::from_bytes(bytes)
}

fn embedding(seed: u64) -> [f32; DIMENSIONS] {
    let mut bytes = [0; 2 * DIMENSIONS];
    SeededEntropy::new(seed).fill(&mut bytes);
    std::array::from_fn(|at| f32::from(i16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])))
}

/// A palm of person `n`; another capture of it for each `noise` but 0.
fn template(n: u64, noise: u64) -> Result<Template> {
    let (own, other) = (embedding(n), embedding(n << 32 | noise << 24 | 1 << 63));
    let share = if noise == 0 { 0.0 } else { 0.5 };
    let mixed: [f32; DIMENSIONS] = std::array::from_fn(|at| own[at] + share * other[at]);
    let mut cells = [0; 1024];
    SeededEntropy::new(n).fill(&mut cells);
    let cell = |row: usize, column: usize| (n < KNOWN).then_some(cells[row * 32 + column] % 6);
    let palm = Template::orientation_only(Hand::Right, 80, OrientationCode::from_cells(cell));
    Ok(palm.with_search(SearchCode::strongest(&mixed, 341)?))
}

fn filled(n: u64) -> Result<Arc<MemoryStore>> {
    let store = Arc::new(MemoryStore::new());
    let (master, entropy) = (vault::Keyholder::new(MASTER), SeededEntropy::new(1));
    for own in 0..n {
        let person = (customer(own), [template(own, 0)?]);
        rest::plant(&*store, &master, (person.0, &person.1), &entropy)?;
    }
    Ok(store)
}

fn here(store: &Arc<MemoryStore>, samples_max: usize) -> Result<Palms> {
    let master = Arc::new(vault::Keyholder::new(MASTER));
    let gallery = Gallery::open(Setup {
        policy: Identification::default(),
        samples_max,
        templates: Templates::new(Arc::clone(store) as Arc<dyn Store>, master),
        key: EpochKey::new(EPOCH),
        folder: None,
        entropy: Arc::new(SystemEntropy::new()),
    })?;
    Ok(Palms::Here {
        gallery: Box::new(gallery),
        opening_key: OpeningKey::new(1, SEALING),
    })
}

/// A keyholder at work on loopback, and the matcher attached to it.
fn there(runtime: &Runtime, store: &Arc<MemoryStore>, samples_max: usize) -> Result<Palms> {
    let holder = Holder::open(HolderSetup {
        policy: Identification::default(),
        samples_max,
        searches_per_minute: u32::MAX,
        store: Arc::clone(store) as Arc<dyn Store>,
        master: vault::Keyholder::new(MASTER),
        key: EpochKey::new(EPOCH),
        opening_key: OpeningKey::new(1, SEALING),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
        on_failure: Box::new(|error| println!("the store failed: {error}")),
    })?;
    let now = SystemClock.now();
    let (authority, ca) = Authority::create("bench", now)?;
    let (own, matcher) = (authority.keyholder(now)?, authority.matcher(now)?);
    let tls = TlsFiles {
        certificate: own.certificate,
        key: own.key,
        ca: ca.certificate.clone(),
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (listener, address) = runtime.block_on(api::listen(anywhere))?;
    let api = Api::of_keyholder(Arc::new(holder), matcher.fingerprint, &tls)?;
    // It ends with the runtime.
    drop(runtime.spawn(api.serve(listener, std::future::pending())));
    let setup = RemoteSetup {
        address: format!("https://{address}"),
        certificate: matcher.certificate,
        key: matcher.key,
        ca: ca.certificate,
        folder: None,
        samples_max,
        patience: Duration::from_secs(60),
    };
    let opening = runtime.spawn_blocking(move || Remote::open(&setup));
    Ok(Palms::There(Box::new(runtime.block_on(opening)??)))
}

fn payment() -> Result<Binding> {
    Ok(Binding::Payment {
        till: TillId::new("counter-1")?,
        payment: PaymentId::from_random([1; 16]),
        amount: Money::amount(100, Currency::KRW)?,
    })
}

/// What a till sends for the probe of an index.
fn sealed(palms: &Palms, index: u64) -> Result<SealedTemplate> {
    let probe = template(index % KNOWN, 1 + index)?;
    let entropy = SystemEntropy::new();
    let mut fill = |out: &mut [u8]| entropy.fill(out);
    let key = palms.sealing_key();
    // One capture is looked for a few times only.
    let nonce = u128::from(index).to_le_bytes();
    Ok(key.seal(&probe.to_bytes(), &payment()?, nonce, &mut fill)?)
}

fn identify(palms: &Palms, sample: &SealedTemplate) -> Result<(Identity, Duration)> {
    let binding = payment()?;
    let begun = MachineMonotonic::start();
    let opened = palms.open(&binding, std::slice::from_ref(sample))?;
    let identity = palms.identify(opened)?;
    Ok((identity, begun.elapsed()))
}

fn tell(n: u64, metric: &str, value: f64, unit: &str) {
    println!(
        r#"{{"bench":"split","n":{n},"metric":"{metric}","value":{value:.2},"unit":"{unit}"}}"#
    );
}

fn measure(n: u64, probes: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let store = filled(n)?;
    let samples_max = usize::try_from(n)? + 1_000;
    let one = here(&store, samples_max)?;
    let begun = MachineMonotonic::start();
    let two = there(&runtime, &store, samples_max)?;
    let taken = begun.elapsed().as_secs_f64();
    tell(n, "attach_and_settle", taken, "s");
    let mut times = [Vec::new(), Vec::new()];
    for index in 0..probes {
        let sample = sealed(&one, index)?;
        let mut answers = [None, None];
        // Whoever comes second finds the templates in the cache: they take turns.
        let first = usize::try_from(index % 2)?;
        for way in [first, 1 - first] {
            let (answer, time) = identify([&one, &two][way], &sample)?;
            answers[way] = Some(answer);
            times[way].push(time.as_secs_f64() * 1e3);
        }
        let own = Identity::Match(customer(index % KNOWN));
        if answers != [Some(own); 2] {
            return Err(format!("probe {index}: {answers:?}").into());
        }
    }
    for (times, name) in times.iter_mut().zip(["one_process", "two_processes"]) {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[times.len() * percent / 100];
        tell(n, &format!("{name}_min"), times[0], "ms");
        tell(n, &format!("{name}_p50"), at(50), "ms");
        tell(n, &format!("{name}_p95"), at(95), "ms");
    }
    let [one, two] = times;
    let middle = one.len() / 2;
    tell(n, "overhead_p50", two[middle] - one[middle], "ms");
    tell(n, "overhead_min", two[0] - one[0], "ms");
    Ok(())
}
