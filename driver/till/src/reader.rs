//! One thread owns the palm reader: it hears the hand, takes bursts while armed, makes templates of them, and says
//! what happened. Everything else of the till only sends it orders.
//!
//! Armed, it takes one capture and is done. A hand must have been lifted since the last capture, so that no hand that
//! still lies there pays the next amount. Frames are wiped as soon as a template is made, and never leave this file.
//! A reader that leaves is opened again when it is back, unarmed.
//!
//! Not here: what a capture is for. No asynchronous runtime either: the thread waits on the reader.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use palm_driver::{
    BurstPlan, CancelToken, Change, Clock, Event, Frame, HandState, Hint, Purpose, ReaderAddress,
    ReaderError, Signal,
};
use palm_models::{
    attack::Assessment,
    burst::{Burst, Shot},
    extract::{Rejection, extract, extract_undecided},
    image::GreyImage,
    template::Template,
};
use palm_proto::envelope::NONCE_BYTES;
use tokio::sync::mpsc;

use crate::{
    eye::{Eye, Eyes},
    guidance::Guidance,
    limits,
    sensor::light_of,
};

/// Fills a buffer with random bytes.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// What the thread says.
#[derive(Debug)]
pub enum News {
    /// A reader is open and idle.
    Ready {
        /// Its serial number, at most 64 characters.
        serial: String,
    },
    /// No reader is plugged in.
    Absent,
    /// A reader is there and does not work.
    Faulty(ReaderError),
    /// A capture began.
    Reading(Ticket),
    /// The hand is not well placed, or the picture was not good enough; still armed.
    Guide(Ticket, Guidance),
    /// A template was made; no longer armed.
    Captured(Ticket, Box<Capture>),
    /// The reader's case was opened or it was moved.
    Tamper,
}

/// Which arming a piece of news belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What one capture gave.
pub struct Capture {
    /// The template to enrol, in the clear: it is sealed before it leaves the process.
    pub reference: Template,
    /// The template to pay with, in the clear likewise.
    pub probe: Template,
    /// The nonce that the frames carried.
    pub nonce: [u8; NONCE_BYTES],
    /// When the last frame had arrived, on the till's clock.
    pub last_frame_at: Duration,
    /// From the order to the last frame.
    pub capture: Duration,
    /// From the last frame to the template.
    pub extract: Duration,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capture({:?})", self.probe)
    }
}

enum Order {
    Arm {
        ticket: Ticket,
        purpose: Purpose,
        cancel: CancelToken,
    },
    Disarm,
    Signal(Signal),
}

/// The till's end of the reader thread. Dropping it stops the thread.
#[derive(Debug)]
pub struct ReaderHandle {
    orders: Option<SyncSender<Order>>,
    armed: Option<CancelToken>,
    stop: CancelToken,
    ticket: Ticket,
    thread: Option<JoinHandle<()>>,
}

impl ReaderHandle {
    /// Starts the thread on these eyes; news go to `news`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        eyes: Eyes,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
        news: mpsc::Sender<News>,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel(limits::ORDERS_MAX);
        let stop = CancelToken::new();
        let mut owner = Owner {
            eyes,
            clock,
            entropy,
            inbox,
            news,
            stop: stop.clone(),
            plugged: None,
            armed: None,
            hand: HandState::Absent,
            lift_due: false,
        };
        let run = move || {
            // Ends when either side of the till is gone.
            let Err(Stopped) = owner.run();
        };
        let thread = std::thread::Builder::new()
            .name("palm-reader".to_owned())
            .spawn(run)?;
        Ok(Self {
            orders: Some(orders),
            armed: None,
            stop,
            ticket: Ticket(0),
            thread: Some(thread),
        })
    }

    /// Lets the reader take one capture for this payment or enrolment, which comes back inside every frame. News about
    /// it carry the ticket that is given back.
    pub fn arm(&mut self, purpose: Purpose) -> Ticket {
        self.ticket = Ticket(self.ticket.0 + 1);
        let cancel = CancelToken::new();
        self.armed = Some(cancel.clone());
        self.order(Order::Arm {
            ticket: self.ticket,
            purpose,
            cancel,
        });
        self.ticket
    }

    /// Stops a capture under way, at once, and takes no other.
    pub fn disarm(&mut self) {
        if let Some(cancel) = self.armed.take() {
            cancel.cancel();
        }
        self.order(Order::Disarm);
    }

    /// Shows and plays something on the reader.
    pub fn signal(&self, signal: Signal) {
        self.order(Order::Signal(signal));
    }

    /// A full queue means a reader that has not answered for a while; it will be reopened unarmed.
    fn order(&self, order: Order) {
        if self
            .orders
            .as_ref()
            .is_some_and(|orders| orders.try_send(order).is_err())
        {
            tracing::warn!("the reader thread does not take orders");
        }
    }
}

