//! A [`Drive`] on a Unix socket, as QEMU asks for one: the NBD protocol's fixed newstyle handshake with `NBD_OPT_GO`,
//! then simple replies (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>). It serves one client, in
//! order, and can go dark: from then on nothing is answered and nothing is written.

use std::{
    io::{self, BufReader, ErrorKind, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};

use super::drive::Drive;

/// Longest request, in bytes; the protocol's usual bound.
const LENGTH_MAX: u32 = 32 << 20;
/// Shortest request, in bytes: a sector of the drive.
const SECTOR: u32 = 512;
/// Longest option of a handshake, in bytes, and how many of them are listened to.
const OPTION_MAX: u32 = 8 << 10;
const OPTIONS_MAX: usize = 32;

const GREETING: [u8; 16] = *b"NBDMAGICIHAVEOPT";
const OPTION_MAGIC: [u8; 8] = *b"IHAVEOPT";
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// Fixed newstyle, and no zeroes after the handshake.
const HANDSHAKE_FLAGS: u16 = 0b11;
/// There are flags; flush and forced unit access are understood.
const TRANSMISSION_FLAGS: u16 = 1 | 1 << 2 | 1 << 3;
const FORCED: u16 = 1;

const OPTION_ABORT: u32 = 2;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 1 << 31 | 1;
const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
/// `EINVAL`, as the protocol numbers it.
const INVALID: u32 = 22;

/// A drive that one client can reach.
#[derive(Debug)]
pub struct Export {
    shared: Arc<Shared>,
    serving: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    power: Mutex<Power>,
    is_dark: Condvar,
}

#[derive(Debug)]
struct Power {
    drive: Drive,
    /// Writes that are still taken, once that is decided.
    left: Option<u64>,
}

impl Power {
    fn is_dark(&self) -> bool {
        self.left == Some(0)
    }
}

impl Shared {
    fn power(&self) -> MutexGuard<'_, Power> {
        self.power
            .lock()
            .expect("invariant: nobody panics while holding the drive")
    }
}

impl Export {
    /// Offers a drive at a path where nothing is yet, to the first client.
    ///
    /// # Errors
    /// When the system gives no socket there.
    pub fn open(drive: Drive, line: &Path) -> Result<Self> {
        let listener = UnixListener::bind(line).context("no socket for the drive")?;
        let power = Mutex::new(Power { drive, left: None });
        let shared = Arc::new(Shared {
            power,
            is_dark: Condvar::new(),
        });
        let serving = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&listener.accept()?.0, &shared)
        });
        Ok(Self { shared, serving })
    }

    /// As [`Drive::lie`].
    pub fn lie(&self) {
        self.shared.power().drive.lie();
    }

    /// As [`Drive::draw`].
    #[must_use]
    pub fn draw(&self, below: u64) -> u64 {
        self.shared.power().drive.draw(below)
    }

    /// Goes dark with so many more writes, the last not answered any more, or when `patience` is over.
    pub fn darken(&self, writes: u64, patience: Duration) {
        let mut power = self.shared.power();
        power.left = Some(writes);
        let waited = self
            .shared
            .is_dark
            .wait_timeout_while(power, patience, |power| !power.is_dark());
        let (mut power, _) = waited.expect("invariant: nobody panics while holding the drive");
        power.left = Some(0);
    }

    /// Gives the drive back when the client is gone.
    ///
    /// # Errors
    /// When the client spoke something else.
    pub fn close(self) -> Result<Drive> {
        let served = self.serving.join();
        served
            .expect("invariant: serving does not panic")
            .context("the drive's line")?;
        let shared = Arc::into_inner(self.shared).context("the drive is still served")?;
        let power = shared.power.into_inner();
        let power = power.expect("invariant: nobody panics while holding the drive");
        Ok(power.drive)
    }
}

