//! The emulated reader as a USB device: what comes over a cable, put to the same firmware, or in DFU mode to its
//! loader.

use crate::Wiped;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::device::Claim;
use crate::clock::Bell;
use crate::dfu::Mode;
use crate::limits::{BULK_PACKET_LEN, GADGET_MESSAGE_MAX, GADGET_PATIENCE};
use crate::transport::{Control, Recovery, TransportError};
use crate::usbip::descriptors::{Descriptors, READER_DFU, READER_EVENTS, READER_IN, READER_OUT};
use crate::usbip::gadget::{Gadget, Outcome, Refusal, Setup};

/// One plugging-in of an emulated reader. Dropping it releases the reader.
pub(super) struct ReaderGadget {
    shared: Arc<Shared>,
    claim: Claim,
    mode: Mode,
    descriptors: Descriptors,
    /// The beginning of a message whose end has not come.
    begun: Wiped,
}

impl fmt::Debug for ReaderGadget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReaderGadget({})", self.shared.serial)
    }
}

impl ReaderGadget {
    pub(super) fn new(shared: Arc<Shared>, (claim, mode): (Claim, Mode)) -> Self {
        let descriptors = match mode {
            Mode::RunTime => Descriptors::reader(&shared.serial),
            Mode::Loader => Descriptors::loader(&shared.serial),
        };
        Self {
            shared,
            claim,
            mode,
            descriptors,
            begun: Wiped::default(),
        }
    }

    /// A class request to the DFU interface.
    fn dfu(&self, setup: Setup, data: &[u8]) -> Outcome<Vec<u8>> {
        let Setup { request, value, .. } = setup;
        let now = self.shared.clock.now();
        let mut device = self.shared.device();
        let answer = if setup.is_in() {
            device.dfu_receive(self.claim, request)
        } else {
            let sent = device.dfu_send(self.claim, (request, value), data, now);
            sent.map(|()| Vec::new())
        };
        drop(device);
        self.shared.bell.ring(); // it may have left the bus
        refused(Some(answer))
    }

    fn recover(&mut self, step: Recovery) {
        self.begun = Wiped::default();
        let mut device = self.shared.device();
        if device.check(self.claim).is_ok() {
            device.recover(step, self.shared.clock.now());
        }
    }
}

impl Drop for ReaderGadget {
    fn drop(&mut self) {
        self.shared.device().release(self.claim);
    }
}

impl Gadget for ReaderGadget {
    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: Setup, data: &[u8]) -> Outcome<Vec<u8>> {
        let dfu = match self.mode {
            Mode::RunTime => READER_DFU,
            Mode::Loader => 0,
        };
        let request = match setup.request_type {
            0x21 | 0xa1 if setup.index == u16::from(dfu) => return self.dfu(setup, data),
            _ if self.mode == Mode::Loader => return Some(Err(Refusal::Stall)),
            0xc1 => Control::In {
                request: setup.request,
                value: setup.value,
                length: setup.length,
            },
            0x41 => Control::Out {
                request: setup.request,
                value: setup.value,
                data,
            },
            _ => return Some(Err(Refusal::Stall)),
        };
        refused(self.shared.device().control(request))
    }

    fn input(&mut self, endpoint: u8, room: usize) -> Outcome<Wiped> {
        let mut device = self.shared.device();
        match endpoint {
            READER_IN if !room.is_multiple_of(BULK_PACKET_LEN) => Some(Err(Refusal::Overflow)),
            READER_IN => {
                let read = device.bulk_in(room);
                refused(read.map(|read| read.map(|(bytes, _last)| bytes)))
            }
            READER_EVENTS => {
                let event = device.interrupt_in();
                refused(event.map(|event| event.map(|bytes| Wiped::from(bytes.to_vec()))))
            }
            _ => Some(Err(Refusal::Stall)),
        }
    }

    fn output(&mut self, endpoint: u8, data: &[u8]) -> Outcome<()> {
        if endpoint != READER_OUT || self.begun.len() + data.len() > GADGET_MESSAGE_MAX {
            self.begun = Wiped::default();
            return Some(Err(Refusal::Stall));
        }
        let ends = data.is_empty() || !data.len().is_multiple_of(BULK_PACKET_LEN);
        if !ends {
            self.begun.extend_from_slice(data);
            return Some(Ok(()));
        }
        let message = Wiped::from([&self.begun[..], data].concat());
        if message.is_empty() {
            return Some(Ok(())); // A zero-length packet by itself is nothing.
        }
        let now = self.shared.clock.now();
        let taken = self.shared.device().bulk_out(&message, now);
        if taken.is_some() {
            self.begun = Wiped::default();
        }
        refused(taken)
    }

    fn clear_halt(&mut self, endpoint: u8) {
        // The emulated halt is one for both directions.
        if [READER_IN, READER_OUT].contains(&endpoint) {
            self.recover(Recovery::ClearHalt);
        }
    }

    fn restart(&mut self) {
        self.recover(Recovery::Reset);
    }

    fn is_plugged(&self) -> bool {
        self.shared.device().check(self.claim).is_ok()
    }

    fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.shared.bell)
    }

    fn patience(&self) -> Duration {
        let now = self.shared.clock.now();
        let wakes_at = self.shared.device().wakes_at();
        wakes_at.map_or(GADGET_PATIENCE, |at| {
            at.saturating_sub(now).min(GADGET_PATIENCE)
        })
    }
}

fn refused<T>(transfer: Option<Result<T, TransportError>>) -> Outcome<T> {
    Some(transfer?.map_err(|error| match error {
        TransportError::Disconnected => Refusal::Gone,
        TransportError::Denied
        | TransportError::Fault
        | TransportError::Stalled
        | TransportError::TimedOut => Refusal::Stall,
    }))
}
