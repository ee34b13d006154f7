//! The `stripe` rail.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use palm_proto::{
    id::{CustomerId, PaymentId, RequestId},
    money::{Currency, Money},
    reason::ReasonCode,
};
use palm_server::{
    clock::{Clock, ManualClock, SystemClock},
    config::rails::StripeConfig,
    rail::{
        Action, Answer, Instrument, Rail, Reference, Step, StepId,
        stripe::{CustomerRef, PageStanding, SaveError, Stripe, Webhook, WebhookEvent},
    },
};
use palm_tests::{
    process::PATIENCE,
    rails::{
        Books, Fault, Provider,
        contract::{Bench, rail_contract},
        counterparts::{Counterpart, Which, started},
        provider,
        stage::Stage,
    },
};
use serde_json::{Value, json};

use super::{clock, now_us, short_ms};

/// The rail, with its key in a file of `folder`.
pub(crate) fn rail(
    folder: &Path,
    address: SocketAddr,
    key: &str,
    clock: Arc<dyn Clock>,
) -> Result<Stripe> {
    let path = folder.join("stripe.key");
    let mut file = std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    writeln!(file, "{key}")?;
    let config = StripeConfig {
        base_url: format!("http://{address}"),
        call_timeout_ms: short_ms(),
        ..StripeConfig::new(path)
    };
    Ok(Stripe::new(&config, clock)?)
}

fn instrument(text: &str) -> Instrument {
    Instrument::new(text).expect("a token")
}

