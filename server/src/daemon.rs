//! palmd from its configuration to its stop.
//!
//! [`Prepared::load`] reads every file that the configuration names and touches nothing; [`Prepared::run`] opens the
//! store and serves.

use std::{fmt, future::Future, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::oneshot, task::JoinSet, time::MissedTickBehavior};
use tracing::{info, warn};
use zeroize::Zeroizing;

mod keyholder;

pub use keyholder::PreparedKeyholder;

use crate::{
    api::{self, Api, ServeError, TlsFiles},
    cards::Cards,
    checkout::stages::MachineMonotonic,
    clock::SystemClock,
    config::{Config, KeyholderLink, StoreConfig, Tls, rails::Rails},
    entropy::SystemEntropy,
    files::{self, FileError, KEY_BYTES},
    gallery::{
        GalleryError,
        remote::{self, Remote, RemoteSetup},
        sealed::EpochKey,
    },
    ledger::{Ledger, LoadError},
    limits,
    payments::Payments,
    rail::{
        Rail,
        iso8583::{BookError, Iso8583},
        stripe::{Stripe, StripeError, Webhook},
    },
    service::{Ground, PalmsGround, Service, Terms},
    store::{MemoryStore, SledStore, Store, StoreError},
    vault::Keyholder,
    webhooks::Webhooks,
    writer::Writer,
};

/// A configuration and what stands in the files that it names.
pub struct Prepared {
    config: Config,
    tls: TlsFiles,
    master: Zeroizing<[u8; KEY_BYTES]>,
    palms: PalmKeys,
    webhook: Option<(SocketAddr, Webhook)>,
}

/// Where palmd listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// For tills and operators.
    pub calls: SocketAddr,
    /// For messages of the card provider, where they are taken.
    pub webhooks: Option<SocketAddr>,
}

