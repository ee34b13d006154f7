//! The lines that tell an emulated reader what happens to it.
//!
//! | line | effect |
//! |---|---|
//! | `PALM 7`, `PALM 7 L` | palm of person 7 over the lens, right hand unless `L`; again: a new sample |
//! | `IMAGE hand.png` | shows a picture file (PNG, JPEG, BMP) to the lens |
//! | `PRINT 7` | holds a picture of person 7's right palm, on paper, over the lens: an attack |
//! | `LIFT` | takes away whatever is there |
//! | `HINT too_far` | places the hand so: `absent`, `present`, `too_far`, `too_near`, `tilted`, `moving`, `off_centre` |
//! | `BUTTON`, `TAMPER` | raises that event |
//! | `UNPLUG`, `UNPLUG 3` | pulls the plug now, or at the third next bulk transfer |
//! | `PLUG` | plugs it in again |
//! | `STALL`, `STALL 3` | halts at the next, or the third next, bulk transfer |
//! | `NAK busy` | refuses the next command (name or number; never ABORT or HELLO) |
//! | `SLEEP 200` | answers nothing for 200 ms; what follows, script or host, waits |
//! | `CORRUPT 3`, `DROP 3`, `DUPLICATE 3` | damages, loses or repeats the third next message |
//! | `SHORT 3`, `BABBLE 3` | ends the third next message too early, or goes on after its end |
//! | `FORGE 3`, `REPLAY 3` | changes the third next message and mends its checksum, or sends the one before it instead |
//! | `MOVE 3` | firmware that lies: the third next frame says that it was taken for another payment |
//! | `SUSPEND` | suspends the port and resumes it: what was of the session is forgotten |
//! | `RESTART`, `RESTART 3` | starts the firmware anew without the bus noticing, now or at the third next bulk transfer |
//!
//! Case of the first word does not matter. `#` starts a comment line.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{SCRIPT_LINE_MAX, SCRIPT_LINES_MAX, SCRIPT_SLEEP_MS_MAX};
use crate::picture::PictureError;
use crate::protocol::{HandState, NakCode};

const WORDS: &str = "PALM, IMAGE, PRINT, LIFT, HINT, BUTTON, TAMPER, UNPLUG, PLUG, STALL, NAK, SLEEP, \
                     CORRUPT, DROP, DUPLICATE, SHORT, BABBLE, FORGE, REPLAY, MOVE, RESTART, SUSPEND";

/// One thing that happens to the reader. Counts say at which next occasion, 1 for the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The n-th next message on bulk IN goes on after its end.
    Babble(u32),
    /// The button is pressed.
    Button,
    /// Damages the n-th next message on bulk IN.
    Corrupt(u32),
    /// Loses the n-th next message on bulk IN.
    Drop(u32),
    /// Sends the n-th next message on bulk IN twice.
    Duplicate(u32),
    /// Changes the n-th next message on bulk IN and mends its checksum.
    Forge(u32),
    /// The hand is so placed.
    Hint(HandState),
    /// A picture file is put under the lens.
    Image(PathBuf),
    /// The lens is free again.
    Lift,
    /// The n-th next frame claims another payment.
    Move(u32),
    /// The next command is refused, unless it is ABORT or HELLO.
    Nak(NakCode),
    /// A palm is held over the lens.
    Palm {
        /// Which made-up person.
        identity: u64,
        /// Left hand.
        left: bool,
    },
    /// The plug goes in.
    Plug,
    /// A palm on paper is held over the lens.
    Print {
        /// Whose palm.
        identity: u64,
    },
    /// Sends the message before it instead of the n-th next on bulk IN.
    Replay(u32),
    /// The firmware starts anew, still plugged in, at once or at the n-th next bulk transfer.
    Restart(Option<u32>),
    /// The n-th next message on bulk IN ends too early.
    Short(u32),
    /// Nothing is answered for so long.
    Sleep(Duration),
    /// The bulk endpoints halt at the n-th next transfer.
    Stall(u32),
    /// The port was suspended and is resumed.
    Suspend,
    /// The case is opened.
    Tamper,
    /// The plug is pulled, at once or at the n-th next bulk transfer.
    Unplug(Option<u32>),
}

