//! One enrolment at the kiosk, as a pure state machine: events in, effects out, no I/O, no clock.
//!
//! ```text
//! Idle -> Consent -> Name -> Capturing (3 captures of one hand) -> Offer -> Sending -> Over
//!                                 ^-------- the other hand ---------'
//! ```
//!
//! The person chooses which hand comes first; the captures of one palm must then be of that hand. Nothing leaves the
//! till before the person says that it is enough, and leaving at any step before wipes what was typed and captured.

use std::{fmt, time::Duration};

use palm_models::template::Hand;
use palm_proto::reason::ReasonCode;

use crate::{
    checkout::{Refusal, Signal, Trouble},
    guidance::Guidance,
    limits,
};

/// A language that the pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Korean.
    Korean,
}

impl Language {
    /// Every language, in the order in which the pages offer them.
    pub const ALL: [Self; 2] = [Self::Korean, Self::English];

    /// The BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}

/// A person's name as typed. `Debug` prints its length.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Trims and checks: 1 to 64 characters, none of them a control character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=palm_proto::request::DISPLAY_NAME_MAX).contains(&text.chars().count());
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisplayName({} characters)", self.0.chars().count())
    }
}

/// What the person said before the first capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Language of the pages and of the notice.
    pub language: Language,
    /// Version of the notice that was agreed to.
    pub notice_version: String,
    /// The name.
    pub display_name: DisplayName,
}

/// Captures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The hand being captured; `None` until the first capture shows which it is.
    pub hand: Option<Hand>,
    /// Captures of it, 0 to [`limits::SAMPLES_PER_PALM`].
    pub taken: u8,
    /// Whether this is the second palm.
    pub second: bool,
}

/// Where an enrolment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No enrolment.
    Idle,
    /// The notice is shown and consent is asked for.
    Consent {
        /// Language of the pages.
        language: Language,
    },
    /// The name is asked for.
    Name {
        /// Language of the pages.
        language: Language,
        /// Version of the notice that was agreed to.
        notice_version: String,
    },
    /// A palm is being captured.
    Capturing {
        /// What was said before.
        form: Form,
        /// How far it is.
        progress: Progress,
        /// A burst is being taken just now.
        reading: bool,
        /// What to do differently.
        hint: Option<Guidance>,
        /// The reader is unplugged.
        reader_lost: bool,
    },
    /// One palm is complete: finish, or show the other hand?
    Offer {
        /// What was said before.
        form: Form,
        /// The palm that is complete.
        hand: Hand,
    },
    /// Sent; the answer is awaited.
    Sending {
        /// What was said before.
        form: Form,
        /// Attempts so far, this one included.
        attempt: u32,
        /// When to send again; `None` while an attempt is on its way.
        again_at: Option<Duration>,
    },
    /// Over.
    Over {
        /// Language of the pages.
        language: Language,
        /// How it ended.
        outcome: Outcome,
    },
}

/// How an enrolment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Enrolled; so many palms now.
    Done {
        /// Palms that the customer has now.
        palms: u32,
    },
    /// The service does not take these palms: another answer than yes.
    Refused(Option<ReasonCode>),
    /// It came to nothing for a technical reason.
    Failed(Trouble),
}

/// What happens to an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The person chose a language and begins.
    Start(Language),
    /// The person agreed to this notice.
    Consent {
        /// Its version.
        notice_version: String,
    },
    /// The person gave a name.
    Name(DisplayName),
    /// One palm is enough, or both are done.
    Finish,
    /// The other hand, too.
    OtherHand,
    /// The person is still there and needs more time.
    Stay,
    /// Captures again after they were refused, or sends again after a failure.
    Retry,
    /// The person leaves.
    Cancel,
    /// The hand is not well placed, or the picture was not good enough.
    Guide(Guidance),
    /// A capture began.
    Reading,
    /// A capture gave a template of this hand; [`Effect::Keep`] says whether it counts.
    Captured(Hand),
    /// The reader left.
    ReaderLost,
    /// The reader is back.
    ReaderBack,
    /// The service answered.
    Answered(Answer),
    /// Time passed.
    Tick,
}

/// What came of sending an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Enrolled.
    Enrolled {
        /// Palms that the customer has now.
        palms: u32,
    },
    /// Not these palms.
    Refused(Option<ReasonCode>),
    /// The request was refused for certain.
    Nothing(Trouble),
    /// No answer; sending the same again is safe.
    Unknown,
}

