//! Batches as they go to the bank, and what comes back.

use proptest::prelude::*;

use super::*;
use crate::reports::xml;

/// An IBAN of a test: check digits as ISO 13616 makes them.
fn iban(country_and_rest: &str) -> String {
    let (country, rest) = country_and_rest.split_at(2);
    let remainder = remainder_97(&format!("{country}00{rest}")).unwrap();
    format!("{country}{:02}{rest}", 98 - remainder)
}

fn payout(reference: &str, minor: u64) -> Payout {
    Payout {
        reference: Reference::new(reference).unwrap(),
        minor,
        name: "Person & Two".to_owned(),
        account: BankAccount::iban(&iban("NLMOCK0000000002")).unwrap(),
        note: String::new(),
    }
}

pub(in crate::reports) fn batch(code: &str, payouts: Vec<Payout>) -> Batch {
    Batch {
        id: Reference::new("PO-1").unwrap(),
        created: Timestamp::from_micros(1_795_511_133_000_000),
        zone: Zone::UTC,
        payer: "Palm Shop".to_owned(),
        account: BankAccount::other("110-234-567890").unwrap(),
        currency: code.parse().unwrap(),
        day: "2026-11-24".parse().unwrap(),
        payouts,
    }
}

#[test]
fn an_account_is_an_iban_or_a_bank_s_own_number_and_never_a_card_s() {
    for (text, read) in [
        (" DE89 3704 0044 0532 0130 00 ", "DE89370400440532013000"),
        ("110-234-567890", "110-234-567890"),
        ("79927398713", "79927398713"),
    ] {
        assert_eq!(BankAccount::new(text).unwrap().as_str(), read);
    }
    for text in [
        "",
        "DE88370400440532013000",
        "de89370400440532013000",
        "4242424242424242",
        "4242-4242-4242-4242",
        "110 234",
    ] {
        assert_eq!(BankAccount::new(text), Err(BankAccountError), "{text}");
    }
}

