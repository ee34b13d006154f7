//! The device's end of QEMU's usb-redir: a gadget behind a real emulated controller (xHCI) of a guest.
//!
//! Little-endian packets: type, length, id, then a body. What is spoken is what QEMU needs for control, bulk and
//! interrupt endpoints; source of the format: `usbredirproto.h` of the usbredir project. The greeting has a 32-bit id,
//! everything after it a 64-bit one, because both sides announce that they can.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use super::descriptors::{EndpointInfo, INTERRUPT, Interface};
use super::engine::{Ask, Done, Engine};
use super::gadget::{Gadget, Refusal, Setup};
use crate::clock::{Bell, Clock, SystemClock};
use crate::limits::{URB_LEN_MAX, URBS_MAX};

const HELLO: u32 = 0;
const DEVICE_CONNECT: u32 = 1;
const DEVICE_DISCONNECT: u32 = 2;
const RESET: u32 = 3;
const INTERFACE_INFO: u32 = 4;
const EP_INFO: u32 = 5;
const SET_CONFIGURATION: u32 = 6;
const GET_CONFIGURATION: u32 = 7;
const CONFIGURATION_STATUS: u32 = 8;
const SET_ALT_SETTING: u32 = 9;
const GET_ALT_SETTING: u32 = 10;
const ALT_SETTING_STATUS: u32 = 11;
const START_INTERRUPT: u32 = 15;
const STOP_INTERRUPT: u32 = 16;
const INTERRUPT_STATUS: u32 = 17;
const CANCEL_DATA: u32 = 21;
const CONTROL_PACKET: u32 = 100;
const BULK_PACKET: u32 = 101;
const INTERRUPT_PACKET: u32 = 103;

/// connect_device_version, ep_info_max_packet_size, 64bits_ids, 32bits_bulk_length: xHCI asks for the last three.
const CAPABILITIES: u32 = (1 << 1) | (1 << 4) | (1 << 5) | (1 << 6);

const SUCCESS: u8 = 0;
const CANCELLED: u8 = 1;
const STALL: u8 = 4;
const BABBLE: u8 = 6;

const HIGH_SPEED: u8 = 2;
/// Of an endpoint that is not there.
const NO_ENDPOINT: u8 = 255;

/// One packet of the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    kind: u32,
    id: u64,
    body: Vec<u8>,
}

impl Packet {
    /// Reads a packet: `wide` once the greetings are over.
    ///
    /// # Errors
    /// When the bytes end, or announce more than we take.
    pub fn read(input: &mut dyn Read, wide: bool) -> io::Result<Self> {
        let (mut kind, mut length, mut id) = ([0; 4], [0; 4], [0; 8]);
        input.read_exact(&mut kind)?;
        input.read_exact(&mut length)?;
        input.read_exact(if wide { &mut id[..] } else { &mut id[..4] })?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > URB_LEN_MAX {
            return Err(io::Error::other("a usb-redir packet longer than 16 MiB"));
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body)?;
        Ok(Self {
            kind: u32::from_le_bytes(kind),
            id: u64::from_le_bytes(id),
            body,
        })
    }

    fn write(&self, output: &mut dyn Write, wide: bool) -> io::Result<()> {
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let id = self.id.to_le_bytes();
        let id = if wide { &id[..] } else { &id[..4] };
        let head = [&self.kind.to_le_bytes()[..], &length.to_le_bytes(), id].concat();
        output.write_all(&head)?;
        output.write_all(&self.body)
    }

    fn byte(&self, at: usize) -> u8 {
        self.body.get(at).copied().unwrap_or_default()
    }

