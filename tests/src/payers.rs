//! Several clients who pay at once from one rich wallet until the machine behind them is ended; what was acknowledged
//! then stays, what was not is charged once when it is sent again.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, channel},
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

use crate::{Caller, Shop, caller::Setup, palms, process::PATIENCE};

pub(crate) const TILL: &str = "counter-1";
pub(crate) const NAME: &str = "Seven";
const PERSON: u64 = 7;
/// Payments that each client has ready for a round.
const READY: usize = 16;
/// Acknowledged payments after which the end comes at the latest.
const ACKNOWLEDGED_MAX: u64 = 24;
const RICH: u64 = 999_999_999;

/// The customer, and what they have spent.
#[derive(Debug)]
pub struct Payers {
    clients: usize,
    setup: Setup,
    palm: Template,
    spent: u64,
    names: Vec<String>,
    /// Payments that were acknowledged before an end.
    pub acknowledged: u64,
    /// Payments that were sent and not answered at an end.
    pub in_doubt: u64,
}

/// What was sent until an end, and what was answered.
#[derive(Debug)]
pub struct Round {
    pub(crate) sent: BTreeMap<String, v1::AuthorisePaymentRequest>,
    pub(crate) acknowledged: BTreeMap<String, Outcome>,
}

impl Round {
    fn take(&mut self, word: Word) {
        match word {
            Word::Sent(request) => drop(self.sent.insert(request.payment.clone(), *request)),
            Word::Acknowledged(name, outcome) => drop(self.acknowledged.insert(name, *outcome)),
        }
    }
}

/// What a client says of a payment: its request when it is sent, its answer when it is acknowledged.
enum Word {
    Sent(Box<v1::AuthorisePaymentRequest>),
    Acknowledged(String, Box<Outcome>),
}

impl Payers {
    /// A rich customer with a palm, and a till for so many clients.
    ///
    /// # Errors
    /// When the shop does not take them.
    pub fn enrol(shop: &Shop, clients: usize) -> Result<Self> {
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
            clients,
            setup,
            palm: palms::template(PERSON, 20)?,
            spent: 0,
            names: Vec::new(),
            acknowledged: 0,
            in_doubt: 0,
        })
    }

    /// All clients pay at once; after a drawn number of answers `end` ends what they speak to.
    ///
    /// # Errors
    /// When nobody is paid, or `end` fails.
    pub fn pay(
        &self,
        shop: &mut Shop,
        number: u64,
        end: impl FnOnce(&mut Shop) -> Result<()>,
    ) -> Result<Round> {
        let drawn = u64::from_be_bytes(palms::random()[..8].try_into()?);
        let enough = 1 + drawn % ACKNOWLEDGED_MAX;
        let till = shop.caller(TILL)?;
        let heard = self.start(&till, number)?;
        let mut round = Round {
            sent: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        };
        while (round.acknowledged.len() as u64) < enough {
            let word = heard.recv_timeout(PATIENCE).context("nobody is paid")?;
            round.take(word);
        }
        end(shop)?;
        // Each client ends with its first call that fails.
        heard.iter().for_each(|word| round.take(word));
        Ok(round)
    }

    fn start(&self, till: &Caller, number: u64) -> Result<Receiver<Word>> {
        let (words, heard) = channel();
        for client in 0..self.clients {
            let requests = self.requests(number, client)?;
            let client = CheckoutServiceClient::new(till.channel());
            till.runtime().spawn(pay(client, requests, words.clone()));
        }
        Ok(heard)
    }

    fn requests(&self, round: u64, client: usize) -> Result<Vec<v1::AuthorisePaymentRequest>> {
        let amount = |n: usize| Money::amount(1 + round % 7 + (client + n) as u64, Currency::KRW);
        let request = |n| palms::payment(&self.setup, &self.palm, palms::payment_id(), amount(n)?);
        (0..READY).map(request).collect()
    }

    /// Every acknowledged payment is there; then everything again: each is charged once and answered alike.
    ///
    /// # Errors
    /// When a payment is lost, doubled or answered otherwise.
    pub fn check(&mut self, shop: &Shop, round: Round) -> Result<()> {
        let till = shop.caller(TILL)?;
        for name in round.acknowledged.keys() {
            is_there(&till, name)?;
        }
        self.acknowledged += round.acknowledged.len() as u64;
        self.in_doubt += (round.sent.len() - round.acknowledged.len()) as u64;
        for (name, request) in round.sent {
            self.spent += request.amount.as_ref().context("an amount")?.amount_minor;
            let first = till.authorise(request.clone())?.outcome;
            ensure!(is_approved(first.as_ref()), "{name}: {first:?}");
            let second = till.authorise(request)?.outcome;
            ensure!(
                first == second,
                "{name} was answered {first:?}, then {second:?}"
            );
            let before = round.acknowledged.get(&name);
            ensure!(
                before.is_none() || before == first.as_ref(),
                "{name} was answered {before:?}, then {first:?}"
            );
            self.names.push(name);
        }
        let (told, foreseen) = (shop.balance(NAME)?, RICH - self.spent);
        ensure!(
            told == foreseen,
            "the wallet holds {told}, not {foreseen}: something was lost or charged twice"
        );
        Ok(())
    }

    /// Every payment of every round is there, and the books have no violations.
    ///
    /// # Errors
    /// When one is lost, or what is wrong with the books.
    pub fn audit(&self, shop: &Shop) -> Result<()> {
        let till = shop.caller(TILL)?;
        for name in &self.names {
            is_there(&till, name)?;
        }
        audit(shop)
    }
}

/// Replays the books.
///
/// # Errors
/// When they have violations.
pub fn audit(shop: &Shop) -> Result<()> {
    let audit = shop.operator()?.audit()?;
    ensure!(audit.violations.is_empty(), "{:?}", audit.violations);
    Ok(())
}

pub(crate) fn is_approved(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Approved(_)))
}

fn is_there(till: &Caller, name: &str) -> Result<()> {
    let paid = till.payment(name);
    let paid = paid.with_context(|| format!("{name} was acknowledged and is lost"))?;
    ensure!(
        paid.state() == State::Captured,
        "{name} was acknowledged and stands as {paid:?}"
    );
    Ok(())
}

async fn pay(
    mut client: CheckoutServiceClient<Channel>,
    requests: Vec<v1::AuthorisePaymentRequest>,
    words: Sender<Word>,
) {
    for request in requests {
        let name = request.payment.clone();
        if words.send(Word::Sent(Box::new(request.clone()))).is_err() {
            return;
        }
        let Ok(answer) = client.authorise_payment(request).await else {
            return;
        };
        if let Some(outcome @ Outcome::Approved(_)) = answer.into_inner().outcome
            && words
                .send(Word::Acknowledged(name, Box::new(outcome)))
                .is_err()
        {
            return;
        }
    }
}
