use palm_models::template::Hand;
use palm_proto::{
    id::CustomerId,
    request::{CreateCustomer, Page},
};

use super::*;
use crate::{
    fixture::{Pay, Shop, create_customer, payment, request, template, till},
    service::Terms,
    store::MemoryStore,
};

const UNKNOWN: CustomerId = CustomerId::from_bytes([9; 16]);

fn samples(hand: Hand, palm: u64) -> Vec<Template> {
    [1, 2, 3]
        .map(|sample| template(hand, palm, sample))
        .to_vec()
}

#[tokio::test]
async fn both_palms_are_enrolled_at_once_or_one_after_the_other() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let both = [samples(Hand::Right, 1), samples(Hand::Left, 2)].concat();
    assert_eq!(
        shop.send(shop.enrolment_of(2, kim, &both)).await,
        "ENROLLED 2"
    );
    let lee = shop.customer(3, "Lee").await;
    assert_eq!(
        shop.send(shop.enrolment_of(4, lee, &samples(Hand::Right, 3)))
            .await,
        "ENROLLED 1"
    );
    assert_eq!(
        shop.send(shop.enrolment_of(5, lee, &samples(Hand::Left, 4)))
            .await,
        "ENROLLED 2"
    );
    assert_eq!(shop.service.customers.find(lee).unwrap().palms, 2);
}

#[tokio::test]
async fn too_few_or_unlike_samples_are_refused_and_nothing_is_enrolled() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let right = samples(Hand::Right, 1);
    let left = samples(Hand::Left, 2);
    let one_of_another = [&right[..2], &[template(Hand::Right, 5, 1)]].concat();
    let rows = [
        (2, right[..2].to_vec(), "SAMPLES_MISSING"),
        (3, [&right[..], &left[..1]].concat(), "SAMPLES_MISSING"),
        (4, one_of_another, "SAMPLES_DISAGREE"),
    ];
    for (n, samples, expected) in rows {
        let enrolment = shop.enrolment_of(n, kim, &samples);
        assert_eq!(shop.send(enrolment.clone()).await, expected);
        assert_eq!(
            shop.send(enrolment).await,
            expected,
            "the same request, the same answer"
        );
    }
    assert_eq!(shop.service.customers.find(kim).unwrap().palms, 0);
    assert!(shop.service.enrolment.base.gallery.is_empty());
}

#[tokio::test]
async fn palm_of_another_customer_is_refused_and_one_s_own_is_welcome() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let lee = shop.customer(2, "Lee").await;
    assert_eq!(shop.enrol(3, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.enrol(4, lee, 1).await, "ALREADY_ENROLLED");
    assert_eq!(shop.enrol(5, kim, 1).await, "ENROLLED 1");
    // Somebody else's right palm does not become hers.
    assert_eq!(shop.enrol(6, kim, 2).await, "SAMPLES_DISAGREE");
    assert_eq!(shop.enrol(7, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.enrol(8, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.enrol(9, kim, 1).await, "refused LIMIT_REACHED");
}

#[tokio::test]
async fn two_enrolments_of_one_palm_at_once_give_it_to_one() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let lee = shop.customer(2, "Lee").await;
    let (first, second) = tokio::join!(shop.enrol(3, kim, 1), shop.enrol(4, lee, 1));
    let mut answers = [first, second];
    answers.sort_unstable();
    assert_eq!(answers, ["ALREADY_ENROLLED", "ENROLLED 1"]);
}

#[tokio::test]
async fn same_request_gets_the_same_answer_and_other_content_is_refused() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let lee = shop.customer(2, "Lee").await;
    let sent = shop.enrolment(3, kim, 1);
    assert_eq!(shop.send(sent.clone()).await, "ENROLLED 1");
    assert_eq!(shop.send(sent.clone()).await, "ENROLLED 1");
    assert_eq!(shop.service.enrolment.base.gallery.len(), 3);
    let fewer = Enrol {
        samples: sent.samples[..2].to_vec(),
        ..sent.clone()
    };
    let for_another = Enrol {
        customer: lee,
        ..sent.clone()
    };
    let mut other_capture = sent.clone();
    other_capture.samples[0].capture_nonce = [1; 16];
    // The request id of a customer's creation.
    let of_another_kind = Enrol {
        request_id: request(1),
        ..sent
    };
    for enrolment in [fewer, for_another, other_capture, of_another_kind] {
        assert_eq!(shop.send(enrolment).await, "refused ID_REUSED");
    }
}

#[tokio::test]
async fn bad_samples_and_unknown_customers_store_nothing() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let rows = shop.rows();
    let good = shop.enrolment(3, kim, 1);
    let mut damaged = good.clone();
    damaged.samples[2].ciphertext[5] ^= 1;
    let mut twice = good.clone();
    twice.samples[2] = twice.samples[0].clone();
    let moved = Enrol {
        request_id: request(8),
        ..good
    };
    assert_eq!(shop.send(damaged).await, "refused SEAL_BROKEN");
    assert_eq!(shop.send(twice).await, "refused CAPTURE_REPLAYED");
    assert_eq!(shop.send(moved).await, "refused SEAL_BROKEN");
    assert_eq!(shop.enrol(4, UNKNOWN, 1).await, "refused NOT_FOUND");
    assert_eq!(shop.rows(), rows);
}

#[tokio::test]
async fn capture_of_a_payment_enrols_nobody() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    let pay = Pay {
        id: 1,
        till: "counter-1",
        amount: 1,
        palm: 1,
        capture: 7,
    };
    assert_eq!(shop.pay(pay).await, "NOT_RECOGNISED");
    let mut enrolment = shop.enrolment(2, kim, 1);
    let binding = Binding::Enrolment {
        till: till("counter-1"),
        customer: kim,
        request: request(2),
    };
    enrolment.samples[0] = shop.seal(&template(Hand::Right, 1, 1), &binding, [7; 16]);
    assert_eq!(shop.send(enrolment).await, "refused CAPTURE_REPLAYED");
    assert!(shop.service.enrolment.base.gallery.is_empty());
    assert_eq!(shop.service.customers.find(kim).unwrap().palms, 0);
    assert!(
        shop.service
            .payments
            .find(payment(1), crate::payments::Asker(None))
            .is_err()
    );
}

#[tokio::test]
async fn full_gallery_refuses_and_says_so() {
    let mut terms: Terms = crate::fixture::terms();
    terms.limits.samples_max = 5;
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    let kim = shop.customer(1, "Kim").await;
    let lee = shop.customer(2, "Lee").await;
    assert_eq!(shop.enrol(3, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.enrol(4, lee, 2).await, "refused LIMIT_REACHED");
}

#[tokio::test]
async fn deleted_customer_s_palm_can_be_enrolled_by_somebody_again() {
    let shop = Shop::open();
    let kim = shop.customer(1, "Kim").await;
    assert_eq!(shop.enrol(2, kim, 1).await, "ENROLLED 1");
    shop.service.customers.delete(kim).await.unwrap();
    assert_eq!(shop.enrol(3, kim, 1).await, "refused NOT_FOUND");
    let again: CreateCustomer = create_customer(4, "Kim");
    let kim = shop.service.customers.create(again).await.unwrap().id;
    assert_eq!(shop.enrol(5, kim, 1).await, "ENROLLED 1");
    let page = Page::parse(10, String::new()).unwrap();
    assert_eq!(shop.service.customers.list(&page).unwrap().0.len(), 1);
}