    fn short(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn after(&self, at: usize) -> Vec<u8> {
        self.body.get(at..).unwrap_or_default().to_vec()
    }

    /// The transfer that a data packet asks for.
    fn ask(&self) -> Option<Ask> {
        match self.kind {
            CONTROL_PACKET => Some(Ask::Control {
                setup: Setup {
                    request_type: self.byte(2),
                    request: self.byte(1),
                    value: self.short(4),
                    index: self.short(6),
                    length: self.short(8),
                },
                data: self.after(10),
            }),
            BULK_PACKET if self.byte(0) & 0x80 != 0 => {
                let room = (u32::from(self.short(8)) << 16) | u32::from(self.short(2));
                Some(Ask::Input {
                    endpoint: self.byte(0),
                    room: usize::try_from(room)
                        .ok()
                        .filter(|room| *room <= URB_LEN_MAX)?,
                })
            }
            BULK_PACKET => Some(Ask::Output {
                endpoint: self.byte(0),
                data: self.after(10),
            }),
            _ => None,
        }
    }
}

/// Serves one plugged-in gadget to the QEMU at the other end of `stream` until it is unplugged or QEMU hangs up.
/// `true` when it was unplugged: the next one may follow on the same stream.
///
/// # Errors
/// What the socket says.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    inbox: Receiver<Packet>,
    bell: Arc<Relay>,
}

/// Hands rings of the listening thread on to the gadget that is plugged in now.
#[derive(Debug, Default)]
struct Relay(std::sync::Mutex<Option<Arc<Bell>>>);

impl Relay {
    fn to(&self, bell: Option<Arc<Bell>>) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = bell;
    }

    fn ring(&self) {
        let bell = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bell) = bell.as_ref() {
            bell.ring();
        }
    }
}

impl Peer {
    /// Greets the QEMU at the other end.
    ///
    /// # Errors
    /// What the socket says, or when the other side is no usb-redir host.
    pub fn greet(stream: UnixStream) -> io::Result<Self> {
        let mut version = b"openpalm gadget".to_vec();
        version.resize(64, 0);
        version.extend(CAPABILITIES.to_le_bytes());
        let hello = Packet {
            kind: HELLO,
            id: 0,
            body: version,
        };
        hello.write(&mut &stream, false)?;
        let theirs = Packet::read(&mut &stream, false)?;
        let words = theirs.after(64);
        let capabilities = words
            .first_chunk()
            .map_or(0, |bytes: &[u8; 4]| u32::from_le_bytes(*bytes));
        if theirs.kind != HELLO || capabilities & CAPABILITIES != CAPABILITIES {
            return Err(io::Error::other("no usb-redir host of this century"));
        }
        let (heard, inbox) = sync_channel(URBS_MAX);
        let bell = Arc::new(Relay::default());
        let (input, ringer) = (stream.try_clone()?, Arc::clone(&bell));
        std::thread::Builder::new()
            .name("redir-listen".to_owned())
            .spawn(move || {
                listen(&input, &heard, &ringer);
                drop(heard);
                ringer.ring();
            })?;
        Ok(Self {
            stream,
            inbox,
            bell,
        })
    }