#[test]
fn ibans_have_right_check_digits() {
    for good in [
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013000",
        "NL41MOCK0000000001",
    ] {
        assert!(BankAccount::iban(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "GB82",
        "GB83WEST12345698765432",
        "gb82west12345698765432",
        "GB82WEST1234569876543２",
        "DE89370400440532013001",
        "1289370400440532013000",
        "GB82WEST12345698765432GB82WEST1234569",
    ] {
        assert_eq!(BankAccount::iban(bad), Err(BankAccountError), "{bad}");
    }
    for bad in [
        "",
        "1 2",
        "가",
        "<1>",
        "12345678901234567890123456789012345",
    ] {
        assert_eq!(BankAccount::other(bad), Err(BankAccountError), "{bad}");
    }
}

#[test]
fn a_log_line_names_nobody() {
    let line = format!("{:?}", payout("E1", 5));
    assert!(
        line.starts_with("Payout { reference: E1, minor: 5, account: .."),
        "{line}"
    );
    assert!(!line.contains("Person") && !line.contains("MOCK"), "{line}");
    assert_eq!(format!("{:?}", BankAccount::other("123").unwrap()), "..23");
}

#[test]
fn a_batch_is_this_message_every_time() {
    let batch = batch("EUR", vec![payout("E1", 1_000), payout("E2", 234)]);
    let message = batch.pain001().unwrap();
    assert_eq!(
        batch.pain001().unwrap(),
        message,
        "sending again sends the same"
    );
    let flat = xml::flat(&read(message.as_bytes(), &[MESSAGE]).unwrap());
    let texts = |path: &str| -> Vec<&str> {
        let path = format!("/Document/CstmrCdtTrfInitn/{path}");
        flat.iter()
            .filter(|(own, _)| *own == path)
            .map(|(_, text)| text.as_str())
            .collect()
    };
    assert_eq!(texts("GrpHdr/MsgId"), ["PO-1"]);
    assert_eq!(texts("GrpHdr/CreDtTm"), ["2026-11-24T09:05:33+00:00"]);
    assert_eq!(texts("GrpHdr/NbOfTxs"), ["2"]);
    assert_eq!(texts("GrpHdr/CtrlSum"), ["12.34"]);
    assert_eq!(texts("PmtInf/DbtrAcct/Id/Othr/Id"), ["110-234-567890"]);
    assert_eq!(texts("PmtInf/CdtTrfTxInf/PmtId/EndToEndId"), ["E1", "E2"]);
    assert_eq!(texts("PmtInf/CdtTrfTxInf/Amt/InstdAmt"), ["10.00", "2.34"]);
    assert_eq!(texts("PmtInf/CdtTrfTxInf/Cdtr/Nm"), ["Person & Two"; 2]);
}

#[test]
fn a_batch_that_could_pay_wrongly_is_refused() {
    let refused = |payouts| batch("KRW", payouts).pain001().unwrap_err();
    assert_eq!(refused(Vec::new()), BatchError::Count);
    assert_eq!(
        refused(vec![payout("E", 1), payout("E", 2)]),
        BatchError::Twice
    );
    assert_eq!(refused(vec![payout("E", 0)]), BatchError::Amount);
    assert_eq!(
        refused(vec![payout("E", AMOUNT_MAX + 1)]),
        BatchError::Amount
    );
    let unnamed = Payout {
        name: "\u{1b}\u{200b} ".to_owned(),
        ..payout("E", 1)
    };
    assert_eq!(refused(vec![unnamed]), BatchError::Name);
    let many = (0..=PAYOUTS_MAX).map(|at| payout(&at.to_string(), 1));
    assert_eq!(refused(many.collect()), BatchError::Count);
}

const REPORT: &str = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>B</MsgId></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>PO-1</OrgnlMsgId><GrpSts>PART</GrpSts>
</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><TxInfAndSts><OrgnlEndToEndId>E1</OrgnlEndToEndId><TxSts>ACCP</TxSts>
</TxInfAndSts><TxInfAndSts><OrgnlEndToEndId>E2</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd>
</Rsn></StsRsnInf></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"#;

#[test]
fn a_report_is_read_per_pay_out() {
    let report = read_status_report(REPORT.as_bytes()).unwrap();
    assert_eq!(
        (report.batch.as_str(), report.status, report.is_duplicate()),
        ("PO-1", Some(Status::Partly), false)
    );
    let payouts = report.payouts.iter();
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
            ("E1", Status::Accepted, None),
            ("E2", Status::Rejected, Some("AC04"))
        ]
    );
}

#[test]
fn a_duplicate_is_told_from_a_refusal() {
    let whole = |code: &str| {
        let reason =
            format!("<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>");
        let text = REPORT.replace("<GrpSts>PART</GrpSts>", &reason);
        read_status_report(text.as_bytes()).unwrap().is_duplicate()
    };
    assert!(whole("DUPL"));
    assert!(!whole("FF01"));
    let unknown = REPORT.replace("PART", "WHAT");
    let report = read_status_report(unknown.as_bytes()).unwrap();
    assert_eq!(
        report.status,
        Some(Status::Pending),
        "what is not known is not final"
    );
    for (from, missing) in [
        ("<TxSts>ACCP</TxSts>", "TxSts"),
        ("<OrgnlMsgId>PO-1</OrgnlMsgId>", "OrgnlMsgId"),
    ] {
        let error = read_status_report(REPORT.replace(from, "").as_bytes()).unwrap_err();
        assert_eq!(error, XmlError::Element(missing));
    }
}

proptest! {
    #[test]
    fn one_wrong_digit_of_an_iban_is_found(digits in "[0-9]{18}", at in 4_usize..22, by in 1_u8..10) {
        let iban = iban(&format!("DE{digits}"));
        prop_assert!(BankAccount::iban(&iban).is_ok());
        let mut bytes = iban.into_bytes();
        bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
        let wrong = String::from_utf8(bytes).unwrap();
        prop_assert!(BankAccount::iban(&wrong).is_err());
    }

    #[test]
    fn names_of_any_kind_make_a_well_formed_batch(name in ".{0,200}", note in ".{0,200}", minor in 1..=AMOUNT_MAX) {
        let one = Payout { name: format!("x{name}"), note, ..payout("E1", minor) };
        let message = batch("KWD", vec![one]).pain001().unwrap();
        prop_assert!(read(message.as_bytes(), &[MESSAGE]).is_ok());
    }
}
