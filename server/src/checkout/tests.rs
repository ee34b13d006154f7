//! Receipt rolls: what is sent, and what is answered.

use palm_models::template::Hand;
use palm_proto::{
    envelope::Binding,
    money::{Currency, Money},
    request::{CaptureMode, Page},
};

use super::*;
use crate::{
    fixture::{PAYMENT_MAX, Pay, Shop, krw, payment, refusal, template, till},
    payments::Asker,
    store::MemoryStore,
};

const COUNTER: &str = "counter-1";
const KIOSK: &str = "kiosk-1";

fn pay(id: u8, amount: u64, palm: u64, capture: u8) -> Pay {
    Pay {
        id,
        till: COUNTER,
        amount,
        palm,
        capture,
    }
}

/// A shop with Kim (palm 1, 10,000) and Lee (palm 2, nothing).
async fn shop() -> Shop {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim Minjun").await;
    let lee = shop.customer(2, "Lee").await;
    assert_eq!(shop.enrol(3, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.enrol(4, lee, 2).await, "ENROLLED 1");
    assert_eq!(shop.top_up(5, kim, 10_000).await, "balance 10000");
    shop
}

async fn roll(shop: &Shop, lines: &[(Pay, &str)]) {
    for (line, (pay, expected)) in lines.iter().enumerate() {
        assert_eq!(shop.pay(*pay).await, *expected, "line {line}: {pay:?}");
    }
    let audit = shop.service.wallets.audit().await.unwrap();
    assert!(audit.violations.is_empty(), "{:?}", audit.violations);
}

#[tokio::test]
async fn payments_take_money_until_the_wallet_is_empty() {
    let shop = shop().await;
    roll(
        &shop,
        &[
            (pay(1, 4_500, 1, 1), "APPROVED K** M** left 5500"),
            (pay(2, 5_500, 1, 2), "APPROVED K** M** left 0"),
            (pay(3, 1, 1, 3), "DECLINED K** M** INSUFFICIENT_FUNDS"),
            (pay(4, 100, 2, 4), "DECLINED L** INSUFFICIENT_FUNDS"),
        ],
    )
    .await;
}

#[tokio::test]
async fn stranger_is_not_recognised_and_the_id_stays_free() {
    let shop = shop().await;
    roll(
        &shop,
        &[
            (pay(1, 100, 77, 1), "NOT_RECOGNISED"),
            // The same bytes again: the same answer.
            (pay(1, 100, 77, 1), "NOT_RECOGNISED"),
            (pay(1, 100, 1, 2), "APPROVED K** M** left 9900"),
        ],
    )
    .await;
}

#[tokio::test]
async fn two_alike_are_ambiguous_and_nobody_pays() {
    let shop = shop().await;
    // Enrolment refuses a second owner of a palm, so the twin comes in below it.
    let twin = CustomerId::from_bytes([9; 16]);
    shop.plant(twin, &[template(Hand::Right, 1, 5)]);
    roll(
        &shop,
        &[
            (pay(1, 100, 1, 1), "AMBIGUOUS"),
            (pay(1, 100, 1, 1), "AMBIGUOUS"),
        ],
    )
    .await;
    assert_eq!(shop.top_up(9, twin, 1).await, "refused NOT_FOUND");
}

#[tokio::test]
async fn same_id_again_gets_the_same_answer_and_moves_money_once() {
    let shop = shop().await;
    roll(
        &shop,
        &[
            (pay(1, 4_000, 1, 1), "APPROVED K** M** left 6000"),
            (pay(2, 1_000, 1, 2), "APPROVED K** M** left 5000"),
            // The same bytes, a new capture, even another palm: what was booked is answered.
            (pay(1, 4_000, 1, 1), "APPROVED K** M** left 6000"),
            (pay(1, 4_000, 1, 3), "APPROVED K** M** left 6000"),
            (pay(1, 4_000, 77, 4), "APPROVED K** M** left 6000"),
            (pay(3, 9_000, 1, 5), "DECLINED K** M** INSUFFICIENT_FUNDS"),
            (pay(3, 9_000, 1, 6), "DECLINED K** M** INSUFFICIENT_FUNDS"),
            (pay(4, 5_000, 1, 7), "APPROVED K** M** left 0"),
        ],
    )
    .await;
}

#[tokio::test]
async fn same_id_with_other_content_is_refused_by_name() {
    let shop = shop().await;
    let kiosk = Pay {
        till: KIOSK,
        ..pay(1, 4_000, 1, 3)
    };
    roll(
        &shop,
        &[
            (pay(1, 4_000, 1, 1), "APPROVED K** M** left 6000"),
            (pay(1, 4_001, 1, 2), "refused ID_REUSED"),
            (kiosk, "refused ID_REUSED"),
            (pay(2, 4_000, 1, 4), "APPROVED K** M** left 2000"),
        ],
    )
    .await;
}

#[tokio::test]
async fn used_capture_pays_nothing_else() {
    let shop = shop().await;
    roll(
        &shop,
        &[
            (pay(1, 100, 1, 1), "APPROVED K** M** left 9900"),
            (pay(2, 100, 1, 1), "refused CAPTURE_REPLAYED"),
            (pay(3, 100, 77, 2), "NOT_RECOGNISED"),
            (pay(4, 100, 1, 2), "refused CAPTURE_REPLAYED"),
            // A refused capture leaves its payment id free.
            (pay(2, 100, 1, 3), "APPROVED K** M** left 9800"),
        ],
    )
    .await;
    // A capture of the enrolment, sealed again for a payment.
    let mut nonce = [3; 16];
    [nonce[0], nonce[1]] = [0xee, 0];
    let binding = Binding::Payment {
        till: till(COUNTER),
        payment: payment(9),
        amount: krw(1),
    };
    let sample = shop.seal(&template(Hand::Right, 1, 1), &binding, nonce);
    let request = AuthorisePayment {
        payment: payment(9),
        amount: krw(1),
        sample,
        capture_mode: CaptureMode::Automatic,
        accepted_offline: false,
    };
    assert_eq!(
        shop.authorise(COUNTER, request).await,
        "refused CAPTURE_REPLAYED"
    );
}

#[tokio::test]
async fn sealed_sample_opens_for_its_own_payment_only() {
    let shop = shop().await;
    let sealed = shop.authorisation(pay(1, 100, 1, 1));
    let rows = shop.rows();
    let other_id = AuthorisePayment {
        payment: payment(2),
        ..sealed.clone()
    };
    let other_amount = AuthorisePayment {
        amount: krw(99),
        ..sealed.clone()
    };
    let mut other_nonce = sealed.clone();
    other_nonce.sample.capture_nonce[0] ^= 1;
    let mut damaged = sealed.clone();
    damaged.sample.ciphertext[0] ^= 1;
    let mut other_key = sealed.clone();
    other_key.sample.key_id += 1;
    for request in [other_id, other_amount, other_nonce, damaged, other_key] {
        assert_eq!(
            shop.authorise(COUNTER, request).await,
            "refused SEAL_BROKEN"
        );
    }
    assert_eq!(
        shop.authorise(KIOSK, sealed.clone()).await,
        "refused SEAL_BROKEN"
    );
    assert_eq!(shop.rows(), rows, "a refusal writes nothing");
    assert_eq!(
        shop.authorise(COUNTER, sealed).await,
        "APPROVED K** M** left 9900"
    );
}

#[tokio::test]
async fn sealed_bytes_that_are_no_template_are_refused_and_store_nothing() {
    let shop = shop().await;
    let rows = shop.rows();
    let binding = Binding::Payment {
        till: till(COUNTER),
        payment: payment(1),
        amount: krw(1),
    };
    for plain in [vec![], vec![0; 515], vec![0xff; 516], vec![0; 1_000]] {
        let key = shop.service.sealing_key();
        let sample = key
            .seal(&plain, &binding, [1; 16], &mut |out| out.fill(5))
            .unwrap();
        let request = AuthorisePayment {
            payment: payment(1),
            amount: krw(1),
            sample,
            capture_mode: CaptureMode::Automatic,
            accepted_offline: false,
        };
        assert_eq!(shop.authorise(COUNTER, request).await, "refused MALFORMED");
    }
    assert_eq!(shop.rows(), rows);
}

#[tokio::test]
async fn amount_above_the_limit_or_in_another_currency_names_the_field_and_stores_nothing() {
    let shop = shop().await;
    let rows = shop.rows();
    let request = shop.authorisation(pay(1, PAYMENT_MAX, 1, 1));
    let above = AuthorisePayment {
        amount: krw(PAYMENT_MAX + 1),
        ..request.clone()
    };
    let euro = Money::amount(100, "EUR".parse::<Currency>().unwrap()).unwrap();
    let foreign = AuthorisePayment {
        amount: euro,
        ..request
    };
    for (request, field) in [
        (above, "amount.amount_minor"),
        (foreign, "amount.currency_code"),
    ] {
        let error = shop
            .service
            .checkout
            .authorise(till(COUNTER), request)
            .await
            .unwrap_err();
        let Error::Malformed(malformed) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(malformed.field, field);
        assert_eq!(refusal(error), "refused AMOUNT_INVALID");
    }
    assert_eq!(shop.rows(), rows);
}

#[tokio::test]
async fn deleted_customer_is_a_stranger_and_their_payments_stay_without_a_name() {
    let shop = shop().await;
    // The request that created her gives her again.
    let kim = shop.customer(1, "Kim Minjun").await;
    roll(&shop, &[(pay(1, 10_000, 1, 1), "APPROVED K** M** left 0")]).await;
    shop.service.customers.delete(kim).await.unwrap();
    roll(
        &shop,
        &[
            (pay(2, 1, 1, 2), "NOT_RECOGNISED"),
            (pay(1, 10_000, 1, 1), "APPROVED  left 0"),
        ],
    )
    .await;
    let kept = shop.service.payments.find(payment(1), Asker(None)).unwrap();
    assert_eq!((kept.customer, kept.masked_name.as_str()), (Some(kim), ""));
}

#[tokio::test]
async fn customer_deleted_after_identification_is_not_charged() {
    let shop = shop().await;
    // As if deleted in between: the customer is gone from the store, the palm is still found.
    let ghost = CustomerId::from_bytes([5; 16]);
    let samples = [1, 2, 3].map(|sample| template(Hand::Right, 50, sample));
    shop.plant(ghost, &samples);
    roll(
        &shop,
        &[
            (pay(1, 1, 50, 1), "NOT_RECOGNISED"),
            (pay(1, 1, 50, 1), "NOT_RECOGNISED"),
            (pay(1, 1, 1, 2), "APPROVED K** M** left 9999"),
        ],
    )
    .await;
}

#[tokio::test]
async fn cancelled_id_cannot_be_charged_however_late() {
    let shop = shop().await;
    assert_eq!(shop.cancel(COUNTER, 1, 100).await, "Cancelled");
    assert_eq!(shop.cancel(COUNTER, 1, 100).await, "Cancelled");
    roll(
        &shop,
        &[
            (pay(1, 100, 1, 1), "refused CANCELLED"),
            (pay(1, 200, 1, 2), "refused ID_REUSED"),
            (pay(2, 100, 1, 3), "APPROVED K** M** left 9900"),
        ],
    )
    .await;
    assert_eq!(shop.cancel(COUNTER, 2, 100).await, "Captured");
    assert_eq!(shop.cancel(COUNTER, 2, 101).await, "refused ID_REUSED");
    assert_eq!(shop.cancel(KIOSK, 2, 100).await, "refused ID_REUSED");
    assert_eq!(shop.cancel(KIOSK, 1, 100).await, "refused ID_REUSED");
}

#[tokio::test]
async fn payment_is_found_by_its_till_and_the_operator() {
    let shop = shop().await;
    let find = |id, reader: Option<&str>| {
        let reader = reader.map(till);
        let found = shop
            .service
            .payments
            .find(payment(id), Asker(reader.as_ref()));
        found.map_or_else(refusal, |payment| format!("{:?}", payment.state))
    };
    assert_eq!(find(1, Some(COUNTER)), "refused NOT_FOUND");
    roll(&shop, &[(pay(1, 100, 1, 1), "APPROVED K** M** left 9900")]).await;
    assert_eq!(find(1, Some(COUNTER)), "Captured");
    assert_eq!(find(1, None), "Captured");
    assert_eq!(find(1, Some(KIOSK)), "refused PERMISSION_DENIED");
}

#[tokio::test]
async fn lists_are_newest_first_in_parts_and_by_till() {
    let shop = shop().await;
    for n in 1..=5 {
        shop.clock.advance(std::time::Duration::from_secs(1));
        let by = if n % 2 == 0 { KIOSK } else { COUNTER };
        roll(
            &shop,
            &[(
                Pay {
                    till: by,
                    ..pay(n, 20_000, 1, n)
                },
                "DECLINED K** M** INSUFFICIENT_FUNDS",
            )],
        )
        .await;
    }
    let ids = |reader: Option<&str>| {
        let reader = reader.map(till);
        let (mut token, mut ids) = (String::new(), Vec::new());
        loop {
            let page = Page::parse(2, token).unwrap();
            let (payments, next) = shop
                .service
                .payments
                .list(&page, Asker(reader.as_ref()))
                .unwrap();
            ids.extend(payments.into_iter().map(|payment| payment.id));
            token = next;
            if token.is_empty() {
                return ids;
            }
        }
    };
    assert_eq!(ids(None), [5, 4, 3, 2, 1].map(payment));
    assert_eq!(ids(Some(COUNTER)), [5, 3, 1].map(payment));
    assert_eq!(ids(Some(KIOSK)), [4, 2].map(payment));
    assert_eq!(ids(Some("kiosk")), []);
    let forged = Page::parse(2, "ab".to_owned()).unwrap();
    let refused = shop
        .service
        .payments
        .list(&forged, Asker(None))
        .unwrap_err();
    assert_eq!(refusal(refused), "refused MALFORMED");
}

#[tokio::test]
async fn restart_keeps_palms_answers_and_books() {
    let shop = shop().await;
    roll(
        &shop,
        &[
            (pay(1, 4_000, 1, 1), "APPROVED K** M** left 6000"),
            (pay(2, 9_000, 1, 2), "DECLINED K** M** INSUFFICIENT_FUNDS"),
        ],
    )
    .await;
    let rows = shop.rows();
    let shop = shop.restart();
    assert_eq!(shop.rows(), rows, "opening writes nothing");
    roll(
        &shop,
        &[
            (pay(1, 4_000, 1, 1), "APPROVED K** M** left 6000"),
            (pay(2, 9_000, 1, 3), "DECLINED K** M** INSUFFICIENT_FUNDS"),
            (pay(3, 100, 1, 1), "refused CAPTURE_REPLAYED"),
            (pay(3, 6_000, 1, 4), "APPROVED K** M** left 0"),
            (pay(4, 1, 77, 5), "NOT_RECOGNISED"),
        ],
    )
    .await;
}

#[tokio::test]
async fn copies_of_one_send_at_once_charge_once() {
    let shop = shop().await;
    let request = shop.authorisation(pay(1, 1_000, 1, 1));
    let sends = (0..8).map(|_| {
        let (service, request) = (Arc::clone(&shop.service), request.clone());
        tokio::spawn(async move { service.checkout.authorise(till(COUNTER), request).await })
    });
    for send in sends.collect::<Vec<_>>() {
        let (outcome, _) = send.await.unwrap().unwrap();
        let Outcome::Approved { balance, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(balance.unwrap().minor(), 9_000);
    }
    assert_eq!(shop.service.wallets.audit().await.unwrap().transfers, 3);
}

#[test]
fn a_copy_that_comes_while_the_first_is_booked_goes_on_to_its_answer() {
    let [own, other] = [1, 2].map(|n| PaymentId::from_random([n; 16]));
    let used = NonceRow::Payment { payment: own };
    assert_eq!(refused_before(Some(used), own).unwrap(), None);
    let used = NonceRow::Payment { payment: own };
    let refused = refused_before(Some(used), other);
    assert!(
        matches!(refused, Err(Error::CaptureReplayed)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn till_and_person_have_budgets_that_come_back() {
    let mut terms = crate::fixture::terms();
    terms.limits.searches_per_minute = 4;
    terms.limits.matches_per_hour = 3;
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    let kim = shop.customer(1, "Kim Minjun").await;
    assert_eq!(shop.enrol(2, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.top_up(3, kim, 1_000).await, "balance 1000");
    let minute = std::time::Duration::from_secs(60);
    shop.clock.advance(minute);
    roll(
        &shop,
        &[
            (pay(1, 1, 77, 1), "NOT_RECOGNISED"),
            (pay(2, 1, 1, 2), "APPROVED K** M** left 999"),
            (pay(3, 1, 1, 3), "APPROVED K** M** left 998"),
            (pay(4, 1, 1, 4), "APPROVED K** M** left 997"),
            (pay(5, 1, 1, 5), "refused LIMIT_REACHED"),
            // What was booked is answered without a search.
            (pay(2, 1, 1, 2), "APPROVED K** M** left 999"),
        ],
    )
    .await;
    shop.clock.advance(minute);
    roll(&shop, &[(pay(5, 1, 1, 6), "NOT_RECOGNISED")]).await;
    shop.clock.advance(60 * minute);
    roll(&shop, &[(pay(5, 1, 1, 7), "APPROVED K** M** left 996")]).await;
}
