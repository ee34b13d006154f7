//! One open reader: greet it, let it prove itself, hear its events, take a burst, recover.
//!
//! A [`Reader`] exists only over a secure session (`PROTOCOL.md` section 6). When the two sides no longer agree about
//! it, it is made anew in full, once a call; a reader that cannot prove itself then is an error, never a fallback.
//!
//! One thread owns a [`Reader`]. Every call has a deadline, a capture also has a [`CancelToken`].
//! Whatever happens to a capture, the clean-up runs (`recovery.rs`): afterwards the
//! reader is ready again, or gone, or the next call tries to recover it first.
//!
//! Two kinds of trouble, two types: a [`Hint`] is said to the customer, a [`ReaderError`] to the
//! operator.
//!
//! Not here: bytes ([`crate::protocol`]), finding readers ([`crate::hotplug`]), judging a picture.

mod capture;
mod error;
mod event;
mod link;
mod recovery;

pub use error::ReaderError;
pub use event::{Event, Hint, Signal};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::burst::{BurstPlan, Frame};
use crate::clock::{Bell, Clock, Deadline, SystemClock};
use crate::light::LightBudget;
use crate::limits::{CANCEL_SLICE, CAPTURE_ATTEMPTS, COMMAND_TIMEOUT, KEEP_ALIVE};
use crate::protocol::{Attestation, Command, Info, NakCode, Reply, SelfTest, Ticket, Trust};
use crate::transport::Transport;
use link::Link;

/// Stops a capture from another thread. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks whoever holds a clone to stop. It does within [`crate::limits::CANCEL_SLICE`] plus the
    /// time the clean-up takes.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Where the session stands between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The reader waits for a command and nothing is on its way.
    Ready,
    /// The last clean-up failed; try again before anything else.
    Unclean,
    /// The reader left. Final.
    Gone,
}

/// A reader that was opened and greeted.
#[derive(Debug)]
pub struct Reader {
    link: Link,
    trust: Trust,
    info: Info,
    attestation: Attestation,
    state: State,
    /// What the LEDs shone at our asking.
    light: LightBudget,
}

impl Reader {
    /// Greets the reader behind `transport`, lets it prove who it is, and makes the session secure; on the machine's
    /// clock.
    ///
    /// What an earlier program left unfinished in the reader is aborted first.
    ///
    /// # Errors
    /// [`ReaderError`]: `Gone`, `NotTrusted`, or why no rung of the recovery ladder made it answer.
    pub fn open(transport: Box<dyn Transport>, trust: &Trust) -> Result<Self, ReaderError> {
        Self::open_with_clock(transport, trust, Arc::new(SystemClock::new()))
    }

    /// As [`Self::open`], on a clock of the caller's. An emulated reader must share it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_clock(
        transport: Box<dyn Transport>,
        trust: &Trust,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ReaderError> {
        let mut link = Link::new(transport, clock);
        let (info, attestation) = recovery::greet(&mut link, trust)?;
        let development = attestation.development;
        tracing::info!(
            model = info.model,
            firmware = info.firmware,
            development,
            "reader open"
        );
        Ok(Self {
            link,
            trust: trust.clone(),
            info,
            attestation,
            state: State::Ready,
            light: LightBudget::default(),
        })
    }

    /// What the reader said of itself.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What the reader proved of itself.
    #[must_use]
    pub fn attestation(&self) -> &Attestation {
        &self.attestation
    }

