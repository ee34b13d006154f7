//! Firmware that is attested and lies: it stands between host and emulator with a session to either, and alters what
//! the emulator says before it seals it anew.

use std::time::Duration;

use crate::maker::Maker;
use crate::protocol::{
    Channel, Command, Connect, Decoder, HostHandshake, Identity, Info, PAYLOAD_MAX, Packet, Reply,
    Trust, encode,
};
use crate::transport::{BulkRead, Control, Recovery, Transport, TransportError};

type Alter = Box<dyn FnMut(&mut Packet) + Send>;

pub(super) struct Liar {
    inner: Box<dyn Transport>,
    alter: Alter,
    identity: Identity,
    info: Option<Info>,
    /// What the host asked with, and what the emulator was asked with.
    connecting: Option<(Connect, HostHandshake)>,
    /// Towards the host and towards the emulator.
    channels: Option<(Channel, Channel)>,
    received: Vec<u8>,
}

impl std::fmt::Debug for Liar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Liar")
    }
}

impl Liar {
    /// The emulator behind `inner` is of this serial number.
    pub(super) fn new(inner: Box<dyn Transport>, serial: &str, alter: Alter) -> Self {
        let birth = Maker::development().device(serial);
        let version = (env!("CARGO_PKG_VERSION"), 1);
        let identity = Identity::boot(&birth.model, &birth.device, &birth.key, version, [7; 32]);
        Self {
            inner,
            alter,
            identity,
            info: None,
            connecting: None,
            channels: None,
            received: Vec::new(),
        }
    }

    fn outgoing(&mut self, message: &[u8]) -> Vec<u8> {
        let packet = Decoder::new(PAYLOAD_MAX).push(message, true).unwrap();
        let packet = packet.unwrap();
        if packet.sealed {
            let (host, emulator) = self.channels.as_ref().unwrap();
            let packet = host.open(packet).unwrap();
            return emulator.seal(packet.kind, packet.sequence, 0, &packet.payload);
        }
        self.channels = None;
        match Command::parse(&packet).unwrap() {
            Command::Connect(connect) => {
                let handshake = HostHandshake::begin(1, 1);
                let ours = Command::Connect(handshake.connect());
                self.connecting = Some((connect, handshake));
                ours.encode(packet.sequence)
            }
            _ => message.to_vec(),
        }
    }

    fn incoming(&mut self, packet: Packet) -> Vec<u8> {
        let (kind, sequence, answers) = (packet.kind, packet.sequence, packet.answers);
        if packet.sealed {
            let (host, emulator) = self.channels.as_ref().unwrap();
            let mut packet = emulator.open(packet).unwrap();
            (self.alter)(&mut packet);
            return host.seal(packet.kind, sequence, answers, &packet.payload);
        }
        let bytes = packet.payload.to_vec();
        match Reply::parse(packet).unwrap() {
            Reply::Info(info) => self.info = Some(info),
            Reply::Connected(theirs) => {
                let info = self.info.as_ref().unwrap();
                let (connect, handshake) = self.connecting.take().unwrap();
                let trust = Trust::development();
                let (emulator, _) = handshake.finish(info, &theirs, &trust).unwrap();
                let (ours, host) = self.identity.connect((1, 1), info, &connect).unwrap();
                self.channels = Some((host, emulator));
                let reply = Reply::Connected(Box::new(ours));
                return encode(kind, sequence, answers, &reply.payload().unwrap());
            }
            _ => {}
        }
        encode(kind, sequence, answers, &bytes)
    }
}

impl Transport for Liar {
    fn bulk_out(&mut self, message: &[u8], timeout: Duration) -> Result<(), TransportError> {
        let message = self.outgoing(message);
        self.inner.bulk_out(&message, timeout)
    }

    fn bulk_in(&mut self, timeout: Duration) -> Result<BulkRead<'_>, TransportError> {
        let mut decoder = Decoder::new(PAYLOAD_MAX);
        loop {
            let read = self.inner.bulk_in(timeout)?;
            let (whole, last) = (read.bytes.to_vec(), read.last);
            match decoder.push(read.bytes, read.last) {
                Ok(Some(packet)) => self.received = self.incoming(packet),
                Ok(None) if !last => continue,
                Ok(None) | Err(_) => self.received = whole,
            }
            let bytes = &self.received;
            return Ok(BulkRead { bytes, last: true });
        }
    }

    fn interrupt_in(&mut self, timeout: Duration) -> Result<&[u8], TransportError> {
        self.inner.interrupt_in(timeout)
    }

    fn control(
        &mut self,
        request: Control<'_>,
        timeout: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        self.inner.control(request, timeout)
    }

    fn recover(&mut self, step: Recovery) -> Result<(), TransportError> {
        self.inner.recover(step)
    }
}
