//! An acquirer's host that keeps books, knows a repeated message again, refuses what a host refuses, and misbehaves
//! when told. It reads and writes with the rail's own codec, and so is no proof of that; [`super::counterparts`] are.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use anyhow::Result;
use palm_server::{
    config::rails::{Encoding, Header},
    rail::iso8583::{Codec, Framing, Message, Mti},
};

use super::{
    Books, Fault,
    stage::{Stage, lock},
};

/// Tokens: one that is good, one whose account holds too little.
pub const GOOD: &str = "tok_good";
/// Declined with 51.
pub const POOR: &str = "tok_poor";
const CODEC: Codec = Codec {
    encoding: Encoding::Ascii,
    response_code_packed: false,
};
const FRAMING: Framing = Framing {
    header: Header::Bytes2,
    tpdu: None,
};

/// The host, at work until it is dropped.
#[derive(Debug)]
pub struct Acquirer {
    stage: Stage,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug, Default)]
struct Desk {
    faults: VecDeque<Fault>,
    held: BTreeMap<Name, Held>,
    /// What was refunded of which authorisation.
    refunds: BTreeMap<Name, (Name, u64)>,
    answered: BTreeMap<(Mti, Name), Message>,
    heard: Vec<Message>,
    /// Answers that wait until another was given.
    behind: Option<Message>,
    waits_next: bool,
}

/// Trace number and time: what a message is known by.
type Name = (String, String);

#[derive(Debug)]
struct Held {
    amount: u64,
    captured: Option<u64>,
    is_reversed: bool,
}

impl Acquirer {
    /// Starts.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start() -> Result<Self> {
        let desk: Arc<Mutex<Desk>> = Arc::default();
        let at = Arc::clone(&desk);
        let stage = Stage::start(move |stream| {
            // A connection that breaks is the client's affair.
            drop(talk(stream, &at));
        })?;
        Ok(Self { stage, desk })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.stage.address()
    }

    /// To cut its connections.
    #[must_use]
    pub const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// What goes wrong with the next message about money.
    pub fn disturb(&self, fault: Fault) {
        lock(&self.desk).faults.push_back(fault);
    }

    /// The next message about money is answered after the one that follows it.
    pub fn answer_next_behind(&self) {
        lock(&self.desk).waits_next = true;
    }

    /// Its books.
    #[must_use]
    pub fn books(&self) -> Books {
        let desk = lock(&self.desk);
        let of = |take: fn(&Held) -> u64| desk.held.values().filter(|h| !h.is_reversed).map(take);
        Books {
            held: of(|held| {
                if held.captured.is_some() {
                    0
                } else {
                    held.amount
                }
            })
            .sum(),
            captured: of(|held| held.captured.unwrap_or(0)).sum(),
            refunded: desk.refunds.values().map(|(_, minor)| minor).sum(),
        }
    }

    /// Every message, in the order in which they came.
    #[must_use]
    pub fn heard(&self) -> Vec<Message> {
        lock(&self.desk).heard.clone()
    }
}

fn talk(mut stream: TcpStream, desk: &Mutex<Desk>) -> std::io::Result<()> {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Ok(Some(frame)) = FRAMING.take(&mut received) {
            let Ok(message) = CODEC.decode(&frame) else {
                return stream.shutdown(Shutdown::Both);
            };
            if !answer(&mut stream, desk, message)? {
                return stream.shutdown(Shutdown::Both);
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            length => received.extend_from_slice(&chunk[..length]),
        }
    }
}

