//! The `iso8583` rail: an acquirer's host, spoken to by ISO 8583:1987 messages over one TCP connection.
//!
//! | step | message | answer |
//! |---|---|---|
//! | authorise | 0100 (0101 when sent again) | 0110 |
//! | capture | 0220 advice (0221), with the original's data in field 90 | 0230 |
//! | void | 0400 reversal (0401) of the authorisation | 0410 |
//! | refund | 0200 (0201), processing code 20 | 0210 |
//! | reverse | 0400 (0401) of the step in doubt | 0410 |
//!
//! **The same step again** carries the same trace number (11), time (7) and reference (37), with the type of a repeat:
//! the [trace book](self#the-trace-book) knows its number, also after a crash. A host that had it already answers as
//! before; this is the acquirer's part of the agreement.
//!
//! **Looking up** does not exist in ISO 8583: the answer is always unknown. A step in doubt is reversed, again and
//! again until the host acknowledges; captures and voids in doubt are sent again, which is the same. That a host has no
//! trace of what is reversed is believed [`SETTLED_AFTER`](super::SETTLED_AFTER) it was last sent, and not before: it
//! may come after its reversal.
//!
//! **Cards.** Field 2 and all other fields of a card are absent: a token of the acquirer stands in a private field, 48
//! unless configured otherwise.
//!
//! # The trace book
//! A file of its own that notes each step's trace number before the step is sent.

use std::sync::Arc;

use palm_proto::reason::ReasonCode;

use super::{Action, Answer, Rail, Reference, Step, sendings::Sendings};
use crate::{clock::Clock, config::rails::Iso8583Config};

mod book;
mod codec;
mod framing;
mod link;
mod message;
mod moment;
mod response;

pub use book::{BookError, KEPT, TRACE_MAX};
pub use codec::{Codec, DecodeError, EncodeError, MESSAGE_MAX, fuzz_message};
pub use framing::{Framing, FramingError, fuzz_frames};
pub use message::{Message, Mti, is_of_a_card};

use book::{Role, Trace, TraceBook};
use link::{Heard, Link, Settings};
use moment::Moment;
use response::{Meaning, currency_number, is_undone, meaning};

/// Processing codes, field 3.
const PURCHASE: &str = "000000";
const REFUND: &str = "200000";

/// The rail.
#[derive(Debug)]
pub struct Iso8583 {
    link: Link,
    framing: Framing,
    book: Arc<TraceBook>,
    config: Iso8583Config,
    clock: Arc<dyn Clock>,
    sendings: Sendings,
}

impl Iso8583 {
    /// Opens the trace book and starts to connect. Needs a tokio runtime; when the rail is dropped it signs off.
    ///
    /// # Errors
    /// [`BookError`] when the trace book cannot be used.
    pub fn start(config: &Iso8583Config, clock: Arc<dyn Clock>) -> Result<Self, BookError> {
        let book = Arc::new(TraceBook::open(&config.trace_book, clock.now())?);
        let framing = Framing::of(config);
        let settings = Settings {
            host: config.host,
            codec: codec(config),
            framing,
            sign_on: config.sign_on,
            connect_timeout: config.connect_timeout(),
            answer_timeout: config.answer_timeout(),
            echo: std::time::Duration::from_secs(config.echo_s),
            book: Arc::clone(&book),
            clock: Arc::clone(&clock),
        };
        Ok(Self {
            link: Link::start(settings),
            framing,
            book,
            config: config.clone(),
            sendings: Sendings::new(Arc::clone(&clock)),
            clock,
        })
    }

    /// The trace number of a step; on disk before it is used.
    async fn trace(&self, step: &Step, role: Role) -> Option<Trace> {
        let (book, id, now) = (Arc::clone(&self.book), step.id, self.clock.now());
        let noted = tokio::task::spawn_blocking(move || book.trace(id, role, now)).await;
        match noted {
            Ok(Ok(trace)) => Some(trace),
            Ok(Err(error)) => {
                tracing::error!("host: {error}");
                None
            }
            Err(_) => None,
        }
    }

