use super::*;
use crate::entropy::{Entropy, SeededEntropy};

const EXAMPLE: &str = include_str!("../../palmd.example.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/palm/palmd.toml"))
}

fn with(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    EXAMPLE.replace(from, to)
}

#[test]
fn example_is_read_and_its_optional_values_are_the_defaults() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7443");
    assert_eq!(config.identification, Some(Identification::default()));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.payment_limit().to_string(), "KRW 1,000,000");
    assert_eq!(
        config.operator_fingerprints(),
        [Fingerprint::from_bytes([0; 32])]
    );
    assert_eq!(config.keys.master, Path::new("/etc/palm/master.key"));
    let path = PathBuf::from("/etc/palm/store");
    assert_eq!(config.store, StoreConfig::Sled { path });
}

#[test]
fn shop_s_account_is_checked_and_never_written() {
    let bank = |lines: &str| parse(&format!("{EXAMPLE}\n[bank]\n{lines}"));
    let config = bank("account = \"NL41 MOCK 0000 0000 01\"\n").unwrap();
    let own = config.bank.clone().unwrap();
    assert_eq!((own.holder.as_deref(), own.settle_days), (None, 3));
    let told = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
    assert!(!told.contains("MOCK"), "{told}");
    for (lines, key) in [
        ("account = \"NL42MOCK0000000001\"", "bank.account"),
        ("account = \"4242 4242 4242 4242\"", "bank.account"),
        ("account = \"1\"\nholder = \" \"", "bank.holder"),
        ("account = \"1\"\nsettle_days = 31", "bank.settle_days"),
        ("iban = \"1\"", "account"),
    ] {
        let said = bank(lines).unwrap_err().to_string();
        assert!(said.contains(key), "{said}");
    }
}

#[test]
fn memory_store_needs_no_path() {
    let text = with("kind = \"sled\"", "kind = \"memory\"").replace("path = \"store\"", "#");
    assert_eq!(parse(&text).unwrap().store, StoreConfig::Memory {});
}

#[test]
fn bad_values_are_refused_with_file_key_and_remedy() {
    let zeros = "0".repeat(64);
    let rows = [
        (
            "name = \"Corner Shop\"",
            "name = \"\"",
            "shop.name",
            "1 to 64",
        ),
        ("\"KRW\"", "\"krw\"", "shop.currency", "ISO 4217"),
        ("1_000_000", "0", "shop.payment_max_minor", "1 to"),
        (
            "1_000_000",
            "1_000_000_000_000",
            "shop.payment_max_minor",
            "1 to",
        ),
        (
            &zeros,
            "12",
            "operators.certificates_sha256",
            "64 lower-case hex",
        ),
        (
            &zeros,
            &"A".repeat(64),
            "operators.certificates_sha256",
            "64 lower-case hex",
        ),
        ("0.64", "1.5", "identification.similarity_min", "0.0 to 1.0"),
        (
            "= 0.6\n",
            "= -1.0\n",
            "identification.agreement_min",
            "0.0 to 1.0",
        ),
        ("0.03", "nan", "identification.margin_min", "0.0 to 1.0"),
        (
            "= 64\n",
            "= 1\n",
            "identification.coarse_candidates",
            "2 to 4096",
        ),
        ("600_000", "1", "limits.samples_max", "12 to"),
        ("10_000", "1", "limits.call_timeout_ms", "100 to"),
        ("= 120", "= 0", "limits.searches_per_minute", "1 to"),
        ("= 60\n", "= 0\n", "limits.matches_per_hour", "1 to"),
        ("= 512", "= 1", "identification.opened_samples", "2 to"),
    ];
    for (from, to, key, remedy) in rows {
        let message = parse(&with(from, to)).unwrap_err().to_string();
        for part in ["/etc/palm/palmd.toml", key, remedy] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }
}

#[test]
fn unknown_missing_and_mistyped_keys_are_named() {
    let rows = [
        ("[shop]", "[shop]\ncolour = \"red\"", "colour"),
        ("currency = \"KRW\"", "", "currency"),
        ("\"127.0.0.1:7443\"", "7443", "listen"),
        ("\"sled\"", "\"oracle\"", "oracle"),
        ("[log]", "[log", "palmd.example.toml"),
        ("path = \"store\"", "folder = \"store\"", "folder"),
    ];
    for (from, to, named) in rows {
        let message = parse(&with(from, to)).unwrap_err().to_string();
        assert!(message.contains("/etc/palm/palmd.toml"), "{message}");
        assert!(message.contains(named), "{message} lacks {named}");
    }
}