fn serve(line: &UnixStream, shared: &Shared) -> io::Result<()> {
    let mut input = BufReader::new(line);
    let size = shared.power().drive.size();
    // The power may go at any byte.
    match shake_hands(&mut input, line, size).and_then(|goes_on| {
        if goes_on {
            transmit(&mut input, line, shared)
        } else {
            Ok(())
        }
    }) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    let gone = [
        ErrorKind::UnexpectedEof,
        ErrorKind::BrokenPipe,
        ErrorKind::ConnectionReset,
    ];
    gone.contains(&error.kind())
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Whether requests follow.
fn shake_hands(mut input: impl Read, mut output: impl Write, size: usize) -> io::Result<bool> {
    output.write_all(&GREETING)?;
    output.write_all(&HANDSHAKE_FLAGS.to_be_bytes())?;
    take::<4>(&mut input)?;
    for _ in 0..OPTIONS_MAX {
        if take::<8>(&mut input)? != OPTION_MAGIC {
            return Err(wrong("an option's magic"));
        }
        let option = u32::from_be_bytes(take(&mut input)?);
        take_bytes(&mut input, OPTION_MAX)?;
        let mut reply = |kind: u32, data: &[u8]| {
            let mut bytes = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
            let length = u32::try_from(data.len()).expect("invariant: replies are short");
            for number in [option, kind, length] {
                bytes.extend(number.to_be_bytes());
            }
            bytes.extend(data);
            output.write_all(&bytes)
        };
        match option {
            OPTION_GO => {
                let mut export = INFO_EXPORT.to_be_bytes().to_vec();
                export.extend((size as u64).to_be_bytes());
                export.extend(TRANSMISSION_FLAGS.to_be_bytes());
                reply(REPLY_INFO, &export)?;
                let mut sizes = INFO_BLOCK_SIZE.to_be_bytes().to_vec();
                // The smallest, the best (a page), the longest.
                for size in [SECTOR, 4096, LENGTH_MAX] {
                    sizes.extend(size.to_be_bytes());
                }
                reply(REPLY_INFO, &sizes)?;
                reply(REPLY_ACK, &[])?;
                return Ok(true);
            }
            OPTION_ABORT => {
                reply(REPLY_ACK, &[])?;
                return Ok(false);
            }
            _ => reply(REPLY_UNSUPPORTED, &[])?,
        }
    }
    Err(wrong("too many options"))
}

fn transmit(mut input: impl Read, mut output: impl Write, shared: &Shared) -> io::Result<()> {
    loop {
        if u32::from_be_bytes(take(&mut input)?) != REQUEST_MAGIC {
            return Err(wrong("a request's magic"));
        }
        let flags = u16::from_be_bytes(take(&mut input)?);
        let kind = u16::from_be_bytes(take(&mut input)?);
        let cookie: [u8; 8] = take(&mut input)?;
        let offset = u64::from_be_bytes(take(&mut input)?);
        let (length, data) = if kind == WRITE {
            let data = take_bytes(&mut input, LENGTH_MAX)?;
            (0, data)
        } else {
            let length = u32::from_be_bytes(take(&mut input)?);
            (length, Vec::new())
        };
        if kind == DISCONNECT {
            return Ok(());
        }
        let mut power = shared.power();
        if power.is_dark() {
            continue;
        }
        let drive = &mut power.drive;
        let mut reply = REPLY_MAGIC.to_be_bytes().to_vec();
        let mut answer = |error: u32, data: &[u8]| {
            reply.extend(error.to_be_bytes());
            reply.extend(cookie);
            reply.extend(data);
        };
        match kind {
            READ if length <= LENGTH_MAX => match drive.read(offset, length as usize) {
                Ok(data) => answer(0, data),
                Err(_) => answer(INVALID, &[]),
            },
            WRITE => match drive.write(offset, &data, flags & FORCED != 0) {
                Ok(()) => answer(0, &[]),
                Err(_) => answer(INVALID, &[]),
            },
            FLUSH => {
                drive.flush();
                answer(0, &[]);
            }
            _ => answer(INVALID, &[]),
        }
        if kind == WRITE
            && let Some(left) = &mut power.left
        {
            *left -= 1;
            if power.is_dark() {
                // The last one was done, and nobody is told.
                shared.is_dark.notify_all();
                continue;
            }
        }
        drop(power);
        output.write_all(&reply)?;
    }
}

fn take<const N: usize>(mut input: impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A length of four bytes and as many bytes as it says.
fn take_bytes(mut input: impl Read, max: u32) -> io::Result<Vec<u8>> {
    let length = u32::from_be_bytes(take(&mut input)?);
    if length > max {
        return Err(wrong("a length"));
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
