//! Configurations, keys and certificates that cannot be used: the program ends at once, names the key and the remedy,
//! and has touched nothing.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use palm_tests::{Shop, process::program};

/// What a program says when it does not start with this configuration.
fn refusal(name: &str, config: &Path) -> Result<String> {
    let output = Command::new(program(name)?).arg("--config").arg(config).output()?;
    assert!(!output.status.success(), "{name} took {}", config.display());
    assert!(output.status.code().is_some_and(|code| code != 101), "{name} panicked");
    Ok(String::from_utf8(output.stderr)?)
}

type Damage<'a> = &'a dyn Fn(&Path) -> Result<()>;

fn replace(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    assert!(text.contains(from), "{} has no {from}", file.display());
    Ok(fs::write(file, text.replace(from, to))?)
}

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

/// Tries each damage on a copy of its own; what is said must hold all words.
fn all_refused(program: &str, good: &Path, config: &str, rows: &[(&str, Damage<'_>, &[&str])]) -> Result<()> {
    for (number, (what, damage, words)) in rows.iter().enumerate() {
        let folder = good.with_file_name(format!("{program}-{number}"));
        copy(good, &folder)?;
        damage(&folder)?;
        let said = refusal(program, &folder.join(config))?;
        for word in *words {
            assert!(said.contains(word), "{program}, {what}: no {word:?} in: {said}");
        }
        assert!(!folder.join("store").exists(), "{program}, {what}: a store was made");
        assert!(!folder.join("journal").exists(), "{program}, {what}: a journal was made");
    }
    Ok(())
}

#[test]
fn palmd_names_what_is_wrong_with_its_files_and_touches_nothing() -> Result<()> {
    let mut shop = Shop::open()?;
    shop.stop_palmd()?;
    let config = "palmd.toml";
    all_refused("palmd", &shop.deployment(), config, &[
        ("no file", &|dir| Ok(fs::remove_file(dir.join(config))?), &["palmd.toml"]),
        ("no TOML", &|dir| Ok(fs::write(dir.join(config), "listen = ")?), &["palmd.toml"]),
        (
            "a key that is not known",
            &|dir| replace(&dir.join(config), "listen =", "lissten = 1\nlisten ="),
            &["lissten"],
        ),
        (
            "an address that is none",
            &|dir| replace(&dir.join(config), "127.0.0.1:0", "127.0.0.1:notaport"),
            &["listen"],
        ),
        ("a currency of nowhere", &|dir| replace(&dir.join(config), "KRW", "ZZZ"), &["shop.currency"]),
        (
            "no limit of a payment",
            &|dir| replace(&dir.join(config), "payment_max_minor = 1000000", "payment_max_minor = 0"),
            &["shop.payment_max_minor"],
        ),
        ("no certificate", &|dir| Ok(fs::remove_file(dir.join("server.pem"))?), &["server.pem"]),
        ("a certificate that is none", &|dir| Ok(fs::write(dir.join("server.pem"), "hello")?), &["tls.certificate"]),
        ("a CA that is none", &|dir| Ok(fs::write(dir.join("ca.pem"), "hello")?), &["tls.ca"]),
        ("a key that is none", &|dir| overwrite(&dir.join("server.key"), b"hello"), &["tls.key"]),
        ("a short master key", &|dir| overwrite(&dir.join("master.key"), &[7; 31]), &["master.key"]),
        ("a long sealing key", &|dir| overwrite(&dir.join("sealing.key"), &[7; 33]), &["sealing.key"]),
    ])
}

/// Other content, same permissions.
fn overwrite(file: &Path, content: &[u8]) -> Result<()> {
    Ok(fs::write(file, content)?)
}

#[test]
fn till_names_what_is_wrong_with_its_files_and_touches_nothing() -> Result<()> {
    let shop = Shop::open()?;
    shop.enrol_till("counter-1")?;
    let config = "till.toml";
    all_refused("palm-till", &shop.till_folder("counter-1"), config, &[
        ("no file", &|dir| Ok(fs::remove_file(dir.join(config))?), &["till.toml"]),
        ("no TOML", &|dir| Ok(fs::write(dir.join(config), "[service")?), &["till.toml"]),
        (
            "a key that is not known",
            &|dir| replace(&dir.join(config), "[reader]", "[reader]\nkindd = 1"),
            &["kindd"],
        ),
        ("a reader of no kind", &|dir| replace(&dir.join(config), "emulated", "imagined"), &["imagined"]),
        ("pages for everybody", &|dir| replace(&dir.join(config), "127.0.0.1:0", "0.0.0.0:0"), &["pages.listen"]),
        ("no TLS", &|dir| replace(&dir.join(config), "https://", "http://"), &["service.address"]),
        ("no certificate", &|dir| Ok(fs::remove_file(dir.join("till.pem"))?), &["service.certificate"]),
        ("a certificate that is none", &|dir| Ok(fs::write(dir.join("till.pem"), "hello")?), &["service.certificate"]),
        ("a CA that is none", &|dir| Ok(fs::write(dir.join("ca.pem"), "hello")?), &["service.ca"]),
        ("a key that is none", &|dir| overwrite(&dir.join("till.key"), b"hello"), &["service.key"]),
    ])
}

#[test]
fn store_sealed_with_another_master_key_is_not_opened() -> Result<()> {
    let (mut shop, till, mut page) = Shop::with_till()?;
    assert_eq!(page.enrol("Seven", "PALM 7")?.screen, "done");
    drop((till, page));
    shop.stop_palmd()?;
    let key = shop.deployment().join("master.key");
    let kept = fs::read(&key)?;
    overwrite(&key, &[7; 32])?;
    let said = refusal("palmd", &shop.deployment().join("palmd.toml"))?;
    assert!(said.contains("keys.master"), "{said}");
    overwrite(&key, &kept)?;
    shop.start_palmd()?;
    assert_eq!(shop.operator()?.customers()?.len(), 1, "nothing was lost");
    Ok(())
}

#[test]
fn palmctl_init_overwrites_nothing_and_refuses_a_wrong_shop() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("shop");
    let init = |name: &str, currency: &str| {
        palm_tests::ctl::run(&dir, &["init", "--shop-name", name, "--currency", currency])
    };
    for (name, currency, word) in [("", "KRW", "name"), ("Corner", "ZZZ", "currency"), ("Corner", "krw", "currency")] {
        let said = format!("{:#}", init(name, currency).expect_err("a refusal"));
        assert!(said.contains(word), "{said}");
        assert!(!dir.exists() || fs::read_dir(&dir)?.next().is_none(), "files were made");
    }
    init("Corner", "KRW")?;
    let key = fs::read(dir.join("master.key"))?;
    let said = format!("{:#}", init("Corner", "KRW").expect_err("a refusal"));
    assert!(said.contains("exist"), "{said}");
    assert_eq!(fs::read(dir.join("master.key"))?, key);
    Ok(())
}
