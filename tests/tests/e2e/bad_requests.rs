//! Requests of every wrong shape, over the wire and through the pages: a named refusal, nothing stored, nothing dead.

use anyhow::{Context, Result};
use palm_proto::{
    id::CustomerId,
    reason::ReasonCode,
    v1::{self, enrol_response},
};
use palm_tests::{Shop, caller::Setup, palms};
use serde_json::json;
use tonic::Status;

use crate::{
    books::Standing,
    replay::{Counter, refused, register, won},
};

fn assert_named<T: std::fmt::Debug>(
    what: &str,
    answer: Result<T, Status>,
    reason: ReasonCode,
    field: &str,
) {
    let status = answer.expect_err(what);
    assert_eq!(
        palm_proto::fault::reason_of(&status),
        Some(reason),
        "{what}: {status:?}"
    );
    let message = status.message();
    assert!(
        message.starts_with(field),
        "{what}: {message:?} does not name {field}"
    );
    assert!(
        message.len() > field.len() + 5,
        "{what}: {message:?} has no remedy"
    );
}

type Change = fn(&mut v1::AuthorisePaymentRequest);

fn money(request: &mut v1::AuthorisePaymentRequest, minor: u64, code: &str) {
    request.amount = Some(v1::Money {
        amount_minor: minor,
        currency_code: code.to_owned(),
    });
}

fn sample(request: &mut v1::AuthorisePaymentRequest) -> &mut v1::SealedTemplate {
    request
        .sample
        .as_mut()
        .expect("invariant: it was made with one")
}

/// What is wrong with a payment, the reason, the field.
const PAYMENTS: [(&str, Change, ReasonCode, &str); 18] = {
    use ReasonCode::{AmountInvalid, Malformed, SealBroken};
    [
        ("no amount", |r| r.amount = None, AmountInvalid, "amount"),
        (
            "nothing to pay",
            |r| money(r, 0, "KRW"),
            AmountInvalid,
            "amount.amount_minor",
        ),
        (
            "too many digits",
            |r| money(r, 1_000_000_000_000, "KRW"),
            AmountInvalid,
            "amount.amount_minor",
        ),
        (
            "the highest number",
            |r| money(r, u64::MAX, "KRW"),
            AmountInvalid,
            "amount.amount_minor",
        ),
        (
            "above the shop's limit",
            |r| money(r, 1_000_001, "KRW"),
            AmountInvalid,
            "amount",
        ),
        (
            "another currency",
            |r| money(r, 100, "EUR"),
            AmountInvalid,
            "amount",
        ),
        (
            "no currency",
            |r| money(r, 100, ""),
            AmountInvalid,
            "amount.currency_code",
        ),
        (
            "a currency of nowhere",
            |r| money(r, 100, "ZZZ"),
            AmountInvalid,
            "amount.currency_code",
        ),
        (
            "small letters",
            |r| money(r, 100, "krw"),
            AmountInvalid,
            "amount.currency_code",
        ),
        ("no id", |r| r.payment.clear(), Malformed, "payment"),
        (
            "another thing's id",
            |r| r.payment = r.payment.replace("payments", "customers"),
            Malformed,
            "payment",
        ),
        (
            "a path for an id",
            |r| r.payment = "payments/../../etc".to_owned(),
            Malformed,
            "payment",
        ),
        ("no sample", |r| r.sample = None, Malformed, "sample"),
        (
            "a short key",
            |r| sample(r).encapsulated_key.truncate(31),
            Malformed,
            "sample.encapsulated_key",
        ),
        (
            "no ciphertext",
            |r| sample(r).ciphertext.clear(),
            Malformed,
            "sample.ciphertext",
        ),
        (
            "a long ciphertext",
            |r| sample(r).ciphertext.resize(1_025, 0),
            Malformed,
            "sample.ciphertext",
        ),
        (
            "a long nonce",
            |r| sample(r).capture_nonce.push(0),
            Malformed,
            "sample.capture_nonce",
        ),
        (
            "half a ciphertext",
            |r| sample(r).ciphertext.truncate(200),
            SealBroken,
            "",
        ),
    ]
};

