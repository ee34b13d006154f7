//! Configurations, keys and certificates that cannot be used: the program ends at once, names the key and the remedy,
//! and has touched nothing.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use palm_tests::{Shop, process::program};

/// What a program says when it does not start with this configuration.
fn refusal(name: &str, config: &Path) -> Result<String> {
    let output = Command::new(program(name)?)
        .arg("--config")
        .arg(config)
        .output()?;
    assert!(!output.status.success(), "{name} took {}", config.display());
    assert!(
        output.status.code().is_some_and(|code| code != 101),
        "{name} panicked"
    );
    Ok(String::from_utf8(output.stderr)?)
}

/// What is done to a good folder.
enum Damage {
    Gone(&'static str),
    /// A file with other content.
    Holds(&'static str, &'static [u8]),
    /// The configuration with one text for another.
    Says(&'static str, &'static str),
}
use Damage::{Gone, Holds, Says};

impl Damage {
    fn inflict(&self, folder: &Path, config: &str) -> Result<()> {
        match self {
            Gone(name) => fs::remove_file(folder.join(name))?,
            Holds(name, content) => fs::write(folder.join(name), content)?,
            Says(from, to) => {
                let text = fs::read_to_string(folder.join(config))?;
                assert!(text.contains(from), "{config} has no {from}");
                fs::write(folder.join(config), text.replace(from, to))?;
            }
        }
        Ok(())
    }
}

/// A damage, and what must be named.
type Row = (Damage, &'static str);

/// Copies the plain files of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Tries each damage on a copy of its own.
fn all_refused(program: &str, good: &Path, config: &str, rows: &[Row]) -> Result<()> {
    for (number, (damage, word)) in rows.iter().enumerate() {
        let folder = good.with_file_name(format!("{program}-{number}"));
        copy(good, &folder)?;
        damage.inflict(&folder, config)?;
        let said = refusal(program, &folder.join(config))?;
        assert!(said.contains(word), "{program}: no {word:?} in: {said}");
        assert!(
            said.len() > word.len() + 10,
            "{program}: no remedy in: {said}"
        );
        for made in ["store", "journal"] {
            assert!(
                !folder.join(made).exists(),
                "{program}, {word}: a {made} was made"
            );
        }
    }
    Ok(())
}

const PALMD: [Row; 12] = [
    (Gone("palmd.toml"), "palmd.toml"),
    (Holds("palmd.toml", b"listen = "), "palmd.toml"),
    (Says("listen =", "lissten = 1\nlisten ="), "lissten"),
    (Says("127.0.0.1:0", "127.0.0.1:notaport"), "listen"),
    (Says("KRW", "ZZZ"), "shop.currency"),
    (
        Says("payment_max_minor = 1000000", "payment_max_minor = 0"),
        "shop.payment_max_minor",
    ),
    (Gone("server.pem"), "server.pem"),
    (Holds("server.pem", b"hello"), "tls.certificate"),
    (Holds("ca.pem", b"hello"), "tls.ca"),
    (Holds("server.key", b"hello"), "tls.key"),
    (Holds("master.key", &[7; 31]), "master.key"),
    (Holds("sealing.key", &[7; 33]), "sealing.key"),
];

const TILL: [Row; 10] = [
    (Gone("till.toml"), "till.toml"),
    (Holds("till.toml", b"[service"), "till.toml"),
    (Says("[reader]", "[reader]\nkindd = 1"), "kindd"),
    (Says("emulated", "imagined"), "imagined"),
    (Says("127.0.0.1:0", "0.0.0.0:0"), "pages.listen"),
    (Says("https://", "http://"), "service.address"),
    (Gone("till.pem"), "service.certificate"),
    (Holds("till.pem", b"hello"), "service.certificate"),
    (Holds("ca.pem", b"hello"), "service.ca"),
    (Holds("till.key", b"hello"), "service.key"),
];

#[test]
fn palmd_names_what_is_wrong_with_its_files_and_touches_nothing() -> Result<()> {
    let mut shop = Shop::open()?;
    shop.stop_palmd()?;
    all_refused("palmd", &shop.deployment(), "palmd.toml", &PALMD)
}

#[test]
fn till_names_what_is_wrong_with_its_files_and_touches_nothing() -> Result<()> {
    let shop = Shop::open()?;
    shop.enrol_till("counter-1")?;
    all_refused(
        "palm-till",
        &shop.till_folder("counter-1"),
        "till.toml",
        &TILL,
    )
}

#[test]
fn store_sealed_with_another_master_key_is_not_opened() -> Result<()> {
    let (mut shop, till, mut page) = Shop::with_till()?;
    assert_eq!(page.enrol("Seven", "PALM 7")?.screen, "done");
    drop((till, page));
    let customers = shop.operator()?.customers()?;
    shop.stop_palmd()?;
    let key = shop.deployment().join("master.key");
    let kept = fs::read(&key)?;
    fs::write(&key, [7; 32])?;
    let said = refusal("palmd", &shop.deployment().join("palmd.toml"))?;
    assert!(said.contains("keys.master"), "{said}");
    fs::write(&key, &kept)?;
    shop.start_palmd()?;
    assert_eq!(shop.operator()?.customers()?, customers, "nothing was lost");
    Ok(())
}

#[test]
fn palmctl_init_overwrites_nothing_and_refuses_a_wrong_shop() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("shop");
    let init = |name: &str, currency: &str| {
        palm_tests::ctl::run(&dir, &["init", "--shop-name", name, "--currency", currency])
    };
    for (name, currency, word) in [
        ("", "KRW", "name"),
        ("Corner", "ZZZ", "currency"),
        ("Corner", "krw", "currency"),
    ] {
        let said = format!("{:#}", init(name, currency).expect_err("a refusal"));
        assert!(said.contains(word), "{said}");
        assert!(
            !dir.exists() || fs::read_dir(&dir)?.next().is_none(),
            "files were made"
        );
    }
    init("Corner", "KRW")?;
    let key = fs::read(dir.join("master.key"))?;
    let said = format!("{:#}", init("Corner", "KRW").expect_err("a refusal"));
    assert!(said.contains("exist"), "{said}");
    assert_eq!(fs::read(dir.join("master.key"))?, key);
    Ok(())
}
