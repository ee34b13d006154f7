//! What the pages draw: one JSON object, whole each time, so that any of them may be missed and a reload resumes.
//!
//! It holds stable ids and numbers, never sentences: the pages have the words. Nothing of a palm is in it, and of a
//! person at most a masked name.

use std::time::Duration;

use palm_models::template::Hand;
use palm_proto::money::Money;
use serde::Serialize;

use crate::{
    checkout::{self, Outcome},
    enrolment,
    guidance::Guidance,
    limits,
    offline::Standing,
    reader::Capture,
    service::{Setup, StageTimes},
};

/// Everything that a page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Shape of this object.
    pub version: u32,
    /// The payment service.
    pub service: ServiceView,
    /// The palm reader.
    pub reader: ReaderView,
    /// The payment.
    pub checkout: CheckoutView,
    /// Payments taken without the service; absent when the merchant takes none.
    pub offline: Option<OfflineView>,
    /// The enrolment.
    pub enrolment: EnrolmentView,
}

/// The payment service as the till sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceView {
    /// `connecting`, `ready`, or `refused` (this till's certificate is not enrolled).
    pub state: &'static str,
    /// `tills/{id}`, empty until known.
    pub till: String,
    /// The shop, empty until known.
    pub shop_name: String,
    /// ISO 4217 code, empty until known.
    pub currency: String,
    /// Digits behind the point when an amount is written for people.
    pub minor_digits: u8,
    /// Highest amount of one payment, in minor units; 0 until known.
    pub payment_max_minor: u64,
}

impl ServiceView {
    pub(crate) fn new(state: &'static str, setup: Option<&Setup>) -> Self {
        let Some(setup) = setup else {
            let (till, shop_name, currency) = Default::default();
            let (minor_digits, payment_max_minor) = (0, 0);
            return Self {
                state,
                till,
                shop_name,
                currency,
                minor_digits,
                payment_max_minor,
            };
        };
        Self {
            state,
            till: setup.till.to_string(),
            shop_name: setup.shop_name.clone(),
            currency: setup.currency.code().to_owned(),
            minor_digits: setup.currency.minor_digits(),
            payment_max_minor: setup.payment_max.minor(),
        }
    }
}

/// The palm reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReaderView {
    /// `absent`, `ready` or `faulty`.
    pub state: &'static str,
    /// Its serial number, empty unless ready.
    pub serial: String,
    /// Whether it is the emulated one, which `POST /emulator` moves.
    pub emulated: bool,
    /// For the operator: why it is faulty. English.
    pub problem: Option<String>,
}

/// Payments taken without the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OfflineView {
    /// Not yet answered by the service.
    pub waiting: usize,
    /// Their sum, in minor units.
    pub waiting_minor: u64,
    /// Declined by the service afterwards: the merchant's loss.
    pub declined: usize,
    /// Their sum, in minor units.
    pub declined_minor: u64,
}

impl From<Standing> for OfflineView {
    fn from(standing: Standing) -> Self {
        let Standing {
            waiting,
            waiting_minor,
            declined,
            declined_minor,
        } = standing;
        Self {
            waiting,
            waiting_minor,
            declined,
            declined_minor,
        }
    }
}

/// The payment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckoutView {
    /// `idle`, `waiting_for_hand`, `reading`, `reader_lost`, `authorising`, `step_up`, `checking`, `approved`,
    /// `accepted_offline`, `declined`, `not_recognised`, `not_charged`, `cancelled` or `timed_out`.
    pub screen: &'static str,
    /// `payments/{uuid}`.
    pub payment: Option<String>,
    /// What is to be paid, in minor units.
    pub amount_minor: Option<u64>,
    /// ISO 4217 code of the amount.
    pub currency: Option<&'static str>,
    /// What the hand should do.
    pub hint: Option<Guidance>,
    /// Why it was declined, not recognised or not charged, or what is asked.
    pub reason: Option<&'static str>,
    /// The customer's name, masked.
    pub masked_name: Option<String>,
    /// What is left in the wallet, in minor units.
    pub balance_minor: Option<u64>,
    /// Somebody pressed cancel after the payment was sent.
    pub cancel_asked: bool,
    /// Left to hold out a hand.
    pub seconds_left: Option<u64>,
    /// Where the time of the last payment went.
    pub timings: Option<Timings>,
}

