//! The fault table of `PROTOCOL.md`: what may go wrong between host and reader, the named outcome of each, and that the
//! reader serves again afterwards, without a new program.

use std::collections::BTreeSet;

use super::*;
use crate::maker::Maker;
use crate::protocol::crypto::SigningKey;
use crate::protocol::{AttestError, Purpose, Ticket};

const PAYMENT: Ticket = Ticket {
    nonce: NONCE,
    purpose: Purpose::Payment([0x0a; 16]),
};

fn pay(reader: &mut Reader) -> Result<Vec<Frame>, ReaderError> {
    reader.capture(&plan(), PAYMENT, AMPLE, &CancelToken::new())
}

/// What the capture that meets the fault comes to.
enum Outcome {
    /// It is taken once more, and nobody notices.
    MadeGood,
    /// The caller is told; the next capture works.
    Told(ReaderError),
}

use Outcome::{MadeGood, Told};

/// Name in the document, lines for the reader once it is open, outcome.
type Row = (&'static str, &'static str, Outcome);

fn rows() -> Vec<Row> {
    let mut rows = rows_of_damage();
    rows.extend(more_rows());
    rows
}

/// Those of a bad cable or bad firmware.
fn rows_of_damage() -> Vec<Row> {
    use ProtocolError as E;
    let broken = |error| Told(ReaderError::Protocol(error));
    let (expected, got) = (7, 8);
    vec![
        ("short read", "SHORT 2", MadeGood),
        (
            "short read, twice",
            "SHORT 2\nSHORT 5",
            broken(E::Truncated {
                expected: 3164,
                got: 1582,
            }),
        ),
        ("babble", "BABBLE 2", MadeGood),
        (
            "babble, twice",
            "BABBLE 2\nBABBLE 5",
            broken(E::TooLong {
                message: "packet",
                extra: 600,
            }),
        ),
        ("damage", "CORRUPT 2", MadeGood),
        (
            "damage, twice",
            "CORRUPT 2\nCORRUPT 5",
            broken(E::CrcMismatch),
        ),
        ("duplicate sequence", "DUPLICATE 2", MadeGood),
        (
            "duplicate sequence, twice",
            "DUPLICATE 2\nDUPLICATE 5",
            broken(E::DuplicatePacket {
                expected,
                got: expected - 1,
            }),
        ),
        ("missing sequence", "DROP 2", MadeGood),
        (
            "missing sequence, twice",
            "DROP 2\nDROP 6",
            broken(E::MissingPacket { expected, got }),
        ),
    ]
}

/// Those of somebody who means it, of the session and of the plug.
fn more_rows() -> Vec<Row> {
    use ProtocolError as E;
    let broken = |error| Told(ReaderError::Protocol(error));
    vec![
        ("wrong tag", "FORGE 2", MadeGood),
        // INFO and CONNECTED of the new session come between.
        (
            "wrong tag, twice",
            "FORGE 2\nFORGE 6",
            broken(E::NotAuthentic),
        ),
        ("replayed sample", "REPLAY 3", MadeGood),
        (
            "replayed sample, twice",
            "REPLAY 3\nREPLAY 7",
            broken(E::DuplicatePacket {
                expected: 8,
                got: 7,
            }),
        ),
        ("sample of another payment", "MOVE 1", MadeGood),
        (
            "sample of another payment, twice",
            "MOVE 1\nMOVE 2",
            broken(E::WrongPurpose),
        ),
        ("stale session", "RESTART", MadeGood),
        ("stale session, amid a burst", "RESTART 5", MadeGood),
        ("suspend and resume", "SUSPEND", MadeGood),
        ("stall", "STALL 3", MadeGood),
        ("refusal", "NAK busy", MadeGood),
        (
            "refusal, twice",
            "NAK busy\nNAK sensor_fault",
            Told(ReaderError::Refused(NakCode::SensorFault)),
        ),
        (
            "lit time used up by another host",
            "NAK light_spent",
            MadeGood,
        ),
        ("silence", "SLEEP 900", MadeGood),
        ("silence for minutes", "SLEEP 600000", MadeGood),
        ("unplug", "UNPLUG", Told(ReaderError::Gone)),
        ("unplug amid a burst", "UNPLUG 5", Told(ReaderError::Gone)),
        (
            "unplug while cleaning up",
            "CORRUPT 2\nUNPLUG 5",
            Told(ReaderError::Gone),
        ),
    ]
}

