//! What the simulated service stands on: a disk that can fail at a chosen commit, a shop whose people are enrolled
//! once for all seeds, and the service that is opened on it again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use palm_models::template::{CODE_SIDE, DIMENSIONS, Hand, OrientationCode, SearchCode, Template};
use palm_proto::{
    digits::Digits,
    envelope::{Binding, NONCE_BYTES, SealedTemplate},
    id::{CustomerId, RequestId, TillId},
    money::{Currency, Money},
    request::{CreateCustomer, Enrol, UpdateSafeguards},
};
use palm_server::{
    checkout::stages::Monotonic,
    clock::{ManualClock, Timestamp},
    config::{Identification, Limits, Policy, ReceiptConfig},
    enrolment::EnrolOutcome,
    entropy::{Entropy, SeededEntropy},
    gallery::sealed::EpochKey,
    ledger::Ledger,
    payments::Asker,
    rail::{Instrument, Rail},
    service::{Ground, PalmsGround, Service, Terms},
    store::{Batch, MemoryStore, Row, Store, StoreError},
    vault::Keyholder,
    writer::{Writer, WriterThread},
};

use super::{BEGINNING_US, PIN, RAIL_PAYER};

/// Highest amount of one payment.
pub(super) const PAYMENT_MAX: u64 = 60_000;
/// Above it a PIN is asked for.
pub(super) const PALM_MAX: u64 = 50_000;
/// A customer's limit of one day.
pub(super) const DAY_MAX: u64 = 70_000;
/// Seconds within which the same amount is asked about.
pub(super) const DUPLICATE_S: u64 = 30;
/// Seconds that are waited for a PIN or the cashier's word.
pub(super) const STEP_UP_S: u64 = 180;
/// Hours after which a hold is freed.
pub(super) const HOLD_H: u64 = 24;
/// People who are enrolled; a palm of this number is a stranger's.
pub(super) const PEOPLE: usize = 3;

const NEVER: u32 = u32::MAX;

/// A store in memory whose commits fail from a chosen one on, as a disk that is full or a machine that is off.
#[derive(Debug)]
pub(super) struct Disk {
    rows: MemoryStore,
    /// Commits that still work.
    left: AtomicU32,
    /// Whether the first that fails is on disk all the same.
    is_written: AtomicU32,
}

impl Disk {
    fn new(rows: MemoryStore) -> Self {
        Self {
            rows,
            left: AtomicU32::new(NEVER),
            is_written: AtomicU32::new(0),
        }
    }

    /// Lets so many commits through; the next one fails, written or not.
    pub(super) fn trip_after(&self, commits: u32, is_written: bool) {
        self.left.store(commits, Ordering::SeqCst);
        self.is_written
            .store(u32::from(is_written), Ordering::SeqCst);
    }

    /// Makes it work again.
    pub(super) fn mend(&self) {
        self.left.store(NEVER, Ordering::SeqCst);
    }

    /// Lets nothing more through.
    pub(super) fn cut(&self) {
        self.trip_after(0, false);
    }

    /// Whether a commit has failed.
    pub(super) fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0 && self.is_written.load(Ordering::SeqCst) == 2
    }
}

impl Store for Disk {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let left = self.left.load(Ordering::SeqCst);
        if left == NEVER {
            return self.rows.commit(batch);
        }
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
            return self.rows.commit(batch);
        }
        // 2: it has failed before.
        if self.is_written.swap(2, Ordering::SeqCst) == 1 {
            self.rows.commit(batch)?;
        }
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(StoreError::Failed("commit", Box::new(full)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.rows.scan(prefix, after, limit)
    }
}

/// Time that stands still.
#[derive(Debug)]
struct Still;

impl Monotonic for Still {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// A running service on a disk.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) service: Arc<Service>,
    pub(super) disk: Arc<Disk>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) entropy: Arc<SeededEntropy>,
    thread: WriterThread,
}

fn terms() -> Result<Terms> {
    Ok(Terms {
        shop_name: "Corner Shop".to_owned(),
        payment_max: krw(PAYMENT_MAX)?,
        policy: Policy {
            palm_max_minor: Some(PALM_MAX),
            day_max_minor: Some(DAY_MAX),
            duplicate_window_s: u32::try_from(DUPLICATE_S)?,
            hold_h: u32::try_from(HOLD_H)?,
            step_up_s: u32::try_from(STEP_UP_S)?,
            utc_offset_min: 0,
        },
        receipt: ReceiptConfig::default(),
        bank: None,
        identification: Identification::default(),
        limits: Limits {
            samples_max: 100,
            searches_per_minute: 1_000_000,
            matches_per_hour: 1_000_000,
            ..Limits::default()
        },
        operators: Vec::new(),
    })
}

