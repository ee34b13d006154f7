//! The emulated reader seen through its raw transport and its scripts.

use std::time::Duration;

use super::script::{ScriptFault, fuzz_script, parse};
use super::sensor::TestPattern;
use super::*;
use crate::burst::{BurstPlan, Light, Shot};
use crate::clock::ManualClock;
use crate::hotplug::{Change, Watch};
use crate::protocol::{
    CONTROL_INFO, Channel, Command, Connect, Decoder, EventKind, HandState, HostHandshake,
    INFO_LEN, Info, NakCode, Nonce, PAYLOAD_MAX, Packet, ProtocolError, Reply, Trust, encode,
    finish_sealed,
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

/// A host without patience: one message out, one in.
struct Host {
    transport: EmulatedTransport,
    channel: Option<Channel>,
}

impl Host {
    fn new(emulator: &EmulatorHandle) -> Self {
        Self {
            transport: emulator.transport().unwrap(),
            channel: None,
        }
    }

    fn connected(emulator: &EmulatorHandle) -> Self {
        let mut host = Self::new(emulator);
        host.connect(1);
        host
    }

    fn receive(&mut self) -> Packet {
        let mut decoder = Decoder::new(PAYLOAD_MAX);
        loop {
            let read = self.transport.bulk_in(SOON).unwrap();
            if let Some(packet) = decoder.push(read.bytes, read.last).unwrap() {
                return match &self.channel {
                    Some(channel) if packet.sealed => channel.open(packet).unwrap(),
                    _ => packet,
                };
            }
        }
    }

    fn ask_raw(&mut self, message: &[u8]) -> (u32, Reply) {
        self.transport.bulk_out(message, SOON).unwrap();
        let packet = self.receive();
        (packet.answers, Reply::parse(packet).unwrap())
    }

    fn sealed(&self, kind: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let channel = self.channel.as_ref().unwrap();
        channel.seal(kind, sequence, 0, payload)
    }

    fn message(&self, command: &Command, sequence: u32) -> Vec<u8> {
        match self.channel {
            Some(_) => self.sealed(command.kind(), sequence, &command.payload()),
            None => command.encode(sequence),
        }
    }

    fn ask(&mut self, command: &Command, sequence: u32) -> (u32, Reply) {
        let message = self.message(command, sequence);
        self.ask_raw(&message)
    }

    fn nak(&mut self, command: &Command, sequence: u32) -> (u32, NakCode) {
        let message = self.message(command, sequence);
        self.nak_raw(&message)
    }

    fn nak_raw(&mut self, message: &[u8]) -> (u32, NakCode) {
        match self.ask_raw(message) {
            (answers, Reply::Nak(code)) => (answers, code),
            (_, other) => panic!("NAK expected, {} came", other.name()),
        }
    }

    fn hello(&mut self, sequence: u32) -> Info {
        self.channel = None;
        match self.ask(&hello(1, 1), sequence) {
            (_, Reply::Info(info)) => info,
            (_, other) => panic!("INFO expected, {} came", other.name()),
        }
    }

    /// HELLO under this number, CONNECT under the next.
    fn connect(&mut self, sequence: u32) {
        let info = self.hello(sequence);
        let handshake = HostHandshake::begin(1, 1);
        let (_, reply) = self.ask(&Command::Connect(handshake.connect()), sequence + 1);
        let Reply::Connected(connected) = reply else {
            panic!("CONNECTED expected, {} came", reply.name());
        };
        let finished = handshake.finish(&info, &connected, &Trust::development());
        self.channel = Some(finished.unwrap().0);
    }

    fn events(&mut self) -> Vec<EventKind> {
        let mut heard = Vec::new();
        while let Ok(event) = self.transport.interrupt_in(Duration::ZERO) {
            heard.push(
                self.channel
                    .as_ref()
                    .unwrap()
                    .open_event(event)
                    .unwrap()
                    .kind,
            );
        }
        heard
    }
}

fn hello(version_min: u8, version_max: u8) -> Command {
    Command::Hello {
        version_min,
        version_max,
    }
}

fn arm(nonce: Nonce) -> Command {
    Command::Arm {
        ticket: nonce.into(),
        plan: BurstPlan::coded([0; 8]),
    }
}

#[test]
fn what_is_not_a_command_is_refused_by_code() {
    let emulator = emulator();
    let host = &mut Host::new(&emulator);
    let ping = Command::Ping(1);
    assert_eq!(host.nak(&ping, 3), (3, NakCode::HelloFirst));
    assert_eq!(host.nak(&hello(2, 9), 4), (4, NakCode::UnsupportedVersion));
    host.hello(5);
    assert_eq!(host.nak(&ping, 6), (6, NakCode::ConnectFirst));
    let off_curve = Command::Connect(Connect {
        nonce: [1; 32],
        point: [1; 64],
    });
    assert_eq!(host.nak(&off_curve, 7), (7, NakCode::BadArgument));
    host.connect(8);
    assert_eq!(
        host.nak_raw(b"not a packet at all, but long enough"),
        (0, NakCode::Malformed)
    );
    let unknown = host.sealed(0x3f, 10, &[]);
    assert_eq!(host.nak_raw(&unknown), (10, NakCode::UnknownType));
    let too_long = host.sealed(0x05, 11, &[0; 9]);
    assert_eq!(host.nak_raw(&too_long), (11, NakCode::Malformed));
    assert_eq!(host.nak(&ping, 9), (9, NakCode::BadSequence));
    let capture = |nonce| Command::Capture { nonce };
    assert_eq!(host.nak(&capture([1; 16]), 12), (12, NakCode::NotArmed));
    assert!(matches!(host.ask(&arm([2; 16]), 13), (13, Reply::Ack)));
    assert_eq!(host.nak(&capture([1; 16]), 14), (14, NakCode::NotArmed));
    let nine_shots = [
        &[0; 36][..],
        &[9, 0, 0, 0],
        &[1, 1, 0, 0, 100, 0, 0, 0].repeat(9),
    ]
    .concat();
    let shot = |light| Shot {
        light,
        led_mask: 0xff,
        exposure_us: 70_000,
    };
    for (light, sequence) in [(Light::Nir, 20), (Light::Visible, 21)] {
        let plan = BurstPlan::new(vec![shot(light); 3]).unwrap();
        let ticket = [2; 16].into();
        let bright = Command::Arm { ticket, plan };
        assert_eq!(
            host.nak(&bright, sequence),
            (sequence, NakCode::BadArgument)
        );
    }
    let nine_shots = host.sealed(0x02, 22, &nine_shots);
    assert_eq!(host.nak_raw(&nine_shots), (22, NakCode::BadArgument));
    let endless = encode(0x05, 16, 0, &[0; 2000]);
    assert_eq!(host.nak_raw(&endless), (0, NakCode::Malformed));
    host.transport.bulk_out(&[], SOON).unwrap();
    let silence = host.transport.bulk_in(SOON).unwrap_err();
    assert_eq!(silence, TransportError::TimedOut);
}

#[test]
fn nothing_but_hello_is_taken_in_the_clear_within_a_session_and_nothing_that_was_changed() {
    let emulator = emulator();
    let host = &mut Host::connected(&emulator);
    let clear = Command::Ping(1).encode(3);
    assert_eq!(host.nak_raw(&clear), (3, NakCode::ConnectFirst));
    let connect = Command::Connect(HostHandshake::begin(1, 1).connect());
    let clear = connect.encode(4);
    assert_eq!(
        host.nak_raw(&clear),
        (4, NakCode::ConnectFirst),
        "no second CONNECT"
    );
    let sealed = host.sealed(connect.kind(), 5, &connect.payload());
    assert_eq!(host.nak_raw(&sealed), (5, NakCode::ConnectFirst));
    // Every byte that the tag covers: of the header, of the payload, of the tag itself.
    let good = host.message(&Command::Ping(1), 6);
    for at in (5..6).chain(8..12).chain(16..20).chain(24..good.len()) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        finish_sealed(&mut changed);
        let (_, code) = host.nak_raw(&changed);
        assert_eq!(code, NakCode::NotAuthentic, "byte {at}");
    }
    assert!(
        matches!(host.ask_raw(&good), (6, Reply::Pong(1))),
        "none of that counted"
    );
    assert_eq!(host.nak_raw(&good), (6, NakCode::BadSequence), "replayed");
}

