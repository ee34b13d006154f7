//! The task that owns the till's state: it feeds the two state machines, does what they ask, and publishes one
//! snapshot after each change.
//!
//! Everything arrives here in one order: commands of the pages, news of the reader, replies of the service, ticks.
//! Decisions are the machines' ([`crate::checkout`], [`crate::enrolment`]); what they ask for is done in `paying.rs`
//! and `enrolling.rs`.

mod enrolling;
mod paying;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use palm_driver::{Clock, Purpose as Sought, Signal};
use palm_proto::v1;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    checkout::{self, Checkout, Refusal, Sale},
    command::Command,
    enrolment::{self, Enrolment},
    journal::Journal,
    limits, pages,
    reader::{Capture, Entropy, News, ReaderHandle, Ticket},
    service::{Service, Setup, SetupError, StageTimes},
    snapshot::{CheckoutView, EnrolmentView, ReaderView, ServiceView, Snapshot, Timings},
};
use enrolling::Batch;

/// Why a command was not obeyed, as a page is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status: 409 not now, 422 a value that cannot be, 503 the till is not ready.
    pub status: u16,
    /// Stable code.
    pub error: &'static str,
    /// The key that it is about.
    pub field: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (error, remedy) = match refusal {
            Refusal::Busy => ("BUSY", "finish or cancel what is under way first"),
            Refusal::NotNow => (
                "NOT_NOW",
                "there is nothing that this could apply to: see the screen",
            ),
            Refusal::Unresolved => (
                "UNRESOLVED",
                "an earlier payment's outcome is being looked up: wait, and do not charge again",
            ),
        };
        Self {
            status: 409,
            error,
            field: "command",
            remedy,
        }
    }
}

/// One command and where its answer goes.
pub type Asked = (Command, oneshot::Sender<Result<(), Refused>>);

/// What the task needs to run.
#[derive(Debug)]
pub struct Parts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The payment service.
    pub service: Service,
    /// Payments in flight.
    pub journal: Journal,
    /// The reader thread.
    pub reader: ReaderHandle,
    /// Whether the reader is the emulated one.
    pub emulated: bool,
    /// Where snapshots go, as JSON.
    pub snapshots: watch::Sender<Arc<str>>,
}

/// Replies of the service, from the tasks that wait for them.
enum Reply {
    Setup(Result<Setup, SetupError>),
    Reported {
        told: Told,
        noted: bool,
    },
    Answered {
        sale: Sale,
        answer: checkout::Answer,
        stages: Option<StageTimes>,
        took: Duration,
    },
    Found {
        sale: Sale,
        lookup: checkout::Lookup,
    },
    Enrolled {
        batch: Box<Batch>,
        answer: enrolment::Answer,
    },
}

/// What the service was, or should be, told of the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    state: v1::reader::State,
    serial: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Payment,
    Enrolment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Connecting,
    Ready,
    Refused,
}

/// The till's state.
struct App {
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    service: Service,
    journal: Journal,
    reader: ReaderHandle,
    snapshots: watch::Sender<Arc<str>>,
    replies: mpsc::Sender<Reply>,

    checkout: Checkout,
    enrolment: Enrolment,
    /// Which news of the reader count, and for whom.
    armed: Option<(Ticket, Purpose)>,
    /// Left over from before the last stop, still to be looked up.
    recovered: VecDeque<Sale>,

    link: Link,
    setup: Option<Setup>,
    /// Why the last attempt to fetch it failed.
    trouble: Option<SetupError>,
    /// When to fetch the setup next; `None` while it is being fetched.
    setup_at: Option<Duration>,
    told: Option<Told>,
    telling: bool,
    reader_view: ReaderView,

    /// The capture that the next payment is made of.
    capture: Option<Box<Capture>>,
    /// The sealed request of the payment in flight: the same bytes each time.
    request: Option<v1::AuthorisePaymentRequest>,
    last_frame_at: Duration,
    timings: Option<Timings>,
    /// Captures of the enrolment under way; `None` while they are being sent.
    batch: Option<Box<Batch>>,
}

