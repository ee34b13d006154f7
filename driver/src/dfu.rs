//! Firmware update by USB Device Firmware Upgrade 1.1: the host's half, and what both halves share.
//!
//! [`FirmwareFile`] is what a maker gives out. [`Download`] is the host's state machine, without I/O: it says what to
//! do next and is told what the reader answered. [`update`] drives it over a [`DfuBus`]: detach, download, manifest.
//! The reader judges the file; the host only spares it what it would refuse anyway.
//!
//! Not here: the reader's half ([`crate::emulator`] has one), and asking for the update in a session
//! ([`crate::Reader::allow_update`]), without which no reader leaves its work.

mod file;
mod usb;

pub use file::{FileError, FirmwareFile, MANIFEST_LEN, Manifest, SIGNED_LEN, fuzz_firmware};
pub use usb::UsbDfuBus;

use std::fmt::Debug;
use std::time::Duration;

use crate::clock::{Bell, Clock, Deadline};
use crate::limits::{DFU_BLOCK_LEN, DFU_POLL_MAX, DFU_POLLS_MAX, DFU_RETURN, DFU_TIMEOUT};
use crate::protocol::ProtocolError;
use crate::transport::TransportError;

/// USB product id of readers in DFU mode: a test id of pid.codes, as [`crate::usb::PRODUCT_ID`].
pub const LOADER_PRODUCT_ID: u16 = 0x0002;
/// Class and subclass of a DFU interface; its protocol tells the [`Mode`].
pub const DFU_CLASS: (u8, u8) = (0xfe, 0x01);

/// `bRequest` numbers.
pub mod request {
    /// Leave the bus and come back in DFU mode.
    pub const DETACH: u8 = 0;
    /// One block of the file; an empty one ends it.
    pub const DNLOAD: u8 = 1;
    /// Six bytes: [`super::Report`].
    pub const GETSTATUS: u8 = 3;
    /// Out of dfuERROR.
    pub const CLRSTATUS: u8 = 4;
    /// One byte: the state.
    pub const GETSTATE: u8 = 5;
    /// Out of a download.
    pub const ABORT: u8 = 6;
}

/// Where a reader stands (DFU 1.1, section 6.1.2). UPLOAD is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Runs its firmware.
    AppIdle = 0,
    /// Was told to leave.
    AppDetach = 1,
    /// Waits for a download.
    Idle = 2,
    /// Has a block and waits to be asked.
    DownloadSync = 3,
    /// Writes a block.
    DownloadBusy = 4,
    /// Waits for the next block.
    DownloadIdle = 5,
    /// Has the whole file and waits to be asked.
    ManifestSync = 6,
    /// Checks and marks it.
    Manifest = 7,
    /// Waits for a reset.
    ManifestWaitReset = 8,
    /// Refused something; waits for CLRSTATUS.
    Error = 10,
}

/// Why a reader refuses (DFU 1.1, section 6.1.2), as `PROTOCOL.md` section 9 uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Status {
    /// 0.
    #[error("no error")]
    Ok,
    /// 1.
    #[error("the file is for another model")]
    Target,
    /// 2.
    #[error("no manifest, or its signature is wrong")]
    File,
    /// 7.
    #[error("the image is not what its manifest says")]
    Verify,
    /// 8.
    #[error("more than was announced, or than there is room for")]
    Address,
    /// 9.
    #[error("less than was announced")]
    NotDone,
    /// 11.
    #[error("security version below what the reader has run")]
    RolledBack,
    /// Any other.
    #[error("DFU status {0}")]
    Other(u8),
}

impl State {
    const ALL: [Self; 10] = [
        Self::AppIdle,
        Self::AppDetach,
        Self::Idle,
        Self::DownloadSync,
        Self::DownloadBusy,
        Self::DownloadIdle,
        Self::ManifestSync,
        Self::Manifest,
        Self::ManifestWaitReset,
        Self::Error,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl Status {
    const NAMED: [Self; 7] = [
        Self::Ok,
        Self::Target,
        Self::File,
        Self::Verify,
        Self::Address,
        Self::NotDone,
        Self::RolledBack,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Target => 1,
            Self::File => 2,
            Self::Verify => 7,
            Self::Address => 8,
            Self::NotDone => 9,
            Self::RolledBack => 11,
            Self::Other(code) => code,
        }
    }

    fn from_code(code: u8) -> Self {
        let named = Self::NAMED.into_iter().find(|status| status.code() == code);
        named.unwrap_or(Self::Other(code))
    }
}

/// The answer to GETSTATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How the last request went.
    pub status: Status,
    /// When to ask again, in milliseconds, below 2^24.
    pub poll_ms: u32,
    /// The state it goes to.
    pub state: State,
}