#[test]
fn payments_of_every_wrong_shape_are_refused_by_name_and_book_nothing() -> Result<()> {
    let counter = Counter::open()?;
    let before = Standing::of(&counter.operator)?;
    for (what, change, reason, field) in PAYMENTS {
        let mut request = counter.request(100)?;
        change(&mut request);
        assert_named(what, counter.till.authorise(request), reason, field);
    }
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

#[test]
fn sealed_bytes_that_are_no_template_are_refused_and_book_nothing() -> Result<()> {
    let counter = Counter::open()?;
    let before = Standing::of(&counter.operator)?;
    let good = palms::template(7, 20)?.to_bytes();
    let mut unknown_version = good;
    unknown_version[0] ^= 0xff;
    let longer = [good.as_slice(), &[0]].concat();
    for (what, plain) in [
        ("nothing", &[][..]),
        ("half a template", &good[..258]),
        ("a byte too many", &longer),
        ("another version", &unknown_version),
        ("zeros", &[0; 516]),
        ("ones", &[255; 516]),
    ] {
        let (payment, amount) = (palms::payment_id(), won(100));
        let request = palms::payment_of_bytes(&counter.setup, plain, payment, amount)?;
        let status = counter.till.authorise(request).expect_err(what);
        assert!(
            palm_proto::fault::reason_of(&status).is_some(),
            "{what}: {status:?}"
        );
        assert!(
            status.message().contains("template"),
            "{what}: {}",
            status.message()
        );
    }
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

fn enrolment(setup: &Setup, customer: CustomerId, people: &[u64]) -> Result<v1::EnrolRequest> {
    let samples = (60..)
        .zip(people)
        .map(|(n, person)| palms::template(*person, n));
    palms::enrolment(setup, customer, &samples.collect::<Result<Vec<_>>>()?)
}

#[test]
fn enrolments_of_every_wrong_shape_keep_no_palm() -> Result<()> {
    let counter = Counter::open()?;
    let Counter { till, setup, .. } = &counter;
    let eight = register(till, "Eight")?;
    let before = Standing::of(&counter.operator)?;
    let good = enrolment(setup, eight, &[8, 8, 8])?;
    let with = |change: &dyn Fn(&mut v1::EnrolRequest)| {
        let mut request = good.clone();
        change(&mut request);
        till.enrol(request)
    };
    let malformed = ReasonCode::Malformed;
    assert_named(
        "no samples",
        with(&|r| r.samples.clear()),
        malformed,
        "samples",
    );
    let many = with(&|r| r.samples = vec![r.samples[0].clone(); 13]);
    assert_named("13 samples", many, malformed, "samples");
    assert_named(
        "no request id",
        with(&|r| r.request_id.clear()),
        malformed,
        "request_id",
    );
    assert_named(
        "no customer",
        with(&|r| r.customer = "customers/7".to_owned()),
        malformed,
        "customer",
    );
    let nobody = palms::random();
    let nobody = CustomerId::from_random(nobody);
    let to_nobody = till.enrol(enrolment(setup, nobody, &[8, 8, 8])?);
    assert_eq!(refused(to_nobody), Some(ReasonCode::NotFound));
    let moved = with(&|r| r.customer = counter.customer.to_string());
    assert_eq!(refused(moved), Some(ReasonCode::SealBroken));
    let twice = with(&|r| r.samples[1] = r.samples[0].clone());
    assert_eq!(refused(twice), Some(ReasonCode::CaptureReplayed));
    for (people, reason) in [
        (&[8, 8][..], v1::Reason::SamplesMissing),
        (&[8, 8, 9], v1::Reason::SamplesDisagree),
        (&[7, 7, 7], v1::Reason::AlreadyEnrolled),
    ] {
        let answer = till.enrol(enrolment(setup, eight, people)?)?;
        let Some(enrol_response::Outcome::Refused(refused)) = answer.outcome else {
            panic!("{people:?}: {answer:?}")
        };
        assert_eq!(refused.reason(), reason, "{people:?}");
    }
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

#[test]
fn people_without_name_or_consent_are_not_registered() -> Result<()> {
    let counter = Counter::open()?;
    let before = Standing::of(&counter.operator)?;
    let consent = |version: &str| {
        let (notice_version, language) = (version.to_owned(), "en".to_owned());
        Some(v1::Consent {
            notice_version,
            language,
            grant_time: None,
        })
    };
    let long = "x".repeat(65);
    for (what, name, consent, reason, field) in [
        (
            "no consent",
            "Eight",
            None,
            ReasonCode::ConsentMissing,
            "consent",
        ),
        (
            "no notice",
            "Eight",
            consent(""),
            ReasonCode::Malformed,
            "consent.notice_version",
        ),
        (
            "no name",
            "  ",
            consent("2026-11"),
            ReasonCode::Malformed,
            "display_name",
        ),
        (
            "a long name",
            long.as_str(),
            consent("2026-11"),
            ReasonCode::Malformed,
            "display_name",
        ),
        (
            "a name that rings",
            "a\u{7}b",
            consent("2026-11"),
            ReasonCode::Malformed,
            "display_name",
        ),
    ] {
        let request_id = palms::request_id().to_string();
        let display_name = name.to_owned();
        let request = v1::CreateCustomerRequest {
            request_id,
            display_name,
            consent,
        };
        assert_named(what, counter.till.create_customer(request), reason, field);
    }
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

#[test]
fn commands_and_lines_of_every_wrong_shape_name_the_field_and_change_nothing() -> Result<()> {
    let (shop, _till, mut page) = Shop::with_till()?;
    let broken = shop.folder().join("broken.png");
    std::fs::write(&broken, b"\x89PNG\r\n\x1a\nand then nothing of the kind")?;
    let broken = format!("IMAGE {}", broken.to_str().context("UTF-8")?);
    let charge = |amount: serde_json::Value| json!({"command": "charge", "amount_minor": amount});
    for (path, body, field) in [
        ("/commands", charge(json!(0)), "amount_minor"),
        ("/commands", charge(json!(-4500)), "amount_minor"),
        ("/commands", charge(json!(45.5)), "amount_minor"),
        ("/commands", charge(json!("4500")), "amount_minor"),
        ("/commands", charge(json!(u64::MAX)), "amount_minor"),
        ("/commands", charge(json!(1_000_001)), "amount_minor"),
        ("/commands", json!({"command": "charge"}), "amount_minor"),
        ("/commands", json!({"command": "refund"}), "command"),
        (
            "/commands",
            json!({"command": "enrol_start", "language": "tlh"}),
            "language",
        ),
        ("/commands", json!([]), ""),
        ("/emulator", json!({"line": "PALM"}), "line"),
        ("/emulator", json!({"line": "PALM -1"}), "line"),
        ("/emulator", json!({"line": "EXPLODE"}), "line"),
        ("/emulator", json!({"line": "IMAGE nowhere.png"}), "line"),
        ("/emulator", json!({"line": broken}), "line"),
        ("/emulator", json!({"line": 7}), "line"),
    ] {
        let (status, answer) = page.post(path, &body)?;
        assert!((400..500).contains(&status), "{body}: {status} {answer}");
        assert_eq!(answer["field"], field, "{body}: {answer}");
        assert!(
            answer["remedy"]
                .as_str()
                .is_some_and(|remedy| remedy.len() > 5),
            "{body}: {answer}"
        );
    }
    page.checkout("idle")?;
    assert!(page.seen().is_ready());
    assert_eq!(shop.operator()?.payments()?.len(), 0);
    Ok(())
}
