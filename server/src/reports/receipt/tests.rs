//! Receipts as they come out, and what makes none.

use proptest::prelude::*;

use super::*;
use crate::reports::{
    columns::{width, width_of},
    escpos::{self, Charset, tests::Printer},
    roll::Columns,
};

const PAYMENT: [u8; 16] = [
    0x9b, 0x2f, 0x3c, 0x1e, 0x0f, 0x7a, 0x4c, 0x57, 0x9a, 0x86, 0x7d, 0x2f, 0x0c, 0x1f, 0x4f, 0x11,
];

pub(in crate::reports) fn shop(language: Language) -> Shop {
    let [name, representative, address] = match language {
        Language::Ko => ["손바닥 상점", "대표 일", "서울특별시 가나구 다라로 12, 1층"],
        Language::En => ["Palm Shop", "Person One", "12 First Street, ground floor"],
    }
    .map(ToOwned::to_owned);
    Shop {
        name,
        business_number: "1234567890".to_owned(),
        representative,
        address,
        phone: "02-000-0000".to_owned(),
    }
}

fn facts(language: Language) -> Facts {
    let [coffee, bread] = match language {
        Language::Ko => ["아메리카노", "소금빵"],
        Language::En => ["Americano", "Salt bread"],
    };
    let item = |name: &str, quantity, minor| Item {
        name: name.to_owned(),
        quantity,
        minor,
    };
    Facts {
        shop: shop(language),
        till: "counter-1".to_owned(),
        payment: PaymentId::from_bytes(PAYMENT),
        time: Timestamp::from_micros(1_795_511_133_000_000),
        zone: Zone::east(540).unwrap(),
        currency: Currency::KRW,
        items: vec![item(coffee, 2, 9_000), item(bread, 1, 3_800)],
        total_minor: 12_800,
        tip_minor: 0,
        vat: Some(Vat::KOREA),
        tender: Tender::Wallet,
        masked_name: "김** 민**".to_owned(),
        approval: "30012345".to_owned(),
        voided: None,
        refunds: Vec::new(),
    }
}

fn receipt(facts: Facts) -> Receipt {
    Receipt::new(facts).unwrap()
}

const KOREAN: &str = include_str!("paid_ko_32.txt");

const ENGLISH: &str = include_str!("partly_refunded_en_42.txt");

#[test]
fn a_paid_receipt_in_korean_reads_so() {
    let roll = receipt(facts(Language::Ko)).roll(Language::Ko);
    assert_eq!(roll.text(Columns::C32), KOREAN);
}

#[test]
fn a_partly_refunded_receipt_in_english_reads_so() {
    let mut facts = facts(Language::En);
    facts.refunds = vec![Refund {
        time: Timestamp::from_micros(1_795_597_533_000_000),
        minor: 3_800,
    }];
    let receipt = receipt(facts);
    assert_eq!(receipt.state(), State::PartlyRefunded);
    assert_eq!(receipt.roll(Language::En).text(Columns::C42), ENGLISH);
}

#[test]
fn a_printer_shows_the_receipt_with_a_large_total_and_a_code() {
    let roll = receipt(facts(Language::Ko)).roll(Language::Ko);
    let bytes = escpos::print(&roll, Columns::C32, Charset::Cp949);
    let printer = Printer::run(&bytes);
    let large: Vec<&str> = printer
        .lines
        .iter()
        .filter(|line| line.is_double)
        .map(|line| line.text.as_str())
        .collect();
    assert_eq!(large, ["  손바닥 상점", "합계    12,800원"]);
    let code = printer
        .lines
        .iter()
        .filter(|line| line.text.starts_with("[QR"));
    let code: Vec<_> = code.map(|line| line.text.as_str()).collect();
    assert_eq!(code, ["[QR payments/9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11]"]);
    assert!(printer.lines.iter().all(|line| !line.text.contains('?')));
    let small = |line: &&str| !line.contains("합계") && !line.contains("상점");
    for line in KOREAN.lines().filter(small) {
        assert!(
            printer.lines.iter().any(|printed| printed.text == line),
            "{line}"
        );
    }
}

