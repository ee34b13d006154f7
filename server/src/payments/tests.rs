//! Lives of payments: what is asked, and what is told, from the wallet and from an outside rail.

use std::{collections::VecDeque, sync::Mutex};

use palm_proto::request::{
    AuthorisePayment, ConfirmPayment, Confirmation, Factor, UpdateSafeguards,
};

use super::*;
use crate::clock::Clock;
use crate::{
    config,
    fixture::{Pay, Shop, krw, payment, refusal, request, terms, till, words},
    rail::{Answer, Instrument, Reference, Step},
    service::Terms,
    store::MemoryStore,
};

const COUNTER: &str = "counter-1";

fn pay(id: u8, amount: u64, palm: u64) -> Pay {
    Pay {
        id,
        till: COUNTER,
        amount,
        palm,
        capture: id,
    }
}

fn change(n: u8, id: u8, amount: Option<u64>) -> ChangePayment {
    ChangePayment {
        request_id: request(n),
        payment: payment(id),
        amount: amount.map(krw),
    }
}

/// A payment in words: its state and what was taken and given back.
fn told_payment(payment: Result<Payment, Error>) -> String {
    payment.map_or_else(refusal, |payment| {
        format!(
            "{:?} {}-{}",
            payment.state,
            payment.captured.minor(),
            payment.refunded.minor()
        )
    })
}

fn told_refund(refund: Result<Refund, Error>) -> String {
    refund.map_or_else(refusal, |refund| {
        format!("{:?} {}", refund.standing, refund.amount.minor())
    })
}

/// Kim (palm 1) with 10,000 in the wallet.
async fn furnish(shop: &Shop) -> CustomerId {
    let kim = shop.customer(1, "Kim").await;
    assert_eq!(shop.enrol(2, kim, 1).await, "ENROLLED 1");
    assert_eq!(shop.top_up(3, kim, 10_000).await, "balance 10000");
    kim
}

fn with_policy(change: impl FnOnce(&mut config::Policy)) -> Terms {
    let mut terms = terms();
    change(&mut terms.policy);
    terms
}

impl Shop {
    async fn hold(&self, pay: Pay) -> String {
        let request = AuthorisePayment {
            capture_mode: CaptureMode::Manual,
            ..self.authorisation(pay)
        };
        self.authorise(pay.till, request).await
    }

    async fn capture(&self, n: u8, id: u8, amount: Option<u64>) -> String {
        let asked = change(n, id, amount);
        told_payment(self.service.payments.capture(asked, Asker(None)).await)
    }

    async fn void(&self, n: u8, id: u8) -> String {
        let asked = change(n, id, None);
        told_payment(self.service.payments.void(asked, Asker(None)).await)
    }

    async fn refund(&self, n: u8, id: u8, amount: Option<u64>) -> String {
        let asked = change(n, id, amount);
        told_refund(self.service.payments.refund(asked, Asker(None)).await)
    }

    async fn give(&self, n: u8, id: u8, what: Confirmation) -> String {
        let asked = ConfirmPayment {
            request_id: request(n),
            payment: payment(id),
            what,
        };
        let answer = self.service.checkout.confirm(till(COUNTER), asked).await;
        answer.map_or_else(refusal, |outcome| words(&outcome))
    }

    async fn give_pin(&self, n: u8, id: u8, pin: &str) -> String {
        let pin = Factor::Pin(digits(pin));
        self.give(n, id, Confirmation::Factor(pin)).await
    }

    async fn balance(&self, customer: CustomerId) -> u64 {
        let balance = self.service.wallets.balance(customer).await;
        balance.unwrap().minor()
    }

    fn stands(&self, id: u8) -> String {
        told_payment(self.service.payments.find(payment(id), Asker(None)))
    }

    async fn sweep_after(&self, seconds: u64) {
        self.clock.advance(std::time::Duration::from_secs(seconds));
        self.service.payments.sweep(false).await.unwrap();
    }

    async fn set(&self, customer: CustomerId, set: impl FnOnce(&mut UpdateSafeguards)) {
        let mut change = UpdateSafeguards {
            customer,
            current_pin: None,
            pin: None,
            phone_digits: None,
            always_second_factor: None,
            frozen: None,
            payment_max_minor: None,
            day_max_minor: None,
        };
        set(&mut change);
        self.service.safeguards.update(change, true).await.unwrap();
    }

