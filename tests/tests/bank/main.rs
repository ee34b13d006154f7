//! Pay-outs and statements against a bank and schemas that others wrote: `./x counterparts` installs them. Where
//! they are not installed, these tests say so and are skipped.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod counterpart;
mod payouts;

use counterpart::{Bank, Install};
use palm_proto::money::Currency;
use palm_server::{
    clock::Timestamp,
    reports::{
        Day, Reference, Side, Zone,
        bank::{BankEntry, BankStatement, read_bank_statements},
        money::decimal,
        payout::{self, BankAccount, Batch, Payout, Status, StatusReport, read_status_report},
        reconcile::{self, Break, Ours, RailRow, Sources, Verdict, reconcile},
        statement::{self, Entry, Movement, Statement},
    },
};
use serde_json::{Value, json};

/// 2026-11-24, 09:00 UTC: the bank's clock begins there.
const NOW: Timestamp = Timestamp::from_micros(1_795_510_800_000_000);
const FIRST_DAY: &str = "2026-11-24";
/// An account that the bank keeps from the start, with EUR 125,000.00.
const OURS: &str = "NL41MOCK0000000001";
/// One that it has closed.
const CLOSED: &str = "NL84MOCK0000000003";
/// One at another bank.
const ELSEWHERE: &str = "DE89370400440532013000";

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn payout(name: &str, minor: u64, account: &str) -> Payout {
    Payout {
        reference: reference(name),
        minor,
        name: "Person & \u{1b}<Two> 김".to_owned(),
        account: BankAccount::iban(account).unwrap(),
        note: "Wallet".to_owned(),
    }
}

fn batch(id: &str, code: &str, payouts: Vec<Payout>) -> Batch {
    Batch {
        id: reference(id),
        created: NOW,
        zone: Zone::UTC,
        payer: "Palm Shop".to_owned(),
        account: BankAccount::iban(OURS).unwrap(),
        currency: code.parse().unwrap(),
        day: day(FIRST_DAY),
        payouts,
    }
}

fn statement(code: &str, count: u8) -> Statement {
    let entry = |at: u8| Entry {
        reference: Reference::of_id([at; 16]),
        payment: reference(&format!("P{at}")),
        time: Timestamp::from_micros(NOW.micros() + u64::from(at)),
        side: [Side::Credit, Side::Debit][usize::from(at % 2)],
        minor: 1_000_007 * u64::from(at) + 1,
        movement: [
            Movement::TopUp,
            Movement::Capture,
            Movement::Refund,
            Movement::PayOut,
        ][usize::from(at % 4)],
        note: "<가> & \"나\"".repeat(usize::from(at % 3) * 60),
    };
    Statement {
        id: reference("ST-1"),
        number: 1,
        created: NOW,
        from: NOW,
        until: Timestamp::from_micros(NOW.micros() + 86_400_000_000),
        zone: Zone::east(540).unwrap(),
        account: Reference::of_id([7; 16]),
        owner: "김** 민**".to_owned(),
        currency: code.parse().unwrap(),
        opening_minor: -5,
        entries: (0..count).map(entry).collect(),
    }
}

#[test]
fn the_schemas_take_what_we_write() {
    let Some(install) = Install::find() else {
        return;
    };
    for code in ["KRW", "EUR", "KWD"] {
        for count in [0, 1, 40] {
            let text = statement(code, count).camt053().unwrap();
            install.validate(statement::MESSAGE, &text).unwrap();
        }
        let one = payout("E1", 999_999_999_999, ELSEWHERE);
        let mut batch = batch("B1", code, vec![one, payout("E2", 1, CLOSED)]);
        batch.account = BankAccount::other("110-234-567890").unwrap();
        install
            .validate(payout::MESSAGE, &batch.pain001().unwrap())
            .unwrap();
    }
    let broken = statement("EUR", 1)
        .camt053()
        .unwrap()
        .replace("BOOK</Cd>", "</Cd>");
    let error = install.validate(statement::MESSAGE, &broken).unwrap_err();
    assert!(error.contains("Cd"), "the check checks: {error}");
}