fn step(id: u8, action: Action, minor: u64, of: Option<&Reference>, now_us: u64) -> Step {
    Step {
        id: StepId([id; 16]),
        payment: PaymentId::from_bytes([1; 16]),
        action,
        amount: Money::amount(minor, Currency::KRW).expect("an amount"),
        instrument: instrument(provider::GOOD),
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

/// The rail and our own provider.
struct OurProvider {
    rail: Stripe,
    provider: Provider,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl OurProvider {
    fn start() -> Result<Self> {
        let (folder, clock) = (tempfile::tempdir()?, clock());
        let provider = Provider::start(Arc::clone(&clock))?;
        let at = provider.address();
        let rail = rail(
            folder.path(),
            at,
            provider::KEY,
            Arc::<ManualClock>::clone(&clock),
        )?;
        Ok(Self {
            rail,
            provider,
            clock,
            _folder: folder,
        })
    }

    fn step(&self, id: u8, instrument: &str) -> Step {
        let now = now_us(&self.clock);
        Step {
            instrument: super::stripe::instrument(instrument),
            ..step(id, Action::Authorise, 4_500, None, now)
        }
    }
}

impl Bench for OurProvider {
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
        instrument(provider::GOOD)
    }
    fn poor(&self) -> Option<(Instrument, ReasonCode)> {
        Some((
            instrument(provider::POOR),
            ReasonCode::CardFundsInsufficient,
        ))
    }
    fn disturb(&self, fault: Fault) -> bool {
        self.provider.disturb(fault);
        true
    }
    fn books(&self) -> Option<Books> {
        Some(self.provider.books())
    }
    fn knows_again(&self) -> bool {
        true
    }
    fn is_strict(&self) -> bool {
        true
    }
    fn can_look_up(&self) -> bool {
        true
    }
    fn stand(&self, is_up: bool) -> Result<bool> {
        if is_up {
            self.provider.stage().up()?;
        } else {
            self.provider.stage().down();
        }
        Ok(true)
    }
}

#[tokio::test]
async fn our_provider_and_the_rail_keep_to_the_contract() -> Result<()> {
    rail_contract(&OurProvider::start()?).await
}

#[tokio::test]
async fn a_bank_that_wants_its_customer_to_confirm_is_a_decline_that_leaves_nothing_open()
-> Result<()> {
    let bench = OurProvider::start()?;
    let asks = Answer::Declined(ReasonCode::AuthenticationRequired);
    for (id, token) in [(1, provider::ASKS), (2, provider::PAGE)] {
        assert_eq!(
            bench.rail.send(&bench.step(id, token)).await,
            asks,
            "{token}"
        );
        assert_eq!(bench.provider.unconfirmed(), 0, "{token}");
    }
    let unknown = bench.step(3, "cus_good:pm_gone");
    let answer = bench.rail.send(&unknown).await;
    assert_eq!(answer, Answer::Declined(ReasonCode::CardUnknown));
    Ok(())
}

#[tokio::test]
async fn a_step_of_the_day_before_is_looked_up_and_not_done_again() -> Result<()> {
    let bench = OurProvider::start()?;
    let step = bench.step(1, provider::GOOD);
    let first = bench.rail.send(&step).await;
    // Others in between, so that the list has pages.
    for id in 2..9 {
        approved(bench.rail.send(&bench.step(id, provider::GOOD)).await)?;
    }
    bench.clock.advance(Duration::from_secs(30 * 3600));
    assert_eq!(bench.rail.send(&step).await, first);
    assert_eq!(bench.provider.books().held, 8 * 4_500);
    approved(bench.rail.reverse(&step).await)?;
    assert_eq!(bench.provider.books().held, 7 * 4_500);
    // One that the provider never saw is sent.
    let lost = Step {
        time_us: step.time_us,
        ..bench.step(20, provider::GOOD)
    };
    approved(bench.rail.send(&lost).await)?;
    Ok(())
}

#[tokio::test]
async fn what_the_provider_gave_up_is_looked_for_before_it_is_said_to_be_undone() -> Result<()> {
    let bench = OurProvider::start()?;
    let step = bench.step(1, provider::GOOD);
    bench.provider.fail_next();
    for _ in 0..2 {
        assert_eq!(bench.rail.send(&step).await, Answer::Unknown);
        assert_eq!(bench.rail.reverse(&step).await, Answer::Unknown);
    }
    bench.clock.advance(Duration::from_secs(61));
    assert_eq!(bench.rail.look_up(&step).await, Answer::NotSent);
    approved(bench.rail.reverse(&step).await)?;
    assert_eq!(bench.provider.books(), Books::default());
    Ok(())
}

#[tokio::test]
async fn a_step_sent_again_long_after_its_first_time_may_be_on_its_way_again() -> Result<()> {
    let bench = OurProvider::start()?;
    let step = bench.step(1, provider::GOOD);
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(bench.rail.look_up(&step).await, Answer::NotSent);
    bench.provider.disturb(Fault::DropRequest);
    assert_eq!(bench.rail.send(&step).await, Answer::Unknown);
    assert_eq!(bench.rail.look_up(&step).await, Answer::Unknown);
    bench.clock.advance(Duration::from_secs(61));
    assert_eq!(bench.rail.look_up(&step).await, Answer::NotSent);
    Ok(())
}

#[tokio::test]
async fn what_turns_requests_away_at_the_door_is_told_from_what_may_have_acted() -> Result<()> {
    let bench = OurProvider::start()?;
    let folder = tempfile::tempdir()?;
    let at = bench.provider.address();
    let stranger = rail(
        folder.path(),
        at,
        "sk_test_other",
        Arc::<ManualClock>::clone(&bench.clock),
    )?;
    let step = bench.step(1, provider::GOOD);
    assert_eq!(stranger.send(&step).await, Answer::NotSent);
    assert_eq!(stranger.look_up(&step).await, Answer::Unknown);
    // The same id for something else: what the first did has to be found out.
    approved(bench.rail.send(&step).await)?;
    let other = Step {
        amount: Money::amount(4_600, Currency::KRW)?,
        ..step.clone()
    };
    assert_eq!(bench.rail.send(&other).await, Answer::Unknown);
    assert_eq!(bench.provider.books().held, 4_500);
    // Three minor digits, of which the provider takes two.
    let fils = Step {
        amount: Money::amount(4_501, "KWD".parse()?)?,
        ..bench.step(2, provider::GOOD)
    };
    let refused = Answer::Declined(ReasonCode::AmountInvalid);
    assert_eq!(bench.rail.send(&fils).await, refused);
    // A reference of another rail.
    let of = Reference::new("000123.1125103059.632910.-")?;
    let capture = step_of(3, Action::Capture, &of, &bench);
    assert_eq!(
        bench.rail.send(&capture).await,
        Answer::Declined(ReasonCode::RailRefused)
    );
    Ok(())
}

fn step_of(id: u8, action: Action, of: &Reference, bench: &OurProvider) -> Step {
    step(id, action, 4_500, Some(of), now_us(&bench.clock))
}

#[tokio::test]
async fn a_card_is_saved_on_the_provider_s_page_charged_and_forgotten() -> Result<()> {
    let bench = OurProvider::start()?;
    let rail = &bench.rail;
    let ours = CustomerId::from_bytes([7; 16]);
    let since = bench.clock.now();
    let customer = rail.create_customer(ours, since).await?;
    assert_eq!(
        rail.create_customer(ours, since).await?,
        customer,
        "one customer, however often"
    );
    let request = RequestId::from_bytes([1; 16]);
    let page = rail
        .open_page((ours, &customer), request, "https://shop.example/back")
        .await?;
    assert!(page.url.starts_with("https://"));
    assert_eq!(rail.page(&page.session).await?, PageStanding::Open);
    bench.provider.card_is_typed(&page.session);
    let PageStanding::Saved(card) = rail.page(&page.session).await? else {
        anyhow::bail!("a card was saved");
    };
    let closing = rail.close_page(&page.session).await;
    assert_eq!(closing, Err(SaveError::Refused), "it holds a card");
    assert_eq!((card.brand.as_str(), card.last4.as_str()), ("visa", "0005"));
    assert_eq!(card.expires, (12, 2030));
    assert!(card.instrument.as_str().starts_with(customer.as_str()));
    for _ in 0..2 {
        rail.forget_card(&card.instrument).await?;
        rail.delete_customer(&customer).await?;
    }
    assert_eq!(rail.page("../customers").await, Err(SaveError::Refused));
    // The provider learns our customer's id, and nothing about the person.
    let requests = bench.provider.requests();
    let made = requests
        .iter()
        .find(|text| text.starts_with("POST /v1/customers"));
    let form = made
        .and_then(|text| text.split(' ').nth(2))
        .context("a customer was made")?;
    assert!(
        form.starts_with("metadata%5Bopenpalm_customer%5D=customers%2F") && !form.contains('&')
    );
    Ok(())
}

#[tokio::test]
async fn a_customer_made_longer_ago_than_requests_are_remembered_is_found_and_not_made_again()
-> Result<()> {
    let bench = OurProvider::start()?;
    let (rail, since) = (&bench.rail, bench.clock.now());
    let ours = CustomerId::from_bytes([7; 16]);
    let first = rail.create_customer(ours, since).await?;
    for other in 10..15 {
        let other = CustomerId::from_bytes([other; 16]);
        rail.create_customer(other, since).await?;
    }
    bench.clock.advance(Duration::from_secs(30 * 3600));
    assert_eq!(rail.create_customer(ours, since).await?, first);
    assert_eq!(bench.provider.customers().len(), 6);
    Ok(())
}

/// The rail and localstripe.
struct LocalStripe {
    rail: Stripe,
    there: Counterpart,
    clock: Arc<ManualClock>,
    good: Instrument,
    poor: Instrument,
    folder: tempfile::TempDir,
}

pub(crate) const SECRET: &str = "sk_test_local";
/// Test numbers that the API publishes; they belong to nobody. They are typed here as on the hosted page.
const CHARGE_FAILS: &str = "4000000000000341";
const ASKS: &str = "4000002500003155";
const FINE: &str = "4242424242424242";

impl LocalStripe {
    async fn start() -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let Some(there) = started(Which::CardProvider, folder.path())? else {
            return Ok(None);
        };
        let clock = clock();
        let ticks: Arc<ManualClock> = Arc::clone(&clock);
        let rail = rail(folder.path(), there.address, SECRET, ticks)?;
        let customer = rail
            .create_customer(CustomerId::from_bytes([7; 16]), clock.now())
            .await?;
        let (good, poor) = (
            saved(there.address, &customer, FINE)?,
            saved(there.address, &customer, CHARGE_FAILS)?,
        );
        Ok(Some(Self {
            rail,
            there,
            clock,
            good,
            poor,
            folder,
        }))
    }
}

/// What the browser on the hosted page and the page itself do.
pub(crate) fn post(at: SocketAddr, path: &str, body: &Value) -> Result<Value> {
    let response = ureq::post(format!("http://{at}{path}"))
        .header("Authorization", format!("Bearer {SECRET}"))
        .content_type("application/json")
        .send(body.to_string())
        .with_context(|| path.to_owned())?;
    let text = response.into_body().read_to_string()?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn saved(at: SocketAddr, customer: &CustomerRef, number: &str) -> Result<Instrument> {
    let card = json!({"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123"});
    let made = post(
        at,
        "/v1/payment_methods",
        &json!({"type": "card", "card": card}),
    )?;
    let id = made["id"].as_str().context("a payment method has an id")?;
    let to = json!({ "customer": customer.as_str() });
    post(at, &format!("/v1/payment_methods/{id}/attach"), &to)?;
    Ok(Instrument::new(format!("{customer}:{id}"))?)
}

impl Bench for LocalStripe {
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
        self.good.clone()
    }
    fn poor(&self) -> Option<(Instrument, ReasonCode)> {
        Some((self.poor.clone(), ReasonCode::CardDeclined))
    }
    fn disturb(&self, _: Fault) -> bool {
        false
    }
    fn books(&self) -> Option<Books> {
        None
    }
    /// It does not look at the idempotency key.
    fn knows_again(&self) -> bool {
        false
    }
    /// It refunds more than was captured, and captures what was cancelled.
    fn is_strict(&self) -> bool {
        false
    }
    /// It takes no filters on its list of payments.
    fn can_look_up(&self) -> bool {
        false
    }
    fn stand(&self, _: bool) -> Result<bool> {
        Ok(false)
    }
}

#[tokio::test]
async fn localstripe_and_the_rail_keep_to_the_contract() -> Result<()> {
    match LocalStripe::start().await? {
        Some(bench) => rail_contract(&bench).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn localstripe_shows_what_the_api_s_answers_look_like() -> Result<()> {
    let Some(bench) = LocalStripe::start().await? else {
        return Ok(());
    };
    let (rail, at) = (&bench.rail, bench.there.address);
    let customer = rail
        .create_customer(CustomerId::from_bytes([8; 16]), bench.clock.now())
        .await?;
    let asks = saved(at, &customer, ASKS)?;
    let now = bench.now_us();
    let with = |id, instrument: &Instrument| Step {
        instrument: instrument.clone(),
        ..step(id, Action::Authorise, 4_500, None, now)
    };
    // It says `requires_action`; the payment is closed, so that it can no longer be confirmed.
    let answer = rail.send(&with(1, &asks)).await;
    assert_eq!(answer, Answer::Declined(ReasonCode::AuthenticationRequired));

    let cards = rail.cards(&customer).await?;
    assert_eq!(cards.len(), 1);
    assert_eq!(cards[0].instrument, asks);
    assert_eq!(
        (cards[0].brand.as_str(), cards[0].last4.as_str()),
        ("visa", "3155")
    );
    rail.forget_card(&asks).await?;
    assert!(rail.cards(&customer).await?.is_empty());

    // What the payment says is asked of it again: captured, and by how much refunded.
    let payment = approved(rail.send(&with(2, &bench.good)).await)?;
    let capture = step(3, Action::Capture, 4_500, Some(&payment), now);
    let refund = step(4, Action::Refund, 500, Some(&payment), now);
    let never = step(5, Action::Refund, 500, Some(&payment), now);
    for step in [&capture, &refund] {
        approved(rail.send(step).await)?;
        approved(rail.look_up(step).await)?;
    }
    bench.pass(Duration::from_secs(61));
    assert_eq!(rail.look_up(&never).await, Answer::NotSent);
    approved(rail.reverse(&never).await)?;
    let stands = rail.reverse(&refund).await;
    assert_eq!(
        stands,
        Answer::Declined(ReasonCode::RailRefused),
        "a refund cannot be undone"
    );
    let gone = rail
        .send(&step(6, Action::Void, 4_500, Some(&payment), now))
        .await;
    assert_eq!(gone, Answer::Declined(ReasonCode::HoldGone));
    rail.delete_customer(&customer).await?;
    Ok(())
}

/// What came to a webhook's endpoint: the signature and the body.
type Signed = (String, Vec<u8>);

fn webhook_endpoint() -> Result<(Stage, mpsc::Receiver<Signed>)> {
    let (heard, requests) = mpsc::sync_channel(64);
    let stage = Stage::start(move |stream| {
        let Ok(mut out) = stream.try_clone() else {
            return;
        };
        let mut lines = BufReader::new(stream);
        let (mut signature, mut length) = (String::new(), 0);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 2) {
            match line.trim_end().split_once(": ") {
                Some(("Stripe-Signature", value)) => value.clone_into(&mut signature),
                Some(("Content-Length", value)) => length = value.parse().unwrap_or(0),
                _ => {}
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).is_ok() {
            drop(heard.send((signature, body)));
            drop(out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        }
    })?;
    Ok((stage, requests))
}

#[tokio::test]
async fn localstripe_s_signed_messages_are_believed_and_changed_ones_are_not() -> Result<()> {
    let Some(bench) = LocalStripe::start().await? else {
        return Ok(());
    };
    let (endpoint, requests) = webhook_endpoint()?;
    let url = format!("http://{}/", endpoint.address());
    let wanted =
        json!({"url": url, "secret": "whsec_local", "events": ["payment_intent.succeeded"]});
    post(bench.there.address, "/_config/webhooks/ours", &wanted)?;
    let now = bench.now_us();
    let authorise = Step {
        instrument: bench.good.clone(),
        ..step(1, Action::Authorise, 4_500, None, now)
    };
    let payment = approved(bench.rail.send(&authorise).await)?;
    let capture = step(2, Action::Capture, 4_500, Some(&payment), now);
    approved(bench.rail.send(&capture).await)?;
    let (signature, body) = requests
        .recv_timeout(PATIENCE)
        .context("a message was to come")?;
    let secret = bench.folder.path().join("whsec.key");
    let mut file = std::fs::File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&secret)?;
    file.write_all(b"whsec_local\n")?;
    let webhook = Webhook::read(&secret)?;
    let now = SystemClock.now();
    let event = webhook.open(&signature, &body, now)?;
    assert_eq!(event, WebhookEvent::Payment(capture.payment));
    let mut changed = body.clone();
    changed.push(b' ');
    ensure!(webhook.open(&signature, &changed, now).is_err());
    ensure!(
        Webhook::new(b"whsec_other")
            .open(&signature, &body, now)
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn stripe_stateful_mock_refunds_a_step_once_and_no_more_than_was_charged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(there) = started(Which::StatefulCardProvider, folder.path())? else {
        return Ok(());
    };
    let clock = clock();
    let rail = rail(
        folder.path(),
        there.address,
        SECRET,
        Arc::<ManualClock>::clone(&clock),
    )?;
    // A payment from before PaymentIntents, which it does not know.
    let response = ureq::post(format!("http://{}/v1/charges", there.address))
        .header("Authorization", format!("Bearer {SECRET}"))
        .send_form([
            ("amount", "4500"),
            ("currency", "usd"),
            ("source", "tok_visa"),
        ])?;
    let charge: Value = serde_json::from_str(&response.into_body().read_to_string()?)?;
    let charge = Reference::new(charge["id"].as_str().context("a charge has an id")?)?;
    let now = now_us(&clock);
    let dollars = |id, cents| Step {
        amount: Money::amount(cents, "USD".parse().expect("a currency")).expect("an amount"),
        ..step(id, Action::Refund, 1, Some(&charge), now)
    };
    // The same id again is the same refund; with another amount it is told.
    for _ in 0..3 {
        assert_eq!(approved(rail.send(&dollars(1, 2_000)).await)?, charge);
    }
    assert_eq!(rail.send(&dollars(1, 2_500)).await, Answer::Unknown);
    assert_eq!(approved(rail.look_up(&dollars(1, 2_000)).await)?, charge);
    let too_much = rail.send(&dollars(2, 2_501)).await;
    assert_eq!(too_much, Answer::Declined(ReasonCode::RailRefused));
    approved(rail.send(&dollars(3, 2_500)).await)?;
    clock.advance(Duration::from_secs(61));
    assert_eq!(rail.look_up(&dollars(2, 2_501)).await, Answer::NotSent);
    assert_eq!(rail.look_up(&dollars(4, 1)).await, Answer::NotSent);
    Ok(())
}