/// A script that cannot be obeyed.
#[derive(Debug)]
pub struct ScriptError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: ScriptFault,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Error for ScriptError {
    /// The reason is printed above, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptFault {
    /// A word is missing. Remedy: add it.
    #[error("{word} needs {wanted}")]
    Missing {
        /// The line's first word.
        word: &'static str,
        /// What must follow it.
        wanted: &'static str,
    },
    /// A picture that cannot be shown. Remedy: in the inner error.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// Something follows a complete line. Remedy: remove it.
    #[error("{0:?} is one word too many")]
    Surplus(String),
    /// The line is longer than [`SCRIPT_LINE_MAX`] bytes. Remedy: shorten it.
    #[error("longer than 4096 bytes")]
    TooLong,
    /// More lines than the reader keeps waiting. Remedy: split the script.
    #[error("{0} lines are too many, the reader keeps at most 1024 waiting")]
    TooMany(usize),
    /// A first word that means nothing. Remedy: use one of those named.
    #[error("unknown word {0:?}; allowed: {WORDS}")]
    Unknown(String),
    /// A value out of range. Remedy: use one of those named.
    #[error("{word} {value:?}: allowed is {wanted}")]
    Value {
        /// The line's first word.
        word: &'static str,
        /// What was written.
        value: String,
        /// What may be written.
        wanted: &'static str,
    },
}

impl ScriptError {
    pub(super) fn full(lines: usize) -> Self {
        Self {
            line: 1,
            reason: ScriptFault::TooMany(lines),
        }
    }

    pub(super) fn picture(line: usize, error: PictureError) -> Self {
        Self {
            line,
            reason: error.into(),
        }
    }
}

/// Reads a script: each line that does something, with its number from 1.
///
/// # Errors
/// [`ScriptError`] for the first line that cannot be obeyed.
pub fn parse(script: &str) -> Result<Vec<(usize, Line)>, ScriptError> {
    let mut lines = Vec::new();
    for (line, text) in (1..).zip(script.lines()) {
        let parsed = parse_line(text).map_err(|reason| ScriptError { line, reason })?;
        lines.extend(parsed.map(|parsed| (line, parsed)));
        if lines.len() > SCRIPT_LINES_MAX {
            return Err(ScriptError {
                line,
                reason: ScriptFault::TooMany(lines.len()),
            });
        }
    }
    Ok(lines)
}

fn parse_line(text: &str) -> Result<Option<Line>, ScriptFault> {
    if text.len() > SCRIPT_LINE_MAX {
        return Err(ScriptFault::TooLong);
    }
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let mut words = Words {
        word: "",
        rest: rest.trim_start(),
    };
    let line = match word.to_ascii_uppercase().as_str() {
        "BABBLE" => Line::Babble(words.of("BABBLE").occasion()?.unwrap_or(1)),
        "BUTTON" => Line::Button,
        "CORRUPT" => Line::Corrupt(words.of("CORRUPT").occasion()?.unwrap_or(1)),
        "DROP" => Line::Drop(words.of("DROP").occasion()?.unwrap_or(1)),
        "DUPLICATE" => Line::Duplicate(words.of("DUPLICATE").occasion()?.unwrap_or(1)),
        "FORGE" => Line::Forge(words.of("FORGE").occasion()?.unwrap_or(1)),
        "HINT" => Line::Hint(words.of("HINT").hand_state()?),
        "IMAGE" => Line::Image(words.of("IMAGE").path()?),
        "LIFT" => Line::Lift,
        "MOVE" => Line::Move(words.of("MOVE").occasion()?.unwrap_or(1)),
        "NAK" => Line::Nak(words.of("NAK").nak_code()?),
        "PALM" => words.of("PALM").palm()?,
        "PLUG" => Line::Plug,
        "PRINT" => Line::Print {
            identity: words.of("PRINT").person()?,
        },
        "REPLAY" => Line::Replay(words.of("REPLAY").occasion()?.unwrap_or(1)),
        "RESTART" => Line::Restart(words.of("RESTART").occasion()?),
        "SHORT" => Line::Short(words.of("SHORT").occasion()?.unwrap_or(1)),
        "SLEEP" => Line::Sleep(words.of("SLEEP").sleep()?),
        "STALL" => Line::Stall(words.of("STALL").occasion()?.unwrap_or(1)),
        "SUSPEND" => Line::Suspend,
        "TAMPER" => Line::Tamper,
        "UNPLUG" => Line::Unplug(words.of("UNPLUG").occasion()?),
        _ => return Err(ScriptFault::Unknown(word.to_owned())),
    };
    words.end()?;
    Ok(Some(line))
}

