//! Cards from the provider's page to a payment by palm and to their end, through palmd, palmctl and the provider's
//! messages, all as processes of their own.

use std::{net::SocketAddr, os::unix::fs::OpenOptionsExt, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use palm_proto::{
    fault::reason_of,
    id::CustomerId,
    money::{Currency, Money},
    reason::ReasonCode,
    v1::{
        self, authorise_payment_response::Outcome, customer_service_client::CustomerServiceClient,
    },
};
use palm_server::{
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    rail::stripe::{BODY_MAX, TOLERANCE_S, Webhook},
};
use palm_tests::{
    Caller, Shop,
    caller::Setup,
    clock::Stopwatch,
    palms,
    process::PATIENCE,
    rails::{
        Fault, Provider,
        counterparts::{Which, started},
        provider,
    },
};
use serde_json::{Value, json};
use tonic::Status;

use super::stripe::post;

const SECRET: &str = "whsec_test";
const TEST_CARDS: [(&str, &str); 2] = [
    ("4242424242424242", "approved"),
    ("4000000000000341", "CARD_DECLINED"),
];

/// A shop whose customers save cards at a provider, with one customer enrolled.
struct Counter {
    shop: Shop,
    till: Caller,
    operator: Caller,
    setup: Setup,
    customer: CustomerId,
    webhooks: SocketAddr,
}

fn secret_file(shop: &Shop, name: &str, text: &str) -> Result<()> {
    use std::io::Write;
    let file = std::fs::File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(shop.deployment().join(name));
    Ok(writeln!(file?, "{text}")?)
}

impl Counter {
    fn at(provider: SocketAddr, key: &str) -> Result<Self> {
        let mut shop = Shop::open()?;
        secret_file(&shop, "stripe.key", key)?;
        secret_file(&shop, "whsec.key", SECRET)?;
        shop.configure(&format!(
            "[rails.stripe]\nkey = \"stripe.key\"\nbase_url = \"http://{provider}\"\n\
             call_timeout_ms = 5000\nreturn_url = \"https://shop.example/thanks\"\n\
             webhook_secret = \"whsec.key\"\nwebhook_address = \"127.0.0.1:0\"\n"
        ))?;
        let webhooks = shop.webhooks()?;
        shop.enrol_till("counter-1")?;
        let (till, operator) = (shop.caller("counter-1")?, shop.operator()?);
        let setup = till.setup()?;
        let customer = enrolled(&till, &setup)?;
        Ok(Self {
            shop,
            till,
            operator,
            setup,
            customer,
            webhooks,
        })
    }

    fn ours() -> Result<(Provider, Self)> {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let provider = Provider::start(clock)?;
        let counter = Self::at(provider.address(), provider::KEY)?;
        Ok((provider, counter))
    }

    fn name(&self) -> String {
        self.customer.to_string()
    }

    fn card(&self, what: &str, of: &str) -> Result<Value> {
        self.shop.ctl(&["customer", "card", what, of])
    }

    /// The customer's palm at the till: how it was answered.
    fn pay(&self, minor: u64) -> Result<String> {
        let amount = Money::amount(minor, Currency::KRW)?;
        let palm = palms::template(7, 20)?;
        let request = palms::payment(&self.setup, &palm, palms::payment_id(), amount)?;
        Ok(match self.till.authorise(request) {
            Ok(answer) => match answer.outcome {
                Some(Outcome::Approved(_)) => "approved".to_owned(),
                Some(Outcome::Declined(declined)) => declined.reason().as_str_name().to_owned(),
                other => format!("{other:?}"),
            },
            Err(status) => refused(&status),
        })
    }

    /// A message as the provider signs it: the status that it is answered with.
    fn tell(&self, kind: &str, metadata: &Value) -> Result<u16> {
        let body = message(kind, metadata);
        let header = signed(&body, SystemClock.now());
        deliver(self.webhooks, &header, body.into_bytes())
    }

    /// A page on which a card is saved; gives its name.
    fn saved(&self, provider: &Provider) -> Result<String> {
        let page = self.card("open", &self.name())?;
        provider.card_is_typed(session(&page)?);
        let name = text(&page, "name")?.to_owned();
        let saved = self.card("check", &name)?;
        ensure!(saved["state"] == "SAVED", "{saved}");
        Ok(name)
    }
}

fn enrolled(till: &Caller, setup: &Setup) -> Result<CustomerId> {
    let consent = v1::Consent {
        notice_version: "2026-11".to_owned(),
        language: "en".to_owned(),
        grant_time: None,
    };
    let customer = till.create_customer(v1::CreateCustomerRequest {
        request_id: palms::request_id().to_string(),
        display_name: "Seven".to_owned(),
        consent: Some(consent),
    })?;
    let customer = customer.name.parse()?;
    let samples = (0..3)
        .map(|n| palms::template(7, n))
        .collect::<Result<Vec<_>>>()?;
    let answer = till.enrol(palms::enrolment(setup, customer, &samples)?)?;
    let is_enrolled = matches!(
        answer.outcome,
        Some(v1::enrol_response::Outcome::Enrolled(_))
    );
    ensure!(is_enrolled, "{answer:?}");
    Ok(customer)
}

fn text<'a>(row: &'a Value, column: &str) -> Result<&'a str> {
    row[column]
        .as_str()
        .with_context(|| format!("{column}: {row}"))
}