/// Where the time of one payment went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// From the order to the last frame.
    pub capture_ms: f64,
    /// From the last frame to the template.
    pub extract_ms: f64,
    /// Sealing the template and syncing the journal.
    pub prepare_ms: f64,
    /// From the first byte sent to the answer.
    pub service_ms: f64,
    /// In the service: opening the sealed template.
    pub open_ms: f64,
    /// In the service: finding the person.
    pub identify_ms: f64,
    /// In the service: booking, on disk.
    pub commit_ms: f64,
    /// From the last frame to the answer.
    pub total_ms: f64,
}

impl Timings {
    pub(crate) fn captured(capture: &Capture) -> Self {
        let (capture_ms, extract_ms) = (ms(capture.capture), ms(capture.extract));
        Self {
            capture_ms,
            extract_ms,
            ..Self::default()
        }
    }

    pub(crate) fn answered(
        &mut self,
        service: Duration,
        total: Duration,
        stages: Option<StageTimes>,
    ) {
        let StageTimes {
            open_us,
            identify_us,
            commit_us,
        } = stages.unwrap_or_default();
        let [open_ms, identify_ms, commit_ms] =
            [open_us, identify_us, commit_us].map(|us| f64::from(us) / 1e3);
        let (service_ms, total_ms) = (ms(service), ms(total));
        *self = Self {
            service_ms,
            total_ms,
            open_ms,
            identify_ms,
            commit_ms,
            ..*self
        };
    }
}

/// Milliseconds, to the microsecond.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl CheckoutView {
    pub(crate) fn new(state: &checkout::State, timings: Option<Timings>, now: Duration) -> Self {
        let view = |screen, sale: Option<checkout::Sale>| Self {
            screen,
            payment: sale.map(|sale| sale.payment.to_string()),
            amount_minor: sale.map(|sale| sale.amount.minor()),
            currency: sale.map(|sale| sale.amount.currency().code()),
            hint: None,
            reason: None,
            masked_name: None,
            balance_minor: None,
            cancel_asked: false,
            seconds_left: None,
            timings: None,
        };
        match state {
            checkout::State::Idle => view("idle", None),
            checkout::State::WaitingForHand {
                sale,
                deadline,
                hint,
            } => {
                let seconds_left = Some(seconds_until(*deadline, now));
                Self {
                    hint: *hint,
                    seconds_left,
                    ..view("waiting_for_hand", Some(*sale))
                }
            }
            checkout::State::Reading { sale, .. } => view("reading", Some(*sale)),
            checkout::State::ReaderLost { sale, .. } => view("reader_lost", Some(*sale)),
            checkout::State::Authorising {
                sale, cancel_asked, ..
            } => Self {
                cancel_asked: *cancel_asked,
                ..view("authorising", Some(*sale))
            },
            checkout::State::StepUp { sale, ask, until } => Self {
                reason: ask.reason.map(|reason| reason.as_str()),
                masked_name: Some(ask.masked_name.clone()).filter(|name| !name.is_empty()),
                seconds_left: Some(seconds_until(*until, now)),
                ..view("step_up", Some(*sale))
            },
            checkout::State::Checking(check) => Self {
                cancel_asked: check.cancel_asked,
                ..view("checking", Some(check.sale))
            },
            checkout::State::Over { sale, outcome, .. } => {
                let screen = screen_of(outcome);
                let (reason, masked_name) = reason_of(outcome);
                let balance_minor = balance_of(outcome).map(Money::minor);
                Self {
                    reason,
                    masked_name,
                    balance_minor,
                    timings,
                    ..view(screen, Some(*sale))
                }
            }
        }
    }
}

fn screen_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved { .. } => "approved",
        Outcome::AcceptedOffline { .. } => "accepted_offline",
        Outcome::Declined { .. } => "declined",
        Outcome::NotRecognised(_) => "not_recognised",
        Outcome::NotCharged(_) => "not_charged",
        Outcome::Cancelled => "cancelled",
        Outcome::TimedOut => "timed_out",
    }
}

