//! No card number enters a rail, and nothing logs one.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use palm_proto::{
    id::{CustomerId, PaymentId, RequestId},
    money::{Currency, Money},
};
use palm_server::{
    clock::{Clock, ManualClock},
    rail::{
        Action, Answer, Instrument, Rail, Reference, Step, StepId, TokenError,
        iso8583::{Iso8583, Message, Mti},
        stripe::{CustomerRef, SaveError},
    },
};
use palm_tests::rails::{Acquirer, Fault, Provider, acquirer, provider};
use tracing::{Level, subscriber::DefaultGuard};

use super::{clock, now_us};

/// Test numbers of card schemes, which belong to nobody, as people and programs write them.
const NUMBERS: [&str; 5] = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "5555-5555-5555-4444",
    "378282246310005",
    "card=6011111111111117",
];

/// Everything that is logged on this thread, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Ok(mut log) = self.0.lock() {
            log.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || lines.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().map(|log| log.clone()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn a_card_number_is_no_instrument_no_reference_and_no_customer() {
    for number in NUMBERS {
        assert_eq!(
            Instrument::new(number),
            Err(TokenError::CardNumber),
            "{number}"
        );
        assert_eq!(
            Reference::new(number),
            Err(TokenError::CardNumber),
            "{number}"
        );
        assert_eq!(
            CustomerRef::new(number),
            Err(TokenError::CardNumber),
            "{number}"
        );
        let hidden = format!("cus_1:{number}");
        assert_eq!(
            Instrument::new(hidden),
            Err(TokenError::CardNumber),
            "{number}"
        );
        // What the refusal says does not repeat it.
        let said = format!("{:?} {}", TokenError::CardNumber, TokenError::CardNumber);
        assert!(!said.contains(number));
    }
}

#[tokio::test]
async fn a_card_number_in_any_text_for_the_provider_is_refused_before_anything_is_sent()
-> Result<()> {
    let (folder, clock) = (tempfile::tempdir()?, clock());
    let provider = Provider::start(Arc::clone(&clock))?;
    let (log, _logging) = Log::begin();
    let ticks: Arc<ManualClock> = Arc::clone(&clock);
    let rail = super::stripe::rail(folder.path(), provider.address(), provider::KEY, ticks)?;
    let ours = CustomerId::from_bytes([7; 16]);
    let customer = rail.create_customer(ours, clock.now()).await?;
    let asked = provider.requests().len();
    for number in NUMBERS {
        let refused = Err(SaveError::Token(TokenError::CardNumber));
        let url = format!("https://shop.example/?back={number}");
        let request = RequestId::from_bytes([1; 16]);
        let opened = rail.open_page((ours, &customer), request, &url).await;
        assert_eq!(opened, refused);
    }
    assert_eq!(provider.requests().len(), asked, "nothing was sent");
    for number in NUMBERS {
        assert!(!log.text().contains(number), "{number} was logged");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_logs_a_token_a_key_or_what_a_host_sends_of_a_card() -> Result<()> {
    let (log, _logging) = Log::begin();
    let (folder, clock) = (tempfile::tempdir()?, clock());
    let provider = Provider::start(Arc::clone(&clock))?;
    let ticks: Arc<ManualClock> = Arc::clone(&clock);
    let stripe = super::stripe::rail(folder.path(), provider.address(), provider::KEY, ticks)?;
    let host = Acquirer::start()?;
    let config = super::iso8583::config(host.address(), folder.path());
    let ticks: Arc<ManualClock> = Arc::clone(&clock);
    let iso8583 = Iso8583::start(&config, ticks)?;
    let rails: [(&dyn Rail, &str); 2] = [(&stripe, provider::GOOD), (&iso8583, acquirer::GOOD)];
    for (rail, token) in rails {
        // Every way in which something is logged: refused, garbled, lost, turned away.
        for (id, fault) in [
            (1, Fault::Garbage),
            (2, Fault::DropAnswer),
            (3, Fault::DropRequest),
        ] {
            provider.disturb(fault);
            host.disturb(fault);
            let step = Step {
                id: StepId([id; 16]),
                payment: PaymentId::from_bytes([1; 16]),
                action: Action::Authorise,
                amount: Money::amount(4_500, Currency::KRW)?,
                instrument: Instrument::new(token)?,
                reference: None,
                time_us: now_us(&clock),
            };
            let answer = rail.send(&step).await;
            assert!(!matches!(answer, Answer::Approved { .. }), "{answer:?}");
            tracing::error!(?step, ?rail, "as whoever calls a rail might log it");
        }
    }
    let message = Message::new(Mti::AUTHORISATION)
        .with(2, NUMBERS[0])
        .with(35, NUMBERS[0])
        .with(48, acquirer::GOOD);
    tracing::error!(?message, "as a rail might log it");
    let text = log.text();
    assert!(
        text.contains("provider: an answer that cannot be read"),
        "{text}"
    );
    assert!(text.contains("host: "), "{text}");
    let (customer, method) = provider::GOOD.split_once(':').unwrap_or_default();
    for secret in [provider::KEY, customer, method, acquirer::GOOD, NUMBERS[0]] {
        assert!(!text.contains(secret), "{secret} was logged: {text}");
    }
    Ok(())
}
