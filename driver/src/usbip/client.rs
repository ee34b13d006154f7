//! The host's end of a USB/IP cable, in user space: the driver's [`Transport`] over real URBs, without a kernel.
//!
//! It does what a kernel and `nusb` do together: reads descriptors, chooses the configuration, keeps a read pending
//! over a timeout, takes transfers back by UNLINK, and turns Linux errors into [`TransportError`]s. One thread of its
//! own reads replies. Not here: what only a kernel has (claims, permissions, enumeration); `./x test-usb` has those.

use crate::Wiped;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::descriptors::{BULK, INTERRUPT, Interface};
use super::gadget::Setup;
use super::wire::{self, Command, HEADER_LEN, Reply};
use crate::clock::{Bell, Clock, Deadline, SystemClock};
use crate::limits::{BULK_TRANSFER_LEN, DESCRIPTORS_MAX, USB_CONTROL_TIMEOUT, USB_DRAIN};
use crate::transport::{BulkRead, Control, Recovery, Transport, TransportError};
use crate::usb::INTERFACE_CLASS;

/// The number under which the device is attached. One cable carries one device.
const DEVICE: u32 = 0x0001_0002;

/// One reader at the other end of a USB/IP cable. Dropping it hangs up.
pub struct UsbIpTransport {
    link: Arc<Link>,
    listener: Option<JoinHandle<()>>,
    interface: u8,
    output: Pipe,
    input: Reading,
    events: Reading,
}

#[derive(Debug, Clone, Copy)]
struct Pipe {
    address: u8,
    packet: usize,
}

/// A read that stays pending over timeouts.
struct Reading {
    pipe: Pipe,
    length: usize,
    pending: Option<u32>,
    bytes: Wiped,
}

struct Link {
    stream: UnixStream,
    clock: SystemClock,
    bell: Bell,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last number given to a command.
    sequence: u32,
    /// Room of the transfers on their way, by number; `None`: nothing comes back but a status.
    pending: BTreeMap<u32, Option<usize>>,
    done: BTreeMap<u32, Completion>,
    is_dead: bool,
}

struct Completion {
    status: i32,
    bytes: Wiped,
}

impl fmt::Debug for UsbIpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsbIpTransport(interface {})", self.interface)
    }
}

impl UsbIpTransport {
    /// Enumerates the device at the other end of `stream` and takes its reader interface.
    ///
    /// # Errors
    /// [`TransportError::Disconnected`] when nobody answers, `Fault` when the device is no reader.
    pub fn connect(stream: UnixStream) -> Result<Self, TransportError> {
        let listening = stream.try_clone().map_err(|_| TransportError::Fault)?;
        let link = Arc::new(Link {
            stream,
            clock: SystemClock::new(),
            bell: Bell::new(),
            state: Mutex::default(),
        });
        let heard = Arc::clone(&link);
        let listener = std::thread::Builder::new()
            .name("usbip-replies".to_owned())
            .spawn(move || heard.listen(&listening))
            .map_err(|_| TransportError::Fault)?;
        let mut transport = Self {
            link,
            listener: Some(listener),
            interface: 0,
            output: Pipe {
                address: 0,
                packet: 0,
            },
            input: Reading::new(Pipe {
                address: 0,
                packet: 0,
            }),
            events: Reading::new(Pipe {
                address: 0,
                packet: 0,
            }),
        };
        transport.enumerate()?;
        Ok(transport)
    }

    fn enumerate(&mut self) -> Result<(), TransportError> {
        let wanted = u16::try_from(DESCRIPTORS_MAX).unwrap_or(u16::MAX);
        let configuration =
            self.request(setup(0x80, 6, 0x0200, 0, wanted), &[], USB_CONTROL_TIMEOUT)?;
        let interfaces = Interface::parse_all(&configuration);
        let ours = interfaces
            .iter()
            .find(|interface| interface.class == INTERFACE_CLASS)
            .ok_or(TransportError::Fault)?;
        let pipe = |kind, is_in| {
            let endpoint = ours.find(kind, is_in).ok_or(TransportError::Fault)?;
            Ok(Pipe {
                address: endpoint.address,
                packet: usize::from(endpoint.packet).max(1),
            })
        };
        self.interface = ours.number;
        self.output = pipe(BULK, false)?;
        self.input = Reading::new(pipe(BULK, true)?);
        self.input.length = BULK_TRANSFER_LEN.next_multiple_of(self.input.pipe.packet);
        self.events = Reading::new(pipe(INTERRUPT, true)?);
        self.configure()
    }

