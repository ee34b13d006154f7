//! Host and device explored against each other: every schedule of up to two faults over one small piece of work.
//!
//! The two real machines run, not models of them: [`Reader`] on one side, the emulator's firmware on the other, on a
//! clock that never blocks, so a schedule gives the same run each time. A schedule says which fault strikes at which
//! message or transfer; all of them up to the bounds below are run. In every one: a call ends, in bounded time; what
//! it gives is what the lens saw for this very capture; and when the faults are over the reader serves again.

use std::collections::BTreeSet;

use super::*;
use crate::protocol::{Purpose, Ticket};

/// Messages on bulk IN that a fault may strike at: opening has two, a capture of one shot three, a clean-up up to two.
const MESSAGES: u32 = 7;
/// Bulk transfers, likewise with the commands.
const TRANSFERS: u32 = 10;
/// Faults that look alike to the host: only the first of them goes into pairs.
const ALIKE: [&str; 3] = ["CORRUPT", "SHORT", "BABBLE"];
/// Far beyond what the ladder may take.
const BOUND: Duration = Duration::from_secs(30);

fn faults() -> Vec<String> {
    let at = |word: &str, most: u32| -> Vec<String> {
        (1..=most).map(|n| format!("{word} {n}")).collect()
    };
    let mut all = Vec::new();
    for word in [
        "CORRUPT",
        "DROP",
        "DUPLICATE",
        "SHORT",
        "BABBLE",
        "FORGE",
        "REPLAY",
    ] {
        all.extend(at(word, MESSAGES));
    }
    for word in ["STALL", "UNPLUG", "RESTART"] {
        all.extend(at(word, TRANSFERS));
    }
    all.extend(at("MOVE", 2));
    all.extend(["NAK busy", "NAK unknown_type", "NAK hello_first"].map(str::to_owned));
    all.extend(["SLEEP 100", "SLEEP 1200", "SLEEP 600000"].map(str::to_owned));
    all
}

/// Both machines as seen at one call of the host: what it does, what it said last, and where the device stands.
type Seen = BTreeSet<Vec<u8>>;

/// Notes where both stand whenever the host turns to the cable.
struct Observed {
    inner: Box<dyn Transport>,
    emulator: EmulatorHandle,
    said: u8,
    seen: Arc<Mutex<Seen>>,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observed")
    }
}

impl Observed {
    fn note(&self, does: u8) {
        let state = [&[does, self.said][..], &self.emulator.standing()].concat();
        self.seen.lock().unwrap().insert(state);
    }
}

impl Transport for Observed {
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError> {
        self.said = message.get(5).copied().unwrap_or_default();
        self.note(0);
        self.inner.bulk_out(message, timeout)
    }
    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError> {
        self.note(1);
        self.inner.bulk_in(timeout)
    }
    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        self.note(2);
        self.inner.interrupt_in(timeout)
    }
    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        self.note(3);
        self.inner.control(request, timeout)
    }
    fn recover(&mut self, step: Recovery) -> Result<(), TransportError> {
        self.note(if step == Recovery::Reset { 5 } else { 4 });
        self.inner.recover(step)
    }
}

fn one_shot() -> BurstPlan {
    BurstPlan::new(plan().shots()[1..2].to_vec()).unwrap()
}

fn shoot(reader: &mut Reader, number: u8) -> Result<Vec<Frame>, ReaderError> {
    let ticket = Ticket {
        nonce: [number; 16],
        purpose: Purpose::Payment([number; 16]),
    };
    reader.capture(&one_shot(), ticket, AMPLE, &CancelToken::new())
}

fn assert_just_seen(bench: &Bench, frames: &[Frame], schedule: &str) {
    let seen = bench.seen.lock().unwrap();
    let [exposure] = &seen.last().unwrap()[..] else {
        panic!("{schedule}: one exposure a burst")
    };
    let [frame] = frames else {
        panic!("{schedule}: one frame a burst")
    };
    assert!(
        frame.pixels() == exposure.pixels,
        "{schedule}: not what the lens saw"
    );
}

/// One run: open, capture, hear, capture. Then the faults are over, and the reader must serve.
fn run(schedule: &str, before_opening: bool, seen: &Arc<Mutex<Seen>>) {
    let bench = Bench::new(4, 4);
    let open = || {
        let inner = Box::new(bench.emulator.transport().ok_or(ReaderError::Gone)?);
        let observed = Box::new(Observed {
            inner,
            emulator: bench.emulator.clone(),
            said: 0,
            seen: Arc::clone(seen),
        });
        Reader::open_with_clock(observed, &Trust::development(), bench.clock.clone())
    };
    if before_opening {
        bench.say(schedule);
    }
    if let Ok(mut reader) = open() {
        if !before_opening {
            bench.say(schedule);
        }
        for number in 1..=2 {
            if let Ok(frames) = shoot(&mut reader, number) {
                assert_just_seen(&bench, &frames, schedule);
            }
            // Whatever it answers, it answers.
            let heard = reader.next_event(Duration::from_millis(10));
            assert!(
                heard.is_ok() || reader.state != State::Ready,
                "{schedule}: {heard:?}"
            );
        }
    }
    assert!(
        bench.clock.now() < BOUND,
        "{schedule}: takes {:?}",
        bench.clock.now()
    );
    // What is left of the schedule strikes now; with two faults, the third attempt at the latest meets none.
    let served = (0..8).any(|_| {
        bench.say("PLUG");
        // A reader that sleeps hears of the plug when it wakes.
        bench.clock.advance(Duration::from_secs(100));
        let frames = open().and_then(|mut reader| shoot(&mut reader, 3));
        frames.is_ok_and(|frames| {
            assert_just_seen(&bench, &frames, schedule);
            true
        })
    });
    assert!(served, "{schedule}: serves no more");
}

#[test]
fn every_schedule_of_up_to_two_faults_ends_and_leaves_a_reader_that_serves() {
    let faults = faults();
    let seen = Arc::default();
    let mut schedules = 0;
    for first in &faults {
        run(first, true, &seen);
        run(first, false, &seen);
        schedules += 2;
    }
    let is_alike = |fault: &&String| ALIKE[1..].iter().any(|word| fault.starts_with(word));
    let different: Vec<&String> = faults.iter().filter(|fault| !is_alike(fault)).collect();
    for (index, first) in different.iter().enumerate() {
        for second in &different[index..] {
            run(&format!("{first}\n{second}"), true, &seen);
            schedules += 1;
        }
    }
    let states = seen.lock().unwrap().len();
    println!("{schedules} schedules, {states} states of host and device");
    assert!(
        schedules > 2_500 && states > 150,
        "{schedules} schedules, {states} states"
    );
}