/// What is to be done about it, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Let the reader capture.
    Arm,
    /// Stop it.
    Disarm,
    /// Keep the capture that was just reported.
    Keep,
    /// Wipe every capture kept so far, and the request made of them.
    Forget,
    /// Send: the first time make the request of the kept captures, later the same bytes again.
    Send,
    /// Show and play it on the reader.
    Signal(Signal),
}

/// The enrolment at this kiosk.
#[derive(Debug)]
pub struct Enrolment {
    state: State,
    /// When an idle person counts as gone.
    idle_at: Duration,
}

impl Default for Enrolment {
    fn default() -> Self {
        Self {
            state: State::Idle,
            idle_at: Duration::ZERO,
        }
    }
}

type Done = Result<Vec<Effect>, Refusal>;

impl Enrolment {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether a person is in the middle of it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Over { .. })
    }

    /// When it is wiped unless the person does something; `None` while nothing is waited for.
    #[must_use]
    pub fn idle_at(&self) -> Option<Duration> {
        match self.state {
            State::Idle | State::Sending { .. } => None,
            State::Consent { .. }
            | State::Name { .. }
            | State::Capturing { .. }
            | State::Offer { .. }
            | State::Over { .. } => Some(self.idle_at),
        }
    }

    /// Takes one event at the time `now`; what came too late for the state it meant is ignored.
    ///
    /// # Errors
    /// [`Refusal`] for a command that does not fit the state, which then stays as it is.
    pub fn on(&mut self, event: Event, now: Duration) -> Done {
        let is_tick = event == Event::Tick;
        let done = match event {
            Event::Start(language) => self.start(language),
            Event::Consent { notice_version } => self.consent(notice_version),
            Event::Name(name) => self.name(name),
            Event::Finish => self.finish(),
            Event::OtherHand => self.other_hand(),
            Event::Retry => self.retry(),
            Event::Cancel => self.cancel(),
            Event::Stay => self.stay(),
            Event::Guide(guidance) => Ok(self.guide(guidance)),
            Event::Reading => Ok(self.reading()),
            Event::Captured(hand) => Ok(self.captured(hand)),
            Event::ReaderLost => Ok(self.reader(true)),
            Event::ReaderBack => Ok(self.reader(false)),
            Event::Answered(answer) => Ok(self.answered(answer, now)),
            Event::Tick => Ok(self.tick(now)),
        };
        if !is_tick && done.is_ok() {
            self.idle_at = now + limits::ENROLMENT_IDLE;
        }
        done
    }

    fn start(&mut self, language: Language) -> Done {
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        self.state = State::Consent { language };
        Ok(vec![Effect::Forget])
    }

    fn consent(&mut self, notice_version: String) -> Done {
        let State::Consent { language } = self.state else {
            return Err(Refusal::NotNow);
        };
        self.state = State::Name {
            language,
            notice_version,
        };
        Ok(Vec::new())
    }

    fn name(&mut self, display_name: DisplayName) -> Done {
        let State::Name {
            language,
            notice_version,
        } = &mut self.state
        else {
            return Err(Refusal::NotNow);
        };
        let notice_version = std::mem::take(notice_version);
        let form = Form {
            language: *language,
            notice_version,
            display_name,
        };
        Ok(self.capture(
            form,
            Progress {
                hand: None,
                taken: 0,
                second: false,
            },
        ))
    }

    fn capture(&mut self, form: Form, progress: Progress) -> Vec<Effect> {
        let hint = progress.second.then_some(Guidance::OTHER_HAND);
        self.state = State::Capturing {
            form,
            progress,
            reading: false,
            hint,
            reader_lost: false,
        };
        vec![Effect::Arm]
    }

    fn other_hand(&mut self) -> Done {
        let State::Offer { form, hand } = &self.state else {
            return Err(Refusal::NotNow);
        };
        let hand = match hand {
            Hand::Right => Hand::Left,
            Hand::Left => Hand::Right,
        };
        let progress = Progress {
            hand: Some(hand),
            taken: 0,
            second: true,
        };
        Ok(self.capture(form.clone(), progress))
    }

    fn finish(&mut self) -> Done {
        let State::Offer { form, .. } = &self.state else {
            return Err(Refusal::NotNow);
        };
        Ok(self.send(form.clone()))
    }

    fn send(&mut self, form: Form) -> Vec<Effect> {
        self.state = State::Sending {
            form,
            attempt: 1,
            again_at: None,
        };
        vec![Effect::Send]
    }

    fn retry(&mut self) -> Done {
        let State::Over { language, outcome } = self.state else {
            return Err(Refusal::NotNow);
        };
        match outcome {
            Outcome::Done { .. } => Err(Refusal::NotNow),
            Outcome::Refused(_) | Outcome::Failed(_) => {
                self.state = State::Consent { language };
                Ok(vec![Effect::Forget])
            }
        }
    }

    fn cancel(&mut self) -> Done {
        match self.state {
            State::Idle => Err(Refusal::NotNow),
            // It may be enrolled a moment later; leaving must not hide that.
            State::Sending { .. } => Err(Refusal::Busy),
            State::Consent { .. }
            | State::Name { .. }
            | State::Capturing { .. }
            | State::Offer { .. }
            | State::Over { .. } => {
                self.state = State::Idle;
                Ok(vec![Effect::Disarm, Effect::Forget])
            }
        }
    }

    fn stay(&self) -> Done {
        if self.is_busy() {
            Ok(Vec::new())
        } else {
            Err(Refusal::NotNow)
        }
    }

    fn guide(&mut self, guidance: Guidance) -> Vec<Effect> {
        if let State::Capturing { hint, reading, .. } = &mut self.state {
            (*hint, *reading) = (Some(guidance), false);
        }
        Vec::new()
    }

    fn reading(&mut self) -> Vec<Effect> {
        if let State::Capturing { hint, reading, .. } = &mut self.state {
            (*hint, *reading) = (None, true);
        }
        Vec::new()
    }

    fn captured(&mut self, seen: Hand) -> Vec<Effect> {
        let State::Capturing {
            form,
            progress,
            reading,
            hint,
            ..
        } = &mut self.state
        else {
            return Vec::new();
        };
        *reading = false;
        if progress.hand.is_some_and(|hand| hand != seen) {
            let wanted = if progress.second && progress.taken == 0 {
                Guidance::OTHER_HAND
            } else {
                Guidance::SAME_HAND
            };
            *hint = Some(wanted);
            return vec![Effect::Arm];
        }
        progress.hand = Some(seen);
        progress.taken += 1;
        if progress.taken < limits::SAMPLES_PER_PALM {
            *hint = Some(Guidance::LIFT_HAND);
            return vec![Effect::Keep, Effect::Arm];
        }
        let (form, second) = (form.clone(), progress.second);
        let mut effects = vec![Effect::Keep, Effect::Disarm];
        if second {
            effects.extend(self.send(form));
        } else {
            self.state = State::Offer { form, hand: seen };
        }
        effects
    }

    fn reader(&mut self, lost: bool) -> Vec<Effect> {
        let State::Capturing {
            reader_lost,
            reading,
            ..
        } = &mut self.state
        else {
            return Vec::new();
        };
        *reader_lost = lost;
        *reading = false;
        if lost { Vec::new() } else { vec![Effect::Arm] }
    }

    fn answered(&mut self, answer: Answer, now: Duration) -> Vec<Effect> {
        let State::Sending {
            form,
            attempt,
            again_at,
        } = &mut self.state
        else {
            return Vec::new();
        };
        let outcome = match answer {
            Answer::Enrolled { palms } => Outcome::Done { palms },
            Answer::Refused(reason) => Outcome::Refused(reason),
            Answer::Nothing(Trouble::Unreachable) | Answer::Unknown
                if *attempt < limits::ENROL_ATTEMPTS =>
            {
                *again_at = Some(now + limits::SETUP_PAUSE);
                return Vec::new();
            }
            Answer::Nothing(trouble) => Outcome::Failed(trouble),
            Answer::Unknown => Outcome::Failed(Trouble::Unreachable),
        };
        let language = form.language;
        self.state = State::Over { language, outcome };
        let signal = match outcome {
            Outcome::Done { .. } => Signal::Accepted,
            Outcome::Refused(_) | Outcome::Failed(_) => Signal::Refused,
        };
        vec![Effect::Forget, Effect::Signal(signal)]
    }

    fn tick(&mut self, now: Duration) -> Vec<Effect> {
        if let State::Sending {
            attempt, again_at, ..
        } = &mut self.state
        {
            if again_at.is_some_and(|at| now >= at) {
                *again_at = None;
                *attempt += 1;
                return vec![Effect::Send];
            }
            return Vec::new();
        }
        if self.state != State::Idle && now >= self.idle_at {
            self.state = State::Idle;
            return vec![Effect::Disarm, Effect::Forget];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
