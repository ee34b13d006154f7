//! The emulated reader seen through its raw transport and its scripts.

use std::time::Duration;

use super::script::{ScriptFault, fuzz_script, parse};
use super::sensor::TestPattern;
use super::*;
use crate::burst::BurstPlan;
use crate::clock::ManualClock;
use crate::hotplug::{Change, Watch};
use crate::protocol::{
    CONTROL_INFO, Command, Decoder, INFO_LEN, Info, NakCode, PAYLOAD_MAX, Packet, Reply, encode,
};
use crate::session::CancelToken;

const SOON: Duration = Duration::from_millis(100);

fn emulator() -> EmulatorHandle {
    emulator_named("TEST", Arc::new(ManualClock::new()))
}

fn emulator_named(serial: &str, clock: Arc<ManualClock>) -> EmulatorHandle {
    let config = EmulatorConfig {
        serial: serial.to_owned(),
        clock,
    };
    EmulatorHandle::with_config(Box::new(TestPattern::new(16, 8)), config)
}

fn receive(transport: &mut EmulatedTransport) -> Packet {
    let mut decoder = Decoder::new(PAYLOAD_MAX);
    loop {
        let read = transport.bulk_in(SOON).unwrap();
        if let Some(packet) = decoder.push(read.bytes, read.last).unwrap() {
            return packet;
        }
    }
}

fn ask(transport: &mut EmulatedTransport, message: &[u8]) -> (u32, Reply) {
    transport.bulk_out(message, SOON).unwrap();
    let packet = receive(transport);
    (packet.answers, Reply::parse(packet).unwrap())
}

fn nak(transport: &mut EmulatedTransport, message: &[u8]) -> (u32, NakCode) {
    match ask(transport, message) {
        (answers, Reply::Nak(code)) => (answers, code),
        (_, other) => panic!("NAK expected, {} came", other.name()),
    }
}

fn hello(transport: &mut EmulatedTransport, sequence: u32) {
    let hello = Command::Hello {
        version_min: 1,
        version_max: 1,
    }
    .encode(sequence);
    assert!(matches!(ask(transport, &hello), (_, Reply::Info(_))));
}

#[test]
fn what_is_not_a_command_is_refused_by_code() {
    let emulator = emulator();
    let reader = &mut emulator.transport().unwrap();
    let arm = |nonce, sequence| {
        Command::Arm {
            nonce,
            plan: BurstPlan::coded([0; 8]),
        }
        .encode(sequence)
    };
    assert_eq!(
        nak(reader, &Command::Ping(1).encode(3)),
        (3, NakCode::HelloFirst)
    );
    let future = Command::Hello {
        version_min: 2,
        version_max: 9,
    }
    .encode(4);
    assert_eq!(nak(reader, &future), (4, NakCode::UnsupportedVersion));
    hello(reader, 5);
    assert_eq!(
        nak(reader, b"not a packet at all, but long enough"),
        (0, NakCode::Malformed)
    );
    assert_eq!(
        nak(reader, &encode(0x3f, 6, 0, &[])),
        (6, NakCode::UnknownType)
    );
    assert_eq!(
        nak(reader, &encode(0x05, 7, 0, &[0; 9])),
        (7, NakCode::Malformed)
    );
    assert_eq!(
        nak(reader, &Command::Ping(1).encode(5)),
        (5, NakCode::BadSequence)
    );
    let capture = Command::Capture { nonce: [1; 16] };
    assert_eq!(nak(reader, &capture.encode(8)), (8, NakCode::NotArmed));
    assert!(matches!(ask(reader, &arm([2; 16], 9)), (9, Reply::Ack)));
    assert_eq!(nak(reader, &capture.encode(10)), (10, NakCode::NotArmed));
    let nine_shots = [
        &[0; 16][..],
        &[9, 0, 0, 0],
        &[1, 1, 0, 0, 100, 0, 0, 0].repeat(9),
    ]
    .concat();
    assert_eq!(
        nak(reader, &encode(0x02, 11, 0, &nine_shots)),
        (11, NakCode::BadArgument)
    );
    let mut too_long = encode(0x05, 12, 0, &[0; 2000]);
    assert_eq!(nak(reader, &too_long), (0, NakCode::Malformed));
    too_long.clear();
    reader.bulk_out(&too_long, SOON).unwrap();
    assert_eq!(reader.bulk_in(SOON).unwrap_err(), TransportError::TimedOut);
}