#[test]
fn the_bytes_of_a_receipt_do_not_change_unseen() {
    let roll = receipt(facts(Language::Ko)).roll(Language::Ko);
    let bytes = escpos::print(&roll, Columns::C32, Charset::Cp949);
    let golden = include_str!("receipt_ko_32.hex");
    let golden: Vec<u8> = golden
        .split_whitespace()
        .flat_map(|line| line.as_bytes().chunks(2))
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    assert_eq!(bytes, golden);
}

#[test]
fn a_page_has_every_word_and_nothing_to_run() {
    let mut facts = facts(Language::Ko);
    facts.shop.name = "<script>alert('1')</script> & \"Co\"".to_owned();
    let page = receipt(facts).roll(Language::Ko).page(Language::Ko);
    assert!(
        page.starts_with(
            "<article class=\"roll\" lang=\"ko\">\n<h2>&lt;script&gt;alert(&#39;1&#39;)"
        )
    );
    assert!(page.contains("<div class=\"double\"><dt>합계</dt><dd>12,800원</dd></div>"));
    assert!(page.contains("<code>payments/9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11</code>"));
    assert!(!page.contains("<script") && page.ends_with("</article>\n"));
    for tag in ["dl", "div", "dt", "dd", "p", "h2", "article"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn facts_that_contradict_each_other_make_no_receipt() {
    let refund = |minor| Refund {
        time: Timestamp::from_micros(0),
        minor,
    };
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts(Language::Ko);
        change(&mut facts);
        Receipt::new(facts).map(|receipt| receipt.state())
    };
    assert_eq!(with(&|_| {}), Ok(State::Paid));
    assert_eq!(
        with(&|f| f.total_minor += 1),
        Err(ReceiptError::ItemsDiffer)
    );
    assert_eq!(
        with(&|f| f.tip_minor = 12_801),
        Err(ReceiptError::TipAboveTotal)
    );
    assert_eq!(
        with(&|f| f.refunds = vec![refund(12_800)]),
        Ok(State::Refunded)
    );
    assert_eq!(
        with(&|f| f.refunds = vec![refund(12_800), refund(1)]),
        Err(ReceiptError::RefundsAboveTotal)
    );
    assert_eq!(
        with(&|f| f.refunds = vec![refund(1); LINES_MAX + 1]),
        Err(ReceiptError::TooLong)
    );
    assert_eq!(
        with(&|f| f.voided = Some(Timestamp::from_micros(1))),
        Ok(State::Voided)
    );
    let both = |f: &mut Facts| {
        f.voided = Some(Timestamp::from_micros(1));
        f.refunds = vec![refund(1)];
    };
    assert_eq!(with(&both), Err(ReceiptError::VoidedAndRefunded));
}

proptest! {
    #[test]
    fn lines_fit_whatever_the_words_are(
        name in ".{0,80}", goods in prop::collection::vec((".{0,60}", 0..u32::MAX, any::<u32>()), 0..5),
        customer in ".{0,40}", tip in any::<u32>(), korean in any::<bool>(), code in 0_usize..3,
    ) {
        let language = if korean { Language::Ko } else { Language::En };
        let mut facts = facts(language);
        facts.shop.name = name;
        facts.masked_name = customer;
        facts.currency = ["KRW", "EUR", "KWD"][code].parse().unwrap();
        facts.items = goods
            .into_iter()
            .map(|(name, quantity, minor)| Item { name, quantity, minor: minor.into() })
            .collect();
        facts.tip_minor = tip.into();
        facts.total_minor = facts.items.iter().map(|item| item.minor).sum::<u64>() + u64::from(tip);
        let roll = receipt(facts).roll(language);
        for columns in [Columns::C32, Columns::C42, Columns::C48] {
            let text = roll.text(columns);
            for line in text.lines() {
                prop_assert!(width(line, width_of) <= columns.count(), "{line:?}");
                prop_assert!(!line.contains(char::is_control));
            }
            Printer::run(&escpos::print(&roll, columns, Charset::KsX1001));
        }
    }
}
