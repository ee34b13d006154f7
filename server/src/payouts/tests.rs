use std::time::Duration;

use palm_proto::{money::AMOUNT_MAX, request::UpdateSafeguards};

use super::*;
use crate::{
    fixture::{Shop, krw, refusal, request},
    payouts::ReportedEffect::{Changed, Contradicted, Unchanged},
    reports::payout::{PayoutStatus, Status, StatusReport},
};

const IBAN: &str = "DE89370400440532013000";

fn ordered(n: u8, customer: CustomerId, minor: u64) -> OrderPayout {
    OrderPayout {
        request_id: request(n),
        customer,
        amount: krw(minor),
        account: IBAN.to_owned(),
        holder: None,
    }
}

async fn send(shop: &Shop, order: OrderPayout) -> Result<Payout, String> {
    let account = BankAccount::new(&order.account).unwrap();
    let answer = shop.service.payouts.order(order, account).await;
    answer.map_err(refusal)
}

async fn order(shop: &Shop, n: u8, customer: CustomerId, minor: u64) -> Payout {
    send(shop, ordered(n, customer, minor)).await.unwrap()
}

async fn deposit(shop: &Shop, n: u8, minor: u64) {
    let deposit = palm_proto::request::Deposit {
        request_id: request(n),
        amount: krw(minor),
        reference: String::new(),
    };
    shop.service.bank.deposit(deposit).await.unwrap();
}

/// Kim has 10,000 in cash that is at the bank.
async fn shop() -> (Shop, CustomerId) {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim Minjun").await;
    shop.top_up(2, kim, 10_000).await;
    deposit(&shop, 3, 10_000).await;
    (shop, kim)
}

async fn file(shop: &Shop, n: u8) -> PayoutFile {
    let made = shop.service.payouts.make_file(request(n), None).await;
    made.unwrap()
}

fn answer(file: &PayoutFile, payouts: &[(&Payout, Status, Option<&str>)]) -> StatusReport {
    let payouts = payouts.iter().map(|(payout, status, reason)| PayoutStatus {
        reference: payout.reference.as_str().to_owned(),
        status: *status,
        reason: reason.map(str::to_owned),
    });
    StatusReport {
        batch: Reference::of_id(file.id.to_bytes()).as_str().to_owned(),
        status: None,
        reason: None,
        payouts: payouts.collect(),
    }
}

/// What a report did to each, in the order of the file.
async fn report(shop: &Shop, report: StatusReport) -> Vec<(PayoutId, State, ReportedEffect)> {
    let reported = shop.service.payouts.report(report).await.unwrap();
    let payouts = reported.payouts.into_iter();
    payouts
        .map(|(payout, effect)| (payout.id, payout.state, effect))
        .collect()
}

/// What the wallet and the bank have.
async fn balances(shop: &Shop, customer: CustomerId) -> (u64, u64) {
    let audit = shop.service.wallets.audit().await.unwrap();
    assert_eq!(audit.violations, Vec::<String>::new());
    let wallet = shop.service.wallets.balance(customer).await.unwrap();
    let books = shop.service.bank.books().await.unwrap();
    (wallet.minor(), books.bank_minor)
}

#[tokio::test]
async fn an_order_sets_money_aside_once_a_request() {
    let (shop, kim) = shop().await;
    let first = order(&shop, 10, kim, 4_000).await;
    assert_eq!(first.state, State::Ordered);
    assert_eq!(balances(&shop, kim).await, (6_000, 6_000));
    assert_eq!(order(&shop, 10, kim, 4_000).await, first, "the same order");
    assert_eq!(balances(&shop, kim).await, (6_000, 6_000));
    let lee = shop.customer(4, "Lee").await;
    let others = [
        ordered(10, kim, 4_001),
        ordered(10, lee, 4_000),
        OrderPayout {
            account: "110-234-567890".to_owned(),
            ..ordered(10, kim, 4_000)
        },
        OrderPayout {
            holder: Some("Somebody Else".to_owned()),
            ..ordered(10, kim, 4_000)
        },
        ordered(2, kim, 4_000),
    ];
    for other in others {
        assert_eq!(
            send(&shop, other).await,
            Err("refused ID_REUSED".to_owned())
        );
    }
    let shop = shop.restart();
    assert_eq!(order(&shop, 10, kim, 4_000).await, first, "after a restart");
    assert_eq!(shop.service.payouts.find(first.id).unwrap(), first);
    let page = Page::parse(10, String::new()).unwrap();
    let (list, next) = shop.service.payouts.list(&page).unwrap();
    assert_eq!((list, next.as_str()), (vec![first], ""));
}