    async fn assert_books(&self) {
        let audit = self.service.wallets.audit().await.unwrap();
        assert!(audit.violations.is_empty(), "{:?}", audit.violations);
    }
}

fn digits(text: &str) -> palm_proto::digits::Digits {
    palm_proto::digits::Digits::new(text.to_owned(), 4..=12).unwrap()
}

#[tokio::test]
async fn held_money_is_captured_in_part_and_the_rest_is_free_again() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    assert_eq!(shop.hold(pay(1, 4_000, 1)).await, "APPROVED K** left 6000");
    assert_eq!(shop.stands(1), "Authorised 0-0");
    assert_eq!(
        shop.capture(10, 1, Some(4_001)).await,
        "refused AMOUNT_TOO_LARGE"
    );
    assert_eq!(shop.capture(11, 1, Some(3_000)).await, "Captured 3000-0");
    assert_eq!(shop.balance(kim).await, 7_000);
    assert_eq!(shop.capture(12, 1, None).await, "refused STATE_REFUSES");
    assert_eq!(shop.void(13, 1).await, "refused STATE_REFUSES");
    // The palm's answer does not change with what came after it.
    assert_eq!(shop.hold(pay(1, 4_000, 1)).await, "APPROVED K** left 6000");
    assert_eq!(
        shop.pay(pay(1, 4_000, 1)).await,
        "refused ID_REUSED",
        "another capture mode"
    );
    shop.assert_books().await;
}

#[tokio::test]
async fn voided_and_expired_holds_give_the_money_back() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    shop.hold(pay(1, 4_000, 1)).await;
    shop.hold(pay(2, 5_000, 1)).await;
    assert_eq!(shop.balance(kim).await, 1_000);
    assert_eq!(shop.void(10, 1).await, "Voided 0-0");
    assert_eq!(shop.balance(kim).await, 5_000);
    shop.sweep_after(7 * 86_400 - 1).await;
    assert_eq!(shop.stands(2), "Authorised 0-0");
    shop.sweep_after(1).await;
    assert_eq!(shop.stands(2), "Expired 0-0");
    assert_eq!(shop.balance(kim).await, 10_000);
    assert_eq!(shop.capture(11, 2, None).await, "refused STATE_REFUSES");
    shop.assert_books().await;
}

#[tokio::test]
async fn refunds_never_give_back_more_than_was_captured() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    assert_eq!(shop.pay(pay(1, 6_000, 1)).await, "APPROVED K** left 4000");
    assert_eq!(shop.refund(10, 1, Some(2_000)).await, "Done 2000");
    assert_eq!(
        shop.refund(11, 1, Some(4_001)).await,
        "refused AMOUNT_TOO_LARGE"
    );
    assert_eq!(shop.refund(12, 1, None).await, "Done 4000");
    assert_eq!(shop.refund(13, 1, None).await, "refused STATE_REFUSES");
    assert_eq!(shop.stands(1), "Captured 6000-6000");
    assert_eq!(shop.balance(kim).await, 10_000);
    let refunds = shop
        .service
        .payments
        .refunds(payment(1), Asker(None))
        .unwrap();
    let sums: Vec<_> = refunds.iter().map(|refund| refund.amount.minor()).collect();
    assert_eq!(sums, [2_000, 4_000]);
    shop.assert_books().await;
}

#[tokio::test]
async fn repeated_request_gets_the_first_answer_and_other_content_is_refused_by_name() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    shop.hold(pay(1, 4_000, 1)).await;
    assert_eq!(shop.capture(10, 1, Some(3_000)).await, "Captured 3000-0");
    assert_eq!(shop.refund(11, 1, Some(500)).await, "Done 500");
    // The capture is told as it was answered, before the refund.
    assert_eq!(shop.capture(10, 1, Some(3_000)).await, "Captured 3000-0");
    assert_eq!(shop.refund(11, 1, Some(500)).await, "Done 500");
    for reused in [
        shop.capture(10, 1, Some(2_999)).await,
        shop.capture(11, 1, Some(500)).await,
        shop.refund(10, 1, Some(3_000)).await,
        shop.void(10, 1).await,
        shop.refund(3, 1, Some(1)).await,
    ] {
        assert_eq!(reused, "refused ID_REUSED");
    }
    assert_eq!(shop.balance(kim).await, 7_500);
    let shop = shop.restart();
    assert_eq!(shop.refund(11, 1, Some(500)).await, "Done 500");
    assert_eq!(shop.stands(1), "Captured 3000-500");
    shop.assert_books().await;
}

