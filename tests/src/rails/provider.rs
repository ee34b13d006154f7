//! A card provider that speaks as much of the Stripe API as the rail uses, keeps books, refuses what the real one
//! refuses, and misbehaves when told. Ours, and so no proof that we read the API right; [`super::counterparts`] are for
//! that. What it is for: faults, the provider's bookkeeping, and idempotency on every call.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use anyhow::Result;
use palm_server::clock::{Clock, ManualClock};
use serde_json::{Value, json};

use super::{
    Books, Fault,
    stage::{Stage, lock},
};

/// Longest request body, in bytes.
const BODY_MAX: usize = 64 << 10;
/// The secret key that it takes.
pub const KEY: &str = "sk_test_provider";
/// Payment methods: one that is good; others whose bank declines, or wants the customer to confirm, in either of the
/// two ways in which the API says so.
pub const GOOD: &str = "cus_good:pm_good";
/// Too little money.
pub const POOR: &str = "cus_good:pm_poor";
/// Declined, `authentication_required`.
pub const ASKS: &str = "cus_good:pm_asks";
/// Left in `requires_action`.
pub const PAGE: &str = "cus_good:pm_page";

/// The provider, at work until it is dropped.
#[derive(Debug)]
pub struct Provider {
    stage: Stage,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug)]
struct Desk {
    clock: Arc<ManualClock>,
    faults: VecDeque<Fault>,
    made: usize,
    intents: BTreeMap<String, Intent>,
    refunds: Vec<Refund>,
    keys: BTreeMap<String, (String, u16, Value)>,
    customers: BTreeMap<String, String>,
    pages: BTreeMap<String, (String, String)>,
    methods: BTreeMap<String, Option<String>>,
    requests: Vec<String>,
    fails_next: bool,
}

#[derive(Debug)]
struct Intent {
    amount: u64,
    currency: String,
    status: &'static str,
    received: u64,
    step: String,
    customer: Option<String>,
    created: u64,
}

#[derive(Debug)]
struct Refund {
    id: String,
    intent: String,
    amount: u64,
    step: String,
}

struct Request {
    verb: String,
    path: String,
    query: Form,
    form: Form,
    text: String,
    key: Option<String>,
    is_authorised: bool,
}

#[derive(Default)]
struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (decoded(name), decoded(value)))
                .collect(),
        )
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex: Vec<u8> = match byte {
            b'%' => bytes.by_ref().take(2).collect(),
            _ => Vec::new(),
        };
        let hex = std::str::from_utf8(&hex).unwrap_or_default();
        out.push(u8::from_str_radix(hex, 16).unwrap_or(byte));
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Provider {
    /// Starts; payments are created at the time of `clock`.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start(clock: Arc<ManualClock>) -> Result<Self> {
        let desk = Arc::new(Mutex::new(Desk {
            clock,
            faults: VecDeque::new(),
            made: 0,
            intents: BTreeMap::new(),
            refunds: Vec::new(),
            keys: BTreeMap::new(),
            customers: BTreeMap::new(),
            pages: BTreeMap::new(),
            methods: BTreeMap::new(),
            requests: Vec::new(),
            fails_next: false,
        }));
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

    /// What goes wrong with the next request.
    pub fn disturb(&self, fault: Fault) {
        lock(&self.desk).faults.push_back(fault);
    }

    /// It gives the next request up half-way, before it has had an effect, and says so again to the same key.
    pub fn fail_next(&self) {
        lock(&self.desk).fails_next = true;
    }

    /// Its books.
    #[must_use]
    pub fn books(&self) -> Books {
        let desk = lock(&self.desk);
        let held = |intent: &Intent| match intent.status {
            "requires_capture" => intent.amount,
            _ => 0,
        };
        Books {
            held: desk.intents.values().map(held).sum(),
            captured: desk.intents.values().map(|intent| intent.received).sum(),
            refunded: desk.refunds.iter().map(|refund| refund.amount).sum(),
        }
    }

    /// Payments that could still come to life, because somebody is to confirm them.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        let desk = lock(&self.desk);
        let is_open = |intent: &&Intent| intent.status == "requires_action";
        desk.intents.values().filter(is_open).count()
    }

    /// The customer typed a card on the page with this session; gives nothing back to whoever opened the page.
    pub fn card_is_typed(&self, session: &str) {
        let mut desk = lock(&self.desk);
        let method = desk.name("pm");
        let Some((customer, state)) = desk.pages.get_mut(session) else {
            return;
        };
        if state == "open" {
            method.clone_into(state);
            let customer = customer.clone();
            desk.methods.insert(method, Some(customer));
        }
    }

    /// Its customers, by our names for them.
    #[must_use]
    pub fn customers(&self) -> Vec<String> {
        lock(&self.desk).customers.values().cloned().collect()
    }

    /// Cards that belong to a customer.
    #[must_use]
    pub fn cards(&self) -> usize {
        let desk = lock(&self.desk);
        desk.methods.values().flatten().count()
    }

    /// Every request as it came: verb, path and form.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.desk).requests.clone()
    }
}