#[tokio::test]
async fn an_order_is_refused_above_what_there_is_and_of_a_frozen_customer() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    shop.top_up(2, kim, 1_000).await;
    let refused = |order| {
        let shop = &shop;
        async move { send(shop, order).await.unwrap_err() }
    };
    let short = refused(ordered(10, kim, 500)).await;
    assert_eq!(
        short, "refused INSUFFICIENT_FUNDS",
        "nothing lies at the bank"
    );
    deposit(&shop, 3, 1_000).await;
    for minor in [1_001, AMOUNT_MAX] {
        let answer = refused(ordered(10, kim, minor)).await;
        assert_eq!(answer, "refused INSUFFICIENT_FUNDS");
    }
    let nobody = CustomerId::from_bytes([9; 16]);
    assert_eq!(refused(ordered(10, nobody, 1)).await, "refused NOT_FOUND");
    let euro = OrderPayout {
        amount: Money::amount(1, "EUR".parse().unwrap()).unwrap(),
        ..ordered(10, kim, 1)
    };
    assert_eq!(refused(euro).await, "refused AMOUNT_INVALID");
    let freeze = |frozen| UpdateSafeguards {
        customer: kim,
        current_pin: None,
        pin: None,
        phone_digits: None,
        always_second_factor: None,
        frozen: Some(frozen),
        payment_max_minor: None,
        day_max_minor: None,
    };
    let safeguards = &shop.service.safeguards;
    safeguards.update(freeze(true), true).await.unwrap();
    assert_eq!(refused(ordered(10, kim, 1_000)).await, "refused FROZEN");
    safeguards.update(freeze(false), true).await.unwrap();
    assert_eq!(order(&shop, 10, kim, 1_000).await.state, State::Ordered);
    assert_eq!(balances(&shop, kim).await, (0, 0));
}

#[tokio::test]
async fn an_order_is_called_off_before_it_is_in_a_file_and_not_after() {
    let (shop, kim) = shop().await;
    let (first, second) = (
        order(&shop, 10, kim, 4_000).await,
        order(&shop, 11, kim, 1_000).await,
    );
    let payouts = &shop.service.payouts;
    for _ in 0..2 {
        assert_eq!(
            payouts.cancel(first.id).await.unwrap().state,
            State::Cancelled
        );
        assert_eq!(balances(&shop, kim).await, (9_000, 9_000));
    }
    let made = file(&shop, 12).await;
    assert_eq!((made.payouts, made.total.minor()), (1, 1_000));
    let refused = payouts.cancel(second.id).await.unwrap_err();
    assert_eq!(refusal(refused), "refused STATE_REFUSES");
    let unknown = payouts.cancel(PayoutId::from_random([1; 16])).await;
    assert_eq!(refusal(unknown.unwrap_err()), "refused NOT_FOUND");
}

#[tokio::test]
async fn a_file_is_the_same_bytes_whenever_it_is_asked_for_and_nothing_is_in_two() {
    let (shop, kim) = shop().await;
    let first = order(&shop, 10, kim, 4_000).await;
    let second = OrderPayout {
        account: "110-234-567890".to_owned(),
        holder: Some("Kim & Son".to_owned()),
        ..ordered(11, kim, 500)
    };
    let second = send(&shop, second).await.unwrap();
    let made = file(&shop, 12).await;
    let text = String::from_utf8(made.content.clone()).unwrap();
    let id = Reference::of_id(made.id.to_bytes());
    for part in [
        format!("<MsgId>{id}</MsgId>"),
        "<NbOfTxs>2</NbOfTxs><CtrlSum>4500</CtrlSum>".to_owned(),
        format!("<EndToEndId>{}</EndToEndId>", first.reference),
        format!("<IBAN>{IBAN}</IBAN>"),
        "<Nm>Kim Minjun</Nm>".to_owned(),
        "<Nm>Kim &amp; Son</Nm>".to_owned(),
        "<Id>110-234-567890</Id>".to_owned(),
        "<Dt>2027-01-15</Dt>".to_owned(),
        "<Nm>Corner Shop</Nm>".to_owned(),
    ] {
        let flat: String = text.lines().map(str::trim).collect();
        assert!(flat.contains(&part), "{part} in {flat}");
    }
    // Ordered since, and an hour later: not in it.
    shop.clock.advance(Duration::from_secs(3_600));
    order(&shop, 13, kim, 100).await;
    assert_eq!(file(&shop, 12).await, made);
    let shop = shop.restart();
    assert_eq!(file(&shop, 12).await, made);
    assert_eq!(shop.service.payouts.file(made.id).await.unwrap(), made);
    let day = Some("2027-01-18".parse().unwrap());
    let other = shop.service.payouts.make_file(request(12), day).await;
    assert_eq!(refusal(other.unwrap_err()), "refused ID_REUSED");
    let next = shop
        .service
        .payouts
        .make_file(request(14), day)
        .await
        .unwrap();
    assert_eq!((next.payouts, next.total.minor()), (1, 100));
    assert!(
        String::from_utf8(next.content)
            .unwrap()
            .contains("2027-01-18")
    );
    let none = shop.service.payouts.make_file(request(15), None).await;
    assert_eq!(refusal(none.unwrap_err()), "refused STATE_REFUSES");
    let sent = shop.service.payouts.find(second.id).unwrap();
    assert_eq!((sent.state, sent.file), (State::Sent, Some(made.id)));
}

