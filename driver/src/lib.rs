//! One palm reader over USB: bytes below, images and events above.
//!
//! Layers, from the cable up; each knows only the one below it:
//!
//! | layer | module | knows |
//! |---|---|---|
//! | bytes to and from a claimed interface | [`transport`] ([`usb`], [`emulator`]) | USB |
//! | packets, commands, replies, events, and how they are sealed | [`protocol`] | the reader protocol, no I/O, no clock |
//! | one reader: open, attest, capture, recover | [`session`] | deadlines, retries, whom to trust |
//! | readers coming and going | [`hotplug`] | the bus |
//!
//! Beside them: [`dfu`] gives a reader new firmware, [`maker`] is what a maker of readers does, [`recording`] keeps a
//! session for developers.
//!
//! **A reader must prove who made it and what it runs** before anything it says is believed ([`Trust`]); from then on
//! every command, reply and event is sealed, and each frame carries the payment or enrolment that it was taken for
//! ([`Purpose`]). There is no other way to open one.
//!
//! The [`emulator`] is a reader's firmware *below* the transport: every line of protocol code runs
//! without hardware. `driver/PROTOCOL.md` specifies the bytes.
//!
//! This crate deliberately knows nothing of palms: it hands out [`Frame`]s and what to
//! tell the customer ([`Hint`]); finding a hand in a frame is another crate's work. It never
//! writes a frame anywhere except from the developer's command `palm-reader capture`.
//!
//! Start reading at [`session`]. A whole capture, here against the emulator:
//!
//! ```
//! use std::time::Duration;
//! use palm_driver::{BurstPlan, CancelToken, EmulatorHandle, Reader, TestPattern, Trust};
//!
//! let emulator = EmulatorHandle::new(Box::new(TestPattern::new(64, 48)));
//! emulator.run_line("PALM 7")?;
//! let transport = emulator.transport().expect("plugged in");
//! let mut reader = Reader::open(Box::new(transport), &Trust::development())?;
//! let plan = BurstPlan::coded([1, 2, 3, 4, 5, 6, 7, 8]); // random bytes, from the caller
//! let frames = reader.capture(&plan, [9; 16], Duration::from_secs(2), &CancelToken::new())?;
//! assert_eq!(frames.len(), plan.shots().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod burst;
pub mod camera;
pub mod clock;
pub mod dfu;
pub mod emulator;
pub mod hotplug;
mod light;
pub mod limits;
pub mod maker;
pub mod picture;
pub mod protocol;
pub mod recording;
pub mod session;
pub mod transport;
pub mod usb;
pub mod usbip;
mod wiped;

pub use burst::{BurstPlan, Frame, Light, PlanError, Shot};
pub use camera::{Camera, CameraBus, CameraInfo};
pub use clock::{Bell, Clock, ManualClock, SystemClock};
pub use emulator::sensor::{Exposure, Sensor, Subject, TestPattern};
pub use emulator::{EmulatedBus, EmulatedTransport, EmulatorConfig, EmulatorHandle};
pub use hotplug::{Bus, Change, Listing, ReaderAddress, Watch};
pub use maker::{Birth, Maker};
pub use protocol::{
    AttestError, Attestation, HandState, Info, NakCode, Nonce, ProtocolError, Purpose, SelfTest,
    Ticket, Trust,
};
pub use session::{CancelToken, Event, Hint, Reader, ReaderError, Signal};
pub use transport::{Transport, TransportError};
pub use wiped::Wiped;