/// Runs the till until the pages' side of `commands` is closed.
pub async fn run(
    parts: Parts,
    mut commands: mpsc::Receiver<Asked>,
    mut news: mpsc::Receiver<News>,
) {
    let (replies, mut answers) = mpsc::channel(limits::ANSWERS_MAX);
    let mut app = App::new(parts, replies);
    let mut tick = tokio::time::interval(limits::TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            asked = commands.recv() => {
                let Some((command, answer)) = asked else { return };
                let done = app.command(command);
                app.publish();
                // A page that went away does not wait for the answer.
                answer.send(done).unwrap_or_default();
            }
            Some(news) = news.recv() => app.news(news),
            Some(reply) = answers.recv() => app.reply(reply),
            _ = tick.tick() => app.tick(),
        }
        app.publish();
    }
}

impl App {
    fn new(parts: Parts, replies: mpsc::Sender<Reply>) -> Self {
        let Parts {
            clock,
            service,
            journal,
            reader,
            emulated,
            snapshots,
        } = parts;
        let recovered = VecDeque::from(journal.unresolved());
        let setup_at = Some(clock.now());
        let reader_view = ReaderView {
            state: "absent",
            serial: String::new(),
            emulated,
            problem: None,
        };
        Self {
            clock,
            entropy: Box::new(crate::entropy::system),
            service,
            journal,
            reader,
            snapshots,
            replies,
            checkout: Checkout::default(),
            enrolment: Enrolment::default(),
            armed: None,
            recovered,
            link: Link::Connecting,
            setup: None,
            trouble: None,
            setup_at,
            told: None,
            telling: false,
            reader_view,
            capture: None,
            request: None,
            last_frame_at: Duration::ZERO,
            timings: None,
            batch: None,
        }
    }

    /// Runs a call to the service beside this task; its reply comes back into the loop.
    fn spawn(&self, call: impl Future<Output = Reply> + Send + 'static) {
        let replies = self.replies.clone();
        tokio::spawn(async move {
            // Without a receiver the till is stopping, and the journal remembers.
            drop(replies.send(call.await).await);
        });
    }

    fn command(&mut self, command: Command) -> Result<(), Refused> {
        match command {
            Command::Charge { amount_minor } => self.charge(amount_minor),
            Command::Cancel if self.enrolment.is_busy() => self.enrol(enrolment::Event::Cancel),
            Command::Cancel => self.pay(checkout::Event::Cancel),
            Command::New => self.clear(),
            Command::Retry => self.retry(),
            Command::EnrolStart { language } => self.enrol_start(language),
            Command::EnrolConsent { notice_version } => self.enrol_consent(notice_version),
            Command::EnrolName { display_name } => {
                self.enrol(enrolment::Event::Name(display_name))?;
                self.without_reader()
            }
            Command::EnrolStay => self.enrol(enrolment::Event::Stay),
            Command::EnrolFinish => self.enrol(enrolment::Event::Finish),
            Command::EnrolOtherHand => {
                self.enrol(enrolment::Event::OtherHand)?;
                self.without_reader()
            }
        }
    }