#[test]
fn abort_ends_the_frame_on_the_wire_where_it_stands() {
    let clock = Arc::new(ManualClock::new());
    let config = EmulatorConfig {
        serial: "TEST".to_owned(),
        clock,
    };
    let emulator = EmulatorHandle::with_config(Box::new(TestPattern::new(400, 400)), config);
    let reader = &mut emulator.transport().unwrap();
    hello(reader, 1);
    let arm = Command::Arm {
        nonce: [7; 16],
        plan: BurstPlan::coded([0; 8]),
    }
    .encode(2);
    assert!(matches!(ask(reader, &arm), (2, Reply::Ack)));
    reader
        .bulk_out(&Command::Capture { nonce: [7; 16] }.encode(3), SOON)
        .unwrap();
    assert!(
        !reader.bulk_in(SOON).unwrap().last,
        "the first of three transfers"
    );
    reader.bulk_out(&Command::Abort.encode(4), SOON).unwrap();
    let end = reader.bulk_in(SOON).unwrap();
    assert_eq!((end.bytes.len(), end.last), (0, true));
    assert!(matches!(Reply::parse(receive(reader)), Ok(Reply::Ack)));
}

#[test]
fn second_claim_is_denied_until_the_first_is_dropped() {
    let emulator = emulator();
    let first = emulator.transport().unwrap();
    assert!(emulator.transport().is_none());
    let mut bus = EmulatedBus::new(vec![emulator]);
    let address = bus.list().unwrap().remove(0);
    assert_eq!(bus.open(&address).unwrap_err(), TransportError::Denied);
    drop(first);
    assert!(bus.open(&address).is_ok());
}

#[test]
fn stale_transport_of_an_earlier_plugging_in_is_disconnected() {
    let emulator = emulator();
    let mut stale = emulator.transport().unwrap();
    emulator.run_line("UNPLUG").unwrap();
    assert!(emulator.transport().is_none());
    emulator.run_line("PLUG").unwrap();
    let fresh = emulator.transport().unwrap();
    assert_eq!(
        stale.bulk_in(SOON).unwrap_err(),
        TransportError::Disconnected
    );
    assert_eq!(
        stale.recover(Recovery::Reset),
        Err(TransportError::Disconnected)
    );
    drop(stale);
    assert!(
        emulator.transport().is_none(),
        "the stale one did not release the fresh claim"
    );
    drop(fresh);
}

#[test]
fn control_requests_answer_without_a_session() {
    let emulator = emulator();
    let mut reader = emulator.transport().unwrap();
    let length = u16::try_from(INFO_LEN).unwrap();
    let request = Control::In {
        request: CONTROL_INFO,
        value: 0,
        length,
    };
    let info = Info::parse(&reader.control(request, SOON).unwrap()).unwrap();
    assert_eq!(info.serial, "TEST");
    let unknown = Control::Out {
        request: 0x77,
        value: 0,
        data: &[],
    };
    assert_eq!(reader.control(unknown, SOON), Err(TransportError::Stalled));
    emulator.run_line("SLEEP 1000").unwrap();
    assert_eq!(reader.control(request, SOON), Err(TransportError::TimedOut));
}

#[test]
fn host_that_floods_a_sleeping_reader_is_held_back() {
    let emulator = emulator();
    let mut reader = emulator.transport().unwrap();
    emulator.run_line("SLEEP 1000").unwrap();
    for sequence in 1..=4 {
        reader
            .bulk_out(&Command::Ping(0).encode(sequence), SOON)
            .unwrap();
    }
    let fifth = reader.bulk_out(&Command::Ping(0).encode(5), SOON);
    assert_eq!(fifth, Err(TransportError::TimedOut));
}

#[test]
fn unread_events_are_bounded_and_the_newest_stay() {
    let emulator = emulator();
    let mut reader = emulator.transport().unwrap();
    hello(&mut reader, 1);
    for _ in 0..200 {
        emulator.run_line("BUTTON").unwrap();
    }
    emulator.run_line("TAMPER").unwrap();
    let mut last = Vec::new();
    let mut count = 0;
    while let Ok(event) = reader.interrupt_in(Duration::ZERO) {
        last = event.to_vec();
        count += 1;
    }
    assert_eq!((count, last[1]), (crate::limits::EMULATOR_EVENTS_MAX, 3));
}

