//! Programs that die in the middle of a payment, and wires that lose its answer.

use anyhow::{Context, Result, ensure};
use palm_proto::v1::payment::State;
use palm_tests::{Caller, Page, Shop, clock::Stopwatch, process::PATIENCE};

use crate::{books, roll::outcome};

const PRICE: u64 = 4_500;
const TOP_UP: u64 = 20_000;

/// A shop with a customer who waits at the counter; gives the payment that is asked for.
fn at_the_counter() -> Result<(Shop, palm_tests::Till, Page, String)> {
    let (shop, till, mut page) = Shop::with_till()?;
    ensure!(page.enrol("Seven", "PALM 7")?.screen == "done");
    shop.top_up("Seven", TOP_UP)?;
    let payment = ask(&mut page)?;
    Ok((shop, till, page, payment))
}

fn ask(page: &mut Page) -> Result<String> {
    page.charge(PRICE)?;
    page.checkout("waiting_for_hand")?.payment.context("an id")
}

/// Waits until a payment is booked, seen past the wire.
fn until_booked(operator: &Caller, payment: &str) -> Result<()> {
    let watch = Stopwatch::start();
    while operator.payment(payment).is_err() {
        ensure!(
            !watch.left_of(PATIENCE).is_zero(),
            "{payment} is never booked"
        );
    }
    Ok(())
}

#[test]
fn palmd_killed_between_commit_and_reply_charges_once() -> Result<()> {
    let (mut shop, _till, mut page, payment) = at_the_counter()?;
    let operator = shop.operator()?;
    shop.wire()?.hold();
    page.reader(&["PALM 7"])?;
    // The reply is on its way, and what it tells is on disk: now palmd dies, and the reply with it.
    shop.wire()?.wait_held()?;
    until_booked(&operator, &payment)?;
    shop.kill_palmd()?;
    page.checkout("checking")?;
    shop.start_palmd()?;
    let end = page
        .until("an end", |seen| seen.checkout.is_over())?
        .checkout
        .clone();
    assert_eq!(end.screen, "approved", "{end:?}");
    assert_eq!(end.payment.as_deref(), Some(payment.as_str()));
    books::expect(
        &shop,
        &[(payment.as_str(), State::Captured)],
        "Seven",
        TOP_UP - PRICE,
    )
}

#[test]
fn palmd_killed_while_a_request_comes_in_charges_once_or_not_at_all() -> Result<()> {
    let (mut shop, _till, mut page, mut payment) = at_the_counter()?;
    let (mut booked, mut left) = (Vec::new(), TOP_UP);
    for round in 0..3 {
        let sent = shop.wire()?.sent();
        page.reader(&["LIFT", "PALM 7"])?;
        shop.wire()?.wait_sent(sent)?;
        shop.kill_palmd()?;
        shop.start_palmd()?;
        let end = page
            .until("an end", |seen| seen.checkout.is_over())?
            .checkout
            .clone();
        let came = outcome(&end);
        if end.screen == "approved" {
            left -= PRICE;
            booked.push(payment.clone());
        } else {
            assert_eq!(end.screen, "not_charged", "round {round}: {came}");
        }
        page.reader(&["LIFT"])?;
        page.does("new")?;
        page.ready()?;
        payment = ask(&mut page)?;
    }
    page.does("cancel")?;
    page.checkout("cancelled")?;
    let operator = shop.operator()?;
    let approved = operator
        .payments()?
        .into_iter()
        .filter(|p| p.state() == State::Captured);
    let mut approved: Vec<String> = approved.map(|payment| payment.name).collect();
    approved.sort();
    booked.sort();
    assert_eq!(approved, booked, "the books and the screens tell the same");
    assert_eq!(shop.balance("Seven")?, left);
    books::audit(&shop)
}

#[test]
fn till_killed_after_the_send_shows_the_outcome_at_its_next_start() -> Result<()> {
    let (shop, till, page, payment) = at_the_counter()?;
    let operator = shop.operator()?;
    shop.wire()?.hold();
    page.reader(&["PALM 7"])?;
    until_booked(&operator, &payment)?;
    till.kill()?;
    shop.wire()?.cut();
    let till = shop.start_till("counter-1")?;
    let mut page = till.page()?;
    let end = page.checkout("approved")?;
    assert_eq!(end.payment.as_deref(), Some(payment.as_str()));
    assert_eq!(end.amount_minor, Some(PRICE));
    books::expect(
        &shop,
        &[(payment.as_str(), State::Captured)],
        "Seven",
        TOP_UP - PRICE,
    )
}

#[test]
fn till_killed_with_a_request_that_never_arrived_settles_that_nothing_was_charged() -> Result<()> {
    let (shop, till, mut page, payment) = at_the_counter()?;
    shop.wire()?.deafen();
    page.reader(&["PALM 7"])?;
    page.checkout("authorising")?;
    till.kill()?;
    shop.wire()?.cut();
    let till = shop.start_till("counter-1")?;
    let mut page = till.page()?;
    // Found unresolved in the journal, it is on the screen until it is settled.
    let settled = |seen: &palm_tests::snapshot::Snapshot| seen.checkout.is_over();
    let end = page.until("the settlement", settled)?.checkout.clone();
    assert_eq!(end.payment.as_deref(), Some(payment.as_str()));
    assert_ne!(end.screen, "approved", "{end:?}");
    books::expect(
        &shop,
        &[(payment.as_str(), State::Cancelled)],
        "Seven",
        TOP_UP,
    )
}

#[test]
fn service_that_is_gone_charges_nobody_and_the_next_payment_goes_through() -> Result<()> {
    let (mut shop, _till, mut page, _payment) = at_the_counter()?;
    shop.kill_palmd()?;
    page.reader(&["PALM 7"])?;
    page.until("word of it", |seen| {
        seen.checkout.screen == "checking" || seen.checkout.is_over()
    })?;
    shop.start_palmd()?;
    let end = page.payment_over()?;
    assert!(
        ["approved", "not_charged"].contains(&end.screen.as_str()),
        "{end:?}"
    );
    page.ready()?;
    let paid = page.pay_known(PRICE, "PALM 7")?;
    assert_eq!(paid.screen, "approved", "{paid:?}");
    let times = if end.screen == "approved" { 2 } else { 1 };
    assert_eq!(shop.balance("Seven")?, TOP_UP - times * PRICE);
    books::audit(&shop)
}

#[test]
fn both_programs_stop_when_asked_with_status_0() -> Result<()> {
    let (mut shop, till, page, _payment) = at_the_counter()?;
    drop(page);
    assert!(till.stop()?.success());
    assert!(shop.stop_palmd()?.success());
    shop.start_palmd()?;
    books::expect(&shop, &[], "Seven", TOP_UP)
}