/// The provider's own name of a page is in its address.
fn session(page: &Value) -> Result<&str> {
    let url = text(page, "url")?;
    url.rsplit('/').next().context("an address has a path")
}

fn refused(status: &Status) -> String {
    reason_of(status).map_or_else(
        || format!("{status:?}"),
        |reason| reason.as_str().to_owned(),
    )
}

fn message(kind: &str, metadata: &Value) -> String {
    let object = json!({"id": "x_1", "metadata": metadata});
    json!({"id": "evt_1", "type": kind, "data": {"object": object}}).to_string()
}

fn signed(body: &str, now: Timestamp) -> String {
    Webhook::new(SECRET.as_bytes()).sign(body.as_bytes(), now)
}

fn deliver(at: SocketAddr, header: &str, body: Vec<u8>) -> Result<u16> {
    let agent: ureq::Agent = ureq::config::Config::builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let response = agent
        .post(format!("http://{at}/stripe"))
        .header("Stripe-Signature", header)
        .content_type("application/json")
        .send(&body[..])?;
    Ok(response.status().as_u16())
}

/// Looks again until it is so.
fn wait(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let watch = Stopwatch::start();
    // Nothing comes this way: between two looks other programs get the processor.
    let (_sender, nothing) = std::sync::mpsc::channel::<()>();
    while !is_so()? {
        let left = watch.left_of(PATIENCE);
        ensure!(!left.is_zero(), "{what}: not within {PATIENCE:?}");
        nothing
            .recv_timeout(Duration::from_millis(50))
            .unwrap_or_default();
    }
    Ok(())
}

#[test]
fn a_card_is_saved_on_the_page_charged_by_palm_and_forgotten() -> Result<()> {
    let (provider, counter) = Counter::ours()?;
    let request = palms::request_id().to_string();
    let open = [
        "customer",
        "card",
        "open",
        &counter.name(),
        "--request-id",
        &request,
    ];
    let page = counter.shop.ctl(&open)?;
    assert_eq!(
        counter.shop.ctl(&open)?,
        page,
        "the same request, the same page"
    );
    assert_eq!(page["state"], "OPEN");
    let name = text(&page, "name")?;
    assert_eq!(counter.card("check", name)?["state"], "OPEN");
    assert_eq!(
        counter.pay(4_500)?,
        "INSUFFICIENT_FUNDS",
        "from the wallet as yet"
    );

    provider.card_is_typed(session(&page)?);
    for _ in 0..2 {
        let saved = counter.card("check", name)?;
        let told = ["state", "brand", "last4", "card_expires"].map(|column| &saved[column]);
        assert_eq!(told, ["SAVED", "visa", "0005", "2030-12"], "{saved}");
    }
    assert_eq!(counter.pay(4_500)?, "approved");
    assert_eq!(provider.books().captured, 4_500);

    for _ in 0..2 {
        let forgotten = counter.card("forget", &counter.name())?;
        assert_eq!(forgotten["confirmed"], true);
        assert_eq!(provider.cards(), 0);
    }
    assert_eq!(counter.card("check", name)?["state"], "EXPIRED");
    assert_eq!(counter.pay(4_500)?, "INSUFFICIENT_FUNDS");
    Ok(())
}