#[test]
fn every_fault_has_its_outcome_and_the_reader_serves_again() {
    for (name, script, outcome) in rows() {
        let bench = Bench::new(64, 48);
        let mut reader = bench.open();
        bench.say(script);
        match (pay(&mut reader), outcome) {
            (Ok(frames), MadeGood) => assert_seen(&bench, &frames),
            (Err(error), Told(wanted)) => assert_eq!(error, wanted, "{name}"),
            (Ok(_), Told(wanted)) => panic!("{name}: {wanted} was not noticed"),
            (Err(error), MadeGood) => panic!("{name}: {error}"),
        }
        if reader.state == State::Gone {
            drop(reader);
            bench.say("PLUG");
            reader = bench.open();
        }
        bench.say("LIFT\nPALM 8");
        let frames = pay(&mut reader).unwrap_or_else(|error| panic!("after {name}: {error}"));
        assert_seen(&bench, &frames);
        assert!(
            bench.clock.now() < Duration::from_secs(10),
            "{name}: bounded"
        );
    }
}

#[test]
fn unplug_at_every_transfer_of_opening_is_gone() {
    let mut transfers = 0;
    for transfer in 1.. {
        let bench = Bench::new(16, 8);
        bench.say(&format!("UNPLUG {transfer}"));
        let transport = Box::new(bench.emulator.transport().unwrap());
        let clock = bench.clock.clone();
        match Reader::open_with_clock(transport, &Trust::development(), clock) {
            Ok(_) => break,
            Err(error) => assert_eq!(error, ReaderError::Gone, "at transfer {transfer}"),
        }
        transfers += 1;
        bench.say("PLUG");
        assert!(pay(&mut bench.open()).is_ok(), "plugged in again");
    }
    assert_eq!(transfers, 4, "HELLO, INFO, CONNECT, CONNECTED");
}

#[test]
fn unplug_at_every_transfer_of_every_call_and_of_the_clean_up_is_gone() {
    type Call = fn(&mut Reader) -> Result<(), ReaderError>;
    let calls: [(&str, Call); 4] = [
        ("signal", |reader| reader.signal(Signal::Ready)),
        ("ping", Reader::ping),
        ("self-test", |reader| reader.self_test().map(drop)),
        ("events", |reader| {
            reader.next_event(Duration::ZERO).map(drop)
        }),
    ];
    for (name, call) in calls {
        // The second script goes through ABORT, the third through HELLO and CONNECT.
        for before in ["", "CORRUPT 1\n", "STALL 1\n"] {
            for transfer in 1..=12 {
                let bench = Bench::new(16, 8);
                let mut reader = bench.open();
                bench.say(&format!("{before}UNPLUG {transfer}"));
                match call(&mut reader) {
                    Ok(()) => assert_eq!(reader.state, State::Ready),
                    Err(error) => assert_eq!(error, ReaderError::Gone, "{name} {transfer}"),
                }
            }
        }
        let bench = Bench::new(16, 8);
        let mut reader = bench.open();
        bench.say("UNPLUG");
        assert_eq!(call(&mut reader), Err(ReaderError::Gone), "{name}");
    }
}

/// Makes the checksum right again.
fn mend(bytes: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), &bytes[24..]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
}

/// A cable that remembers what came first of a type, and puts it in the place of every later one of that type.
fn replaying(bench: &Bench, kind: u8) -> Reader {
    let mut kept: Option<Vec<u8>> = None;
    let alter = move |bytes: &mut Vec<u8>| {
        if bytes.get(5) == Some(&kind) {
            match &kept {
                Some(old) if old[6] == 1 => bytes.clone_from(old),
                // In the clear, nothing keeps him from giving it the right header.
                Some(old) => {
                    bytes.splice(24.., old[24..].iter().copied());
                    mend(bytes);
                }
                None => kept = Some(bytes.clone()),
            }
        }
    };
    hooked(bench, Box::new(|| Ok(())), Box::new(alter))
}

#[test]
fn sample_of_an_earlier_session_is_not_authentic() {
    let bench = Bench::new(16, 8);
    let mut reader = replaying(&bench, 0x84);
    // Within the session, the first frame in the place of the second is a repetition.
    let within = pay(&mut reader).unwrap_err();
    assert!(
        matches!(
            within,
            ReaderError::Protocol(ProtocolError::DuplicatePacket { .. })
        ),
        "{within}"
    );
    bench.say("RESTART");
    let refused = ReaderError::Protocol(ProtocolError::NotAuthentic);
    assert_eq!(pay(&mut reader).unwrap_err(), refused);
}

