//! What every outside rail keeps to, whoever it speaks to.
//!
//! A [`Bench`] is a rail with somebody at the other end. What that somebody cannot do (a fault it has no way to show, a
//! refusal it does not know, books it does not keep) it says, and the part is left out; the stand-ins of our own can do
//! everything.

use std::time::Duration;

use anyhow::{Result, ensure};
use palm_proto::{
    id::PaymentId,
    money::{Currency, Money},
    reason::ReasonCode,
};
use palm_server::rail::{Action, Answer, Instrument, Rail, Reference, Step, StepId};

use super::{Books, Fault};
use crate::{clock::Stopwatch, process::PATIENCE};

/// Longest that a rail may take whose time-outs are set to a second or less.
const TIMEOUTS: Duration = Duration::from_secs(20);

/// A rail and its counterpart.
pub trait Bench {
    /// The rail.
    fn rail(&self) -> &dyn Rail;
    /// Now, in microseconds since 1970, by the rail's clock.
    fn now_us(&self) -> u64;
    /// Moves the rail's clock on.
    fn pass(&self, by: Duration);
    /// What can be charged.
    fn good(&self) -> Instrument;
    /// What is declined, and why.
    fn poor(&self) -> Option<(Instrument, ReasonCode)>;
    /// Lets the next request go wrong; `false` where the counterpart cannot.
    fn disturb(&self, fault: Fault) -> bool;
    /// The counterpart's books, where it keeps them.
    fn books(&self) -> Option<Books>;
    /// Whether the counterpart knows a request again.
    fn knows_again(&self) -> bool;
    /// Whether it refuses what was not held or captured.
    fn is_strict(&self) -> bool;
    /// Whether what became of a step can be found out.
    fn can_look_up(&self) -> bool;
    /// Takes the counterpart away (`false`) and brings it back; `Ok(false)` where it cannot.
    ///
    /// # Errors
    /// When it does not come back.
    fn stand(&self, is_up: bool) -> Result<bool>;
}

/// Makes steps.
struct Play<'a> {
    bench: &'a dyn Bench,
    /// The last id, so that none comes twice.
    last: u128,
}

fn krw(minor: u64) -> Money {
    Money::amount(minor, Currency::KRW).expect("invariant: the tests' amounts are in range")
}

impl<'a> Play<'a> {
    fn new(bench: &'a dyn Bench, part: u128) -> Self {
        // The time, so that a counterpart that lives on has not seen them.
        let last = u128::from(bench.now_us()) << 64 | part << 32;
        Self { bench, last }
    }

    fn step(&mut self, action: Action, minor: u64, reference: Option<&Reference>) -> Step {
        self.last += 1;
        let id = self.last.to_be_bytes();
        Step {
            id: StepId(id),
            payment: PaymentId::from_bytes(id),
            action,
            amount: krw(minor),
            instrument: self.bench.good(),
            reference: reference.cloned(),
            time_us: self.bench.now_us(),
        }
    }

    async fn send(&self, step: &Step) -> Answer {
        self.bench.rail().send(step).await
    }

    /// Authorises and gives the payment's reference.
    async fn authorised(&mut self, minor: u64) -> Result<Reference> {
        let step = self.step(Action::Authorise, minor, None);
        reference(self.send(&step).await)
    }

    /// What changed in the counterpart's books since `before`.
    fn changed(&self, before: Option<Books>, wanted: [i128; 3]) -> Result<()> {
        if let (Some(before), Some(now)) = (before, self.bench.books()) {
            let less = |now: u64, before: u64| i128::from(now) - i128::from(before);
            let changed = [
                less(now.held, before.held),
                less(now.captured, before.captured),
                less(now.refunded, before.refunded),
            ];
            ensure!(
                changed == wanted,
                "held, captured, refunded: {changed:?}, not {wanted:?}"
            );
        }
        Ok(())
    }
}

fn reference(answer: Answer) -> Result<Reference> {
    match answer {
        Answer::Approved { reference } => Ok(reference),
        answer => anyhow::bail!("not approved: {answer:?}"),
    }
}

fn declined(answer: &Answer) -> Result<()> {
    ensure!(
        matches!(answer, Answer::Declined(_)),
        "not declined: {answer:?}"
    );
    Ok(())
}

