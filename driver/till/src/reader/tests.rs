use palm_driver::{
    AttestError, EmulatedBus, EmulatorConfig, EmulatorHandle, SystemClock, Trust,
    protocol::crypto::SigningKey,
};

use super::*;
use crate::sensor::SyntheticSensor;

/// Longest wait for news: far beyond what a capture takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    emulator: EmulatorHandle,
    reader: ReaderHandle,
    news: mpsc::Receiver<News>,
    runtime: tokio::runtime::Runtime,
}

fn emulator(serial: &str, clock: &Arc<dyn Clock>) -> EmulatorHandle {
    let config = EmulatorConfig {
        serial: serial.to_owned(),
        clock: Arc::clone(clock),
    };
    EmulatorHandle::with_config(Box::<SyntheticSensor>::default(), config)
}

impl Bench {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let emulator = emulator("TEST-1", &clock);
        let mut bench = Self::with(vec![emulator], Trust::development(), clock);
        bench.until(
            "ready",
            |news| matches!(news, News::Ready { serial } if serial == "TEST-1"),
        );
        bench
    }

    /// The first of the readers is the one that lines go to.
    fn with(readers: Vec<EmulatorHandle>, trust: Trust, clock: Arc<dyn Clock>) -> Self {
        let emulator = readers[0].clone();
        let bus = Box::new(EmulatedBus::new(readers));
        let eyes = Eyes::readers(bus, trust, Arc::clone(&clock));
        let (said, news) = mpsc::channel(limits::NEWS_MAX);
        let entropy = Box::new(crate::entropy::system);
        let reader = ReaderHandle::start(eyes, clock, entropy, said).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        Self {
            emulator,
            reader,
            news,
            runtime,
        }
    }

    fn line(&self, line: &str) {
        self.emulator.run_line(line).unwrap();
    }

    fn until(&mut self, what: &str, wanted: impl Fn(&News) -> bool) -> News {
        let mut heard = Vec::new();
        loop {
            let next = async { tokio::time::timeout(PATIENCE, self.news.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(news)) if wanted(&news) => return news,
                Ok(Some(news)) => heard.push(format!("{news:?}")),
                Ok(None) | Err(_) => panic!("waited for {what}, heard {heard:?}"),
            }
        }
    }

    fn captured(&mut self, ticket: Ticket) -> Capture {
        let captured = |news: &News| matches!(news, News::Captured(seen, _) if *seen == ticket);
        match self.until("a capture", captured) {
            News::Captured(_, capture) => *capture,
            other => panic!("{other:?}"),
        }
    }

    fn guided(&mut self, ticket: Ticket, id: &str) {
        self.until(id, |news| {
            matches!(news, News::Guide(seen, guidance) if *seen == ticket && guidance.as_str() == id)
        });
    }
}

#[test]
fn armed_reader_makes_one_template_and_the_hand_must_be_lifted_for_the_next() {
    let mut bench = Bench::new();
    bench.line("PALM 7");
    let first = bench.reader.arm(Purpose::Trial);
    let one = bench.captured(first);
    let second = bench.reader.arm(Purpose::Trial);
    bench.guided(second, "lift_hand");
    bench.line("LIFT");
    bench.guided(second, "show_hand");
    bench.line("PALM 7");
    let two = bench.captured(second);
    assert_ne!(one.nonce, two.nonce);
    let same = palm_models::compare::compare(&one.probe, &two.reference);
    bench.line("LIFT");
    let third = bench.reader.arm(Purpose::Trial);
    bench.line("PALM 8");
    let other = bench.captured(third);
    let unlike = palm_models::compare::compare(&one.probe, &other.reference);
    assert!(same.value() > unlike.value(), "{same:?} {unlike:?}");
}

#[test]
fn hand_that_is_badly_placed_is_guided_and_captured_once_it_is_right() {
    let mut bench = Bench::new();
    let ticket = bench.reader.arm(Purpose::Trial);
    bench.line("HINT too_far");
    bench.guided(ticket, "move_closer");
    bench.line("PALM 3 L");
    let capture = bench.captured(ticket);
    assert_eq!(capture.reference.hand(), palm_models::template::Hand::Left);
}

#[test]
fn frame_without_a_palm_is_rejected_with_one_thing_to_do_and_stays_armed() {
    let mut bench = Bench::new();
    let ticket = bench.reader.arm(Purpose::Trial);
    bench.line("HINT present");
    bench.guided(ticket, "no_hand");
    bench.line("PALM 5");
    bench.captured(ticket);
}