    /// What every message about a step carries.
    fn message(&self, mti: Mti, step: &Step, trace: Trace) -> Option<Message> {
        let mti = if trace.is_repeat { mti.repeat() } else { mti };
        let utc = Moment::at(step.time_us, 0);
        let local = Moment::at(step.time_us, self.config.utc_offset_min);
        let message = Message::new(mti)
            .with(3, PURCHASE)
            .with(4, step.amount.minor().to_string())
            .with(7, utc.transmission())
            .with(11, format!("{:06}", trace.number))
            .with(12, local.time())
            .with(13, local.date())
            .with(22, &self.config.entry_mode)
            .with(41, &self.config.terminal)
            .with(42, &self.config.merchant)
            .with(self.config.token_field, step.instrument.as_str())
            .with(49, currency_number(step.amount.currency())?);
        Some(message)
    }

    fn build(&self, step: &Step, trace: Trace) -> Option<Message> {
        let reference = step.reference.as_ref().and_then(Original::read);
        match step.action {
            Action::Authorise => {
                let own = Original::of(step, trace.number);
                let message = self.message(Mti::AUTHORISATION, step, trace)?;
                Some(message.with(37, own.retrieval()))
            }
            Action::Refund => {
                let own = Original::of(step, trace.number);
                let original = reference?;
                let message = self.message(Mti::FINANCIAL, step, trace)?;
                Some(
                    message
                        .with(3, REFUND)
                        .with(37, own.retrieval())
                        .with_some(38, original.code.as_deref())
                        .with(90, original.data(Mti::AUTHORISATION)),
                )
            }
            Action::Capture => {
                let message = self.message(Mti::ADVICE, step, trace)?;
                Some(reference?.put(message, Mti::AUTHORISATION))
            }
            Action::Void => {
                let message = self.message(Mti::REVERSAL, step, trace)?;
                Some(reference?.put(message, Mti::AUTHORISATION))
            }
        }
    }

    fn answer(&self, step: &Step, trace: Trace, heard: &Message) -> Answer {
        let is_other_amount = heard
            .field(4)
            .is_some_and(|minor| minor.trim_start_matches('0') != step.amount.minor().to_string());
        let Some(code) = heard.field(39) else {
            return Answer::Unknown;
        };
        match meaning(code, step.action, trace.is_repeat) {
            // Approved for another amount: it must be undone.
            Meaning::Approved if is_other_amount => Answer::Unknown,
            Meaning::Approved => approved(match &step.reference {
                Some(reference) => Some(reference.clone()),
                None => Original::of(step, trace.number)
                    .with_code(heard.field(38))
                    .write(),
            }),
            Meaning::Declined(reason) => Answer::Declined(reason),
            Meaning::Unclear => Answer::Unknown,
        }
    }
}

#[tonic::async_trait]
impl Rail for Iso8583 {
    async fn send(&self, step: &Step) -> Answer {
        let Some(trace) = self.trace(step, Role::Step).await else {
            return Answer::NotSent;
        };
        let Some(message) = self.build(step, trace) else {
            // A reference that is none of this rail's.
            return Answer::Declined(ReasonCode::RailRefused);
        };
        match self.link.ask(&message, self.framing).await {
            Heard::Answer(heard) => self.answer(step, trace, &heard),
            Heard::NotSent => Answer::NotSent,
            Heard::Unknown => {
                self.sendings.note(step.id);
                Answer::Unknown
            }
        }
    }

    /// There is no such message: [`Answer::Unknown`], always. A step that this rail never gave a trace number to was
    /// never sent.
    async fn look_up(&self, step: &Step) -> Answer {
        if self.was_never_sent(step) {
            Answer::NotSent
        } else {
            Answer::Unknown
        }
    }

