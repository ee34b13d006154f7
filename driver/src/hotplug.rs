//! Readers coming and going.
//!
//! A [`Bus`] lists readers and opens them; [`Watch`] turns two lists into changes. The list is the
//! truth and notices of the kernel only shorten the wait, because they do not reach every container. They are the
//! kernel's own, not the udev daemon's: small systems have none.
//!
//! Not here: what to do with a reader ([`crate::session`]).

mod notices;

pub(crate) use notices::Notices;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Deadline, SystemClock};
use crate::limits::{CANCEL_SLICE, HOTPLUG_POLL};
use crate::session::CancelToken;
use crate::transport::{Transport, TransportError};

/// One plugged-in reader, until it leaves: plugged in again, it has another `path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReaderAddress {
    /// Where it is plugged in: bus and device number.
    pub path: String,
    /// Its serial number, if it tells one before it is opened.
    pub serial: Option<String>,
}

impl fmt::Display for ReaderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        self.serial
            .iter()
            .try_for_each(|serial| write!(f, " serial {serial}"))
    }
}

/// What is plugged in: a [`Bus`] of readers, or the cameras of [`crate::camera::CameraBus`].
pub trait Listing: fmt::Debug + Send {
    /// Readers that are there now.
    ///
    /// # Errors
    /// [`TransportError::Denied`] or `Fault` when the system does not tell.
    fn list(&mut self) -> Result<Vec<ReaderAddress>, TransportError>;

    /// Waits for a notice that the list may have changed, at most for `timeout`. `false` without
    /// one, which is no proof: notices may not work here.
    fn wait_change(&mut self, timeout: Duration) -> bool;
}

/// Where readers are plugged in: [`crate::usb::UsbBus`] or [`crate::emulator::EmulatedBus`].
pub trait Bus: Listing {
    /// Claims one of those listed.
    ///
    /// # Errors
    /// [`TransportError::Disconnected`] when it has left, `Denied` without rights or while another
    /// program holds it.
    fn open(&mut self, address: &ReaderAddress) -> Result<Box<dyn Transport>, TransportError>;
}

/// A change on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A reader is there that was not.
    Arrived(ReaderAddress),
    /// A reader has left.
    Left(ReaderAddress),
}

/// Compares what is plugged in with what was.
#[derive(Debug)]
pub struct Watch<B: Listing + ?Sized = dyn Bus> {
    bus: Box<B>,
    clock: Arc<dyn Clock>,
    known: Vec<ReaderAddress>,
    changes: VecDeque<Change>,
}

impl<B: Listing + ?Sized> Watch<B> {
    /// A watch that has seen nothing yet: readers already there arrive first.
    #[must_use]
    pub fn new(bus: Box<B>) -> Self {
        Self::with_clock(bus, Arc::new(SystemClock::new()))
    }

    /// As [`Self::new`], on a clock of the caller's.
    #[must_use]
    pub fn with_clock(bus: Box<B>, clock: Arc<dyn Clock>) -> Self {
        Self {
            bus,
            clock,
            known: Vec::new(),
            changes: VecDeque::new(),
        }
    }

    /// Waits for the next change; `None` when `timeout` passed or `cancel` was called.
    ///
    /// # Errors
    /// What [`Listing::list`] says.
    pub fn next_change(
        &mut self,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<Option<Change>, TransportError> {
        let deadline = Deadline::after(&*self.clock, timeout);
        loop {
            self.compare()?;
            if let Some(change) = self.changes.pop_front() {
                return Ok(Some(change));
            }
            if !self.wait(deadline, cancel) {
                return Ok(None);
            }
        }
    }

    /// Waits until it is worth listing again; `false` when there is no time left for it.
    fn wait(&mut self, deadline: Deadline, cancel: &CancelToken) -> bool {
        let poll = Deadline::after(&*self.clock, HOTPLUG_POLL);
        while let Some(until_poll) = poll.left(&*self.clock) {
            let Some(left) = deadline
                .left(&*self.clock)
                .filter(|_| !cancel.is_cancelled())
            else {
                return false;
            };
            if self.bus.wait_change(left.min(until_poll).min(CANCEL_SLICE)) {
                break;
            }
        }
        true
    }

    fn compare(&mut self) -> Result<(), TransportError> {
        if !self.changes.is_empty() {
            return Ok(());
        }
        let now = self.bus.list()?;
        let left = self.known.iter().filter(|address| !now.contains(address));
        self.changes.extend(left.cloned().map(Change::Left));
        let arrived = now.iter().filter(|address| !self.known.contains(address));
        self.changes.extend(arrived.cloned().map(Change::Arrived));
        self.known = now;
        Ok(())
    }
}

impl<B: Bus + ?Sized> Watch<B> {
    /// Claims a reader that arrived.
    ///
    /// # Errors
    /// As [`Bus::open`].
    pub fn open(&mut self, address: &ReaderAddress) -> Result<Box<dyn Transport>, TransportError> {
        self.bus.open(address)
    }
}
