use palm_proto::money::Currency;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn sale(number: u8) -> Sale {
    Sale {
        payment: PaymentId::from_random([number; 16]),
        amount: Money::amount(4_500, Currency::KRW).unwrap(),
    }
}

fn approved() -> Answer {
    Answer::Approved {
        masked_name: "김*수".to_owned(),
        balance: None,
        customer: None,
    }
}

fn declined() -> Answer {
    let reason = Some(ReasonCode::InsufficientFunds);
    Answer::Declined {
        reason,
        masked_name: "김*수".to_owned(),
    }
}

fn asked(reason: ReasonCode) -> Answer {
    Answer::StepUp(Ask {
        reason: Some(reason),
        masked_name: String::new(),
    })
}

/// What a screen would say.
fn screen(checkout: &Checkout) -> &'static str {
    match checkout.state() {
        State::Idle => "idle",
        State::WaitingForHand { hint: None, .. } => "waiting",
        State::WaitingForHand { hint: Some(_), .. } => "waiting, hint",
        State::Reading { .. } => "reading",
        State::ReaderLost { .. } => "reader lost",
        State::Authorising {
            cancel_asked: false,
            ..
        } => "authorising",
        State::Authorising {
            cancel_asked: true, ..
        } => "authorising, cancel asked",
        State::StepUp { ask, .. } => ask.reason.map_or("asked", ReasonCode::as_str),
        State::Checking(check) if check.cancel_asked => "checking, cancel asked",
        State::Checking(_) => "checking",
        State::Over { outcome, .. } => match outcome {
            Outcome::Approved { .. } => "approved",
            Outcome::AcceptedOffline { .. } => "accepted offline",
            Outcome::Declined { .. } => "declined",
            Outcome::NotRecognised(_) => "not recognised",
            Outcome::NotCharged(trouble) => trouble.as_str(),
            Outcome::Cancelled => "cancelled",
            Outcome::TimedOut => "timed out",
        },
    }
}

