//! Putting the parts together, and taking them apart again.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc::sync_channel},
    thread::JoinHandle,
};

use palm_driver::{Clock, EmulatedBus, EmulatorConfig, EmulatorHandle, SystemClock, usb::UsbBus};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use crate::{
    app,
    config::{Config, ConfigError, ReaderConfig, ReaderKind},
    entropy,
    eye::Eyes,
    journal::{Journal, JournalError},
    limits,
    offline::Offline,
    pages::Pages,
    reader::ReaderHandle,
    sensor::SyntheticSensor,
    service::Service,
};

/// Why the till did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration, or a file that it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal of payments in flight.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The pages' address is taken or not this machine's: write another port, or 0 for a free one.
    #[error(
        "pages.listen = \"{address}\": cannot listen there: write another port, or 0 for a free one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gave no thread or no runtime: too many processes, or too little memory.
    #[error("the system gives no thread: too many processes, or too little memory")]
    System(#[source] io::Error),
}

/// The till as a whole.
#[derive(Debug)]
pub struct Till;

impl Till {
    /// Starts a till in threads of its own; it works until [`RunningTill::stop`]. It starts without the service and
    /// without a reader, and waits for both. May be called inside or outside of a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] names what to change.
    pub fn start(config: Config) -> Result<RunningTill, StartError> {
        let (stop, stopped) = oneshot::channel();
        let (report, started) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("palm-till".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .map_err(StartError::System);
                let built = runtime.and_then(|runtime| {
                    let parts = runtime.block_on(assemble(&config))?;
                    Ok((runtime, parts))
                });
                match built {
                    Ok((runtime, parts)) => {
                        let seen = (parts.address, parts.emulator.clone());
                        if report.send(Ok(seen)).is_ok() {
                            runtime.block_on(serve(parts, stopped));
                        }
                        runtime.shutdown_background();
                    }
                    // Nobody listens only when the caller panicked.
                    Err(error) => drop(report.send(Err(error))),
                }
            })
            .map_err(StartError::System)?;
        let (address, emulator) = started
            .recv()
            .map_err(|_| StartError::System(io::Error::other("the till's thread ended")))??;
        Ok(RunningTill {
            address,
            emulator,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// A till at work. Dropping it stops it.
#[derive(Debug)]
pub struct RunningTill {
    address: SocketAddr,
    emulator: Option<EmulatorHandle>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RunningTill {
    /// Where the pages are.
    #[must_use]
    pub fn pages_address(&self) -> SocketAddr {
        self.address
    }

    /// The emulated reader, when there is one.
    #[must_use]
    pub fn emulator(&self) -> Option<EmulatorHandle> {
        self.emulator.clone()
    }

    /// Stops the till and waits until the reader is released and the pages are closed. A payment whose outcome is
    /// open then stands in the journal and is looked up at the next start.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            stop.send(()).unwrap_or_default();
        }
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the till's thread panicked");
        }
    }
}

impl Drop for RunningTill {
    fn drop(&mut self) {
        self.end();
    }
}

struct Assembled {
    address: SocketAddr,
    emulator: Option<EmulatorHandle>,
    listener: TcpListener,
    pages: Pages,
    parts: app::Parts,
    commands: mpsc::Receiver<app::Asked>,
    news: mpsc::Receiver<crate::reader::News>,
}

async fn assemble(config: &Config) -> Result<Assembled, StartError> {
    let service = Service::new(&config.service)?;
    let journal = Journal::open(&config.journal)?;
    let offline = config
        .offline
        .map(|caps| Offline::open(caps, &config.offline_file()));
    let offline = offline.transpose()?;
    let listen = config.pages.listen;
    let failed = |source| StartError::Listen {
        address: listen,
        source,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (eyes, emulator) = eyes_of(&config.reader, &clock)?;
    let (said, news) = mpsc::channel(limits::NEWS_MAX);
    let reader = ReaderHandle::start(eyes, Arc::clone(&clock), Box::new(entropy::system), said)
        .map_err(StartError::System)?;
    let (snapshots, seen) = watch::channel(Arc::from("{}"));
    let (asked, commands) = mpsc::channel(limits::COMMANDS_MAX);
    let pages = Pages::new(seen, asked, emulator.clone(), address.port());
    let emulated = emulator.is_some();
    let parts = app::Parts {
        clock,
        service,
        journal,
        offline,
        reader,
        emulated,
        snapshots,
    };
    Ok(Assembled {
        address,
        emulator,
        listener,
        pages,
        parts,
        commands,
        news,
    })
}

fn eyes_of(
    reader: &ReaderConfig,
    clock: &Arc<dyn Clock>,
) -> Result<(Eyes, Option<EmulatorHandle>), ConfigError> {
    match reader.kind {
        ReaderKind::Camera => {
            let quirks = reader.quirks()?;
            Ok((Eyes::cameras(quirks, Arc::clone(clock)), None))
        }
        ReaderKind::Usb => {
            let bus = Box::new(UsbBus::new());
            Ok((Eyes::readers(bus, reader.trust(), Arc::clone(clock)), None))
        }
        ReaderKind::Emulated => {
            let serial = "EMULATED-1".to_owned();
            let config = EmulatorConfig {
                serial,
                clock: Arc::clone(clock),
            };
            let emulator = EmulatorHandle::with_config(Box::<SyntheticSensor>::default(), config);
            let bus = Box::new(EmulatedBus::new(vec![emulator.clone()]));
            Ok((
                Eyes::readers(bus, reader.trust(), Arc::clone(clock))
                    .accepting_pictures(reader.pictures),
                Some(emulator),
            ))
        }
    }
}

/// Works until told to stop. The state's task ends first: that closes the event streams, and then the pages end too.
async fn serve(assembled: Assembled, stopped: oneshot::Receiver<()>) {
    let Assembled {
        listener,
        pages,
        parts,
        commands,
        news,
        ..
    } = assembled;
    let (close, closed) = oneshot::channel::<()>();
    let pages = axum::serve(listener, pages.router()).with_graceful_shutdown(async {
        // Either way the pages close.
        closed.await.unwrap_or_default();
    });
    let pages = tokio::spawn(pages.into_future());
    tokio::select! {
        () = app::run(parts, commands, news) => tracing::error!("the till's task ended by itself"),
        _ = stopped => tracing::info!("stopping"),
    }
    drop(close);
    if tokio::time::timeout(limits::CALL_TIMEOUT, pages)
        .await
        .is_err()
    {
        tracing::warn!("pages still open were cut off");
    }
}
