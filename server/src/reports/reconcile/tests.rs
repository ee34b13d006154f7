//! Three lists side by side: tables of cases, and rows of every kind at random.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::reports::table::tests::read;

fn day(after: i32) -> Day {
    Day::from_epoch(20_781 + after).unwrap()
}

fn ours(reference: &str, movement: Movement, minor: u64, after: i32) -> Ours {
    Ours {
        reference: reference.to_owned(),
        movement,
        minor,
        day: day(after),
    }
}

fn rail(reference: &str, movement: Movement, minor: u64, after: i32) -> RailRow {
    RailRow {
        reference: reference.to_owned(),
        movement,
        minor,
        fee_minor: 0,
        day: day(after),
        settlement: None,
    }
}

fn settled(row: RailRow, settlement: &str, fee_minor: u64) -> RailRow {
    RailRow {
        settlement: Some(settlement.to_owned()),
        fee_minor,
        ..row
    }
}

fn bank(reference: &str, side: Side, minor: u64, after: i32) -> BankEntry {
    BankEntry {
        side,
        minor,
        day: day(after),
        reference: (!reference.is_empty()).then(|| reference.to_owned()),
        bank_reference: Some("B".to_owned()),
        note: String::new(),
        is_return: false,
    }
}

fn run(ours: &[Ours], rail: &[RailRow], bank: &[BankEntry]) -> Reconciliation {
    reconcile(&Sources {
        ours,
        rail,
        bank,
        today: day(10),
        rail_until: day(9),
        settle_days_max: 3,
        currency: Currency::KRW,
    })
}

/// `verdict reference open age`, one a finding, sorted.
fn told(outcome: &Reconciliation) -> Vec<String> {
    let mut told: Vec<String> = outcome
        .findings
        .iter()
        .map(|finding| {
            let (verdict, reference) = (finding.verdict.code(), &finding.reference);
            format!(
                "{verdict} {reference} {} {}",
                finding.open_minor(),
                finding.age_days
            )
        })
        .collect();
    told.sort();
    told
}

use Movement::{Capture, PayOut, Refund};

#[test]
fn each_kind_of_break_is_told() {
    let ours = [
        ours("ok", Capture, 100, 1),
        ours("back", Refund, 30, 1),
        ours("late", Capture, 100, 1),
        ours("gone", Capture, 100, 2),
        ours("today", Capture, 100, 10),
        ours("transit", Capture, 100, 8),
        ours("bank-less", PayOut, 100, 5),
        ours("other", Capture, 100, 1),
        ours("short", Capture, 100, 1),
        ours("twice", Capture, 100, 1),
        ours("twice", Capture, 100, 1),
    ];
    let rail = [
        rail("ok", Capture, 100, 1),
        rail("back", Refund, 30, 1),
        rail("late", Capture, 100, 1),
        rail("transit", Capture, 100, 8),
        rail("bank-less", PayOut, 100, 5),
        rail("other", Capture, 101, 1),
        rail("short", Capture, 100, 1),
        rail("twice", Capture, 100, 1),
        rail("unknown", Capture, 7, 9),
    ];
    let bank = [
        bank("ok", Side::Credit, 100, 2),
        bank("back", Side::Debit, 30, 4),
        bank("late", Side::Credit, 100, 5),
        bank("other", Side::Credit, 101, 1),
        bank("short", Side::Credit, 99, 1),
        bank("twice", Side::Credit, 100, 1),
        bank("twice", Side::Credit, 100, 3),
        bank("stray", Side::Debit, 5, 10),
        bank("", Side::Credit, 6, 10),
        BankEntry {
            is_return: true,
            ..bank("back", Side::Credit, 30, 9)
        },
    ];
    let expected = [
        "amount_differs other 1 9",
        "amount_differs short -1 9",
        "duplicate twice 100 7",
        "duplicate twice 100 9",
        "in_transit today -100 0",
        "in_transit transit -100 2",
        "late late 0 9",
        "matched back 0 9",
        "matched ok 0 9",
        "matched twice 0 9",
        "missing_at_bank bank-less 100 5",
        "missing_at_rail gone -100 8",
        "missing_in_ours B 6 0",
        "missing_in_ours stray -5 0",
        "missing_in_ours unknown 7 1",
        "returned back 30 1",
    ];
    let outcome = run(&ours, &rail, &bank);
    assert_eq!(told(&outcome), expected);
    let aged = outcome.aged();
    assert_eq!(aged[&(Break::AmountDiffers, Age::UpTo30)], (2, 2));
    assert_eq!(aged[&(Break::MissingInOurs, Age::UpTo1)], (3, 18));
}

#[test]
fn a_settlement_is_compared_in_one_sum() {
    let ours = [
        ours("a", Capture, 1_000, 1),
        ours("b", Refund, 200, 1),
        ours("c", Capture, 50, 1),
    ];
    let rail = [
        settled(rail("a", Capture, 1_000, 1), "S1", 30),
        settled(rail("b", Refund, 200, 1), "S1", 0),
        settled(rail("c", Capture, 50, 9), "S2", 1),
    ];
    let whole = run(&ours, &rail, &[bank("S1", Side::Credit, 770, 2)]);
    let expected = [
        "in_transit c -49 9",
        "matched S1 0 8",
        "matched a 0 9",
        "matched b 0 9",
    ];
    assert_eq!(
        told(&whole)[1..],
        ["matched S1 0 9", "matched a 0 9", "matched b 0 9"]
    );
    assert_eq!(told(&whole)[0], expected[0]);
    let short = run(&ours, &rail, &[bank("S1", Side::Debit, 770, 2)]);
    assert!(told(&short).contains(&"amount_differs S1 -1540 9".to_owned()));
    let none = run(&ours, &rail, &[]);
    assert_eq!(
        none.breaks().count(),
        2,
        "both payments of S1 wait: {:?}",
        told(&none)
    );
}

