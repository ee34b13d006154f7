use std::{path::Path, sync::Arc};

use clap::Parser;
use palm_models::template::{Hand, Template};
use palm_proto::id::CustomerId;
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::{
    clock::SystemClock,
    config::{Config, KeyholderConfig},
    daemon::{Prepared, PreparedKeyholder, RunError},
    entropy::SystemEntropy,
    fixture::template,
    gallery::rest,
    store::{Batch, SledStore, Store},
    vault::Keyholder,
};

async fn palmctl(line: &[&str]) -> Result<Output, CtlError> {
    let line = std::iter::once("palmctl").chain(line.iter().copied());
    run(
        Arguments::try_parse_from(line).unwrap(),
        &SystemClock,
        &SystemEntropy::new(),
    )
    .await
}

async fn init(dir: &Path) -> Result<Output, CtlError> {
    let dir = dir.to_str().unwrap();
    let shop = [
        "--shop-name",
        "Corner Shop",
        "--currency",
        "KRW",
        "--listen",
        "127.0.0.1:0",
    ];
    palmctl(&[&["--dir", dir, "init"], &shop[..]].concat()).await
}

/// The words of an error and of what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[tokio::test]
async fn deployment_is_made_once_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("shop");
    init(&dir).await.unwrap();
    let config = Config::read(&dir.join("palmd.toml")).unwrap();
    assert!(Prepared::load(config).is_ok());
    let key = std::fs::read(dir.join("master.key")).unwrap();
    let error = init(&dir).await.unwrap_err();
    assert!(
        chain(&error).contains("exists already"),
        "{}",
        chain(&error)
    );
    assert_eq!(std::fs::read(dir.join("master.key")).unwrap(), key);
}