#[test]
fn watch_sees_readers_leave_and_come_back() {
    let clock = Arc::new(ManualClock::new());
    let one = emulator_named("ONE", Arc::clone(&clock));
    let two = emulator_named("TWO", Arc::clone(&clock));
    two.run_line("UNPLUG").unwrap();
    let bus = EmulatedBus::new(vec![one.clone(), two.clone()]);
    let mut watch = Watch::with_clock(Box::new(bus), clock);
    let mut next = |timeout| watch.next_change(timeout, &CancelToken::new()).unwrap();
    let first = one.address().unwrap();
    assert_eq!(next(SOON), Some(Change::Arrived(first.clone())));
    assert_eq!(next(SOON), None);
    two.run_line("SLEEP 3000\nPLUG").unwrap();
    assert_eq!(next(Duration::from_secs(2)), None);
    let second = next(Duration::from_secs(2));
    assert_eq!(second, Some(Change::Arrived(two.address().unwrap())));
    one.run_script("UNPLUG\nPLUG").unwrap();
    assert_eq!(next(SOON), Some(Change::Left(first.clone())));
    let again = one.address().unwrap();
    assert_ne!(again, first);
    assert_eq!(next(SOON), Some(Change::Arrived(again.clone())));
    assert!(watch.open(&again).is_ok());
    assert_eq!(
        watch.open(&first).unwrap_err(),
        TransportError::Disconnected
    );
}

#[test]
fn watch_wakes_for_a_plug_from_another_thread() {
    let emulator = EmulatorHandle::new(Box::new(TestPattern::new(16, 8)));
    emulator.run_line("UNPLUG").unwrap();
    let mut watch = Watch::new(Box::new(EmulatedBus::new(vec![emulator.clone()])));
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(move || watch.next_change(Duration::from_secs(60), &CancelToken::new()));
        emulator.run_line("PLUG").unwrap();
        assert!(matches!(
            waiting.join().unwrap(),
            Ok(Some(Change::Arrived(_)))
        ));
    });
}

fn fault(script: &str) -> (usize, String) {
    let error = parse(script).unwrap_err();
    (error.line, error.reason.to_string())
}

#[test]
fn script_errors_name_the_line_and_what_is_allowed() {
    for (script, line, text) in [
        (
            "LIFT\n\n# note\nJUMP",
            4,
            "unknown word \"JUMP\"; allowed: PALM, IMAGE",
        ),
        ("PALM", 1, "PALM needs a person's number"),
        ("PALM x", 1, "PALM \"x\": allowed is a person's number"),
        ("PALM -1", 1, "PALM \"-1\""),
        (
            "PALM 1 X",
            1,
            "PALM \"X\": allowed is L for left or R for right",
        ),
        ("PALM 1 L 2", 1, "\"2\" is one word too many"),
        (
            "HINT closer",
            1,
            "HINT \"closer\": allowed is absent, present",
        ),
        ("HINT", 1, "HINT needs absent, present"),
        ("SLEEP", 1, "SLEEP needs milliseconds"),
        ("SLEEP 600001", 1, "at most 600000"),
        ("SLEEP 1.5", 1, "SLEEP \"1.5\""),
        ("CORRUPT 0", 1, "CORRUPT \"0\": allowed is a count from 1"),
        ("NAK", 1, "NAK needs a number from 1 to 255"),
        ("NAK 0", 1, "NAK \"0\""),
        ("NAK maybe", 1, "NAK \"maybe\": allowed is a number"),
        ("IMAGE", 1, "IMAGE needs the path of a picture"),
        ("UNPLUG now", 1, "UNPLUG \"now\""),
        ("LIFT 3", 1, "\"3\" is one word too many"),
    ] {
        let (at, reason) = fault(script);
        assert_eq!(at, line, "{script}");
        assert!(reason.contains(text), "{script}: {reason}");
    }
    let long = "P".repeat(5000);
    assert_eq!(fault(&long).1, "longer than 4096 bytes");
    assert!(fault(&"LIFT\n".repeat(1025)).1.contains("too many"));
}

#[test]
fn script_words_are_read_in_any_case_and_paths_keep_their_blanks() {
    let lines = parse("  palm 7 l\nIMAGE my hand.png  \nunplug 3\nNAK 200").unwrap();
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        lines,
        [
            Line::Palm {
                identity: 7,
                left: true
            },
            Line::Image("my hand.png".into()),
            Line::Unplug(Some(3)),
            Line::Nak(NakCode::Other(200)),
        ]
    );
}