/// Runs every part.
///
/// # Errors
/// When the rail, or its counterpart, does not keep to the contract.
pub async fn rail_contract(bench: &dyn Bench) -> Result<()> {
    captured_in_part_and_refunded_up_to_it(Play::new(bench, 1)).await?;
    declined_and_voided(Play::new(bench, 2)).await?;
    the_same_step_again(Play::new(bench, 3)).await?;
    a_lost_answer(Play::new(bench, 4)).await?;
    a_lost_request(Play::new(bench, 5)).await?;
    a_lost_answer_to_capture_and_refund(Play::new(bench, 6)).await?;
    slow_or_garbled(Play::new(bench, 7)).await?;
    down(Play::new(bench, 8)).await
}

async fn captured_in_part_and_refunded_up_to_it(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    let payment = play.authorised(4_500).await?;
    play.changed(before, [4_500, 0, 0])?;
    if play.bench.is_strict() {
        let too_much = play.step(Action::Capture, 4_501, Some(&payment));
        declined(&play.send(&too_much).await)?;
    }
    let capture = play.step(Action::Capture, 4_000, Some(&payment));
    ensure!(
        reference(play.send(&capture).await)? == payment,
        "the payment keeps its reference"
    );
    play.changed(before, [0, 4_000, 0])?;
    for minor in [1_000, 2_500] {
        let refund = play.step(Action::Refund, minor, Some(&payment));
        ensure!(
            reference(play.send(&refund).await)? == payment,
            "the payment keeps its reference"
        );
    }
    if play.bench.is_strict() {
        let too_much = play.step(Action::Refund, 501, Some(&payment));
        declined(&play.send(&too_much).await)?;
        let again = play.step(Action::Capture, 500, Some(&payment));
        declined(&play.send(&again).await)?;
    }
    let rest = play.step(Action::Refund, 500, Some(&payment));
    reference(play.send(&rest).await)?;
    play.changed(before, [0, 4_000, 4_000])
}

async fn declined_and_voided(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    if let Some((poor, reason)) = play.bench.poor() {
        let mut step = play.step(Action::Authorise, 4_500, None);
        step.instrument = poor;
        let answer = play.send(&step).await;
        ensure!(
            answer == Answer::Declined(reason),
            "{answer:?}, not {reason:?}"
        );
        if play.bench.knows_again() {
            ensure!(
                play.send(&step).await == answer,
                "declined, and otherwise the next time"
            );
        }
    }
    let payment = play.authorised(700).await?;
    let void = play.step(Action::Void, 700, Some(&payment));
    reference(play.send(&void).await)?;
    if play.bench.is_strict() {
        let capture = play.step(Action::Capture, 700, Some(&payment));
        declined(&play.send(&capture).await)?;
    }
    play.changed(before, [0, 0, 0])
}

async fn the_same_step_again(mut play: Play<'_>) -> Result<()> {
    if !play.bench.knows_again() {
        return Ok(());
    }
    let before = play.bench.books();
    let authorise = play.step(Action::Authorise, 900, None);
    let payment = reference(play.send(&authorise).await)?;
    let capture = play.step(Action::Capture, 900, Some(&payment));
    let refund = play.step(Action::Refund, 300, Some(&payment));
    for step in [&authorise, &capture, &refund] {
        let first = play.send(step).await;
        for _ in 0..3 {
            let again = play.send(step).await;
            ensure!(
                again == first,
                "{:?}: {first:?}, then {again:?}",
                step.action
            );
        }
    }
    play.changed(before, [0, 900, 300])?;
    let payment = play.authorised(100).await?;
    let void = play.step(Action::Void, 100, Some(&payment));
    let first = play.send(&void).await;
    ensure!(
        play.send(&void).await == first,
        "voided, and otherwise the next time"
    );
    play.changed(before, [0, 900, 300])
}

/// Acted on, and the answer never came.
async fn a_lost_answer(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    let step = play.step(Action::Authorise, 1_100, None);
    if !play.bench.disturb(Fault::DropAnswer) {
        return Ok(());
    }
    ensure!(
        play.send(&step).await == Answer::Unknown,
        "nobody can say what became of it"
    );
    let looked_up = play.bench.rail().look_up(&step).await;
    if play.bench.can_look_up() {
        reference(looked_up)?;
    } else {
        ensure!(looked_up == Answer::Unknown, "looked up: {looked_up:?}");
    }
    undone(&play, &step).await?;
    play.changed(before, [0, 0, 0])?;
    // Sent again instead of reversed, it is the same authorisation.
    let step = play.step(Action::Authorise, 1_200, None);
    play.bench.disturb(Fault::DropAnswer);
    ensure!(
        play.send(&step).await == Answer::Unknown,
        "nobody can say what became of it"
    );
    if play.bench.knows_again() {
        reference(sent(&play, &step).await?)?;
        play.changed(before, [1_200, 0, 0])?;
    }
    undone(&play, &step).await?;
    play.changed(before, [0, 0, 0])
}

