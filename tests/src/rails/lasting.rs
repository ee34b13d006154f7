//! The card [`Provider`] in a process of its own (`palm-rail`) whose books outlast its kill: every request that may
//! change them is in a journal before it is acted on, and a start acts on them all again.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result};
use palm_server::clock::{Clock, ManualClock, SystemClock, Timestamp};

use super::{
    Books, Provider,
    stage::{Stage, lock},
};

/// Longest head of a message, in bytes, and longest body.
const HEAD_MAX: usize = 16 << 10;
const BODY_MAX: usize = 1 << 20;

/// The provider, at work until it is dropped.
#[derive(Debug)]
pub struct Lasting {
    stage: Stage,
    _desk: Arc<Mutex<Desk>>,
}

/// The provider behind, and what it was asked.
#[derive(Debug)]
struct Desk {
    provider: Provider,
    clock: Arc<ManualClock>,
    line: BufReader<TcpStream>,
    journal: File,
}

impl Lasting {
    /// Starts with the books of this journal, which may be missing.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or the system gives no port.
    pub fn start(journal: &Path) -> Result<Self> {
        let desk = Arc::new(Mutex::new(Desk::open(journal)?));
        let at = Arc::clone(&desk);
        let stage = Stage::start(move |stream| {
            // A connection that breaks is the client's affair.
            drop(talk(&stream, &at));
        })?;
        Ok(Self { stage, _desk: desk })
    }

    /// The port of loopback on which it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.stage.address().port()
    }
}

/// What the books of a journal say.
///
/// # Errors
/// When it cannot be read.
pub fn books(journal: &Path) -> Result<Books> {
    Ok(Desk::open(journal)?.provider.books())
}

impl Desk {
    fn open(path: &Path) -> Result<Self> {
        let kept = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            kept => kept.context("the rail's journal")?,
        };
        let journal = File::options().create(true).append(true).open(path)?;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let provider = Provider::start(Arc::clone(&clock))?;
        let line = BufReader::new(TcpStream::connect(provider.address())?);
        let mut desk = Self {
            provider,
            clock,
            line,
            journal,
        };
        let (mut rest, mut whole) = (kept.as_slice(), 0);
        while let Some((time, request)) = record(&mut rest) {
            desk.ask(time, &request)?;
            whole = kept.len() - rest.len();
        }
        // A kill may have left a part of the last one.
        desk.journal.set_len(whole as u64)?;
        Ok(desk)
    }

    fn answer(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let time = SystemClock.now();
        if !request.starts_with(b"GET ") {
            let length = u32::try_from(request.len()).map_err(io::Error::other)?;
            let micros = time.micros().to_be_bytes();
            self.journal
                .write_all(&[&micros, &length.to_be_bytes()[..], request].concat())?;
        }
        self.ask(time, request)
    }

    fn ask(&mut self, time: Timestamp, request: &[u8]) -> io::Result<Vec<u8>> {
        self.clock.advance(time.since(self.clock.now()));
        self.line.get_mut().write_all(request)?;
        let answer = message(&mut self.line)?;
        answer.ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

/// The next whole record of a journal: a time, a length, a request.
fn record(rest: &mut &[u8]) -> Option<(Timestamp, Vec<u8>)> {
    let (time, after) = rest.split_first_chunk()?;
    let (length, after) = after.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (request, after) = after.split_at_checked(length)?;
    *rest = after;
    let time = Timestamp::from_micros(u64::from_be_bytes(*time));
    Some((time, request.to_vec()))
}

fn talk(mut stream: &TcpStream, desk: &Mutex<Desk>) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    while let Some(request) = message(&mut lines)? {
        let answer = lock(desk).answer(&request)?;
        stream.write_all(&answer)?;
    }
    Ok(())
}

/// One HTTP message, head and body, as it came; `None` at the end.
fn message(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    loop {
        let begin = bytes.len();
        let left = (HEAD_MAX - begin) as u64;
        if lines.by_ref().take(left).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&bytes[begin..]).to_ascii_lowercase();
        if line == "\r\n" {
            break;
        }
        if let Some(("content-length", value)) = line.trim_end().split_once(": ") {
            length = value.parse::<usize>().map_err(io::Error::other)?;
        }
    }
    if length > BODY_MAX {
        return Err(ErrorKind::InvalidData.into());
    }
    let head = bytes.len();
    bytes.resize(head + length, 0);
    lines.read_exact(&mut bytes[head..])?;
    Ok(Some(bytes))
}