#[test]
fn script_with_a_bad_line_does_nothing() {
    let emulator = emulator();
    assert!(emulator.run_script("UNPLUG\nJUMP").is_err());
    assert!(emulator.transport().is_some(), "still plugged in");
    let error = emulator.run_line("IMAGE /nowhere/at/all.png").unwrap_err();
    assert!(matches!(error.reason, ScriptFault::Picture(_)));
    assert!(
        error
            .to_string()
            .contains("cannot open /nowhere/at/all.png"),
        "{error}"
    );
    let lines = "SLEEP 9\n".repeat(1000);
    emulator.run_script(&lines).unwrap();
    assert!(matches!(
        emulator.run_script(&lines).unwrap_err().reason,
        ScriptFault::TooMany(1000)
    ));
}

#[test]
fn picture_files_are_shown_and_damaged_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a hand.png");
    image::GrayImage::from_fn(40, 30, |x, y| {
        image::Luma([u8::try_from(x * y % 256).unwrap()])
    })
    .save(&path)
    .unwrap();
    let plan = BurstPlan::coded([0; 8]);
    let exposures = sensor::expose_picture(&path, &plan).unwrap();
    assert_eq!(exposures.len(), 5);
    let shown = crate::picture::read_grey(&path).unwrap();
    assert_eq!(
        exposures[1].pixels, shown.pixels,
        "all LEDs: the picture itself"
    );
    assert!(
        exposures[0]
            .pixels
            .iter()
            .zip(&shown.pixels)
            .all(|(dark, lit)| *dark == lit / 8)
    );
    assert_ne!(
        exposures[3].pixels, exposures[4].pixels,
        "two LED masks shade differently"
    );

    let emulator = emulator();
    emulator
        .run_line(&format!("IMAGE {}", path.display()))
        .unwrap();
    std::fs::write(&path, b"\x89PNG\r\n\x1a\n but no more").unwrap();
    let error = emulator
        .run_line(&format!("IMAGE {}", path.display()))
        .unwrap_err();
    assert!(error.to_string().contains("as PNG, JPEG or BMP"), "{error}");
    // The file went bad after it was placed: the reader says so instead of hanging.
    let reader = &mut emulator.transport().unwrap();
    hello(reader, 1);
    let arm = Command::Arm {
        nonce: [7; 16],
        plan,
    }
    .encode(2);
    assert!(matches!(ask(reader, &arm), (2, Reply::Ack)));
    let capture = Command::Capture { nonce: [7; 16] }.encode(3);
    assert_eq!(nak(reader, &capture), (3, NakCode::SensorFault));
}

#[test]
fn same_palm_placed_again_is_another_sample_and_captures_repeat_from_the_script() {
    let shoot = |script: &str| {
        let emulator = emulator();
        emulator.run_script(script).unwrap();
        let reader = &mut emulator.transport().unwrap();
        hello(reader, 1);
        let arm = Command::Arm {
            nonce: [7; 16],
            plan: BurstPlan::coded([0; 8]),
        }
        .encode(2);
        assert!(matches!(ask(reader, &arm), (2, Reply::Ack)));
        match ask(reader, &Command::Capture { nonce: [7; 16] }.encode(3)) {
            (3, Reply::Frame(image)) => image.frame.pixels().to_vec(),
            (_, other) => panic!("FRAME expected, {} came", other.name()),
        }
    };
    assert_eq!(shoot("PALM 7"), shoot("PALM 7"));
    assert_ne!(shoot("PALM 7"), shoot("PALM 7\nPALM 7"));
    assert_ne!(shoot("PALM 7"), shoot("PALM 7 L"));
    assert_ne!(shoot("PALM 7"), shoot("LIFT"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_script_or_an_error(text in "\\PC{0,200}", bytes: Vec<u8>) {
        fuzz_script(text.as_bytes());
        fuzz_script(&bytes);
    }

    #[test]
    fn reader_survives_any_bulk_message(messages: Vec<Vec<u8>>) {
        let emulator = emulator();
        let reader = &mut emulator.transport().unwrap();
        for message in messages {
            reader.bulk_out(&message, SOON).unwrap();
            while reader.bulk_in(Duration::ZERO).is_ok() {}
        }
        hello(reader, 1);
    }
}