    /// What was just started waits for a reader that is not there.
    fn without_reader(&mut self) -> Result<(), Refused> {
        if self.reader_view.state != "ready" {
            self.reader_lost();
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        matches!(self.enrolment.state(), enrolment::State::Over { .. })
    }

    fn clear(&mut self) -> Result<(), Refused> {
        if self.enrolment.is_busy() {
            return Err(Refusal::Busy.into());
        }
        if self.is_over() {
            self.enrol(enrolment::Event::Cancel)?;
        }
        self.pay(checkout::Event::Clear)
    }

    fn retry(&mut self) -> Result<(), Refused> {
        if self.is_over() {
            return self.enrol(enrolment::Event::Retry);
        }
        self.connected()?;
        let fresh = crate::entropy::payment_id(&mut self.entropy);
        self.pay(checkout::Event::Retry { fresh })?;
        self.without_reader()
    }

    /// What the service said when it was last asked.
    fn connected(&self) -> Result<&Setup, Refused> {
        let refused = |error, remedy| Refused {
            status: 503,
            error,
            field: "command",
            remedy,
        };
        match (self.link, &self.setup) {
            (Link::Ready, Some(setup)) => Ok(setup),
            (Link::Refused, _) => Err(refused(
                "TILL_REFUSED",
                "the service does not know this till: let the operator enrol its certificate",
            )),
            (Link::Connecting | Link::Ready, _) => Err(refused(
                "CONNECTING",
                "the service does not answer yet: wait a moment",
            )),
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Ready { serial } => {
                self.reader_view = ReaderView {
                    state: "ready",
                    serial,
                    problem: None,
                    ..self.reader_view.clone()
                };
                self.enrol_or_log(enrolment::Event::ReaderBack);
                self.pay_or_log(checkout::Event::ReaderBack);
            }
            News::Absent => self.reader_is("absent", None),
            News::Faulty(error) => self.reader_is("faulty", Some(error.to_string())),
            News::Tamper => {
                let problem = "opened or moved from its place: look at it before it is used again";
                self.reader_view.problem = Some(problem.to_owned());
            }
            News::Reading(ticket) => match self.purpose(ticket) {
                Some(Purpose::Payment) => self.pay_or_log(checkout::Event::Reading),
                Some(Purpose::Enrolment) => self.enrol_or_log(enrolment::Event::Reading),
                None => {}
            },
            News::Guide(ticket, guidance) => match self.purpose(ticket) {
                Some(Purpose::Payment) => self.pay_or_log(checkout::Event::Guide(guidance)),
                Some(Purpose::Enrolment) => self.enrol_or_log(enrolment::Event::Guide(guidance)),
                None => {}
            },
            News::Captured(ticket, capture) => self.captured(ticket, capture),
        }
    }

    fn reader_is(&mut self, state: &'static str, problem: Option<String>) {
        let emulated = self.reader_view.emulated;
        self.reader_view = ReaderView {
            state,
            serial: String::new(),
            emulated,
            problem,
        };
        self.reader_lost();
    }

    fn reader_lost(&mut self) {
        self.armed = None;
        self.enrol_or_log(enrolment::Event::ReaderLost);
        self.pay_or_log(checkout::Event::ReaderLost);
    }

    /// Whom news under this ticket are for; nobody when it is of an earlier arming.
    fn purpose(&self, ticket: Ticket) -> Option<Purpose> {
        self.armed
            .filter(|(armed, _)| *armed == ticket)
            .map(|(_, purpose)| purpose)
    }

    fn captured(&mut self, ticket: Ticket, capture: Box<Capture>) {
        match self.purpose(ticket) {
            Some(Purpose::Payment) => {
                self.last_frame_at = capture.last_frame_at;
                self.timings = Some(Timings::captured(&capture));
                self.capture = Some(capture);
                self.pay_or_log(checkout::Event::Captured);
                self.capture = None;
            }
            Some(Purpose::Enrolment) => self.sample(capture),
            None => {}
        }
    }

    fn arm(&mut self, purpose: Purpose) {
        let sought = match purpose {
            Purpose::Enrolment => Sought::Enrolment(self.enrolment_id().to_bytes()),
            Purpose::Payment => match self.checkout.awaited() {
                Some(sale) => Sought::Payment(sale.payment.to_bytes()),
                None => return tracing::error!("no payment waits for a hand"),
            },
        };
        self.armed = Some((self.reader.arm(sought), purpose));
    }

    fn disarm(&mut self) {
        if self.armed.take().is_some() {
            self.reader.disarm();
        }
    }

    fn signal(&self, signal: checkout::Signal) {
        self.reader.signal(match signal {
            checkout::Signal::Accepted => Signal::Accepted,
            checkout::Signal::Refused => Signal::Refused,
        });
    }

    fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Setup(setup) => self.set_up(setup),
            Reply::Reported { told, noted } => {
                self.telling = false;
                self.told = noted.then_some(told);
            }
            Reply::Answered {
                sale,
                answer,
                stages,
                took,
            } => {
                self.answered(sale, answer, stages, took);
            }
            Reply::Found { sale, lookup } => self.found(sale, lookup),
            Reply::Enrolled { batch, answer } => self.enrolled(batch, answer),
        }
    }

    fn set_up(&mut self, setup: Result<Setup, SetupError>) {
        let now = self.clock.now();
        let link = match setup {
            Ok(setup) => {
                self.trouble = None;
                self.setup = Some(setup);
                self.setup_at = Some(now + limits::SETUP_REFRESH);
                Link::Ready
            }
            Err(error) => {
                self.setup_at = Some(now + limits::SETUP_PAUSE);
                // Said once, not at every attempt of a long night.
                if self.trouble.as_ref() != Some(&error) {
                    tracing::warn!(%error, "no setup from the service");
                }
                let link = match error {
                    SetupError::Unreachable => Link::Connecting,
                    SetupError::Refused(_) | SetupError::Malformed(_) => Link::Refused,
                };
                self.trouble = Some(error);
                link
            }
        };
        if link == Link::Ready && self.link != Link::Ready {
            tracing::info!("connected to the service");
        }
        self.link = link;
    }

    /// Something is wrong with the connection or the keys: look before the next payment.
    fn doubt(&mut self) {
        self.link = Link::Connecting;
        if self.setup_at.is_some() {
            self.setup_at = Some(self.clock.now());
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if !self.checkout.is_busy()
            && !self.enrolment.is_busy()
            && let Some(sale) = self.recovered.pop_front()
        {
            tracing::info!(payment = %sale.payment, "looking up a payment of before the last stop");
            self.pay_or_log(checkout::Event::Recover(sale));
        }
        self.pay_or_log(checkout::Event::Tick);
        self.enrol_or_log(enrolment::Event::Tick);
        if self.setup_at.is_some_and(|at| now >= at) {
            self.setup_at = None;
            let service = self.service.clone();
            self.spawn(async move { Reply::Setup(service.setup().await) });
        }
        self.tell();
    }

    /// Tells the service of the reader when it has changed, until it took note.
    fn tell(&mut self) {
        let state = match self.reader_view.state {
            "ready" => v1::reader::State::Ready,
            "faulty" => v1::reader::State::Faulty,
            _ => v1::reader::State::Absent,
        };
        let told = Told {
            state,
            serial: self.reader_view.serial.clone(),
        };
        if self.telling || self.link != Link::Ready || self.told.as_ref() == Some(&told) {
            return;
        }
        self.telling = true;
        let service = self.service.clone();
        self.spawn(async move {
            let noted = service.report_reader(told.state, told.serial.clone()).await;
            Reply::Reported { told, noted }
        });
    }

    fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let link = match self.link {
            Link::Connecting => "connecting",
            Link::Ready => "ready",
            Link::Refused => "refused",
        };
        Snapshot {
            version: 1,
            service: ServiceView::new(link, self.setup.as_ref()),
            reader: self.reader_view.clone(),
            checkout: CheckoutView::new(self.checkout.state(), self.timings, now),
            enrolment: EnrolmentView::new(&self.enrolment, now),
        }
    }

    fn publish(&self) {
        let json = pages::json_of(&self.snapshot());
        self.snapshots.send_if_modified(|last| {
            let changed = **last != *json;
            if changed {
                *last = Arc::from(json);
            }
            changed
        });
    }
}