#[tokio::test]
async fn announced_payment_is_taken_by_its_till_or_expires() {
    let shop = Shop::open();
    furnish(&shop).await;
    shop.create_till(COUNTER, 5).await.unwrap();
    let announce = |n: u8, amount| CreatePayment {
        payment: payment(n),
        amount: krw(amount),
        capture_mode: CaptureMode::Automatic,
        till: Some(till(COUNTER)),
    };
    let create = async |asked| told_payment(shop.service.payments.create(asked, Asker(None)).await);
    assert_eq!(create(announce(1, 700)).await, "Created 0-0");
    assert_eq!(create(announce(1, 700)).await, "Created 0-0");
    assert_eq!(create(announce(1, 701)).await, "refused ID_REUSED");
    assert_eq!(shop.pay(pay(1, 701, 1)).await, "refused ID_REUSED");
    assert_eq!(shop.pay(pay(1, 700, 77)).await, "NOT_RECOGNISED");
    let again = Pay {
        capture: 50,
        ..pay(1, 700, 1)
    };
    assert_eq!(shop.pay(again).await, "APPROVED K** left 9300");
    assert_eq!(create(announce(2, 800)).await, "Created 0-0");
    shop.sweep_after(15 * 60).await;
    assert_eq!(shop.stands(2), "Expired 0-0");
    assert_eq!(shop.pay(pay(2, 800, 1)).await, "DECLINED  EXPIRED");
    let unknown = CreatePayment {
        till: Some(till("nobody")),
        ..announce(3, 1)
    };
    assert_eq!(create(unknown).await, "refused NOT_FOUND");
}

#[tokio::test]
async fn till_changes_its_own_payments_only() {
    let shop = Shop::open();
    furnish(&shop).await;
    shop.pay(pay(1, 1_000, 1)).await;
    let other = till("kiosk-1");
    let asked = shop
        .service
        .payments
        .refund(change(10, 1, None), Asker(Some(&other)));
    assert_eq!(told_refund(asked.await), "refused PERMISSION_DENIED");
    let own = till(COUNTER);
    let asked = shop
        .service
        .payments
        .refund(change(11, 1, None), Asker(Some(&own)));
    assert_eq!(told_refund(asked.await), "Done 1000");
}

#[tokio::test]
async fn customer_with_held_money_is_not_deleted() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    shop.hold(pay(1, 10_000, 1)).await;
    assert_eq!(shop.balance(kim).await, 0);
    let refused = shop.service.customers.delete(kim).await.unwrap_err();
    assert_eq!(refusal(refused), "refused BALANCE_REMAINS");
    shop.capture(10, 1, None).await;
    shop.service.customers.delete(kim).await.unwrap();
    // Whoever left has no wallet to give back to.
    assert_eq!(shop.refund(11, 1, None).await, "refused NOT_FOUND");
}

#[tokio::test]
async fn above_the_shop_s_limit_a_pin_is_asked_for() {
    let terms = with_policy(|policy| policy.palm_max_minor = Some(5_000));
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    let kim = furnish(&shop).await;
    assert_eq!(
        shop.pay(pay(1, 5_001, 1)).await,
        "DECLINED K** SECOND_FACTOR",
        "she has none"
    );
    shop.set(kim, |set| set.pin = Some(Some(digits("0427"))))
        .await;
    assert_eq!(shop.pay(pay(2, 5_000, 1)).await, "APPROVED K** left 5000");
    let asked = "ASKED K** SECOND_FACTOR";
    assert_eq!(shop.pay(pay(3, 5_001, 1)).await, asked);
    assert_eq!(
        shop.pay(pay(3, 5_001, 1)).await,
        asked,
        "the same send again"
    );
    assert_eq!(shop.stands(3), "StepUp 0-0");
    assert_eq!(shop.give_pin(10, 3, "0428").await, "ASKED K** FACTOR_WRONG");
    assert_eq!(
        shop.give_pin(10, 3, "0428").await,
        "ASKED K** FACTOR_WRONG",
        "one try"
    );
    assert_eq!(
        shop.give(11, 3, Confirmation::NotADuplicate).await,
        "refused STATE_REFUSES"
    );
    assert_eq!(shop.top_up(20, kim, 5_000).await, "balance 10000");
    assert_eq!(shop.give_pin(12, 3, "0427").await, "APPROVED K** left 4999");
    assert_eq!(shop.give_pin(12, 3, "0427").await, "APPROVED K** left 4999");
    assert_eq!(
        shop.give_pin(13, 3, "0000").await,
        "APPROVED K** left 4999",
        "it is over"
    );
    shop.assert_books().await;
}

