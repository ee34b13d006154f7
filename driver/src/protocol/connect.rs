//! The two messages that make a session secure, and the keys that both sides draw from them.
//!
//! ```text
//! host                                                       reader
//! HELLO  ------------------------------------------------->
//!        <-------------------------------------------------  INFO
//! CONNECT: nonce, ephemeral point  ------------------------>
//!        <-----  CONNECTED: nonce, ephemeral point, claim, signature of the firmware's key over all four messages
//! everything after this is sealed, in both directions
//! ```
//!
//! The claim proves which firmware holds the key that signed; the signature proves that it holds it now, for this
//! host's nonce; the agreement gives keys that nobody else has, and that neither side has any more once the session is
//! over. Where SDCP agrees with the firmware's long key, here both halves are new each time and the firmware's key
//! signs. A reader does not ask who the host is.

use std::fmt;

use super::claim::{CLAIM_LEN, Claim, DeviceCertificate, FirmwareStatement, ModelCertificate};
use super::crypto::{
    DirectionKey, Ephemeral, POINT_LEN, SIGNATURE_LEN, Schedule, SigningKey, TAG_LEN, random,
    sha256,
};
use super::event::{EVENT_LEN, ReaderEvent};
use super::fields::Fields;
use super::packet::{Packet, finish_sealed, header_of, start_sealed};
use super::trust::{AttestError, Attestation, Trust};
use super::{Info, ProtocolError};

/// Bytes of the CONNECT payload.
pub const CONNECT_LEN: usize = 32 + POINT_LEN;
/// Bytes of the CONNECTED payload.
pub const CONNECTED_LEN: usize = 32 + POINT_LEN + CLAIM_LEN + SIGNATURE_LEN;
/// Packets of one direction under one set of keys; a host connects anew before.
pub const PACKETS_MAX: u32 = 1 << 31;

const TRANSCRIPT: &[u8] = b"OpenPalm reader session 1";
const SIGNED: &[u8] = b"OpenPalm reader connected 1";

/// The host's half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    /// Fresh random bytes.
    pub nonce: [u8; 32],
    /// The host's point.
    pub point: [u8; POINT_LEN],
}

impl Connect {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.nonce[..], &self.point].concat()
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("CONNECT", payload);
        let connect = Self {
            nonce: fields.array("nonce")?,
            point: fields.array("point")?,
        };
        fields.end().map(|()| connect)
    }
}

/// The reader's half, and who it is. The claim is read when it is checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Connected {
    /// Fresh random bytes.
    pub nonce: [u8; 32],
    /// The reader's point.
    pub point: [u8; POINT_LEN],
    /// [`Claim`], in bytes.
    pub claim: [u8; CLAIM_LEN],
    /// The firmware key's, over the transcript.
    pub signature: [u8; SIGNATURE_LEN],
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected")
    }
}

impl Connected {
    fn unsigned(&self) -> Vec<u8> {
        [&self.nonce[..], &self.point, &self.claim].concat()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.unsigned()[..], &self.signature].concat()
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("CONNECTED", payload);
        let connected = Self {
            nonce: fields.array("nonce")?,
            point: fields.array("point")?,
            claim: fields.array("claim")?,
            signature: fields.array("signature")?,
        };
        fields.end().map(|()| connected)
    }
}

/// The versions that HELLO offered, as its payload.
pub(super) fn hello_payload(version_min: u8, version_max: u8) -> [u8; 4] {
    [version_min, version_max, 0, 0]
}

/// SHA-256 over everything that both sides said, the reader's signature aside.
pub(super) fn transcript(
    hello: [u8; 4],
    info: &Info,
    connect: &Connect,
    connected: &Connected,
) -> [u8; 32] {
    sha256(&[
        TRANSCRIPT,
        &hello,
        &info.encode(),
        &connect.encode(),
        &connected.unsigned(),
    ])
}

pub(super) fn signed_message(transcript: &[u8; 32]) -> Vec<u8> {
    [SIGNED, transcript].concat()
}

/// A host that has asked and waits.
#[derive(Debug)]
pub struct HostHandshake {
    ephemeral: Ephemeral,
    connect: Connect,
    hello: [u8; 4],
}

impl HostHandshake {
    /// Draws the host's half, after a HELLO that offered these versions.
    #[must_use]
    pub fn begin(version_min: u8, version_max: u8) -> Self {
        let ephemeral = Ephemeral::generate();
        let connect = Connect {
            nonce: random(),
            point: ephemeral.public,
        };
        Self {
            ephemeral,
            connect,
            hello: hello_payload(version_min, version_max),
        }
    }

    /// What to send.
    #[must_use]
    pub fn connect(&self) -> Connect {
        self.connect
    }

    /// Checks the answer and draws the keys.
    ///
    /// # Errors
    /// [`AttestError`]: nothing the reader said is to be believed.
    pub fn finish(
        self,
        info: &Info,
        connected: &Connected,
        trust: &Trust,
    ) -> Result<(Channel, Attestation), AttestError> {
        let transcript = transcript(self.hello, info, &self.connect, connected);
        let claim = Claim::parse(&connected.claim).map_err(AttestError::BadClaim)?;
        let message = signed_message(&transcript);
        let attestation = trust.check(&claim, info, (&message, &connected.signature))?;
        let shared = self.ephemeral.agree(&connected.point);
        let shared = shared.ok_or(AttestError::NoPoint)?;
        let keys = Keys::draw(&transcript, &*shared);
        Ok((keys.for_host(), attestation))
    }
}

/// What a reader is born with and what it booted: everything it needs to answer CONNECT.
#[derive(Debug)]
pub struct Identity {
    claim: [u8; CLAIM_LEN],
    firmware_key: SigningKey,
}