#[tokio::test]
async fn the_bank_s_answer_posts_or_frees_and_a_second_one_changes_nothing() {
    let (shop, kim) = shop().await;
    let paid = order(&shop, 10, kim, 4_000).await;
    let refused = order(&shop, 11, kim, 1_000).await;
    let made = file(&shop, 12).await;
    let said = answer(
        &made,
        &[
            (&paid, Status::Accepted, None),
            (&refused, Status::Rejected, Some("AC04")),
        ],
    );
    let mut expected = vec![
        (paid.id, State::Accepted, Changed),
        (refused.id, State::Rejected, Changed),
    ];
    let mut told = report(&shop, said.clone()).await;
    told.sort_by_key(|(id, ..)| *id);
    expected.sort_by_key(|(id, ..)| *id);
    assert_eq!(told, expected);
    assert_eq!(balances(&shop, kim).await, (6_000, 6_000));
    let reason = shop.service.payouts.find(refused.id).unwrap().bank_reason;
    assert_eq!(reason.as_deref(), Some("AC04"));
    let rows = shop.rows();
    for (.., effect) in report(&shop, said).await {
        assert_eq!(effect, Unchanged);
    }
    let shop = shop.restart();
    assert_eq!(shop.rows(), rows, "not a row was changed");
    let settled = answer(&made, &[(&paid, Status::Settled, None)]);
    assert_eq!(
        report(&shop, settled).await,
        [(paid.id, State::Paid, Changed)]
    );
    let wrong = answer(&made, &[(&paid, Status::Rejected, Some("AM04"))]);
    assert_eq!(
        report(&shop, wrong).await,
        [(paid.id, State::Paid, Contradicted)]
    );
    assert_eq!(balances(&shop, kim).await, (6_000, 6_000));
}

#[tokio::test]
async fn what_the_bank_says_of_the_whole_holds_for_each_and_a_duplicate_is_nothing_new() {
    let (shop, kim) = shop().await;
    let first = order(&shop, 10, kim, 4_000).await;
    let made = file(&shop, 12).await;
    let whole = |status, reason: Option<&str>| StatusReport {
        status: Some(status),
        reason: reason.map(str::to_owned),
        ..answer(&made, &[])
    };
    let duplicate = whole(Status::Rejected, Some("DUPL"));
    let told = shop.service.payouts.report(duplicate).await.unwrap();
    assert!(told.is_duplicate && told.payouts.is_empty());
    for status in [Status::Pending, Status::Partly] {
        assert_eq!(report(&shop, whole(status, None)).await, []);
    }
    // Taken on, and refused all the same: the money goes back.
    let accepted = report(&shop, whole(Status::Accepted, None)).await;
    assert_eq!(accepted, [(first.id, State::Accepted, Changed)]);
    assert_eq!(balances(&shop, kim).await, (6_000, 6_000));
    let rejected = report(&shop, whole(Status::Rejected, Some("FF01"))).await;
    assert_eq!(rejected, [(first.id, State::Rejected, Changed)]);
    assert_eq!(balances(&shop, kim).await, (10_000, 10_000));
    let strange = StatusReport {
        batch: "NOT-OURS".to_owned(),
        ..whole(Status::Accepted, None)
    };
    let unknown = shop.service.payouts.report(strange).await.unwrap_err();
    assert_eq!(refusal(unknown), "refused NOT_FOUND");
    let mut other = answer(&made, &[(&first, Status::Rejected, None)]);
    other.payouts[0].reference = "PO-1".to_owned();
    assert_eq!(shop.service.payouts.report(other).await.unwrap().unknown, 1);
}

