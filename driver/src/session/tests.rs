//! The session against the emulated reader, over the real protocol, on a clock that never blocks.

use std::sync::{Arc, Mutex};

use super::*;
use crate::clock::ManualClock;
use crate::emulator::sensor::{Exposure, Sensor, Subject, TestPattern};
use crate::emulator::{EmulatorConfig, EmulatorHandle};
use crate::protocol::{HandState, NakCode, Nonce, Packet, ProtocolError};
use crate::transport::{BulkRead, Control, Recovery, TransportError};
use liar::Liar;

mod explore;
mod faults;
mod liar;

const NONCE: Nonce = [0xa5; 16];
const AMPLE: Duration = Duration::from_secs(10);

/// Remembers what it photographed.
struct Witness {
    camera: TestPattern,
    seen: Arc<Mutex<Vec<Vec<Exposure>>>>,
}

impl Sensor for Witness {
    fn expose(
        &mut self,
        subject: &Subject,
        plan: &BurstPlan,
        capture_seed: u64,
    ) -> Result<Vec<Exposure>, String> {
        let exposures = self.camera.expose(subject, plan, capture_seed)?;
        self.seen.lock().unwrap().push(exposures.clone());
        Ok(exposures)
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    emulator: EmulatorHandle,
    seen: Arc<Mutex<Vec<Vec<Exposure>>>>,
}

impl Bench {
    fn new(width: u32, height: u32) -> Self {
        let clock = Arc::new(ManualClock::new());
        let seen = Arc::default();
        let camera = TestPattern::new(width, height);
        let sensor = Box::new(Witness {
            camera,
            seen: Arc::clone(&seen),
        });
        let config = EmulatorConfig {
            serial: "TEST".to_owned(),
            clock: clock.clone(),
        };
        let emulator = EmulatorHandle::with_config(sensor, config);
        emulator.run_line("PALM 7").unwrap();
        Self {
            clock,
            emulator,
            seen,
        }
    }

    fn open(&self) -> Reader {
        self.open_over(|transport| transport)
    }

    fn open_over(&self, wrap: impl FnOnce(Box<dyn Transport>) -> Box<dyn Transport>) -> Reader {
        let transport = wrap(Box::new(self.emulator.transport().unwrap()));
        Reader::open_with_clock(transport, &Trust::development(), self.clock.clone()).unwrap()
    }

    fn say(&self, script: &str) {
        self.emulator.run_script(script).unwrap();
    }

