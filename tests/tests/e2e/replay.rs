//! Requests that were recorded and come again: as they were, or moved to another payment, amount, till or purpose.

use anyhow::{Context, Result};
use palm_proto::{
    envelope::Binding,
    fault::reason_of,
    id::CustomerId,
    money::{Currency, Money},
    reason::ReasonCode,
    v1::{self, authorise_payment_response::Outcome},
};
use palm_tests::{Caller, Shop, caller::Setup, palms};
use tonic::Status;

use crate::books;

const TOP_UP: u64 = 20_000;

pub(crate) fn won(minor: u64) -> Money {
    Money::amount(minor, Currency::KRW).expect("invariant: the amounts of these tests are right")
}

/// A shop with one customer enrolled over the wire, and the till that did it.
pub(crate) struct Counter {
    pub(crate) shop: Shop,
    pub(crate) till: Caller,
    pub(crate) operator: Caller,
    pub(crate) setup: Setup,
    pub(crate) customer: CustomerId,
}

impl Counter {
    /// Person 7, with money in the wallet.
    pub(crate) fn open() -> Result<Self> {
        Self::at(Shop::open()?)
    }

    /// As [`Self::open`], in this shop.
    pub(crate) fn at(shop: Shop) -> Result<Self> {
        shop.enrol_till("counter-1")?;
        let (till, operator) = (shop.caller("counter-1")?, shop.operator()?);
        let setup = till.setup()?;
        let customer = register(&till, "Seven")?;
        let samples = (0..3)
            .map(|n| palms::template(7, n))
            .collect::<Result<Vec<_>>>()?;
        let answer = till.enrol(palms::enrolment(&setup, customer, &samples)?)?;
        let enrolled = matches!(
            answer.outcome,
            Some(v1::enrol_response::Outcome::Enrolled(_))
        );
        assert!(enrolled, "{answer:?}");
        operator.top_up(v1::TopUpRequest {
            request_id: palms::request_id().to_string(),
            wallet: palm_proto::id::wallet_name(customer),
            amount: Some(won(TOP_UP).into()),
        })?;
        Ok(Self {
            shop,
            till,
            operator,
            setup,
            customer,
        })
    }

    pub(crate) fn request(&self, minor: u64) -> Result<v1::AuthorisePaymentRequest> {
        palms::payment(
            &self.setup,
            &palms::template(7, 20)?,
            palms::payment_id(),
            won(minor),
        )
    }
}

pub(crate) fn register(till: &Caller, display_name: &str) -> Result<CustomerId> {
    let consent = v1::Consent {
        notice_version: "2026-11".to_owned(),
        language: "en".to_owned(),
        grant_time: None,
    };
    let customer = till.create_customer(v1::CreateCustomerRequest {
        request_id: palms::request_id().to_string(),
        display_name: display_name.to_owned(),
        consent: Some(consent),
    })?;
    Ok(customer.name.parse()?)
}

/// The reason of a refusal; panics at an answer.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Option<ReasonCode> {
    reason_of(&answer.expect_err("a refusal"))
}

fn left(answer: v1::AuthorisePaymentResponse) -> Result<(String, u64)> {
    let Some(Outcome::Approved(approved)) = answer.outcome else {
        anyhow::bail!("not approved: {answer:?}")
    };
    let payment = approved.payment.context("a payment")?.name;
    Ok((payment, approved.balance.context("a balance")?.amount_minor))
}

#[test]
fn same_id_twice_gets_the_first_answer_and_is_charged_once() -> Result<()> {
    let counter = Counter::open()?;
    let request = counter.request(4_500)?;
    let first = left(counter.till.authorise(request.clone())?)?;
    assert_eq!(first, (request.payment.clone(), TOP_UP - 4_500));
    // The same bytes; then a new capture under the same id and amount.
    assert_eq!(left(counter.till.authorise(request.clone())?)?.0, first.0);
    let again = palms::template(7, 33)?;
    let again = palms::payment(&counter.setup, &again, request.payment.parse()?, won(4_500))?;
    assert_eq!(left(counter.till.authorise(again)?)?.0, first.0);
    let booked = [(request.payment.as_str(), v1::payment::State::Captured)];
    books::expect(&counter.shop, &booked, "Seven", TOP_UP - 4_500)
}

#[test]
fn same_id_with_another_amount_is_refused_by_name() -> Result<()> {
    let counter = Counter::open()?;
    let request = counter.request(4_500)?;
    left(counter.till.authorise(request.clone())?)?;
    let dearer = palms::template(7, 21)?;
    let dearer = palms::payment(
        &counter.setup,
        &dearer,
        request.payment.parse()?,
        won(4_501),
    )?;
    assert_eq!(
        refused(counter.till.authorise(dearer)),
        Some(ReasonCode::IdReused)
    );
    let moved = v1::AuthorisePaymentRequest {
        amount: Some(won(1).into()),
        ..request.clone()
    };
    assert_eq!(
        refused(counter.till.authorise(moved)),
        Some(ReasonCode::IdReused)
    );
    let booked = [(request.payment.as_str(), v1::payment::State::Captured)];
    books::expect(&counter.shop, &booked, "Seven", TOP_UP - 4_500)
}