    fn configure(&self) -> Result<(), TransportError> {
        self.request(setup(0, 9, 1, 0, 0), &[], USB_CONTROL_TIMEOUT)
            .map(drop)
    }

    fn request(
        &self,
        setup: Setup,
        data: &[u8],
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        let endpoint = if setup.is_in() { 0x80 } else { 0 };
        let room = usize::from(setup.length);
        let sequence = self.link.submit(endpoint, setup, data, room)?;
        match self.link.wait(sequence, timeout) {
            Err(TransportError::TimedOut) => self.link.take_back(sequence),
            outcome => outcome.map(|bytes| bytes.to_vec()),
        }
    }
}

impl Drop for UsbIpTransport {
    fn drop(&mut self) {
        drop(self.link.stream.shutdown(Shutdown::Both));
        if self
            .listener
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread of a USB/IP client panicked");
        }
    }
}

impl Transport for UsbIpTransport {
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError> {
        let deadline = Deadline::after(&self.link.clock, timeout);
        let Pipe { address, packet } = self.output;
        let parts: &[&[u8]] = if message.len().is_multiple_of(packet) {
            &[message, &[]] // The empty packet ends the message.
        } else {
            &[message]
        };
        for part in parts {
            let sequence = self.link.submit(address, Setup::parse([0; 8]), part, 0)?;
            let left = deadline.left(&self.link.clock).unwrap_or_default();
            match self.link.wait(sequence, left) {
                Err(TransportError::TimedOut) => {
                    return self.link.take_back(sequence).map(drop);
                }
                outcome => outcome.map(drop)?,
            }
        }
        Ok(())
    }

    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError> {
        let length = self.input.length;
        let bytes = self.input.read(&self.link, timeout)?;
        Ok(BulkRead {
            bytes,
            last: bytes.len() < length,
        })
    }

    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        self.events.read(&self.link, timeout)
    }

    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        let index = u16::from(self.interface);
        match request {
            Control::In {
                request,
                value,
                length,
            } => self.request(setup(0xc1, request, value, index, length), &[], timeout),
            Control::Out {
                request,
                value,
                data,
            } => {
                let length = u16::try_from(data.len()).map_err(|_| TransportError::Fault)?;
                self.request(setup(0x41, request, value, index, length), data, timeout)
            }
        }
    }

    fn recover(&mut self, step: Recovery) -> Result<(), TransportError> {
        self.input.take_back(&self.link)?;
        match step {
            Recovery::ClearHalt => {
                for address in [self.output.address, self.input.pipe.address] {
                    let clear = setup(0x02, 1, 0, u16::from(address), 0);
                    self.request(clear, &[], USB_CONTROL_TIMEOUT)?;
                }
                Ok(())
            }
            Recovery::Reset => {
                self.events.take_back(&self.link)?;
                self.request(setup(0x23, 3, 4, 0, 0), &[], USB_CONTROL_TIMEOUT)?;
                self.configure()
            }
        }
    }
}

fn setup(request_type: u8, request: u8, value: u16, index: u16, length: u16) -> Setup {
    Setup {
        request_type,
        request,
        value,
        index,
        length,
    }
}

impl Reading {
    fn new(pipe: Pipe) -> Self {
        Self {
            pipe,
            length: pipe.packet,
            pending: None,
            bytes: Wiped::default(),
        }
    }

    fn read(&mut self, link: &Link, timeout: Duration) -> Result<&[u8], TransportError> {
        let sequence = match self.pending {
            Some(sequence) => sequence,
            None => link.submit(self.pipe.address, Setup::parse([0; 8]), &[], self.length)?,
        };
        self.pending = Some(sequence);
        let outcome = link.wait(sequence, timeout);
        if !matches!(outcome, Err(TransportError::TimedOut)) {
            self.pending = None;
        }
        self.bytes = outcome?;
        Ok(&self.bytes)
    }