    fn captures(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn plan() -> BurstPlan {
    BurstPlan::coded([3; 8])
}

fn capture(reader: &mut Reader) -> Result<Vec<Frame>, ReaderError> {
    reader.capture(&plan(), NONCE, AMPLE, &CancelToken::new())
}

#[test]
fn bursts_one_after_the_other_keep_to_the_lit_time_of_a_second_and_are_never_refused() {
    let bench = Bench::new(8, 8);
    let mut reader = bench.open();
    for burst in 0..23_u64 {
        capture(&mut reader).unwrap();
        assert_eq!(bench.clock.now().as_secs(), burst / 5, "burst {burst}");
    }
    assert_eq!(bench.captures(), 23, "none was taken twice");
    // Too early, and given up within the caller's time.
    let soon = Duration::from_millis(10);
    for _ in 0..2 {
        capture(&mut reader).unwrap();
    }
    let refused = reader.capture(&plan(), NONCE, soon, &CancelToken::new());
    assert_eq!(refused.map(drop), Err(ReaderError::TimedOut));
    let cancel = CancelToken::new();
    cancel.cancel();
    let refused = reader.capture(&plan(), NONCE, AMPLE, &cancel);
    assert_eq!(refused.map(drop), Err(ReaderError::Cancelled));
    capture(&mut reader).unwrap();
}

/// Frames are what the lens saw last, byte for byte.
fn assert_seen(bench: &Bench, frames: &[Frame]) {
    let seen = bench.seen.lock().unwrap();
    let last = seen.last().unwrap();
    assert_eq!(frames.len(), last.len());
    for ((frame, exposure), shot) in frames.iter().zip(last).zip(plan().shots()) {
        assert_eq!(frame.shot(), *shot);
        assert_eq!(
            (frame.width(), frame.height()),
            (exposure.width, exposure.height)
        );
        assert!(frame.pixels() == exposure.pixels, "pixels differ");
    }
}

#[test]
fn capture_returns_what_the_lens_saw_byte_for_byte() {
    // From the smallest frame to one that takes a dozen transfers.
    for (width, height) in [(1, 1), (63, 48), (720, 1024)] {
        let bench = Bench::new(width, height);
        let mut reader = bench.open();
        let frames = capture(&mut reader).unwrap();
        assert_seen(&bench, &frames);
    }
}

#[test]
fn message_of_whole_packets_does_not_hang() {
    // Header 24 + frame header 52 + pixels + tag 16, a multiple of 512, also of the 64 KiB transfer.
    for len in [512_u32, 1024, 65_536, 131_072] {
        let bench = Bench::new(4, (len - 92) / 4);
        assert_eq!((len - 92) % 4, 0);
        let mut reader = bench.open();
        let frames = capture(&mut reader).unwrap();
        assert_seen(&bench, &frames);
        assert!(
            bench.clock.now() < Duration::from_millis(100),
            "waited for more"
        );
    }
}

#[test]
fn unplug_at_every_transfer_of_a_capture_reports_gone() {
    let mut states = 0;
    for transfer in 1.. {
        let bench = Bench::new(300, 300);
        let mut reader = bench.open();
        bench.say(&format!("UNPLUG {transfer}"));
        match capture(&mut reader) {
            Ok(_) => break,
            Err(error) => assert_eq!(error, ReaderError::Gone, "at transfer {transfer}"),
        }
        assert_eq!(reader.next_event(AMPLE), Err(ReaderError::Gone));
        assert_eq!(reader.signal(Signal::Ready), Err(ReaderError::Gone));
        states += 1;
        drop(reader);
        bench.say("PLUG");
        assert!(capture(&mut bench.open()).is_ok(), "plugged in again");
    }
    assert_eq!(
        states, 14,
        "ARM, ACK, CAPTURE, five frames of two transfers, CAPTURE_DONE"
    );
}

#[test]
fn stall_at_every_transfer_is_cleared_and_the_burst_taken_again() {
    for transfer in 1..=14 {
        let bench = Bench::new(300, 300);
        let mut reader = bench.open();
        reader.signal(Signal::Ready).unwrap();
        bench.say(&format!("STALL {transfer}"));
        let frames = capture(&mut reader).unwrap();
        assert_seen(&bench, &frames);
        let lit = Some(Signal::Ready.pattern());
        assert_eq!(bench.emulator.shown(), lit, "cleared, not reset");
    }
}

#[test]
fn damaged_lost_or_repeated_message_is_made_good() {
    for fault in ["CORRUPT", "DROP", "DUPLICATE"] {
        // ACK, five frames, CAPTURE_DONE.
        for message in 1..=7 {
            let bench = Bench::new(64, 48);
            let mut reader = bench.open();
            bench.say(&format!("{fault} {message}"));
            let frames = capture(&mut reader);
            assert_seen(
                &bench,
                &frames.unwrap_or_else(|e| panic!("{fault} {message}: {e}")),
            );
            assert!(
                capture(&mut reader).is_ok(),
                "usable after {fault} {message}"
            );
        }
    }
}

#[test]
fn damage_in_both_attempts_is_reported_by_name() {
    // Messages: ACK to ARM, first frame (struck), for DROP the second frame; ACK to ABORT, ACK to
    // ARM, first frame (struck). Sequence numbers go on from CONNECTED, which is 1.
    for (script, error) in [
        ("CORRUPT 2\nCORRUPT 5", ProtocolError::CrcMismatch),
        (
            "DROP 2\nDROP 6",
            ProtocolError::MissingPacket {
                expected: 7,
                got: 8,
            },
        ),
        (
            "DUPLICATE 2\nDUPLICATE 5",
            ProtocolError::DuplicatePacket {
                expected: 7,
                got: 6,
            },
        ),
    ] {
        let bench = Bench::new(64, 48);
        let mut reader = bench.open();
        bench.say(script);
        assert_eq!(
            capture(&mut reader).unwrap_err(),
            ReaderError::Protocol(error),
            "{script}"
        );
        assert_eq!(bench.captures(), 2, "{script}");
        assert!(capture(&mut reader).is_ok(), "ready again after {script}");
    }
}

#[test]
fn refusal_is_retried_once() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    bench.say("NAK busy");
    assert!(capture(&mut reader).is_ok());
    bench.say("NAK busy\nNAK sensor_fault");
    assert_eq!(
        capture(&mut reader).unwrap_err(),
        ReaderError::Refused(NakCode::SensorFault)
    );
    assert!(capture(&mut reader).is_ok(), "ready after two refusals");
    bench.say("NAK unknown_type");
    assert_eq!(
        capture(&mut reader).unwrap_err(),
        ReaderError::Refused(NakCode::UnknownType)
    );
    assert!(capture(&mut reader).is_ok());
}

#[test]
fn deadline_passes_while_the_reader_sleeps_and_the_next_capture_works() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    bench.say("SLEEP 200");
    let late = reader.capture(
        &plan(),
        NONCE,
        Duration::from_millis(50),
        &CancelToken::new(),
    );
    assert_eq!(late.unwrap_err(), ReaderError::TimedOut);
    assert_eq!(bench.captures(), 0);
    let frames = capture(&mut reader).unwrap();
    assert_seen(&bench, &frames);
}

#[test]
fn reader_asleep_for_minutes_is_reset() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    bench.say("SLEEP 600000");
    let frames = capture(&mut reader).unwrap();
    assert_seen(&bench, &frames);
    assert!(
        bench.clock.now() < Duration::from_secs(5),
        "no longer than the ladder"
    );
}

