//! A recorded session: what a reader noticed and photographed, and when. For finding out later what went wrong.
//!
//! What is recorded is what came out of the secure session, not the bytes of the cable: those cannot be opened again
//! by anybody, which is their point. [`Recording::sensor`] gives the photographs back to an emulated reader, so that a
//! replay goes through the whole driver once more.
//!
//! **A recording of a real reader shows somebody's palm.** Only the developer's command `palm-reader record` makes
//! one; no other program does. A file is read whole, at most [`RECORDING_MAX`] bytes.
//!
//! | offset | size | |
//! |---|---|---|
//! | 0 | 4 | `OPRR` |
//! | 4 | 4 | version 1, 3 reserved |
//! | 8 | | entries: kind u8, 3 reserved, time u32 in ms, then as the kind says |
//!
//! Kind 1 is an event: kind u8, detail u8 as on the wire, 2 reserved. Kind 2 is a burst: shot count u8, 3 reserved,
//! then for each shot light u8, LED mask u8, 2 reserved, exposure, width, height u32, pixels.

use crate::Wiped;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use crate::burst::{BurstPlan, Frame, Light, PlanError, Shot, frame_len};
use crate::emulator::sensor::{Exposure, Sensor, Subject};
use crate::limits::{RECORDING_ENTRIES_MAX, RECORDING_MAX, SHOTS_MAX};
use crate::protocol::{EventKind, Fields, HandState, ProtocolError};
use crate::session::Event;

const MAGIC: [u8; 4] = *b"OPRR";
const EVENT: u8 = 1;
const BURST: u8 = 2;

/// Writes a recording as it happens.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    out: W,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&[1, 0, 0, 0])?;
        Ok(Self { out })
    }

    fn entry(&mut self, kind: u8, at: Duration) -> io::Result<()> {
        let at_ms = u32::try_from(at.as_millis()).unwrap_or(u32::MAX);
        self.out.write_all(&[kind, 0, 0, 0])?;
        self.out.write_all(&at_ms.to_le_bytes())
    }

    /// Notes an event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, at: Duration, event: Event) -> io::Result<()> {
        self.entry(EVENT, at)?;
        let [kind, detail] = EventKind::from(event).codes();
        self.out.write_all(&[kind, detail, 0, 0])
    }

    /// Notes a burst.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn burst(&mut self, at: Duration, frames: &[Frame]) -> io::Result<()> {
        self.entry(BURST, at)?;
        let count = u8::try_from(frames.len()).map_err(io::Error::other)?;
        self.out.write_all(&[count, 0, 0, 0])?;
        for frame in frames {
            let shot = frame.shot();
            self.out
                .write_all(&[shot.light.code(), shot.led_mask, 0, 0])?;
            for number in [shot.exposure_us, frame.width(), frame.height()] {
                self.out.write_all(&number.to_le_bytes())?;
            }
            self.out.write_all(frame.pixels())?;
        }
        self.out.flush()
    }
}

/// One thing that happened.
#[derive(Debug)]
pub enum Entry {
    /// The reader noticed something.
    Event(Event),
    /// A burst was taken.
    Burst(Vec<Frame>),
}

/// A recording, read.
#[derive(Debug)]
pub struct Recording {
    /// What happened, with the time since the recording began.
    pub entries: Vec<(Duration, Entry)>,
}

