use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use palm_models::template::{Hand, Template};
use palm_proto::id::{PaymentId, TillId};
use tokio::{runtime::Runtime, sync::oneshot};

use super::*;
use crate::{
    api::{self, Api, TlsFiles},
    clock::{Clock, SystemClock},
    entropy::{Entropy, SeededEntropy},
    fixture::{krw, template},
    gallery::{
        holder::{
            Holder,
            tests::{KNOWN, PEOPLE, crowd, customer, setup},
        },
        palms::{Opened, Palms},
    },
    pki::{Authority, Credential},
    store::MemoryStore,
};

/// A link's certificates, and a keyholder that listens where it listened before.
struct Site {
    runtime: Runtime,
    store: Arc<MemoryStore>,
    tls: Arc<TlsFiles>,
    ca: String,
    matcher: Credential,
    stranger: Credential,
    address: SocketAddr,
    stop: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
}

impl Site {
    fn new(store: Arc<MemoryStore>) -> Self {
        let now = SystemClock.now();
        let (authority, ca) = Authority::create("test", now).unwrap();
        let own = authority.keyholder(now).unwrap();
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap(),
            store,
            tls: Arc::new(TlsFiles {
                certificate: own.certificate,
                key: own.key,
                ca: ca.certificate.clone(),
            }),
            ca: ca.certificate,
            matcher: authority.matcher(now).unwrap(),
            stranger: authority.matcher(now).unwrap(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            stop: None,
        }
    }

    fn start(&mut self, seed: u64) {
        let holder = Holder::open(setup(&self.store, 1, seed)).unwrap();
        let listening = self.runtime.block_on(api::listen(self.address));
        let (listener, address) = listening.unwrap();
        self.address = address;
        let _entered = self.runtime.enter();
        let matcher = self.matcher.fingerprint;
        let api = Api::of_keyholder(Arc::new(holder), matcher, &self.tls).unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = self.runtime.spawn(async {
            let stopped = async { drop(stopped.await) };
            api.serve(listener, stopped).await.unwrap();
        });
        self.stop = Some((stop, serving));
    }

    fn stop(&mut self) {
        let (stop, serving) = self.stop.take().unwrap();
        drop(stop);
        self.runtime.block_on(serving).unwrap();
    }

    fn setup(&self, own: &Credential, folder: Option<PathBuf>) -> RemoteSetup {
        RemoteSetup {
            address: format!("https://{}", self.address),
            certificate: own.certificate.clone(),
            key: own.key.clone(),
            ca: self.ca.clone(),
            folder,
            samples_max: 10_000,
            patience: limits::LINK_PAUSE,
        }
    }

    fn open(&self, setup: RemoteSetup) -> Result<Remote, GalleryError> {
        let opening = self.runtime.spawn_blocking(move || Remote::open(&setup));
        self.runtime.block_on(opening).unwrap()
    }
}

fn binding() -> Binding {
    Binding::Payment {
        till: TillId::new("counter-1").unwrap(),
        payment: PaymentId::from_random([1; 16]),
        amount: krw(100),
    }
}

fn identify(palms: &Palms, sample: &Template, sent: u8) -> Result<Identity, Error> {
    let entropy = SeededEntropy::new(sent.into());
    let mut fill = |out: &mut [u8]| entropy.fill(out);
    let key = palms.sealing_key();
    let sealed = key.seal(&sample.to_bytes(), &binding(), [sent; 16], &mut fill);
    let opened: Opened = palms.open(&binding(), &[sealed.unwrap()])?;
    palms.identify(opened)
}

#[test]
fn keyholder_that_is_away_or_knows_another_matcher_is_a_clear_error() {
    let mut site = Site::new(Arc::new(MemoryStore::new()));
    site.start(1);
    let stranger = site.open(site.setup(&site.stranger, None));
    assert!(
        matches!(stranger, Err(GalleryError::Keyholder(_))),
        "{stranger:?}"
    );
    let remote = site.open(site.setup(&site.matcher, None)).unwrap();
    assert_eq!(remote.sealing_key().id, 1);
    site.stop();
    let away = site
        .open(site.setup(&site.matcher, None))
        .unwrap_err()
        .to_string();
    assert!(away.contains("palmd keyholder --config"), "{away}");
    let palms = Palms::There(Box::new(remote));
    let unanswered = identify(&palms, &template(Hand::Right, 1, 9), 1);
    assert!(
        matches!(unanswered, Err(Error::KeyholderAway)),
        "{unanswered:?}"
    );
    let unanswered = palms.forget(customer(1));
    assert!(
        matches!(unanswered, Err(Error::KeyholderAway)),
        "{unanswered:?}"
    );
}

/// The block goes over the wire, to disk, and is there after a restart of either end.
#[test]
fn blocks_are_searched_over_the_wire_and_outlive_both_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::new(crowd());
    site.start(1);
    let own = || Some(folder.path().to_owned());
    let palms = Palms::There(Box::new(
        site.open(site.setup(&site.matcher, own())).unwrap(),
    ));
    let mut sent = 0;
    let mut all_are_found = |palms: &Palms| {
        for n in KNOWN {
            sent += 1;
            let found = identify(palms, &template(Hand::Right, n, 9), sent).unwrap();
            assert_eq!(found, Identity::Match(customer(n)));
        }
        sent += 1;
        let stranger = template(Hand::Right, PEOPLE + 1, 9);
        assert_eq!(identify(palms, &stranger, sent).unwrap(), Identity::NoMatch);
    };
    all_are_found(&palms);
    let blocks = || {
        std::fs::read_dir(folder.path().join("right-2"))
            .unwrap()
            .count()
    };
    assert_eq!(blocks(), 1);
    site.stop();
    site.start(2);
    // The first search finds out that the keyholder is another, and attaches.
    all_are_found(&palms);
    drop(palms);
    let palms = Palms::There(Box::new(
        site.open(site.setup(&site.matcher, own())).unwrap(),
    ));
    all_are_found(&palms);
    assert_eq!(blocks(), 1, "read, not made again");
}