#[test]
fn reader_that_answers_nothing_is_given_up_and_taken_back_when_it_answers() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    let losses: Vec<String> = (1..=8).map(|n| format!("DROP {n}")).collect();
    bench.say(&losses.join("\n"));
    assert_eq!(capture(&mut reader).unwrap_err(), ReaderError::TimedOut);
    assert_eq!(reader.state, State::Unclean);
    assert!(bench.clock.now() < Duration::from_secs(10), "bounded");
    while reader.ping().is_err() {
        assert!(bench.clock.now() < Duration::from_secs(60), "never answers");
    }
    assert!(capture(&mut reader).is_ok());
}

type Before = Box<dyn FnMut() -> Result<(), TransportError> + Send>;
type Alter = Box<dyn FnMut(&mut Vec<u8>) + Send>;

/// A cable with a will of its own.
struct Hooked {
    inner: Box<dyn Transport>,
    /// Called before each wait for bulk data; what it returns may stand for the transfer.
    before: Before,
    /// Called with each transfer that came.
    alter: Alter,
    received: Vec<u8>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Transport for Hooked {
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError> {
        self.inner.bulk_out(message, timeout)
    }
    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError> {
        (self.before)()?;
        let read = self.inner.bulk_in(timeout)?;
        let last = read.last;
        self.received = read.bytes.to_vec();
        (self.alter)(&mut self.received);
        Ok(BulkRead {
            bytes: &self.received,
            last,
        })
    }
    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        self.inner.interrupt_in(timeout)
    }
    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        self.inner.control(request, timeout)
    }
    fn recover(&mut self, step: Recovery) -> Result<(), TransportError> {
        self.inner.recover(step)
    }
}

fn hooked(bench: &Bench, before: Before, alter: Alter) -> Reader {
    let received = Vec::new();
    bench.open_over(|inner| {
        Box::new(Hooked {
            inner,
            before,
            alter,
            received,
        })
    })
}

/// A reader that is trusted and does not do as it was told: one byte of what every packet of this type says is another.
fn lying(bench: &Bench, kind: u8, at: usize, flip: u8) -> Reader {
    let alter = move |packet: &mut Packet| {
        if packet.kind == kind {
            match packet.payload.get_mut(at) {
                Some(byte) => *byte ^= flip,
                None => packet.kind ^= flip,
            }
        }
    };
    let alter = Box::new(alter);
    bench.open_over(|inner| Box::new(Liar::new(inner, "TEST", alter)))
}

/// Stands for the packet's type in [`lying`].
const TYPE: usize = usize::MAX;

#[test]
fn reader_that_answers_something_else_is_refused_by_name() {
    use ProtocolError as E;
    for (kind, at, flip, error) in [
        (0x84, 0, 1, E::WrongNonce),
        (0x84, 36, 1, E::WrongShot { index: 1 }), // another place in the burst
        (0x84, 38, 1, E::WrongShot { index: 0 }), // other LEDs than the host drew
        (0x84, 40, 1, E::WrongShot { index: 0 }), // another exposure
        (0x85, 0, 1, E::WrongNonce),
        (0x85, 16, 2, E::WrongShot { index: 7 }), // seven frames announced, five sent
        (0x84, TYPE, 0x84 ^ 0x10, E::UnknownType(0x10)),
        (
            0x85,
            TYPE,
            0x85 ^ 0x82,
            E::TooLong {
                message: "ACK",
                extra: 20,
            },
        ),
    ] {
        let bench = Bench::new(16, 8);
        let mut reader = lying(&bench, kind, at, flip);
        let error = ReaderError::Protocol(error);
        assert_eq!(
            capture(&mut reader).unwrap_err(),
            error,
            "type {kind:#x}, byte {at}"
        );
        assert_eq!(bench.captures(), 2, "tried once more");
    }
}

