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