#[test]
fn command_of_an_earlier_session_is_not_taken_in_the_next() {
    let emulator = emulator();
    let host = &mut Host::connected(&emulator);
    let old = host.message(&arm([7; 16]), 9);
    host.connect(3);
    assert_eq!(host.nak_raw(&old), (9, NakCode::NotAuthentic));
}

#[test]
fn abort_ends_the_frame_on_the_wire_where_it_stands() {
    let clock = Arc::new(ManualClock::new());
    let config = EmulatorConfig {
        serial: "TEST".to_owned(),
        clock,
    };
    let emulator = EmulatorHandle::with_config(Box::new(TestPattern::new(400, 400)), config);
    let host = &mut Host::connected(&emulator);
    assert!(matches!(host.ask(&arm([7; 16]), 3), (3, Reply::Ack)));
    let capture = host.message(&Command::Capture { nonce: [7; 16] }, 4);
    host.transport.bulk_out(&capture, SOON).unwrap();
    assert!(
        !host.transport.bulk_in(SOON).unwrap().last,
        "the first of three transfers"
    );
    let abort = host.message(&Command::Abort, 5);
    host.transport.bulk_out(&abort, SOON).unwrap();
    let end = host.transport.bulk_in(SOON).unwrap();
    assert_eq!((end.bytes.len(), end.last), (0, true));
    assert!(matches!(Reply::parse(host.receive()), Ok(Reply::Ack)));
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
    let mut host = Host::connected(&emulator);
    for _ in 0..200 {
        emulator.run_line("BUTTON").unwrap();
    }
    emulator.run_line("TAMPER").unwrap();
    let heard = host.events();
    assert_eq!(heard.len(), crate::limits::EMULATOR_EVENTS_MAX);
    assert_eq!(heard.last(), Some(&EventKind::Tamper));
}