impl Identity {
    /// A start of the firmware: draws its key and lets the device sign for it.
    #[must_use]
    pub fn boot(
        model: &ModelCertificate,
        device: &DeviceCertificate,
        device_key: &SigningKey,
        (version, security_version): (&str, u32),
        digest: [u8; 32],
    ) -> Self {
        let (firmware_key, _) = SigningKey::generate();
        let firmware = FirmwareStatement::issue(
            device_key,
            (version, security_version),
            digest,
            firmware_key.public(),
        );
        let claim = Claim {
            model: model.clone(),
            device: device.clone(),
            firmware,
        };
        Self {
            claim: claim
                .encode()
                .try_into()
                .expect("invariant: the statements have fixed sizes"),
            firmware_key,
        }
    }

    /// Answers CONNECT and draws the keys; `None` when the host's point is not on the curve.
    #[must_use]
    pub fn connect(
        &self,
        versions: (u8, u8),
        info: &Info,
        connect: &Connect,
    ) -> Option<(Connected, Channel)> {
        let ephemeral = Ephemeral::generate();
        let mut connected = Connected {
            nonce: random(),
            point: ephemeral.public,
            claim: self.claim,
            signature: [0; SIGNATURE_LEN],
        };
        let shared = ephemeral.agree(&connect.point)?;
        let hello = hello_payload(versions.0, versions.1);
        let transcript = transcript(hello, info, connect, &connected);
        connected.signature = self.firmware_key.sign(&signed_message(&transcript));
        let keys = Keys::draw(&transcript, &*shared);
        Some((connected, keys.for_reader()))
    }
}

pub(super) struct Keys {
    to_reader: DirectionKey,
    to_host: DirectionKey,
    events: DirectionKey,
}

impl Keys {
    pub(super) fn draw(transcript: &[u8; 32], shared: &[u8]) -> Self {
        let schedule = Schedule::new(transcript, shared);
        Self {
            to_reader: DirectionKey::draw(&schedule, "host to reader"),
            to_host: DirectionKey::draw(&schedule, "reader to host"),
            events: DirectionKey::draw(&schedule, "events"),
        }
    }

    pub(super) fn for_host(self) -> Channel {
        Channel {
            outgoing: self.to_reader,
            incoming: self.to_host,
            events: self.events,
        }
    }

    pub(super) fn for_reader(self) -> Channel {
        Channel {
            outgoing: self.to_host,
            incoming: self.to_reader,
            events: self.events,
        }
    }
}

/// One side's keys of a session.
#[derive(Debug)]
pub struct Channel {
    outgoing: DirectionKey,
    incoming: DirectionKey,
    events: DirectionKey,
}

impl Channel {
    /// A sealed packet. Each sequence number is sealed under once: the caller counts.
    #[must_use]
    pub fn seal(&self, kind: u8, sequence: u32, answers: u32, payload: &[u8]) -> Vec<u8> {
        let (mut bytes, header) = start_sealed(kind, sequence, answers, payload);
        let clear = bytes
            .get_mut(super::HEADER_LEN..)
            .expect("invariant: a packet has a header");
        let tag = self.outgoing.seal(sequence, &header, clear);
        bytes.extend(tag);
        finish_sealed(&mut bytes);
        bytes
    }

    /// Opens a sealed packet in its own buffer.
    ///
    /// # Errors
    /// [`ProtocolError::NotSealed`] for a packet in the clear, [`ProtocolError::NotAuthentic`] for one that was not
    /// sealed under these keys and this header.
    pub fn open(&self, mut packet: Packet) -> Result<Packet, ProtocolError> {
        if !packet.sealed {
            return Err(ProtocolError::NotSealed(packet.kind));
        }
        let clear = packet.payload.len().checked_sub(TAG_LEN);
        let clear = clear.ok_or(ProtocolError::NotAuthentic)?;
        let header = header_of(&packet);
        if !self
            .incoming
            .open(packet.sequence, &header, &mut packet.payload)
        {
            return Err(ProtocolError::NotAuthentic);
        }
        packet.payload.truncate(clear);
        packet.sealed = false;
        Ok(packet)
    }

    /// The bytes of an event on interrupt IN.
    #[must_use]
    pub fn seal_event(&self, event: &ReaderEvent) -> [u8; EVENT_LEN] {
        let (head, mut body) = event.parts();
        let tag = self.events.seal(event.sequence, &head, &mut body);
        let mut bytes = [0; EVENT_LEN];
        let all = head.iter().chain(&body).chain(&tag);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Opens what came on interrupt IN.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field, or says that it is of another session. A host drops such an event.
    pub fn open_event(&self, bytes: &[u8]) -> Result<ReaderEvent, ProtocolError> {
        let (head, sequence, mut sealed) = ReaderEvent::split(bytes)?;
        if !self.events.open(sequence, &head, &mut sealed) {
            return Err(ProtocolError::NotAuthentic);
        }
        ReaderEvent::parse(sequence, &sealed)
    }
}

/// Reads arbitrary bytes as CONNECTED and checks them; must not panic, and must not be believed.
#[doc(hidden)]
pub fn fuzz_connected(bytes: &[u8]) {
    if let Ok(connected) = Connected::parse(bytes) {
        assert_eq!(connected.encode(), bytes, "what was decoded encodes so");
        let text = String::new;
        let info = Info {
            version: super::VERSION,
            shots_max: 1,
            leds: 1,
            exposure_us_min: 1,
            exposure_us_max: 1,
            frame_pixels_max: 1,
            model: text(),
            serial: text(),
            firmware: text(),
        };
        let outcome = HostHandshake::begin(1, 1).finish(&info, &connected, &Trust::development());
        assert!(outcome.is_err(), "nobody signed for this host's nonce");
    }
}
