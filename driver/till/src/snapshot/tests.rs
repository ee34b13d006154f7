use palm_proto::{id::PaymentId, money::Currency, reason::ReasonCode};
use serde_json::{Value, json};

use super::*;

const NOW: Duration = Duration::from_secs(100);

fn sale() -> checkout::Sale {
    checkout::Sale {
        payment: PaymentId::from_random([1; 16]),
        amount: Money::amount(4_500, Currency::KRW).unwrap(),
    }
}

fn json_of(state: &checkout::State) -> Value {
    serde_json::to_value(CheckoutView::new(state, None, NOW)).unwrap()
}

#[test]
fn waiting_shows_amount_hint_and_time_left() {
    let hint = Some(Guidance::LIFT_HAND);
    let deadline = NOW + Duration::from_millis(18_200);
    let seen = json_of(&checkout::State::WaitingForHand {
        sale: sale(),
        deadline,
        hint,
    });
    assert_eq!(
        seen,
        json!({
            "screen": "waiting_for_hand", "payment": sale().payment.to_string(),
            "amount_minor": 4_500, "currency": "KRW", "hint": "lift_hand", "reason": null,
            "masked_name": null, "balance_minor": null, "cancel_asked": false,
            "seconds_left": 19, "timings": null,
        })
    );
}

#[test]
fn approval_shows_masked_name_balance_and_timings() {
    let balance = Some(Money::balance(5_500, Currency::KRW));
    let outcome = Outcome::Approved {
        masked_name: "김*수".to_owned(),
        balance,
    };
    let mut timings = Timings::default();
    let stages = StageTimes {
        open_us: 120,
        identify_us: 1_300,
        commit_us: 2_000,
    };
    timings.answered(
        Duration::from_micros(4_250),
        Duration::from_millis(31),
        Some(stages),
    );
    let state = checkout::State::Over {
        sale: sale(),
        outcome,
        until: NOW,
    };
    let seen = serde_json::to_value(CheckoutView::new(&state, Some(timings), NOW)).unwrap();
    assert_eq!(seen["screen"], "approved");
    assert_eq!(seen["masked_name"], "김*수");
    assert_eq!(seen["balance_minor"], 5_500);
    assert_eq!(seen["timings"]["service_ms"], 4.25);
    assert_eq!(seen["timings"]["identify_ms"], 1.3);
    assert_eq!(seen["timings"]["total_ms"], 31.0);
}

#[test]
fn every_end_has_a_screen_of_its_own() {
    let masked_name = "김*수".to_owned();
    for (outcome, screen, reason) in [
        (
            Outcome::Declined {
                reason: Some(ReasonCode::InsufficientFunds),
                masked_name,
            },
            "declined",
            Some("INSUFFICIENT_FUNDS"),
        ),
        (
            Outcome::NotRecognised(Some(ReasonCode::Ambiguous)),
            "not_recognised",
            Some("AMBIGUOUS"),
        ),
        (Outcome::NotRecognised(None), "not_recognised", None),
        (
            Outcome::NotCharged(checkout::Trouble::Journal),
            "not_charged",
            Some("JOURNAL_FAILED"),
        ),
        (Outcome::Cancelled, "cancelled", None),
        (Outcome::TimedOut, "timed_out", None),
    ] {
        let seen = json_of(&checkout::State::Over {
            sale: sale(),
            outcome,
            until: NOW,
        });
        assert_eq!(
            (&seen["screen"], &seen["reason"]),
            (&json!(screen), &json!(reason))
        );
    }
}

#[test]
fn enrolment_counts_captures_and_warns_before_it_is_wiped() {
    use crate::enrolment::{DisplayName, Enrolment, Event, Language};
    let mut enrolment = Enrolment::default();
    let notice_version = "2026-11".to_owned();
    for event in [
        Event::Start(Language::English),
        Event::Consent { notice_version },
        Event::Name(DisplayName::parse("Kim").unwrap()),
        Event::Captured(Hand::Left),
    ] {
        enrolment.on(event, NOW).unwrap();
    }
    let seen = serde_json::to_value(EnrolmentView::new(&enrolment, NOW)).unwrap();
    assert_eq!(
        seen,
        json!({
            "screen": "capturing", "language": "en", "hand": "left", "second": false, "taken": 1,
            "needed": 3, "reading": false, "reader_lost": false, "hint": "lift_hand",
            "palms": null, "reason": null, "seconds_left": null,
        })
    );
    let later = EnrolmentView::new(&enrolment, NOW + Duration::from_secs(65));
    assert_eq!(later.seconds_left, Some(10));
    assert!(
        !serde_json::to_string(&later).unwrap().contains("Kim"),
        "no name in a snapshot"
    );
}