#[test]
fn passing_fault_is_recovered_and_a_lasting_one_reported() {
    for (faults, outcome) in [(1, None), (u32::MAX, Some(ReaderError::Fault))] {
        let bench = Bench::new(16, 8);
        let left = Arc::new(Mutex::new(0_u32));
        let counted = Arc::clone(&left);
        let before = move || {
            let mut left = counted.lock().unwrap();
            let fault = *left > 0;
            *left = left.saturating_sub(1);
            if fault {
                Err(TransportError::Fault)
            } else {
                Ok(())
            }
        };
        let mut reader = hooked(&bench, Box::new(before), Box::new(|_| ()));
        *left.lock().unwrap() = faults;
        assert_eq!(capture(&mut reader).err(), outcome);
        *left.lock().unwrap() = 0;
        assert!(capture(&mut reader).is_ok(), "when the fault is gone");
    }
}

#[test]
fn cancel_at_every_wait_leaves_the_reader_ready() {
    let mut cancelled = 0;
    for wait in 1.. {
        let bench = Bench::new(300, 300);
        let token = CancelToken::new();
        let left = Arc::new(Mutex::new(u32::MAX));
        let (counted, trigger) = (Arc::clone(&left), token.clone());
        let before = move || {
            let mut left = counted.lock().unwrap();
            *left = left.saturating_sub(1);
            if *left == 0 {
                trigger.cancel();
            }
            Ok(())
        };
        let mut reader = hooked(&bench, Box::new(before), Box::new(|_| ()));
        *left.lock().unwrap() = wait;
        let outcome = reader.capture(&plan(), NONCE, AMPLE, &token);
        *left.lock().unwrap() = u32::MAX;
        assert_eq!(reader.state, State::Ready, "after the clean-up");
        let frames = capture(&mut reader).unwrap();
        assert_seen(&bench, &frames);
        match outcome {
            Ok(_) => break,
            Err(error) => assert_eq!(error, ReaderError::Cancelled, "at wait {wait}"),
        }
        cancelled += 1;
    }
    assert!(cancelled >= 6, "cancelled at {cancelled} waits");
}

#[test]
fn capture_cancelled_before_it_starts_takes_no_picture() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    let token = CancelToken::new();
    token.cancel();
    let outcome = reader.capture(&plan(), NONCE, AMPLE, &token);
    assert_eq!(outcome.unwrap_err(), ReaderError::Cancelled);
    assert_eq!(bench.captures(), 0);
}

#[test]
fn cancel_from_another_thread_ends_a_capture_of_a_sleeping_reader() {
    let emulator = EmulatorHandle::new(Box::new(TestPattern::new(64, 48)));
    let mut reader = Reader::open(
        Box::new(emulator.transport().unwrap()),
        &Trust::development(),
    )
    .unwrap();
    emulator.run_line("SLEEP 600000").unwrap();
    let token = CancelToken::new();
    let outcome = std::thread::scope(|scope| {
        let capture = scope.spawn(|| {
            reader
                .capture(&plan(), NONCE, Duration::from_secs(600), &token)
                .map(drop)
        });
        token.cancel();
        capture.join().unwrap()
    });
    assert_eq!(outcome, Err(ReaderError::Cancelled));
    assert!(capture(&mut reader).is_ok(), "reset and ready");
}

#[test]
fn events_and_hints_follow_the_hand() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    bench.say("LIFT\nPALM 8 L\nHINT too_near\nHINT tilted\nHINT moving\nHINT off_centre\nLIFT");
    bench.say("BUTTON\nTAMPER");
    let mut heard = Vec::new();
    while let Some(event) = reader.next_event(Duration::ZERO).unwrap() {
        heard.push(event);
    }
    let hands = [
        HandState::Present, // what lay there when the session began
        HandState::Absent,
        HandState::TooFar,
        HandState::Present,
        HandState::TooNear,
        HandState::Tilted,
        HandState::Moving,
        HandState::OffCentre,
        HandState::Absent,
    ];
    let wanted = hands
        .map(Event::Hand)
        .into_iter()
        .chain([Event::Button, Event::Tamper]);
    assert_eq!(heard, wanted.collect::<Vec<_>>());
    let hints: Vec<_> = HandState::ALL
        .into_iter()
        .filter_map(Hint::for_hand)
        .collect();
    assert_eq!(
        hints.len(),
        6,
        "every state but a well placed hand asks for something"
    );
    assert_eq!(reader.next_event(Duration::from_millis(30)), Ok(None));
}