fn talk(stream: TcpStream, desk: &Mutex<Desk>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    while let Some(request) = read(&mut lines)? {
        let fault = lock(desk).faults.pop_front();
        if fault == Some(Fault::DropRequest) {
            return out.shutdown(std::net::Shutdown::Both);
        }
        let (status, body) = lock(desk).answer(&request);
        let body = body.to_string();
        match fault {
            Some(Fault::DropAnswer) => return out.shutdown(std::net::Shutdown::Both),
            Some(Fault::Hold) => {
                // Until the other side gives up.
                lines.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
            Some(Fault::Garbage) => write(&mut out, 200, "<html>Bad gateway</html>")?,
            Some(Fault::DropRequest) | None => write(&mut out, status, &body)?,
        }
    }
    Ok(())
}

fn write(out: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    // At once: a second small write would wait for the first one's acknowledgement.
    out.write_all(answer.as_bytes())
}

fn read(lines: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let (verb, target) = (words.next(), words.next());
    let (mut length, mut key, mut is_authorised) = (0, None, false);
    loop {
        let mut header = String::new();
        lines.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse::<usize>().unwrap_or(0).min(BODY_MAX),
            "idempotency-key" => key = Some(value.to_owned()),
            "authorization" => is_authorised = value == format!("Bearer {KEY}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let target = target.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Ok(Some(Request {
        verb: verb.unwrap_or_default(),
        path: path.to_owned(),
        query: Form::parse(query),
        form: Form::parse(&text),
        text,
        key,
        is_authorised,
    }))
}

type Reply = (u16, Value);

fn refusal(status: u16, code: &str) -> Reply {
    (
        status,
        json!({"error": {"type": "invalid_request_error", "code": code}}),
    )
}

fn decline(decline_code: &str) -> Reply {
    let error =
        json!({"type": "card_error", "code": "card_declined", "decline_code": decline_code});
    (402, json!({ "error": error }))
}

impl Desk {
    fn answer(&mut self, request: &Request) -> Reply {
        let Request {
            verb, path, text, ..
        } = request;
        self.requests.push(format!("{verb} {path} {text}"));
        if !request.is_authorised {
            return refusal(401, "invalid_api_key");
        }
        let Some(key) = &request.key else {
            return self.act(request);
        };
        let content = format!("{path} {text}");
        match self.keys.get(key) {
            Some((first, status, answer)) if *first == content => (*status, answer.clone()),
            Some(_) => (400, json!({"error": {"type": "idempotency_error"}})),
            None => {
                let (status, answer) = self.act(request);
                self.keys
                    .insert(key.clone(), (content, status, answer.clone()));
                (status, answer)
            }
        }
    }

    fn act(&mut self, request: &Request) -> Reply {
        if std::mem::take(&mut self.fails_next) {
            return (500, json!({"error": {"type": "api_error"}}));
        }
        let parts: Vec<&str> = request.path.trim_start_matches("/v1/").split('/').collect();
        match (request.verb.as_str(), parts.as_slice()) {
            ("POST", ["payment_intents"]) => self.authorise(&request.form),
            ("GET", ["payment_intents"]) => (200, self.list(&request.query)),
            ("GET", ["payment_intents", id]) => self.show(id),
            ("POST", ["payment_intents", id, "capture"]) => {
                self.capture(id, request.form.number("amount_to_capture"))
            }
            ("POST", ["payment_intents", id, "cancel"]) => self.cancel(id),
            ("POST", ["refunds"]) => self.refund(&request.form),
            ("GET", ["refunds"]) => (200, self.refunds_of(&request.query)),
            _ => self.act_on_customers(request, &parts),
        }
    }

