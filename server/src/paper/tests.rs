use super::*;
use crate::clock::Clock;
use crate::fixture::{Pay, Shop, krw, payment, request};

fn pay(id: u8, amount: u64) -> Pay {
    Pay {
        id,
        till: "counter-1",
        amount,
        palm: 1,
        capture: id,
    }
}

/// Kim pays 1,100 and 2,200; 550 of the second go back.
async fn day() -> (Shop, CustomerId) {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim Minjun").await;
    assert_eq!(shop.enrol(2, kim, 1).await, "ENROLLED 1");
    shop.top_up(3, kim, 10_000).await;
    shop.pay(pay(1, 1_100)).await;
    shop.pay(pay(2, 2_200)).await;
    let back = palm_proto::request::ChangePayment {
        request_id: request(4),
        payment: payment(2),
        amount: Some(krw(550)),
    };
    shop.service
        .payments
        .refund(back, Asker(None))
        .await
        .unwrap();
    shop.pay_out(5, kim, 50).await;
    (shop, kim)
}

const TEXT: (Language, Format) = (Language::En, Format::Text);

fn text(content: Vec<u8>) -> String {
    String::from_utf8(content).unwrap()
}

#[tokio::test]
async fn receipt_tells_tax_and_what_went_back() {
    let (shop, _) = day().await;
    let paper = &shop.service.paper;
    let name = "K** M**".to_owned();
    let receipt = paper.receipt(payment(2), name.clone(), Asker(None), TEXT);
    let receipt = text(receipt.unwrap());
    for part in [
        "Corner Shop",
        "K** M**",
        "VAT (10 %)",
        "200",
        "KRW 2,200",
        "KRW 1,650",
    ] {
        assert!(receipt.contains(part), "{part} in\n{receipt}");
    }
    let bytes = paper.receipt(
        payment(2),
        name,
        Asker(None),
        (Language::Ko, Format::EscPos),
    );
    assert!(
        bytes.unwrap().starts_with(b"\x1b@"),
        "a printer is initialised"
    );
    let other = crate::fixture::till("kiosk-1");
    let refused = paper.receipt(payment(2), String::new(), Asker(Some(&other)), TEXT);
    assert!(matches!(refused, Err(Error::PermissionDenied(_))));
    let csv = paper.receipt(
        payment(2),
        String::new(),
        Asker(None),
        (Language::En, Format::Csv),
    );
    assert!(matches!(csv, Err(Error::Malformed(_))));
}

#[tokio::test]
async fn shift_is_closed_once_agrees_with_the_ledger_and_the_next_begins_empty() {
    let (shop, _) = day().await;
    let paper = &shop.service.paper;
    let second = std::time::Duration::from_secs(1);
    shop.clock.advance(second);
    let first = paper.close_shift(request(20), TEXT).await.unwrap();
    assert_eq!((first.number, first.net_sales_minor), (1, 2_750));
    let written = text(first.content.clone());
    assert!(
        written.contains("0001") && written.contains("counter-1"),
        "{written}"
    );
    let again = paper.close_shift(request(20), TEXT).await.unwrap();
    assert_eq!(again, first, "the same request closes once");
    shop.pay(pay(6, 330)).await;
    shop.clock.advance(second);
    let next = paper.close_shift(request(21), TEXT).await.unwrap();
    assert_eq!((next.number, next.net_sales_minor), (2, 330));
    assert_eq!(next.open_time, first.close_time);
    assert_eq!(
        paper.shift(1, TEXT).await.unwrap(),
        first,
        "printed once more"
    );
    assert!(matches!(
        paper.shift(3, TEXT).await,
        Err(Error::ReportNotFound)
    ));
    let reused = paper.close_shift(request(3), TEXT).await;
    assert!(matches!(reused, Err(Error::IdReused)), "a top-up's id");
}

#[tokio::test]
async fn statements_begin_and_end_with_the_balances_of_the_books() {
    let (shop, kim) = day().await;
    let paper = &shop.service.paper;
    let all = (
        Timestamp::from_micros(0),
        Timestamp::from_micros(u64::MAX / 2),
    );
    let csv = text(
        paper
            .statement(Owner::Customer(kim), all, Format::Csv)
            .unwrap(),
    );
    assert_eq!(
        csv.lines().filter(|line| line.contains("CAPTURE")).count(),
        2,
        "{csv}"
    );
    assert!(csv.contains("TOPUP") && csv.contains("REFUND") && csv.contains("PAYOUT"));
    let now = shop.clock.now();
    let span = (
        Timestamp::from_micros(0),
        Timestamp::from_micros(now.micros() + 1),
    );
    let xml = text(paper.statement(Owner::Shop, span, Format::Camt053).unwrap());
    assert!(
        xml.contains("camt.053.001.08") && xml.contains("2750"),
        "{xml}"
    );
    let backwards = paper.statement(Owner::Shop, (span.1, span.0), Format::Csv);
    assert!(matches!(backwards, Err(Error::Malformed(_))));
    let nobody = Owner::Customer(CustomerId::from_bytes([9; 16]));
    let unknown = paper.statement(nobody, span, Format::Csv);
    assert!(matches!(unknown, Err(Error::CustomerNotFound)));
}