#[test]
fn events_wait_for_a_sleep_in_the_script() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    assert_eq!(
        reader.next_event(AMPLE),
        Ok(Some(Event::Hand(HandState::Present)))
    );
    bench.say("SLEEP 300\nLIFT\nSLEEP 300\nBUTTON");
    assert_eq!(reader.next_event(Duration::from_millis(299)), Ok(None));
    assert_eq!(
        reader.next_event(AMPLE),
        Ok(Some(Event::Hand(HandState::Absent)))
    );
    assert_eq!(bench.clock.now(), Duration::from_millis(300));
    assert_eq!(reader.next_event(AMPLE), Ok(Some(Event::Button)));
    assert_eq!(bench.clock.now(), Duration::from_millis(600));
}

#[test]
fn signals_reach_the_ring() {
    let bench = Bench::new(64, 48);
    let mut reader = bench.open();
    assert_eq!(bench.emulator.shown(), None);
    let all = [
        Signal::Accepted,
        Signal::Captured,
        Signal::Guiding,
        Signal::Off,
        Signal::Ready,
        Signal::Refused,
    ];
    for signal in all {
        reader.signal(signal).unwrap();
        assert_eq!(bench.emulator.shown(), Some(signal.pattern()));
    }
    bench.say("NAK busy");
    reader.signal(Signal::Ready).unwrap();
    reader.ping().unwrap();
}

#[test]
fn two_readers_do_not_disturb_each_other() {
    let (left, right) = (Bench::new(64, 48), Bench::new(32, 100));
    let (mut one, mut two) = (left.open(), right.open());
    right.say("STALL 2");
    let frames = capture(&mut one).unwrap();
    assert_seen(&left, &frames);
    let frames = capture(&mut two).unwrap();
    assert_seen(&right, &frames);
    left.say("UNPLUG");
    assert_eq!(capture(&mut one).unwrap_err(), ReaderError::Gone);
    let frames = capture(&mut two).unwrap();
    assert_seen(&right, &frames);
}

#[test]
fn late_answer_to_an_earlier_command_is_dropped() {
    let bench = Bench::new(16, 8);
    let mut reader = bench.open();
    let deadline = Deadline::after(&*bench.clock, AMPLE);
    reader.link.send(&Command::Ping(1), deadline).unwrap();
    let answer = reader
        .link
        .ask(&Command::Ping(2), deadline, &CancelToken::new());
    assert!(matches!(answer, Ok(Reply::Pong(2))), "{answer:?}");
}

#[test]
fn burst_left_by_a_crashed_program_is_aborted_at_opening() {
    let bench = Bench::new(300, 300);
    let mut crashed = bench.open();
    let deadline = Deadline::after(&*bench.clock, AMPLE);
    let cancel = CancelToken::new();
    let arm = Command::Arm {
        ticket: NONCE.into(),
        plan: plan(),
    };
    crashed.link.ask(&arm, deadline, &cancel).unwrap();
    crashed
        .link
        .send(&Command::Capture { nonce: NONCE }, deadline)
        .unwrap();
    crashed.link.reply(deadline, &cancel).unwrap();
    drop(crashed);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let types = Arc::clone(&seen);
    let note = move |bytes: &mut Vec<u8>| types.lock().unwrap().push(bytes.get(5).copied());
    let mut reader = hooked(&bench, Box::new(|| Ok(())), Box::new(note));
    assert_eq!(
        seen.lock().unwrap().as_slice(),
        [Some(0x81), Some(0xa0)],
        "INFO, CONNECTED and nothing stale before them"
    );
    let frames = capture(&mut reader).unwrap();
    assert_seen(&bench, &frames);
}

#[test]
fn info_tells_model_and_limits() {
    let info = Bench::new(64, 48).open().info().clone();
    assert_eq!(
        (info.model.as_str(), info.serial.as_str()),
        ("OpenPalm emulator", "TEST")
    );
    assert_eq!((info.version, info.shots_max, info.leds), (1, 8, 8));
}