/// Why a file is no recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Longer than [`RECORDING_MAX`] bytes, or more entries than [`RECORDING_ENTRIES_MAX`]. Remedy: record less at a
    /// time.
    #[error("the recording is too long: record less at a time")]
    TooLong,
    /// Not as the format has it. Remedy: it was cut or is another file.
    #[error("not a recording: {0}")]
    Malformed(#[from] ProtocolError),
    /// A burst that no reader could have played. Remedy: as above.
    #[error("not a recording: {0}")]
    Plan(#[from] PlanError),
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordingError> {
        if bytes.len() > RECORDING_MAX {
            return Err(RecordingError::TooLong);
        }
        let mut fields = Fields::new("recording", bytes);
        if fields.array::<4>("magic")? != MAGIC {
            return Err(ProtocolError::BadMagic.into());
        }
        match fields.u8("version")? {
            1 => fields.zeros::<3>("after version")?,
            other => return Err(ProtocolError::UnsupportedVersion(other).into()),
        }
        let mut entries = Vec::new();
        while !fields.is_empty() {
            if entries.len() >= RECORDING_ENTRIES_MAX {
                return Err(RecordingError::TooLong);
            }
            let kind = fields.u8("entry")?;
            fields.zeros::<3>("after entry")?;
            let at = Duration::from_millis(u64::from(fields.u32("time")?));
            let entry = match kind {
                EVENT => Entry::Event(event(&mut fields)?),
                BURST => Entry::Burst(burst(&mut fields)?),
                other => return Err(fields.unknown("entry", u32::from(other)).into()),
            };
            entries.push((at, entry));
        }
        Ok(Self { entries })
    }

    /// A camera that sees the recorded bursts once more, in order, each under the plan it was taken with.
    #[must_use]
    pub fn sensor(&self) -> RecordedSensor {
        let bursts = self.entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Burst(frames) => Some(frames.iter().map(again).collect()),
            Entry::Event(_) => None,
        });
        RecordedSensor {
            bursts: bursts.collect(),
        }
    }
}

/// The plan that a recorded burst was taken with.
///
/// # Errors
/// [`PlanError`] for frames that were no burst.
pub fn plan_of(frames: &[Frame]) -> Result<BurstPlan, PlanError> {
    BurstPlan::new(frames.iter().map(Frame::shot).collect())
}

fn again(frame: &Frame) -> (Shot, Exposure) {
    let exposure = Exposure {
        width: frame.width(),
        height: frame.height(),
        pixels: frame.pixels().to_vec(),
    };
    (frame.shot(), exposure)
}

fn event(fields: &mut Fields<'_>) -> Result<Event, ProtocolError> {
    let codes = [fields.u8("kind")?, fields.u8("detail")?];
    fields.zeros::<2>("after detail")?;
    let kind = EventKind::from_codes(codes);
    let kind = kind.ok_or_else(|| fields.unknown("kind", u32::from(codes[0])))?;
    Ok(kind.into())
}

fn burst(fields: &mut Fields<'_>) -> Result<Vec<Frame>, RecordingError> {
    let count = usize::from(fields.u8("shot count")?);
    fields.zeros::<3>("after shot count")?;
    let mut frames = Vec::new();
    for _ in 0..count.min(SHOTS_MAX + 1) {
        let code = fields.u8("light")?;
        let light =
            Light::from_code(code).ok_or_else(|| fields.unknown("light", u32::from(code)))?;
        let led_mask = fields.u8("LED mask")?;
        fields.zeros::<2>("after LED mask")?;
        let shot = Shot {
            light,
            led_mask,
            exposure_us: fields.u32("exposure")?,
        };
        let (width, height) = (fields.u32("width")?, fields.u32("height")?);
        let bad = |pixels| ProtocolError::BadDimensions {
            width,
            height,
            pixels,
        };
        let length = frame_len(width, height).ok_or_else(|| bad(0))?;
        let pixels = Wiped::from(fields.bytes(length, "pixels")?.to_vec());
        let frame = Frame::behind_header(shot, (width, height), pixels, 0);
        frames.push(frame.map_err(|error| bad(error.pixels))?);
    }
    plan_of(&frames)?;
    Ok(frames)
}

/// The recorded photographs, for an emulated reader.
#[derive(Debug)]
pub struct RecordedSensor {
    bursts: VecDeque<Vec<(Shot, Exposure)>>,
}

impl Sensor for RecordedSensor {
    fn expose(&mut self, _: &Subject, plan: &BurstPlan, _: u64) -> Result<Vec<Exposure>, String> {
        let burst = self.bursts.pop_front().ok_or("the recording is over")?;
        let taken = burst.iter().map(|(shot, _)| shot);
        if !taken.eq(plan.shots()) {
            return Err("recorded under another plan".to_owned());
        }
        Ok(burst.into_iter().map(|(_, exposure)| exposure).collect())
    }
}

/// The script line that makes an emulated reader notice the same.
#[must_use]
pub fn line_of(event: Event) -> String {
    match event {
        Event::Button => "BUTTON".to_owned(),
        Event::Hand(state) => format!("HINT {}", HandState::word(state)),
        Event::Tamper => "TAMPER".to_owned(),
    }
}

