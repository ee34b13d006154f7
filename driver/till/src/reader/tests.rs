use palm_driver::{EmulatedBus, EmulatorConfig, EmulatorHandle, SystemClock};

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

impl Bench {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let config = EmulatorConfig {
            serial: "TEST-1".to_owned(),
            clock: Arc::clone(&clock),
        };
        let emulator = EmulatorHandle::with_config(Box::<SyntheticSensor>::default(), config);
        let bus = Box::new(EmulatedBus::new(vec![emulator.clone()]));
        let eyes = Eyes::readers(bus, Arc::clone(&clock));
        let (said, news) = mpsc::channel(limits::NEWS_MAX);
        let entropy = Box::new(crate::entropy::system);
        let reader = ReaderHandle::start(eyes, clock, entropy, said).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut bench = Self {
            emulator,
            reader,
            news,
            runtime,
        };
        bench.until(
            "ready",
            |news| matches!(news, News::Ready { serial } if serial == "TEST-1"),
        );
        bench
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
    let first = bench.reader.arm();
    let one = bench.captured(first);
    let second = bench.reader.arm();
    bench.guided(second, "lift_hand");
    bench.line("LIFT");
    bench.guided(second, "show_hand");
    bench.line("PALM 7");
    let two = bench.captured(second);
    assert_ne!(one.nonce, two.nonce);
    let same = palm_models::compare::compare(&one.probe, &two.reference);
    bench.line("LIFT");
    let third = bench.reader.arm();
    bench.line("PALM 8");
    let other = bench.captured(third);
    let unlike = palm_models::compare::compare(&one.probe, &other.reference);
    assert!(same.value() > unlike.value(), "{same:?} {unlike:?}");
}

#[test]
fn hand_that_is_badly_placed_is_guided_and_captured_once_it_is_right() {
    let mut bench = Bench::new();
    let ticket = bench.reader.arm();
    bench.line("HINT too_far");
    bench.guided(ticket, "move_closer");
    bench.line("PALM 3 L");
    let capture = bench.captured(ticket);
    assert_eq!(capture.reference.hand(), palm_models::template::Hand::Left);
}

#[test]
fn frame_without_a_palm_is_rejected_with_one_thing_to_do_and_stays_armed() {
    let mut bench = Bench::new();
    let ticket = bench.reader.arm();
    bench.line("HINT present");
    bench.guided(ticket, "no_hand");
    bench.line("PALM 5");
    bench.captured(ticket);
}

#[test]
fn unplug_during_capture_reports_absent_and_plug_is_ready_again() {
    let mut bench = Bench::new();
    bench.line("UNPLUG 6");
    bench.reader.arm();
    bench.line("PALM 7");
    bench.until("absent", |news| matches!(news, News::Absent));
    bench.line("PLUG");
    bench.until("ready", |news| matches!(news, News::Ready { .. }));
    let ticket = bench.reader.arm();
    bench.line("PALM 7");
    bench.captured(ticket);
}

#[test]
fn cancelled_capture_gives_nothing_and_the_reader_serves_the_next() {
    let mut bench = Bench::new();
    bench.line("PALM 7");
    let first = bench.reader.arm();
    bench.until(
        "reading",
        |news| matches!(news, News::Reading(ticket) if *ticket == first),
    );
    bench.reader.disarm();
    let second = bench.reader.arm();
    bench.line("LIFT");
    bench.line("PALM 7");
    let capture = bench.captured(second);
    assert!(capture.extract > Duration::ZERO);
}

#[test]
fn damaged_transfer_is_repeated_without_the_person_noticing() {
    let mut bench = Bench::new();
    bench.line("CORRUPT 4");
    let ticket = bench.reader.arm();
    bench.line("PALM 7");
    bench.captured(ticket);
}

#[test]
fn debug_of_a_capture_shows_no_palm() {
    let mut bench = Bench::new();
    bench.line("PALM 7");
    let ticket = bench.reader.arm();
    let shown = format!("{:?}", bench.captured(ticket));
    assert!(shown.starts_with("Capture(Template(Right"), "{shown}");
}
