//! A keyholder of its own from its configuration to its stop.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use palm_proto::envelope::OpeningKey;
use tokio::sync::oneshot;
use tracing::info;
use zeroize::Zeroizing;

use super::{PrepareError, RunError, at, open_store, read_tls};
use crate::{
    api::{self, Api, TlsFiles},
    clock::SystemClock,
    config::KeyholderConfig,
    entropy::SystemEntropy,
    files::{self, KEY_BYTES},
    gallery::{
        holder::{Holder, HolderSetup},
        sealed::EpochKey,
    },
    pki::Fingerprint,
    service::SEALING_KEY_ID,
    vault,
};

/// A keyholder's configuration and what stands in the files that it names.
pub struct PreparedKeyholder {
    config: KeyholderConfig,
    matcher: Fingerprint,
    tls: TlsFiles,
    master: Zeroizing<[u8; KEY_BYTES]>,
    sealing: Zeroizing<[u8; KEY_BYTES]>,
    gallery: Zeroizing<[u8; KEY_BYTES]>,
}

impl fmt::Debug for PreparedKeyholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreparedKeyholder")
    }
}

impl PreparedKeyholder {
    /// Reads the files that a configuration names.
    ///
    /// # Errors
    /// [`PrepareError`] names the key, the file and the remedy.
    ///
    /// # Panics
    /// When the configuration was not made by [`KeyholderConfig::read`] or [`KeyholderConfig::parse`].
    pub fn load(config: KeyholderConfig) -> Result<Self, PrepareError> {
        let matcher = config.matcher();
        Ok(Self {
            matcher: matcher.expect("invariant: checked when the configuration was read"),
            tls: read_tls(&config.tls)?,
            master: files::read_key(&config.keys.master).map_err(at("keys.master"))?,
            sealing: files::read_key(&config.keys.sealing).map_err(at("keys.sealing"))?,
            gallery: files::read_key(&config.keys.gallery).map_err(at("keys.gallery"))?,
            config,
        })
    }

    /// Opens the store and serves until `stop`. `ready` is called once, when calls are taken.
    ///
    /// # Errors
    /// [`RunError`]. After [`RunError::Write`] the process must end.
    pub async fn run(
        self,
        ready: impl FnOnce(SocketAddr),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let told = serde_json::to_string(&self.config);
        let told = told.expect("invariant: a configuration is plain structs");
        info!(config = %told, "starting as a keyholder");
        let (listener, address) = api::listen(self.config.listen).await?;
        let (failing, failed) = oneshot::channel();
        let failing = Mutex::new(Some(failing));
        let holder = Holder::open(HolderSetup {
            policy: self.config.identification,
            samples_max: self.config.limits.samples_max,
            searches_per_minute: self.config.limits.searches_per_minute,
            store: open_store(&self.config.store)?,
            master: vault::Keyholder::new(*self.master),
            key: EpochKey::new(*self.gallery),
            opening_key: OpeningKey::new(SEALING_KEY_ID, *self.sealing),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy::new()),
            on_failure: Box::new(move |error| {
                let mut failing = failing.lock().unwrap_or_else(PoisonError::into_inner);
                // Nobody listens only when the process stops anyway.
                drop(failing.take().map(|first| first.send(error)));
            }),
        })?;
        let api = Api::of_keyholder(Arc::new(holder), self.matcher, &self.tls)?;
        info!(%address, "listening");
        ready(address);
        tokio::select! {
            served = api.serve(listener, stop) => served?,
            Ok(error) = failed => return Err(RunError::Write(error)),
        }
        info!("stopped");
        Ok(())
    }
}