#[test]
fn tampering_is_told_to_every_later_session_until_the_power_goes() {
    let emulator = emulator();
    emulator.run_line("TAMPER").unwrap();
    let mut host = Host::connected(&emulator);
    let told = [EventKind::Hand(HandState::Absent), EventKind::Tamper];
    assert_eq!(host.events(), told);
    host.connect(3);
    assert_eq!(host.events(), told);
    match host.ask(&Command::SelfTest, 5) {
        (5, Reply::SelfTest(found)) => assert!(found.tampered && found.failed == 0),
        (_, other) => panic!("SELF_TEST expected, {} came", other.name()),
    }
    emulator.run_line("RESTART").unwrap();
    host.connect(6);
    assert_eq!(host.events(), told[..1]);
}

#[test]
fn event_that_was_changed_or_is_of_another_session_is_not_believed() {
    let emulator = emulator();
    let mut host = Host::connected(&emulator);
    let event = host.transport.interrupt_in(SOON).unwrap().to_vec();
    let channel = host.channel.take().unwrap();
    assert!(channel.open_event(&event).is_ok());
    for at in 4..event.len() {
        let mut changed = event.clone();
        changed[at] ^= 1;
        let refused = Err(ProtocolError::NotAuthentic);
        assert_eq!(channel.open_event(&changed), refused, "byte {at}");
    }
    host.connect(3);
    let next = host.channel.as_ref().unwrap().open_event(&event);
    assert_eq!(next, Err(ProtocolError::NotAuthentic));
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
            "unknown word \"JUMP\"; allowed: PALM, IMAGE, PRINT",
        ),
        ("PALM", 1, "PALM needs a person's number"),
        ("PALM x", 1, "PALM \"x\": allowed is a person's number"),
        ("PRINT", 1, "PRINT needs a person's number"),
        ("PRINT 1 L", 1, "\"L\" is one word too many"),
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
    let host = &mut Host::connected(&emulator);
    assert!(matches!(host.ask(&arm([7; 16]), 3), (3, Reply::Ack)));
    let capture = Command::Capture { nonce: [7; 16] };
    assert_eq!(host.nak(&capture, 4), (4, NakCode::SensorFault));
}

#[test]
fn same_palm_placed_again_is_another_sample_and_captures_repeat_from_the_script() {
    let shoot = |script: &str| {
        let emulator = emulator();
        emulator.run_script(script).unwrap();
        let host = &mut Host::connected(&emulator);
        assert!(matches!(host.ask(&arm([7; 16]), 3), (3, Reply::Ack)));
        match host.ask(&Command::Capture { nonce: [7; 16] }, 4) {
            (4, Reply::Frame(image)) => image.frame.pixels().to_vec(),
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
        let mut host = Host::new(&emulator);
        for message in messages {
            host.transport.bulk_out(&message, SOON).unwrap();
            while host.transport.bulk_in(Duration::ZERO).is_ok() {}
        }
        host.connect(1);
    }
}

#[test]
fn capture_beyond_the_lit_time_of_a_second_is_refused_whoever_asks() {
    let clock = Arc::new(ManualClock::new());
    let emulator = emulator_named("TEST", clock.clone());
    let host = &mut Host::connected(&emulator);
    let mut sequence = 10;
    let mut burst = |host: &mut Host| {
        sequence += 2;
        let nonce = [7; 16];
        assert!(matches!(host.ask(&arm(nonce), sequence), (_, Reply::Ack)));
        let (_, first) = host.ask(&Command::Capture { nonce }, sequence + 1);
        if let Reply::Nak(code) = first {
            return Some(code);
        }
        while !matches!(Reply::parse(host.receive()), Ok(Reply::CaptureDone { .. })) {}
        None
    };
    // Twenty milliseconds of visible light, four a burst.
    for _ in 0..5 {
        assert_eq!(burst(host), None);
    }
    assert_eq!(burst(host), Some(NakCode::LightSpent));
    clock.advance(Duration::from_millis(999));
    // Neither a reset nor a new session is a way round it.
    host.transport.recover(Recovery::Reset).unwrap();
    host.connect(1);
    assert_eq!(burst(host), Some(NakCode::LightSpent));
    clock.advance(Duration::from_millis(1));
    assert_eq!(burst(host), None);
}