#[tokio::test]
async fn step_up_is_cancelled_or_expires_and_nothing_moves() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    shop.set(kim, |set| {
        set.pin = Some(Some(digits("0427")));
        set.always_second_factor = Some(true);
    })
    .await;
    for id in [1, 2] {
        assert_eq!(shop.pay(pay(id, 100, 1)).await, "ASKED K** SECOND_FACTOR");
    }
    assert_eq!(shop.cancel(COUNTER, 1, 100).await, "Cancelled");
    assert_eq!(shop.give_pin(10, 1, "0427").await, "refused CANCELLED");
    shop.sweep_after(180).await;
    assert_eq!(shop.give_pin(11, 2, "0427").await, "DECLINED K** EXPIRED");
    assert_eq!(shop.balance(kim).await, 10_000);
}

#[tokio::test]
async fn five_wrong_factors_lock_and_a_new_pin_unlocks() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    let pin =
        |text: &'static str| move |set: &mut UpdateSafeguards| set.pin = Some(Some(digits(text)));
    shop.set(kim, pin("0427")).await;
    shop.set(kim, |set| set.always_second_factor = Some(true))
        .await;
    let asked = "ASKED K** SECOND_FACTOR";
    assert_eq!(shop.pay(pay(1, 100, 1)).await, asked);
    assert_eq!(shop.give_pin(10, 1, "1111").await, "ASKED K** FACTOR_WRONG");
    assert_eq!(shop.give_pin(11, 1, "1111").await, "ASKED K** FACTOR_WRONG");
    assert_eq!(
        shop.give_pin(12, 1, "1111").await,
        "DECLINED K** FACTOR_WRONG"
    );
    assert_eq!(shop.pay(pay(2, 100, 1)).await, asked);
    assert_eq!(shop.give_pin(13, 2, "1111").await, "ASKED K** FACTOR_WRONG");
    assert_eq!(
        shop.give_pin(14, 2, "1111").await,
        "DECLINED K** FACTOR_LOCKED"
    );
    assert_eq!(shop.pay(pay(3, 100, 1)).await, "DECLINED K** FACTOR_LOCKED");
    shop.set(kim, pin("9876")).await;
    assert_eq!(shop.pay(pay(4, 100, 1)).await, asked);
    assert_eq!(shop.give_pin(15, 4, "9876").await, "APPROVED K** left 9900");
}

#[tokio::test]
async fn likely_duplicate_waits_for_the_cashier_s_word() {
    let terms = with_policy(|policy| policy.duplicate_window_s = 30);
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    let kim = furnish(&shop).await;
    assert_eq!(shop.pay(pay(1, 100, 1)).await, "APPROVED K** left 9900");
    assert_eq!(shop.pay(pay(2, 100, 1)).await, "ASKED K** LIKELY_DUPLICATE");
    assert_eq!(shop.give_pin(10, 2, "0427").await, "refused STATE_REFUSES");
    let word = Confirmation::NotADuplicate;
    assert_eq!(
        shop.give(11, 2, word.clone()).await,
        "APPROVED K** left 9800"
    );
    assert_eq!(shop.pay(pay(3, 101, 1)).await, "APPROVED K** left 9699");
    shop.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(shop.pay(pay(4, 100, 1)).await, "APPROVED K** left 9599");
    // What was given back is no payment that could be doubled.
    assert_eq!(shop.hold(pay(5, 77, 1)).await, "APPROVED K** left 9522");
    assert_eq!(shop.void(12, 5).await, "Voided 0-0");
    assert_eq!(shop.pay(pay(6, 77, 1)).await, "APPROVED K** left 9522");
    assert_eq!(shop.balance(kim).await, 9_522);
}