#[test]
fn stale_claim_proves_nothing_to_another_session() {
    let bench = Bench::new(16, 8);
    let mut reader = replaying(&bench, 0xa0);
    assert!(pay(&mut reader).is_ok(), "the first is genuine");
    bench.say("RESTART");
    let refused = ReaderError::NotTrusted(AttestError::BadSignature("session"));
    assert_eq!(pay(&mut reader).unwrap_err(), refused);
    assert_eq!(reader.ping(), Err(refused), "and stays so");
}

#[test]
fn stale_session_that_comes_back_is_reported_after_one_new_session() {
    let bench = Bench::new(16, 8);
    let emulator = bench.emulator.clone();
    let sessions = Arc::new(Mutex::new(0_u32));
    let counted = Arc::clone(&sessions);
    // Restarts as soon as a session is made: nothing sealed is ever understood.
    let alter = move |bytes: &mut Vec<u8>| {
        if bytes.get(5) == Some(&0xa0) {
            let mut sessions = counted.lock().unwrap();
            *sessions += 1;
            if *sessions <= 2 {
                emulator.run_line("RESTART").unwrap();
            }
        }
    };
    let mut reader = hooked(&bench, Box::new(|| Ok(())), Box::new(alter));
    let told = ReaderError::Protocol(ProtocolError::NotSealed(0xbf));
    assert_eq!(pay(&mut reader).unwrap_err(), told);
    assert_eq!(
        *sessions.lock().unwrap(),
        3,
        "opening, once anew for each attempt"
    );
    assert!(pay(&mut reader).is_ok(), "once the reader stays up");
}

/// A maker that nobody knows yet.
fn maker(root: &SigningKey) -> Maker {
    let (device_signer, firmware_signer) = (SigningKey::generate().0, SigningKey::generate().0);
    Maker::new(root, "Counter 1", device_signer, firmware_signer)
}

fn born(birth: crate::Birth) -> EmulatorHandle {
    let config = EmulatorConfig {
        serial: String::new(),
        clock: Arc::new(ManualClock::new()),
    };
    EmulatorHandle::born(Box::new(TestPattern::new(8, 8)), birth, config)
}

fn open(emulator: &EmulatorHandle, trust: &Trust) -> Result<Reader, ReaderError> {
    Reader::open(Box::new(emulator.transport().unwrap()), trust)
}

#[test]
fn reader_is_believed_by_root_firmware_and_security_version() {
    let root = SigningKey::generate().0;
    let maker = maker(&root);
    let made = born(maker.device("0001"));
    let developed = born(Maker::development().device("0002"));
    let opened = open(&developed, &Trust::development()).unwrap();
    let digest = opened.attestation().digest;
    drop(opened);
    let trust = Trust {
        roots: vec![root.public()],
        firmware_allowed: vec![digest],
        security_version_min: 1,
        development: false,
    };
    let mut reader = open(&made, &trust).unwrap();
    assert!(pay(&mut reader).is_ok());
    let proved = reader.attestation();
    let names = (proved.model.as_str(), proved.serial.as_str());
    assert_eq!(names, ("Counter 1", "0001"));
    assert!(!proved.development);
    drop(reader);
    let with = |change: fn(&mut Trust)| {
        let mut trust = trust.clone();
        change(&mut trust);
        trust
    };
    let revoked = with(|trust| trust.firmware_allowed = vec![[9; 32]]);
    let newer = with(|trust| trust.security_version_min = 2);
    let elsewhere = with(|trust| trust.roots = vec![SigningKey::generate().0.public()]);
    let mut stolen = maker.device("0003");
    stolen.key = SigningKey::generate().0;
    let mut foreign = maker.device("0004");
    foreign.device = Maker::development().device("0004").device;
    use AttestError as E;
    for (emulator, trust, refused) in [
        (&made, &elsewhere, E::UntrustedRoot),
        (&made, &Trust::development(), E::UntrustedRoot),
        (&developed, &trust, E::DevelopmentReader),
        (&made, &revoked, E::FirmwareNotAllowed(digest)),
        (&made, &newer, E::FirmwareTooOld { version: 1, min: 2 }),
        (&born(stolen), &trust, E::BadSignature("firmware statement")),
        (
            &born(foreign),
            &trust,
            E::BadSignature("device certificate"),
        ),
    ] {
        let outcome = open(emulator, trust).map(drop);
        assert_eq!(outcome, Err(ReaderError::NotTrusted(refused)));
    }
    assert!(
        open(&made, &trust).is_ok(),
        "refused by others, not worn out"
    );
}