#[test]
fn a_newer_page_closes_the_one_before_and_a_newer_card_the_one_before() -> Result<()> {
    let (provider, counter) = Counter::ours()?;
    let first = counter.card("open", &counter.name())?;
    let second = counter.card("open", &counter.name())?;
    provider.card_is_typed(session(&first)?);
    assert_eq!(provider.cards(), 0, "the first is closed");
    assert_eq!(
        counter.card("check", text(&first, "name")?)?["state"],
        "EXPIRED"
    );
    provider.card_is_typed(session(&second)?);
    // A card that was typed on a page before the next is opened is kept.
    let third = counter.card("open", &counter.name())?;
    assert_eq!(counter.pay(1_000)?, "approved");
    provider.card_is_typed(session(&third)?);
    assert_eq!(provider.cards(), 2);
    assert_eq!(
        counter.card("check", text(&third, "name")?)?["state"],
        "SAVED"
    );
    wait("the card before is forgotten", || Ok(provider.cards() == 1))?;
    assert_eq!(counter.pay(1_000)?, "approved");
    assert_eq!(
        provider.customers(),
        [counter.name()],
        "one customer for all pages"
    );
    Ok(())
}

#[test]
fn erasure_goes_on_until_the_provider_has_forgotten_too() -> Result<()> {
    let (provider, mut counter) = Counter::ours()?;
    counter.saved(&provider)?;
    provider.stage().down();
    counter.shop.ctl(&["customer", "delete", &counter.name()])?;
    assert_eq!(provider.customers(), [counter.name()]);
    // What is to be done is on disk: neither side needs to have been there all the time.
    counter.shop.kill_palmd()?;
    provider.stage().up()?;
    counter.shop.start_palmd()?;
    wait("the customer is deleted", || {
        Ok(provider.customers().is_empty())
    })?;
    assert_eq!(provider.cards(), 0);
    Ok(())
}

#[test]
fn an_opening_that_was_cut_short_is_finished_by_the_same_request_and_ends_with_its_customer()
-> Result<()> {
    let (provider, counter) = Counter::ours()?;
    let request = palms::request_id().to_string();
    let open = [
        "customer",
        "card",
        "open",
        &counter.name(),
        "--request-id",
        &request,
    ];
    // The customer is made there, and we do not hear of it.
    provider.disturb(Fault::DropAnswer);
    assert!(counter.shop.ctl(&open).is_err());
    assert_eq!(provider.customers().len(), 1);
    // The page is made there, and we do not hear of it.
    let other = palms::request_id().to_string();
    let other = [
        "customer",
        "card",
        "open",
        &counter.name(),
        "--request-id",
        &other,
    ];
    let page = counter.shop.ctl(&other)?;
    assert_eq!(page["state"], "OPEN");
    assert_eq!(provider.customers().len(), 1, "made once");
    let gone = counter.shop.ctl(&open)?;
    assert_eq!(gone["state"], "EXPIRED", "a newer one took its place");
    counter.shop.ctl(&["customer", "delete", &counter.name()])?;
    wait("the customer is deleted", || {
        Ok(provider.customers().is_empty())
    })?;

    // Erased while nobody knows whether the provider has made them.
    let late = enrolled(&counter.till, &counter.setup)?.to_string();
    provider.disturb(Fault::DropAnswer);
    assert!(counter.card("open", &late).is_err());
    assert_eq!(provider.customers().len(), 1);
    counter.shop.ctl(&["customer", "delete", &late])?;
    wait("the customer is deleted", || {
        Ok(provider.customers().is_empty())
    })
}

