//! One payment at the counter, as a pure state machine: events in, effects out, no I/O, no clock.
//!
//! ```text
//! Idle -> WaitingForHand <-> Reading -> Authorising -> Approved | Declined | NotRecognised | NotCharged
//!              |  ReaderLost                 \-> Checking -> one of the same
//!              \-> TimedOut | Cancelled
//! ```
//!
//! Two promises it keeps. Once a payment was sent, nothing but its own outcome ends it: a cancel is noted, and from
//! then on the till only asks, it does not send again. And while an outcome is unknown, no other payment starts.

mod events;

pub use events::{Answer, Effect, Event, Lookup, Refusal, Signal, Trouble};

use std::time::Duration;

use palm_proto::{id::PaymentId, money::Money, reason::ReasonCode};

use crate::{guidance::Guidance, limits};

/// What is to be paid, under which id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// Minted once, before the reader is armed.
    pub payment: PaymentId,
    /// What is to be paid.
    pub amount: Money,
}

/// Where a payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No payment.
    Idle,
    /// The amount is shown and a hand is asked for.
    WaitingForHand {
        /// What is to be paid.
        sale: Sale,
        /// When waiting ends.
        deadline: Duration,
        /// What to do differently.
        hint: Option<Guidance>,
    },
    /// The hand is being photographed.
    Reading {
        /// What is to be paid.
        sale: Sale,
        /// When waiting ends if nothing comes of it.
        deadline: Duration,
    },
    /// The reader left before anything was sent; the payment goes on when it is back.
    ReaderLost {
        /// What is to be paid.
        sale: Sale,
        /// When the payment is given up.
        until: Duration,
    },
    /// Sent; the answer is awaited.
    Authorising {
        /// What is to be paid.
        sale: Sale,
        /// When it was sent.
        sent_at: Duration,
        /// Somebody pressed cancel since.
        cancel_asked: bool,
    },
    /// Sent, and nobody knows what became of it. Do not charge again.
    Checking(Check),
    /// Over; the screens show it until then.
    Over {
        /// What was to be paid.
        sale: Sale,
        /// How it ended.
        outcome: Outcome,
        /// When the screens go back to the start.
        until: Duration,
    },
}

/// An unknown outcome being looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was to be paid.
    pub sale: Sale,
    /// Until when the same request may be sent again; `None`: only ask.
    pub resend_until: Option<Duration>,
    /// Somebody pressed cancel.
    pub cancel_asked: bool,
    /// When to ask next; `None` while a question is on its way.
    next_at: Option<Duration>,
    pause: Duration,
}

/// How a payment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Paid; the record of it is on the service's disk.
    Approved {
        /// The customer's name, masked.
        masked_name: String,
        /// What is left in the wallet, when told.
        balance: Option<Money>,
    },
    /// The palm was recognised, the payment was not taken.
    Declined {
        /// Why.
        reason: Option<ReasonCode>,
        /// The customer's name, masked.
        masked_name: String,
    },
    /// Nobody was charged: nobody, or more than one, was recognised.
    NotRecognised(Option<ReasonCode>),
    /// Nobody was charged, for a technical reason.
    NotCharged(Trouble),
    /// Cancelled before anything was sent.
    Cancelled,
    /// No hand came.
    TimedOut,
}

/// The payment at this counter.
#[derive(Debug)]
pub struct Checkout {
    state: State,
}

impl Default for Checkout {
    fn default() -> Self {
        Self { state: State::Idle }
    }
}

impl Checkout {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The sale that waits for a hand.
    #[must_use]
    pub fn awaited(&self) -> Option<Sale> {
        match self.state {
            State::WaitingForHand { sale, .. } | State::Reading { sale, .. } => Some(sale),
            _ => None,
        }
    }

