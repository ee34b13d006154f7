//! The whole service without its wire: every part on one store, one writer and one gallery.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use palm_proto::{
    envelope::{OpeningKey, SealingKey},
    id::TillId,
    money::Money,
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::{
    bank::Bank,
    base::Base,
    budget::Budget,
    cards::Cards,
    checkout::{Checkout, stages::Monotonic},
    clock::Clock,
    config::{self, Config, Identification, Limits},
    customers::Customers,
    enrolment::Enrolment,
    entropy::Entropy,
    error::Error,
    gallery::{
        Gallery, GalleryError, Setup, palms::Palms, remote::Remote, rest::Templates,
        sealed::EpochKey,
    },
    paper::Paper,
    payments::{Payments, Rules},
    payouts::Payouts,
    pki::Fingerprint,
    policy::Policy,
    rail::Rail,
    safeguards::Safeguards,
    store::Store,
    tills::Tills,
    vault::Keyholder,
    wallets::Wallets,
    writer::Writer,
};

/// Number of the service's only sealing key.
pub const SEALING_KEY_ID: u32 = 1;
const MINUTE: Duration = Duration::from_secs(60);

/// What the service is told by its configuration, without files and addresses.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Shown on the tills.
    pub shop_name: String,
    /// Highest amount of one payment; its currency is the shop's.
    pub payment_max: Money,
    /// The shop's rules for payments.
    pub policy: config::Policy,
    /// What stands on paper.
    pub receipt: config::ReceiptConfig,
    /// The shop's account at a bank.
    pub bank: Option<config::BankConfig>,
    /// When a palm counts as recognised.
    pub identification: Identification,
    /// Bounds.
    pub limits: Limits,
    /// Certificates that operate it.
    pub operators: Vec<Fingerprint>,
}

impl Terms {
    /// The terms of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            shop_name: config.shop.name.clone(),
            payment_max: config.payment_limit(),
            policy: config.policy,
            receipt: config.receipt.clone(),
            bank: config.bank.clone(),
            identification: config.identification.unwrap_or_default(),
            limits: config.limits,
            operators: config.operator_fingerprints(),
        }
    }
}

/// What the service stands on.
pub struct Ground {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The only one that writes there.
    pub writer: Writer,
    /// Wraps every person's key.
    pub keyholder: Keyholder,
    /// Who has the keys of the palms.
    pub palms: PalmsGround,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys, ids and seals.
    pub entropy: Arc<dyn Entropy>,
    /// For measuring stages.
    pub monotonic: Arc<dyn Monotonic>,
    /// Where customers pay from who have a token there; `None`: everybody pays from their wallet.
    pub rail: Option<Arc<dyn Rail>>,
}

/// Who has the keys of the palms.
pub enum PalmsGround {
    /// This process.
    Here {
        /// What the keys of the gallery's blocks are derived from.
        gallery_key: EpochKey,
        /// Where the gallery's blocks are kept; `None`: in memory only.
        gallery_folder: Option<PathBuf>,
        /// 32 secret bytes behind the key that tills seal templates to.
        sealing_secret: [u8; 32],
    },
    /// A keyholder of its own.
    There(Box<Remote>),
}

impl fmt::Debug for PalmsGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PalmsGround")
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ground")
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Runs the deployment.
    Operator,
    /// A counter or kiosk.
    Till(TillId),
}

