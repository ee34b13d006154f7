//! Shifts that are closed and shifts that are not.

use proptest::prelude::*;

use super::*;
use crate::reports::{
    Language,
    columns::{width, width_of},
    escpos::{self, Charset, tests::Printer},
    receipt,
    roll::Columns,
    table::tests::read,
};

const OPENED: u64 = 1_795_474_800_000_000; // 2026-11-24 08:00 in Seoul, as all of these times

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_micros(OPENED + minutes * 60_000_000)
}

fn till(id: &str) -> TillId {
    TillId::new(id).unwrap()
}

fn row(till_id: &str, minutes: u64, outcome: Outcome, tender: Tender, minor: u64) -> Row {
    let has_vat = matches!(outcome, Outcome::Captured | Outcome::Refunded);
    Row {
        till: till(till_id),
        time: at(minutes),
        outcome,
        tender,
        minor,
        vat_minor: if has_vat { minor / 11 } else { 0 },
    }
}

fn shift(rows: Vec<Row>) -> Shift {
    let drawer = |id, counted_minor| Drawer {
        till: till(id),
        opening_minor: 100_000,
        put_in_minor: 0,
        taken_out_minor: 30_000,
        counted_minor,
    };
    Shift {
        shop: receipt::tests::shop(Language::Ko),
        till: None,
        zone: Zone::east(540).unwrap(),
        currency: Currency::KRW,
        opened: at(0),
        closed: at(720),
        last_number: 41,
        rows,
        drawers: vec![drawer("counter-1", Some(119_000)), drawer("kiosk-2", None)],
    }
}

fn day() -> Vec<Row> {
    use Outcome::{Captured, Declined, PaidOut, Refunded, ToppedUp, Unresolved, Voided};
    vec![
        row("counter-1", 5, ToppedUp, Tender::Cash, 50_000),
        row("counter-1", 12, Captured, Tender::Wallet, 12_800),
        row("kiosk-2", 40, Captured, Tender::Wallet, 4_500),
        row("kiosk-2", 41, Captured, Tender::Card, 33_000),
        row("counter-1", 60, Declined, Tender::Wallet, 9_000),
        row("counter-1", 95, Refunded, Tender::Wallet, 3_800),
        row("kiosk-2", 300, Voided, Tender::Card, 7_000),
        row("kiosk-2", 301, Unresolved, Tender::Card, 7_000),
        row("counter-1", 400, PaidOut, Tender::Bank, 20_000),
    ]
}

/// What the ledger posts for the rows, said account by account.
fn books(rows: &[Row]) -> Books {
    let mut books = Books::default();
    for row in rows {
        let other = match row.tender {
            Tender::Bank => Account::Bank,
            Tender::Card => Account::Rail,
            Tender::Cash => Account::Cash,
            Tender::Wallet => Account::Wallets,
        };
        match row.outcome {
            Outcome::Captured => books.post(other, Account::Merchant, row.minor),
            Outcome::Refunded => books.post(Account::Merchant, other, row.minor),
            Outcome::ToppedUp => books.post(other, Account::Wallets, row.minor),
            Outcome::PaidOut => books.post(Account::Wallets, other, row.minor),
            Outcome::CameBack => books.post(Account::Bank, Account::Wallets, row.minor),
            Outcome::Banked => books.post(Account::Bank, other, row.minor),
            Outcome::RailRepaid => books.post(Account::Rail, Account::Bank, row.minor),
            Outcome::Fee => books.post(Account::Fees, Account::Rail, row.minor),
            Outcome::Voided | Outcome::Declined | Outcome::Expired | Outcome::Unresolved => {}
        }
    }
    books
}

fn closed(rows: Vec<Row>) -> ZReport {
    let books = books(&rows);
    ZReport::close(shift(rows), &books).unwrap()
}

const KOREAN: &str = include_str!("day_ko_42.txt");

#[test]
fn a_day_in_korean_reads_so() {
    let report = closed(day());
    assert_eq!(report.number, 42);
    assert_eq!(report.roll(Language::Ko).text(Columns::C42), KOREAN);
}

#[test]
fn a_printer_shows_the_day() {
    let roll = closed(day()).roll(Language::Ko);
    let printer = Printer::run(&escpos::print(&roll, Columns::C42, Charset::KsX1001));
    let large = printer.lines.iter().filter(|line| line.is_double);
    let large: Vec<&str> = large.map(|line| line.text.as_str()).collect();
    assert_eq!(
        large,
        [
            "     Z 정산 0042",
            "     손바닥 상점",
            "순매출       46,500원"
        ]
    );
    let strong = |line: &&str| line.starts_with("매출 x 3") || line.starts_with("과부족");
    for line in KOREAN.lines().filter(strong) {
        let printed = printer.lines.iter().find(|printed| printed.text == line);
        assert!(printed.unwrap().is_strong, "{line}");
    }
}