    /// Whether the reader is its own just now, or an outcome is open.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Over { .. })
    }

    /// Takes one event at the time `now`; what came too late for the state it meant is ignored.
    ///
    /// # Errors
    /// [`Refusal`] for a command that does not fit the state, which then stays as it is.
    pub fn on(&mut self, event: Event, now: Duration) -> Result<Vec<Effect>, Refusal> {
        match event {
            Event::Charge(sale) => self.charge(sale, now),
            Event::Cancel => self.cancel(now),
            Event::Retry { fresh } => self.retry(fresh, now),
            Event::Clear => self.clear(),
            Event::Recover(sale) => Ok(self.recover(sale, now)),
            Event::Guide(hint) => Ok(self.guide(hint)),
            Event::Reading => Ok(self.reading()),
            Event::Captured => Ok(self.captured(now)),
            Event::ReaderLost => Ok(self.reader_lost(now)),
            Event::ReaderBack => Ok(self.reader_back(now)),
            Event::Answered(answer) => Ok(self.answered(answer, now)),
            Event::Found(lookup) => Ok(self.found(lookup, now)),
            Event::Tick => Ok(self.tick(now)),
        }
    }

    fn charge(&mut self, sale: Sale, now: Duration) -> Result<Vec<Effect>, Refusal> {
        match self.state {
            State::Idle | State::Over { .. } => Ok(self.wait_for_hand(sale, now)),
            State::Checking(_) => Err(Refusal::Unresolved),
            State::WaitingForHand { .. }
            | State::Reading { .. }
            | State::ReaderLost { .. }
            | State::Authorising { .. } => Err(Refusal::Busy),
        }
    }

    fn wait_for_hand(&mut self, sale: Sale, now: Duration) -> Vec<Effect> {
        let deadline = now + limits::HAND_WAIT;
        self.state = State::WaitingForHand {
            sale,
            deadline,
            hint: None,
        };
        vec![Effect::Arm]
    }

    fn cancel(&mut self, now: Duration) -> Result<Vec<Effect>, Refusal> {
        match &mut self.state {
            State::WaitingForHand { sale, .. }
            | State::Reading { sale, .. }
            | State::ReaderLost { sale, .. } => {
                let sale = *sale;
                let mut effects = vec![Effect::Disarm];
                effects.extend(self.end(sale, Outcome::Cancelled, now));
                Ok(effects)
            }
            State::Authorising { cancel_asked, .. } => {
                *cancel_asked = true;
                Ok(Vec::new())
            }
            State::Checking(check) => {
                check.cancel_asked = true;
                check.resend_until = None;
                Ok(Vec::new())
            }
            State::Idle | State::Over { .. } => Err(Refusal::NotNow),
        }
    }

    fn retry(&mut self, fresh: PaymentId, now: Duration) -> Result<Vec<Effect>, Refusal> {
        let State::Over { sale, outcome, .. } = &self.state else {
            return Err(Refusal::NotNow);
        };
        let sale = match outcome {
            Outcome::Approved { .. } => return Err(Refusal::NotNow),
            Outcome::NotRecognised(_) | Outcome::Cancelled | Outcome::TimedOut => *sale,
            Outcome::Declined { .. } | Outcome::NotCharged(_) => Sale {
                payment: fresh,
                ..*sale
            },
        };
        Ok(self.wait_for_hand(sale, now))
    }

    fn clear(&mut self) -> Result<Vec<Effect>, Refusal> {
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        self.state = State::Idle;
        Ok(Vec::new())
    }

    fn recover(&mut self, sale: Sale, now: Duration) -> Vec<Effect> {
        debug_assert!(!self.is_busy(), "one outcome is looked up at a time");
        self.check(sale, None, false, now)
    }

    fn check(
        &mut self,
        sale: Sale,
        resend_until: Option<Duration>,
        cancel_asked: bool,
        now: Duration,
    ) -> Vec<Effect> {
        let pause = limits::CHECK_PAUSE_MIN;
        let next_at = Some(now + pause);
        self.state = State::Checking(Check {
            sale,
            resend_until,
            cancel_asked,
            next_at,
            pause,
        });
        Vec::new()
    }

    fn guide(&mut self, guidance: Guidance) -> Vec<Effect> {
        match &mut self.state {
            State::WaitingForHand { hint, .. } => *hint = Some(guidance),
            State::Reading { sale, deadline } => {
                let (sale, deadline) = (*sale, *deadline);
                self.state = State::WaitingForHand {
                    sale,
                    deadline,
                    hint: Some(guidance),
                };
            }
            State::Idle
            | State::ReaderLost { .. }
            | State::Authorising { .. }
            | State::Checking(_)
            | State::Over { .. } => {}
        }
        Vec::new()
    }

    fn reading(&mut self) -> Vec<Effect> {
        if let State::WaitingForHand { sale, deadline, .. } = self.state {
            self.state = State::Reading { sale, deadline };
        }
        Vec::new()
    }

    fn captured(&mut self, now: Duration) -> Vec<Effect> {
        let (State::WaitingForHand { sale, .. } | State::Reading { sale, .. }) = self.state else {
            return Vec::new();
        };
        self.state = State::Authorising {
            sale,
            sent_at: now,
            cancel_asked: false,
        };
        vec![Effect::Disarm, Effect::Authorise(sale)]
    }

    fn reader_lost(&mut self, now: Duration) -> Vec<Effect> {
        if let State::WaitingForHand { sale, .. } | State::Reading { sale, .. } = self.state {
            self.state = State::ReaderLost {
                sale,
                until: now + limits::RESULT_SHOWN,
            };
        }
        Vec::new()
    }

    fn reader_back(&mut self, now: Duration) -> Vec<Effect> {
        match self.state {
            State::ReaderLost { sale, .. } => self.wait_for_hand(sale, now),
            // A reader that came back by itself in between has forgotten that it was armed.
            State::WaitingForHand { .. } | State::Reading { .. } => vec![Effect::Arm],
            State::Idle | State::Authorising { .. } | State::Checking(_) | State::Over { .. } => {
                Vec::new()
            }
        }
    }

    fn answered(&mut self, answer: Answer, now: Duration) -> Vec<Effect> {
        match self.state {
            State::Authorising {
                sale,
                sent_at,
                cancel_asked,
            } => match outcome_of(answer) {
                Some(outcome) => self.settle(sale, outcome, now),
                None => {
                    let resend = (!cancel_asked).then_some(sent_at + limits::RESEND_WINDOW);
                    self.check(sale, resend, cancel_asked, now)
                }
            },
            State::Checking(Check { sale, .. }) => match answer {
                Answer::Nothing(Trouble::Unreachable) | Answer::Unknown => {
                    self.ask_later(true, now)
                }
                // That this copy was refused says nothing about the one before: only ask.
                Answer::Nothing(_) => self.ask_later(false, now),
                Answer::Approved { .. } | Answer::Declined { .. } | Answer::NotRecognised(_) => {
                    outcome_of(answer)
                        .map_or_else(Vec::new, |outcome| self.settle(sale, outcome, now))
                }
            },
            State::Idle
            | State::WaitingForHand { .. }
            | State::Reading { .. }
            | State::ReaderLost { .. }
            | State::Over { .. } => Vec::new(),
        }
    }

    fn found(&mut self, lookup: Lookup, now: Duration) -> Vec<Effect> {
        let State::Checking(Check {
            sale, cancel_asked, ..
        }) = self.state
        else {
            return Vec::new();
        };
        let outcome = match lookup {
            Lookup::Approved { masked_name } => Outcome::Approved {
                masked_name,
                balance: None,
            },
            Lookup::Declined {
                reason,
                masked_name,
            } => Outcome::Declined {
                reason,
                masked_name,
            },
            Lookup::Cancelled if cancel_asked => Outcome::Cancelled,
            Lookup::Cancelled => Outcome::NotCharged(Trouble::NotBooked),
            Lookup::Unknown => return self.ask_later(true, now),
        };
        self.settle(sale, outcome, now)
    }

    /// Plans the next question; `resend` says whether it may be the request itself.
    fn ask_later(&mut self, resend: bool, now: Duration) -> Vec<Effect> {
        if let State::Checking(check) = &mut self.state {
            check.next_at = Some(now + check.pause);
            check.pause = (check.pause * 2).min(limits::CHECK_PAUSE_MAX);
            if !resend {
                check.resend_until = None;
            }
        }
        Vec::new()
    }

    fn tick(&mut self, now: Duration) -> Vec<Effect> {
        match &mut self.state {
            State::WaitingForHand { sale, deadline, .. } if now >= *deadline => {
                let sale = *sale;
                let mut effects = vec![Effect::Disarm];
                effects.extend(self.end(sale, Outcome::TimedOut, now));
                effects
            }
            State::ReaderLost { sale, until } if now >= *until => {
                let sale = *sale;
                self.end(sale, Outcome::Cancelled, now)
            }
            State::Checking(check) if check.next_at.is_some_and(|at| now >= at) => {
                check.next_at = None;
                let resend = check.resend_until.is_some_and(|until| now < until);
                let payment = check.sale.payment;
                vec![if resend {
                    Effect::Resend(payment)
                } else {
                    Effect::Resolve(payment)
                }]
            }
            State::Over { until, .. } if now >= *until => {
                self.state = State::Idle;
                Vec::new()
            }
            State::Idle
            | State::WaitingForHand { .. }
            | State::Reading { .. }
            | State::ReaderLost { .. }
            | State::Authorising { .. }
            | State::Checking(_)
            | State::Over { .. } => Vec::new(),
        }
    }

    fn settle(&mut self, sale: Sale, outcome: Outcome, now: Duration) -> Vec<Effect> {
        let signal = match outcome {
            Outcome::Approved { .. } => Signal::Accepted,
            Outcome::Declined { .. }
            | Outcome::NotRecognised(_)
            | Outcome::NotCharged(_)
            | Outcome::Cancelled
            | Outcome::TimedOut => Signal::Refused,
        };
        let mut effects = self.end(sale, outcome, now);
        effects.extend([Effect::Settle(sale.payment), Effect::Signal(signal)]);
        effects
    }

    fn end(&mut self, sale: Sale, outcome: Outcome, now: Duration) -> Vec<Effect> {
        self.state = State::Over {
            sale,
            outcome,
            until: now + limits::RESULT_SHOWN,
        };
        Vec::new()
    }
}

fn outcome_of(answer: Answer) -> Option<Outcome> {
    match answer {
        Answer::Approved {
            masked_name,
            balance,
        } => Some(Outcome::Approved {
            masked_name,
            balance,
        }),
        Answer::Declined {
            reason,
            masked_name,
        } => Some(Outcome::Declined {
            reason,
            masked_name,
        }),
        Answer::NotRecognised(reason) => Some(Outcome::NotRecognised(reason)),
        Answer::Nothing(trouble) => Some(Outcome::NotCharged(trouble)),
        Answer::Unknown => None,
    }
}

#[cfg(test)]
mod tests;
