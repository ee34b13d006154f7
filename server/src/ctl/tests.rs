use std::path::Path;

use clap::Parser;
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::{
    clock::SystemClock,
    config::{Config, KeyholderConfig},
    daemon::{Prepared, PreparedKeyholder, RunError},
    entropy::SystemEntropy,
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
