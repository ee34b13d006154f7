use palm_proto::money::AMOUNT_MAX;

use super::*;
use crate::{
    clock::Timestamp,
    entropy::SeededEntropy,
    fixture::{Shop, refusal, request},
    rail::wallet,
};

const UNKNOWN: CustomerId = CustomerId::from_bytes([9; 16]);

#[tokio::test]
async fn money_goes_in_and_out_once_a_request() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let lee = shop.customer(2, "Lee").await;
    assert_eq!(shop.top_up(3, kim, 1_000).await, "balance 1000");
    assert_eq!(shop.top_up(4, kim, 500).await, "balance 1500");
    assert_eq!(
        shop.top_up(3, kim, 1_000).await,
        "balance 1000",
        "as it was answered then"
    );
    assert_eq!(shop.pay_out(5, kim, 200).await, "balance 1300");
    assert_eq!(shop.pay_out(5, kim, 200).await, "balance 1300");
    let reused = [
        shop.top_up(3, kim, 999).await,
        shop.top_up(3, lee, 1_000).await,
        shop.pay_out(3, kim, 1_000).await,
        shop.top_up(5, kim, 200).await,
        shop.top_up(1, kim, 200).await,
    ];
    assert!(
        reused.iter().all(|answer| answer == "refused ID_REUSED"),
        "{reused:?}"
    );
    assert_eq!(
        shop.service.wallets.balance(kim).await.unwrap().minor(),
        1_300
    );
    let audit = shop.service.wallets.audit().await.unwrap();
    assert_eq!(
        (audit.transfers, audit.accounts, audit.violations.len()),
        (3, 2, 0)
    );
}

#[tokio::test]
async fn more_than_there_is_or_fits_is_refused_and_books_nothing() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    assert_eq!(shop.pay_out(2, kim, 1).await, "refused INSUFFICIENT_FUNDS");
    assert_eq!(shop.top_up(3, UNKNOWN, 1).await, "refused NOT_FOUND");
    assert_eq!(shop.pay_out(4, UNKNOWN, 1).await, "refused NOT_FOUND");
    let unknown = shop.service.wallets.balance(UNKNOWN).await.unwrap_err();
    assert_eq!(refusal(unknown), "refused NOT_FOUND");
    // A refused request may be sent again when it fits.
    assert_eq!(
        shop.top_up(3, kim, AMOUNT_MAX).await,
        format!("balance {AMOUNT_MAX}")
    );
    let euro = Money::amount(1, "EUR".parse().unwrap()).unwrap();
    let sent = WalletTransfer {
        request_id: request(5),
        customer: kim,
        amount: euro,
    };
    let refused = shop.service.wallets.top_up(sent).await.unwrap_err();
    assert_eq!(refusal(refused), "refused AMOUNT_INVALID");
    assert_eq!(shop.service.wallets.audit().await.unwrap().transfers, 1);
}

#[tokio::test]
async fn sum_that_does_not_fit_is_refused_and_books_nothing() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let entropy = SeededEntropy::new(3);
    let nearly = Money::balance(u64::MAX - 100, Currency::KRW);
    let booking = shop.service.wallets.base.writer.write(move |tx| {
        wallet::cash_in(
            tx,
            wallet::Draft::draw(&entropy, Timestamp::from_micros(1)),
            kim,
            nearly,
        )
    });
    booking.await.unwrap();
    assert_eq!(shop.top_up(2, kim, 101).await, "refused AMOUNT_OVERFLOW");
    assert_eq!(
        shop.top_up(3, kim, 100).await,
        format!("balance {}", u64::MAX)
    );
    assert_eq!(shop.service.wallets.audit().await.unwrap().transfers, 2);
}
