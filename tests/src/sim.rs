//! Payments in virtual time: a seed makes a list of operations, the real service does them on a disk, with a rail and
//! at a clock that all misbehave, and other books say what must come of it.
//!
//! Operations: pay (captured at once or later, by three people and strangers), confirm (the cashier's word, right and
//! wrong PINs), cancel, capture and refund in part, void, top up, pay out; the same again, and again later, after
//! others; a caller who hangs up; the clock going on by seconds or days; the rail down, slow, late, declining, losing
//! questions or answers; a commit that fails, written or not (a full disk, a power cut), and the restart after it.
//!
//! One operation is done after the other, so that a seed always gives the same run; what waits at a slow rail stays in
//! flight meanwhile. Payments out of wallets are foreseen to the letter. What an outside rail does cannot be: there, it
//! is checked that payments only go on as they may, and that both sides agree once the rail can be reached again.
//!
//! **A failure is**
//! - an answer about a wallet's payment other than the one foreseen;
//! - a certain answer to a palm, or to a request about a wallet, that changes when it is asked for again;
//! - an acknowledged payment that is gone, or stands as if it had not been, after a crash;
//! - what was not acknowledged when the power went standing neither as before it nor as after it;
//! - money moved twice: at the rail, in a wallet or in the books; a refund above what was captured;
//! - a service that goes on answering after a commit failed;
//! - a hold or a doubt that is still there when the rail has been well for an hour and a hold's time is over;
//! - a rail that holds, took or gave back other sums than we say, or is asked for what no rail may be asked for;
//! - books that do not load, an audit with violations, sums of the books that are not the oracle's.
//!
//! **No failure is**
//! - `UNAVAILABLE` or `OUTCOME_UNKNOWN` while something is down, and a request done although its caller was told so;
//! - a palm's payment that was never begun because its caller hung up before it was looked for;
//! - an answer about a capture, void or refund at an outside rail that was in doubt and is told as it stands now;
//! - an approved payment that is voided afterwards because its till gave it up meanwhile.

use std::{collections::BTreeMap, pin::pin, sync::Arc, task::Poll, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use palm_models::template::Template;
use palm_proto::{envelope::SealedTemplate, id::PaymentId};
use palm_server::{
    clock::{Clock, ManualClock, Timestamp},
    error::Error,
    payments::{Asker, State},
    rail::Rail,
};
use tokio::task::JoinHandle;

mod asking;
mod end;
mod ground;
mod oracle;
mod rail;

use asking::answered;
pub use ground::Opening;
use ground::{Machine, PAYMENT_MAX, PEOPLE, mix, palm};
use oracle::Books;
use rail::{ScriptedRail, Weather};

/// Where virtual time begins: 15 January 2027, 08:00 UTC.
const BEGINNING_US: u64 = 1_800_000_000_000_000;
/// Every other seed begins two minutes before the shop's day ends.
const TO_MIDNIGHT: Duration = Duration::from_secs(57_480);
/// Everybody's.
const PIN: &str = "1593";
/// Who pays from the outside rail.
const RAIL_PAYER: usize = 2;
const IN_FLIGHT_MAX: usize = 3;

/// Makes a service that answers at once, with nobody at the rail.
///
/// # Errors
/// When the people of the simulation cannot be enrolled.
pub fn opening() -> Result<Opening> {
    runtime()?.block_on(Opening::furnish(Arc::new(ScriptedRail::default())))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?)
}

/// What was done under one seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Operations.
    pub operations: u64,
    /// Times that the service was opened again after a crash.
    pub crashes: u64,
    /// Payments that the books know.
    pub payments: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Capture,
    Void,
    Refund,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Word,
    RightPin,
    WrongPin,
}

/// A request to the service. Payments, requests and captures are numbers here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    Pay {
        id: u32,
        palm: usize,
        amount: u64,
        is_manual: bool,
        nonce: u32,
    },
    Confirm {
        request: u32,
        id: u32,
        what: What,
    },
    Cancel {
        id: u32,
        amount: u64,
    },
    Change {
        request: u32,
        id: u32,
        action: Action,
        amount: Option<u64>,
    },
    Transfer {
        request: u32,
        person: usize,
        amount: u64,
        is_in: bool,
    },
}