impl Drop for ReaderHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(cancel) = self.armed.take() {
            cancel.cancel();
        }
        self.orders = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the reader thread panicked");
        }
    }
}

/// The till has ended.
struct Stopped;

/// Why a reader is no longer served.
enum Lost {
    Stopped,
    Reader(ReaderError),
}

impl From<Stopped> for Lost {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<ReaderError> for Lost {
    fn from(error: ReaderError) -> Self {
        Self::Reader(error)
    }
}

struct Armed {
    ticket: Ticket,
    purpose: Purpose,
    cancel: CancelToken,
}

struct Owner {
    eyes: Eyes,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    inbox: Receiver<Order>,
    news: mpsc::Sender<News>,
    stop: CancelToken,
    plugged: Option<ReaderAddress>,
    armed: Option<Armed>,
    hand: HandState,
    /// A capture was made of the hand that is still there.
    lift_due: bool,
}

impl Owner {
    fn run(&mut self) -> Result<std::convert::Infallible, Stopped> {
        self.say(News::Absent)?;
        loop {
            let error = match self.open() {
                Ok(reader) => match self.serve(reader) {
                    Ok(never) => match never {},
                    Err(Lost::Stopped) => return Err(Stopped),
                    Err(Lost::Reader(error)) => error,
                },
                Err(Lost::Stopped) => return Err(Stopped),
                Err(Lost::Reader(error)) => error,
            };
            self.lost(error)?;
        }
    }

    fn say(&self, news: News) -> Result<(), Stopped> {
        self.news.blocking_send(news).map_err(|_| Stopped)
    }

    /// Says so, and leaves the reader time to come back before it is opened again.
    fn lost(&mut self, error: ReaderError) -> Result<(), Stopped> {
        tracing::warn!(%error, "reader lost");
        self.armed = None;
        (self.hand, self.lift_due) = (HandState::Absent, false);
        match error {
            ReaderError::Gone => self.say(News::Absent),
            other => {
                self.say(News::Faulty(other))?;
                self.pause(limits::SETUP_PAUSE)
            }
        }
    }

