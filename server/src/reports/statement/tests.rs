//! A statement as it is written, and read by the reader of banks' statements.

use proptest::prelude::*;

use super::*;
use crate::reports::{bank::read_bank_statements, money::parse_decimal, table::tests::read, xml};

const START: u64 = 1_795_478_400_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(START + seconds * 1_000_000)
}

fn entry(id: u8, seconds: u64, side: Side, minor: u64) -> Entry {
    Entry {
        reference: Reference::of_id([id; 16]),
        payment: Reference::of_id([id ^ 0xf0; 16]),
        time: at(seconds),
        side,
        minor,
        movement: match side {
            Side::Credit => Movement::TopUp,
            Side::Debit => Movement::Capture,
        },
        note: "=가 & <나>".to_owned(),
    }
}

pub(in crate::reports) fn statement(
    code: &str,
    opening_minor: i128,
    entries: Vec<Entry>,
) -> Statement {
    Statement {
        id: Reference::new("ST-1").unwrap(),
        number: 7,
        created: at(90_000),
        from: at(0),
        until: at(86_400),
        zone: Zone::UTC,
        account: Reference::of_id([3; 16]),
        owner: "김** 민**".to_owned(),
        currency: code.parse().unwrap(),
        opening_minor,
        entries,
    }
}

#[test]
fn a_statement_is_this_table() {
    let entries = vec![
        entry(1, 60, Side::Credit, 50_000),
        entry(2, 120, Side::Debit, 4_500),
    ];
    let csv = statement("KRW", -500, entries).csv().unwrap();
    let expected = [
        "time,reference,payment,movement,amount,balance,currency,note",
        "2026-11-24T00:00:00+00:00,,,OPENING,,-500,KRW,",
        "2026-11-24T00:01:00+00:00,01010101010101010101010101010101,f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1,TOPUP,\
         50000,49500,KRW,'=가 & <나>",
        "2026-11-24T00:02:00+00:00,02020202020202020202020202020202,f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2,CAPTURE,\
         -4500,45000,KRW,'=가 & <나>",
        "2026-11-25T00:00:00+00:00,,,CLOSING,,45000,KRW,",
    ];
    assert_eq!(csv, expected.map(|line| format!("{line}\r\n")).concat());
}

#[test]
fn a_statement_is_this_message() {
    let entries = vec![
        entry(1, 60, Side::Credit, 5_000),
        entry(2, 120, Side::Debit, 450),
    ];
    let message = statement("EUR", -50, entries).camt053().unwrap();
    let document = xml::read(message.as_bytes(), &[MESSAGE]).unwrap();
    let flat = xml::flat(&document);
    let texts = |path: &str| -> Vec<&str> {
        let path = format!("/Document/BkToCstmrStmt/Stmt/{path}");
        flat.iter()
            .filter(|(own, _)| *own == path)
            .map(|(_, text)| text.as_str())
            .collect()
    };
    assert_eq!(texts("Bal/Tp/CdOrPrtry/Cd"), ["OPBD", "CLBD"]);
    assert_eq!(texts("Bal/Amt"), ["0.50", "45.00"]);
    assert_eq!(texts("Bal/CdtDbtInd"), ["DBIT", "CRDT"]);
    assert_eq!(texts("Bal/Dt/Dt"), ["2026-11-24", "2026-11-24"]);
    assert_eq!(texts("Ntry/Amt"), ["50.00", "4.50"]);
    assert_eq!(texts("Ntry/CdtDbtInd"), ["CRDT", "DBIT"]);
    assert_eq!(texts("Ntry/Sts/Cd"), ["BOOK", "BOOK"]);
    assert_eq!(texts("Ntry/BkTxCd/Prtry/Cd"), ["TOPUP", "CAPTURE"]);
    assert_eq!(texts("Ntry/NtryDtls/TxDtls/Refs/EndToEndId").len(), 2);
    assert_eq!(texts("TxsSummry/TtlNtries/Sum"), ["54.50"]);
    assert_eq!(texts("TxsSummry/TtlDbtNtries/NbOfNtries"), ["1"]);
    assert_eq!(texts("Acct/Ownr/Nm"), ["김** 민**"]);
    assert_eq!(texts("Ntry/AddtlNtryInf"), ["=가 & <나>"; 2]);
}

#[test]
fn entries_that_are_not_its_own_are_refused() {
    let refused = |entries| statement("KRW", 0, entries).camt053();
    let credit = |id, seconds| entry(id, seconds, Side::Credit, 1);
    assert_eq!(refused(vec![credit(1, 86_400)]), Err(StatementError::Time));
    assert_eq!(
        refused(vec![credit(1, 5), credit(2, 4)]),
        Err(StatementError::Time)
    );
    assert_eq!(
        refused(vec![credit(1, 5), credit(1, 5)]),
        Err(StatementError::Twice)
    );
    assert!(refused(vec![credit(1, 5), credit(2, 5)]).is_ok());
    assert!(refused(Vec::new()).is_ok());
}

proptest! {
    #[test]
    fn the_reader_of_banks_finds_what_was_written(
        moves in prop::collection::vec((any::<bool>(), 1..=999_999_999_999_u64), 0..12),
        opening in -1_000_000_i128..1_000_000, code in 0_usize..3,
    ) {
        let code = ["KRW", "EUR", "KWD"][code];
        let side = |credit| if credit { Side::Credit } else { Side::Debit };
        let entries: Vec<Entry> = (0_u8..).zip(&moves)
            .map(|(id, (credit, minor))| entry(id, id.into(), side(*credit), *minor))
            .collect();
        let statement = statement(code, opening, entries);
        let message = statement.camt053().unwrap();
        let found = read_bank_statements(message.as_bytes()).unwrap();
        prop_assert_eq!(found.len(), 1);
        let found = &found[0];
        prop_assert_eq!(found.opening_minor, Some(opening));
        prop_assert_eq!(found.closing_minor, Some(statement.closing_minor()));
        prop_assert_eq!(found.gap_minor(), Some(0));
        let amounts: Vec<_> = found.entries.iter().map(|entry| (entry.side == Side::Credit, entry.minor)).collect();
        prop_assert_eq!(amounts, moves);

        let table = read(&statement.csv().unwrap());
        let amount = |cell: &str| {
            let (side, size) = cell.strip_prefix('-').map_or((Side::Credit, cell), |rest| (Side::Debit, rest));
            side.signed(parse_decimal(size, statement.currency).unwrap())
        };
        let moved: i128 = table[2..table.len() - 1].iter().map(|row| amount(&row[4])).sum();
        prop_assert_eq!(opening + moved, amount(&table[table.len() - 1][5]));
    }
}
