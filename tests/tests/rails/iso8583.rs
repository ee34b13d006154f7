//! The `iso8583` rail.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use palm_proto::{
    id::PaymentId,
    money::{Currency, Money},
    reason::ReasonCode,
};
use palm_server::{
    clock::ManualClock,
    config::rails::{Encoding, Header, Iso8583Config},
    rail::{
        Action, Answer, Instrument, Rail, Reference, Step, StepId,
        iso8583::{Iso8583, Message, Mti, is_of_a_card},
    },
};
use palm_tests::{
    clock::Stopwatch,
    process::PATIENCE,
    rails::{
        Acquirer, Books, Fault, acquirer,
        contract::{Bench, rail_contract},
        counterparts::{Counterpart, Which, started},
    },
};

use super::{clock, now_us, short_ms};

pub(crate) fn config(address: SocketAddr, folder: &Path) -> Iso8583Config {
    Iso8583Config {
        answer_timeout_ms: short_ms(),
        ..Iso8583Config::new(address, "TILL7", "SHOP1", folder.join("trace.book"))
    }
}

fn instrument(text: &str) -> Instrument {
    Instrument::new(text).expect("a token")
}

fn step(id: u8, action: Action, of: Option<&Reference>, now_us: u64) -> Step {
    Step {
        id: StepId([id; 16]),
        payment: PaymentId::from_bytes([1; 16]),
        action,
        amount: Money::amount(4_500, Currency::KRW).expect("an amount"),
        instrument: instrument(acquirer::GOOD),
        reference: of.cloned(),
        time_us: now_us,
    }
}

fn approved(answer: Answer) -> Result<Reference> {
    match answer {
        Answer::Approved { reference } => Ok(reference),
        answer => anyhow::bail!("{answer:?}"),
    }
}

/// The rail and our own host.
struct OurHost {
    rail: Iso8583,
    host: Acquirer,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl OurHost {
    fn start() -> Result<Self> {
        let (folder, clock, host) = (tempfile::tempdir()?, clock(), Acquirer::start()?);
        let config = config(host.address(), folder.path());
        let ticks: Arc<ManualClock> = Arc::clone(&clock);
        let rail = Iso8583::start(&config, ticks)?;
        Ok(Self {
            rail,
            host,
            clock,
            folder,
        })
    }

    fn step(&self, id: u8) -> Step {
        step(id, Action::Authorise, None, now_us(&self.clock))
    }

    /// The messages about money.
    fn heard(&self) -> Vec<Message> {
        let mut heard = self.host.heard();
        heard.retain(|message| ![Mti::NETWORK, Mti::NETWORK.answer()].contains(&message.mti));
        heard
    }
}

impl Bench for OurHost {
    fn rail(&self) -> &dyn Rail {
        &self.rail
    }
    fn now_us(&self) -> u64 {
        now_us(&self.clock)
    }
    fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }
    fn good(&self) -> Instrument {
        instrument(acquirer::GOOD)
    }
    fn poor(&self) -> Option<(Instrument, ReasonCode)> {
        Some((
            instrument(acquirer::POOR),
            ReasonCode::CardFundsInsufficient,
        ))
    }
    fn disturb(&self, fault: Fault) -> bool {
        self.host.disturb(fault);
        true
    }
    fn books(&self) -> Option<Books> {
        Some(self.host.books())
    }
    fn knows_again(&self) -> bool {
        true
    }
    fn is_strict(&self) -> bool {
        true
    }
    /// The standard has no such message.
    fn can_look_up(&self) -> bool {
        false
    }
    fn stand(&self, is_up: bool) -> Result<bool> {
        if is_up {
            self.host.stage().up()?;
        } else {
            self.host.stage().down();
        }
        Ok(true)
    }
}

#[tokio::test]
async fn our_host_and_the_rail_keep_to_the_contract() -> Result<()> {
    rail_contract(&OurHost::start()?).await
}