fn holds(shop: &Shop, piece: &str) -> bool {
    let rows = shop.rows();
    let within = |bytes: &[u8]| {
        bytes
            .windows(piece.len())
            .any(|part| part == piece.as_bytes())
    };
    rows.iter().any(|(key, value)| within(key) || within(value))
}

#[tokio::test]
async fn an_account_is_sealed_at_rest_and_goes_with_its_customer() {
    let (shop, kim) = shop().await;
    let first = order(&shop, 10, kim, 10_000).await;
    assert!(!holds(&shop, IBAN) && !holds(&shop, &IBAN[4..]));
    let made = file(&shop, 12).await;
    assert!(!format!("{made:?} {first:?} {:?}", ordered(1, kim, 1)).contains(&IBAN[4..]));
    let held = shop.service.customers.delete(kim).await.unwrap_err();
    assert_eq!(refusal(held), "refused BALANCE_REMAINS", "it may come back");
    let said = answer(&made, &[(&first, Status::Accepted, None)]);
    report(&shop, said).await;
    shop.service.customers.delete(kim).await.unwrap();
    let prefix = Table::PayoutAccount.key(&[]);
    assert!(shop.store.scan(&prefix, None, 10).unwrap().is_empty());
    let gone = shop.service.payouts.file(made.id).await.unwrap_err();
    assert_eq!(refusal(gone), "refused STATE_REFUSES");
    let kept = shop.service.payouts.find(first.id).unwrap();
    assert_eq!((kept.customer, kept.state), (kim, State::Accepted));
    // Refused after all: nobody is there to get it, and a person has to look.
    let late = answer(&made, &[(&first, Status::Rejected, None)]);
    assert_eq!(
        report(&shop, late).await,
        [(first.id, State::Accepted, Contradicted)]
    );
}

#[tokio::test]
async fn shift_and_statements_tell_what_went_to_the_bank_and_came_back() {
    use crate::paper::{Format, Owner};
    use crate::reports::Language;
    let (shop, kim) = shop().await;
    let (gone, back) = (
        order(&shop, 10, kim, 4_000).await,
        order(&shop, 11, kim, 1_000).await,
    );
    let made = file(&shop, 12).await;
    let accepted = |payout| (payout, Status::Accepted, None);
    report(&shop, answer(&made, &[accepted(&gone), accepted(&back)])).await;
    report(&shop, answer(&made, &[(&back, Status::Rejected, None)])).await;
    shop.clock.advance(Duration::from_secs(1));
    let to = (Language::En, Format::Text);
    let closed = shop
        .service
        .paper
        .close_shift(request(20), to)
        .await
        .unwrap();
    let text = String::from_utf8(closed.content).unwrap();
    for line in [
        "Top-ups x 1                         10,000",
        "Pay-outs x 2                         5,000",
        "Pay-outs returned x 1                1,000",
        "To the bank x 1                     10,000",
        "Expected                                 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let span = (
        Timestamp::from_micros(0),
        Timestamp::from_micros(u64::MAX / 2),
    );
    let paper = &shop.service.paper;
    let rows = |owner| {
        let csv = paper.statement(owner, span, Format::Csv).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        let cells = csv.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{} {} {}", cells[3], cells[4], cells[5])
        });
        cells.collect::<Vec<_>>()
    };
    let mut wallet = rows(Owner::Customer(kim));
    wallet[2..4].sort();
    assert_eq!(
        wallet,
        [
            "OPENING  0",
            "TOPUP 10000 10000",
            "PAYOUT -1000 5000",
            "PAYOUT -4000 6000",
            "RETURN 1000 6000",
            "CLOSING  6000",
        ]
    );
    let bank = rows(Owner::Bank);
    assert_eq!(bank[1], "DEPOSIT 10000 10000");
    assert_eq!(bank.last().unwrap(), "CLOSING  6000");
}