/// One row: seconds since the row before, what happens, what the screen says, what is to be done.
type Row = (u64, Event, &'static str, &'static [&'static str]);

fn words(effects: &[Effect]) -> Vec<&'static str> {
    let word = |effect: &Effect| match effect {
        Effect::Arm => "arm",
        Effect::Disarm => "disarm",
        Effect::Authorise(_) => "send",
        Effect::Confirm(_) => "confirm",
        Effect::Resend(_) => "resend",
        Effect::Resolve(_) => "resolve",
        Effect::Settle(_) => "settle",
        Effect::Signal(Signal::Accepted) => "accepted",
        Effect::Signal(Signal::Refused) => "refused",
    };
    effects.iter().map(word).collect()
}

fn play(name: &str, rows: &[Row]) -> Checkout {
    let mut checkout = Checkout::default();
    let mut now = 100 * SECOND;
    for (index, (seconds, event, expected, effects)) in rows.iter().enumerate() {
        now += SECOND * u32::try_from(*seconds).unwrap();
        let done = match checkout.on(event.clone(), now) {
            Ok(done) => words(&done),
            Err(Refusal::Busy) => vec!["busy"],
            Err(Refusal::NotNow) => vec!["not now"],
            Err(Refusal::Unresolved) => vec!["unresolved"],
        };
        assert_eq!(
            (screen(&checkout), done),
            (*expected, effects.to_vec()),
            "{name}, row {index}"
        );
    }
    checkout
}

fn charge() -> Event {
    Event::Charge(sale(1))
}

fn retry() -> Event {
    Event::Retry {
        fresh: sale(9).payment,
    }
}

#[test]
fn palm_pays_and_screens_go_back_to_the_start() {
    play(
        "pay",
        &[
            (0, Event::Tick, "idle", &[]),
            (0, charge(), "waiting", &["arm"]),
            (1, Event::Guide(Guidance::ONCE_MORE), "waiting, hint", &[]),
            (1, Event::Reading, "reading", &[]),
            (0, Event::Guide(Guidance::ONCE_MORE), "waiting, hint", &[]),
            (1, Event::Reading, "reading", &[]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (
                0,
                Event::Answered(approved()),
                "approved",
                &["settle", "accepted"],
            ),
            (59, Event::Tick, "approved", &[]),
            (1, Event::Tick, "idle", &[]),
        ],
    );
}

#[test]
fn answers_that_are_not_approvals_offer_another_try() {
    for (answer, end, same_id) in [
        (declined(), "declined", false),
        (
            Answer::NotRecognised(Some(ReasonCode::Ambiguous)),
            "not recognised",
            true,
        ),
        (
            Answer::Nothing(Trouble::Unreachable),
            "SERVICE_UNREACHABLE",
            false,
        ),
        (Answer::Nothing(Trouble::Journal), "JOURNAL_FAILED", false),
        (
            Answer::Nothing(Trouble::Refused(ReasonCode::SealBroken)),
            "SEAL_BROKEN",
            false,
        ),
    ] {
        let checkout = play(
            end,
            &[
                (0, charge(), "waiting", &["arm"]),
                (0, Event::Captured, "authorising", &["disarm", "send"]),
                (0, Event::Answered(answer), end, &["settle", "refused"]),
                (0, retry(), "waiting", &["arm"]),
            ],
        );
        let State::WaitingForHand { sale: again, .. } = checkout.state() else {
            panic!("waiting")
        };
        assert_eq!(again.payment == sale(1).payment, same_id, "{end}");
        assert_eq!(again.amount, sale(1).amount);
    }
}

#[test]
fn approved_payment_is_not_tried_again() {
    play(
        "approved",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (
                0,
                Event::Answered(approved()),
                "approved",
                &["settle", "accepted"],
            ),
            (0, retry(), "approved", &["not now"]),
            (0, Event::Cancel, "approved", &["not now"]),
            (0, Event::Clear, "idle", &[]),
            (0, retry(), "idle", &["not now"]),
        ],
    );
}

#[test]
fn no_hand_in_twenty_seconds_times_out() {
    play(
        "time out",
        &[
            (0, charge(), "waiting", &["arm"]),
            (19, Event::Tick, "waiting", &[]),
            (1, Event::Tick, "timed out", &["disarm"]),
            (0, Event::Captured, "timed out", &[]),
        ],
    );
}

#[test]
fn cancel_before_sending_ends_it_and_a_late_capture_is_not_sent() {
    play(
        "cancel",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Reading, "reading", &[]),
            (0, Event::Cancel, "cancelled", &["disarm"]),
            (0, Event::Captured, "cancelled", &[]),
            (0, Event::Cancel, "cancelled", &["not now"]),
        ],
    );
}

#[test]
fn cancel_after_sending_does_not_lose_the_outcome() {
    play(
        "cancel, then approved",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (0, Event::Cancel, "authorising, cancel asked", &[]),
            (0, Event::Clear, "authorising, cancel asked", &["busy"]),
            (
                0,
                Event::Answered(approved()),
                "approved",
                &["settle", "accepted"],
            ),
        ],
    );
    play(
        "cancel, then unknown: only asked, never sent again",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (0, Event::Cancel, "authorising, cancel asked", &[]),
            (
                0,
                Event::Answered(Answer::Unknown),
                "checking, cancel asked",
                &[],
            ),
            (1, Event::Tick, "checking, cancel asked", &["resolve"]),
            (
                0,
                Event::Found(Lookup::Cancelled),
                "cancelled",
                &["settle", "refused"],
            ),
        ],
    );
}