#[tokio::test]
async fn keyholder_of_its_own_gets_the_keys_of_the_palms_and_palmd_none() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, own) = (folder.path().join("shop"), folder.path().join("holder"));
    let line = |dir: &Path| {
        let paths = [dir, own.as_path()].map(|path| path.to_str().unwrap().to_owned());
        let [dir, own] = paths;
        let shop = ["init", "--shop-name", "Corner Shop", "--currency", "KRW"];
        let holder = ["--keyholder", &own, "--keyholder-listen", "0.0.0.0:7444"];
        let all = [&["--dir", &dir], &shop[..], &holder].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = palmctl(&line(&dir).iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(told.unwrap().text.contains("palmd keyholder --config"));
    let config = Config::read(&dir.join("palmd.toml")).unwrap();
    let link = config.keyholder.as_ref().unwrap();
    assert_eq!(link.address, "https://127.0.0.1:7444");
    assert!(Prepared::load(config).is_ok());
    let config = KeyholderConfig::read(&own.join("keyholder.toml")).unwrap();
    assert!(PreparedKeyholder::load(config).is_ok());
    for (key, is_palmd_s) in [
        ("master.key", true),
        ("sealing.key", false),
        ("gallery.key", false),
    ] {
        assert!(own.join(key).exists());
        assert_eq!(dir.join(key).exists(), is_palmd_s, "{key}");
    }
    let masters = [&dir, &own].map(|folder| std::fs::read(folder.join("master.key")).unwrap());
    assert_ne!(masters[0], masters[1]);
    // Another deployment does not write over this keyholder.
    let other = line(&folder.path().join("other"));
    let refused = palmctl(&other.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(chain(&refused.unwrap_err()).contains("exists already"));
    assert!(!folder.path().join("other").exists());
}

/// A deployment in one process with two people's palms, and the samples of one of them.
async fn enrolled(dir: &Path) -> (CustomerId, Vec<Template>) {
    init(dir).await.unwrap();
    let (store, master) = opened(dir, "store");
    let person = CustomerId::from_random([1; 16]);
    let samples: Vec<_> = (0..3).map(|n| template(Hand::Right, 1, n)).collect();
    let other: Vec<_> = (0..3).map(|n| template(Hand::Left, 2, n)).collect();
    let entropy = SystemEntropy::new();
    for (customer, samples) in [
        (person, &samples),
        (CustomerId::from_random([2; 16]), &other),
    ] {
        rest::plant(&*store, &master, (customer, samples), &entropy).unwrap();
    }
    let mut batch = Batch::new();
    batch.put("ledger/1", "100");
    store.commit(&batch).unwrap();
    (person, samples)
}

fn opened(dir: &Path, store: &str) -> (Arc<dyn Store>, Arc<Keyholder>) {
    let master = *crate::files::read_key(&dir.join("master.key")).unwrap();
    let store = SledStore::open(&dir.join(store)).unwrap();
    (Arc::new(store), Arc::new(Keyholder::new(master)))
}

fn holds_palms(store: &dyn Store) -> bool {
    let palms = crate::rows::Table::Template.key(&[]);
    !store.keys(&palms, None, 1).unwrap().is_empty()
}

#[tokio::test]
async fn deployment_in_one_process_becomes_one_in_two_whatever_an_earlier_try_left() {
    let folder = tempfile::tempdir().unwrap();
    let [dir, own] = ["shop", "holder"].map(|name| folder.path().join(name));
    let (person, samples) = enrolled(&dir).await;
    let sealing = std::fs::read(dir.join("sealing.key")).unwrap();
    let [shop, holder] = [&dir, &own].map(|path| path.to_str().unwrap());
    let split = ["--dir", shop, "split", "--keyholder", holder];
    // A try that was stopped before palmd.toml was changed.
    let left = [own.clone(), dir.join("store-split"), dir.join("link.pem")];
    left.iter()
        .for_each(|path| std::fs::create_dir(path).unwrap());
    let refused = palmctl(&split).await.unwrap_err();
    assert!(
        chain(&refused).contains("exists already"),
        "{}",
        chain(&refused)
    );
    let note = format!("made = {left:?}\nold = []\n");
    std::fs::write(dir.join("split.unfinished"), note).unwrap();
    let told = palmctl(&split).await.unwrap().text;
    assert!(told.contains("Moved 6 palm samples"), "{told}");

    let config = Config::read(&dir.join("palmd.toml")).unwrap();
    assert!(config.keyholder.is_some() && Prepared::load(config).is_ok());
    let config = KeyholderConfig::read(&own.join("keyholder.toml")).unwrap();
    assert!(PreparedKeyholder::load(config).is_ok());
    assert_eq!(std::fs::read(own.join("sealing.key")).unwrap(), sealing);
    for name in ["sealing.key", "gallery.key", "store", "split.unfinished"] {
        assert!(!dir.join(name).exists(), "{name}");
    }
    let (store, master) = opened(&own, "store");
    let palms = rest::Templates::new(store, master);
    assert_eq!(palms.of_palm(person, Hand::Right).unwrap(), samples);
    let (store, master) = opened(&dir, "store-split");
    assert_eq!(
        store.get(b"ledger/1").unwrap().as_deref(),
        Some(&b"100"[..])
    );
    assert!(!holds_palms(&*store));
    // It still opens names.
    assert!(
        crate::base::person_key(&*store, &master, person)
            .unwrap()
            .is_some()
    );
    drop(store);

    // A try that was stopped after palmd.toml was changed: the rest is deleted.
    let refused = palmctl(&split).await.unwrap_err();
    assert!(chain(&refused).contains("names a keyholder already"));
    std::fs::create_dir(dir.join("store")).unwrap();
    let note = format!("made = []\nold = [{:?}]\n", dir.join("store"));
    std::fs::write(dir.join("split.unfinished"), note).unwrap();
    palmctl(&split).await.unwrap();
    assert!(!dir.join("store").exists() && dir.join("store-split").exists());
}

#[tokio::test]
async fn deployment_whose_palmd_runs_is_not_split() {
    let shop = Running::start().await;
    let holder = shop.path("holder");
    let dir = shop.folder.path().join("shop");
    let line = [
        "--dir",
        dir.to_str().unwrap(),
        "split",
        "--keyholder",
        &holder,
    ];
    let refused = chain(&palmctl(&line).await.unwrap_err());
    assert!(refused.contains("another process"), "{refused}");
    assert!(!Path::new(&holder).exists() && !dir.join("split.unfinished").exists());
}

#[tokio::test]
async fn link_s_certificates_are_renewed_at_both_ends_or_made_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let [dir, own, sent] = ["shop", "holder", "sent"].map(|name| folder.path().join(name));
    let [shop, holder, away] = [&dir, &own, &sent].map(|path| path.to_str().unwrap());
    let renew = ["--dir", shop, "renew-link", "--keyholder", holder];
    init(&dir).await.unwrap();
    let refused = chain(&palmctl(&renew).await.unwrap_err());
    assert!(refused.contains("no link to renew"), "{refused}");
    palmctl(&["--dir", shop, "split", "--keyholder", holder])
        .await
        .unwrap();
    let read = || {
        let config = KeyholderConfig::read(&own.join("keyholder.toml")).unwrap();
        let link = [&dir, &own].map(|end| std::fs::read(end.join("link.pem")).unwrap());
        assert_eq!(link[0], link[1]);
        let matcher = config.matcher();
        assert!(PreparedKeyholder::load(config).is_ok());
        let config = Config::read(&dir.join("palmd.toml")).unwrap();
        assert!(Prepared::load(config).is_ok());
        (matcher, link)
    };
    let before = read();
    palmctl(&renew).await.unwrap();
    let after = read();
    assert!(before.0 != after.0 && before.1 != after.1);
    let told = palmctl(&["--dir", shop, "renew-link", "--keyholder", away]).await;
    let told = told.unwrap().text;
    assert!(told.contains("certificate_sha256 = "), "{told}");
    for name in ["link.pem", "keyholder.pem", "keyholder.key"] {
        assert!(sent.join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn bad_shop_is_refused_before_a_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("shop");
    let rows = [
        ("", "KRW", "1", "shop.name"),
        ("Corner Shop", "won", "1", "shop.currency"),
        ("Corner Shop", "KRW", "0", "shop.payment_max_minor"),
    ];
    for (name, currency, max, key) in rows {
        let shop = [
            "--shop-name",
            name,
            "--currency",
            currency,
            "--payment-max",
            max,
        ];
        let line = [&["--dir", dir.to_str().unwrap(), "init"], &shop[..]].concat();
        let error = palmctl(&line).await.unwrap_err();
        assert!(chain(&error).contains(key), "{}", chain(&error));
    }
    assert!(!dir.exists());
}

#[tokio::test]
async fn deployment_that_is_missing_or_not_running_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("shop");
    let path = dir.to_str().unwrap();
    let error = palmctl(&["--dir", path, "till", "list"]).await.unwrap_err();
    assert!(chain(&error).contains("palmctl init"), "{}", chain(&error));
    init(&dir).await.unwrap();
    let address = ["--address", "https://127.0.0.1:1"];
    let line = [&["--dir", path, "till", "list"], &address[..]].concat();
    let error = palmctl(&line).await.unwrap_err();
    assert!(
        chain(&error).contains("palmd --config"),
        "{}",
        chain(&error)
    );
    let line = [
        "--dir",
        path,
        "till",
        "list",
        "--address",
        "http://127.0.0.1:1",
    ];
    let error = palmctl(&line).await.unwrap_err();
    assert!(chain(&error).contains("https://"), "{}", chain(&error));
}

/// A deployment in a folder, and its palmd.
struct Running {
    folder: tempfile::TempDir,
    address: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("shop");
        init(&dir).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let prepared = prepared(&dir);
        let serving = tokio::spawn(
            prepared.run(move |address| ready.send(address).unwrap(), async {
                drop(stopped.await)
            }),
        );
        let address = format!("https://{}", is_ready.await.unwrap().calls);
        Self {
            folder,
            address,
            stop,
            serving,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    async fn ask(&self, line: &[&str]) -> Result<Output, CtlError> {
        let dir = self.path("shop");
        let base = ["--dir", &dir, "--address", &self.address];
        palmctl(&[&base[..], line].concat()).await
    }
}

fn prepared(dir: &Path) -> Prepared {
    Prepared::load(Config::read(&dir.join("palmd.toml")).unwrap()).unwrap()
}

#[tokio::test]
async fn till_gets_its_files_once_and_is_revoked() {
    let shop = Running::start().await;
    let out = shop.path("till");
    let line = [
        "till",
        "enrol",
        "counter-1",
        "--out",
        &out,
        "--reader",
        "emulated",
    ];
    let answer = shop.ask(&line).await.unwrap();
    assert!(answer.text.contains("tills/counter-1"), "{}", answer.text);
    for name in ["till.toml", "till.pem", "till.key", "ca.pem"] {
        assert!(Path::new(&out).join(name).exists(), "{name}");
    }
    let other = shop.path("other");
    let again = ["till", "enrol", "counter-1", "--out", &other];
    let error = shop.ask(&again).await.unwrap_err();
    assert!(chain(&error).contains("ID_REUSED"), "{}", chain(&error));
    assert!(!Path::new(&other).join("till.key").exists());
    let over = ["till", "enrol", "counter-2", "--out", &out];
    let error = shop.ask(&over).await.unwrap_err();
    assert!(
        chain(&error).contains("exists already"),
        "{}",
        chain(&error)
    );
    let answer = shop
        .ask(&["till", "revoke", "counter-1", "--json"])
        .await
        .unwrap();
    let till: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(till["revoked"], true);
}

#[tokio::test]
async fn money_and_lists_are_worked_over_the_wire() {
    let shop = Running::start().await;
    let nobody = "customers/67e55044-10b1-426f-9247-bb680e5fe0c8";
    let error = shop
        .ask(&["wallet", "top-up", nobody, "100"])
        .await
        .unwrap_err();
    assert!(chain(&error).contains("NOT_FOUND"), "{}", chain(&error));
    let error = shop
        .ask(&["wallet", "top-up", nobody, "0"])
        .await
        .unwrap_err();
    assert!(
        chain(&error).contains("1 to 999999999999"),
        "{}",
        chain(&error)
    );
    let answer = shop.ask(&["ledger", "audit", "--json"]).await.unwrap();
    let audit: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(
        (answer.is_ok, &audit["transfers"]),
        (true, &serde_json::json!(0))
    );
    for line in [["customer", "list"], ["payment", "list"], ["till", "list"]] {
        assert!(shop.ask(&line).await.unwrap().text.starts_with("NAME"));
    }
}

#[tokio::test]
async fn second_palmd_on_a_store_is_told_so_and_a_stop_frees_it() {
    let shop = Running::start().await;
    let dir = shop.folder.path().join("shop");
    let second = prepared(&dir).run(|_| {}, std::future::ready(()));
    let error = second.await.unwrap_err();
    assert!(
        chain(&error).contains("another process"),
        "{}",
        chain(&error)
    );
    shop.stop.send(()).unwrap();
    shop.serving.await.unwrap().unwrap();
    prepared(&dir)
        .run(|_| {}, std::future::ready(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn files_that_palmd_cannot_use_are_named_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("shop");
    init(&dir).await.unwrap();
    std::fs::remove_file(dir.join("sealing.key")).unwrap();
    let config = Config::read(&dir.join("palmd.toml")).unwrap();
    let error = Prepared::load(config).unwrap_err();
    for part in ["keys.sealing", "sealing.key", "cannot be read"] {
        assert!(chain(&error).contains(part), "{}", chain(&error));
    }
}

#[tokio::test]
async fn certificate_that_is_not_the_key_s_is_refused_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("shop");
    init(&dir).await.unwrap();
    for text in [
        std::fs::read(dir.join("operator.pem")).unwrap(),
        b"x".to_vec(),
    ] {
        std::fs::write(dir.join("server.pem"), text).unwrap();
        let config = Config::read(&dir.join("palmd.toml")).unwrap();
        let error = Prepared::load(config).unwrap_err();
        assert!(
            chain(&error).contains("tls.certificate"),
            "{}",
            chain(&error)
        );
    }
    assert!(!dir.join("store").exists());
}

#[test]
fn arguments_that_cannot_be_read_are_refused() {
    for line in [
        ["palmctl", "till", "revoke", "Counter 1"],
        ["palmctl", "customer", "show", "kim"],
        ["palmctl", "payment", "show", "1"],
    ] {
        assert!(Arguments::try_parse_from(line).is_err());
    }
}