    fn act_on_customers(&mut self, request: &Request, parts: &[&str]) -> Reply {
        match (request.verb.as_str(), parts) {
            ("POST", ["customers"]) => {
                let id = self.name("cus");
                let ours = request.form.text("metadata[openpalm_customer]");
                let ours = ours.unwrap_or_default().to_owned();
                self.customers.insert(id.clone(), ours);
                (200, json!({ "id": id }))
            }
            ("GET", ["customers"]) => {
                let made = |(id, ours): (&String, &String)| json!({"id": id, "metadata": {"openpalm_customer": ours}});
                let all = self.customers.iter().rev().map(made).collect();
                (200, page(all, &request.query))
            }
            ("DELETE", ["customers", id]) => match self.customers.remove(*id) {
                Some(_) => {
                    self.methods.retain(|_, of| of.as_deref() != Some(*id));
                    (200, json!({"id": id, "deleted": true}))
                }
                None => refusal(404, "resource_missing"),
            },
            ("POST", ["checkout", "sessions"]) => {
                let session = self.name("cs_test");
                let customer = request.form.text("customer").unwrap_or_default();
                if !self.customers.contains_key(customer) {
                    return refusal(404, "resource_missing");
                }
                let page = (customer.to_owned(), "open".to_owned());
                self.pages.insert(session.clone(), page);
                self.page(&session)
            }
            ("GET", ["checkout", "sessions", id]) => self.page(id),
            ("POST", ["checkout", "sessions", id, "expire"]) => match self.pages.get_mut(*id) {
                Some((_, state)) if state == "open" => {
                    "expired".clone_into(state);
                    self.page(id)
                }
                _ => refusal(400, "resource_missing"),
            },
            ("GET", ["payment_methods", id]) => match self.methods.get(*id) {
                Some(customer) => (200, method(id, customer.as_deref())),
                None => refusal(404, "resource_missing"),
            },
            ("POST", ["payment_methods", id, "detach"]) => match self.methods.get_mut(*id) {
                Some(customer @ Some(_)) => {
                    *customer = None;
                    (200, method(id, None))
                }
                _ => (400, json!({"error": {"type": "invalid_request_error"}})),
            },
            _ => refusal(404, "url_invalid"),
        }
    }

    fn page(&self, session: &str) -> Reply {
        let Some((customer, state)) = self.pages.get(session) else {
            return refusal(404, "resource_missing");
        };
        let url = format!("https://pages.example/{session}");
        let mut page = json!({
            "id": session, "url": url, "status": state, "customer": customer, "setup_intent": "seti_1",
        });
        if state.starts_with("pm_") {
            page["status"] = json!("complete");
            page["setup_intent"] = json!({"status": "succeeded", "payment_method": state});
        }
        (200, page)
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_{:04}x", self.made)
    }

    fn is_of(&self, method: &str, customer: Option<&str>) -> bool {
        let owner = self.methods.get(method).and_then(Option::as_deref);
        owner.is_some() && owner == customer
    }

    fn authorise(&mut self, form: &Form) -> Reply {
        let status = match form.text("payment_method") {
            Some("pm_good") => "requires_capture",
            Some(saved) if self.is_of(saved, form.text("customer")) => "requires_capture",
            Some("pm_page") => "requires_action",
            Some("pm_poor") => return decline("insufficient_funds"),
            Some("pm_asks") => return decline("authentication_required"),
            _ => {
                let error = json!({"code": "resource_missing", "param": "payment_method"});
                return (404, json!({ "error": error }));
            }
        };
        let wanted = [
            ("capture_method", "manual"),
            ("confirm", "true"),
            ("off_session", "true"),
        ];
        let is_wanted = |(name, value): &(&str, &str)| form.text(name) == Some(*value);
        let (Some(amount), true) = (form.number("amount"), wanted.iter().all(is_wanted)) else {
            return refusal(400, "parameter_missing");
        };
        let id = self.name("pi");
        let intent = Intent {
            amount,
            currency: form.text("currency").unwrap_or_default().to_owned(),
            status,
            received: 0,
            step: form
                .text("metadata[openpalm_step]")
                .unwrap_or_default()
                .to_owned(),
            customer: form.text("customer").map(ToOwned::to_owned),
            created: self.clock.now().micros() / 1_000_000,
        };
        self.intents.insert(id.clone(), intent);
        self.show(&id)
    }