#[test]
fn unknown_outcome_is_sent_again_then_looked_up_until_known() {
    play(
        "unknown",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (2, Event::Answered(Answer::Unknown), "checking", &[]),
            (0, charge(), "checking", &["unresolved"]),
            (0, Event::Tick, "checking", &[]),
            (1, Event::Tick, "checking", &["resend"]),
            (1, Event::Tick, "checking", &[]),
            (
                0,
                Event::Answered(Answer::Nothing(Trouble::Unreachable)),
                "checking",
                &[],
            ),
            (1, Event::Tick, "checking", &["resend"]),
            (0, Event::Answered(Answer::Unknown), "checking", &[]),
            (30, Event::Tick, "checking", &["resolve"]),
            (0, Event::Found(Lookup::Unknown), "checking", &[]),
            (4, Event::Tick, "checking", &["resolve"]),
            (
                0,
                Event::Found(Lookup::Approved {
                    masked_name: "김*수".to_owned(),
                }),
                "approved",
                &["settle", "accepted"],
            ),
        ],
    );
}

#[test]
fn refused_copy_of_an_unknown_payment_is_not_taken_for_its_outcome() {
    let refused = Answer::Nothing(Trouble::Refused(ReasonCode::PermissionDenied));
    play(
        "refused copy",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (0, Event::Answered(Answer::Unknown), "checking", &[]),
            (1, Event::Tick, "checking", &["resend"]),
            (0, Event::Answered(refused), "checking", &[]),
            (1, Event::Tick, "checking", &["resolve"]),
            (
                0,
                Event::Found(Lookup::Cancelled),
                "NOT_BOOKED",
                &["settle", "refused"],
            ),
        ],
    );
}

#[test]
fn payment_left_by_a_crash_is_looked_up_and_never_sent_again() {
    let found = Lookup::Declined {
        reason: None,
        masked_name: String::new(),
    };
    play(
        "recovered",
        &[
            (0, Event::Recover(sale(7)), "checking", &[]),
            (0, charge(), "checking", &["unresolved"]),
            (1, Event::Tick, "checking", &["resolve"]),
            (0, Event::Found(Lookup::Unknown), "checking", &[]),
            (1, Event::Tick, "checking", &["resolve"]),
            (0, Event::Found(found), "declined", &["settle", "refused"]),
        ],
    );
}

#[test]
fn unplugged_reader_holds_the_payment_until_it_is_back() {
    play(
        "unplug",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Reading, "reading", &[]),
            (0, Event::ReaderLost, "reader lost", &[]),
            (0, charge(), "reader lost", &["busy"]),
            (30, Event::ReaderBack, "waiting", &["arm"]),
            (0, Event::ReaderLost, "reader lost", &[]),
            (60, Event::Tick, "cancelled", &[]),
            (0, Event::ReaderBack, "cancelled", &[]),
        ],
    );
}

#[test]
fn unplug_after_sending_changes_nothing() {
    play(
        "unplug late",
        &[
            (0, charge(), "waiting", &["arm"]),
            (0, Event::Captured, "authorising", &["disarm", "send"]),
            (0, Event::ReaderLost, "authorising", &[]),
            (0, Event::ReaderBack, "authorising", &[]),
            (
                0,
                Event::Answered(approved()),
                "approved",
                &["settle", "accepted"],
            ),
        ],
    );
}

/// Whatever happens in whatever order: after a send, only its own outcome settles it, exactly once,
/// and no other payment is sent before.
#[test]
fn random_walks_never_lose_or_double_a_sent_payment() {
    let mut state = 7_u32;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    for _ in 0..300 {
        let (mut checkout, mut now, mut open) = (Checkout::default(), SECOND, None);
        for step in 0..200_u8 {
            now += Duration::from_millis(u64::from(draw(9_000)));
            let event = match draw(18) {
                0 | 1 => Event::Charge(sale(step)),
                2 => Event::Cancel,
                3 => Event::Retry {
                    fresh: sale(step).payment,
                },
                4 => Event::Clear,
                5 => Event::Guide(Guidance::ONCE_MORE),
                6 => Event::Reading,
                7 | 8 => Event::Captured,
                9 => Event::ReaderLost,
                10 => Event::ReaderBack,
                11 => Event::Answered(approved()),
                12 => Event::Answered(Answer::Unknown),
                13 => Event::Found(Lookup::Cancelled),
                14 => Event::Answered(Answer::Nothing(Trouble::Unreachable)),
                15 => Event::Answered(asked(ReasonCode::SecondFactor)),
                16 => Event::Give,
                _ => Event::Tick,
            };
            for effect in checkout.on(event, now).unwrap_or_default() {
                match effect {
                    Effect::Authorise(sale) => {
                        assert_eq!(open.replace(sale.payment), None, "one payment at a time");
                    }
                    Effect::Resend(payment)
                    | Effect::Resolve(payment)
                    | Effect::Confirm(payment) => {
                        assert_eq!(open, Some(payment), "only what was sent is asked about");
                    }
                    Effect::Settle(payment) => assert_eq!(open.take(), Some(payment)),
                    Effect::Arm | Effect::Disarm | Effect::Signal(_) => {}
                }
            }
            let unsettled = matches!(
                checkout.state(),
                State::Authorising { .. } | State::StepUp { .. } | State::Checking(_)
            );
            assert_eq!(open.is_some(), unsettled, "no outcome is dropped");
        }
    }
}

