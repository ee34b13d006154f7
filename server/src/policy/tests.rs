use super::*;
use palm_proto::money::Currency;

fn policy(change: impl FnOnce(&mut config::Policy)) -> Policy {
    let mut policy = config::Policy {
        duplicate_window_s: 0,
        ..config::Policy::default()
    };
    change(&mut policy);
    Policy(policy)
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn id(n: u8) -> PaymentId {
    PaymentId::from_bytes([n; 16])
}

fn rule(policy: Policy, minor: u64, day: &DayRow, second: u64) -> Ruling {
    let amount = Money::balance(minor, Currency::KRW);
    let own = SafeguardsRow::default();
    policy.rule(amount, &own, day, (at(second), &[]))
}

#[test]
fn day_begins_at_the_shop_s_midnight() {
    let korea = policy(|policy| {
        policy.utc_offset_min = 540;
        policy.day_max_minor = Some(1_000);
    });
    // 14:59:59 UTC is the last second of a day in Seoul.
    let last = 20_000 * 86_400 + 15 * 3_600 - 1;
    let mut day = DayRow::default();
    day.add(korea, id(1), 900, at(last));
    assert_eq!(
        rule(korea, 101, &day, last),
        Ruling::Decline(ReasonCode::OverLimit)
    );
    assert_eq!(rule(korea, 100, &day, last), Ruling::Allow);
    assert_eq!(rule(korea, 1_000, &day, last + 1), Ruling::Allow);
}

#[test]
fn what_is_taken_back_counts_no_more() {
    let shop = policy(|policy| {
        policy.day_max_minor = Some(1_000);
        policy.duplicate_window_s = 60;
    });
    let mut day = DayRow::default();
    day.add(shop, id(1), 600, at(100));
    assert_eq!(
        rule(shop, 600, &day, 101),
        Ruling::Decline(ReasonCode::OverLimit)
    );
    assert_eq!(rule(shop, 300, &day, 101), Ruling::Allow);
    day.take_back(shop, id(1), 600, at(100));
    assert_eq!(rule(shop, 600, &day, 101), Ruling::Allow);
}

#[test]
fn duplicates_are_looked_for_among_the_last_few_only_and_within_the_window() {
    let shop = policy(|policy| policy.duplicate_window_s = 60);
    let mut day = DayRow::default();
    day.add(shop, id(0), 500, at(100));
    assert_eq!(rule(shop, 500, &day, 159), Ruling::Ask(vec![Need::Word]));
    assert_eq!(rule(shop, 500, &day, 160), Ruling::Allow);
    for n in 1..=8 {
        day.add(shop, id(n), 1, at(101));
    }
    assert_eq!(day.last.len(), limits::RECENT_PAYMENTS);
    assert_eq!(rule(shop, 500, &day, 102), Ruling::Allow);
}

#[test]
fn clock_that_steps_back_refuses_nothing_and_overflows_nothing() {
    let shop = policy(|policy| policy.day_max_minor = Some(u64::MAX));
    let mut day = DayRow::default();
    day.add(shop, id(1), u64::MAX, at(1_000_000));
    assert_eq!(rule(shop, u64::MAX, &day, 10), Ruling::Allow);
}
