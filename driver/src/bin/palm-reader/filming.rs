//! Commands that take pictures: capture, watch, record, replay.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use palm_driver::picture::write_png;
use palm_driver::protocol::crypto::random;
use palm_driver::recording::{Entry, Recorder, Recording, line_of, plan_of};
use palm_driver::{
    BurstPlan, CancelToken, Change, Clock, EmulatorHandle, Event, Frame, HandState, Hint, Light,
    Reader, ReaderAddress, ReaderError, Shot, Signal, SystemClock, Trust, Watch,
};

use crate::making::read;
use crate::terminal::half_blocks;
use crate::{Place, Stop};

/// Time a capture may take.
const CAPTURE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often `watch` looks at the bus while a reader is silent.
const EVENT_SLICE: Duration = Duration::from_millis(200);
/// Width of the live picture, in characters.
const COLUMNS: u32 = 72;
/// Longest wait for a hand.
const HAND_WAIT: Duration = Duration::from_secs(60);

fn burst(reader: &mut Reader, plan: &BurstPlan) -> anyhow::Result<Vec<Frame>> {
    let nonce: [u8; 16] = random();
    let frames = reader.capture(plan, nonce, CAPTURE_TIMEOUT, &CancelToken::new());
    frames.map_err(Stop::from_reader)
}

pub(crate) fn capture(place: &mut Place, out: Option<&Path>) -> anyhow::Result<()> {
    let address = place.first()?;
    let mut reader = place.open(&address).map_err(Stop::from_reader)?;
    place.begin()?;
    let frames = burst(&mut reader, &BurstPlan::coded(random()))?;
    reader.signal(Signal::Captured)?;
    for (index, frame) in frames.iter().enumerate() {
        let shot = frame.shot();
        println!(
            "{index}: {:?}, LEDs {:08b}, {} us, {} x {}",
            shot.light,
            shot.led_mask,
            shot.exposure_us,
            frame.width(),
            frame.height()
        );
        if let Some(folder) = out {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            let light = format!("{:?}", shot.light).to_lowercase();
            let path = folder.join(format!("{index}-{light}.png"));
            write_png(&path, frame)?;
            println!("   -> {}", path.display());
        }
    }
    Ok(())
}

/// Where the live picture goes.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Into the terminal.
    pub(crate) picture: bool,
    /// Into this file, again and again.
    pub(crate) png: Option<PathBuf>,
}

impl Live {
    fn is_wanted(&self) -> bool {
        self.picture || self.png.is_some()
    }

    /// One shot in near infrared under all LEDs, shown.
    fn show(&self, reader: &mut Reader) -> anyhow::Result<()> {
        let plan = BurstPlan::new(vec![Shot {
            light: Light::Nir,
            led_mask: palm_driver::burst::LEDS_ALL,
            exposure_us: palm_driver::burst::CODED_EXPOSURE_US,
        }])?;
        let frames = burst(reader, &plan)?;
        let Some(frame) = frames.first() else {
            return Ok(());
        };
        if self.picture {
            let mut out = std::io::stdout().lock();
            if out.is_terminal() {
                write!(out, "\x1b[H\x1b[2J")?;
            }
            write!(out, "{}", half_blocks(frame, COLUMNS))?;
            out.flush()?;
        }
        if let Some(path) = &self.png {
            write_png(path, frame)?;
        }
        Ok(())
    }
}

pub(crate) fn watch(mut place: Place, live: &Live) -> anyhow::Result<()> {
    let emulator = place.emulator();
    let serial = place.serial.clone();
    let trust = place.trust.clone();
    let wanted = |address: &ReaderAddress| serial.is_none() || address.serial == serial;
    let mut script = place.script.take();
    let mut watch = Watch::new(place.bus);
    let mut readers: Vec<(ReaderAddress, Reader)> = Vec::new();
    loop {
        let patience = if readers.is_empty() {
            EVENT_SLICE
        } else {
            Duration::ZERO
        };
        let change = watch.next_change(patience, &CancelToken::new())?;
        let quiet = change.is_none();
        match change {
            Some(Change::Arrived(address)) if wanted(&address) => {
                readers
                    .extend(arrive(&mut watch, &address, &trust).map(|reader| (address, reader)));
                if let (Some(emulator), Some(script)) = (&emulator, script.take()) {
                    emulator.run_script(&script)?;
                }
            }
            Some(Change::Left(address)) => {
                readers.retain(|(known, _)| *known != address);
                println!("{address}: left");
            }
            Some(Change::Arrived(_)) | None => {}
        }
        let there = readers.len();
        readers.retain_mut(|(address, reader)| hear(address, reader, live));
        let quiet = quiet && script.is_none() && readers.len() == there;
        if quiet && emulator.as_ref().is_some_and(EmulatorHandle::is_idle) {
            return Ok(()); // An emulated reader's script has an end; a real one's day has not.
        }
    }
}

