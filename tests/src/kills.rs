//! A real palmd that is killed while several clients pay: what was acknowledged stays, what was not is charged once
//! when it is sent again.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Sender, channel},
};

use anyhow::{Context, Result, ensure};
use palm_models::template::Template;
use palm_proto::{
    money::{Currency, Money},
    v1::{
        self, authorise_payment_response::Outcome, checkout_service_client::CheckoutServiceClient,
        payment::State,
    },
};
use tonic::transport::Channel;

use crate::{Caller, Shop, caller::Setup, palms, process::PATIENCE, shop::Folder};

const TILL: &str = "counter-1";
const NAME: &str = "Seven";
const PERSON: u64 = 7;
const CLIENTS: usize = 4;
/// Payments that each client has ready for a round.
const READY: usize = 16;
/// Acknowledged payments after which palmd is killed at the latest.
const ACKNOWLEDGED_MAX: u64 = 24;
const RICH: u64 = 999_999_999;

/// A shop whose palmd is killed again and again.
#[derive(Debug)]
pub struct Victim {
    shop: Shop,
    setup: Setup,
    palm: Template,
    spent: u64,
    /// Payments that palmd acknowledged before it was killed.
    pub acknowledged: u64,
    /// Payments that were sent and not answered when it was killed.
    pub in_doubt: u64,
}

type Sent = v1::AuthorisePaymentRequest;

/// What a client says of a payment: its request when it is sent, its name when it is acknowledged.
enum Word {
    Sent(Box<Sent>),
    Acknowledged(String),
}

impl Victim {
    /// A shop with a rich customer.
    ///
    /// # Errors
    /// When a program is missing or does not do its work.
    pub fn open() -> Result<Self> {
        let shop = Shop::open_in(Folder::temporary()?)?;
        shop.enrol_till(TILL)?;
        let till = shop.caller(TILL)?;
        let setup = till.setup()?;
        let registered = till.create_customer(v1::CreateCustomerRequest {
            request_id: palms::request_id().to_string(),
            display_name: NAME.to_owned(),
            consent: Some(v1::Consent {
                notice_version: "2026-11".to_owned(),
                language: "en".to_owned(),
                grant_time: None,
            }),
        })?;
        let samples = (0..3).map(|n| palms::template(PERSON, n));
        let samples = samples.collect::<Result<Vec<_>>>()?;
        let customer = registered.name.parse()?;
        till.enrol(palms::enrolment(&setup, customer, &samples)?)?;
        shop.top_up(NAME, RICH)?;
        Ok(Self {
            shop,
            setup,
            palm: palms::template(PERSON, 20)?,
            spent: 0,
            acknowledged: 0,
            in_doubt: 0,
        })
    }

    /// Payments from several clients at once, until palmd is killed; then what must be is checked.
    ///
    /// # Errors
    /// When a payment is lost, doubled or answered otherwise.
    pub fn round(&mut self, number: u64) -> Result<()> {
        let drawn = u64::from_be_bytes(palms::random()[..8].try_into()?);
        let enough = 1 + drawn % ACKNOWLEDGED_MAX;
        let till = self.shop.caller(TILL)?;
        let (words, heard) = channel();
        for client in 0..CLIENTS {
            let requests = self.requests(number, client)?;
            let client = CheckoutServiceClient::new(till.channel());
            till.runtime().spawn(pay(client, requests, words.clone()));
        }
        drop(words);
        let (mut sent, mut acknowledged) = (BTreeMap::new(), Vec::new());
        let mut take = |word: Word, acknowledged: &mut Vec<String>| match word {
            Word::Sent(request) => drop(sent.insert(request.payment.clone(), *request)),
            Word::Acknowledged(name) => acknowledged.push(name),
        };
        while (acknowledged.len() as u64) < enough {
            let word = heard.recv_timeout(PATIENCE).context("nobody is paid")?;
            take(word, &mut acknowledged);
        }
        self.shop.kill_palmd()?;
        // Each client ends with its first call that fails.
        heard.iter().for_each(|word| take(word, &mut acknowledged));
        self.shop.start_palmd()?;
        let till = self.shop.caller(TILL)?;
        for name in &acknowledged {
            let paid = till
                .payment(name)
                .with_context(|| format!("{name} is lost"))?;
            ensure!(
                paid.state() == State::Captured,
                "{name} was acknowledged and stands as {paid:?}"
            );
        }
        self.acknowledged += acknowledged.len() as u64;
        self.in_doubt += (sent.len() - acknowledged.len()) as u64;
        self.repeat(&till, sent)
    }

    /// Everything again: each is charged once, and answered alike twice.
    fn repeat(&mut self, till: &Caller, sent: BTreeMap<String, Sent>) -> Result<()> {
        for (name, request) in sent {
            let first = till.authorise(request.clone())?;
            ensure!(is_approved(&first), "{name}: {first:?}");
            let second = till.authorise(request.clone())?;
            ensure!(
                first.outcome == second.outcome,
                "{name} was answered {first:?}, then {second:?}"
            );
            self.spent += request.amount.context("an amount")?.amount_minor;
        }
        let (told, foreseen) = (self.shop.balance(NAME)?, RICH - self.spent);
        ensure!(
            told == foreseen,
            "the wallet holds {told}, not {foreseen}: something was lost or charged twice"
        );
        Ok(())
    }

    fn requests(&self, round: u64, client: usize) -> Result<Vec<Sent>> {
        let amount = |n: usize| Money::amount(1 + round % 7 + (client + n) as u64, Currency::KRW);
        let request = |n| palms::payment(&self.setup, &self.palm, palms::payment_id(), amount(n)?);
        (0..READY).map(request).collect()
    }

    /// Replays the books.
    ///
    /// # Errors
    /// When they have violations.
    pub fn audit(&self) -> Result<()> {
        let audit = self.shop.operator()?.audit()?;
        ensure!(audit.violations.is_empty(), "{:?}", audit.violations);
        Ok(())
    }
}

fn is_approved(answer: &v1::AuthorisePaymentResponse) -> bool {
    matches!(answer.outcome, Some(Outcome::Approved(_)))
}

async fn pay(mut client: CheckoutServiceClient<Channel>, requests: Vec<Sent>, words: Sender<Word>) {
    for request in requests {
        let name = request.payment.clone();
        if words.send(Word::Sent(Box::new(request.clone()))).is_err() {
            return;
        }
        let is_acknowledged = match client.authorise_payment(request).await {
            Ok(answer) => is_approved(answer.get_ref()),
            Err(_) => return,
        };
        if is_acknowledged && words.send(Word::Acknowledged(name)).is_err() {
            return;
        }
    }
}