    async fn reverse(&self, step: &Step) -> Answer {
        let (mti, processing) = match step.action {
            Action::Authorise => (Mti::AUTHORISATION, PURCHASE),
            Action::Refund => (Mti::FINANCIAL, REFUND),
            Action::Capture | Action::Void => return Answer::Unknown,
        };
        if self.was_never_sent(step) {
            return approved(Reference::new("none").ok());
        }
        let Some(number) = self.book.find(step.id) else {
            tracing::error!("host: a step in doubt is not in the trace book: ask the acquirer");
            return Answer::Unknown;
        };
        let Some(trace) = self.trace(step, Role::Reversal).await else {
            return Answer::Unknown;
        };
        let Some(message) = self.message(Mti::REVERSAL, step, trace) else {
            return Answer::Unknown;
        };
        let original = Original::of(step, number);
        let message = original.put(message.with(3, processing), mti);
        match self.link.ask(&message, self.framing).await {
            Heard::Answer(heard) => {
                let is_settled = self.sendings.is_settled(step);
                let is_undone = |code| is_undone(code, is_settled);
                match heard.field(39) {
                    Some(code) if is_undone(code) => approved(original.write()),
                    _ => Answer::Unknown,
                }
            }
            Heard::NotSent | Heard::Unknown => Answer::Unknown,
        }
    }
}

impl Iso8583 {
    fn was_never_sent(&self, step: &Step) -> bool {
        self.book.find(step.id).is_none() && step.time_us >= self.book.since_us()
    }
}

fn codec(config: &Iso8583Config) -> Codec {
    Codec {
        encoding: config.encoding,
        response_code_packed: config.response_code_packed,
    }
}

fn approved(reference: Option<Reference>) -> Answer {
    match reference {
        Some(reference) => Answer::Approved { reference },
        None => Answer::Unknown,
    }
}

/// What an authorisation is known by: in a [`Reference`], `TRACE.MMDDhhmmss.YDDDhh.CODE`. No part is as long as a card
/// number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Original {
    trace: String,
    time: String,
    day: String,
    /// The host's authorisation code, field 38.
    code: Option<String>,
}

impl Original {
    fn of(step: &Step, trace: u32) -> Self {
        let moment = Moment::at(step.time_us, 0);
        Self {
            trace: format!("{trace:06}"),
            time: moment.transmission(),
            day: moment.reference(),
            code: None,
        }
    }

    fn with_code(mut self, code: Option<&str>) -> Self {
        let is_code = |code: &&str| {
            (1..=6).contains(&code.len()) && code.bytes().all(|c| c.is_ascii_alphanumeric())
        };
        self.code = code.filter(is_code).map(ToOwned::to_owned);
        self
    }

    fn write(&self) -> Option<Reference> {
        let Self {
            trace, time, day, ..
        } = self;
        let code = self.code.as_deref().unwrap_or("-");
        Reference::new(format!("{trace}.{time}.{day}.{code}")).ok()
    }

    fn read(reference: &Reference) -> Option<Self> {
        let parts: Vec<&str> = reference.as_str().split('.').collect();
        let &[trace, time, day, code] = parts.as_slice() else {
            return None;
        };
        let is_digits =
            |text: &str, length| text.len() == length && text.bytes().all(|c| c.is_ascii_digit());
        let is_right = is_digits(trace, 6) && is_digits(time, 10) && is_digits(day, 6);
        let original = Self {
            trace: trace.to_owned(),
            time: time.to_owned(),
            day: day.to_owned(),
            code: None,
        };
        is_right.then(|| original.with_code(Some(code)))
    }

    /// Retrieval reference number, field 37.
    fn retrieval(&self) -> String {
        format!("{}{}", self.day, self.trace)
    }

    /// Original data elements, field 90: type, trace number, time, and no institutions.
    fn data(&self, mti: Mti) -> String {
        format!("{mti}{}{}{:022}", self.trace, self.time, 0)
    }

    /// A message about this one.
    fn put(&self, message: Message, mti: Mti) -> Message {
        message
            .with(37, self.retrieval())
            .with_some(38, self.code.as_deref())
            .with(90, self.data(mti))
    }
}

#[cfg(test)]
mod tests;