fn arrive(watch: &mut Watch, address: &ReaderAddress, trust: &Trust) -> Option<Reader> {
    match watch
        .open(address)
        .map_err(ReaderError::from)
        .and_then(|transport| Reader::open(transport, trust))
    {
        Ok(reader) => {
            println!("{address}: arrived, {}", reader.info().model);
            Some(reader)
        }
        Err(error) => {
            println!("{address}: arrived, but: {error}");
            None
        }
    }
}

/// Prints what a reader noticed, and what it sees if that is wanted; whether it is still there.
fn hear(address: &ReaderAddress, reader: &mut Reader, live: &Live) -> bool {
    let heard = reader.next_event(EVENT_SLICE);
    let there = heard != Err(ReaderError::Gone);
    match heard {
        Ok(None) => {}
        Ok(Some(event)) => println!("{address}: {}", words(event)),
        Err(error) => println!("{address}: {error}"),
    }
    if there
        && live.is_wanted()
        && let Err(error) = live.show(reader)
    {
        println!("{address}: no picture: {error:#}");
    }
    there
}

fn words(event: Event) -> String {
    match event {
        Event::Button => "button".to_owned(),
        Event::Hand(state) => match Hint::for_hand(state) {
            Some(hint) => format!("hand {} -> {hint:?}", state.word()),
            None => format!("hand {}", state.word()),
        },
        Event::Tamper => "tamper: look at the reader before using it again".to_owned(),
    }
}

pub(crate) fn record(place: &mut Place, out: &Path, bursts: u32) -> anyhow::Result<()> {
    let address = place.first()?;
    let mut reader = place.open(&address).map_err(Stop::from_reader)?;
    let file = File::create_new(out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut recorder = Recorder::new(BufWriter::new(file))?;
    place.begin()?;
    let clock = SystemClock::new();
    let mut taken = 0;
    let mut patience = clock.now() + HAND_WAIT;
    while taken < bursts {
        if let Some(event) = reader.next_event(EVENT_SLICE).map_err(Stop::from_reader)? {
            recorder.event(clock.now(), event)?;
            println!("{address}: {}", words(event));
            if event == Event::Hand(HandState::Present) {
                let frames = burst(&mut reader, &BurstPlan::coded(random()))?;
                recorder.burst(clock.now(), &frames)?;
                taken += 1;
                patience = clock.now() + HAND_WAIT;
                println!("{address}: burst {taken} of {bursts}");
            }
        } else if clock.now() > patience || place.is_over() {
            bail!("{taken} of {bursts} bursts: no hand came");
        }
    }
    println!(
        "-> {} It shows a palm: delete it when you are done.",
        out.display()
    );
    Ok(())
}

pub(crate) fn replay(path: &Path, out: Option<&Path>) -> anyhow::Result<()> {
    let recording = Recording::parse(&read(path)?).with_context(|| path.display().to_string())?;
    let emulator = EmulatorHandle::new(Box::new(recording.sensor()));
    let transport = emulator
        .transport()
        .context("the emulated reader is taken")?;
    let mut reader = Reader::open(Box::new(transport), &Trust::development())?;
    // The state of the hand that every session begins with.
    reader.next_event(Duration::ZERO)?;
    for (number, (at, entry)) in recording.entries.iter().enumerate() {
        let at = at.as_secs_f64();
        match entry {
            Entry::Event(event) => {
                emulator.run_line(&line_of(*event))?;
                let heard = reader.next_event(EVENT_SLICE)?;
                if heard != Some(*event) {
                    bail!("{at:.3} s: {event:?} was recorded, {heard:?} came");
                }
                println!("{at:.3} s: {}", words(*event));
            }
            Entry::Burst(recorded) => {
                let frames = burst(&mut reader, &plan_of(recorded)?)?;
                let same = frames
                    .iter()
                    .map(Frame::pixels)
                    .eq(recorded.iter().map(Frame::pixels));
                if !same {
                    bail!("{at:.3} s: other pixels came than were recorded");
                }
                println!("{at:.3} s: burst of {}, the same bytes", frames.len());
                for (index, frame) in (0..).zip(&frames) {
                    write_into(out, number, index, frame)?;
                }
            }
        }
    }
    Ok(())
}

fn write_into(
    folder: Option<&Path>,
    entry: usize,
    index: u32,
    frame: &Frame,
) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    write_png(&folder.join(format!("{entry}-{index}.png")), frame)?;
    Ok(())
}