#[test]
fn info_that_somebody_changed_on_the_way_ties_to_no_session() {
    let bench = Bench::new(16, 8);
    // One exposure more than the reader can: no attack by itself, and the signature is over what was really said.
    let alter = |bytes: &mut Vec<u8>| {
        if bytes.get(5) == Some(&0x81) {
            bytes[24 + 8] ^= 1;
            mend(bytes);
        }
    };
    let inner = Box::new(bench.emulator.transport().unwrap());
    let cable = Box::new(Hooked {
        inner,
        before: Box::new(|| Ok(())),
        alter: Box::new(alter),
        received: Vec::new(),
    });
    let outcome = Reader::open_with_clock(cable, &Trust::development(), bench.clock);
    let refused = ReaderError::NotTrusted(AttestError::BadSignature("session"));
    assert_eq!(outcome.map(drop), Err(refused));
}

#[test]
fn restart_and_resume_are_noticed_while_nothing_but_events_is_waited_for() {
    for script in ["RESTART", "SUSPEND"] {
        let bench = Bench::new(16, 8);
        let mut reader = bench.open();
        let present = Ok(Some(Event::Hand(HandState::Present)));
        assert_eq!(reader.next_event(AMPLE), present);
        bench.say(script);
        let asked = bench.clock.now();
        assert_eq!(
            reader.next_event(AMPLE),
            present,
            "{script}: a new session begins with the hand"
        );
        assert!(
            bench.clock.now() - asked < Duration::from_secs(3),
            "{script}"
        );
        bench.say("LIFT");
        assert_eq!(
            reader.next_event(AMPLE),
            Ok(Some(Event::Hand(HandState::Absent)))
        );
        assert_eq!(reader.next_event(AMPLE), Ok(None), "silence is no fault");
    }
}

#[test]
fn worn_session_is_made_anew_before_a_number_comes_twice() {
    let bench = Bench::new(16, 8);
    let sessions = Arc::new(Mutex::new(0_u32));
    let counted = Arc::clone(&sessions);
    let count = move |bytes: &mut Vec<u8>| {
        *counted.lock().unwrap() += u32::from(bytes.get(5) == Some(&0xa0));
    };
    let mut reader = hooked(&bench, Box::new(|| Ok(())), Box::new(count));
    reader.link.wear(crate::protocol::PACKETS_MAX - 1);
    reader.ping().unwrap();
    assert_eq!(*sessions.lock().unwrap(), 1);
    reader.ping().unwrap();
    assert_eq!(*sessions.lock().unwrap(), 2, "before the next command");
    assert!(pay(&mut reader).is_ok());
    assert_eq!(*sessions.lock().unwrap(), 2, "as good as new");
}

#[test]
fn slow_host_loses_old_events_and_nothing_else() {
    let bench = Bench::new(16, 8);
    let mut reader = bench.open();
    for _ in 0..100 {
        bench.say("HINT too_far\nHINT present");
    }
    let frames = pay(&mut reader).unwrap();
    assert_seen(&bench, &frames);
    let mut heard = Vec::new();
    while let Some(event) = reader.next_event(Duration::ZERO).unwrap() {
        heard.push(event);
    }
    assert_eq!(heard.len(), crate::limits::EMULATOR_EVENTS_MAX);
    assert_eq!(heard.last(), Some(&Event::Hand(HandState::Present)));
}

#[test]
fn full_queue_holds_the_host_back_and_is_served_when_the_reader_wakes() {
    let bench = Bench::new(16, 8);
    let mut reader = bench.open();
    bench.say("SLEEP 2900");
    let mut deadline = Deadline::after(&*bench.clock, Duration::from_millis(10));
    let full = (0..10).find_map(|_| {
        let sent = reader.link.send(&Command::Ping(1), deadline);
        deadline = Deadline::after(&*bench.clock, Duration::from_millis(10));
        sent.err()
    });
    assert_eq!(full, Some(ReaderError::TimedOut), "bulk OUT waits");
    let frames = pay(&mut reader).unwrap();
    assert_seen(&bench, &frames);
}

#[test]
fn document_names_every_row_and_no_other() {
    let document = include_str!("../../../PROTOCOL.md");
    let (_, after) = document.split_once("| fault | outcome |").unwrap();
    let (table, _) = after.split_once("\n\n").unwrap();
    let named: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split_once(" |").map(|(name, _)| name))
        .collect();
    let rows = rows();
    let tested: BTreeSet<&str> = rows
        .iter()
        .map(|(name, ..)| *name)
        .chain([
            "wrong root",
            "development reader",
            "revoked firmware",
            "firmware too old",
            "stale claim",
            "stale session, again and again",
            "sample of an earlier session",
            "changed INFO",
            "lying firmware",
            "slow host",
            "full queue",
        ])
        .collect();
    assert_eq!(named, tested);
}
