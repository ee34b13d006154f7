//! One TCP connection to the host, kept by one task: requests go out as they come and answers are matched by their
//! trace numbers, so that a slow one holds up nobody.
//!
//! The task connects, signs on, and serves until the line breaks; then it waits, twice as long each time up to a bound,
//! and connects again. While there is no line, requests are told at once that they were not sent. An idle line is tried
//! with an echo; an echo without an answer means that the line is dead.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    book::TraceBook,
    codec::Codec,
    framing::Framing,
    message::{Message, Mti},
    moment::Moment,
};
use crate::clock::Clock;

/// Requests that wait for the line.
const WAITING_MAX: usize = 64;
/// Requests whose answers are awaited; more are not sent.
const PENDING_MAX: usize = 256;
/// Waits between tries to connect.
const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(30);
/// Read at once, in bytes.
const CHUNK: usize = 4096;
/// Network management information codes, field 70.
const SIGN_ON: &str = "001";
const SIGN_OFF: &str = "002";
const ECHO: &str = "301";

/// What a line needs to know.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) host: SocketAddr,
    pub(super) codec: Codec,
    pub(super) framing: Framing,
    pub(super) sign_on: bool,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) echo: Duration,
    pub(super) book: Arc<TraceBook>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Answer(Message),
    /// Not a byte of it was written.
    NotSent,
    /// It was written, wholly or partly, and nothing came back in time.
    Unknown,
}

/// The way to the task. When it is dropped, the task signs off and ends.
#[derive(Debug, Clone)]
pub(super) struct Link {
    requests: mpsc::Sender<Request>,
    codec: Codec,
    answer_timeout: Duration,
}

#[derive(Debug)]
struct Request {
    mti: Mti,
    trace: String,
    frame: Vec<u8>,
    /// Set by whoever comes first: the task before it writes, or the asker when it gives up.
    is_taken: Arc<AtomicBool>,
    answer: oneshot::Sender<Heard>,
}

#[derive(Debug)]
struct Pending {
    mti: Mti,
    answer: oneshot::Sender<Heard>,
}

/// Why a line ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("cannot connect")]
    Connect,
    #[error("the host does not take the sign-on")]
    SignOn,
    #[error("the host closed the line, or it broke")]
    Closed,
    #[error("an echo was not answered")]
    Silent,
    #[error("what the host sends is no message")]
    Framing,
}

impl Link {
    /// Starts the task. Needs a tokio runtime.
    pub(super) fn start(settings: Settings) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        let link = Self {
            requests,
            codec: settings.codec,
            answer_timeout: settings.answer_timeout,
        };
        let framing = settings.framing;
        tokio::spawn(run(settings, waiting, framing));
        link
    }

    /// Sends a message and waits for its answer, at most as long as the configuration says.
    pub(super) async fn ask(&self, message: &Message, framing: Framing) -> Heard {
        let (Some(trace), Ok(bytes)) = (message.field(11), self.codec.encode(message)) else {
            tracing::error!("host: a message of ours that cannot be written");
            return Heard::NotSent;
        };
        let (answer, heard) = oneshot::channel();
        let is_taken = Arc::new(AtomicBool::new(false));
        let request = Request {
            mti: message.mti,
            trace: trace.to_owned(),
            frame: framing.frame(&bytes),
            is_taken: Arc::clone(&is_taken),
            answer,
        };
        if self.requests.try_send(request).is_err() {
            return Heard::NotSent;
        }
        match timeout(self.answer_timeout, heard).await {
            Ok(Ok(heard)) => heard,
            // Too late, or the task is gone: what it did not take it never will.
            Ok(Err(_)) | Err(_) => {
                if is_taken.swap(true, Ordering::AcqRel) {
                    Heard::Unknown
                } else {
                    Heard::NotSent
                }
            }
        }
    }
}

async fn run(settings: Settings, mut requests: mpsc::Receiver<Request>, framing: Framing) {
    let mut delay = DELAY_MIN;
    loop {
        let broken = match Line::open(&settings, framing).await {
            Ok(mut line) => {
                tracing::info!("host: connected");
                delay = DELAY_MIN;
                match line.serve(&mut requests).await {
                    Ok(()) => return,
                    Err(broken) => broken,
                }
            }
            Err(broken) => broken,
        };
        tracing::warn!(retry_ms = delay.as_millis(), "host: {broken}");
        let until = Instant::now() + delay;
        delay = (delay * 2).min(DELAY_MAX);
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                request = requests.recv() => match request {
                    Some(request) => request.tell(Heard::NotSent),
                    None => return,
                },
            }
        }
    }
}

impl Request {
    fn tell(self, heard: Heard) {
        // Whoever asked may have given up.
        drop(self.answer.send(heard));
    }
}

/// A line that is up.
struct Line<'a> {
    settings: &'a Settings,
    framing: Framing,
    stream: TcpStream,
    received: Vec<u8>,
    pending: BTreeMap<String, Pending>,
    /// When to echo next, or until when its answer is awaited.
    echo_at: Instant,
    awaits_echo: bool,
}

impl<'a> Line<'a> {
    async fn open(settings: &'a Settings, framing: Framing) -> Result<Self, Broken> {
        let connecting = timeout(settings.connect_timeout, TcpStream::connect(settings.host));
        let Ok(Ok(stream)) = connecting.await else {
            return Err(Broken::Connect);
        };
        // Small messages that must not wait for more to send.
        drop(stream.set_nodelay(true));
        let mut line = Self {
            settings,
            framing,
            stream,
            received: Vec::with_capacity(CHUNK),
            pending: BTreeMap::new(),
            echo_at: Instant::now() + settings.echo,
            awaits_echo: false,
        };
        if settings.sign_on {
            let signed_on = timeout(settings.answer_timeout, line.sign_on()).await;
            signed_on.map_err(|_| Broken::SignOn)??;
        }
        Ok(line)
    }