#[test]
fn another_reader_finds_the_same_statement() {
    let Some(install) = Install::find() else {
        return;
    };
    for code in ["KRW", "EUR", "KWD"] {
        let ours = statement(code, 40);
        let theirs = install.read_statement(&ours.camt053().unwrap());
        // It writes `-5.0` for -5.
        let plain = |text: &str| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text.to_owned(),
        };
        let same = |text: &Value, minor: i128| {
            let written = decimal(minor, ours.currency);
            assert_eq!(plain(text.as_str().unwrap()), plain(&written));
        };
        let head = &theirs["statements"][0];
        assert_eq!(head["Currency"], code);
        same(&head["OpeningBalance"], ours.opening_minor);
        same(&head["ClosingBalance"], ours.closing_minor());
        let rows = theirs["transactions"].as_array().unwrap();
        assert_eq!(rows.len(), ours.entries.len());
        for (row, entry) in rows.iter().zip(&ours.entries) {
            same(&row["Amount"], entry.minor.into());
            assert_eq!(row["CreditDebitIndicator"], entry.side.code());
            assert_eq!(row["EndToEndId"], entry.payment.as_str());
            assert_eq!(row["ValueDate"], ours.zone.day(entry.time).to_string());
        }
    }
}

/// The bank's reports that wait, oldest first.
fn reports(bank: &Bank) -> Vec<StatusReport> {
    let bodies = bank.mail("pain.002", "ACME");
    let read = |body: &String| read_status_report(body.as_bytes()).unwrap();
    bodies.iter().map(read).collect()
}

fn statements(bank: &Bank) -> Vec<BankStatement> {
    let bodies = bank.mail("camt.053", "ACME");
    let read = |body: &String| read_bank_statements(body.as_bytes()).unwrap();
    bodies.iter().flat_map(read).collect()
}

fn credit(bank: &Bank, end_to_end_id: &str, minor: u64) {
    let body = json!({
        "account": "ACME", "amount": minor, "end_to_end_id": end_to_end_id, "debtor": { "name": "Rail" },
    });
    let (status, answer) = bank.post("/_mock/credits", &body.to_string());
    assert!(matches!(status, 200 | 201), "{status}: {answer}");
}