#[test]
fn messages_are_taken_when_they_are_signed_now_and_change_nothing_twice() -> Result<()> {
    let (provider, counter) = Counter::ours()?;
    let page = counter.card("open", &counter.name())?;
    provider.card_is_typed(session(&page)?);
    let ours = json!({"openpalm_customer": counter.name()});
    let body = message("checkout.session.completed", &ours);
    let now = SystemClock.now();
    let before = |seconds: u64| Timestamp::from_micros(now.micros() - seconds * 1_000_000);
    let right = signed(&body, now);
    let other = Webhook::new(b"whsec_other").sign(body.as_bytes(), now);
    let old = signed(&body, before(TOLERANCE_S + 60));
    let asked = provider.requests().len();
    for header in ["", "t=1,v1=00", &other, &old] {
        let status = deliver(counter.webhooks, header, body.clone().into_bytes())?;
        assert_eq!(status, 400, "{header}");
    }
    let changed = body.replace("evt_1", "evt_2").into_bytes();
    assert_eq!(deliver(counter.webhooks, &right, changed)?, 400);
    let long = "x".repeat(BODY_MAX + 1);
    let header = signed(&long, now);
    assert_eq!(deliver(counter.webhooks, &header, long.into_bytes())?, 413);
    assert_eq!(provider.requests().len(), asked, "nothing was looked up");
    assert_eq!(
        counter.pay(4_500)?,
        "INSUFFICIENT_FUNDS",
        "and nothing saved"
    );

    // A replay finds the card there.
    for _ in 0..3 {
        let status = deliver(counter.webhooks, &right, body.clone().into_bytes())?;
        assert_eq!(status, 204);
    }
    assert_eq!(counter.pay(4_500)?, "approved");
    assert_eq!(provider.books().captured, 4_500);
    for (path, is_post, status) in [("/", true, 404), ("/stripe", false, 405)] {
        let url = format!("http://{}{path}", counter.webhooks);
        let answer = if is_post {
            ureq::post(url).send("")
        } else {
            ureq::get(url).call()
        };
        let refused = matches!(answer, Err(ureq::Error::StatusCode(code)) if code == status);
        assert!(refused, "{path}");
    }
    // Others' pages and payments in the same account, and people who are gone.
    let nobody = json!({"openpalm_customer": CustomerId::from_bytes([9; 16]).to_string()});
    assert_eq!(counter.tell("checkout.session.completed", &nobody)?, 204);
    assert_eq!(counter.tell("payment_intent.succeeded", &json!({}))?, 204);
    Ok(())
}

#[test]
fn a_message_about_a_payment_in_doubt_has_it_looked_up_and_is_not_believed() -> Result<()> {
    let (provider, counter) = Counter::ours()?;
    counter.saved(&provider)?;
    provider.disturb(Fault::DropAnswer);
    assert_eq!(counter.pay(4_500)?, "OUTCOME_UNKNOWN");
    let state = || Ok::<_, anyhow::Error>(counter.operator.payments()?[0].clone());
    let ours = json!({"openpalm_payment": state()?.name});
    // The provider is away: it is to send the message again.
    provider.stage().down();
    assert_eq!(
        counter.tell("payment_intent.amount_capturable_updated", &ours)?,
        503
    );
    assert_eq!(state()?.state(), v1::payment::State::OutcomeUnknown);
    provider.stage().up()?;
    // It lies, and what is looked up is true.
    for _ in 0..2 {
        assert_eq!(counter.tell("payment_intent.canceled", &ours)?, 204);
        assert_eq!(state()?.state(), v1::payment::State::Captured);
    }
    let books = provider.books();
    assert_eq!((books.captured, books.held), (4_500, 0));
    assert_eq!(counter.tell("refund.failed", &ours)?, 204);
    assert!(counter.operator.audit()?.violations.is_empty());
    Ok(())
}

/// What a till asks, as `CustomerService` answers it.
struct Desk<'a>(&'a Caller);

