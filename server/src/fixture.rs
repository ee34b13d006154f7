//! A shop in memory for tests: its own clock, entropy, palms and tills, and no wire.

use std::{sync::Arc, time::Duration};

use palm_models::template::{
    CODE_SIDE, DIMENSIONS, Hand, ORIENTATIONS, OrientationCode, SearchCode, Template,
};
use palm_proto::{
    envelope::{Binding, SealedTemplate},
    fault,
    id::{CustomerId, PaymentId, RequestId, TillId},
    money::{Currency, Money},
    request::{
        AuthorisePayment, CancelPayment, CaptureMode, CreateCustomer, CreateTill, Enrol,
        WalletTransfer,
    },
};

use crate::{
    checkout::{Outcome, stages::Monotonic},
    clock::{ManualClock, Timestamp},
    config::{BankConfig, Identification, Limits, Policy, ReceiptConfig},
    enrolment::EnrolOutcome,
    entropy::{Entropy, SeededEntropy},
    error::Error,
    gallery::{rest, sealed::EpochKey},
    ledger::Ledger,
    pki::Fingerprint,
    rail::Rail,
    service::{Ground, PalmsGround, Service, Terms},
    store::{MemoryStore, Store},
    vault::Keyholder,
    writer::{Writer, WriterThread},
};

/// Highest payment of the shop.
pub(crate) const PAYMENT_MAX: u64 = 1_000_000;

/// A palm of its own for each `palm`; each `sample` has some of its cells off by one step, as captures of one palm do.
pub(crate) fn template(hand: Hand, palm: u64, sample: u64) -> Template {
    let code = OrientationCode::from_cells(|row, column| {
        let cell = u64::try_from(row * CODE_SIDE + column).unwrap();
        let base = mix(palm.wrapping_mul(1_000_003) ^ cell) % u64::from(ORIENTATIONS);
        let is_off = sample > 0 && mix(sample ^ palm << 32 ^ cell << 8).is_multiple_of(10);
        Some(u8::try_from((base + u64::from(is_off)) % u64::from(ORIENTATIONS)).unwrap())
    });
    Template::orientation_only(hand, 80, code).with_search(search_code(palm, sample))
}

/// A search code of its own for each `palm`; samples of one palm differ in some of its coordinates.
pub(crate) fn search_code(palm: u64, sample: u64) -> SearchCode {
    let drawn = |seed: u64| f32::from(u16::try_from(mix(seed) % 2_001).unwrap()) - 1_000.5;
    let embedding: [f32; DIMENSIONS] = std::array::from_fn(|at| {
        let at = u64::try_from(at).unwrap();
        drawn(palm << 16 ^ at) + drawn(palm << 32 ^ sample << 16 ^ at ^ 1 << 60) / 3.0
    });
    SearchCode::strongest(&embedding, 341).unwrap()
}

/// The finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) fn till(id: &str) -> TillId {
    TillId::new(id).unwrap()
}

pub(crate) fn payment(n: u8) -> PaymentId {
    PaymentId::from_random([n; 16])
}

pub(crate) fn request(n: u8) -> RequestId {
    RequestId::from_random([n; 16])
}

pub(crate) fn krw(minor: u64) -> Money {
    Money::amount(minor, Currency::KRW).unwrap()
}

pub(crate) fn create_customer(n: u8, name: &str) -> CreateCustomer {
    CreateCustomer {
        request_id: request(n),
        display_name: name.to_owned(),
        notice_version: "2026-11".to_owned(),
        language: "ko".to_owned(),
    }
}

/// One line of a receipt roll: what a till sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pay {
    pub(crate) id: u8,
    pub(crate) till: &'static str,
    pub(crate) amount: u64,
    pub(crate) palm: u64,
    /// Which capture: it says the nonce.
    pub(crate) capture: u8,
}

/// Time that stands still.
#[derive(Debug)]
struct Still;

