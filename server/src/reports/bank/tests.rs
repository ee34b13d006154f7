//! Statements of banks: both versions, batches, and what is refused.

use super::*;

fn message(version: &str, inside: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}\"><BkToCstmrStmt>{inside}\
         </BkToCstmrStmt></Document>"
    )
}

fn balance(code: &str, amount: &str, side: &str) -> String {
    format!(
        "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
         <CdtDbtInd>{side}</CdtDbtInd></Bal>"
    )
}

fn statement(entries: &str) -> String {
    let balances = balance("OPBD", "10.00", "DBIT") + &balance("CLBD", "5", "CRDT");
    format!(
        "<Stmt><Id>S</Id><Acct><Id><IBAN>X</IBAN></Id><Ccy>EUR</Ccy></Acct>{balances}{entries}</Stmt>"
    )
}

fn entry(amount: &str, details: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt>\
         <DtTm>2026-11-24T23:30:00+09:00</DtTm></BookgDt><AcctSvcrRef>B</AcctSvcrRef>\
         <NtryDtls>{details}</NtryDtls></Ntry>"
    )
}

fn details(amount: &str, reference: &str) -> String {
    format!(
        "<TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs><Amt Ccy=\"EUR\">{amount}</Amt>\
         <RmtInf><Ustrd>a</Ustrd><Ustrd>b</Ustrd></RmtInf></TxDtls>"
    )
}

fn read_one(entries: &str) -> Result<BankStatement, XmlError> {
    let text = message("08", &statement(entries));
    read_bank_statements(text.as_bytes()).map(|mut all| all.remove(0))
}

fn bookings(entries: &str) -> Vec<(u64, Option<String>)> {
    let entries = read_one(entries).unwrap().entries;
    entries
        .into_iter()
        .map(|entry| (entry.minor, entry.reference))
        .collect()
}

#[test]
fn an_entry_is_read_with_its_reference_and_day() {
    let statement = read_one(&entry("15.00", &details("15.00", "E1"))).unwrap();
    assert_eq!(statement.gap_minor(), Some(0));
    let expected = BankEntry {
        side: Side::Credit,
        minor: 1_500,
        day: "2026-11-24".parse().unwrap(),
        reference: Some("E1".to_owned()),
        bank_reference: Some("B".to_owned()),
        note: "a b".to_owned(),
        is_return: false,
    };
    assert_eq!(statement.entries, [expected]);
    let returned = details("15.00", "NOTPROVIDED").replace("</TxDtls>", "<RtrInf/></TxDtls>");
    let returned = &read_one(&entry("15.00", &returned)).unwrap().entries[0];
    assert_eq!((returned.is_return, &returned.reference), (true, &None));
}

#[test]
fn a_batch_is_split_only_when_its_parts_add_up() {
    let named = |minor, reference: &str| (minor, Some(reference.to_owned()));
    let parts = details("10.00", "E1") + &details("5.00", "E2");
    assert_eq!(
        bookings(&entry("15.00", &parts)),
        [named(1_000, "E1"), named(500, "E2")]
    );
    assert_eq!(bookings(&entry("15.01", &parts)), [(1_501, None)]);
    assert_eq!(bookings(&entry("15.01", "")), [(1_501, None)]);
    let unsaid = details("10.00", "E1") + "<TxDtls/>";
    assert_eq!(bookings(&entry("15.00", &unsaid)), [(1_500, None)]);
}

#[test]
fn only_what_is_booked_counts() {
    let pending = entry("1.00", "").replace("BOOK", "PDNG");
    assert!(bookings(&pending).is_empty());
    assert_eq!(
        read_one("").unwrap().gap_minor(),
        Some(1_500),
        "a line is missing"
    );
}

#[test]
fn the_older_version_is_read_too() {
    let entries = entry("15.00", "").replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>");
    let text = message("02", &statement(&entries).replace("<Ccy>EUR</Ccy>", ""));
    let found = &read_bank_statements(text.as_bytes()).unwrap()[0];
    assert_eq!((found.currency.code(), found.gap_minor()), ("EUR", Some(0)));
}

#[test]
fn what_a_statement_must_have_is_asked_for() {
    for (from, to, missing) in [
        ("<Id>S</Id>", "", "Stmt/Id"),
        ("<Id><IBAN>X</IBAN></Id>", "", "Acct/Id"),
        ("<Ccy>EUR</Ccy>", "<Ccy>XXX</Ccy>", "Acct/Ccy"),
        (">10.00<", ">10.001<", "Bal/Amt"),
        (">15.00<", ">-15.00<", "Ntry/Amt"),
        ("Ccy=\"EUR\">15.00<", "Ccy=\"USD\">15.00<", "Ntry/Amt"),
        ("2026-11-24", "2026-11-31", "Ntry/BookgDt"),
        (
            "<CdtDbtInd>CRDT</CdtDbtInd><Sts>",
            "<Sts>",
            "Ntry/CdtDbtInd",
        ),
    ] {
        let text = message("08", &statement(&entry("15.00", ""))).replacen(from, to, 1);
        let error = read_bank_statements(text.as_bytes()).unwrap_err();
        assert_eq!(error, XmlError::Element(missing));
    }
}