/// Whether the connection stays.
fn answer(stream: &mut TcpStream, desk: &Mutex<Desk>, message: Message) -> std::io::Result<bool> {
    let mut desk = lock(desk);
    desk.heard.push(message.clone());
    if !message.mti.is_request() {
        return Ok(true);
    }
    let is_money = message.mti.first() != Mti::NETWORK;
    let fault = desk.faults.front().copied().filter(|_| is_money);
    if fault.is_some() {
        desk.faults.pop_front();
    }
    if fault == Some(Fault::DropRequest) {
        return Ok(false);
    }
    let answer = desk.act(&message);
    match fault {
        Some(Fault::DropAnswer) => return Ok(false),
        Some(Fault::Hold) => return Ok(true),
        Some(Fault::Garbage) => {
            stream.write_all(&FRAMING.frame(b"no message at all"))?;
            return Ok(true);
        }
        Some(Fault::DropRequest) | None => {}
    }
    if is_money && std::mem::take(&mut desk.waits_next) {
        desk.behind = Some(answer);
        return Ok(true);
    }
    // Who signs on is asked for an echo in turn.
    let is_sign_on = message.field(70) == Some("001");
    let echo = Message::new(Mti::NETWORK)
        .with(11, "900001")
        .with(70, "301");
    let own = if is_sign_on { Some(echo) } else { None };
    for answer in [Some(answer), desk.behind.take(), own]
        .into_iter()
        .flatten()
    {
        let bytes = CODEC.encode(&answer).map_err(std::io::Error::other)?;
        stream.write_all(&FRAMING.frame(&bytes))?;
    }
    Ok(true)
}

fn name(message: &Message) -> Name {
    let field = |number| message.field(number).unwrap_or_default().to_owned();
    (field(11), field(7))
}

/// What field 90 names: type (4), trace number (6), time (10).
fn original(message: &Message) -> Option<(String, Name)> {
    let data = message.field(90)?;
    Some((
        data.get(..4)?.to_owned(),
        (data.get(4..10)?.to_owned(), data.get(10..20)?.to_owned()),
    ))
}

fn amount(message: &Message) -> u64 {
    let amount = message.field(4).and_then(|minor| minor.parse().ok());
    amount.unwrap_or(0)
}

impl Desk {
    fn act(&mut self, message: &Message) -> Message {
        let known = (message.mti.first(), name(message));
        if let Some(answer) = self.answered.get(&known) {
            let mut answer = answer.clone();
            answer.mti = message.mti.answer();
            return answer;
        }
        let code = match message.mti.first() {
            Mti::NETWORK => "00",
            Mti::AUTHORISATION => self.authorise(message),
            Mti::ADVICE => self.capture(message),
            Mti::FINANCIAL => self.refund(message),
            Mti::REVERSAL => self.reverse(message),
            _ => "12",
        };
        let mut answer = Message::new(message.mti.answer()).with(39, code);
        for echoed in [3, 4, 7, 11, 12, 13, 37, 41, 42, 49, 70] {
            answer = answer.with_some(echoed, message.field(echoed));
        }
        if code == "00" && message.mti.first() == Mti::AUTHORISATION {
            answer = answer.with(38, "A12345");
        }
        self.answered.insert(known, answer.clone());
        answer
    }

    fn authorise(&mut self, message: &Message) -> &'static str {
        match message.field(48) {
            Some(GOOD) => {}
            Some(POOR) => return "51",
            _ => return "14",
        }
        let held = Held {
            amount: amount(message),
            captured: None,
            is_reversed: false,
        };
        self.held.insert(name(message), held);
        "00"
    }

    fn capture(&mut self, message: &Message) -> &'static str {
        let held = original(message).and_then(|(_, name)| self.held.get_mut(&name));
        match held {
            Some(held) if held.is_reversed || held.captured.is_some() => "21",
            Some(held) if amount(message) <= held.amount => {
                held.captured = Some(amount(message));
                "00"
            }
            Some(_) => "13",
            None => "25",
        }
    }

    fn refund(&mut self, message: &Message) -> &'static str {
        let Some((_, of)) = original(message) else {
            return "30";
        };
        let captured = self.held.get(&of).and_then(|held| held.captured);
        let earlier = self
            .refunds
            .values()
            .filter(|(original, _)| *original == of);
        let refunded: u64 = earlier.map(|(_, minor)| minor).sum();
        if amount(message) > captured.unwrap_or(0).saturating_sub(refunded) {
            return "13";
        }
        self.refunds.insert(name(message), (of, amount(message)));
        "00"
    }

    fn reverse(&mut self, message: &Message) -> &'static str {
        let Some((mti, name)) = original(message) else {
            return "30";
        };
        if mti == Mti::FINANCIAL.to_string() {
            return match self.refunds.remove(&name) {
                Some(_) => "00",
                None => "25",
            };
        }
        match self.held.get_mut(&name) {
            Some(held) if held.captured.is_some() => "21",
            Some(held) => {
                held.is_reversed = true;
                "00"
            }
            None => "25",
        }
    }
}
