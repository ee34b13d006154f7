//! What a page does, over plain HTTP: post a command, follow the event stream.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

/// Longest wait for a snapshot: far beyond what a capture takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    seen: Value,
}

impl Browser {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = request(address, "GET", "/events", None);
        let mut browser = Self {
            address,
            stream,
            seen: Value::Null,
        };
        browser.next();
        browser
    }

    /// The last snapshot.
    pub(crate) fn seen(&self) -> &Value {
        &self.seen
    }

    /// Posts JSON; gives the status and the answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut answer = request(self.address, "POST", path, Some(&body.to_string()));
        let mut text = String::new();
        answer.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// A command that must be obeyed.
    pub(crate) fn command(&self, body: &Value) {
        assert_eq!(self.post("/commands", body), (200, json!({})), "{body}");
    }

    pub(crate) fn charge(&self, amount_minor: u64) {
        self.command(&json!({"command": "charge", "amount_minor": amount_minor}));
    }

    pub(crate) fn does(&self, command: &str) {
        self.command(&json!({"command": command}));
    }

    pub(crate) fn reader(&self, lines: &[&str]) {
        for line in lines {
            assert_eq!(
                self.post("/emulator", &json!({"line": line})).0,
                200,
                "{line}"
            );
        }
    }

    fn next(&mut self) {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self
                .stream
                .read_line(&mut line)
                .expect("a snapshot in time");
            assert!(read > 0, "the event stream ended, last: {}", self.seen);
            if let Some(json) = line.strip_prefix("data: ") {
                self.seen = serde_json::from_str(json).unwrap();
                return;
            }
        }
    }

    /// Follows the stream until a snapshot is as wanted.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        while !wanted(&self.seen) {
            self.next();
        }
        assert!(!what.is_empty());
        self.seen.clone()
    }

    /// Follows the stream until the payment's screen is `screen`.
    pub(crate) fn checkout(&mut self, screen: &str) -> Value {
        self.until(screen, |seen| seen["checkout"]["screen"] == screen)["checkout"].clone()
    }

    /// Follows the stream until the enrolment's screen is `screen`.
    pub(crate) fn enrolment(&mut self, screen: &str) -> Value {
        self.until(screen, |seen| seen["enrolment"]["screen"] == screen)["enrolment"].clone()
    }

    /// Follows the stream until service and reader are ready.
    pub(crate) fn ready(&mut self) {
        self.until("ready", |seen| {
            seen["service"]["state"] == "ready" && seen["reader"]["state"] == "ready"
        });
    }
}

fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = body.unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    BufReader::new(stream)
}
