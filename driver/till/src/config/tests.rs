use super::*;

const EXAMPLE: &str = include_str!("../../till.example.toml");

fn refusal(text: &str) -> String {
    Config::parse(text, Path::new("/shop/till.toml"))
        .unwrap_err()
        .to_string()
}

#[test]
fn example_is_accepted_and_paths_are_relative_to_it() {
    let config = Config::parse(EXAMPLE, Path::new("/shop/till.toml")).unwrap();
    assert_eq!(config.service.ca, Path::new("/shop/ca.pem"));
    assert_eq!(config.journal, Path::new("/shop/journal"));
    assert_eq!(config.reader.kind, ReaderKind::Emulated);
    assert!(config.pages.listen.ip().is_loopback());
}

#[test]
fn absolute_paths_stay() {
    let text = EXAMPLE.replace("\"ca.pem\"", "\"/etc/ca.pem\"");
    let config = Config::parse(&text, Path::new("/shop/till.toml")).unwrap();
    assert_eq!(config.service.ca, Path::new("/etc/ca.pem"));
}

#[test]
fn wrong_keys_and_values_are_named_with_a_remedy() {
    for (from, to, expected) in [
        ("kind = \"emulated\"", "kind = \"serial\"", "kind"),
        ("kind = \"emulated\"", "kinds = \"usb\"", "kinds"),
        (
            "listen = \"127.0.0.1:8470\"",
            "listen = \"0.0.0.0:8470\"",
            "pages.listen: write 127.0.0.1",
        ),
        (
            "listen = \"127.0.0.1:8470\"",
            "listen = \"[::]:8470\"",
            "pages.listen",
        ),
        ("listen = \"127.0.0.1:8470\"", "listen = 8470", "listen"),
        (
            "https://127.0.0.1:7443",
            "http://127.0.0.1:7443",
            "service.address: write https://",
        ),
        ("[reader]", "[camera]", "camera"),
        (
            "kind = \"emulated\"",
            "kind = \"camera\"",
            "reader.accept_unattested: write accept_unattested = true",
        ),
        ("ca = \"ca.pem\"", "", "ca"),
    ] {
        assert!(EXAMPLE.contains(from), "the example lacks {from}");
        let said = refusal(&EXAMPLE.replace(from, to));
        assert!(said.contains(expected), "{to}: {said}");
        assert!(said.contains("/shop/till.toml"), "{said}");
    }
}

#[test]
fn camera_is_taken_when_it_is_allowed_by_name_and_its_quirks_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let camera = "kind = \"camera\"\naccept_unattested = true\nquirks = \"own.toml\"";
    let text = EXAMPLE.replace("kind = \"emulated\"", camera);
    let config = Config::parse(&text, &folder.path().join("till.toml")).unwrap();
    assert_eq!(config.reader.kind, ReaderKind::Camera);
    let said = config.reader.quirks().unwrap_err().to_string();
    assert!(
        said.contains("reader.quirks") && said.contains("own.toml"),
        "{said}"
    );
    let own = folder.path().join("own.toml");
    fs::write(&own, "['046d:085e']\nbits = 3").unwrap();
    assert!(config.reader.quirks().is_err());
    fs::write(&own, "['1209:0002']\nname = 'mine'").unwrap();
    let quirks = config.reader.quirks().unwrap();
    assert_eq!(quirks.of((0x1209, 2)).unwrap().name, "mine");
    assert!(quirks.of((0x046d, 0x085e)).is_some());
}

#[test]
fn reader_over_usb_needs_a_root_and_a_list_of_firmware() {
    let usb =
        |lines: &str| EXAMPLE.replace("kind = \"emulated\"", &format!("kind = \"usb\"\n{lines}"));
    let root = "ab".repeat(64);
    let digest = "cd".repeat(32);
    for (lines, expected) in [
        ("", "reader.roots: write the root"),
        (
            &format!("roots = [\"{root}\"]"),
            "reader.firmware_allowed: list",
        ),
        ("roots = [\"abc\"]", "not 128 hexadecimal digits"),
        ("firmware_allowed = [\"xx\"]", "not 64 hexadecimal digits"),
    ] {
        let said = refusal(&usb(lines));
        assert!(said.contains(expected), "{lines}: {said}");
    }
    let lines = format!("roots = [\"{root}\"]\nfirmware_allowed = [\"{digest}\"]");
    let config = Config::parse(&usb(&lines), Path::new("/shop/till.toml")).unwrap();
    let trust = config.reader.trust();
    assert_eq!(trust.firmware_allowed, [[0xcd; 32]]);
    assert!(!trust.development, "only when it is asked for");
    let config = Config::parse(&usb("development = true"), Path::new("/shop/till.toml"));
    assert_eq!(config.unwrap().reader.trust(), Trust::development());
}

#[test]
fn missing_file_says_which() {
    let said = Config::read(Path::new("/nowhere/till.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("/nowhere/till.toml") && said.contains("--config"),
        "{said}"
    );
}