/// Up to the answer.
const SENT: [Row; 2] = [
    (0, Event::Reading, "reading", &[]),
    (1, Event::Captured, "authorising", &["disarm", "send"]),
];

fn after_sending(rows: &[Row]) -> Vec<Row> {
    let mut all = vec![(0, charge(), "waiting", ["arm"].as_slice())];
    all.extend(SENT);
    all.extend_from_slice(rows);
    all
}

#[test]
fn what_is_asked_is_given_and_the_money_moves() {
    let wrong = Event::Answered(asked(ReasonCode::FactorWrong));
    let rows = after_sending(&[
        (
            1,
            Event::Answered(asked(ReasonCode::SecondFactor)),
            "SECOND_FACTOR",
            &["disarm"],
        ),
        (9, charge(), "SECOND_FACTOR", &["busy"]),
        (9, Event::Give, "authorising", &["confirm"]),
        (1, wrong, "FACTOR_WRONG", &["disarm"]),
        (9, Event::Give, "authorising", &["confirm"]),
        (
            1,
            Event::Answered(approved()),
            "approved",
            &["settle", "accepted"],
        ),
        (1, Event::Give, "approved", &["not now"]),
    ]);
    play("step up", &rows);
}

#[test]
fn what_is_asked_is_cancelled_or_given_up_only_by_the_service_s_word() {
    let ask = || Event::Answered(asked(ReasonCode::LikelyDuplicate));
    let cancelled = || Event::Found(Lookup::Cancelled);
    let rows = after_sending(&[
        (1, ask(), "LIKELY_DUPLICATE", &["disarm"]),
        (5, Event::Cancel, "checking, cancel asked", &["resolve"]),
        (1, cancelled(), "cancelled", &["settle", "refused"]),
    ]);
    play("cancelled", &rows);
    let rows = after_sending(&[
        (1, ask(), "LIKELY_DUPLICATE", &["disarm"]),
        (149, Event::Tick, "LIKELY_DUPLICATE", &[]),
        (1, Event::Tick, "checking", &["resolve"]),
        (1, cancelled(), "NOT_BOOKED", &["settle", "refused"]),
    ]);
    play("given up", &rows);
    let rows = after_sending(&[
        (0, Event::Cancel, "authorising, cancel asked", &[]),
        (1, ask(), "checking, cancel asked", &["resolve"]),
        (1, cancelled(), "cancelled", &["settle", "refused"]),
    ]);
    play("cancelled before it was asked", &rows);
}

#[test]
fn confirmation_without_an_answer_is_sent_again_and_then_looked_up() {
    let rows = after_sending(&[
        (
            1,
            Event::Answered(asked(ReasonCode::SecondFactor)),
            "SECOND_FACTOR",
            &["disarm"],
        ),
        (1, Event::Give, "authorising", &["confirm"]),
        (1, Event::Answered(Answer::Unknown), "checking", &[]),
        (1, Event::Tick, "checking", &["resend"]),
        (
            1,
            Event::Answered(approved()),
            "approved",
            &["settle", "accepted"],
        ),
    ]);
    play("lost", &rows);
}