#[test]
fn unplug_during_capture_reports_absent_and_plug_is_ready_again() {
    let mut bench = Bench::new();
    bench.line("UNPLUG 6");
    bench.reader.arm(Purpose::Trial);
    bench.line("PALM 7");
    bench.until("absent", |news| matches!(news, News::Absent));
    bench.line("PLUG");
    bench.until("ready", |news| matches!(news, News::Ready { .. }));
    let ticket = bench.reader.arm(Purpose::Trial);
    bench.line("PALM 7");
    bench.captured(ticket);
}

#[test]
fn cancelled_capture_gives_nothing_and_the_reader_serves_the_next() {
    let mut bench = Bench::new();
    bench.line("PALM 7");
    let first = bench.reader.arm(Purpose::Trial);
    bench.until(
        "reading",
        |news| matches!(news, News::Reading(ticket) if *ticket == first),
    );
    bench.reader.disarm();
    let second = bench.reader.arm(Purpose::Trial);
    bench.line("LIFT");
    bench.line("PALM 7");
    let capture = bench.captured(second);
    assert!(capture.extract > Duration::ZERO);
}

#[test]
fn damaged_transfer_is_repeated_without_the_person_noticing() {
    let mut bench = Bench::new();
    bench.line("CORRUPT 4");
    let ticket = bench.reader.arm(Purpose::Trial);
    bench.line("PALM 7");
    bench.captured(ticket);
}

/// The rows of the driver's fault table, seen from the till: whatever happens to a capture, the next is taken without
/// anybody starting anything again.
#[test]
fn till_serves_the_next_hand_after_every_fault() {
    let mut bench = Bench::new();
    for fault in [
        "SHORT 3",
        "SHORT 3\nSHORT 6",
        "BABBLE 3\nBABBLE 6",
        "CORRUPT 3\nCORRUPT 6",
        "DUPLICATE 3\nDUPLICATE 6",
        "DROP 3\nDROP 7",
        "FORGE 3\nFORGE 7",
        "REPLAY 4\nREPLAY 8",
        "MOVE 1\nMOVE 2",
        "STALL 4\nSTALL 9",
        "NAK sensor_fault\nNAK sensor_fault",
        "RESTART",
        "RESTART 6",
        "SUSPEND",
        "UNPLUG\nPLUG",
        "UNPLUG 4\nSLEEP 50\nPLUG",
    ] {
        let ticket = bench.reader.arm(Purpose::Trial);
        bench.line("LIFT");
        bench.guided(ticket, "show_hand");
        bench.emulator.run_script(fault).unwrap();
        bench.line("PALM 7");
        let over = bench.until(fault, |news| {
            matches!(news, News::Absent | News::Captured(..) | News::Faulty(_))
        });
        if !matches!(over, News::Captured(seen, _) if seen == ticket) {
            bench.line("PLUG");
            bench.until("ready again", |news| matches!(news, News::Ready { .. }));
        }
        let next = bench.reader.arm(Purpose::Payment([7; 16]));
        bench.line("LIFT");
        bench.guided(next, "show_hand");
        bench.line("PALM 7");
        bench.captured(next);
    }
}

#[test]
fn reader_that_is_not_trusted_is_faulty_until_a_trusted_one_comes() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let own = emulator("TEST-1", &clock);
    let maker = palm_driver::Maker::new(
        &SigningKey::generate().0,
        "Forgery",
        SigningKey::generate().0,
        SigningKey::generate().0,
    );
    let config = EmulatorConfig {
        serial: String::new(),
        clock: Arc::clone(&clock),
    };
    let birth = maker.device("FORGED");
    let forged = EmulatorHandle::born(Box::<SyntheticSensor>::default(), birth, config);
    own.run_line("UNPLUG").unwrap();
    let readers = vec![own, forged.clone()];
    let mut bench = Bench::with(readers, Trust::development(), clock);
    let refused = ReaderError::NotTrusted(AttestError::UntrustedRoot);
    bench.until(
        "faulty",
        |news| matches!(news, News::Faulty(error) if *error == refused),
    );
    forged.run_line("UNPLUG").unwrap();
    bench.line("PLUG");
    bench.until(
        "ready",
        |news| matches!(news, News::Ready { serial } if serial == "TEST-1"),
    );
    let ticket = bench.reader.arm(Purpose::Trial);
    bench.line("PALM 7");
    bench.captured(ticket);
}

#[test]
fn debug_of_a_capture_shows_no_palm() {
    let mut bench = Bench::new();
    bench.line("PALM 7");
    let ticket = bench.reader.arm(Purpose::Trial);
    let shown = format!("{:?}", bench.captured(ticket));
    assert!(shown.starts_with("Capture(Template(Right"), "{shown}");
}