impl Report {
    /// The six bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; 6] {
        let [a, b, c, _] = self.poll_ms.to_le_bytes();
        [self.status.code(), a, b, c, self.state.code(), 0]
    }

    /// Reads the six bytes.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let message = "DFU status";
        let &[status, a, b, c, state, _] = bytes else {
            return Err(ProtocolError::TooShort {
                message,
                field: "state",
            });
        };
        let known = State::ALL.into_iter().find(|known| known.code() == state);
        let state = known.ok_or_else(|| ProtocolError::UnknownValue {
            message,
            field: "state",
            value: u32::from(state),
        })?;
        Ok(Self {
            status: Status::from_code(status),
            poll_ms: u32::from_le_bytes([a, b, c, 0]),
            state,
        })
    }
}

/// Parses arbitrary bytes as a report; must not panic.
#[doc(hidden)]
pub fn fuzz_dfu_report(bytes: &[u8]) {
    if let Ok(report) = Report::parse(bytes) {
        let again = report.encode();
        assert_eq!(
            again.get(..5),
            bytes.get(..5),
            "what was decoded encodes so"
        );
    }
}

/// Why an update did not come about. The reader runs what it ran before, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The reader did not come back on the bus. Remedy: replug it; it runs its old firmware.
    #[error("the reader did not come back: replug it, it runs its old firmware")]
    Lost,
    /// The reader answers what DFU does not have. Remedy: ask its maker.
    #[error("the reader broke the DFU protocol: {0}")]
    Protocol(ProtocolError),
    /// The reader refused the file and waits for another. Remedy: as the status says; replugged, it runs as before.
    #[error("the reader refused the file: {0}. Replugged, it runs its old firmware")]
    Refused(Status),
    /// The bus. Remedy: as for a session; the update can be begun again.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A state that no step leads to. Remedy: replug the reader and begin again.
    #[error("the reader stays in {0:?}: replug it and begin again")]
    Unexpected(State),
}

impl From<ProtocolError> for UpdateError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// What the host does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Send this request without data.
    Bare(u8),
    /// Wait, then ask for the status.
    Ask(Duration),
    /// Send this block.
    Block {
        /// `wValue`.
        number: u16,
        /// Up to [`DFU_BLOCK_LEN`] bytes.
        data: &'a [u8],
    },
    /// The reader has the file and starts it.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Finding dfuIDLE.
    Begin,
    /// Out of an error or an old download, then [`Phase::Begin`] again.
    Leave(u8),
    /// The next block is due.
    Send,
    /// A block was sent.
    Sent,
    /// The empty block was sent.
    Manifest,
    /// The reader said that it checks and marks the file; it leaves next.
    Starting,
    Done,
}

/// One download, as a state machine.
#[derive(Debug)]
pub struct Download<'a> {
    bytes: &'a [u8],
    next: usize,
    number: u16,
    phase: Phase,
    wait: Duration,
    /// Questions in a row that brought nothing forward.
    idle: u32,
}

impl<'a> Download<'a> {
    /// A download of what [`FirmwareFile::sendable`] gave.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            next: 0,
            number: 0,
            phase: Phase::Begin,
            wait: Duration::ZERO,
            idle: 0,
        }
    }

    /// Bytes sent and bytes in all.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.next, self.bytes.len())
    }

    /// What to do now. After a block or a bare request it is the next that counts; after `Ask`, [`Self::heard`].
    pub fn step(&mut self) -> Step<'a> {
        match self.phase {
            Phase::Leave(request) => {
                self.phase = Phase::Begin;
                Step::Bare(request)
            }
            Phase::Send => {
                let rest = self.bytes.get(self.next..).unwrap_or_default();
                let data = rest.get(..DFU_BLOCK_LEN).unwrap_or(rest);
                let number = self.number;
                self.next += data.len();
                self.number = number.wrapping_add(1);
                self.phase = if data.is_empty() {
                    Phase::Manifest
                } else {
                    Phase::Sent
                };
                Step::Block { number, data }
            }
            Phase::Begin | Phase::Sent | Phase::Manifest | Phase::Starting => {
                Step::Ask(std::mem::take(&mut self.wait))
            }
            Phase::Done => Step::Done,
        }
    }

    /// Takes the answer to `Ask`.
    ///
    /// # Errors
    /// [`UpdateError`]: the download is over.
    pub fn heard(&mut self, report: Report) -> Result<(), UpdateError> {
        let Report {
            status,
            poll_ms,
            state,
        } = report;
        self.wait = Duration::from_millis(u64::from(poll_ms)).min(DFU_POLL_MAX);
        self.idle += 1;
        if self.idle > DFU_POLLS_MAX {
            return Err(UpdateError::Unexpected(state));
        }
        let next = match (self.phase, state) {
            (Phase::Begin, State::Idle) => Phase::Send,
            (Phase::Begin, State::Error) => Phase::Leave(request::CLRSTATUS),
            (Phase::Begin, State::DownloadSync | State::DownloadIdle) => {
                Phase::Leave(request::ABORT)
            }
            (_, State::Error) => return Err(UpdateError::Refused(status)),
            (Phase::Sent, State::DownloadIdle) => Phase::Send,
            (Phase::Manifest | Phase::Starting, State::ManifestWaitReset | State::Idle) => {
                Phase::Done
            }
            (Phase::Manifest, State::Manifest) => Phase::Starting,
            (Phase::Begin | Phase::Sent, State::DownloadBusy)
            | (Phase::Sent, State::DownloadSync)
            | (Phase::Manifest, State::ManifestSync)
            | (Phase::Starting, State::Manifest) => return Ok(()),
            (_, state) => return Err(UpdateError::Unexpected(state)),
        };
        if next == Phase::Send {
            self.idle = 0;
        }
        self.phase = next;
        Ok(())
    }

    /// The reader left the bus. That is how it starts the new firmware; at any other time the download is lost. Which
    /// firmware runs, the next session proves.
    ///
    /// # Errors
    /// [`UpdateError::Lost`].
    pub fn left(&mut self) -> Result<(), UpdateError> {
        if matches!(self.phase, Phase::Starting | Phase::Done) {
            self.phase = Phase::Done;
            return Ok(());
        }
        Err(UpdateError::Lost)
    }
}