/// Who has the keys of the palms.
enum PalmKeys {
    Here {
        sealing: Zeroizing<[u8; KEY_BYTES]>,
        gallery: Zeroizing<[u8; KEY_BYTES]>,
    },
    There(RemoteSetup),
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

/// What the configuration names cannot be used. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A file cannot be used.
    #[error("configuration: {key}")]
    File {
        /// The key, for instance `keys.master`.
        key: &'static str,
        /// The file, what is wrong with it, and what to do.
        #[source]
        source: FileError,
    },
    /// Certificate, key and CA of the link to the keyholder, or its address.
    #[error("configuration: [keyholder]")]
    Link(#[source] tonic::transport::Error),
    /// Certificate, key and CA are not PEM, or do not belong together.
    #[error("configuration: [tls]")]
    Tls(#[source] ServeError),
}

/// Why palmd stopped, or never served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The runtime stopped while the gallery was opened.
    #[error("palmd was stopped before it served")]
    Interrupted,
    /// The books in the store cannot be read.
    #[error("the ledger cannot be read from the store")]
    Ledger(#[from] LoadError),
    /// The enrolled palms cannot be searched.
    #[error("the gallery cannot be opened")]
    Open(#[from] GalleryError),
    /// The card provider cannot be used.
    #[error("rails.stripe of the configuration")]
    Stripe(#[from] StripeError),
    /// The acquirer's host cannot be used.
    #[error("rails.iso8583 of the configuration")]
    TraceBook(#[from] BookError),
    /// The wire.
    #[error("the service cannot be reached")]
    Serve(#[from] ServeError),
    /// The store cannot be opened.
    #[error("store.path of the configuration")]
    Store(#[source] StoreError),
    /// A write failed while serving.
    #[error(
        "a write to the store failed: palmd stopped, so that nothing is acknowledged that may not be on disk"
    )]
    Write(#[source] StoreError),
}

impl Prepared {
    /// Reads the files that a configuration names.
    ///
    /// # Errors
    /// [`PrepareError`] names the key, the file and the remedy.
    pub fn load(config: Config) -> Result<Self, PrepareError> {
        let tls = read_tls(&config.tls)?;
        let master = files::read_key(&config.keys.master).map_err(at("keys.master"))?;
        let palms = match (
            &config.keyholder,
            &config.keys.sealing,
            &config.keys.gallery,
        ) {
            (Some(link), ..) => PalmKeys::There(read_link(&config, link)?),
            (None, Some(sealing), Some(gallery)) => PalmKeys::Here {
                sealing: files::read_key(sealing).map_err(at("keys.sealing"))?,
                gallery: files::read_key(gallery).map_err(at("keys.gallery"))?,
            },
            (None, ..) => unreachable!("invariant: checked when the configuration was read"),
        };
        let webhook = read_webhook(&config.rails)?;
        Ok(Self {
            config,
            tls,
            master,
            palms,
            webhook,
        })
    }

    /// Opens the store and serves until `stop`. `ready` is called once, when calls are taken.
    ///
    /// # Errors
    /// [`RunError`]. After [`RunError::Write`] the process must end.
    pub async fn run(
        self,
        ready: impl FnOnce(Addresses),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let Self {
            config,
            tls,
            master,
            palms,
            webhook,
        } = self;
        let told = serde_json::to_string(&config);
        let told = told.expect("invariant: a configuration is plain structs");
        info!(config = %told, "starting");
        // The address first: a second palmd must not wait for the store of the first.
        let (listener, address) = api::listen(config.listen).await?;
        let webhook = listen_for(webhook).await?;
        let store = open_store(&config.store)?;
        let terms = Terms::of(&config);
        let ledger = Ledger::load(&*store, terms.payment_max.currency())?;
        let (failing, failed) = oneshot::channel();
        let (writer, thread) = Writer::spawn(Arc::clone(&store), ledger, move |error| {
            // Nobody listens only when the service stops anyway.
            drop(failing.send(error));
        });
        let ground = Ground {
            store,
            writer,
            keyholder: Keyholder::new(*master),
            palms: open_palms(palms, &config.store).await?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy::new()),
            monotonic: Arc::new(MachineMonotonic::start()),
            rail: open_rail(&config.rails)?,
        };
        let service = Arc::new(Service::open(terms, ground)?);
        let mut beside = JoinSet::new();
        beside.spawn(sweep(service.payments.clone()));
        beside.spawn(sweep_cards(service.cards.clone()));
        let mut addresses = Addresses {
            calls: address,
            webhooks: None,
        };
        if let Some((listener, at, webhook)) = webhook {
            addresses.webhooks = Some(at);
            let webhooks = Webhooks::new(Arc::clone(&service), webhook, Arc::new(SystemClock));
            beside.spawn(webhooks.serve(listener));
        }
        let api = Api::new(service, &tls, config.call_timeout()).await?;
        info!(?addresses, "listening");
        ready(addresses);
        tokio::select! {
            served = api.serve(listener, stop) => served?,
            Ok(error) = failed => return Err(RunError::Write(error)),
        }
        beside.shutdown().await;
        // Calls that hung up may have left commands behind: they are finished before the end.
        let stopping = tokio::task::spawn_blocking(move || thread.stop());
        drop(stopping.await);
        info!("stopped");
        Ok(())
    }
}

fn open_rail(config: &Rails) -> Result<Option<Arc<dyn Rail>>, RunError> {
    let clock = Arc::new(SystemClock);
    if let Some(stripe) = &config.stripe {
        return Ok(Some(Arc::new(Stripe::new(stripe, clock)?)));
    }
    if let Some(iso8583) = &config.iso8583 {
        return Ok(Some(Arc::new(Iso8583::start(iso8583, clock)?)));
    }
    Ok(None)
}

/// Takes up payments whose time has come, for as long as the service runs. At the start, everything in doubt.
async fn sweep(payments: Payments) {
    let mut ticks = tokio::time::interval(limits::SWEEP_PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut at_start = true;
    loop {
        ticks.tick().await;
        match payments.sweep(at_start).await {
            Ok(0) => {}
            Ok(count) => info!(count, "payments were taken up whose time had come"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "payments whose time has come wait on");
            }
        }
        at_start = false;
    }
}

/// Asks the card provider for what it is still to do, for as long as the service runs.
async fn sweep_cards(cards: Cards) {
    let mut ticks = tokio::time::interval(limits::SWEEP_PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outcome = cards.warn_of_orphans().map(|()| 0);
    loop {
        if let Err(error) = outcome {
            let error = &error as &dyn std::error::Error;
            warn!(error, "what the card provider is to do waits on");
        }
        ticks.tick().await;
        outcome = cards.sweep().await;
    }
}

fn read_webhook(config: &Rails) -> Result<Option<(SocketAddr, Webhook)>, PrepareError> {
    let stripe = config.stripe.as_ref();
    let Some((address, secret)) =
        stripe.and_then(|stripe| stripe.webhook_address.zip(stripe.webhook_secret.as_ref()))
    else {
        return Ok(None);
    };
    let webhook = Webhook::read(secret).map_err(at("rails.stripe.webhook_secret"))?;
    Ok(Some((address, webhook)))
}

type Listening = (TcpListener, SocketAddr, Webhook);

async fn listen_for(
    webhook: Option<(SocketAddr, Webhook)>,
) -> Result<Option<Listening>, ServeError> {
    let Some((address, webhook)) = webhook else {
        return Ok(None);
    };
    let (listener, address) = api::listen(address).await?;
    Ok(Some((listener, address, webhook)))
}

fn at(key: &'static str) -> impl Fn(FileError) -> PrepareError {
    move |source| PrepareError::File { key, source }
}

fn read_tls(config: &Tls) -> Result<TlsFiles, PrepareError> {
    let tls = TlsFiles {
        certificate: files::read_text(&config.certificate).map_err(at("tls.certificate"))?,
        key: files::read_secret_text(&config.key).map_err(at("tls.key"))?,
        ca: files::read_text(&config.ca).map_err(at("tls.ca"))?,
    };
    api::check(&tls).map_err(PrepareError::Tls)?;
    Ok(tls)
}

fn read_link(config: &Config, link: &KeyholderLink) -> Result<RemoteSetup, PrepareError> {
    let certificate = files::read_text(&link.certificate).map_err(at("keyholder.certificate"))?;
    let setup = RemoteSetup {
        address: link.address.clone(),
        certificate,
        key: files::read_secret_text(&link.key).map_err(at("keyholder.key"))?,
        ca: files::read_text(&link.ca).map_err(at("keyholder.ca"))?,
        folder: config.store.gallery_folder(),
        samples_max: config.limits.samples_max,
        patience: limits::LINK_PATIENCE,
    };
    remote::check(&setup).map_err(PrepareError::Link)?;
    Ok(setup)
}

async fn open_palms(keys: PalmKeys, store: &StoreConfig) -> Result<PalmsGround, RunError> {
    match keys {
        PalmKeys::Here { sealing, gallery } => Ok(PalmsGround::Here {
            gallery_key: EpochKey::new(*gallery),
            gallery_folder: store.gallery_folder(),
            sealing_secret: *sealing,
        }),
        PalmKeys::There(setup) => {
            let opening = tokio::task::spawn_blocking(move || Remote::open(&setup));
            let remote = opening.await.map_err(|_| RunError::Interrupted)??;
            Ok(PalmsGround::There(Box::new(remote)))
        }
    }
}

fn open_store(config: &StoreConfig) -> Result<Arc<dyn Store>, RunError> {
    Ok(match config {
        StoreConfig::Memory {} => Arc::new(MemoryStore::new()),
        StoreConfig::Sled { path } => Arc::new(SledStore::open(path).map_err(RunError::Store)?),
    })
}