/// The words that follow the first.
struct Words<'a> {
    word: &'static str,
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn of(&mut self, word: &'static str) -> &mut Self {
        self.word = word;
        self
    }

    fn next(&mut self) -> Option<&'a str> {
        let (next, rest) = match self.rest.split_once(char::is_whitespace) {
            Some((next, rest)) => (next, rest.trim_start()),
            None => (self.rest, ""),
        };
        self.rest = rest;
        (!next.is_empty()).then_some(next)
    }

    fn wanted(&mut self, wanted: &'static str) -> Result<&'a str, ScriptFault> {
        let word = self.word;
        self.next().ok_or(ScriptFault::Missing { word, wanted })
    }

    fn value(&self, value: &str, wanted: &'static str) -> ScriptFault {
        ScriptFault::Value {
            word: self.word,
            value: value.to_owned(),
            wanted,
        }
    }

    fn end(&mut self) -> Result<(), ScriptFault> {
        self.next().map_or(Ok(()), |surplus| {
            Err(ScriptFault::Surplus(surplus.to_owned()))
        })
    }

    fn occasion(&mut self) -> Result<Option<u32>, ScriptFault> {
        let Some(text) = self.next() else {
            return Ok(None);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=1_000_000).contains(number));
        number
            .map(Some)
            .ok_or_else(|| self.value(text, "a count from 1 to 1000000"))
    }

    fn person(&mut self) -> Result<u64, ScriptFault> {
        let text = self.wanted("a person's number")?;
        text.parse()
            .map_err(|_| self.value(text, "a person's number, 0 or more"))
    }

    fn palm(&mut self) -> Result<Line, ScriptFault> {
        let identity = self.person()?;
        let left = match self.next() {
            None | Some("R" | "r") => false,
            Some("L" | "l") => true,
            Some(other) => return Err(self.value(other, "L for left or R for right")),
        };
        Ok(Line::Palm { identity, left })
    }

    fn hand_state(&mut self) -> Result<HandState, ScriptFault> {
        const WANTED: &str = "absent, present, too_far, too_near, tilted, moving or off_centre";
        let text = self.wanted(WANTED)?;
        HandState::ALL
            .into_iter()
            .find(|state| state.word() == text)
            .ok_or_else(|| self.value(text, WANTED))
    }

    fn nak_code(&mut self) -> Result<NakCode, ScriptFault> {
        const WANTED: &str = "a number from 1 to 255, or bad_argument, bad_sequence, busy, \
                              hello_first, malformed, not_armed, sensor_fault, unknown_type, \
                              unsupported_version, connect_first, not_authentic";
        let text = self.wanted(WANTED)?;
        let named = NakCode::NAMED
            .into_iter()
            .find(|code| nak_word(*code) == text);
        let number = || {
            text.parse()
                .ok()
                .filter(|code| *code > 0)
                .map(NakCode::from_code)
        };
        named
            .or_else(number)
            .ok_or_else(|| self.value(text, WANTED))
    }

    fn sleep(&mut self) -> Result<Duration, ScriptFault> {
        const WANTED: &str = "milliseconds, at most 600000";
        let text = self.wanted(WANTED)?;
        let ms = text.parse().ok().filter(|ms| *ms <= SCRIPT_SLEEP_MS_MAX);
        ms.map(Duration::from_millis)
            .ok_or_else(|| self.value(text, WANTED))
    }

    /// The rest of the line, so that a path may contain blanks.
    fn path(&mut self) -> Result<PathBuf, ScriptFault> {
        let path = std::mem::take(&mut self.rest);
        if path.is_empty() {
            return Err(ScriptFault::Missing {
                word: self.word,
                wanted: "the path of a picture",
            });
        }
        Ok(PathBuf::from(path))
    }
}

fn nak_word(code: NakCode) -> &'static str {
    match code {
        NakCode::BadArgument => "bad_argument",
        NakCode::BadSequence => "bad_sequence",
        NakCode::Busy => "busy",
        NakCode::HelloFirst => "hello_first",
        NakCode::Malformed => "malformed",
        NakCode::NotArmed => "not_armed",
        NakCode::SensorFault => "sensor_fault",
        NakCode::UnknownType => "unknown_type",
        NakCode::UnsupportedVersion => "unsupported_version",
        NakCode::ConnectFirst => "connect_first",
        NakCode::NotAuthentic => "not_authentic",
        NakCode::LightSpent => "light_spent",
        NakCode::Other(_) => "",
    }
}

/// Reads arbitrary bytes as a script; must not panic.
#[doc(hidden)]
pub fn fuzz_script(bytes: &[u8]) {
    drop(parse(&String::from_utf8_lossy(bytes)));
}