    /// Waits while throwing orders away: without a reader there is nothing to arm.
    fn pause(&self, time: Duration) -> Result<(), Stopped> {
        let until = self.clock.now() + time;
        while let Some(left) = until
            .checked_sub(self.clock.now())
            .filter(|left| !left.is_zero())
        {
            match self.inbox.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Eye, Lost> {
        let address = self.arrival()?;
        let reader = self.eyes.open(&address)?;
        let serial = reader.serial().chars().take(64).collect();
        self.say(News::Ready { serial })?;
        Ok(reader)
    }

    /// Waits until a reader is plugged in.
    fn arrival(&mut self) -> Result<ReaderAddress, Lost> {
        loop {
            let wait = if self.plugged.is_some() {
                Duration::ZERO
            } else {
                limits::SETUP_PAUSE
            };
            match self
                .eyes
                .next_change(wait, &self.stop)
                .map_err(ReaderError::from)?
            {
                Some(Change::Arrived(address)) => self.plugged = Some(address),
                Some(Change::Left(address)) if self.plugged.as_ref() == Some(&address) => {
                    self.plugged = None;
                }
                Some(Change::Left(_)) => {}
                None if self.stop.is_cancelled() => return Err(Lost::Stopped),
                None => {
                    if let Some(address) = &self.plugged {
                        return Ok(address.clone());
                    }
                    self.drain()?;
                }
            }
        }
    }

    fn drain(&self) -> Result<(), Stopped> {
        loop {
            match self.inbox.try_recv() {
                Ok(_) => {}
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Stopped),
            }
        }
    }

    fn serve(&mut self, mut reader: Eye) -> Result<std::convert::Infallible, Lost> {
        loop {
            self.obey(&mut reader)?;
            let due = self.hand == HandState::Present && !self.lift_due && self.armed.is_some();
            // Whatever the reader noticed meanwhile comes before the capture, but is not waited for.
            let wait = if due {
                Duration::ZERO
            } else {
                limits::READER_SLICE
            };
            if let Some(event) = reader.next_event(wait)? {
                self.noticed(event)?;
            } else if due {
                self.capture(&mut reader)?;
            }
        }
    }

    fn obey(&mut self, reader: &mut Eye) -> Result<(), Lost> {
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Arm {
                    ticket,
                    purpose,
                    cancel,
                }) => {
                    self.armed = Some(Armed {
                        ticket,
                        purpose,
                        cancel,
                    });
                    show(reader, Signal::Ready)?;
                    self.guide()?;
                }
                Ok(Order::Disarm) => {
                    if self.armed.take().is_some() {
                        show(reader, Signal::Off)?;
                    }
                }
                Ok(Order::Signal(signal)) => show(reader, signal)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Lost::Stopped),
            }
        }
    }

    fn noticed(&mut self, event: Event) -> Result<(), Stopped> {
        match event {
            Event::Hand(state) => {
                self.hand = state;
                if state == HandState::Absent {
                    self.lift_due = false;
                }
                self.guide()
            }
            Event::Tamper => {
                tracing::warn!("the reader reports tampering");
                self.say(News::Tamper)
            }
            Event::Button => Ok(()),
        }
    }

    /// Says what the hand should do, while somebody waits for it.
    fn guide(&self) -> Result<(), Stopped> {
        let Some(Armed { ticket, .. }) = &self.armed else {
            return Ok(());
        };
        let guidance = if self.lift_due {
            Some(Guidance::LIFT_HAND)
        } else {
            Hint::for_hand(self.hand).map(Guidance::from)
        };
        guidance.map_or(Ok(()), |guidance| self.say(News::Guide(*ticket, guidance)))
    }

    fn capture(&mut self, reader: &mut Eye) -> Result<(), Lost> {
        let Some(armed) = self.armed.take() else {
            return Ok(());
        };
        let Armed {
            ticket,
            purpose,
            ref cancel,
        } = armed;
        if cancel.is_cancelled() {
            return Ok(());
        }
        self.say(News::Reading(ticket))?;
        match self.take(reader, purpose, cancel)? {
            Taken::Template(capture) => {
                self.lift_due = true;
                self.say(News::Captured(ticket, capture))?;
            }
            Taken::Cancelled => show(reader, Signal::Off)?,
            Taken::Again(guidance) => {
                self.armed = Some(armed);
                self.say(News::Guide(ticket, guidance))?;
                if let Some(event) = reader.next_event(limits::REPEAT_PAUSE)? {
                    self.noticed(event)?;
                }
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        reader: &mut Eye,
        purpose: Purpose,
        cancel: &CancelToken,
    ) -> Result<Taken, ReaderError> {
        let (mut nonce, mut code) = ([0; NONCE_BYTES], [0; 8]);
        (self.entropy)(&mut nonce);
        (self.entropy)(&mut code);
        let began = self.clock.now();
        let plan = BurstPlan::coded(code);
        let ticket = palm_driver::Ticket { nonce, purpose };
        let frames = match reader.capture(&plan, ticket, limits::CAPTURE_TIMEOUT, cancel) {
            Ok(frames) => frames,
            Err(ReaderError::Cancelled) => return Ok(Taken::Cancelled),
            Err(error @ (ReaderError::Gone | ReaderError::NotTrusted(_))) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "capture failed");
                return Ok(Taken::Again(Guidance::ONCE_MORE));
            }
        };
        let last_frame_at = self.clock.now();
        show(reader, Signal::Captured)?;
        let Some(burst) = burst_of(frames) else {
            tracing::warn!("the reader's frames are larger than the extractor takes");
            return Ok(Taken::Again(Guidance::ONCE_MORE));
        };
        let extracted = if self.eyes.takes_pictures() {
            extract_undecided(&burst)
        } else {
            extract(&burst)
        };
        let extraction = match extracted {
            Ok(extraction) => extraction,
            Err(rejection) => {
                // The reason is for the operator; whoever stands there sees one hint for all of them.
                if let Rejection::Suspected(suspicion) = rejection {
                    tracing::warn!(reason = suspicion.as_str(), "taken for an attack");
                }
                return Ok(Taken::Again(rejection.into()));
            }
        };
        if extraction.attack == Assessment::NotTested {
            tracing::debug!("not tested for attacks: these eyes have no coded light");
        }
        drop(burst);
        let capture = last_frame_at.saturating_sub(began);
        let extract = self.clock.now().saturating_sub(last_frame_at);
        Ok(Taken::Template(Box::new(Capture {
            reference: extraction.reference,
            probe: extraction.probe,
            nonce,
            last_frame_at,
            capture,
            extract,
        })))
    }
}

enum Taken {
    Again(Guidance),
    Cancelled,
    Template(Box<Capture>),
}

/// A signal that is not shown stops no payment; only a reader that left matters.
fn show(reader: &mut Eye, signal: Signal) -> Result<(), ReaderError> {
    match reader.signal(signal) {
        Err(ReaderError::Gone) => Err(ReaderError::Gone),
        Err(error) => {
            tracing::debug!(%error, "signal not shown");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// The driver's frames in the extractor's words. Both kinds are wiped when dropped.
fn burst_of(frames: Vec<Frame>) -> Option<Burst> {
    let shot = |frame: &Frame| {
        let side = |side: u32| usize::try_from(side).ok();
        let (width, height) = (side(frame.width())?, side(frame.height())?);
        let image = GreyImage::new(width, height, frame.pixels().to_vec()).ok()?;
        Some(Shot {
            light: light_of(frame.shot().light),
            led_mask: frame.shot().led_mask,
            image,
        })
    };
    let shots = frames.iter().map(shot).collect::<Option<_>>()?;
    Some(Burst {
        shots,
        chroma: None,
    })
}

#[cfg(test)]
mod tests;