    fn show(&self, id: &str) -> Reply {
        match self.intents.get(id) {
            Some(intent) => (200, shown(id, intent)),
            None => refusal(404, "resource_missing"),
        }
    }

    fn capture(&mut self, id: &str, amount: Option<u64>) -> Reply {
        let Some(intent) = self.intents.get_mut(id) else {
            return refusal(404, "resource_missing");
        };
        let amount = amount.unwrap_or(intent.amount);
        if intent.status != "requires_capture" {
            return refusal(400, "payment_intent_unexpected_state");
        }
        if !(1..=intent.amount).contains(&amount) {
            return refusal(400, "amount_too_large");
        }
        (intent.status, intent.received) = ("succeeded", amount);
        self.show(id)
    }

    fn cancel(&mut self, id: &str) -> Reply {
        let Some(intent) = self.intents.get_mut(id) else {
            return refusal(404, "resource_missing");
        };
        if !["requires_capture", "requires_action"].contains(&intent.status) {
            return refusal(400, "payment_intent_unexpected_state");
        }
        intent.status = "canceled";
        self.show(id)
    }

    fn refund(&mut self, form: &Form) -> Reply {
        let (Some(intent), Some(amount)) = (form.text("payment_intent"), form.number("amount"))
        else {
            return refusal(400, "parameter_missing");
        };
        let refunded: u64 = self
            .refunds
            .iter()
            .filter(|refund| refund.intent == intent)
            .map(|refund| refund.amount)
            .sum();
        let received = self.intents.get(intent).map_or(0, |intent| intent.received);
        if amount > received.saturating_sub(refunded) {
            return refusal(400, "charge_already_refunded");
        }
        let refund = Refund {
            id: self.name("re"),
            intent: intent.to_owned(),
            amount,
            step: form
                .text("metadata[openpalm_step]")
                .unwrap_or_default()
                .to_owned(),
        };
        let shown = shown_refund(&refund);
        self.refunds.push(refund);
        (200, shown)
    }

    /// Newest first, two a page at most, so that whoever looks must turn pages.
    fn list(&self, query: &Form) -> Value {
        let since = query.number("created[gte]").unwrap_or(0);
        let customer = query.text("customer");
        let listed = self.intents.iter().rev().filter(|(_, intent)| {
            intent.created >= since
                && customer.is_none_or(|customer| intent.customer.as_deref() == Some(customer))
        });
        page(
            listed.map(|(id, intent)| shown(id, intent)).collect(),
            query,
        )
    }

    fn refunds_of(&self, query: &Form) -> Value {
        let of = query.text("payment_intent").unwrap_or_default();
        let listed = self
            .refunds
            .iter()
            .rev()
            .filter(|refund| refund.intent == of);
        page(listed.map(shown_refund).collect(), query)
    }
}

fn shown(id: &str, intent: &Intent) -> Value {
    json!({
        "id": id, "object": "payment_intent", "status": intent.status, "amount": intent.amount,
        "currency": intent.currency, "amount_received": intent.received, "created": intent.created,
        "metadata": {"openpalm_step": intent.step},
    })
}

fn shown_refund(refund: &Refund) -> Value {
    json!({
        "id": refund.id, "amount": refund.amount, "status": "succeeded",
        "metadata": {"openpalm_step": refund.step},
    })
}

fn method(id: &str, customer: Option<&str>) -> Value {
    let card = json!({"brand": "visa", "last4": "0005", "exp_month": 12, "exp_year": 2030});
    json!({"id": id, "customer": customer, "card": card})
}

fn page(all: Vec<Value>, query: &Form) -> Value {
    let after = query.text("starting_after");
    let begin = after.map_or(0, |id| {
        all.iter()
            .position(|one| one["id"] == id)
            .map_or(all.len(), |at| at + 1)
    });
    let rest = &all[begin..];
    json!({"data": &rest[..rest.len().min(2)], "has_more": rest.len() > 2})
}
