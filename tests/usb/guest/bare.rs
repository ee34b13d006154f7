//! What the bus itself can do: the same bytes as a burst, read by `nusb` and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use nusb::transfer::{Buffer, Bulk, In, Out};
use nusb::{Endpoint, MaybeFuture};
use palm_driver::Bell;
use palm_driver::usbip::descriptors::{Descriptors, READER_IN, READER_OUT, device};
use palm_driver::usbip::gadget::{Gadget, Outcome, Refusal, Setup};
use zeroize::Zeroizing;

use crate::rig::{PATIENCE, wait_for};

/// USB id of the spigot.
const ID: (u16, u16) = (0x1209, 0x0003);
/// Bytes of a burst's messages: five frames of 720 x 1024 with their headers, and the end of the capture.
pub(crate) const MESSAGES: [usize; 6] = [
    720 * 1024 + 60,
    720 * 1024 + 60,
    720 * 1024 + 60,
    720 * 1024 + 60,
    720 * 1024 + 60,
    44,
];
/// As the driver reads.
const READ_LEN: usize = 1 << 20;
const READS: usize = 2;

/// Whether the plug of a spigot is in.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plug(Arc<(AtomicBool, Mutex<Option<Arc<Bell>>>)>);

impl Plug {
    pub(crate) fn pull(&self) {
        self.0.0.store(false, Ordering::SeqCst);
        let bell = self.0.1.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bell.as_ref() {
            bell.ring();
        }
    }
}

/// A device that does nothing but send: any OUT transfer lets one burst's messages run.
#[derive(Debug)]
pub(crate) struct Spigot {
    plug: Plug,
    descriptors: Descriptors,
    bell: Arc<Bell>,
    noise: Vec<u8>,
    /// The message that is due, and how much of it was sent.
    due: usize,
    sent: usize,
}

impl Spigot {
    pub(crate) fn new(plug: &Plug) -> Self {
        let bell = Arc::new(Bell::new());
        plug.0.0.store(true, Ordering::SeqCst);
        *plug.0.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&bell));
        let mut descriptors = Descriptors::reader("SPIGOT-1");
        descriptors.device = device(ID.0, ID.1, [0, 0, 0]);
        Self {
            plug: plug.clone(),
            descriptors,
            bell,
            noise: vec![0x5a; MESSAGES[0]],
            due: MESSAGES.len(),
            sent: 0,
        }
    }
}

impl Gadget for Spigot {
    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, _setup: Setup, _data: &[u8]) -> Outcome<Vec<u8>> {
        Some(Err(Refusal::Stall))
    }

    fn input(&mut self, endpoint: u8, room: usize) -> Outcome<Zeroizing<Vec<u8>>> {
        if endpoint != READER_IN {
            return None;
        }
        let whole = MESSAGES.get(self.due)?;
        let length = (whole - self.sent).min(room);
        let bytes = self.noise.get(..length).unwrap_or_default().to_vec();
        self.sent += length;
        if length < room {
            (self.due, self.sent) = (self.due + 1, 0);
        }
        Some(Ok(Zeroizing::new(bytes)))
    }

    fn output(&mut self, _endpoint: u8, _data: &[u8]) -> Outcome<()> {
        (self.due, self.sent) = (0, 0);
        Some(Ok(()))
    }

    fn clear_halt(&mut self, _endpoint: u8) {}

    fn restart(&mut self) {
        self.due = MESSAGES.len();
    }

    fn is_plugged(&self) -> bool {
        self.plug.0.0.load(Ordering::SeqCst)
    }

    fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// The host's side of it.
pub(crate) struct Bare {
    output: Endpoint<Bulk, Out>,
    input: Endpoint<Bulk, In>,
}

impl Bare {
    pub(crate) fn open() -> anyhow::Result<Self> {
        wait_for("the spigot", || {
            let mut devices = nusb::list_devices().wait()?;
            let Some(info) = devices.find(|info| (info.vendor_id(), info.product_id()) == ID)
            else {
                return Ok(None);
            };
            // Listed, but perhaps not yet configured.
            let opened = info.open().wait().and_then(|device| {
                let interface = device.claim_interface(0).wait()?;
                Ok(Self {
                    output: interface.endpoint(READER_OUT)?,
                    input: interface.endpoint(READER_IN)?,
                })
            });
            Ok(opened.ok())
        })
    }

    /// Reads the bytes of one burst.
    pub(crate) fn burst(&mut self) -> anyhow::Result<usize> {
        self.output.submit(Buffer::from(vec![1]));
        let done = self.output.wait_next_complete(PATIENCE);
        done.context("no answer to the trigger")?.status?;
        let wanted: usize = MESSAGES.iter().sum();
        let mut got = 0;
        while self.input.pending() < READS {
            let mut buffer = self.input.allocate(READ_LEN);
            buffer.set_requested_len(READ_LEN);
            self.input.submit(buffer);
        }
        while got < wanted {
            let done = self
                .input
                .wait_next_complete(PATIENCE)
                .context("no bytes")?;
            done.status?;
            got += done.buffer.len();
            let mut buffer = done.buffer;
            buffer.clear();
            buffer.set_requested_len(READ_LEN);
            self.input.submit(buffer);
        }
        ensure!(got == wanted, "{got} bytes of {wanted}");
        Ok(got)
    }
}