#[test]
fn a_batch_that_is_sent_twice_is_paid_once() {
    let Some(bank) = Bank::start() else { return };
    let payouts = vec![
        payout("PO-1", 1_000, ELSEWHERE),
        payout("PO-2", 250, CLOSED),
    ];
    let message = batch("BATCH-1", "EUR", payouts).pain001().unwrap();
    let (first, answer) = bank.post("/payments", &message);
    assert_eq!(first, 202, "{answer}");
    let (second, answer) = bank.post("/payments", &message);
    assert_eq!(second, 422, "{answer}");
    let reports = reports(&bank);
    let [first, again] = reports.as_slice() else {
        panic!("one report for each message: {reports:?}")
    };
    assert_eq!(
        (first.batch.as_str(), first.status),
        ("BATCH-1", Some(Status::Partly))
    );
    assert!(!first.is_duplicate() && again.is_duplicate());
    let payouts = first.payouts.iter();
    let payouts: Vec<_> = payouts
        .map(|payout| {
            (
                payout.reference.as_str(),
                payout.status,
                payout.reason.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        payouts,
        [
            ("PO-1", Status::Accepted, None),
            ("PO-2", Status::Rejected, Some("AC04"))
        ]
    );
    bank.advance(2);
    let booked: Vec<BankEntry> = statements(&bank)
        .into_iter()
        .flat_map(|statement| statement.entries)
        .collect();
    let booked: Vec<_> = booked
        .iter()
        .map(|entry| (entry.reference.as_deref(), entry.side, entry.minor))
        .collect();
    assert_eq!(booked, [(Some("PO-1"), Side::Debit, 1_000)]);
}

#[test]
fn a_currency_without_minor_digits_is_paid_whole() {
    let Some(bank) = Bank::start() else { return };
    bank.patch("/_mock/accounts/ACME", r#"{"currency": "KRW"}"#);
    let message = batch("BATCH-1", "KRW", vec![payout("PO-1", 45_000, ELSEWHERE)])
        .pain001()
        .unwrap();
    let (status, answer) = bank.post("/payments", &message);
    assert_eq!(status, 202, "{answer}");
    bank.advance(2);
    let first = &statements(&bank)[0];
    assert_eq!(
        (first.currency, first.gap_minor()),
        (Currency::KRW, Some(0))
    );
    assert_eq!(first.entries[0].minor, 45_000);
}

fn ours(reference: &str, movement: reconcile::Movement, minor: u64) -> Ours {
    Ours {
        reference: reference.to_owned(),
        movement,
        minor,
        day: day(FIRST_DAY),
    }
}

/// The rail's row for one of ours.
fn at_rail(row: &Ours, fee_minor: u64, settlement: Option<&str>) -> RailRow {
    RailRow {
        reference: row.reference.clone(),
        movement: row.movement,
        minor: row.minor,
        fee_minor,
        day: row.day,
        settlement: settlement.map(ToOwned::to_owned),
    }
}

/// Captures of ours and their settlement, pay-outs of ours, and the bank's days, laid side by side.
#[test]
fn a_day_reconciles_three_ways() {
    let Some(bank) = Bank::start() else { return };
    let payouts = vec![
        payout("PO-1", 1_000, ELSEWHERE),
        payout("PO-2", 250, CLOSED),
    ];
    let message = batch("BATCH-1", "EUR", payouts).pain001().unwrap();
    assert_eq!(bank.post("/payments", &message).0, 202);
    credit(&bank, "SETTLE-1", 1_470);
    credit(&bank, "STRAY", 77);
    let report = reports(&bank).remove(0);
    bank.advance(3);
    let ours = [
        ours("CAP-1", reconcile::Movement::Capture, 1_000),
        ours("CAP-2", reconcile::Movement::Capture, 500),
        ours("PO-1", reconcile::Movement::PayOut, 1_000),
        ours("PO-2", reconcile::Movement::PayOut, 250),
    ];
    let mut rail = vec![
        at_rail(&ours[0], 20, Some("SETTLE-1")),
        at_rail(&ours[1], 10, Some("SETTLE-1")),
    ];
    for answer in report
        .payouts
        .iter()
        .filter(|payout| payout.status == Status::Accepted)
    {
        let payout = ours.iter().find(|row| row.reference == answer.reference);
        rail.push(at_rail(payout.unwrap(), 0, None));
    }
    let statements = statements(&bank);
    assert!(
        statements
            .iter()
            .all(|statement| statement.gap_minor() == Some(0))
    );
    let entries: Vec<BankEntry> = statements
        .into_iter()
        .flat_map(|statement| statement.entries)
        .collect();
    let outcome = reconcile(&Sources {
        ours: &ours,
        rail: &rail,
        bank: &entries,
        today: day("2026-11-27"),
        rail_until: day("2026-11-27"),
        settle_days_max: 2,
        currency: "EUR".parse().unwrap(),
    });
    let findings = outcome.findings.iter();
    let mut told: Vec<_> = findings
        .map(|finding| (finding.reference.as_str(), finding.verdict))
        .collect();
    told.sort_unstable();
    let expected = [
        ("CAP-1", Verdict::Matched),
        ("CAP-2", Verdict::Matched),
        ("PO-1", Verdict::Matched),
        ("PO-2", Verdict::Broken(Break::MissingAtRail)),
        ("SETTLE-1", Verdict::Matched),
        ("STRAY", Verdict::Broken(Break::MissingInOurs)),
    ];
    assert_eq!(told, expected, "{}", outcome.text());
}

#[test]
fn a_line_that_the_bank_leaves_out_is_missed() {
    let Some(bank) = Bank::start() else { return };
    bank.patch("/_mock/accounts/ACME", r#"{"behaviour": "statement-gap"}"#);
    credit(&bank, "CAP-1", 4_500);
    credit(&bank, "CAP-2", 30);
    bank.advance(2);
    let first = &statements(&bank)[0];
    let gap = first.gap_minor().unwrap();
    let told: i128 = first
        .entries
        .iter()
        .map(|entry| i128::from(entry.minor))
        .sum();
    assert_ne!(gap, 0, "{first:?}");
    assert_eq!(told + gap, 4_530);
}

#[test]
fn a_pay_out_that_comes_back_is_seen() {
    let Some(bank) = Bank::start() else { return };
    bank.patch(
        "/_mock/accounts/ACME",
        r#"{"behaviour": "return-later", "parameters": {"days": 1}}"#,
    );
    let message = batch("BATCH-1", "EUR", vec![payout("PO-1", 1_000, ELSEWHERE)])
        .pain001()
        .unwrap();
    assert_eq!(bank.post("/payments", &message).0, 202);
    bank.advance(6);
    let entries: Vec<BankEntry> = statements(&bank)
        .into_iter()
        .flat_map(|statement| statement.entries)
        .collect();
    let ours = [ours("PO-1", reconcile::Movement::PayOut, 1_000)];
    let outcome = reconcile(&Sources {
        ours: &ours,
        rail: &[at_rail(&ours[0], 0, None)],
        bank: &entries,
        today: day("2026-11-30"),
        rail_until: day("2026-11-30"),
        settle_days_max: 2,
        currency: "EUR".parse().unwrap(),
    });
    let told = outcome.findings.iter();
    let told: Vec<_> = told
        .map(|finding| (finding.reference.as_str(), finding.verdict, finding.side))
        .collect();
    let expected = [
        ("PO-1", Verdict::Broken(Break::Returned), Side::Credit),
        ("PO-1", Verdict::Matched, Side::Debit),
    ];
    assert_eq!(told, expected);
}
