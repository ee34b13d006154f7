//! The command `palm-reader` as an installer meets it, on the emulated reader.

use std::path::Path;
use std::process::{Command, Output};

fn palm_reader(script: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("script");
    std::fs::write(&path, script).expect("room for a script");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_palm-reader"))
        .arg("--emulate")
        .arg(&path)
        .args(arguments)
        .output()
        .expect("the command was built");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        status.code().expect("not killed"),
        text(stdout),
        text(stderr),
    )
}

#[test]
fn capture_writes_the_burst_as_png() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new folder");
    let (status, stdout, stderr) =
        palm_reader("PALM 7", &["capture", "--out", out.to_str().unwrap()]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(stdout.lines().count(), 10, "{stdout}");
    let names = ["0-ambient", "1-nir", "2-visible", "3-nir", "4-nir"];
    for name in names {
        let picture = palm_driver::picture::read_grey(&out.join(format!("{name}.png"))).unwrap();
        assert_eq!((picture.width, picture.height), (720, 1024));
    }
    let into_a_file = Path::new(env!("CARGO_BIN_EXE_palm-reader")).join("sub");
    let (status, _, stderr) = palm_reader(
        "PALM 7",
        &["capture", "--out", into_a_file.to_str().unwrap()],
    );
    assert_eq!(status, 1);
    assert!(stderr.contains("cannot make the folder"), "{stderr}");
}

#[test]
fn watch_prints_a_line_for_each_thing_that_happens() {
    let script = "PALM 7\nHINT tilted\nBUTTON\nTAMPER\nSLEEP 10\nUNPLUG\nPLUG";
    let (status, stdout, stderr) = palm_reader(script, &["watch"]);
    assert_eq!(status, 0, "{stderr}");
    for line in [
        "arrived, OpenPalm emulator",
        "plug 1 serial EMULATED-1: left",
        "plug 2",
    ] {
        assert!(stdout.contains(line), "no {line:?} in\n{stdout}");
    }
}

#[test]
fn watch_shows_what_the_reader_sees() {
    let folder = tempfile::tempdir().unwrap();
    let png = folder.path().join("live.png");
    let arguments = ["watch", "--picture", "--png", png.to_str().unwrap()];
    let (status, stdout, stderr) = palm_reader("PALM 7", &arguments);
    assert_eq!(status, 0, "{stderr}");
    assert!(stdout.contains("\u{2580}"), "half blocks: {stdout}");
    let picture = palm_driver::picture::read_grey(&png).unwrap();
    assert_eq!((picture.width, picture.height), (720, 1024));
}

fn says(script: &str, arguments: &[&str], wanted: &[&str]) -> String {
    let (status, stdout, stderr) = palm_reader(script, arguments);
    assert_eq!(status, 0, "{arguments:?}: {stderr}");
    for text in wanted {
        assert!(stdout.contains(text), "no {text:?} in\n{stdout}");
    }
    stdout
}

#[test]
fn reader_is_described_attested_and_tested() {
    let by = "by the development root, which anybody can use: not for payments";
    says(
        "",
        &["list"],
        &["OpenPalm emulator", "attested by the development root only"],
    );
    says(
        "",
        &["info"],
        &["serial:     EMULATED-1", "attested:   yes", by],
    );
    let attested = says(
        "",
        &["attest"],
        &["EMULATED-1: attested", by, "security version: 1"],
    );
    let digest = attested.lines().last().unwrap();
    let digest = digest.strip_prefix("digest:           ").unwrap();
    assert_eq!(digest.len(), 64);
    says("", &["attest", "--allow-firmware", digest], &["attested"]);
    says(
        "",
        &["self-test"],
        &["camera: good", "sounder: not tried", "temperature: 31.50 C"],
    );
    let other = "ab".repeat(32);
    for (script, arguments, wanted) in [
        (
            "",
            &["attest", "--allow-firmware", &other][..],
            "is not allowed",
        ),
        (
            "",
            &["capture", "--allow-firmware", &other],
            "say whom to trust",
        ),
        ("TAMPER", &["self-test"], "the reader was opened or moved"),
        (
            "",
            &["attest", "--root", "12"],
            "not 128 hexadecimal digits",
        ),
    ] {
        let (status, _, stderr) = palm_reader(script, arguments);
        assert_ne!(status, 0, "{arguments:?}");
        assert!(stderr.contains(wanted), "{arguments:?}: {stderr}");
    }
    let (status, stdout, _) = palm_reader("", &["info", "--allow-firmware", &other]);
    assert_eq!(status, 0);
    assert!(stdout.contains("attested:   NO: firmware"), "{stdout}");
}

