//! What sees the hand: a palm reader, or a camera that stands in for one.
//!
//! A camera proves nothing of itself and knows no payment (`palm_driver::camera` says what is missing), so it has to be
//! allowed by name: `reader.accept_unattested` in the configuration.

use std::{sync::Arc, time::Duration};

use palm_driver::{
    BurstPlan, Bus, Camera, CameraBus, CancelToken, Change, Clock, Event, Frame, Reader,
    ReaderAddress, ReaderError, Signal, Ticket, TransportError, Trust, Watch,
    camera::quirks::Quirks,
};

/// Where eyes come and go.
#[derive(Debug)]
pub struct Eyes {
    kind: Kind,
    clock: Arc<dyn Clock>,
    pictures: bool,
}

#[derive(Debug)]
enum Kind {
    Cameras(Watch<CameraBus>, Quirks),
    Readers(Watch, Trust),
}

impl Eyes {
    /// Those palm readers of `bus` that `trust` believes.
    #[must_use]
    pub fn readers(bus: Box<dyn Bus>, trust: Trust, clock: Arc<dyn Clock>) -> Self {
        let kind = Kind::Readers(Watch::with_clock(bus, Arc::clone(&clock)), trust);
        Self {
            kind,
            clock,
            pictures: false,
        }
    }

    /// Pictures may stand for hands: attacks are not refused. For an emulated reader.
    #[must_use]
    pub fn accepting_pictures(mut self, pictures: bool) -> Self {
        self.pictures = pictures;
        self
    }

    pub(crate) fn takes_pictures(&self) -> bool {
        self.pictures
    }

    /// The machine's cameras.
    #[must_use]
    pub fn cameras(quirks: Quirks, clock: Arc<dyn Clock>) -> Self {
        let bus = Box::new(CameraBus::new());
        let watch = Watch::with_clock(bus, Arc::clone(&clock));
        let kind = Kind::Cameras(watch, quirks);
        Self {
            kind,
            clock,
            pictures: false,
        }
    }

    pub(crate) fn next_change(
        &mut self,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<Option<Change>, TransportError> {
        match &mut self.kind {
            Kind::Cameras(watch, _) => watch.next_change(timeout, cancel),
            Kind::Readers(watch, _) => watch.next_change(timeout, cancel),
        }
    }

    pub(crate) fn open(&mut self, address: &ReaderAddress) -> Result<Eye, ReaderError> {
        let clock = Arc::clone(&self.clock);
        match &mut self.kind {
            Kind::Cameras(_, quirks) => Camera::open(address, quirks, clock).map(Eye::camera),
            Kind::Readers(watch, trust) => {
                Reader::open_with_clock(watch.open(address)?, trust, clock).map(Eye::reader)
            }
        }
    }
}

/// One of them, open.
#[derive(Debug)]
pub(crate) enum Eye {
    Camera(Box<Camera>),
    Reader(Box<Reader>),
}

impl Eye {
    fn camera(camera: Camera) -> Self {
        Self::Camera(Box::new(camera))
    }

    fn reader(reader: Reader) -> Self {
        Self::Reader(Box::new(reader))
    }

    pub(crate) fn serial(&self) -> &str {
        match self {
            Self::Camera(camera) => &camera.info().serial,
            Self::Reader(reader) => &reader.info().serial,
        }
    }

    pub(crate) fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>, ReaderError> {
        match self {
            Self::Camera(camera) => camera.next_event(timeout),
            Self::Reader(reader) => reader.next_event(timeout),
        }
    }

    /// A camera takes what it can and knows neither plan nor ticket.
    pub(crate) fn capture(
        &mut self,
        plan: &BurstPlan,
        ticket: Ticket,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<Vec<Frame>, ReaderError> {
        match self {
            Self::Camera(camera) => camera.capture(timeout, cancel),
            Self::Reader(reader) => reader.capture(plan, ticket, timeout, cancel),
        }
    }

    /// A camera has nothing to show it with; the pages do.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), ReaderError> {
        match self {
            Self::Camera(_) => Ok(()),
            Self::Reader(reader) => reader.signal(signal),
        }
    }
}
