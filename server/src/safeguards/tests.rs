use palm_proto::digits::{PHONE_DIGITS, PIN_DIGITS};

use super::*;
use crate::fixture::{Shop, refusal};

fn pin(text: &str) -> Digits {
    Digits::new(text.to_owned(), PIN_DIGITS).unwrap()
}

fn nothing(customer: CustomerId) -> UpdateSafeguards {
    UpdateSafeguards {
        customer,
        current_pin: None,
        pin: None,
        phone_digits: None,
        always_second_factor: None,
        frozen: None,
        payment_max_minor: None,
        day_max_minor: None,
    }
}

async fn by_till(shop: &Shop, change: UpdateSafeguards) -> Result<View, String> {
    let updated = shop.service.safeguards.update(change, false).await;
    updated.map_err(refusal)
}

#[tokio::test]
async fn till_sets_the_first_pin_and_needs_it_from_then_on_except_to_freeze() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let first = UpdateSafeguards {
        pin: Some(Some(pin("0427"))),
        ..nothing(kim)
    };
    assert!(by_till(&shop, first).await.unwrap().has_pin);
    let higher = UpdateSafeguards {
        payment_max_minor: Some(9_000),
        ..nothing(kim)
    };
    let refused = by_till(&shop, higher.clone()).await;
    assert_eq!(refused, Err("refused FACTOR_WRONG".to_owned()));
    let proved = UpdateSafeguards {
        current_pin: Some(pin("0427")),
        ..higher
    };
    let view = by_till(&shop, proved).await.unwrap();
    assert_eq!((view.payment_max_minor, view.has_pin), (9_000, true));
    let freeze = UpdateSafeguards {
        frozen: Some(true),
        ..nothing(kim)
    };
    assert!(by_till(&shop, freeze).await.unwrap().is_frozen);
    let thaw = UpdateSafeguards {
        frozen: Some(false),
        ..nothing(kim)
    };
    assert!(by_till(&shop, thaw).await.is_err());
}

#[tokio::test]
async fn wrong_current_pins_lock_and_an_operator_s_new_pin_unlocks() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let set = |text: &str| UpdateSafeguards {
        pin: Some(Some(pin(text))),
        ..nothing(kim)
    };
    shop.service
        .safeguards
        .update(set("0427"), true)
        .await
        .unwrap();
    for _ in 0..limits::WRONG_FACTORS_MAX {
        let guess = UpdateSafeguards {
            current_pin: Some(pin("1111")),
            ..set("2222")
        };
        assert_eq!(
            by_till(&shop, guess).await,
            Err("refused FACTOR_WRONG".to_owned())
        );
    }
    let right = UpdateSafeguards {
        current_pin: Some(pin("0427")),
        ..set("2222")
    };
    assert_eq!(
        by_till(&shop, right).await,
        Err("refused FACTOR_LOCKED".to_owned())
    );
    let view = shop
        .service
        .safeguards
        .update(set("3333"), true)
        .await
        .unwrap();
    assert!(!view.is_locked);
    let is_right = shop
        .service
        .safeguards
        .is_right(kim, Factor::Pin(pin("3333")))
        .await;
    assert!(is_right.unwrap());
}

#[tokio::test]
async fn factors_are_sealed_and_end_with_their_owner() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let digits = Digits::new("5678".to_owned(), PHONE_DIGITS).unwrap();
    let change = UpdateSafeguards {
        pin: Some(Some(pin("0427"))),
        phone_digits: Some(Some(digits.clone())),
        ..nothing(kim)
    };
    shop.service.safeguards.update(change, true).await.unwrap();
    let phone = Factor::PhoneDigits(digits);
    assert!(
        shop.service
            .safeguards
            .is_right(kim, phone.clone())
            .await
            .unwrap()
    );
    let own = |shop: &Shop| {
        let of_kim = |key: &[u8]| key.windows(16).any(|part| part == kim.to_bytes());
        shop.rows()
            .into_iter()
            .filter(move |(key, _)| of_kim(key))
            .count()
    };
    assert!(own(&shop) > 0);
    shop.service.customers.delete(kim).await.unwrap();
    assert_eq!(own(&shop), 0);
    assert!(!shop.service.safeguards.is_right(kim, phone).await.unwrap());
    let gone = shop.service.safeguards.find(kim).unwrap_err();
    assert_eq!(refusal(gone), "refused NOT_FOUND");
}