#[test]
fn recording_of_synthetic_palms_replays_through_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.oprr");
    let file = file.to_str().unwrap();
    let script = "PALM 7\nSLEEP 5\nLIFT\nPALM 8 L\nSLEEP 5";
    says(
        script,
        &["record", "--bursts", "2", "--out", file],
        &["burst 2 of 2", "delete it"],
    );
    let out = folder.path().join("pictures");
    let arguments = ["replay", file, "--out", out.to_str().unwrap()];
    let stdout = says("", &arguments, &["hand present"]);
    assert_eq!(
        stdout.matches("burst of 5, the same bytes").count(),
        2,
        "{stdout}"
    );
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 10);
    let again = palm_reader(script, &["record", "--out", file]);
    assert!(
        again.0 == 1 && again.2.contains("cannot make"),
        "never written over: {}",
        again.2
    );
    std::fs::write(file, b"OPRR and no more").unwrap();
    let (status, _, stderr) = palm_reader("", &["replay", file]);
    assert!(
        status == 1 && stderr.contains("not a recording"),
        "{stderr}"
    );
}

#[test]
fn maker_makes_keys_and_firmware_and_a_reader_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (keys, image, file) = (path("keys"), path("image"), path("firmware.opfw"));
    let made = says(
        "",
        &["make", "keys", "--model", "Counter 1", "--out", &keys],
        &["root: "],
    );
    let root = made.lines().next().unwrap().strip_prefix("root: ").unwrap();
    assert_eq!(root.len(), 128);
    let device = [
        "make", "device", "--keys", &keys, "--serial", "0001", "--point", root,
    ];
    let device = says(
        "",
        &device,
        &[
            "model certificate: 4f504d43",
            "device certificate: 4f504443",
        ],
    );
    assert_eq!(device.lines().count(), 2);
    std::fs::write(&image, vec![7; 20_000]).unwrap();
    let version = [
        "make",
        "firmware",
        "--version",
        "2.0.0",
        "--security-version",
    ];
    let development = [&version[..], &["3", &image, "--out", &file]].concat();
    says("", &development, &["digest: "]);
    let wanted = ["-> 2.0.0", "100 %", "runs firmware 2.0.0"];
    says("", &["update", &file], &wanted);
    let (status, _, stderr) = palm_reader("UNPLUG 6", &["update", &file]);
    assert!(
        status == 1 && stderr.contains("the reader did not come back"),
        "{stderr}"
    );
    let own = path("own.opfw");
    let other = [&version[..], &["3", &image, "--keys", &keys, "--out", &own]].concat();
    says("", &other, &["digest: "]);
    let (status, _, stderr) = palm_reader("", &["update", &own]);
    assert!(
        status == 1 && stderr.contains("signature is wrong"),
        "{stderr}"
    );
    let model = [&other[..], &["--model", "Counter 1"]].concat();
    let refused = palm_reader("", &model);
    assert!(
        refused.0 == 1 && refused.2.contains("cannot write"),
        "{}",
        refused.2
    );
    let mut damaged = std::fs::read(&file).unwrap();
    damaged[500] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let (status, _, stderr) = palm_reader("", &["update", &file]);
    assert!(status == 1 && stderr.contains("fetch it again"), "{stderr}");
}

#[test]
fn trouble_is_named_and_has_its_status() {
    for (script, arguments, status, text) in [
        ("", &["list"][..], 0, ""),
        ("", &["list", "--serial", "NONE"], 3, "no palm reader found"),
        (
            "",
            &["capture", "--serial", "NONE"],
            3,
            "no palm reader found",
        ),
        ("", &["dance"], 2, "unrecognized subcommand"),
        (
            "LIFT\nJUMP",
            &["watch"],
            1,
            "line 2: unknown word \"JUMP\"; allowed: PALM",
        ),
        (
            "UNPLUG 4",
            &["capture"],
            1,
            "the reader is gone: plug it in again",
        ),
        (
            "IMAGE /nowhere.png",
            &["capture"],
            1,
            "cannot open /nowhere.png: No such file",
        ),
    ] {
        let (code, _, stderr) = palm_reader(script, arguments);
        assert_eq!(code, status, "{script:?} {arguments:?}: {stderr}");
        assert!(stderr.contains(text), "{script:?} {arguments:?}: {stderr}");
        assert!(
            stderr.matches("unknown word").count() < 2,
            "said twice: {stderr}"
        );
    }
}

#[test]
fn shipped_udev_rule_names_the_readers_of_this_driver() {
    let rule = include_str!("../99-openpalm.rules");
    let vendor = format!("ATTR{{idVendor}}==\"{:04x}\"", palm_driver::usb::VENDOR_ID);
    let product = format!(
        "ATTR{{idProduct}}==\"{:04x}\"",
        palm_driver::usb::PRODUCT_ID
    );
    assert!(rule.contains(&vendor) && rule.contains(&product));
}