#[tokio::test]
async fn no_message_carries_a_field_of_a_card_and_each_is_what_the_standard_says() -> Result<()> {
    let bench = OurHost::start()?;
    let now = now_us(&bench.clock);
    let payment = approved(bench.rail.send(&bench.step(1)).await)?;
    let capture = step(2, Action::Capture, Some(&payment), now);
    let refund = step(3, Action::Refund, Some(&payment), now);
    for step in [&capture, &capture, &refund] {
        approved(bench.rail.send(step).await)?;
    }
    approved(bench.rail.reverse(&refund).await)?;
    let heard = bench.heard();
    let types: Vec<String> = heard
        .iter()
        .map(|message| message.mti.to_string())
        .collect();
    assert_eq!(types, ["0100", "0220", "0221", "0200", "0400"]);
    for message in &heard {
        assert!((1..=128).all(|number| !is_of_a_card(number) || message.field(number).is_none()));
        for number in [3, 4, 7, 11, 12, 13, 22, 37, 41, 42, 48, 49] {
            assert!(
                message.field(number).is_some(),
                "{message:?} without {number}"
            );
        }
    }
    let field = |at: usize, number: u8| heard[at].field(number).unwrap_or_default().to_owned();
    assert_eq!(
        (field(0, 4), field(0, 49)),
        ("000000004500".to_owned(), "410".to_owned())
    );
    assert_eq!(
        (field(0, 7), field(0, 12)),
        ("1125103059".to_owned(), "103059".to_owned())
    );
    // What follows names the authorisation; the reversal names the refund.
    let original = |mti: &str, at| format!("{mti}{}{}{:022}", field(at, 11), field(at, 7), 0);
    assert_eq!(field(1, 90), original("0100", 0));
    assert_eq!(field(3, 90), original("0100", 0));
    assert_eq!(field(4, 90), original("0200", 3));
    assert_eq!(
        (field(1, 38), field(1, 37)),
        ("A12345".to_owned(), field(0, 37))
    );
    // Sent again it is the same, with the type of a repeat; otherwise no number comes twice.
    assert_eq!(field(1, 11), field(2, 11));
    let mut traces: Vec<String> = [0, 1, 3, 4].map(|at| field(at, 11)).to_vec();
    traces.dedup();
    assert_eq!(traces.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_holds_up_nobody_and_answers_find_their_own_requests() -> Result<()> {
    let bench = OurHost::start()?;
    approved(bench.rail.send(&bench.step(1)).await)?;
    bench.host.answer_next_behind();
    let (slow, quick) = (bench.step(2), bench.step(3));
    let (slow, quick) = tokio::join!(bench.rail.send(&slow), bench.rail.send(&quick));
    assert_ne!(approved(slow)?, approved(quick)?);
    let many: Vec<Step> = (10..40).map(|id| bench.step(id)).collect();
    let mut sent = tokio::task::JoinSet::new();
    let rail = Arc::new(bench.rail);
    for step in many {
        let rail = Arc::clone(&rail);
        sent.spawn(async move { rail.send(&step).await });
    }
    for answer in sent.join_all().await {
        approved(answer)?;
    }
    assert_eq!(bench.host.books().held, 33 * 4_500);
    Ok(())
}

#[tokio::test]
async fn after_a_restart_a_step_in_doubt_is_reversed_under_the_number_of_its_first_sending()
-> Result<()> {
    let bench = OurHost::start()?;
    let step = bench.step(1);
    bench.host.disturb(Fault::DropAnswer);
    assert_eq!(bench.rail.send(&step).await, Answer::Unknown);
    assert_eq!(bench.host.books().held, 4_500);
    let config = config(bench.host.address(), bench.folder.path());
    drop(bench.rail);
    let ticks: Arc<ManualClock> = Arc::clone(&bench.clock);
    let rail = Iso8583::start(&config, ticks)?;
    assert_eq!(rail.look_up(&step).await, Answer::Unknown);
    bench.host.disturb(Fault::DropAnswer);
    assert_eq!(
        rail.reverse(&step).await,
        Answer::Unknown,
        "not acknowledged"
    );
    let watch = Stopwatch::start();
    while rail.reverse(&step).await == Answer::Unknown {
        ensure!(watch.elapsed() < PATIENCE, "never acknowledged");
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.host.books(), Books::default());
    let heard = bench.host.heard();
    let of = |mti| heard.iter().find(|message| message.mti == Mti(mti));
    let first = of(0x0100).context("it was sent")?;
    let [reversal, repeat] = [of(0x0400), of(0x0401)].map(|found| found.expect("reversed twice"));
    let data = reversal.field(90).unwrap_or_default();
    let name = [first.field(11), first.field(7)]
        .map(Option::unwrap_or_default)
        .concat();
    assert!(data.starts_with(&format!("0100{name}")), "{data}");
    let mut same = repeat.clone();
    same.mti = reversal.mti;
    assert_eq!(same, *reversal);
    // A step that this rail never sent has not to be reversed by anybody.
    let never = step_never(&bench.clock);
    assert_eq!(rail.look_up(&never).await, Answer::NotSent);
    approved(rail.reverse(&never).await)?;
    // Unless it is from before the book was begun.
    let older = Step {
        time_us: 1,
        ..never
    };
    assert_eq!(rail.reverse(&older).await, Answer::Unknown);
    Ok(())
}

#[tokio::test]
async fn no_trace_of_what_may_still_arrive_is_not_taken_for_undone() -> Result<()> {
    let bench = OurHost::start()?;
    let step = bench.step(1);
    bench.clock.advance(Duration::from_secs(3600));
    bench.host.disturb(Fault::DropRequest);
    assert_eq!(bench.rail.send(&step).await, Answer::Unknown);
    let watch = Stopwatch::start();
    // Until the line is up again and the host has said that it knows nothing of it.
    while !bench
        .heard()
        .iter()
        .any(|message| message.mti.first() == Mti::REVERSAL)
    {
        assert_eq!(bench.rail.reverse(&step).await, Answer::Unknown);
        ensure!(watch.elapsed() < PATIENCE, "never reversed");
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.rail.reverse(&step).await, Answer::Unknown);
    bench.clock.advance(Duration::from_secs(61));
    approved(bench.rail.reverse(&step).await)?;
    Ok(())
}

fn step_never(clock: &ManualClock) -> Step {
    step(99, Action::Authorise, None, now_us(clock))
}

#[tokio::test]
async fn the_rail_signs_on_echoes_an_idle_line_and_signs_off() -> Result<()> {
    let (folder, clock, host) = (tempfile::tempdir()?, clock(), Acquirer::start()?);
    let config = Iso8583Config {
        echo_s: 1,
        ..config(host.address(), folder.path())
    };
    let rail = Iso8583::start(&config, clock)?;
    let network = || -> Vec<String> {
        let heard = host.heard();
        let network = heard.iter().filter(|message| message.mti == Mti::NETWORK);
        network
            .filter_map(|message| message.field(70).map(ToOwned::to_owned))
            .collect()
    };
    let watch = Stopwatch::start();
    while network() != ["001", "301"] {
        ensure!(watch.elapsed() < PATIENCE, "{:?}", network());
        tokio::task::yield_now().await;
    }
    // The host asked for an echo too.
    let echo = Message::new(Mti::NETWORK.answer())
        .with(11, "900001")
        .with(39, "00")
        .with(70, "301");
    while !host.heard().contains(&echo) {
        ensure!(watch.elapsed() < PATIENCE, "{:?}", host.heard());
        tokio::task::yield_now().await;
    }
    drop(rail);
    while network() != ["001", "301", "002"] {
        ensure!(watch.elapsed() < PATIENCE, "{:?}", network());
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// What iso8583sim answers. It remembers nothing, so that what it refuses is only what these say.
const RULES: &str = r#"{"rules": [
    {"match": {"mti": ["0100", "0101"], "fields": {"48": "tok_poor"}}, "respond": "51"},
    {"match": {"mti": ["0100", "0101"], "fields": {"48": "tok_expired"}}, "respond": "54"},
    {"match": {"mti": ["0100", "0101"], "fields": {"48": "tok_close"}}, "action": "close"},
    {"match": {"mti": ["0100", "0101"], "fields": {"48": "tok_drop"}}, "action": "drop"},
    {"match": {"mti": ["0100"], "fields": {"48": "tok_slow"}}, "delay_ms": 2500},
    {"match": {"mti": ["0400"], "fields": {"48": "tok_close"}}, "respond": "91"},
    {"match": {"mti": ["0400"], "fields": {"48": "tok_drop"}}, "action": "drop"},
    {"match": {}}
]}"#;

/// The rail and iso8583sim.
struct Sim {
    rail: Iso8583,
    _there: Counterpart,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

/// A layout, a header and a TPDU, by the names of both sides.
struct Line {
    layout: &'static str,
    encoding: Encoding,
    header: &'static str,
    ours: Header,
    tpdu: Option<&'static str>,
}

const LINES: [Line; 4] = [
    Line {
        layout: "ascii-binary",
        encoding: Encoding::Ascii,
        header: "2b",
        ours: Header::Bytes2,
        tpdu: None,
    },
    Line {
        layout: "ascii-hex",
        encoding: Encoding::AsciiHex,
        header: "4a",
        ours: Header::Digits4,
        tpdu: None,
    },
    Line {
        layout: "bcd",
        encoding: Encoding::Packed,
        header: "2b",
        ours: Header::Bytes2,
        tpdu: Some("6000010000"),
    },
    Line {
        layout: "ascii-binary",
        encoding: Encoding::Ascii,
        header: "4b",
        ours: Header::Bytes4,
        tpdu: Some("6000010000"),
    },
];

impl Sim {
    fn start(line: &Line) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let which = Which::Acquirer {
            rules: RULES,
            layout: line.layout,
            header: line.header,
            tpdu: line.tpdu.unwrap_or("-"),
        };
        let Some(there) = started(which, folder.path())? else {
            return Ok(None);
        };
        let clock = clock();
        let config = Iso8583Config {
            encoding: line.encoding,
            header: line.ours,
            tpdu: line.tpdu.map(ToOwned::to_owned),
            // It packs field 39 with the numbers.
            response_code_packed: true,
            ..config(there.address, folder.path())
        };
        let ticks: Arc<ManualClock> = Arc::clone(&clock);
        Ok(Some(Self {
            rail: Iso8583::start(&config, ticks)?,
            _there: there,
            clock,
            _folder: folder,
        }))
    }

    fn step(&self, id: u8, token: &str) -> Step {
        Step {
            instrument: instrument(token),
            ..step(id, Action::Authorise, None, now_us(&self.clock))
        }
    }
}

impl Bench for Sim {
    fn rail(&self) -> &dyn Rail {
        &self.rail
    }
    fn now_us(&self) -> u64 {
        now_us(&self.clock)
    }
    fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }
    fn good(&self) -> Instrument {
        instrument(acquirer::GOOD)
    }
    fn poor(&self) -> Option<(Instrument, ReasonCode)> {
        Some((instrument("tok_poor"), ReasonCode::CardFundsInsufficient))
    }
    /// Its rules go by what stands in a message, not by its turn.
    fn disturb(&self, _: Fault) -> bool {
        false
    }
    fn books(&self) -> Option<Books> {
        None
    }
    /// It gives the same answer to the same message because it gives it to any.
    fn knows_again(&self) -> bool {
        true
    }
    fn is_strict(&self) -> bool {
        false
    }
    fn can_look_up(&self) -> bool {
        false
    }
    fn stand(&self, _: bool) -> Result<bool> {
        Ok(false)
    }
}

#[tokio::test]
async fn iso8583sim_and_the_rail_keep_to_the_contract_in_every_layout() -> Result<()> {
    for line in &LINES {
        let Some(bench) = Sim::start(line)? else {
            return Ok(());
        };
        rail_contract(&bench).await.with_context(|| line.layout)?;
        let expired = bench.rail.send(&bench.step(200, "tok_expired")).await;
        assert_eq!(expired, Answer::Declined(ReasonCode::CardExpired));
    }
    Ok(())
}

#[tokio::test]
async fn what_iso8583sim_never_answers_is_reversed_until_it_acknowledges() -> Result<()> {
    let Some(bench) = Sim::start(&LINES[0])? else {
        return Ok(());
    };
    for (id, token) in [(1, "tok_close"), (2, "tok_drop"), (3, "tok_slow")] {
        let step = bench.step(id, token);
        assert_eq!(bench.rail.send(&step).await, Answer::Unknown, "{token}");
        assert_eq!(bench.rail.look_up(&step).await, Answer::Unknown, "{token}");
        let mut asked = 0;
        let watch = Stopwatch::start();
        while bench.rail.reverse(&step).await == Answer::Unknown {
            asked += 1;
            ensure!(watch.elapsed() < PATIENCE, "{token}: never acknowledged");
            tokio::task::yield_now().await;
        }
        // The first reversal of these is declined, or not answered; the repeat (0401) is acknowledged.
        assert!((asked > 0) == (token != "tok_slow"), "{token}: {asked}");
    }
    // An answer that comes after its time is nobody's.
    approved(bench.rail.send(&bench.step(4, "tok_good")).await)?;
    Ok(())
}