    async fn sign_on(&mut self) -> Result<(), Broken> {
        self.write_network(SIGN_ON).await?;
        loop {
            let message = self.next_message().await?;
            let is_answer = message.mti == Mti::NETWORK.answer() && message.field(70) != Some(ECHO);
            if is_answer {
                let is_taken = message.field(39) == Some("00");
                return if is_taken {
                    Ok(())
                } else {
                    Err(Broken::SignOn)
                };
            }
        }
    }

    async fn next_message(&mut self) -> Result<Message, Broken> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            self.read().await?;
        }
    }

    /// Serves until nobody can ask any more (`Ok`) or the line breaks; then what was sent and not answered is unknown.
    async fn serve(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<(), Broken> {
        loop {
            while let Some(message) = self.take()? {
                self.deliver(message).await?;
            }
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.send(request).await?,
                    None => {
                        // Good manners; the line closes either way.
                        return self.write_network(SIGN_OFF).await.or(Ok(()));
                    }
                },
                read = read_some(&mut self.stream, &mut self.received) => read?,
                () = sleep_until(self.echo_at) => self.echo().await?,
            }
        }
    }

    async fn send(&mut self, request: Request) -> Result<(), Broken> {
        self.pending
            .retain(|_, pending| !pending.answer.is_closed());
        if self.pending.len() >= PENDING_MAX {
            request.tell(Heard::NotSent);
            return Ok(());
        }
        // The same message is on its way already, and one answer cannot serve two.
        if self.pending.contains_key(&request.trace) {
            request.tell(Heard::Unknown);
            return Ok(());
        }
        if request.is_taken.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let pending = Pending {
            mti: request.mti,
            answer: request.answer,
        };
        self.pending.insert(request.trace, pending);
        self.write(&request.frame).await
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), Broken> {
        let written = timeout(self.settings.answer_timeout, self.stream.write_all(frame));
        match written.await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Broken::Closed),
        }
    }

    async fn read(&mut self) -> Result<(), Broken> {
        read_some(&mut self.stream, &mut self.received).await
    }

    /// The next whole message. Frames that are no message are passed over: their length was right, so that the line is
    /// still in step.
    fn take(&mut self) -> Result<Option<Message>, Broken> {
        loop {
            let frame = self
                .framing
                .take(&mut self.received)
                .map_err(|_| Broken::Framing)?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            if frame.is_empty() {
                continue;
            }
            match self.settings.codec.decode(&frame) {
                Ok(message) => return Ok(Some(message)),
                Err(error) => tracing::warn!("host: {error}"),
            }
        }
    }

    async fn deliver(&mut self, message: Message) -> Result<(), Broken> {
        self.awaits_echo = false;
        self.echo_at = Instant::now() + self.settings.echo;
        if message.mti.first() == Mti::NETWORK {
            return self.answer_network(&message).await;
        }
        let trace = message.field(11).unwrap_or_default();
        let is_expected = |pending: &Pending| pending.mti.answer().first() == message.mti.first();
        match self.pending.get(trace) {
            Some(pending) if is_expected(pending) => {
                if let Some(pending) = self.pending.remove(trace) {
                    drop(pending.answer.send(Heard::Answer(message)));
                }
            }
            // Too late, or meant for nobody; of an echo, what it had to say was said by its coming.
            _ if message.mti.first() == Mti::NETWORK.answer() => {}
            _ => tracing::warn!(mti = %message.mti, "host: an answer that nobody waits for"),
        }
        Ok(())
    }

    /// The host may ask for echoes too.
    async fn answer_network(&mut self, message: &Message) -> Result<(), Broken> {
        let answer = Message::new(message.mti.answer())
            .with_some(7, message.field(7))
            .with_some(11, message.field(11))
            .with(39, "00")
            .with_some(70, message.field(70));
        self.write_message(&answer).await
    }

    async fn echo(&mut self) -> Result<(), Broken> {
        if self.awaits_echo {
            return Err(Broken::Silent);
        }
        self.awaits_echo = true;
        self.echo_at = Instant::now() + self.settings.answer_timeout;
        self.write_network(ECHO).await
    }

    async fn write_network(&mut self, what: &str) -> Result<(), Broken> {
        let Settings { book, clock, .. } = self.settings;
        let message = Message::new(Mti::NETWORK)
            .with(7, Moment::at(clock.now().micros(), 0).transmission())
            .with(11, format!("{:06}", book.passing()))
            .with(70, what);
        self.write_message(&message).await
    }

    async fn write_message(&mut self, message: &Message) -> Result<(), Broken> {
        match self.settings.codec.encode(message) {
            Ok(bytes) => self.write(&self.framing.frame(&bytes)).await,
            // Only a host's own fields can be at fault: they need no answer.
            Err(_) => Ok(()),
        }
    }
}

/// What was sent and not answered when a line breaks may have been carried out.
impl Drop for Line<'_> {
    fn drop(&mut self) {
        for (_, pending) in std::mem::take(&mut self.pending) {
            drop(pending.answer.send(Heard::Unknown));
        }
    }
}

async fn read_some(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<(), Broken> {
    received.reserve(CHUNK);
    match stream.read_buf(received).await {
        Ok(0) | Err(_) => Err(Broken::Closed),
        Ok(_) => Ok(()),
    }
}
