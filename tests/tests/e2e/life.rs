//! What becomes of a payment after the palm, by the operator's tool and over the wire.

use anyhow::{Result, ensure};
use palm_proto::{
    reason::ReasonCode,
    v1::{
        self, authorise_payment_response::Outcome, checkout_service_client::CheckoutServiceClient,
        confirm_payment_request::What,
    },
};
use palm_tests::palms;
use serde_json::Value;

use crate::replay::{Counter, refused, won};

/// `CAPTURED 3000 500`: state, captured, refunded.
fn told(payment: &Value) -> String {
    let minor = |column: &str| payment[column]["amount_minor"].clone();
    let state = payment["state"].as_str().unwrap_or_default();
    format!("{state} {} {}", minor("captured"), minor("refunded"))
}

fn held(counter: &Counter, minor: u64) -> Result<String> {
    let request = v1::AuthorisePaymentRequest {
        capture_mode: v1::payment::CaptureMode::Manual.into(),
        ..counter.request(minor)?
    };
    let payment = request.payment.clone();
    let answer = counter.till.authorise(request)?;
    ensure!(
        matches!(answer.outcome, Some(Outcome::Approved(_))),
        "{answer:?}"
    );
    Ok(payment)
}

#[test]
fn held_payment_is_captured_refunded_and_told_by_palmctl() -> Result<()> {
    let counter = Counter::open()?;
    let ctl = |line: &[&str]| counter.shop.ctl(line);
    let payment = held(&counter, 4_000)?;
    assert_eq!(
        told(&ctl(&["payment", "show", &payment])?),
        "AUTHORISED 0 0"
    );
    assert_eq!(
        told(&ctl(&["payment", "capture", &payment, "3000"])?),
        "CAPTURED 3000 0"
    );
    let refund = ctl(&["payment", "refund", &payment, "500"])?;
    assert_eq!(refund["state"], "DONE");
    let id = refund["request_id"].as_str().unwrap_or_default();
    let again = ctl(&["payment", "refund", &payment, "500", "--request-id", id])?;
    assert_eq!(again, refund, "the same request moves money once");
    let more = ctl(&["payment", "refund", &payment, "2501"]).unwrap_err();
    assert!(format!("{more:?}").contains("AMOUNT_TOO_LARGE"), "{more:?}");
    assert_eq!(
        told(&ctl(&["payment", "show", &payment])?),
        "CAPTURED 3000 500"
    );
    let voided = held(&counter, 1_000)?;
    assert_eq!(told(&ctl(&["payment", "void", &voided])?), "VOIDED 0 0");
    assert_eq!(counter.shop.balance("Seven")?, 20_000 - 2_500);
    let audit = ctl(&["ledger", "audit"])?;
    assert_eq!(audit["violations"], Value::Array(Vec::new()));
    let print = |line: &[&str]| counter.shop.print(&[&["report"], line].concat());
    let receipt = print(&["receipt", &payment, "--language", "ko"])?;
    assert!(
        receipt.contains("3,000") && receipt.contains("2,500원"),
        "{receipt}"
    );
    let closed = print(&["close-shift"])?;
    assert!(closed.contains("Z REPORT 0001"), "{closed}");
    let statement = print(&["statement", "shop", "--format", "csv"])?;
    assert!(
        statement.contains("CAPTURE") && statement.contains("REFUND"),
        "{statement}"
    );
    Ok(())
}

#[test]
fn second_factor_over_the_wire_and_not_from_another_till() -> Result<()> {
    let counter = Counter::open()?;
    let customer = counter.customer.to_string();
    let set = ["--phone-digits", "5678", "--always-second-factor", "true"];
    let guard = [&["customer", "guard", customer.as_str()][..], &set].concat();
    let guarded = counter.shop.ctl(&guard)?;
    assert_eq!(guarded["has_phone_digits"], true);
    let request = counter.request(700)?;
    let asked = counter.till.authorise(request.clone())?.outcome;
    let Some(Outcome::StepUp(asked)) = asked else {
        anyhow::bail!("not asked: {asked:?}")
    };
    assert_eq!(asked.reason(), v1::Reason::SecondFactor);
    let give = |by: &palm_tests::Caller, digits: &str| {
        let mut client = CheckoutServiceClient::new(by.channel());
        let call = client.confirm_payment(v1::ConfirmPaymentRequest {
            request_id: palms::request_id().to_string(),
            payment: request.payment.clone(),
            what: Some(What::PhoneDigits(digits.to_owned())),
        });
        let answer = by.runtime().block_on(call);
        answer.map(|answer| answer.into_inner().outcome)
    };
    counter.shop.enrol_till("counter-2")?;
    let other = counter.shop.caller("counter-2")?;
    assert_eq!(
        refused(give(&other, "5678")),
        Some(ReasonCode::PermissionDenied)
    );
    let wrong = give(&counter.till, "0000")?;
    assert!(
        matches!(&wrong, Some(Outcome::StepUp(ask)) if ask.reason() == v1::Reason::FactorWrong),
        "{wrong:?}"
    );
    let right = give(&counter.till, "5678")?;
    let Some(Outcome::Approved(approved)) = right else {
        anyhow::bail!("not approved: {right:?}")
    };
    assert_eq!(
        approved.balance,
        Some(palm_proto::money::Money::balance(19_300, won(1).currency()).into())
    );
    Ok(())
}
