//! What a page of the till does, over plain HTTP: follow the event stream, post commands.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use crate::{
    clock::Stopwatch,
    process::PATIENCE,
    snapshot::{Checkout, Enrolment, Snapshot},
};

/// Snapshots that may wait to be looked at.
const SNAPSHOTS_MAX: usize = 4096;
/// Longest wait for the answer to a command.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a person tries before they give up.
const TRIES: u32 = 3;
/// Version of the consent notice, as the pages send it.
const NOTICE: &str = palm_till::pages::NOTICE_VERSION;

/// A page that is open.
#[derive(Debug)]
pub struct Page {
    agent: Agent,
    base: String,
    snapshots: Receiver<Snapshot>,
    seen: Snapshot,
}

impl Page {
    /// Opens the event stream of the till whose pages are at `address`, and waits for its first snapshot.
    ///
    /// # Errors
    /// When the till does not answer.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let base = format!("http://{address}");
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let stream = agent
            .get(format!("{base}/events"))
            .call()
            .context("the event stream")?;
        ensure!(
            stream.status() == 200,
            "the event stream: {}",
            stream.status()
        );
        let (sender, snapshots) = sync_channel(SNAPSHOTS_MAX);
        // It ends with the stream, or with the page at the stream's next line.
        std::thread::spawn(move || {
            let lines = BufReader::new(stream.into_body().into_reader()).lines();
            for line in lines.map_while(Result::ok) {
                let snapshot = line.strip_prefix("data:").map(serde_json::from_str);
                if let Some(Ok(snapshot)) = snapshot
                    && sender.send(snapshot).is_err()
                {
                    return;
                }
            }
        });
        let seen = snapshots
            .recv_timeout(PATIENCE)
            .context("the first snapshot")?;
        Ok(Self {
            agent,
            base,
            snapshots,
            seen,
        })
    }

    /// The last snapshot that was looked at.
    #[must_use]
    pub fn seen(&self) -> &Snapshot {
        &self.seen
    }

    /// Follows the stream until a snapshot is as wanted, this one included.
    ///
    /// # Errors
    /// When none is for [`PATIENCE`], or the stream ends: the last one.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Result<&Snapshot> {
        let watch = Stopwatch::start();
        while !wanted(&self.seen) {
            self.seen = match self.snapshots.recv_timeout(watch.left_of(PATIENCE)) {
                Ok(snapshot) => snapshot,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("waited in vain for {what}; the page shows {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "the till ended before {what}; the page showed {:#?}",
                        self.seen
                    )
                }
            };
        }
        Ok(&self.seen)
    }

    /// Follows the stream until service and reader are ready.
    ///
    /// # Errors
    /// As [`Page::until`].
    pub fn ready(&mut self) -> Result<()> {
        self.until("service and reader to be ready", Snapshot::is_ready)
            .map(drop)
    }

    /// Follows the stream until the payment's screen is `screen`.
    ///
    /// # Errors
    /// As [`Page::until`].
    pub fn checkout(&mut self, screen: &str) -> Result<Checkout> {
        let seen = self.until(screen, |seen| seen.checkout.screen == screen)?;
        Ok(seen.checkout.clone())
    }

    /// Follows the stream until the enrolment's screen is `screen`.
    ///
    /// # Errors
    /// As [`Page::until`].
    pub fn enrolment(&mut self, screen: &str) -> Result<Enrolment> {
        let seen = self.until(screen, |seen| seen.enrolment.screen == screen)?;
        Ok(seen.enrolment.clone())
    }

    /// Posts JSON; gives the status and the answer.
    ///
    /// # Errors
    /// When the till does not answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .config()
            .timeout_global(Some(ANSWER))
            .build()
            .content_type("application/json")
            .send(body.to_string())
            .with_context(|| format!("POST {path}"))?;
        let text = answer.body_mut().read_to_string().context("the answer")?;
        let body = serde_json::from_str(&text).context("the answer is not JSON")?;
        Ok((answer.status().as_u16(), body))
    }

    /// Sends a command that must be obeyed.
    ///
    /// # Errors
    /// When it is not: the till's answer.
    pub fn command(&self, body: &Value) -> Result<()> {
        let (status, answer) = self.post("/commands", body)?;
        ensure!(status == 200, "{body}: {status} {answer}");
        Ok(())
    }

    /// Sends a command without further words that must be obeyed.
    ///
    /// # Errors
    /// When it is not.
    pub fn does(&self, command: &str) -> Result<()> {
        self.command(&json!({ "command": command }))
    }

    /// The cashier asks for an amount.
    ///
    /// # Errors
    /// When the till does not take it.
    pub fn charge(&self, amount_minor: u64) -> Result<()> {
        self.command(&json!({"command": "charge", "amount_minor": amount_minor}))
    }

    /// Lines for the emulated reader.
    ///
    /// # Errors
    /// When it does not obey one.
    pub fn reader(&self, lines: &[&str]) -> Result<()> {
        for line in lines {
            let (status, answer) = self.post("/emulator", &json!({ "line": line }))?;
            ensure!(status == 200, "{line}: {status} {answer}");
        }
        Ok(())
    }

    /// A person walks through the kiosk up to the first capture.
    ///
    /// # Errors
    /// When the till does not take a step.
    pub fn enrol_up_to_capture(&mut self, display_name: &str) -> Result<()> {
        self.command(&json!({"command": "enrol_start", "language": "en"}))?;
        self.command(&json!({"command": "enrol_consent", "notice_version": NOTICE}))?;
        self.command(&json!({"command": "enrol_name", "display_name": display_name}))?;
        self.enrolment("capturing").map(drop)
    }

    /// A person enrols the palm that `line` shows (`PALM 7`), and begins again when their samples are too unlike each
    /// other; gives the last screen.
    ///
    /// # Errors
    /// When the enrolment does not come to an end.
    pub fn enrol(&mut self, display_name: &str, line: &str) -> Result<Enrolment> {
        let mut over = self.enrol_once(display_name, line)?;
        for _again in 1..TRIES {
            if over.reason.as_deref() != Some("SAMPLES_DISAGREE") {
                break;
            }
            over = self.enrol_once(display_name, line)?;
        }
        Ok(over)
    }

    fn enrol_once(&mut self, display_name: &str, line: &str) -> Result<Enrolment> {
        self.enrol_up_to_capture(display_name)?;
        for taken in 1..=self.seen.enrolment.needed {
            self.reader(&["LIFT", line])?;
            self.until("a capture", |seen| seen.enrolment.taken >= taken)?;
        }
        self.enrolment("offer")?;
        self.reader(&["LIFT"])?;
        self.does("enrol_finish")?;
        let over = self.until("the enrolment's end", |seen| seen.enrolment.is_over())?;
        let over = over.enrolment.clone();
        self.leave_kiosk()?;
        Ok(over)
    }

    /// The person leaves the kiosk, in the middle of an enrolment or at its end.
    ///
    /// # Errors
    /// When the till does not let them.
    pub fn leave_kiosk(&mut self) -> Result<()> {
        let busy = ["consent", "name", "capturing", "offer"];
        let is_busy = busy.contains(&self.seen.enrolment.screen.as_str());
        self.does(if is_busy { "cancel" } else { "new" })?;
        self.enrolment("idle").map(drop)
    }

    /// The cashier asks for an amount and a person holds out what `line` shows; gives the last screen, and leaves it.
    ///
    /// # Errors
    /// When the payment does not come to an end.
    pub fn pay(&mut self, amount_minor: u64, line: &str) -> Result<Checkout> {
        self.charge(amount_minor)?;
        self.checkout("waiting_for_hand")?;
        self.reader(&["LIFT", line])?;
        self.payment_over()
    }

    /// As [`Page::pay`]; a palm that is not recognised is held out again, as a customer would.
    ///
    /// # Errors
    /// As [`Page::pay`].
    pub fn pay_known(&mut self, amount_minor: u64, line: &str) -> Result<Checkout> {
        let mut over = self.pay(amount_minor, line)?;
        for _again in 1..TRIES {
            if over.screen != "not_recognised" {
                break;
            }
            over = self.pay(amount_minor, line)?;
        }
        Ok(over)
    }

    /// Waits until the payment is over, takes the hand away and goes back to the start.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub fn payment_over(&mut self) -> Result<Checkout> {
        let over = self
            .until("the payment's end", |seen| seen.checkout.is_over())?
            .checkout
            .clone();
        self.reader(&["LIFT"])?;
        self.does("new")?;
        self.checkout("idle")?;
        Ok(over)
    }
}