#[tokio::test]
async fn payment_confirmed_after_midnight_and_voided_is_free_again_on_that_day() {
    let terms = with_policy(|policy| policy.day_max_minor = Some(1_000));
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    let kim = furnish(&shop).await;
    shop.set(kim, |set| {
        set.pin = Some(Some(digits("0427")));
        set.always_second_factor = Some(true);
    })
    .await;
    // Asked for a minute before midnight, given a minute after it.
    let day = 86_400 - shop.clock.now().micros() / 1_000_000 % 86_400;
    let second = std::time::Duration::from_secs;
    shop.clock.advance(second(day - 60));
    assert_eq!(shop.hold(pay(1, 900, 1)).await, "ASKED K** SECOND_FACTOR");
    shop.clock.advance(second(120));
    assert_eq!(shop.give_pin(10, 1, "0427").await, "APPROVED K** left 9100");
    assert_eq!(shop.void(11, 1).await, "Voided 0-0");
    assert_eq!(
        shop.hold(pay(2, 900, 1)).await,
        "ASKED K** SECOND_FACTOR",
        "the day has room again"
    );
}

#[tokio::test]
async fn payment_accepted_without_the_service_is_not_held_up_as_a_duplicate() {
    let terms = with_policy(|policy| policy.duplicate_window_s = 30);
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    furnish(&shop).await;
    shop.pay(pay(1, 100, 1)).await;
    let forwarded = AuthorisePayment {
        accepted_offline: true,
        ..shop.authorisation(pay(2, 100, 1))
    };
    assert_eq!(
        shop.authorise(COUNTER, forwarded).await,
        "APPROVED K** left 9800"
    );
}

#[tokio::test]
async fn second_factor_tells_two_people_apart() {
    let shop = Shop::open();
    let kim = furnish(&shop).await;
    let twin = shop.customer(7, "Lee").await;
    shop.top_up(8, twin, 500).await;
    // Enrolment refuses a second owner of a palm, so the twin's comes in below it.
    let samples =
        [5, 6, 7].map(|n| crate::fixture::template(palm_models::template::Hand::Right, 1, n));
    shop.plant(twin, &samples);
    assert_eq!(
        shop.pay(pay(1, 100, 1)).await,
        "AMBIGUOUS",
        "nobody has a factor"
    );
    for (customer, pin) in [(kim, "0427"), (twin, "1234")] {
        shop.set(customer, |set| set.pin = Some(Some(digits(pin))))
            .await;
    }
    assert_eq!(
        shop.pay(pay(2, 100, 1)).await,
        "ASKED  AMBIGUOUS",
        "no name yet"
    );
    assert_eq!(shop.give_pin(10, 2, "5555").await, "ASKED  FACTOR_WRONG");
    assert_eq!(shop.give_pin(11, 2, "1234").await, "APPROVED L** left 400");
    // The same PIN for both tells nobody.
    shop.set(kim, |set| set.pin = Some(Some(digits("1234"))))
        .await;
    assert_eq!(shop.pay(pay(3, 100, 1)).await, "ASKED  AMBIGUOUS");
    assert_eq!(shop.give_pin(12, 3, "1234").await, "ASKED  FACTOR_WRONG");
}

/// An outside rail that answers as it is told, and keeps books of its own.
#[derive(Debug, Default)]
struct Scripted {
    script: Mutex<VecDeque<Script>>,
    /// What it knows, by step id.
    done: Mutex<Vec<(Step, bool)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Decline,
    /// Done, and the answer is lost.
    LoseAnswer,
    /// Never arrives, and nobody can tell.
    LoseRequest,
    NotSent,
}

impl Scripted {
    fn next(&self, script: &[Script]) {
        self.script.lock().unwrap().extend(script);
    }

    fn approve(&self, step: &Step) -> Answer {
        let mut done = self.done.lock().unwrap();
        if !done.iter().any(|(known, _)| known.id == step.id) {
            done.push((step.clone(), true));
        }
        Answer::Approved {
            reference: Reference::new("ref-1").unwrap(),
        }
    }

    /// What it holds or took and did not give back, in minor units.
    fn taken(&self) -> u64 {
        let done = self.done.lock().unwrap();
        let sum = |action| -> u64 {
            let live = done
                .iter()
                .filter(|(step, live)| *live && step.action == action);
            live.map(|(step, _)| step.amount.minor()).sum()
        };
        sum(Action::Capture) - sum(Action::Refund)
    }
}