/// One seed's run.
struct Run<'a> {
    seed: u64,
    drawn: u64,
    opening: &'a Opening,
    rail: Arc<ScriptedRail>,
    machine: Option<Machine>,
    palms: Vec<Template>,
    /// Palms held out for a payment, sealed once: a till that asks again sends the same.
    sealed: BTreeMap<u32, SealedTemplate>,
    books: Books,
    sent: Vec<Ask>,
    later: Vec<Ask>,
    flying: Vec<(Ask, JoinHandle<String>)>,
    next: u32,
    boots: u64,
    runtime: Option<tokio::runtime::Runtime>,
    done: Done,
}

/// Does the operations of a seed.
///
/// # Errors
/// The first failure: what was wrong, and after how many operations.
pub fn run(seed: u64, operations: u64, opening: &Opening) -> Result<Done> {
    let mut run = Run {
        seed,
        drawn: seed,
        opening,
        rail: Arc::new(ScriptedRail::default()),
        machine: None,
        palms: (0..=PEOPLE).map(|number| palm(number, 100)).collect(),
        sealed: BTreeMap::new(),
        books: Books::default(),
        sent: Vec::new(),
        later: Vec::new(),
        flying: Vec::new(),
        next: 0,
        boots: 0,
        runtime: Some(runtime()?),
        done: Done::default(),
    };
    let at = |run: &Run<'_>| format!("seed {seed}, operation {}", run.done.operations);
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(BEGINNING_US)));
    if seed % 2 == 1 {
        clock.advance(TO_MIDNIGHT);
    }
    run.boot(opening.disk()?, clock)?;
    for _ in 0..operations {
        run.operation().with_context(|| at(&run))?;
        run.done.operations += 1;
    }
    run.end().with_context(|| at(&run))?;
    run.done.payments = run.books.paid.len() as u64;
    if let Some(machine) = run.machine.take() {
        drop(run.runtime.take());
        machine.kill();
    }
    Ok(run.done)
}