#[test]
fn missing_file_is_an_error_with_the_remedy() {
    let message = Config::read(Path::new("/nowhere/palmd.toml"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("--config"), "{message}");
}

#[test]
fn configurations_of_any_bytes_do_not_panic() {
    let entropy = SeededEntropy::new(7);
    let example = EXAMPLE.as_bytes();
    for _ in 0..2_000 {
        let mut draw = [0; 4];
        entropy.fill(&mut draw);
        let at = usize::from(u16::from_le_bytes([draw[0], draw[1]])) % example.len();
        let mut bytes = example.to_vec();
        bytes[at] = draw[2];
        if draw[3] < 64 {
            bytes.truncate(at);
        }
        fuzz_config(&bytes);
    }
}

const KEYHOLDER_EXAMPLE: &str = include_str!("../../keyholder.example.toml");

fn parse_keyholder(text: &str) -> Result<KeyholderConfig, ConfigError> {
    KeyholderConfig::parse(text, Path::new("/etc/holder/keyholder.toml"))
}

#[test]
fn keyholder_s_example_is_read_and_its_optional_values_are_the_defaults() {
    let config = parse_keyholder(KEYHOLDER_EXAMPLE).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7444");
    assert_eq!(config.identification, Identification::default());
    assert_eq!(config.limits, KeyholderLimits::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.matcher(), Some(Fingerprint::from_bytes([0; 32])));
    assert_eq!(config.keys.gallery, Path::new("/etc/holder/gallery.key"));
    let path = PathBuf::from("/etc/holder/store");
    assert_eq!(config.store, StoreConfig::Sled { path });
}

#[test]
fn keyholder_s_bad_values_are_refused_with_key_and_remedy() {
    let zeros = "0".repeat(64);
    for (from, to, key) in [
        (zeros.as_str(), "12", "matcher.certificate_sha256"),
        ("= 0.64", "= 1.5", "identification.similarity_min"),
        ("= 600_000", "= 1", "limits.samples_max"),
        ("= 600\n", "= 0\n", "limits.searches_per_minute"),
        ("[matcher]", "[stranger]", "stranger"),
    ] {
        assert!(KEYHOLDER_EXAMPLE.contains(from), "{from}");
        let refused = parse_keyholder(&KEYHOLDER_EXAMPLE.replacen(from, to, 1));
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains(key) && said.contains("keyholder.toml"),
            "{said}"
        );
    }
}

/// The keys of the palms are with whoever opens palms, and with nobody else.
#[test]
fn keys_of_palms_and_a_keyholder_of_its_own_exclude_each_other() {
    let link = "[keyholder]\naddress = \"https://h:1\"\ncertificate = \"m.pem\"\nkey = \"m.key\"\nca = \"l.pem\"\n";
    let judging =
        with("sealing = \"sealing.key\"\n", "").replace("gallery = \"gallery.key\"\n", "");
    let (before, after) = judging.split_once("\n[identification]\n").unwrap();
    let bare = format!("{before}\n{}", &after[after.find("[limits]").unwrap()..]);
    let split = parse(&format!("{bare}{link}")).unwrap();
    assert_eq!(split.identification, None);
    let own = split.keyholder.unwrap();
    assert_eq!(own.certificate, Path::new("/etc/palm/m.pem"));
    for (text, key, remedy) in [
        (bare.clone(), "keys.sealing", "name the file"),
        (format!("{EXAMPLE}{link}"), "keys.sealing", "leave it out"),
        (
            format!("{}{link}", with("sealing = \"sealing.key\"\n", "")),
            "keys.gallery",
            "leave it out",
        ),
        (
            format!("{judging}{link}"),
            "identification",
            "keyholder.toml says it",
        ),
        (
            format!("{bare}{}", link.replace("https", "http")),
            "keyholder.address",
            "https://",
        ),
    ] {
        let said = parse(&text).unwrap_err().to_string();
        assert!(said.contains(key) && said.contains(remedy), "{said}");
    }
}