#[tonic::async_trait]
impl Rail for Scripted {
    async fn send(&self, step: &Step) -> Answer {
        let script = self.script.lock().unwrap().pop_front();
        match script {
            None => self.approve(step),
            Some(Script::Decline) => Answer::Declined(ReasonCode::InsufficientFunds),
            Some(Script::LoseAnswer) => {
                self.approve(step);
                Answer::Unknown
            }
            Some(Script::LoseRequest) => Answer::Unknown,
            Some(Script::NotSent) => Answer::NotSent,
        }
    }

    async fn look_up(&self, step: &Step) -> Answer {
        let is_known = self
            .done
            .lock()
            .unwrap()
            .iter()
            .any(|(known, _)| known.id == step.id);
        if is_known {
            self.approve(step)
        } else {
            Answer::NotSent
        }
    }

    async fn reverse(&self, step: &Step) -> Answer {
        let mut done = self.done.lock().unwrap();
        done.retain(|(known, _)| known.id != step.id);
        Answer::Approved {
            reference: Reference::new("ref-1").unwrap(),
        }
    }
}

async fn shop_with_rail() -> (Shop, Arc<Scripted>) {
    let rail = Arc::new(Scripted::default());
    let store = Arc::new(MemoryStore::new());
    let shop = Shop::with_rail(store, 1, terms(), Some(Arc::clone(&rail) as _));
    let kim = furnish(&shop).await;
    let token = Instrument::new("pm_kim").unwrap();
    shop.service
        .payments
        .set_instrument(kim, Some(token))
        .await
        .unwrap();
    (shop, rail)
}

#[tokio::test]
async fn outside_rail_is_asked_to_hold_to_take_and_to_give_back() {
    let (shop, rail) = shop_with_rail().await;
    assert_eq!(shop.pay(pay(1, 4_000, 1)).await, "APPROVED K**");
    assert_eq!(shop.stands(1), "Captured 4000-0");
    assert_eq!(shop.hold(pay(2, 3_000, 1)).await, "APPROVED K**");
    assert_eq!(shop.capture(10, 2, Some(2_500)).await, "Captured 2500-0");
    assert_eq!(shop.hold(pay(3, 1_000, 1)).await, "APPROVED K**");
    assert_eq!(shop.void(11, 3).await, "Voided 0-0");
    assert_eq!(shop.refund(12, 1, Some(1_500)).await, "Done 1500");
    assert_eq!(rail.taken(), 5_000);
    rail.next(&[Script::Decline]);
    assert_eq!(
        shop.pay(pay(4, 100, 1)).await,
        "DECLINED K** INSUFFICIENT_FUNDS"
    );
    rail.next(&[Script::Decline]);
    assert_eq!(
        shop.refund(13, 1, None).await,
        "Refused(InsufficientFunds) 2500"
    );
    assert_eq!(shop.stands(1), "Captured 4000-1500");
    shop.assert_books().await;
}

#[tokio::test]
async fn lost_answers_are_in_doubt_until_they_are_looked_up_and_charge_once() {
    let (shop, rail) = shop_with_rail().await;
    rail.next(&[Script::LoseAnswer]);
    assert_eq!(shop.pay(pay(1, 4_000, 1)).await, "refused OUTCOME_UNKNOWN");
    assert_eq!(
        shop.pay(pay(1, 4_000, 1)).await,
        "refused OUTCOME_UNKNOWN",
        "not sent again"
    );
    shop.sweep_after(60).await;
    assert_eq!(shop.stands(1), "Captured 4000-0", "the rail knew it");
    assert_eq!(shop.pay(pay(1, 4_000, 1)).await, "APPROVED K**");
    assert_eq!(rail.taken(), 4_000);
    rail.next(&[Script::LoseRequest]);
    assert_eq!(shop.pay(pay(2, 4_000, 1)).await, "refused OUTCOME_UNKNOWN");
    assert_eq!(shop.cancel(COUNTER, 2, 4_000).await, "Cancelled");
    assert_eq!(shop.pay(pay(2, 4_000, 1)).await, "refused CANCELLED");
    rail.next(&[Script::LoseAnswer]);
    assert_eq!(shop.pay(pay(3, 500, 1)).await, "refused OUTCOME_UNKNOWN");
    // Given up, and the rail had it: it is given back.
    assert_eq!(shop.cancel(COUNTER, 3, 500).await, "Voided");
    assert_eq!(rail.taken(), 4_000);
    shop.assert_books().await;
}