/// Reads arbitrary bytes as a recording; must not panic.
#[doc(hidden)]
pub fn fuzz_recording(bytes: &[u8]) {
    let Ok(recording) = Recording::parse(bytes) else {
        return;
    };
    let mut again = Recorder::new(Vec::new()).expect("invariant: memory takes it");
    for (at, entry) in &recording.entries {
        let written = match entry {
            Entry::Event(event) => again.event(*at, *event),
            Entry::Burst(frames) => again.burst(*at, frames),
        };
        written.expect("invariant: memory takes it");
    }
    assert_eq!(again.out, bytes, "what was read writes the same bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::sensor::TestPattern;
    use crate::{CancelToken, EmulatorHandle, Reader, Trust};

    const SOON: Duration = Duration::from_secs(2);

    /// A session with an emulated reader, recorded.
    fn recorded() -> (Vec<u8>, Vec<Vec<u8>>) {
        let emulator = EmulatorHandle::new(Box::new(TestPattern::new(40, 30)));
        let transport = Box::new(emulator.transport().unwrap());
        let mut reader = Reader::open(transport, &Trust::development()).unwrap();
        let mut recorder = Recorder::new(Vec::new()).unwrap();
        let mut pixels = Vec::new();
        for (at, script) in [(0, "PALM 7\nBUTTON"), (900, "LIFT\nPALM 8 L\nTAMPER")] {
            emulator.run_script(script).unwrap();
            let at = Duration::from_millis(at);
            while let Some(event) = reader.next_event(Duration::ZERO).unwrap() {
                recorder.event(at, event).unwrap();
            }
            let plan = BurstPlan::coded([7; 8]);
            let frames = reader.capture(&plan, [1; 16], SOON, &CancelToken::new());
            let frames = frames.unwrap();
            recorder.burst(at, &frames).unwrap();
            pixels.extend(frames.iter().map(|frame| frame.pixels().to_vec()));
        }
        (recorder.out, pixels)
    }

    #[test]
    fn recorded_session_replays_through_the_driver_byte_for_byte() {
        let (bytes, pixels) = recorded();
        let recording = Recording::parse(&bytes).unwrap();
        let emulator = EmulatorHandle::new(Box::new(recording.sensor()));
        let transport = Box::new(emulator.transport().unwrap());
        let mut reader = Reader::open(transport, &Trust::development()).unwrap();
        let first = reader.next_event(SOON).unwrap();
        assert_eq!(first, Some(Event::Hand(HandState::Absent)));
        let mut seen = Vec::new();
        let mut events = 0;
        for (_, entry) in &recording.entries {
            match entry {
                Entry::Event(event) => {
                    emulator.run_line(&line_of(*event)).unwrap();
                    assert_eq!(reader.next_event(SOON), Ok(Some(*event)));
                    events += 1;
                }
                Entry::Burst(frames) => {
                    let plan = plan_of(frames).unwrap();
                    let taken = reader.capture(&plan, [2; 16], SOON, &CancelToken::new());
                    seen.extend(taken.unwrap().iter().map(|frame| frame.pixels().to_vec()));
                }
            }
        }
        assert_eq!(
            events, 8,
            "absent, too far, present, button; absent, too far, present, tamper"
        );
        assert!(seen == pixels, "pixels differ");
        let over = reader.capture(
            &BurstPlan::coded([7; 8]),
            [3; 16],
            SOON,
            &CancelToken::new(),
        );
        assert!(over.is_err(), "the recording is over");
    }

    #[test]
    fn file_that_is_no_recording_is_refused_by_field() {
        let (bytes, _) = recorded();
        fuzz_recording(&bytes);
        for length in [0, 3, 7, 9, 13, 40, bytes.len() - 1] {
            assert!(
                Recording::parse(&bytes[..length]).is_err(),
                "{length} bytes"
            );
        }
        let with = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            Recording::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 0), ProtocolError::BadMagic.into());
        assert_eq!(with(4, 2), ProtocolError::UnsupportedVersion(2).into());
        let unknown = |field, value| {
            RecordingError::from(ProtocolError::UnknownValue {
                message: "recording",
                field,
                value,
            })
        };
        assert_eq!(with(8, 3), unknown("entry", 3));
        assert_eq!(with(16, 9), unknown("kind", 9));
        let long = vec![0; RECORDING_MAX + 1];
        assert_eq!(
            Recording::parse(&long).unwrap_err(),
            RecordingError::TooLong
        );
    }
}