impl Monotonic for Still {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// A shop.
pub(crate) struct Shop {
    pub(crate) service: Arc<Service>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    entropy: SeededEntropy,
    thread: WriterThread,
}

pub(crate) fn terms() -> Terms {
    Terms {
        shop_name: "Corner Shop".to_owned(),
        payment_max: krw(PAYMENT_MAX),
        policy: Policy {
            duplicate_window_s: 0,
            ..Policy::default()
        },
        receipt: ReceiptConfig {
            vat_rate_bp: 1_000,
            ..ReceiptConfig::default()
        },
        bank: Some(BankConfig {
            account: "NL41MOCK0000000001".to_owned(),
            holder: None,
            settle_days: 3,
        }),
        identification: Identification::default(),
        limits: Limits {
            samples_max: 100,
            ..Limits::default()
        },
        operators: vec![Fingerprint::from_bytes([1; 32])],
    }
}

impl Shop {
    pub(crate) fn open() -> Self {
        Self::on(Arc::new(MemoryStore::new()), 1, terms())
    }

    pub(crate) fn on(store: Arc<dyn Store>, seed: u64, terms: Terms) -> Self {
        Self::with_rail(store, seed, terms, None)
    }

    pub(crate) fn with_rail(
        store: Arc<dyn Store>,
        seed: u64,
        terms: Terms,
        rail: Option<Arc<dyn Rail>>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
            1_800_000_000_000_000,
        )));
        let ledger = Ledger::load(&*store, Currency::KRW).unwrap();
        let (writer, thread) = Writer::spawn(Arc::clone(&store), ledger, |error| {
            panic!("the store failed: {error}")
        });
        let ground = Ground {
            store: Arc::clone(&store),
            writer,
            keyholder: Keyholder::new([7; 32]),
            palms: PalmsGround::Here {
                gallery_key: EpochKey::new([8; 32]),
                gallery_folder: None,
                sealing_secret: [9; 32],
            },
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(SeededEntropy::new(seed)),
            monotonic: Arc::new(Still),
            rail,
        };
        let service = Arc::new(Service::open(terms, ground).unwrap());
        Self {
            service,
            store,
            clock,
            entropy: SeededEntropy::new(!seed),
            thread,
        }
    }

    /// Stops the shop and opens it again on what is stored.
    pub(crate) fn restart(self) -> Self {
        let store = Arc::clone(&self.store);
        self.stop();
        Self::on(store, 2, terms())
    }

    pub(crate) fn stop(self) {
        drop(self.service);
        self.thread.stop();
    }

    /// Every row of the store.
    pub(crate) fn rows(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.scan(b"", None, usize::MAX).unwrap()
    }

    /// A palm in the store and the gallery, of a customer who is not.
    pub(crate) fn plant(&self, customer: CustomerId, samples: &[Template]) {
        let base = &self.service.checkout.base;
        let person = (customer, samples);
        let numbers = rest::plant(&*self.store, &base.keyholder, person, &self.entropy).unwrap();
        for (number, sample) in numbers.into_iter().zip(samples) {
            base.gallery.add(customer, number, sample).unwrap();
        }
    }

    pub(crate) fn seal(
        &self,
        template: &Template,
        binding: &Binding,
        nonce: [u8; 16],
    ) -> SealedTemplate {
        let mut fill = |out: &mut [u8]| self.entropy.fill(out);
        self.service
            .sealing_key()
            .seal(&template.to_bytes(), binding, nonce, &mut fill)
            .unwrap()
    }

    pub(crate) async fn customer(&self, n: u8, name: &str) -> CustomerId {
        self.service
            .customers
            .create(create_customer(n, name))
            .await
            .unwrap()
            .id
    }

    /// Three samples of a palm, as a till sends them in the enrolment number `n`.
    pub(crate) fn enrolment(&self, n: u8, customer: CustomerId, palm: u64) -> Enrol {
        let samples = [1, 2, 3].map(|sample| template(Hand::Right, palm, sample));
        self.enrolment_of(n, customer, &samples)
    }

    pub(crate) fn enrolment_of(&self, n: u8, customer: CustomerId, samples: &[Template]) -> Enrol {
        let binding = Binding::Enrolment {
            till: till("counter-1"),
            customer,
            request: request(n),
        };
        let sealed = |(index, sample): (usize, &Template)| {
            let mut nonce = [n; 16];
            nonce[0] = 0xee;
            nonce[1] = u8::try_from(index).unwrap();
            self.seal(sample, &binding, nonce)
        };
        let samples = samples.iter().enumerate().map(sealed).collect();
        Enrol {
            request_id: request(n),
            customer,
            samples,
        }
    }

    pub(crate) async fn enrol(&self, n: u8, customer: CustomerId, palm: u64) -> String {
        self.send(self.enrolment(n, customer, palm)).await
    }

    /// Sends an enrolment and gives the answer in words.
    pub(crate) async fn send(&self, enrolment: Enrol) -> String {
        match self
            .service
            .enrolment
            .enrol(till("counter-1"), enrolment)
            .await
        {
            Ok(EnrolOutcome::Enrolled { palms }) => format!("ENROLLED {palms}"),
            Ok(EnrolOutcome::Refused { reason }) => reason.as_str().to_owned(),
            Err(error) => refusal(error),
        }
    }

    pub(crate) async fn top_up(&self, n: u8, customer: CustomerId, amount: u64) -> String {
        let amount = krw(amount);
        let request = WalletTransfer {
            request_id: request(n),
            customer,
            amount,
        };
        told(self.service.wallets.top_up(request).await)
    }

    pub(crate) async fn pay_out(&self, n: u8, customer: CustomerId, amount: u64) -> String {
        let amount = krw(amount);
        let request = WalletTransfer {
            request_id: request(n),
            customer,
            amount,
        };
        told(self.service.wallets.pay_out(request).await)
    }

    /// What a till sends for one line of the roll.
    pub(crate) fn authorisation(&self, pay: Pay) -> AuthorisePayment {
        let (id, amount) = (payment(pay.id), krw(pay.amount));
        let binding = Binding::Payment {
            till: till(pay.till),
            payment: id,
            amount,
        };
        let probe = template(Hand::Right, pay.palm, 100 + u64::from(pay.capture));
        let sample = self.seal(&probe, &binding, [pay.capture; 16]);
        AuthorisePayment {
            payment: id,
            amount,
            sample,
            capture_mode: CaptureMode::Automatic,
            accepted_offline: false,
        }
    }

    /// Sends a payment and gives the answer in words.
    pub(crate) async fn pay(&self, pay: Pay) -> String {
        self.authorise(pay.till, self.authorisation(pay)).await
    }

    pub(crate) async fn authorise(&self, by: &str, request: AuthorisePayment) -> String {
        let answer = self.service.checkout.authorise(till(by), request).await;
        answer.map_or_else(refusal, |(outcome, _)| words(&outcome))
    }

    pub(crate) async fn cancel(&self, by: &str, id: u8, amount: u64) -> String {
        let request = CancelPayment {
            payment: payment(id),
            amount: krw(amount),
        };
        match self.service.payments.cancel(till(by), request).await {
            Ok(payment) => format!("{:?}", payment.state),
            Err(error) => refusal(error),
        }
    }

    pub(crate) async fn create_till(&self, id: &str, certificate: u8) -> Result<(), Error> {
        let certificate_sha256 = [certificate; 32];
        let request = CreateTill {
            till: till(id),
            certificate_sha256,
        };
        self.service.tills.create(request).await.map(drop)
    }
}

/// What a till is answered, in words.
pub(crate) fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Approved { payment, balance } => {
            let left = balance.map_or_else(String::new, |left| format!(" left {}", left.minor()));
            format!("APPROVED {}{left}", payment.masked_name)
        }
        Outcome::Declined {
            reason,
            masked_name,
        } => format!("DECLINED {masked_name} {}", reason.as_str()),
        Outcome::NotRecognised { reason } => reason.as_str().to_owned(),
        Outcome::StepUp {
            reason,
            masked_name,
            ..
        } => format!("ASKED {masked_name} {}", reason.as_str()),
    }
}

fn told(balance: Result<Money, Error>) -> String {
    balance.map_or_else(refusal, |balance| format!("balance {}", balance.minor()))
}

/// The reason that the caller sees.
pub(crate) fn refusal(error: Error) -> String {
    let status = tonic::Status::from(error);
    let reason = fault::reason_of(&status).unwrap();
    format!("refused {}", reason.as_str())
}
