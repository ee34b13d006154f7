//! The reader in DFU mode: the device's half of DFU 1.1.

use super::flash::{Flash, Staged};
use crate::dfu::{Report, State, Status, request};
use crate::protocol::claim::ModelCertificate;
use crate::transport::TransportError;

/// How long a real flash takes to erase.
const ERASE_MS: u32 = 20;

#[derive(Debug)]
pub(super) struct Loader {
    state: State,
    status: Status,
    staged: Staged,
    /// Number of the block that is due.
    due: u16,
    /// The new firmware is marked: the reader leaves the bus at the next request.
    leaves: bool,
}

impl Loader {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            status: Status::Ok,
            staged: Staged::default(),
            due: 0,
            leaves: false,
        }
    }

    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }

    /// The host reset the port: a download begins from the start. What is marked stays marked.
    pub(super) fn reset(&mut self) {
        if !self.leaves {
            *self = Self::new();
        }
    }

    pub(super) fn send(
        &mut self,
        number: u8,
        value: u16,
        data: &[u8],
        (flash, model): (&mut Flash, &ModelCertificate),
    ) -> Result<(), TransportError> {
        match (number, self.state) {
            (request::DNLOAD, State::Idle | State::DownloadIdle) if !data.is_empty() => {
                let taken = if value == self.due {
                    self.staged.take(data, flash, model)
                } else {
                    Err(Status::Other(14))
                };
                self.due = self.due.wrapping_add(1);
                taken.map_err(|status| self.refuse(status))?;
                self.state = State::DownloadSync;
                Ok(())
            }
            (request::DNLOAD, State::DownloadIdle) => {
                self.state = State::ManifestSync;
                Ok(())
            }
            (request::CLRSTATUS, State::Error)
            | (request::ABORT, State::Idle | State::DownloadIdle | State::DownloadSync) => {
                *self = Self::new();
                Ok(())
            }
            _ => Err(self.refuse(Status::Other(15))),
        }
    }

    pub(super) fn receive(
        &mut self,
        number: u8,
        flash: &mut Flash,
    ) -> Result<Vec<u8>, TransportError> {
        match number {
            request::GETSTATE => Ok(vec![self.state.code()]),
            request::GETSTATUS => Ok(self.report(flash).encode().to_vec()),
            _ => Err(self.refuse(Status::Other(15))),
        }
    }

    fn report(&mut self, flash: &mut Flash) -> Report {
        let mut poll_ms = 0;
        match self.state {
            // The first block erases, which takes its time; the others are written at once.
            State::DownloadSync if self.due == 1 => {
                (self.state, poll_ms) = (State::DownloadBusy, ERASE_MS);
            }
            State::DownloadSync | State::DownloadBusy => self.state = State::DownloadIdle,
            State::ManifestSync => match std::mem::take(&mut self.staged).finish(flash) {
                Ok(()) => (self.state, self.leaves) = (State::Manifest, true),
                Err(status) => drop(self.refuse(status)),
            },
            _ => {}
        }
        Report {
            status: self.status,
            poll_ms,
            state: self.state,
        }
    }

    fn refuse(&mut self, status: Status) -> TransportError {
        (self.state, self.status) = (State::Error, status);
        self.staged = Staged::default();
        TransportError::Stalled
    }
}