#[test]
fn recorded_template_does_not_open_for_anything_else() -> Result<()> {
    let counter = Counter::open()?;
    let till = &counter.till;
    let request = counter.request(4_500)?;
    left(till.authorise(request.clone())?)?;
    let unsent = counter.request(300)?;
    let change = |change: &dyn Fn(&mut v1::SealedTemplate)| {
        let mut changed = unsent.clone();
        changed.sample.as_mut().map(change);
        changed
    };
    let other_id = palms::payment_id().to_string();
    let moved = [
        (
            "another id",
            v1::AuthorisePaymentRequest {
                payment: other_id.clone(),
                ..request.clone()
            },
        ),
        (
            "another id and amount",
            v1::AuthorisePaymentRequest {
                payment: other_id,
                amount: Some(won(1).into()),
                sample: request.sample.clone(),
                capture_mode: v1::payment::CaptureMode::Automatic.into(),
                accepted_offline: false,
            },
        ),
        (
            "another amount",
            v1::AuthorisePaymentRequest {
                amount: Some(won(301).into()),
                ..unsent.clone()
            },
        ),
        (
            "another nonce",
            change(&|sample| sample.capture_nonce = palms::nonce().to_vec()),
        ),
        (
            "a bit of the ciphertext",
            change(&|sample| sample.ciphertext[9] ^= 1),
        ),
        (
            "a bit of the key",
            change(&|sample| sample.encapsulated_key[9] ^= 1),
        ),
        (
            "another service's key",
            change(&|sample| sample.key_id += 1),
        ),
    ];
    for (what, request) in moved {
        assert_eq!(
            refused(till.authorise(request)),
            Some(ReasonCode::SealBroken),
            "{what}"
        );
    }
    let booked = [(request.payment.as_str(), v1::payment::State::Captured)];
    books::expect(&counter.shop, &booked, "Seven", TOP_UP - 4_500)?;
    // Unchanged it is what it was: one good payment.
    assert_eq!(left(till.authorise(unsent)?)?.1, TOP_UP - 4_500 - 300);
    Ok(())
}

#[test]
fn recorded_template_is_worth_nothing_for_another_purpose_or_at_another_till() -> Result<()> {
    let counter = Counter::open()?;
    let Counter { till, setup, .. } = &counter;
    let (sent, unsent) = (counter.request(4_500)?, counter.request(300)?);
    left(till.authorise(sent.clone())?)?;
    // Sealed for an enrolment, used for a payment.
    let binding = Binding::Enrolment {
        till: setup.till.clone(),
        customer: counter.customer,
        request: palms::request_id(),
    };
    let stolen = palms::seal(&setup.key, &palms::template(7, 22)?.to_bytes(), &binding)?;
    let stolen = v1::AuthorisePaymentRequest {
        sample: Some(stolen.into()),
        ..unsent.clone()
    };
    assert_eq!(
        refused(till.authorise(stolen)),
        Some(ReasonCode::SealBroken)
    );
    counter.shop.enrol_till("counter-2")?;
    let other = counter.shop.caller("counter-2")?;
    assert_eq!(
        refused(other.authorise(unsent)),
        Some(ReasonCode::SealBroken)
    );
    assert_eq!(
        refused(other.authorise(sent.clone())),
        Some(ReasonCode::IdReused)
    );
    let booked = [(sent.payment.as_str(), v1::payment::State::Captured)];
    books::expect(&counter.shop, &booked, "Seven", TOP_UP - 4_500)
}

#[test]
fn capture_nonce_pays_once_even_when_sealed_anew() -> Result<()> {
    let counter = Counter::open()?;
    let Counter { till, setup, .. } = &counter;
    let request = counter.request(4_500)?;
    left(till.authorise(request.clone())?)?;
    // A till that is not honest seals the same capture for a second payment.
    let nonce = request.sample.clone().context("a sample")?.capture_nonce;
    let (payment, amount) = (palms::payment_id(), won(4_500));
    let binding = Binding::Payment {
        till: setup.till.clone(),
        payment,
        amount,
    };
    let nonce = nonce.try_into().ok().context("16 bytes")?;
    let plain = palms::template(7, 20)?.to_bytes();
    let sealed = setup
        .key
        .seal(&plain, &binding, nonce, &mut |out| out.fill(7))?;
    let again = v1::AuthorisePaymentRequest {
        payment: payment.to_string(),
        amount: Some(amount.into()),
        sample: Some(sealed.into()),
        capture_mode: v1::payment::CaptureMode::Automatic.into(),
        accepted_offline: false,
    };
    assert_eq!(
        refused(till.authorise(again)),
        Some(ReasonCode::CaptureReplayed)
    );
    let booked = [(request.payment.as_str(), v1::payment::State::Captured)];
    books::expect(&counter.shop, &booked, "Seven", TOP_UP - 4_500)
}