#[test]
fn a_shift_that_differs_from_the_books_is_not_closed() {
    let rows = day();
    let mut books = books(&rows);
    books.post(Account::Rail, Account::Merchant, 1);
    let refused = ZReport::close(shift(rows.clone()), &books).unwrap_err();
    assert_eq!(
        refused,
        CloseError::Books(vec![Account::Merchant, Account::Rail])
    );
    let refused = ZReport::close(shift(rows), &Books::default()).unwrap_err();
    let all = [
        Account::Bank,
        Account::Cash,
        Account::Merchant,
        Account::Rail,
        Account::Wallets,
    ];
    assert_eq!(refused, CloseError::Books(all.to_vec()));
}

#[test]
fn a_shift_that_is_not_itself_is_not_closed() {
    let close = |change: &dyn Fn(&mut Shift)| {
        let mut shift = shift(day());
        change(&mut shift);
        let books = books(&shift.rows);
        ZReport::close(shift, &books).map(|report| report.number)
    };
    assert_eq!(close(&|_| {}), Ok(42));
    assert_eq!(close(&|s| s.closed = at(400)), Err(CloseError::Time));
    assert_eq!(close(&|s| s.opened = at(6)), Err(CloseError::Time));
    assert_eq!(
        close(&|s| s.till = Some(till("counter-1"))),
        Err(CloseError::OtherTill)
    );
    assert_eq!(
        close(&|s| s.rows[1].vat_minor = 12_801),
        Err(CloseError::Vat)
    );
    assert_eq!(
        close(&|s| s.rows[0].tender = Tender::Wallet),
        Err(CloseError::Tender)
    );
    assert_eq!(
        close(&|s| s.last_number = u64::MAX),
        Err(CloseError::Number)
    );
    assert_eq!(
        close(&|s| drop(s.drawers.remove(0))),
        Err(CloseError::Drawers)
    );
    assert_eq!(
        close(&|s| drop(s.drawers.remove(1))),
        Ok(42),
        "it took no cash"
    );
    assert_eq!(
        close(&|s| s.drawers[1].till = till("counter-1")),
        Err(CloseError::Drawers)
    );
}

fn any_row() -> impl Strategy<Value = Row> {
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let tender = prop::sample::select(vec![
        Tender::Bank,
        Tender::Card,
        Tender::Cash,
        Tender::Wallet,
    ]);
    let id = prop::sample::select(vec!["counter-1", "kiosk-2"]);
    let possible = |row: &Row| row.outcome.accounts(row.tender).is_ok();
    (id, 0..720_u64, outcome, tender, 1..=999_999_999_999_u64)
        .prop_map(|(id, minutes, outcome, tender, minor)| row(id, minutes, outcome, tender, minor))
        .prop_filter("a wallet is not filled from itself", possible)
}

proptest! {
    #[test]
    fn totals_are_the_sums_of_the_rows(rows in prop::collection::vec(any_row(), 0..40)) {
        let report = closed(rows.clone());
        for ((outcome, tender), tally) in report.tallies() {
            let of = rows.iter().filter(|row| (row.outcome, row.tender) == (*outcome, *tender));
            prop_assert_eq!(tally.count, of.clone().count() as u64);
            prop_assert_eq!(tally.minor, of.clone().map(|row| i128::from(row.minor)).sum::<i128>());
            prop_assert_eq!(tally.vat_minor, of.map(|row| i128::from(row.vat_minor)).sum::<i128>());
        }
        let counted: u64 = report.tallies().values().map(|tally| tally.count).sum();
        prop_assert_eq!(counted, rows.len() as u64);
        let mut together = Tallies::new();
        for (key, tally) in report.tills().values().flatten() {
            together.entry(*key).or_default().add(*tally);
        }
        prop_assert_eq!(&together, report.tallies());
        // The drawers together move as the ledger's cash does.
        let cash = books(&rows).of(Account::Cash);
        let moved: i128 = report.drawers().iter().map(|drawer| drawer.expected_minor - 70_000).sum();
        prop_assert_eq!(moved, cash.debits - cash.credits);
        let merchant = books(&rows).of(Account::Merchant);
        prop_assert_eq!(report.net_sales().minor, merchant.credits - merchant.debits);
    }

    #[test]
    fn paper_and_table_hold_the_report(rows in prop::collection::vec(any_row(), 0..20), korean in any::<bool>()) {
        let report = closed(rows);
        let language = if korean { Language::Ko } else { Language::En };
        let roll = report.roll(language);
        for columns in [Columns::C32, Columns::C42, Columns::C48] {
            for line in roll.text(columns).lines() {
                prop_assert!(width(line, width_of) <= columns.count(), "{line:?}");
            }
            Printer::run(&escpos::print(&roll, columns, Charset::Cp949));
        }
        let table = read(&report.csv());
        let amount = |row: &[String]| row[5].parse::<i128>().unwrap();
        let sold = |what: &str| table.iter().filter(|row| row[2] == what).map(|row| amount(row)).sum::<i128>();
        prop_assert_eq!(sold("captured") - sold("refunded"), sold("net_sales"));
        prop_assert!(table.iter().all(|row| row.len() == 8));
    }
}