impl Desk<'_> {
    fn open(&self, customer: CustomerId, pin: Option<&str>) -> Result<v1::CardPage, Status> {
        let request = v1::OpenCardPageRequest {
            request_id: palms::request_id().to_string(),
            customer: customer.to_string(),
            current_pin: pin.map(ToOwned::to_owned),
        };
        let mut client = CustomerServiceClient::new(self.0.channel());
        let answer = self.0.runtime().block_on(client.open_card_page(request))?;
        Ok(answer.into_inner())
    }

    fn check(&self, name: &str) -> Result<v1::CardPage, Status> {
        let name = name.to_owned();
        let mut client = CustomerServiceClient::new(self.0.channel());
        let call = client.get_card_page(v1::GetCardPageRequest { name });
        Ok(self.0.runtime().block_on(call)?.into_inner())
    }

    fn forget(&self, customer: CustomerId, pin: Option<&str>) -> Result<bool, Status> {
        let request = v1::ForgetCardRequest {
            customer: customer.to_string(),
            current_pin: pin.map(ToOwned::to_owned),
        };
        let mut client = CustomerServiceClient::new(self.0.channel());
        let answer = self.0.runtime().block_on(client.forget_card(request))?;
        Ok(answer.into_inner().confirmed)
    }

    fn set_pin(&self, customer: CustomerId, pin: &str) -> Result<(), Status> {
        let request = v1::UpdateSafeguardsRequest {
            name: palm_proto::id::safeguards_name(customer),
            pin: Some(pin.to_owned()),
            ..v1::UpdateSafeguardsRequest::default()
        };
        let mut client = CustomerServiceClient::new(self.0.channel());
        let call = client.update_safeguards(request);
        self.0.runtime().block_on(call).map(drop)
    }
}

fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> Option<ReasonCode> {
    reason_of(&answer.expect_err("a refusal"))
}

#[test]
fn a_till_saves_a_first_card_and_needs_the_pin_for_anything_after_it() -> Result<()> {
    let (provider, counter) = Counter::ours()?;
    let (customer, kiosk) = (counter.customer, Desk(&counter.till));
    let page = kiosk.open(customer, None)?;
    provider.card_is_typed(page.url.rsplit('/').next().context("a path")?);
    assert_eq!(
        kiosk.check(&page.name)?.state(),
        v1::card_page::State::Saved
    );
    counter.shop.enrol_till("counter-2")?;
    let second = counter.shop.caller("counter-2")?;
    let denied = Some(ReasonCode::PermissionDenied);
    assert_eq!(
        reason(Desk(&second).check(&page.name)),
        denied,
        "another till's"
    );
    assert_eq!(
        reason(kiosk.open(customer, None)),
        denied,
        "there is a card"
    );
    assert_eq!(reason(kiosk.forget(customer, None)), denied);
    kiosk.set_pin(customer, "2468")?;
    let wrong = Some(ReasonCode::FactorWrong);
    assert_eq!(reason(kiosk.open(customer, None)), wrong);
    assert_eq!(reason(kiosk.forget(customer, Some("1357"))), wrong);
    let second = kiosk.open(customer, Some("2468"))?;
    assert_eq!(second.state(), v1::card_page::State::Open);
    assert!(kiosk.forget(customer, Some("2468"))?);
    let operator = Desk(&counter.operator);
    assert_eq!(
        operator.check(&second.name)?.state(),
        v1::card_page::State::Open
    );
    let nothing = format!("{customer}/cardPages/{}", palms::request_id());
    assert_eq!(reason(operator.check(&nothing)), Some(ReasonCode::NotFound));
    Ok(())
}

#[test]
fn a_shop_without_a_page_says_so_by_name() -> Result<()> {
    let shop = Shop::open()?;
    let operator = shop.operator()?;
    let nobody = CustomerId::from_bytes([1; 16]);
    let answer = Desk(&operator).open(nobody, None);
    assert_eq!(reason(answer), Some(ReasonCode::NoCardPage));
    Ok(())
}