/// Never acted on.
async fn a_lost_request(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    let step = play.step(Action::Authorise, 1_300, None);
    if !play.bench.disturb(Fault::DropRequest) {
        return Ok(());
    }
    ensure!(
        play.send(&step).await == Answer::Unknown,
        "it may have arrived"
    );
    let looked_up = play.bench.rail().look_up(&step).await;
    ensure!(
        looked_up == Answer::Unknown,
        "it may be on its way: {looked_up:?}"
    );
    play.bench.pass(Duration::from_secs(61));
    let looked_up = play.bench.rail().look_up(&step).await;
    let wanted = if play.bench.can_look_up() {
        Answer::NotSent
    } else {
        Answer::Unknown
    };
    ensure!(looked_up == wanted, "looked up: {looked_up:?}");
    undone(&play, &step).await?;
    play.changed(before, [0, 0, 0])
}

async fn a_lost_answer_to_capture_and_refund(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    let payment = play.authorised(1_500).await?;
    let capture = play.step(Action::Capture, 1_400, Some(&payment));
    if !play.bench.disturb(Fault::DropAnswer) {
        return Ok(());
    }
    ensure!(
        play.send(&capture).await == Answer::Unknown,
        "nobody can say what became of it"
    );
    if play.bench.can_look_up() {
        reference(play.bench.rail().look_up(&capture).await)?;
    }
    reference(sent(&play, &capture).await?)?;
    play.changed(before, [0, 1_400, 0])?;
    let refund = play.step(Action::Refund, 400, Some(&payment));
    play.bench.disturb(Fault::DropAnswer);
    ensure!(
        play.send(&refund).await == Answer::Unknown,
        "nobody can say what became of it"
    );
    if play.bench.can_look_up() {
        reference(play.bench.rail().look_up(&refund).await)?;
        reference(sent(&play, &refund).await?)?;
        play.changed(before, [0, 1_400, 400])
    } else {
        undone(&play, &refund).await?;
        play.changed(before, [0, 1_400, 0])
    }
}

async fn slow_or_garbled(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    for fault in [Fault::Hold, Fault::Garbage] {
        let step = play.step(Action::Authorise, 1_700, None);
        if !play.bench.disturb(fault) {
            continue;
        }
        let watch = Stopwatch::start();
        let answer = play.send(&step).await;
        ensure!(answer == Answer::Unknown, "{fault:?}: {answer:?}");
        ensure!(
            watch.elapsed() < TIMEOUTS,
            "{fault:?}: took {:?}",
            watch.elapsed()
        );
        undone(&play, &step).await?;
        // What came too late for one does not get in the way of the next.
        let next = play.authorised(50).await?;
        let void = play.step(Action::Void, 50, Some(&next));
        reference(play.send(&void).await)?;
    }
    play.changed(before, [0, 0, 0])
}

async fn down(mut play: Play<'_>) -> Result<()> {
    let before = play.bench.books();
    if !play.bench.stand(false)? {
        return Ok(());
    }
    let step = play.step(Action::Authorise, 1_900, None);
    let watch = Stopwatch::start();
    // A connection that was up may take one request with it.
    let mut answer = play.send(&step).await;
    while answer == Answer::Unknown && watch.elapsed() < PATIENCE {
        answer = play.send(&step).await;
    }
    ensure!(answer == Answer::NotSent, "nobody is there: {answer:?}");
    play.bench.stand(true)?;
    let payment = reference(sent(&play, &step).await?)?;
    play.changed(before, [1_900, 0, 0])?;
    let void = play.step(Action::Void, 1_900, Some(&payment));
    reference(play.send(&void).await)?;
    play.changed(before, [0, 0, 0])
}

/// Sends until it is sent: a rail may need a moment to connect again.
async fn sent(play: &Play<'_>, step: &Step) -> Result<Answer> {
    let watch = Stopwatch::start();
    loop {
        match play.send(step).await {
            Answer::NotSent if watch.elapsed() < PATIENCE => tokio::task::yield_now().await,
            answer => return Ok(answer),
        }
    }
}

/// Reverses until it is acknowledged, and once more.
async fn undone(play: &Play<'_>, step: &Step) -> Result<()> {
    let watch = Stopwatch::start();
    loop {
        match play.bench.rail().reverse(step).await {
            Answer::Unknown if watch.elapsed() < PATIENCE => tokio::task::yield_now().await,
            answer => {
                reference(answer)?;
                break;
            }
        }
    }
    reference(play.bench.rail().reverse(step).await)?;
    Ok(())
}
