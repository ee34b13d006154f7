//! What the bus and the reader can do by themselves: the bytes of a burst, as the same reader makes and sends them,
//! read and counted and not looked at.
//!
//! Nothing but a session makes a reader send, so there is one, and its commands are sealed; what comes back is neither
//! put together, checked, opened nor wiped. What a burst of the driver takes longer is the driver.

use anyhow::{Context, ensure};
use nusb::transfer::{Buffer, Bulk, In, Out};
use nusb::{Endpoint, MaybeFuture};
use palm_driver::protocol::{Channel, Command, Decoder, HostHandshake, Reply};
use palm_driver::transport::Transport;
use palm_driver::usb::{PRODUCT_ID, VENDOR_ID};
use palm_driver::usbip::UsbIpTransport;
use palm_driver::usbip::descriptors::{READER_IN, READER_OUT};
use palm_driver::{Trust, limits};

use crate::rig::{PATIENCE, plan, wait_for};

/// Bytes of a burst's messages: five frames of 720 x 1024 with headers and tags, the end of the capture, and the ACK
/// before them.
pub(crate) const BURST_LEN: usize = 5 * (720 * 1024 + 24 + 52 + 16) + (24 + 20 + 16) + (24 + 16);

const NONCE: [u8; 16] = [9; 16];

/// Bulk transfers, and nothing else.
pub(crate) trait Pipe {
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()>;

    /// The next message, a transfer at a time: its bytes, and whether it is the last.
    fn receive(&mut self, look: &mut dyn FnMut(&[u8], bool)) -> anyhow::Result<()>;
}

/// By `nusb` and nothing else, reading as the driver does.
pub(crate) struct Usb {
    output: Endpoint<Bulk, Out>,
    input: Endpoint<Bulk, In>,
}

impl Usb {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let ours = (VENDOR_ID, PRODUCT_ID);
        wait_for("the reader", || {
            let mut devices = nusb::list_devices().wait()?;
            let Some(info) = devices.find(|info| (info.vendor_id(), info.product_id()) == ours)
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
}

impl Pipe for Usb {
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.output.submit(Buffer::from(message.to_vec()));
        let done = self.output.wait_next_complete(PATIENCE);
        Ok(done.context("the command was not taken")?.status?)
    }

    fn receive(&mut self, look: &mut dyn FnMut(&[u8], bool)) -> anyhow::Result<()> {
        let length = limits::BULK_TRANSFER_LEN;
        while self.input.pending() < limits::USB_READS {
            let mut buffer = self.input.allocate(length);
            buffer.set_requested_len(length);
            self.input.submit(buffer);
        }
        loop {
            let done = self.input.wait_next_complete(PATIENCE);
            let done = done.context("no bytes")?;
            done.status?;
            let mut buffer = done.buffer;
            let last = buffer.len() < length;
            look(&buffer, last);
            buffer.clear();
            buffer.set_requested_len(length);
            self.input.submit(buffer);
            if last {
                return Ok(());
            }
        }
    }
}

/// Over USB/IP in user space, where there is no kernel and no `nusb`.
impl Pipe for UsbIpTransport {
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        Ok(self.bulk_out(message, PATIENCE)?)
    }

    fn receive(&mut self, look: &mut dyn FnMut(&[u8], bool)) -> anyhow::Result<()> {
        loop {
            let read = self.bulk_in(PATIENCE)?;
            look(read.bytes, read.last);
            if read.last {
                return Ok(());
            }
        }
    }
}

/// A host that asks for bursts and does not look at them.
pub(crate) struct Bare<P> {
    pipe: P,
    channel: Channel,
    sent: u32,
}

impl<P: Pipe> Bare<P> {
    /// Begins a session.
    pub(crate) fn new(mut pipe: P) -> anyhow::Result<Self> {
        let hello = Command::Hello {
            version_min: 1,
            version_max: 1,
        };
        let Reply::Info(info) = ask(&mut pipe, &hello.encode(1))? else {
            anyhow::bail!("HELLO was not answered by INFO");
        };
        let handshake = HostHandshake::begin(1, 1);
        let connect = Command::Connect(handshake.connect());
        let Reply::Connected(connected) = ask(&mut pipe, &connect.encode(2))? else {
            anyhow::bail!("CONNECT was not answered by CONNECTED");
        };
        let (channel, _) = handshake.finish(&info, &connected, &Trust::development())?;
        let sent = 2;
        Ok(Self {
            pipe,
            channel,
            sent,
        })
    }

    fn say(&mut self, command: &Command) -> anyhow::Result<()> {
        self.sent += 1;
        let payload = command.payload();
        let message = self.channel.seal(command.kind(), self.sent, 0, &payload);
        self.pipe.send(&message)
    }

    /// Arms, captures, and counts the bytes that come.
    pub(crate) fn burst(&mut self) -> anyhow::Result<()> {
        let plan = plan();
        let messages = plan.shots().len() + 1;
        let mut got = 0;
        self.say(&Command::Arm {
            ticket: NONCE.into(),
            plan,
        })?;
        self.pipe.receive(&mut |bytes, _| got += bytes.len())?;
        self.say(&Command::Capture { nonce: NONCE })?;
        for _ in 0..messages {
            self.pipe.receive(&mut |bytes, _| got += bytes.len())?;
        }
        ensure!(got == BURST_LEN, "{got} bytes of {BURST_LEN}");
        Ok(())
    }
}

/// One command of a session that begins.
fn ask(pipe: &mut dyn Pipe, message: &[u8]) -> anyhow::Result<Reply> {
    pipe.send(message)?;
    let mut decoder = Decoder::new(limits::COMMAND_PAYLOAD_MAX);
    let mut packet = Ok(None);
    pipe.receive(&mut |bytes, last| packet = decoder.push(bytes, last))?;
    let packet = packet?.context("no answer")?;
    Ok(Reply::parse(packet)?)
}