/// The customer, page and token stay out of what is stored and logged in the clear; so does any card number.
#[test]
fn no_card_number_is_taken_anywhere_and_none_is_logged() -> Result<()> {
    let (provider, mut counter) = Counter::ours()?;
    let number = "4242424242424242";
    let name = counter.name();
    let hidden = format!("cus_1:{number}");
    for token in [number, "4242-4242-4242-4242", &hidden] {
        let refused = counter.shop.ctl(&["customer", "instrument", &name, token]);
        let said = format!("{:#}", refused.expect_err("a refusal"));
        assert!(
            said.contains("card number") && !said.contains(number),
            "{said}"
        );
    }
    let desk = Desk(&counter.operator);
    let mut client = CustomerServiceClient::new(counter.operator.channel());
    let request = v1::OpenCardPageRequest {
        request_id: number.to_owned(),
        customer: number.to_owned(),
        current_pin: None,
    };
    let opened = counter
        .operator
        .runtime()
        .block_on(client.open_card_page(request));
    assert_eq!(reason(opened), Some(ReasonCode::Malformed));
    assert_eq!(
        reason(desk.check(&format!("{name}/cardPages/{number}"))),
        Some(ReasonCode::Malformed)
    );
    let ours = json!({"openpalm_customer": number, "openpalm_payment": number});
    for kind in ["checkout.session.completed", "payment_intent.succeeded"] {
        assert_eq!(counter.tell(kind, &ours)?, 204);
    }
    assert_eq!(deliver(counter.webhooks, number, number.into())?, 400);
    counter.saved(&provider)?;
    counter.shop.stop_palmd()?;
    let log = std::fs::read_to_string(counter.shop.folder().join("palmd.log"))?;
    let stored = below(&counter.shop.deployment().join("store"))?;
    let is_there = |piece: &str| {
        let piece = piece.as_bytes();
        stored.windows(piece.len()).any(|window| window == piece)
    };
    assert!(
        is_there("Malformed") || !stored.is_empty(),
        "the store was found"
    );
    for piece in [number, "cus_0", "pm_0", "cs_test_", "pages.example"] {
        assert!(!log.contains(piece), "{piece} was logged");
        assert!(!is_there(piece), "{piece} is stored in the clear");
    }
    Ok(())
}

fn below(folder: &std::path::Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        all.extend(if path.is_dir() {
            below(&path)?
        } else {
            std::fs::read(path)?
        });
    }
    Ok(all)
}

/// localstripe, with pages of ours over its own customers, cards, payments and messages.
#[test]
fn localstripe_saves_charges_declines_forgets_and_erases() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(there) = started(Which::CardProvider, folder.path())? else {
        return Ok(());
    };
    let mut counter = Counter::at(there.address, super::stripe::SECRET)?;
    let hook = json!({"url": format!("http://{}/stripe", counter.webhooks), "secret": SECRET});
    post(there.address, "/_config/webhooks/palmd", &hook)?;
    for (number, outcome) in TEST_CARDS {
        let page = counter.card("open", &counter.name())?;
        let card = json!({"number": number, "exp_month": 12, "exp_year": 2031, "cvc": "123"});
        let path = format!("/v1/checkout/sessions/{}/_type", session(&page)?);
        post(there.address, &path, &json!({ "card": card }))?;
        // It tells us by itself, signed in its own way.
        let told = "the card provider told how it went with a page";
        let log = counter.shop.folder().join("palmd.log");
        let before = outcome != "approved";
        wait(told, || {
            let count = std::fs::read_to_string(&log)?.matches(told).count();
            Ok(count == 1 + usize::from(before))
        })?;
        assert_eq!(counter.pay(4_500)?, outcome);
        let saved = counter.card("check", text(&page, "name")?)?;
        let told = ["state", "last4", "card_expires"].map(|column| &saved[column]);
        assert_eq!(told, ["SAVED", &number[12..], "2031-12"]);
    }
    let forgotten = counter.card("forget", &counter.name())?;
    assert_eq!(forgotten["confirmed"], true);
    assert_eq!(counter.pay(4_500)?, "INSUFFICIENT_FUNDS");
    let listed = get(there.address, "/v1/customers")?;
    assert_eq!(
        listed["data"][0]["metadata"]["openpalm_customer"],
        counter.name()
    );
    counter.shop.ctl(&["customer", "delete", &counter.name()])?;
    wait("the customer is deleted", || {
        let listed = get(there.address, "/v1/customers")?;
        Ok(listed["data"].as_array().is_some_and(Vec::is_empty))
    })?;
    counter.shop.stop_palmd()?;
    Ok(())
}

fn get(at: SocketAddr, path: &str) -> Result<Value> {
    let response = ureq::get(format!("http://{at}{path}"))
        .header("Authorization", format!("Bearer {}", super::stripe::SECRET))
        .call()?;
    let text = response.into_body().read_to_string()?;
    Ok(serde_json::from_str(&text)?)
}