    /// Waits for what the reader notices by itself; `None` when nothing came in `timeout`.
    ///
    /// A reader that started anew, or was suspended, knows nothing of the session and raises no events in it. So a
    /// reader that has been silent for [`crate::limits::KEEP_ALIVE`] is asked for a sign of life, and the session made
    /// anew if it does not remember.
    ///
    /// # Errors
    /// [`ReaderError::Gone`] after an unplug, otherwise a transport error that persisted.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>, ReaderError> {
        self.ensure_ready()?;
        let deadline = Deadline::after(self.link.clock(), timeout);
        loop {
            let left = deadline.left(self.link.clock()).unwrap_or_default();
            match self.link.next_event(left.min(KEEP_ALIVE)) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => {
                    let error = self.clean_up(error);
                    if self.state == State::Ready {
                        return Ok(None);
                    }
                    return Err(error);
                }
            }
            if self.link.is_silent() {
                self.ping()?;
            }
            if deadline.left(self.link.clock()).is_none() {
                return Ok(None);
            }
        }
    }

    /// Photographs one burst: the frames answer the shots of `plan`, in order.
    ///
    /// `ticket` says what the burst is for, under a nonce of fresh random bytes; every frame is checked to carry both,
    /// and the LEDs that were drawn for its shot. A refused, damaged,
    /// stalled or silent burst is taken once more within `timeout`. The clean-up after a failure
    /// has time of its own, four times [`crate::limits::RECOVERY_TIMEOUT`] at most. A burst that would let the LEDs
    /// shine longer than they may in a second waits for its turn, which is part of `timeout`.
    ///
    /// # Errors
    /// [`ReaderError`]. After every error but `Gone` the reader can be used again.
    pub fn capture(
        &mut self,
        plan: &BurstPlan,
        ticket: impl Into<Ticket>,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<Vec<Frame>, ReaderError> {
        self.ensure_ready()?;
        let ticket = ticket.into();
        let deadline = Deadline::after(self.link.clock(), timeout);
        let mut attempt = 1;
        loop {
            self.wait_for_light(plan, deadline, cancel)?;
            let taken = capture::run(&mut self.link, plan, ticket, deadline, cancel);
            // Counted from its end, when the reader has counted it for a while.
            let now = self.link.clock().now();
            match taken {
                Err(ReaderError::Refused(NakCode::LightSpent)) => self.light.exhaust(now),
                _ => self.light.spend(plan, now),
            }
            let error = match taken {
                Ok(frames) => return Ok(frames),
                Err(error) => error,
            };
            let blamed = self.clean_up(error);
            let again = attempt < CAPTURE_ATTEMPTS
                && error.is_worth_another_try()
                && deadline.left(self.link.clock()).is_some();
            if !again || self.state != State::Ready || cancel.is_cancelled() {
                return Err(blamed);
            }
            tracing::warn!(%error, "capture failed, taking it once more");
            attempt += 1;
        }
    }

    /// Lets the LEDs rest until `plan` may be played.
    fn wait_for_light(
        &self,
        plan: &BurstPlan,
        deadline: Deadline,
        cancel: &CancelToken,
    ) -> Result<(), ReaderError> {
        let clock = self.link.clock();
        let bell = Bell::new();
        loop {
            let wait = self.light.wait(plan, clock.now());
            if wait.is_zero() {
                return Ok(());
            }
            if cancel.is_cancelled() {
                return Err(ReaderError::Cancelled);
            }
            let left = deadline.left(clock).ok_or(ReaderError::TimedOut)?;
            clock.wait(&bell, bell.rings(), wait.min(left).min(CANCEL_SLICE));
        }
    }

    /// Shows and plays a signal to the customer.
    ///
    /// # Errors
    /// [`ReaderError`]; a payment does not depend on it.
    pub fn signal(&mut self, signal: Signal) -> Result<(), ReaderError> {
        self.command(&Command::Signal(signal.pattern()))
            .and_then(|reply| match reply {
                Reply::Ack => Ok(()),
                other => Err(link::unexpected("ACK", &other)),
            })
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// [`ReaderError`].
    pub fn ping(&mut self) -> Result<(), ReaderError> {
        const ECHO: u64 = 0x0123_4567_89ab_cdef;
        self.command(&Command::Ping(ECHO))
            .and_then(|reply| match reply {
                Reply::Pong(ECHO) => Ok(()),
                other => Err(link::unexpected("PONG with the same bytes", &other)),
            })
    }

    /// Lets the reader obey one DFU_DETACH within ten seconds: what [`crate::dfu::update`] begins with. Drop this
    /// reader then; it leaves the bus.
    ///
    /// # Errors
    /// [`ReaderError`].
    pub fn allow_update(&mut self) -> Result<(), ReaderError> {
        self.command(&Command::Update)
            .and_then(|reply| match reply {
                Reply::Ack => Ok(()),
                other => Err(link::unexpected("ACK", &other)),
            })
    }

    /// Lets the reader try its parts.
    ///
    /// # Errors
    /// [`ReaderError`].
    pub fn self_test(&mut self) -> Result<SelfTest, ReaderError> {
        self.command(&Command::SelfTest)
            .and_then(|reply| match reply {
                Reply::SelfTest(found) => Ok(found),
                other => Err(link::unexpected("SELF_TEST", &other)),
            })
    }

    /// One command, one reply, once more after a recovery.
    fn command(&mut self, command: &Command) -> Result<Reply, ReaderError> {
        self.ensure_ready()?;
        let mut attempt = 1;
        loop {
            let deadline = Deadline::after(self.link.clock(), COMMAND_TIMEOUT);
            let error = match self.link.ask(command, deadline, &CancelToken::new()) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let blamed = self.clean_up(error);
            if attempt == 2 || !error.is_worth_another_try() || self.state != State::Ready {
                return Err(blamed);
            }
            attempt += 1;
        }
    }

    fn ensure_ready(&mut self) -> Result<(), ReaderError> {
        match self.state {
            State::Ready if !self.link.is_worn() => Ok(()),
            State::Gone => Err(ReaderError::Gone),
            State::Ready | State::Unclean => {
                self.state = State::Unclean;
                let greeting = recovery::greet(&mut self.link, &self.trust);
                let (info, attestation) = greeting.inspect_err(|error| {
                    if *error == ReaderError::Gone {
                        self.state = State::Gone;
                    }
                })?;
                (self.info, self.attestation) = (info, attestation);
                self.state = State::Ready;
                Ok(())
            }
        }
    }

    /// Makes the reader ready again, and says whom to blame: an unplug, and a reader that could not prove itself once
    /// more, outrank the symptom by which they were noticed.
    fn clean_up(&mut self, error: ReaderError) -> ReaderError {
        match recovery::clean_up(&mut self.link, &self.trust, error) {
            Ok(greeting) => {
                if let Some(greeting) = greeting {
                    (self.info, self.attestation) = greeting;
                }
                self.state = State::Ready;
                error
            }
            Err(ReaderError::Gone) => {
                self.state = State::Gone;
                ReaderError::Gone
            }
            Err(why) => {
                tracing::warn!(%error, %why, "reader could not be recovered");
                self.state = State::Unclean;
                match why {
                    ReaderError::NotTrusted(_) => why,
                    _ => error,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
