use std::time::Duration;

use palm_proto::id::RequestId;

use super::*;
use crate::fixture::{Shop, create_customer, refusal, request};

async fn create(shop: &Shop, request: CreateCustomer) -> Result<CustomerId, String> {
    shop.service
        .customers
        .create(request)
        .await
        .map(|customer| customer.id)
        .map_err(refusal)
}

#[tokio::test]
async fn same_request_gives_the_same_customer_and_other_content_is_refused() {
    let shop = Shop::open();
    let sent = create_customer(1, "Kim Minjun");
    let kim = create(&shop, sent.clone()).await.unwrap();
    assert_eq!(create(&shop, sent.clone()).await, Ok(kim));
    let others = [
        CreateCustomer {
            display_name: "Lee".to_owned(),
            ..sent.clone()
        },
        CreateCustomer {
            notice_version: "2027-01".to_owned(),
            ..sent.clone()
        },
        CreateCustomer {
            language: "en".to_owned(),
            ..sent.clone()
        },
    ];
    for other in others {
        assert_eq!(
            create(&shop, other).await,
            Err("refused ID_REUSED".to_owned())
        );
    }
    let new = CreateCustomer {
        request_id: RequestId::from_random([2; 16]),
        ..sent
    };
    assert_ne!(create(&shop, new).await, Ok(kim));
}

#[tokio::test]
async fn list_is_in_order_of_creation_and_in_parts() {
    let shop = Shop::open();
    for n in 1..=5 {
        shop.customer(n, &format!("Person {n}")).await;
        shop.clock.advance(Duration::from_secs(1));
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let page = Page::parse(2, token).unwrap();
        let (customers, next) = shop.service.customers.list(&page).unwrap();
        names.extend(customers.into_iter().map(|customer| customer.display_name));
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, [1, 2, 3, 4, 5].map(|n| format!("Person {n}")));
}

#[tokio::test]
async fn deletion_leaves_neither_key_nor_name_nor_template() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim Minjun").await;
    assert_eq!(shop.enrol(2, kim, 1).await, "ENROLLED 1");
    let of_kim = |shop: &Shop| {
        let id = kim.to_bytes();
        let rows = shop.rows().into_iter().map(|(key, _)| key);
        rows.filter(|key| key.windows(16).any(|part| part == id))
            .count()
    };
    assert_eq!(of_kim(&shop), 1 + 1 + 1 + 1 + 3);
    shop.service.customers.delete(kim).await.unwrap();
    assert_eq!(of_kim(&shop), 0);
    assert_eq!(
        refusal(shop.service.customers.find(kim).unwrap_err()),
        "refused NOT_FOUND"
    );
    let again = shop.service.customers.delete(kim).await.unwrap_err();
    assert_eq!(refusal(again), "refused NOT_FOUND");
    // The request that created her does not bring her back.
    let answer = create(&shop, create_customer(1, "Kim Minjun")).await;
    assert_eq!(answer, Err("refused NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn names_are_nowhere_in_the_store_in_the_clear() {
    let shop = Shop::open();
    shop.customer(1, "Zebedee Quux").await;
    for (_, value) in shop.rows() {
        assert!(
            !value
                .windows(4)
                .any(|part| part == b"Zebe" || part == b"Quux")
        );
    }
}

#[tokio::test]
async fn deletion_waits_for_the_wallet_to_be_empty() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    assert_eq!(shop.top_up(2, kim, 100).await, "balance 100");
    let refused = shop.service.customers.delete(kim).await.unwrap_err();
    assert_eq!(refusal(refused), "refused BALANCE_REMAINS");
    assert_eq!(shop.pay_out(3, kim, 100).await, "balance 0");
    shop.service.customers.delete(kim).await.unwrap();
}

#[tokio::test]
async fn request_id_of_another_kind_is_refused() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    assert_eq!(shop.top_up(2, kim, 100).await, "balance 100");
    let reused = CreateCustomer {
        request_id: request(2),
        ..create_customer(3, "Lee")
    };
    assert_eq!(
        create(&shop, reused).await,
        Err("refused ID_REUSED".to_owned())
    );
}

#[test]
fn masked_names_tell_first_letters_only() {
    let rows = [
        ("Kim Minjun", "K** M**"),
        ("홍길동", "홍**"),
        ("X", "X**"),
        (" a  b ", "a** b**"),
    ];
    for (name, expected) in rows {
        assert_eq!(masked(name), expected);
    }
}
