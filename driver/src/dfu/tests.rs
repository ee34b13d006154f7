//! Updates of the emulated reader: whole, cut at every step, and refused.

use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;
use crate::emulator::sensor::TestPattern;
use crate::emulator::{EmulatorConfig, EmulatorHandle, emulator_firmware};
use crate::maker::{EMULATOR_MODEL, Maker};
use crate::protocol::Trust;
use crate::protocol::crypto::SigningKey;
use crate::session::Reader;

const SERIAL: &str = "TEST";

struct Bench {
    clock: Arc<ManualClock>,
    emulator: EmulatorHandle,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        let config = EmulatorConfig {
            serial: SERIAL.to_owned(),
            clock: clock.clone(),
        };
        let emulator = EmulatorHandle::with_config(Box::new(TestPattern::new(8, 8)), config);
        Self { clock, emulator }
    }

    fn reader(&self) -> Reader {
        let transport = Box::new(self.emulator.transport().unwrap());
        Reader::open_with_clock(transport, &Trust::development(), self.clock.clone()).unwrap()
    }

    /// Version and security version that the reader proves to run.
    fn runs(&self) -> (String, u32) {
        let reader = self.reader();
        let proved = reader.attestation();
        (proved.firmware.clone(), proved.security_version)
    }

    fn update(&self, file: &FirmwareFile) -> Result<(), UpdateError> {
        self.reader().allow_update().unwrap();
        self.download(file)
    }

    fn download(&self, file: &FirmwareFile) -> Result<(), UpdateError> {
        let mut bus = self.emulator.clone();
        update(&mut bus, SERIAL, file, &*self.clock, &mut |_, _| ())
    }

    /// Out of the loader, as an installer does it.
    fn replug(&self) {
        self.emulator.run_script("UNPLUG\nPLUG").unwrap();
    }
}

fn image() -> Vec<u8> {
    (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect()
}

fn firmware(version: &str, security_version: u32) -> FirmwareFile {
    emulator_firmware((version, security_version), &image()).unwrap()
}

fn old() -> (String, u32) {
    (env!("CARGO_PKG_VERSION").to_owned(), 1)
}

#[test]
fn updated_reader_proves_the_new_firmware_and_keeps_it() {
    let bench = Bench::new();
    let before = bench.emulator.address();
    let mut told = Vec::new();
    bench.reader().allow_update().unwrap();
    let mut bus = bench.emulator.clone();
    let file = firmware("9.0.0", 2);
    update(&mut bus, SERIAL, &file, &*bench.clock, &mut |done, all| {
        told.push((done, all));
    })
    .unwrap();
    assert_eq!(
        told,
        [
            (4096, 10_160),
            (8192, 10_160),
            (10_160, 10_160),
            (10_160, 10_160)
        ]
    );
    assert_ne!(
        bench.emulator.address(),
        before,
        "it left the bus and came back"
    );
    assert_eq!(bench.runs(), ("9.0.0".to_owned(), 2));
    assert_eq!(bench.reader().attestation().digest, file.manifest().digest);
    bench.replug();
    assert_eq!(bench.runs(), ("9.0.0".to_owned(), 2));
}

#[test]
fn cut_at_every_request_leaves_the_old_firmware_or_the_new_one_whole() {
    let file = firmware("9.0.0", 2);
    let mut cuts = 0;
    for request in 1.. {
        let bench = Bench::new();
        bench.reader().allow_update().unwrap();
        bench
            .emulator
            .run_line(&format!("UNPLUG {request}"))
            .unwrap();
        let outcome = bench.download(&file);
        bench.emulator.run_line("PLUG").unwrap();
        match outcome {
            Ok(()) => {
                assert_eq!(bench.runs().0, "9.0.0", "cut at request {request}");
                break;
            }
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        UpdateError::Lost | UpdateError::Transport(TransportError::Disconnected)
                    ),
                    "{error}"
                );
                assert_eq!(bench.runs(), old(), "cut at request {request}");
                cuts += 1;
                bench.update(&file).unwrap();
                assert_eq!(bench.runs().0, "9.0.0", "begun again after {request}");
            }
        }
    }
    // DETACH, one question, three blocks with their questions (the first asks twice), the empty block, the question
    // that marks.
    assert_eq!(cuts, 11);
}

#[test]
fn reader_leaves_its_work_only_when_a_session_asked_a_moment_ago() {
    let bench = Bench::new();
    let file = firmware("9.0.0", 2);
    let stalled = Err(UpdateError::Transport(TransportError::Stalled));
    assert_eq!(bench.download(&file), stalled, "nobody asked");
    bench.reader().allow_update().unwrap();
    bench.clock.advance(Duration::from_secs(11));
    assert_eq!(bench.download(&file), stalled, "too long ago");
    bench.reader().allow_update().unwrap();
    bench.emulator.run_line("RESTART").unwrap();
    assert_eq!(bench.download(&file), stalled, "not by this start");
    assert_eq!(bench.runs(), old());
}