const TEXT: &str = "\
2026-12-04: 1 matched, 0 in transit, 2 to look at (KRW)
  missing_in_ours   0-1 days      1 x              4,500
  missing_at_rail  8-30 days      1 x              1,000
missing_at_rail     9 d CRDT             -1,000 a
missing_in_ours     0 d DBIT             -4,500 =x
";

#[test]
fn the_outcome_is_this_text_and_this_table() {
    let ours = [ours("a", Capture, 1_000, 1), ours("b", Capture, 5, 1)];
    let bank = [
        bank("=x", Side::Debit, 4_500, 10),
        bank("b", Side::Credit, 5, 1),
    ];
    let outcome = run(&ours, &[rail("b", Capture, 5, 1)], &bank);
    assert_eq!(outcome.text(), TEXT);
    let expected = "\
verdict,reference,side,expected,found,open,currency,age_days,age,our_row,rail_row,bank_row,number,first_seen,closed\r
missing_at_rail,a,CRDT,1000,,-1000,KRW,9,8-30,1,,,,,\r
missing_in_ours,'=x,DBIT,,-4500,-4500,KRW,0,0-1,,,1,,,\r
matched,b,CRDT,5,5,0,KRW,9,8-30,2,1,2,,,\r
";
    assert_eq!(outcome.csv(), expected);
}

fn any_reference() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "e", "S1", "S2"]).prop_map(ToOwned::to_owned)
}

fn any_movement() -> impl Strategy<Value = Movement> {
    prop::sample::select(vec![Capture, Refund, PayOut])
}

prop_compose! {
    fn any_ours()(reference in any_reference(), movement in any_movement(), minor in 0..4_u64, at in 0..20) -> Ours {
        ours(&reference, movement, minor, at)
    }
}

prop_compose! {
    fn any_rail()(
        reference in any_reference(), movement in any_movement(), minor in 0..4_u64, at in 0..20, fee in 0..2_u64,
        settlement in prop::option::of(any_reference()),
    ) -> RailRow {
        RailRow { fee_minor: fee, settlement, ..rail(&reference, movement, minor, at) }
    }
}

prop_compose! {
    fn any_bank()(
        reference in prop::option::of(any_reference()), credit in any::<bool>(), minor in 0..4_u64, at in 0..20,
        is_return in any::<bool>(),
    ) -> BankEntry {
        let side = if credit { Side::Credit } else { Side::Debit };
        BankEntry { is_return, ..bank(&reference.unwrap_or_default(), side, minor, at) }
    }
}

proptest! {
    #[test]
    fn every_row_is_in_exactly_one_finding(
        ours in prop::collection::vec(any_ours(), 0..12), rail in prop::collection::vec(any_rail(), 0..12),
        bank in prop::collection::vec(any_bank(), 0..12),
    ) {
        let outcome = run(&ours, &rail, &bank);
        let places = |place: fn(&Finding) -> Option<usize>| -> Vec<usize> {
            let mut places: Vec<usize> = outcome.findings.iter().filter_map(place).collect();
            places.sort_unstable();
            places
        };
        prop_assert_eq!(places(|f| f.ours), (0..ours.len()).collect::<Vec<_>>());
        prop_assert_eq!(places(|f| f.rail), (0..rail.len()).collect::<Vec<_>>());
        prop_assert_eq!(places(|f| f.bank), (0..bank.len()).collect::<Vec<_>>());
        for finding in &outcome.findings {
            prop_assert!(finding.ours.is_some() || finding.rail.is_some() || finding.bank.is_some());
            if finding.verdict == Verdict::Matched {
                prop_assert_eq!(finding.open_minor(), 0);
            }
        }
        let aged: u64 = outcome.aged().values().map(|(count, _)| count).sum();
        prop_assert_eq!(aged, outcome.breaks().count() as u64);
        prop_assert_eq!(read(&outcome.csv()).len(), outcome.findings.len() + 1);
    }

    #[test]
    fn what_agrees_everywhere_is_matched_in_any_order(
        references in prop::collection::btree_set("[a-z]{1,6}", 0..10), rotate in any::<usize>(), minor in 1..9_999_u64,
    ) {
        let references: BTreeSet<String> = references;
        let mut ours_rows: Vec<Ours> = references.iter().map(|reference| ours(reference, Capture, minor, 1)).collect();
        let rail_rows: Vec<RailRow> = references.iter().map(|reference| rail(reference, Capture, minor, 1)).collect();
        let bank_rows: Vec<BankEntry> =
            references.iter().rev().map(|reference| bank(reference, Side::Credit, minor, 3)).collect();
        if !ours_rows.is_empty() {
            let by = rotate % ours_rows.len();
            ours_rows.rotate_left(by);
        }
        let outcome = run(&ours_rows, &rail_rows, &bank_rows);
        prop_assert!(outcome.findings.iter().all(|finding| finding.verdict == Verdict::Matched));
        prop_assert_eq!(outcome.findings.len(), references.len());
    }
}