/// Class requests to the DFU interface of one reader.
pub trait DfuPort: Debug + Send {
    /// A request with data, or without.
    ///
    /// # Errors
    /// `Stalled` when the reader refuses, `Disconnected` when it has left.
    fn send(
        &mut self,
        request: u8,
        value: u16,
        data: &[u8],
        timeout: Duration,
    ) -> Result<(), TransportError>;

    /// A request that asks for up to `length` bytes.
    ///
    /// # Errors
    /// As [`Self::send`].
    fn receive(
        &mut self,
        request: u8,
        length: u16,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError>;
}

/// Which of a reader's two selves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// At work.
    RunTime,
    /// Waiting for firmware.
    Loader,
}

impl Mode {
    /// `bInterfaceProtocol` of the DFU interface.
    #[must_use]
    pub fn protocol(self) -> u8 {
        match self {
            Self::RunTime => 1,
            Self::Loader => 2,
        }
    }
}

/// Where readers are found by their DFU interface.
pub trait DfuBus: Debug {
    /// Opens the DFU interface of the reader with this serial number in this mode.
    ///
    /// # Errors
    /// `Disconnected` while there is none.
    fn open(&mut self, serial: &str, mode: Mode) -> Result<Box<dyn DfuPort>, TransportError>;
}

/// Gives a reader new firmware. It was asked in a session before ([`crate::Reader::allow_update`]), or waits in its
/// loader already. `progress` is told bytes sent and bytes in all.
///
/// # Errors
/// [`UpdateError`]. Begun again, it begins from the start.
pub fn update(
    bus: &mut dyn DfuBus,
    serial: &str,
    file: &FirmwareFile,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), UpdateError> {
    let mut port = match bus.open(serial, Mode::Loader) {
        Ok(port) => port,
        Err(_) => {
            let mut port = bus.open(serial, Mode::RunTime)?;
            match port.send(request::DETACH, 1000, &[], DFU_TIMEOUT) {
                // It may be gone before it has said so.
                Ok(()) | Err(TransportError::Disconnected | TransportError::Fault) => {}
                Err(error) => return Err(error.into()),
            }
            returned(bus, serial, clock)?
        }
    };
    let bytes = file.sendable();
    let mut download = Download::new(&bytes);
    loop {
        let outcome = match download.step() {
            Step::Bare(request) => port.send(request, 0, &[], DFU_TIMEOUT),
            Step::Block { number, data } => {
                let sent = port.send(request::DNLOAD, number, data, DFU_TIMEOUT);
                let (done, all) = download.progress();
                progress(done, all);
                sent
            }
            Step::Ask(wait) => {
                pause(clock, wait);
                match port.receive(request::GETSTATUS, 6, DFU_TIMEOUT) {
                    Ok(bytes) => {
                        download.heard(Report::parse(&bytes)?)?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Step::Done => return Ok(()),
        };
        match outcome {
            // A block that is refused stalls; why, the status tells.
            Ok(()) | Err(TransportError::Stalled) => {}
            Err(TransportError::Disconnected | TransportError::Fault) => download.left()?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the loader.
fn returned(
    bus: &mut dyn DfuBus,
    serial: &str,
    clock: &dyn Clock,
) -> Result<Box<dyn DfuPort>, UpdateError> {
    let deadline = Deadline::after(clock, DFU_RETURN);
    loop {
        match bus.open(serial, Mode::Loader) {
            Ok(port) => return Ok(port),
            Err(_) if deadline.left(clock).is_some() => pause(clock, Duration::from_millis(50)),
            Err(_) => return Err(UpdateError::Lost),
        }
    }
}

fn pause(clock: &dyn Clock, time: Duration) {
    let deadline = Deadline::after(clock, time);
    let bell = Bell::new();
    while let Some(left) = deadline.left(clock) {
        clock.wait(&bell, bell.rings(), left);
    }
}

#[cfg(test)]
mod tests;
