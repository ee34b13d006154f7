//! The device's end of a USB/IP cable.

use crate::Wiped;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use super::engine::{Ask, Done, Engine};
use super::gadget::{Gadget, Refusal};
use super::wire::{self, Command, HEADER_LEN, Reply};
use crate::clock::{Bell, Clock, SystemClock};
use crate::limits::URBS_MAX;

/// Serves one plugged-in gadget until either side hangs up. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Server {
    stream: UnixStream,
    bell: Arc<Bell>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves `gadget` to the host at the other end of `stream`.
    ///
    /// # Errors
    /// When the system gives no thread or no second handle of the socket.
    pub fn start(gadget: Box<dyn Gadget>, stream: UnixStream) -> io::Result<Self> {
        let bell = gadget.bell();
        let (heard, inbox) = sync_channel(URBS_MAX);
        let (input, output) = (stream.try_clone()?, stream.try_clone()?);
        let ringer = Arc::clone(&bell);
        let listen = move || {
            listen(&input, &heard, &ringer);
            drop(heard);
            ringer.ring();
        };
        let serve = move || {
            if let Err(error) = serve(Engine::new(gadget), &output, &inbox) {
                tracing::debug!(%error, "USB/IP cable broke");
            }
            // Also wakes the listening thread, and tells the host.
            drop(output.shutdown(Shutdown::Both));
        };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            named("usbip-listen").spawn(listen)?,
            named("usbip-serve").spawn(serve)?,
        ];
        Ok(Self {
            stream,
            bell,
            threads,
        })
    }

    /// Whether both sides are still there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A host whose device says nothing any more waits for ever, even in its kernel: always hang up.
        drop(self.stream.shutdown(Shutdown::Both));
        self.bell.ring();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of a USB/IP cable panicked");
            }
        }
    }
}

/// A command and what it sends.
type Heard = (Command, Vec<u8>);

fn listen(mut input: &UnixStream, heard: &SyncSender<Heard>, bell: &Bell) {
    loop {
        let mut header = [0; HEADER_LEN];
        if input.read_exact(&mut header).is_err() {
            return;
        }
        let command = match Command::parse(&header) {
            Ok(command) => command,
            Err(error) => {
                tracing::warn!(%error, "hanging up");
                return;
            }
        };
        let length = match command {
            Command::Submit {
                endpoint, length, ..
            } if endpoint & 0x80 == 0 => length,
            Command::Submit { .. } | Command::Unlink { .. } => 0,
        };
        let mut data = vec![0; length];
        if input.read_exact(&mut data).is_err() || heard.send((command, data)).is_err() {
            return;
        }
        bell.ring();
    }
}

fn serve(mut engine: Engine, output: &UnixStream, inbox: &Receiver<Heard>) -> io::Result<()> {
    let bell = engine.gadget().bell();
    let clock = SystemClock::new();
    loop {
        let seen = bell.rings();
        loop {
            match inbox.try_recv() {
                Ok((command, data)) => obey(&mut engine, output, command, data)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        for done in engine.step() {
            answer(output, &done)?;
        }
        if !engine.gadget().is_plugged() {
            return Ok(());
        }
        clock.wait(&bell, seen, engine.gadget().patience());
    }
}

fn obey(
    engine: &mut Engine,
    output: &UnixStream,
    command: Command,
    data: Vec<u8>,
) -> io::Result<()> {
    match command {
        Command::Submit {
            sequence,
            endpoint,
            length,
            setup,
            ..
        } => {
            let ask = match endpoint {
                0 | 0x80 => Ask::Control { setup, data },
                0x81.. => Ask::Input {
                    endpoint,
                    room: length,
                },
                _ => Ask::Output { endpoint, data },
            };
            match engine.submit(u64::from(sequence), ask) {
                Ok(()) => Ok(()),
                Err(refused) => answer(output, &refused),
            }
        }
        Command::Unlink {
            sequence, which, ..
        } => {
            let status = match engine.cancel(u64::from(which)) {
                Some(_) => wire::ECONNRESET,
                None => 0,
            };
            let reply = Reply::Unlink { sequence, status };
            write_all(output, &reply.encode(), &[])
        }
    }
}

fn answer(output: &UnixStream, done: &Done) -> io::Result<()> {
    let nothing = Wiped::default();
    let (status, bytes) = match &done.result {
        Ok(bytes) => (0, bytes),
        Err(Refusal::Gone) => return Ok(()), // The hanging-up that follows says so.
        Err(Refusal::Overflow) => (wire::EOVERFLOW, &nothing),
        Err(Refusal::Stall) => (wire::EPIPE, &nothing),
    };
    let length = match &done.ask {
        Ask::Output { data, .. } if status == 0 => data.len(),
        Ask::Control { setup, data } if status == 0 && !setup.is_in() => data.len(),
        Ask::Control { .. } | Ask::Input { .. } | Ask::Output { .. } => bytes.len(),
    };
    let reply = Reply::Submit {
        sequence: u32::try_from(done.id).unwrap_or(u32::MAX),
        status,
        length,
    };
    write_all(output, &reply.encode(), bytes)
}

/// Header and data in as few system calls as there can be.
fn write_all(mut output: &UnixStream, header: &[u8], data: &[u8]) -> io::Result<()> {
    let written = output.write_vectored(&[IoSlice::new(header), IoSlice::new(data)])?;
    let rest = header.get(written..).unwrap_or_default();
    output.write_all(rest)?;
    let of_data = written.saturating_sub(header.len());
    output.write_all(data.get(of_data..).unwrap_or_default())
}