/// Every part of the service.
pub struct Service {
    /// People.
    pub customers: Customers,
    /// Their saved cards.
    pub cards: Cards,
    /// Their palms.
    pub enrolment: Enrolment,
    /// Their palms at the counter.
    pub checkout: Checkout,
    /// Their payments.
    pub payments: Payments,
    /// How they guard their money.
    pub safeguards: Safeguards,
    /// What is printed.
    pub paper: Paper,
    /// Their money.
    pub wallets: Wallets,
    /// Their money on its way to their banks.
    pub payouts: Payouts,
    /// The shop's own bank.
    pub bank: Bank,
    /// Where they pay.
    pub tills: Tills,
    terms: Terms,
    sealing_key: SealingKey,
    calls: Arc<Semaphore>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl Service {
    /// Puts the parts together and fills the gallery from the store.
    ///
    /// # Errors
    /// [`GalleryError`].
    pub fn open(terms: Terms, ground: Ground) -> Result<Self, GalleryError> {
        let keyholder = Arc::new(ground.keyholder);
        let palms = match ground.palms {
            PalmsGround::There(remote) => Palms::There(remote),
            PalmsGround::Here {
                gallery_key,
                gallery_folder,
                sealing_secret,
            } => Palms::Here {
                gallery: Box::new(Gallery::open(Setup {
                    policy: terms.identification,
                    samples_max: terms.limits.samples_max,
                    templates: Templates::new(Arc::clone(&ground.store), Arc::clone(&keyholder)),
                    key: gallery_key,
                    folder: gallery_folder,
                    entropy: Arc::clone(&ground.entropy),
                })?),
                opening_key: OpeningKey::new(SEALING_KEY_ID, sealing_secret),
            },
        };
        let sealing_key = palms.sealing_key();
        let base = Arc::new(Base {
            store: ground.store,
            writer: ground.writer,
            keyholder,
            clock: ground.clock,
            entropy: ground.entropy,
            gallery: Arc::new(palms),
            searches: Budget::new(terms.limits.searches_per_minute, MINUTE),
            matches: Budget::new(terms.limits.matches_per_hour, 60 * MINUTE),
            palms: Mutex::new(()),
        });
        let rules = Rules {
            policy: Policy(terms.policy),
            has_rail: ground.rail.is_some(),
            payment_max: terms.payment_max,
        };
        let safeguards = Safeguards::new(Arc::clone(&base));
        let cards = Cards::new(Arc::clone(&base), safeguards.clone(), ground.rail.clone());
        let payments = Payments::new(Arc::clone(&base), rules, ground.rail);
        let paper = Paper::new(
            Arc::clone(&base),
            &terms.shop_name,
            &terms.receipt,
            terms.policy.utc_offset_min,
            terms.payment_max.currency(),
        );
        let (payouts, bank) = at_the_bank(&base, &paper, &terms);
        let checkout = Checkout::new(payments.clone(), safeguards.clone(), ground.monotonic);
        Ok(Self {
            customers: Customers::new(Arc::clone(&base)),
            cards,
            enrolment: Enrolment::new(Arc::clone(&base)),
            sealing_key,
            checkout,
            payments,
            safeguards,
            paper,
            wallets: Wallets::new(Arc::clone(&base), terms.payment_max.currency()),
            payouts,
            bank,
            tills: Tills::new(base),
            calls: Arc::new(Semaphore::new(terms.limits.calls_max)),
            terms,
        })
    }

    /// Whose certificate this is.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] when it is nobody's, or a revoked till's.
    pub fn caller(&self, certificate: Fingerprint) -> Result<Caller, Error> {
        if self.terms.operators.contains(&certificate) {
            return Ok(Caller::Operator);
        }
        let till = self.tills.of_certificate(certificate)?;
        till.map(Caller::Till).ok_or(Error::PermissionDenied(
            "this certificate is not enrolled, or its till was revoked: run `palmctl till enrol`",
        ))
    }

    /// A place among the calls in progress, held until it is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] when all are taken.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.calls)
            .try_acquire_owned()
            .map_err(|_| Error::Busy)
    }

    /// The public half of the key that tills seal templates to.
    #[must_use]
    pub fn sealing_key(&self) -> &SealingKey {
        &self.sealing_key
    }

    /// Whether the certificate operates the service, so that no till may have it.
    #[must_use]
    pub fn is_operator(&self, certificate: Fingerprint) -> bool {
        self.terms.operators.contains(&certificate)
    }

    /// What the service was told by its configuration.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// What has to do with the shop's bank.
fn at_the_bank(base: &Arc<Base>, paper: &Paper, terms: &Terms) -> (Payouts, Bank) {
    let (config, currency) = (terms.bank.as_ref(), terms.payment_max.currency());
    let utc_offset_min = terms.policy.utc_offset_min;
    let payouts = Payouts::new(
        Arc::clone(base),
        config,
        &terms.shop_name,
        utc_offset_min,
        currency,
    );
    let bank = Bank::new(
        Arc::clone(base),
        paper.clone(),
        config,
        utc_offset_min,
        currency,
    );
    (payouts, bank)
}
