//! An outside rail with books of its own: it is down, slow, loses questions and answers, or declines, as it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use palm_proto::{id::PaymentId, reason::ReasonCode};
use palm_server::rail::{Action, Answer, Rail, Reference, Step};
use tokio::sync::Notify;

/// How the next questions fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Answered.
    Fair,
    /// Declined.
    Declining,
    /// Not reached, and known to be.
    Down,
    /// Done, but the answer is lost.
    AnswerLost,
    /// Lost on the way; nobody knows.
    QuestionLost,
    /// On its way for long: it arrives after everybody has given up waiting.
    Late,
    /// Waits, undone, until it is let go.
    SlowQuestion,
    /// Done; the answer waits until it is let go.
    SlowAnswer,
}

/// One payment in the rail's books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) held: u64,
    pub(super) captured: u64,
    pub(super) refunded: u64,
}

#[derive(Debug, Default)]
struct Books {
    weather: Option<Weather>,
    standings: BTreeMap<PaymentId, Standing>,
    done: BTreeMap<[u8; 16], (Step, Answer)>,
    /// Steps that were taken back before they came: they are refused for ever.
    buried: BTreeSet<[u8; 16]>,
    late: Vec<Step>,
    wrongs: Vec<String>,
}

/// The rail.
#[derive(Debug, Default)]
pub(super) struct ScriptedRail {
    books: Mutex<Books>,
    parking: Notify,
    leaving: Notify,
}

fn approved() -> Answer {
    Reference::new("ref_simulated")
        .map_or(Answer::Unknown, |reference| Answer::Approved { reference })
}

impl Books {
    /// Does a step, once.
    fn take(&mut self, step: &Step, is_declined: bool) -> Answer {
        if let Some((first, answer)) = self.done.get(&step.id.0) {
            if first != step {
                self.wrongs
                    .push(format!("one id stands for two steps: {first:?}, {step:?}"));
            }
            return answer.clone();
        }
        let refused = Answer::Declined(ReasonCode::InsufficientFunds);
        let answer = if is_declined || self.buried.contains(&step.id.0) {
            refused
        } else {
            self.book(step);
            approved()
        };
        self.done.insert(step.id.0, (step.clone(), answer.clone()));
        answer
    }

    fn book(&mut self, step: &Step) {
        let minor = step.amount.minor();
        let now = self.standings.entry(step.payment).or_default();
        let before = *now;
        let is_sound = match step.action {
            Action::Authorise => {
                let is_first = before == Standing::default();
                now.held += minor;
                is_first
            }
            Action::Capture => {
                now.captured += minor;
                now.held = 0;
                minor <= before.held && before.captured == 0
            }
            Action::Void => {
                now.held = 0;
                minor == before.held
            }
            Action::Refund => {
                now.refunded += minor;
                now.refunded <= now.captured
            }
        };
        if !is_sound {
            self.wrongs
                .push(format!("the rail was asked for {step:?} at {before:?}"));
        }
    }

    fn undo(&mut self, step: &Step) {
        self.buried.insert(step.id.0);
        let Some((first, Answer::Approved { .. })) = self.done.get(&step.id.0) else {
            return;
        };
        let (minor, now) = (
            first.amount.minor(),
            self.standings.entry(step.payment).or_default(),
        );
        match first.action {
            Action::Authorise => {
                if now.held != minor || now.captured != 0 {
                    let wrong = format!("the rail was asked to undo {step:?} at {now:?}");
                    self.wrongs.push(wrong);
                }
                now.held = 0;
            }
            Action::Refund => now.refunded = now.refunded.saturating_sub(minor),
            Action::Capture | Action::Void => {
                let wrong = format!("the rail was asked to undo {step:?}");
                self.wrongs.push(wrong);
            }
        }
        let declined = Answer::Declined(ReasonCode::Cancelled);
        self.done.insert(step.id.0, (step.clone(), declined));
    }
}

impl ScriptedRail {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, weather: Weather) {
        self.books().weather = Some(weather);
    }

    /// What was on its way all the time comes now.
    pub(super) fn let_late_ones_come(&self) {
        let mut books = self.books();
        for step in std::mem::take(&mut books.late) {
            books.take(&step, false);
        }
    }

    /// Completes when a question waits.
    pub(super) async fn parks(&self) {
        self.parking.notified().await;
    }

    /// Lets every question that waits go on.
    pub(super) fn let_go(&self) {
        self.leaving.notify_waiters();
    }

    pub(super) fn standing(&self, payment: PaymentId) -> Standing {
        let books = self.books();
        books.standings.get(&payment).copied().unwrap_or_default()
    }

    /// Payments that it knows.
    pub(super) fn payments(&self) -> Vec<PaymentId> {
        self.books().standings.keys().copied().collect()
    }

    /// What it was asked that no rail must be asked.
    pub(super) fn wrongs(&self) -> Vec<String> {
        self.books().wrongs.clone()
    }

    async fn park(&self) {
        let leaving = self.leaving.notified();
        tokio::pin!(leaving);
        leaving.as_mut().enable();
        self.parking.notify_one();
        leaving.await;
    }
}

#[tonic::async_trait]
impl Rail for ScriptedRail {
    async fn send(&self, step: &Step) -> Answer {
        // Steps that wait, wait once: what follows them finds fair weather.
        let weather = {
            let mut books = self.books();
            let weather = books.weather.unwrap_or(Weather::Fair);
            if matches!(weather, Weather::SlowQuestion | Weather::SlowAnswer) {
                books.weather = Some(Weather::Fair);
            }
            weather
        };
        match weather {
            Weather::Fair => self.books().take(step, false),
            Weather::Declining => {
                // What was held can always be freed, captured and given back.
                let may_decline = step.action == Action::Authorise;
                self.books().take(step, may_decline)
            }
            Weather::Down => Answer::NotSent,
            Weather::AnswerLost => {
                self.books().take(step, false);
                Answer::Unknown
            }
            Weather::QuestionLost => Answer::Unknown,
            Weather::Late => {
                self.books().late.push(step.clone());
                Answer::Unknown
            }
            Weather::SlowQuestion => {
                self.park().await;
                self.books().take(step, false)
            }
            Weather::SlowAnswer => {
                let answer = self.books().take(step, false);
                self.park().await;
                answer
            }
        }
    }

    async fn look_up(&self, step: &Step) -> Answer {
        let books = self.books();
        match books.weather.unwrap_or(Weather::Fair) {
            Weather::Down | Weather::QuestionLost | Weather::AnswerLost => Answer::Unknown,
            _ => match books.done.get(&step.id.0) {
                Some((_, answer)) => answer.clone(),
                None => Answer::NotSent,
            },
        }
    }

    async fn reverse(&self, step: &Step) -> Answer {
        let mut books = self.books();
        match books.weather.unwrap_or(Weather::Fair) {
            Weather::Down | Weather::QuestionLost => Answer::Unknown,
            Weather::AnswerLost => {
                books.undo(step);
                Answer::Unknown
            }
            _ => {
                books.undo(step);
                approved()
            }
        }
    }
}