impl Run<'_> {
    fn draw(&mut self, below: u64) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.drawn) % below
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn bytes(&self, kind: u8, number: u32) -> [u8; 16] {
        let mut bytes = [kind; 16];
        bytes[..8].copy_from_slice(&mix(self.seed ^ u64::from(kind) << 56).to_be_bytes());
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    fn payment_id(&self, number: u32) -> PaymentId {
        PaymentId::from_random(self.bytes(1, number))
    }

    fn machine(&self) -> Result<&Machine> {
        self.machine.as_ref().context("the machine is off")
    }

    fn now(&self) -> Result<u64> {
        Ok(self.machine()?.clock.now().micros())
    }

    fn boot(&mut self, disk: Arc<ground::Disk>, clock: Arc<ManualClock>) -> Result<()> {
        self.boots += 1;
        let seed = mix(self.seed ^ self.boots << 40);
        let rail: Arc<dyn Rail> = Arc::clone(&self.rail) as _;
        self.machine = Some(Machine::boot(disk, clock, seed, rail)?);
        self.sweep(true)
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let runtime = self.runtime.as_ref().context("the machine is off")?;
        Ok(runtime.block_on(work))
    }

    /// Looks at the clock, as the service does every second.
    fn sweep(&mut self, at_start: bool) -> Result<()> {
        let now = self.now()?;
        let payments = self.machine()?.service.payments.clone();
        let swept = self.block_on(payments.sweep(at_start))?;
        swept.map_err(|error| anyhow::anyhow!("the sweep: {}", error.sentence()))?;
        self.books.tick(now);
        self.look_at_rail()
    }

    /// How every payment of the rail stands.
    fn look_at_rail(&mut self) -> Result<()> {
        let numbers: Vec<u32> = self.rail_payments().collect();
        for number in numbers {
            let seen = self.seen(number)?.context("a payment is lost")?;
            self.books
                .look_at(number, seen)
                .map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }

    fn rail_payments(&self) -> impl Iterator<Item = u32> {
        let paid = self.books.paid.iter();
        paid.filter(|(_, paid)| paid.is_of_rail())
            .map(|(number, _)| *number)
    }

    fn seen(&self, number: u32) -> Result<Option<(State, u64, u64)>> {
        let id = self.payment_id(number);
        match self.machine()?.service.payments.find(id, Asker(None)) {
            Ok(paid) => {
                let refunded = paid.refunded.minor();
                Ok(Some((paid.state, paid.captured.minor(), refunded)))
            }
            Err(Error::PaymentNotFound) => Ok(None),
            Err(error) => bail!("a payment cannot be read: {}", error.sentence()),
        }
    }

    fn operation(&mut self) -> Result<()> {
        match self.draw(100) {
            0..=69 => {
                let ask = self.new_ask();
                self.send_somehow(ask)
            }
            70..=77 if !self.sent.is_empty() => {
                let at = self.draw(self.sent.len() as u64);
                let ask = self.sent[usize::try_from(at)?].clone();
                self.send_somehow(ask)
            }
            78..=80 => {
                let ask = self.new_ask();
                self.later.push(ask);
                Ok(())
            }
            81..=83 if !self.later.is_empty() => {
                let at = self.draw(self.later.len() as u64);
                let ask = self.later.swap_remove(usize::try_from(at)?);
                self.send_somehow(ask)
            }
            84..=86 => self.land(),
            87..=90 => {
                self.rail.let_late_ones_come();
                self.look_at_rail()
            }
            91 if self.draw(4) == 0 => {
                self.crash()?;
                self.compare_balances()
            }
            _ => {
                self.land()?;
                let seconds = match self.draw(40) {
                    0 => 86_400 + self.draw(86_400),
                    1..=4 => self.draw(7_200),
                    _ => self.draw(40),
                };
                let by = Duration::from_millis(seconds * 1_000 + self.draw(1_000));
                self.machine()?.clock.advance(by);
                self.new_weather(false);
                self.sweep(false)
            }
        }
    }

    fn new_weather(&mut self, may_park: bool) {
        let weather = match self.draw(20) {
            0 => Weather::Declining,
            1 => Weather::Down,
            2 => Weather::AnswerLost,
            3 => Weather::QuestionLost,
            4 => Weather::Late,
            5 if may_park => Weather::SlowQuestion,
            6 if may_park => Weather::SlowAnswer,
            _ => Weather::Fair,
        };
        self.rail.set(weather);
    }

    fn new_ask(&mut self) -> Ask {
        let request = self.number();
        // Mostly about what happened lately.
        let ids = u64::from(self.next).min(40);
        let back = u32::try_from(self.draw(ids)).unwrap_or(0);
        let id = self.next - back;
        let amount = match self.draw(30) {
            0 => 50_001 + self.draw(PAYMENT_MAX - 50_001),
            1..=9 => 1_000,
            _ => 1 + self.draw(9_000),
        };
        let part = (self.draw(3) > 0).then_some(amount / 2 + 1);
        let change = |action, amount| Ask::Change {
            request,
            id,
            action,
            amount,
        };
        match self.draw(20) {
            0..=6 => Ask::Pay {
                id: request,
                palm: usize::try_from(self.draw(20) % 7 % 4).unwrap_or(0),
                amount,
                is_manual: self.draw(2) == 0,
                nonce: request,
            },
            7 | 8 => {
                let what = match self.draw(8) {
                    0..=3 => What::Word,
                    4 | 5 => What::RightPin,
                    _ => What::WrongPin,
                };
                Ask::Confirm { request, id, what }
            }
            9 => {
                let known = self.books.paid.get(&id).map(|paid| paid.amount);
                let amount = known.unwrap_or(amount);
                Ask::Cancel { id, amount }
            }
            10..=12 => change(Action::Capture, part),
            13 => change(Action::Void, None),
            14..=16 => change(Action::Refund, part),
            17 => Ask::Transfer {
                request,
                person: usize::try_from(self.draw(2)).unwrap_or(0),
                amount: 1 + self.draw(3_000),
                is_in: false,
            },
            _ => Ask::Transfer {
                request,
                person: usize::try_from(self.draw(2)).unwrap_or(0),
                amount: 1 + self.draw(20_000),
                is_in: true,
            },
        }
    }

    /// Sends it as the world does: mostly well, sometimes hanging up, or with the power going.
    fn send_somehow(&mut self, ask: Ask) -> Result<()> {
        self.new_weather(self.flying.len() < IN_FLIGHT_MAX);
        match self.draw(400) {
            0..=5 => self.send_hanging_up(&ask)?,
            6..=8 => self.send_at_a_crash(&ask)?,
            _ => self.send(ask.clone())?,
        }
        self.rail.set(Weather::Fair);
        self.sent.push(ask);
        if self.done.operations.is_multiple_of(8) {
            self.compare_balances()?;
        }
        Ok(())
    }

    fn call(&mut self, ask: &Ask) -> Result<impl Future<Output = String> + use<>> {
        let request = self.request(ask)?;
        let service = Arc::clone(&self.machine()?.service);
        Ok(answered(service, request))
    }

    /// Sends it and checks the answer; what waits at the rail stays in flight.
    fn send(&mut self, ask: Ask) -> Result<()> {
        let is_about_rail = self.books.is_about_rail(&ask);
        let call = self.call(&ask)?;
        let rail = Arc::clone(&self.rail);
        let (task, answer) = self.block_on(async move {
            let mut task = tokio::spawn(call);
            let answer = tokio::select! {
                biased;
                answer = &mut task => Some(answer),
                () = rail.parks() => None,
            };
            (task, answer)
        })?;
        let Some(answer) = answer else {
            self.books_take_down(&ask)?;
            self.flying.push((ask, task));
            return Ok(());
        };
        task.abort();
        self.check(&ask, &answer?, is_about_rail)
    }

    fn books_take_down(&mut self, ask: &Ask) -> Result<()> {
        let seen = match *ask {
            Ask::Pay { id, .. }
            | Ask::Confirm { id, .. }
            | Ask::Cancel { id, .. }
            | Ask::Change { id, .. } => self.seen(id)?,
            Ask::Transfer { .. } => None,
        };
        self.books.take_down(ask, seen).map_err(anyhow::Error::msg)
    }

    fn check(&mut self, ask: &Ask, answer: &str, is_about_rail: bool) -> Result<()> {
        if is_about_rail {
            self.books_take_down(ask)
                .and_then(|()| self.books.hear(ask, answer).map_err(anyhow::Error::msg))
                .with_context(|| format!("{ask:?} was answered {answer}"))
        } else {
            let now = self.now()?;
            let foreseen = self.books.ask(ask, now);
            ensure!(
                foreseen == answer,
                "{ask:?} was answered {answer:?}, not {foreseen:?}"
            );
            Ok(())
        }
    }

    /// Lets whatever waits at the rail go on, and takes the answers.
    fn land(&mut self) -> Result<()> {
        self.rail.set(Weather::Fair);
        for (ask, task) in std::mem::take(&mut self.flying) {
            self.rail.let_go();
            let answer = self.block_on(task)??;
            self.check(&ask, &answer, true)?;
        }
        self.look_at_rail()
    }

    /// The caller is gone as soon as it has asked.
    fn send_hanging_up(&mut self, ask: &Ask) -> Result<()> {
        let (before, now) = (self.books.clone(), self.now()?);
        let is_about_rail = self.books.is_about_rail(ask);
        let call = self.call(ask)?;
        self.block_on(async move {
            let mut call = pin!(call);
            std::future::poll_fn(|context| {
                drop(call.as_mut().poll(context));
                Poll::Ready(())
            })
            .await;
        })?;
        // What it asked of the single writer is done before this is answered.
        self.balance(0)?;
        self.one_of(ask, before, now, is_about_rail)
    }

    /// The power goes at one of the next commits, or the disk is full.
    fn send_at_a_crash(&mut self, ask: &Ask) -> Result<()> {
        self.land()?;
        let (commits, is_written) = (u32::try_from(self.draw(3))?, self.draw(2) == 0);
        self.machine()?.disk.trip_after(commits, is_written);
        let (before, now) = (self.books.clone(), self.now()?);
        let is_about_rail = self.books.is_about_rail(ask);
        self.rail.set(Weather::Fair);
        let call = self.call(ask)?;
        let answer = self.block_on(call)?;
        if !self.machine()?.disk.is_dead() {
            self.machine()?.disk.mend();
            return self.check(ask, &answer, is_about_rail);
        }
        let cash = Ask::Transfer {
            request: u32::MAX,
            person: 0,
            amount: 1,
            is_in: true,
        };
        let call = self.call(&cash)?;
        let after = self.block_on(call)?;
        ensure!(
            after == "refused UNAVAILABLE",
            "the service goes on after a failed commit: {after}"
        );
        self.crash()?;
        if answer == "refused UNAVAILABLE" || answer == "refused OUTCOME_UNKNOWN" {
            self.one_of(ask, before, now, is_about_rail)
        } else if is_about_rail {
            self.books_take_down(ask)
        } else {
            let foreseen = self.books.ask(ask, now);
            ensure!(
                foreseen == answer,
                "{ask:?} was answered {answer:?}, not {foreseen:?}"
            );
            self.compare_balances()
        }
    }

    /// Off and on again; what was in flight has no answer.
    fn crash(&mut self) -> Result<()> {
        self.flying.clear();
        let runtime = self.runtime.replace(runtime()?);
        drop(runtime);
        let machine = self.machine.take().context("the machine is off")?;
        let (disk, clock) = machine.kill();
        self.done.crashes += 1;
        self.new_weather(false);
        self.boot(disk, clock)
    }

    /// What got no answer was done or was not; the other books take on which.
    fn one_of(&mut self, ask: &Ask, before: Books, now: u64, is_about_rail: bool) -> Result<()> {
        if is_about_rail {
            return self.books_take_down(ask);
        }
        let (mut not_done, swept) = (before.clone(), self.now()?);
        not_done.tick(swept);
        let mut was_done = before;
        was_done.ask(ask, now);
        was_done.tick(swept);
        for mut books in [was_done, not_done] {
            // Payments of the rail may have gone on meanwhile.
            let rails = self.books.paid.iter().filter(|(_, paid)| paid.is_of_rail());
            books
                .paid
                .extend(rails.map(|(id, paid)| (*id, paid.clone())));
            if self.is_so(ask, &books)? {
                self.books = books;
                return Ok(());
            }
        }
        bail!("{ask:?} had no answer, and what stands is neither as before it nor as after it")
    }

    fn is_so(&self, ask: &Ask, books: &Books) -> Result<bool> {
        if let Ask::Pay { id, .. }
        | Ask::Confirm { id, .. }
        | Ask::Cancel { id, .. }
        | Ask::Change { id, .. } = *ask
        {
            let told = books.paid.get(&id);
            let told = told.map(|paid| (paid.state, paid.captured, paid.refunded));
            if told != self.seen(id)? {
                return Ok(false);
            }
        }
        for (number, person) in books.people.iter().enumerate().take(RAIL_PAYER) {
            if self.balance(number)? != person.balance {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn balance(&self, person: usize) -> Result<u64> {
        let wallets = &self.machine()?.service.wallets;
        let balance = self.block_on(wallets.balance(self.opening.people[person]))?;
        Ok(balance
            .map_err(|error| anyhow::anyhow!("{}", error.sentence()))?
            .minor())
    }

    fn compare_balances(&self) -> Result<()> {
        for (number, person) in self.books.people.iter().enumerate() {
            let (told, foreseen) = (self.balance(number)?, person.balance);
            ensure!(
                told == foreseen,
                "person {number} has {told}, not {foreseen}"
            );
        }
        let wrongs = self.rail.wrongs();
        ensure!(wrongs.is_empty(), "{}", wrongs.join("; "));
        Ok(())
    }
}