#[test]
fn file_that_must_not_run_is_refused_by_name_and_the_old_firmware_stays() {
    let signer = Maker::development();
    let signer = signer.firmware_signer();
    let build = |signer, model, security_version| {
        FirmwareFile::build(signer, model, ("9.0.0", security_version), &image()).unwrap()
    };
    let stranger = SigningKey::generate().0;
    for (file, status) in [
        (build(&stranger, EMULATOR_MODEL, 2), Status::File),
        (build(signer, "Another model", 2), Status::Target),
        (build(signer, EMULATOR_MODEL, 0), Status::RolledBack),
    ] {
        let bench = Bench::new();
        assert_eq!(bench.update(&file), Err(UpdateError::Refused(status)));
        // It waits in the loader; the next attempt clears the error.
        assert_eq!(bench.download(&file), Err(UpdateError::Refused(status)));
        bench.download(&firmware("9.0.1", 2)).unwrap();
        assert_eq!(bench.runs().0, "9.0.1");
    }
    let bench = Bench::new();
    bench.update(&firmware("9.0.0", 5)).unwrap();
    assert_eq!(bench.runs().1, 5);
    let back = Err(UpdateError::Refused(Status::RolledBack));
    assert_eq!(bench.update(&firmware("8.0.0", 4)), back);
    bench.replug();
    assert_eq!(bench.runs().1, 5);
}

/// Sends bytes block by block, as they are, and gives what the loader says of it.
fn raw(bench: &Bench, blocks: &[(u16, &[u8])]) -> Report {
    bench.reader().allow_update().unwrap();
    let mut bus = bench.emulator.clone();
    let mut port = bus.open(SERIAL, Mode::RunTime).unwrap();
    port.send(request::DETACH, 0, &[], DFU_TIMEOUT).unwrap();
    let mut port = bus.open(SERIAL, Mode::Loader).unwrap();
    let mut report = None;
    for (number, data) in blocks {
        // A refusal stalls; the report tells why.
        port.send(request::DNLOAD, *number, data, DFU_TIMEOUT)
            .unwrap_or_default();
        for _ in 0..2 {
            let bytes = port.receive(request::GETSTATUS, 6, DFU_TIMEOUT).unwrap();
            report = Some(Report::parse(&bytes).unwrap());
        }
    }
    assert_eq!(
        port.send(2, 0, &[], DFU_TIMEOUT),
        Err(TransportError::Stalled),
        "no UPLOAD"
    );
    report.unwrap()
}

#[test]
fn bytes_that_are_not_the_file_are_refused_by_the_loader() {
    let bytes = firmware("9.0.0", 2).sendable();
    let (first, rest) = bytes.split_at(4096);
    let mut changed = rest.to_vec();
    changed[100] ^= 1;
    let surplus = [rest, &[0]].concat();
    for (blocks, status) in [
        (&[(0, first), (2, rest)][..], Status::Other(14)),
        (&[(0, first), (1, &surplus)], Status::Address),
        (&[(0, first), (1, &[])], Status::NotDone),
        (&[(0, first), (1, &changed), (2, &[])], Status::Verify),
        (&[(0, &[7; 4096])], Status::File),
        (&[(0, &bytes[..100]), (1, &[])], Status::NotDone),
    ] {
        let bench = Bench::new();
        let report = raw(&bench, blocks);
        assert_eq!((report.status, report.state), (status, State::Error));
        bench.replug();
        assert_eq!(bench.runs(), old());
    }
}

#[test]
fn file_of_the_specification_is_read_and_damage_is_noticed() {
    let document = include_str!("../../PROTOCOL.md");
    let (_, after) = document.split_once("Vector `FIRMWARE_FILE`").unwrap();
    let block = after.split("```").nth(1).unwrap().split_whitespace();
    let bytes: Vec<u8> = block
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let file = FirmwareFile::parse(&bytes).unwrap();
    let manifest = file.manifest();
    assert_eq!(
        (
            manifest.model.as_str(),
            manifest.version.as_str(),
            manifest.security_version
        ),
        ("Reader", "1.2.4", 4)
    );
    assert!(manifest.is_signed_by(&Maker::development().firmware_signer().public()));
    assert_eq!(file.encode(), bytes);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(FirmwareFile::parse(&damaged).is_err(), "byte {at}");
    }
    assert_eq!(FirmwareFile::parse(&bytes[1..]), Err(FileError::Damaged));
    assert_eq!(FirmwareFile::parse(b"short"), Err(FileError::NoSuffix));
    assert!(emulator_firmware(("1", 1), &[]).is_none());
}

#[test]
fn loader_that_is_never_done_is_given_up() {
    let mut download = Download::new(&[1]);
    let report = |state| Report {
        status: Status::Ok,
        poll_ms: 0,
        state,
    };
    assert_eq!(download.step(), Step::Ask(Duration::ZERO));
    download.heard(report(State::Idle)).unwrap();
    assert!(matches!(
        download.step(),
        Step::Block {
            number: 0,
            data: [1]
        }
    ));
    let given_up = (0..=DFU_POLLS_MAX).find_map(|_| {
        assert!(matches!(download.step(), Step::Ask(_)));
        download.heard(report(State::DownloadBusy)).err()
    });
    assert_eq!(given_up, Some(UpdateError::Unexpected(State::DownloadBusy)));
    assert_eq!(download.left(), Err(UpdateError::Lost));
    for bytes in [
        &[0; 5][..],
        &[0; 7],
        &[0, 0, 0, 0, 9, 0],
        &[0, 0, 0, 0, 77, 0],
    ] {
        assert!(Report::parse(bytes).is_err());
    }
}