impl Machine {
    /// Opens the service on what the disk has, with the clock where it stands.
    pub(super) fn boot(
        disk: Arc<Disk>,
        clock: Arc<ManualClock>,
        seed: u64,
        rail: Arc<dyn Rail>,
    ) -> Result<Self> {
        let store: Arc<dyn Store> = Arc::clone(&disk) as _;
        let ledger = Ledger::load(&*store, Currency::KRW).context("the books do not load")?;
        let (writer, thread) = Writer::spawn(Arc::clone(&store), ledger, drop);
        let entropy = Arc::new(SeededEntropy::new(seed));
        let ground = Ground {
            store,
            writer,
            keyholder: Keyholder::new([7; 32]),
            palms: PalmsGround::Here {
                gallery_key: EpochKey::new([8; 32]),
                gallery_folder: None,
                sealing_secret: [9; 32],
            },
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy) as _,
            monotonic: Arc::new(Still),
            rail: Some(rail),
        };
        let service = Arc::new(Service::open(terms()?, ground)?);
        Ok(Self {
            service,
            disk,
            clock,
            entropy,
            thread,
        })
    }

    /// Ends it as if its power were cut; the disk works again afterwards.
    pub(super) fn kill(self) -> (Arc<Disk>, Arc<ManualClock>) {
        self.disk.cut();
        drop(self.service);
        self.thread.stop();
        self.disk.mend();
        (self.disk, self.clock)
    }

    /// A palm held out for one use.
    pub(super) fn seal(
        &self,
        palm: &Template,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<SealedTemplate> {
        let mut fill = |out: &mut [u8]| self.entropy.fill(out);
        let key = self.service.sealing_key();
        Ok(key.seal(&palm.to_bytes(), binding, nonce, &mut fill)?)
    }
}

/// The shop before its first payment: its rows, and who is enrolled.
#[derive(Debug)]
pub struct Opening {
    rows: Vec<Row>,
    pub(super) people: Vec<CustomerId>,
}

impl Opening {
    /// Enrols the people of every simulation, in memory.
    ///
    /// # Errors
    /// When the service refuses one of them.
    pub async fn furnish(rail: Arc<dyn Rail>) -> Result<Self> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(BEGINNING_US)));
        let disk = Arc::new(Disk::new(MemoryStore::new()));
        let machine = Machine::boot(disk, clock, 1, rail)?;
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(machine.enrol(number).await?);
        }
        let token = Some(Instrument::new("tok_simulated")?);
        let payments = &machine.service.payments;
        payments.set_instrument(people[RAIL_PAYER], token).await?;
        ensure!(payments.list(&page()?, Asker(None))?.0.is_empty());
        let (disk, _) = machine.kill();
        let rows = disk.scan(b"", None, usize::MAX)?;
        Ok(Self { rows, people })
    }

    /// A disk of its own with the shop on it.
    pub(super) fn disk(&self) -> Result<Arc<Disk>> {
        let rows = MemoryStore::new();
        let mut batch = Batch::new();
        for (key, value) in &self.rows {
            batch.put(key.clone(), value.clone());
        }
        rows.commit(&batch)?;
        Ok(Arc::new(Disk::new(rows)))
    }
}

fn page() -> Result<palm_proto::request::Page> {
    Ok(palm_proto::request::Page::parse(1, String::new())?)
}

impl Machine {
    async fn enrol(&self, number: usize) -> Result<CustomerId> {
        let n = u8::try_from(number)?;
        let request = CreateCustomer {
            request_id: RequestId::from_random([n + 1; 16]),
            display_name: format!("Person {number}"),
            notice_version: "2026-11".to_owned(),
            language: "en".to_owned(),
        };
        let id = self.service.customers.create(request).await?.id;
        let request_id = RequestId::from_random([n + 101; 16]);
        let binding = Binding::Enrolment {
            till: till()?,
            customer: id,
            request: request_id,
        };
        let sealed = |sample: u8| {
            let nonce = [200 + n * 3 + sample; NONCE_BYTES];
            self.seal(&palm(number, u64::from(sample) + 1), &binding, nonce)
        };
        let samples = (0..3).map(sealed).collect::<Result<_>>()?;
        let enrol = Enrol {
            request_id,
            customer: id,
            samples,
        };
        let outcome = self.service.enrolment.enrol(till()?, enrol).await?;
        ensure!(outcome == EnrolOutcome::Enrolled { palms: 1 });
        let pin = Digits::new(PIN.to_owned(), 4..=12).context("a PIN")?;
        let change = UpdateSafeguards {
            customer: id,
            current_pin: None,
            pin: Some(Some(pin)),
            phone_digits: None,
            always_second_factor: None,
            frozen: None,
            payment_max_minor: None,
            day_max_minor: None,
        };
        self.service.safeguards.update(change, true).await?;
        Ok(id)
    }
}

pub(super) fn till() -> Result<TillId> {
    Ok(TillId::new("counter-1")?)
}

pub(super) fn krw(minor: u64) -> Result<Money> {
    Ok(Money::amount(minor, Currency::KRW)?)
}

/// The finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
pub(super) fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A palm without an image, one for each number; samples of one palm have some cells off by one step.
pub(super) fn palm(number: usize, sample: u64) -> Template {
    let palm = number as u64 + 1;
    let code = OrientationCode::from_cells(|row, column| {
        let cell = (row * CODE_SIDE + column) as u64;
        let base = mix(palm.wrapping_mul(1_000_003) ^ cell) % 6;
        let is_off = mix(sample ^ palm << 32 ^ cell << 8).is_multiple_of(10);
        u8::try_from((base + u64::from(is_off)) % 6).ok()
    });
    let drawn = |seed: u64| (mix(seed) % 2_001) as f32 - 1_000.5;
    let embedding: [f32; DIMENSIONS] = std::array::from_fn(|at| {
        let at = at as u64;
        drawn(palm << 16 ^ at) + drawn(palm << 32 ^ sample << 16 ^ at ^ 1 << 60) / 3.0
    });
    let search = SearchCode::strongest(&embedding, 341).expect("invariant: no coordinate is zero");
    Template::orientation_only(Hand::Right, 80, code).with_search(search)
}