    /// Plugs a gadget in and serves it until it is unplugged (`true`) or QEMU hangs up (`false`).
    ///
    /// # Errors
    /// What the socket says.
    pub fn serve(&mut self, gadget: Box<dyn Gadget>) -> io::Result<bool> {
        let mut port = Port {
            output: &self.stream,
            engine: Engine::new(gadget),
            interrupts: BTreeSet::new(),
            events: 0,
        };
        let bell = port.engine.gadget().bell();
        self.bell.to(Some(Arc::clone(&bell)));
        port.connect()?;
        let clock = SystemClock::new();
        loop {
            let seen = bell.rings();
            loop {
                match self.inbox.try_recv() {
                    Ok(packet) => port.obey(&packet)?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(false),
                }
            }
            port.step()?;
            if !port.engine.gadget().is_plugged() {
                port.send(DEVICE_DISCONNECT, 0, &[])?;
                return Ok(true);
            }
            clock.wait(&bell, seen, port.engine.gadget().patience());
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

fn listen(mut input: &UnixStream, heard: &SyncSender<Packet>, bell: &Relay) {
    while let Ok(packet) = Packet::read(&mut input, true) {
        if heard.send(packet).is_err() {
            return;
        }
        bell.ring();
    }
}

struct Port<'a> {
    output: &'a UnixStream,
    engine: Engine,
    /// Interrupt endpoints that the host listens to.
    interrupts: BTreeSet<u8>,
    events: u64,
}

/// Ids of our own reads of interrupt endpoints, apart from the host's.
const INTERRUPT_IDS: u64 = 1 << 63;

impl Port<'_> {
    fn send(&mut self, kind: u32, id: u64, body: &[u8]) -> io::Result<()> {
        let body = body.to_vec();
        Packet { kind, id, body }.write(&mut self.output, true)
    }

    /// Says what is plugged in: endpoints and interfaces first, as the format asks.
    fn connect(&mut self) -> io::Result<()> {
        self.describe()?;
        let device = self.engine.gadget().descriptors().device.clone();
        let at = |at: usize| device.get(at).copied().unwrap_or_default();
        let mut body = vec![HIGH_SPEED, at(4), at(5), at(6)];
        body.extend((8..14).map(at));
        self.send(DEVICE_CONNECT, 0, &body)
    }

    fn describe(&mut self) -> io::Result<()> {
        let interfaces = Interface::parse_all(&self.engine.gadget().descriptors().configuration);
        let endpoints: Vec<EndpointInfo> = interfaces
            .iter()
            .flat_map(|interface| interface.endpoints.clone())
            .collect();
        let (mut kinds, mut intervals, mut owners) = ([NO_ENDPOINT; 32], [0; 32], [0; 32]);
        let mut packets = [[0; 2]; 32];
        for slot in [0, 16] {
            (kinds[slot], packets[slot]) = (0, 64_u16.to_le_bytes());
        }
        for endpoint in endpoints {
            let slot = usize::from((endpoint.address & 0x80) >> 3 | endpoint.address & 0x0f);
            if let (Some(kind), Some(interval), Some(owner), Some(packet)) = (
                kinds.get_mut(slot),
                intervals.get_mut(slot),
                owners.get_mut(slot),
                packets.get_mut(slot),
            ) {
                (*kind, *interval, *owner) = (endpoint.kind, endpoint.interval, endpoint.interface);
                *packet = endpoint.packet.to_le_bytes();
            }
        }
        let body = [&kinds[..], &intervals, &owners, packets.as_flattened()].concat();
        self.send(EP_INFO, 0, &body)?;
        let count = u32::try_from(interfaces.len().min(32)).unwrap_or(32);
        let mut columns = [[0; 32]; 4];
        for (at, interface) in interfaces.iter().take(32).enumerate() {
            let (class, subclass, protocol) = interface.class;
            for (column, value) in
                columns
                    .iter_mut()
                    .zip([interface.number, class, subclass, protocol])
            {
                column[at] = value;
            }
        }
        let body = [&count.to_le_bytes()[..], columns.as_flattened()].concat();
        self.send(INTERFACE_INFO, 0, &body)
    }

    fn obey(&mut self, packet: &Packet) -> io::Result<()> {
        match packet.kind {
            RESET => {
                self.interrupts.clear();
                self.engine.restart();
                Ok(())
            }
            SET_CONFIGURATION => {
                self.engine.configure(packet.byte(0));
                self.describe()?;
                self.send(CONFIGURATION_STATUS, packet.id, &[SUCCESS, packet.byte(0)])
            }
            GET_CONFIGURATION => {
                let configuration = self.engine.configuration();
                self.send(CONFIGURATION_STATUS, packet.id, &[SUCCESS, configuration])
            }
            SET_ALT_SETTING | GET_ALT_SETTING => {
                let body = [SUCCESS, packet.byte(0), 0];
                self.send(ALT_SETTING_STATUS, packet.id, &body)
            }
            START_INTERRUPT => {
                self.interrupts.insert(packet.byte(0));
                self.listen_to(packet.byte(0));
                self.send(INTERRUPT_STATUS, packet.id, &[SUCCESS, packet.byte(0)])
            }
            STOP_INTERRUPT => {
                self.interrupts.remove(&packet.byte(0));
                self.engine
                    .cancel(INTERRUPT_IDS | u64::from(packet.byte(0)));
                self.send(INTERRUPT_STATUS, packet.id, &[SUCCESS, packet.byte(0)])
            }
            CANCEL_DATA => match self.engine.cancel(packet.id) {
                Some(ask) => self.answer(packet.id, &ask, CANCELLED, &[]),
                None => Ok(()),
            },
            _ => match packet.ask() {
                Some(ask) => match self.engine.submit(packet.id, ask) {
                    Ok(()) => Ok(()),
                    Err(done) => self.answer(done.id, &done.ask, STALL, &[]),
                },
                None => Ok(()), // Nothing that we need to hear.
            },
        }
    }

    /// Reads the next packet of an interrupt endpoint; it comes back when the device has one.
    fn listen_to(&mut self, endpoint: u8) {
        let mut endpoints = self.engine.gadget().descriptors().endpoints().into_iter();
        let room = endpoints
            .find(|info| info.address == endpoint && info.kind == INTERRUPT)
            .map_or(64, |info| usize::from(info.packet));
        // One at a time: never too many.
        let ask = Ask::Input { endpoint, room };
        drop(self.engine.submit(INTERRUPT_IDS | u64::from(endpoint), ask));
    }

    fn step(&mut self) -> io::Result<()> {
        for Done { id, ask, result } in self.engine.step() {
            let (status, bytes) = match &result {
                Ok(bytes) => (SUCCESS, &bytes[..]),
                Err(Refusal::Gone) => continue, // The disconnection that follows says so.
                Err(Refusal::Overflow) => (BABBLE, &[][..]),
                Err(Refusal::Stall) => (STALL, &[][..]),
            };
            if id & INTERRUPT_IDS == 0 {
                self.answer(id, &ask, status, bytes)?;
                continue;
            }
            let endpoint = id.to_le_bytes()[0];
            let [low, high] = u16::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
            let body = [&[endpoint, status, low, high], bytes].concat();
            let number = self.events;
            self.events += 1;
            self.send(INTERRUPT_PACKET, number, &body)?;
            if self.interrupts.contains(&endpoint) && status == SUCCESS {
                self.listen_to(endpoint);
            }
        }
        Ok(())
    }

    fn answer(&mut self, id: u64, ask: &Ask, status: u8, bytes: &[u8]) -> io::Result<()> {
        match ask {
            Ask::Control { setup, data } => {
                let moved = if setup.is_in() {
                    bytes.len()
                } else {
                    data.len()
                };
                let length = u16::try_from(moved).unwrap_or_default().to_le_bytes();
                let endpoint = setup.request_type & 0x80;
                let mut body = vec![endpoint, setup.request, setup.request_type, status];
                body.extend(setup.value.to_le_bytes());
                body.extend(setup.index.to_le_bytes());
                body.extend(length);
                body.extend(bytes);
                self.send(CONTROL_PACKET, id, &body)
            }
            Ask::Input { endpoint, .. } => {
                let mut body = bulk_head(*endpoint, status, bytes.len());
                body.extend(bytes);
                self.send(BULK_PACKET, id, &body)
            }
            Ask::Output { endpoint, data } => {
                let moved = if status == SUCCESS { data.len() } else { 0 };
                self.send(BULK_PACKET, id, &bulk_head(*endpoint, status, moved))
            }
        }
    }
}

fn bulk_head(endpoint: u8, status: u8, length: usize) -> Vec<u8> {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    vec![endpoint, status, a, b, 0, 0, 0, 0, c, d]
}

/// Reads arbitrary bytes as packets; must not panic.
#[doc(hidden)]
pub fn fuzz_redir(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(packet) = Packet::read(&mut rest, true) {
        drop(packet.ask());
        let mut written = Vec::new();
        // Into memory: never fails.
        drop(packet.write(&mut written, true));
        assert_eq!(Packet::read(&mut &written[..], true).ok(), Some(packet));
    }
}