#[tokio::test]
async fn capture_and_refund_without_an_answer_are_finished_later() {
    let (shop, rail) = shop_with_rail().await;
    shop.hold(pay(1, 4_000, 1)).await;
    rail.next(&[Script::LoseRequest]);
    assert_eq!(shop.capture(10, 1, None).await, "Capturing 0-0");
    assert_eq!(shop.capture(11, 1, None).await, "refused STATE_REFUSES");
    shop.sweep_after(60).await;
    assert_eq!(shop.capture(10, 1, None).await, "Captured 4000-0");
    rail.next(&[Script::LoseAnswer]);
    assert_eq!(shop.refund(12, 1, Some(1_000)).await, "InDoubt 1000");
    shop.sweep_after(60).await;
    assert_eq!(shop.refund(12, 1, Some(1_000)).await, "Done 1000");
    assert_eq!(rail.taken(), 3_000);
    shop.assert_books().await;
}

#[tokio::test]
async fn rail_that_is_down_charges_nobody_and_says_so_at_once() {
    let (shop, rail) = shop_with_rail().await;
    rail.next(&[Script::NotSent]);
    assert_eq!(shop.pay(pay(1, 4_000, 1)).await, "refused CANCELLED");
    assert_eq!(shop.stands(1), "Cancelled 0-0");
    assert_eq!(shop.pay(pay(2, 4_000, 1)).await, "APPROVED K**");
}

#[tokio::test]
async fn what_was_in_doubt_at_a_stop_is_found_out_at_the_start() {
    let (shop, rail) = shop_with_rail().await;
    rail.next(&[Script::LoseAnswer, Script::LoseAnswer]);
    shop.hold(pay(1, 4_000, 1)).await;
    shop.hold(pay(2, 5_000, 1)).await;
    let store = Arc::clone(&shop.store);
    shop.stop();
    let shop = Shop::with_rail(store, 2, terms(), Some(Arc::clone(&rail) as _));
    assert_eq!(shop.service.payments.sweep(true).await.unwrap(), 2);
    assert_eq!(
        (shop.stands(1), shop.stands(2)),
        ("Authorised 0-0".to_owned(), "Authorised 0-0".to_owned())
    );
    assert_eq!(rail.done.lock().unwrap().len(), 2, "asked once each");
    shop.assert_books().await;
}

/// A rail whose first answer takes its time, and that is not reached a second time.
#[derive(Debug, Default)]
struct SlowOnce {
    asked: tokio::sync::Notify,
    answer: tokio::sync::Notify,
    sends: std::sync::atomic::AtomicU32,
}

#[tonic::async_trait]
impl Rail for SlowOnce {
    async fn send(&self, _: &Step) -> Answer {
        let before = self.sends.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if before > 0 {
            return Answer::NotSent;
        }
        self.asked.notify_one();
        self.answer.notified().await;
        let reference = Reference::new("ref").unwrap();
        Answer::Approved { reference }
    }

    async fn look_up(&self, _: &Step) -> Answer {
        Answer::Unknown
    }

    async fn reverse(&self, _: &Step) -> Answer {
        Answer::Unknown
    }
}

/// Found by the simulation: the same payment asked for again, while the rail still worked on it, went there a second
/// time; that one did not reach it, and a payment that was held there was given up.
#[tokio::test]
async fn a_payment_on_its_way_is_not_sent_again_by_a_second_caller() {
    let rail = Arc::new(SlowOnce::default());
    let store = Arc::new(MemoryStore::new());
    let shop = Shop::with_rail(store, 1, terms(), Some(Arc::clone(&rail) as _));
    let kim = furnish(&shop).await;
    let token = Some(Instrument::new("tok").unwrap());
    let payments = &shop.service.payments;
    payments.set_instrument(kim, token).await.unwrap();
    let hold = shop.hold(pay(1, 500, 1));
    let again = async {
        rail.asked.notified().await;
        let again = shop.hold(pay(1, 500, 1)).await;
        rail.answer.notify_one();
        again
    };
    let (first, again) = tokio::join!(hold, again);
    assert_eq!(again, "refused OUTCOME_UNKNOWN");
    assert_eq!(first, "APPROVED K**");
    assert_eq!(shop.stands(1), "Authorised 0-0");
}