fn reason_of(outcome: &Outcome) -> (Option<&'static str>, Option<String>) {
    match outcome {
        Outcome::Approved { masked_name, .. } | Outcome::AcceptedOffline { masked_name } => {
            (None, Some(masked_name.clone()))
        }
        Outcome::Declined {
            reason,
            masked_name,
        } => (
            reason.map(|reason| reason.as_str()),
            Some(masked_name.clone()),
        ),
        Outcome::NotRecognised(reason) => (reason.map(|reason| reason.as_str()), None),
        Outcome::NotCharged(trouble) => (Some(trouble.as_str()), None),
        Outcome::Cancelled | Outcome::TimedOut => (None, None),
    }
}

fn balance_of(outcome: &Outcome) -> Option<Money> {
    match outcome {
        Outcome::Approved { balance, .. } => *balance,
        Outcome::AcceptedOffline { .. }
        | Outcome::Declined { .. }
        | Outcome::NotRecognised(_)
        | Outcome::NotCharged(_)
        | Outcome::Cancelled
        | Outcome::TimedOut => None,
    }
}

/// The enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnrolmentView {
    /// `idle`, `consent`, `name`, `capturing`, `offer`, `sending`, `done`, `refused` or `failed`.
    pub screen: &'static str,
    /// `ko` or `en`, once chosen.
    pub language: Option<&'static str>,
    /// The hand being captured, or complete: `right` or `left`, once known.
    pub hand: Option<&'static str>,
    /// Whether this is the second palm.
    pub second: bool,
    /// Captures of this palm so far.
    pub taken: u8,
    /// Captures needed of one palm.
    pub needed: u8,
    /// A capture is being taken.
    pub reading: bool,
    /// The reader is unplugged.
    pub reader_lost: bool,
    /// What the hand should do.
    pub hint: Option<Guidance>,
    /// Palms that the customer has now.
    pub palms: Option<u32>,
    /// Why it was refused or failed.
    pub reason: Option<&'static str>,
    /// Left until everything is wiped, once that is near.
    pub seconds_left: Option<u64>,
}

impl EnrolmentView {
    pub(crate) fn new(enrolment: &enrolment::Enrolment, now: Duration) -> Self {
        let left = enrolment.idle_at().map(|at| at.saturating_sub(now));
        let left = left.filter(|left| *left <= limits::COUNTDOWN_FROM);
        Self {
            seconds_left: left.map(|left| seconds_until(left, Duration::ZERO)),
            ..Self::of(enrolment.state())
        }
    }

    fn of(state: &enrolment::State) -> Self {
        let view = |screen, language: Option<enrolment::Language>| Self {
            screen,
            language: language.map(enrolment::Language::tag),
            hand: None,
            second: false,
            taken: 0,
            needed: limits::SAMPLES_PER_PALM,
            reading: false,
            reader_lost: false,
            hint: None,
            palms: None,
            reason: None,
            seconds_left: None,
        };
        match state {
            enrolment::State::Idle => view("idle", None),
            enrolment::State::Consent { language } => view("consent", Some(*language)),
            enrolment::State::Name { language, .. } => view("name", Some(*language)),
            enrolment::State::Capturing {
                form,
                progress,
                reading,
                hint,
                reader_lost,
            } => Self {
                hand: progress.hand.map(hand_name),
                second: progress.second,
                taken: progress.taken,
                reading: *reading,
                reader_lost: *reader_lost,
                hint: *hint,
                ..view("capturing", Some(form.language))
            },
            enrolment::State::Offer { form, hand } => Self {
                hand: Some(hand_name(*hand)),
                taken: limits::SAMPLES_PER_PALM,
                ..view("offer", Some(form.language))
            },
            enrolment::State::Sending { form, .. } => view("sending", Some(form.language)),
            enrolment::State::Over { language, outcome } => match outcome {
                enrolment::Outcome::Done { palms } => Self {
                    palms: Some(*palms),
                    ..view("done", Some(*language))
                },
                enrolment::Outcome::Refused(reason) => {
                    let reason = reason.map(|reason| reason.as_str());
                    Self {
                        reason,
                        ..view("refused", Some(*language))
                    }
                }
                enrolment::Outcome::Failed(trouble) => Self {
                    reason: Some(trouble.as_str()),
                    ..view("failed", Some(*language))
                },
            },
        }
    }
}

fn hand_name(hand: Hand) -> &'static str {
    match hand {
        Hand::Right => "right",
        Hand::Left => "left",
    }
}

/// Whole seconds, rounded up.
fn seconds_until(deadline: Duration, now: Duration) -> u64 {
    let left = deadline.saturating_sub(now);
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