    /// Takes back a pending read; what it has read is lost.
    fn take_back(&mut self, link: &Link) -> Result<(), TransportError> {
        match self.pending.take().map(|sequence| link.take_back(sequence)) {
            None | Some(Ok(_) | Err(TransportError::TimedOut)) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(
        &self,
        endpoint: u8,
        setup: Setup,
        data: &[u8],
        room: usize,
    ) -> Result<u32, TransportError> {
        let is_in = endpoint & 0x80 != 0;
        let mut state = self.state();
        let sequence = state.next();
        state.pending.insert(sequence, is_in.then_some(room));
        drop(state);
        let command = Command::Submit {
            sequence,
            device: DEVICE,
            endpoint,
            length: if is_in { room } else { data.len() },
            setup,
        };
        self.send(&command, data)?;
        Ok(sequence)
    }

    fn send(&self, command: &Command, data: &[u8]) -> Result<(), TransportError> {
        let whole = Wiped::from([&command.encode()[..], data].concat());
        (&self.stream)
            .write_all(&whole)
            .map_err(|_| TransportError::Disconnected)
    }

    /// Waits for a transfer; after `TimedOut` it is still on its way.
    fn wait(&self, sequence: u32, timeout: Duration) -> Result<Wiped, TransportError> {
        let deadline = Deadline::after(&self.clock, timeout);
        loop {
            let seen = self.bell.rings();
            let mut state = self.state();
            if let Some(completion) = state.done.remove(&sequence) {
                return match completion.status {
                    0 => Ok(completion.bytes),
                    status => Err(error_of(status)),
                };
            }
            if state.is_dead {
                return Err(TransportError::Disconnected);
            }
            drop(state);
            let left = deadline.left(&self.clock).ok_or(TransportError::TimedOut)?;
            self.clock.wait(&self.bell, seen, left);
        }
    }

    /// Takes a transfer back, and says how it ended all the same: `TimedOut` when it was taken back.
    fn take_back(&self, which: u32) -> Result<Vec<u8>, TransportError> {
        let mut state = self.state();
        let sequence = state.next();
        state.pending.insert(sequence, None);
        drop(state);
        let command = Command::Unlink {
            sequence,
            device: DEVICE,
            which,
        };
        self.send(&command, &[])?;
        match self.wait(sequence, USB_DRAIN) {
            // It had been done before the wish arrived: its reply came first.
            Ok(_) => self.wait(which, Duration::ZERO).map(|bytes| bytes.to_vec()),
            Err(error) => {
                self.state().pending.remove(&which);
                match error {
                    TransportError::Disconnected => Err(error),
                    _ => Err(TransportError::TimedOut),
                }
            }
        }
    }

    fn listen(&self, stream: &UnixStream) {
        while self.hear(stream).is_some() {
            self.bell.ring();
        }
        self.state().is_dead = true;
        self.bell.ring();
    }

    /// One reply; `None` ends the cable: closed, or no USB/IP peer.
    fn hear(&self, mut stream: &UnixStream) -> Option<()> {
        let mut header = [0; HEADER_LEN];
        stream.read_exact(&mut header).ok()?;
        let (sequence, status, length) = match Reply::parse(&header).ok()? {
            Reply::Submit {
                sequence,
                status,
                length,
            } => (sequence, status, length),
            Reply::Unlink { sequence, status } => (sequence, status, 0),
        };
        let room = self.state().pending.remove(&sequence)?;
        let mut bytes = Wiped::default();
        if let Some(room) = room {
            if length > room {
                tracing::warn!(length, room, "the device sent more than there is room for");
                return None;
            }
            bytes = Wiped::from(vec![0; length]);
            stream.read_exact(&mut bytes).ok()?;
        }
        self.state()
            .done
            .insert(sequence, Completion { status, bytes });
        Some(())
    }
}

impl State {
    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }
}

fn error_of(status: i32) -> TransportError {
    match status {
        wire::EPIPE => TransportError::Stalled,
        wire::ECONNRESET => TransportError::TimedOut,
        wire::ENODEV | wire::ESHUTDOWN => TransportError::Disconnected,
        _ => TransportError::Fault,
    }
}
