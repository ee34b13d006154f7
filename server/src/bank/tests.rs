use palm_proto::{
    id::{CustomerId, PaymentId},
    money::Currency,
    request::{CaptureMode, ChangePayment, CloseBreak},
};

use super::*;
use crate::{
    fixture::{Pay, Shop, krw, payment, refusal, request, terms},
    payments::Asker,
    payouts::State,
    rail::{Answer, Instrument, Rail, Reference as RailReference, Step},
    store::MemoryStore,
};

/// Approves all, and calls a payment by its id's first byte.
#[derive(Debug)]
struct Willing;

fn rail_name(id: PaymentId) -> String {
    format!("pi_{}", id.to_bytes()[0])
}

#[tonic::async_trait]
impl Rail for Willing {
    async fn send(&self, step: &Step) -> Answer {
        let reference = RailReference::new(rail_name(step.payment)).unwrap();
        Answer::Approved { reference }
    }

    async fn look_up(&self, step: &Step) -> Answer {
        self.send(step).await
    }

    async fn reverse(&self, step: &Step) -> Answer {
        self.send(step).await
    }
}

/// Kim pays by card, and has 10,000 in the wallet, which is at the bank.
async fn shop() -> (Shop, CustomerId) {
    let store = Arc::new(MemoryStore::new());
    let shop = Shop::with_rail(store, 1, terms(), Some(Arc::new(Willing)));
    let kim = shop.customer(1, "Kim").await;
    shop.enrol(2, kim, 1).await;
    let token = Some(Instrument::new("pm_kim").unwrap());
    let payments = &shop.service.payments;
    payments.set_instrument(kim, token).await.unwrap();
    shop.top_up(3, kim, 10_000).await;
    (shop, kim)
}

async fn pay(shop: &Shop, id: u8, amount: u64) {
    let pay = Pay {
        id,
        till: "counter-1",
        amount,
        palm: 1,
        capture: id,
    };
    let mut sent = shop.authorisation(pay);
    sent.capture_mode = CaptureMode::Automatic;
    assert_eq!(shop.authorise("counter-1", sent).await, "APPROVED K**");
}

async fn refund(shop: &Shop, n: u8, id: u8, amount: u64) {
    let back = ChangePayment {
        request_id: request(n),
        payment: payment(id),
        amount: Some(krw(amount)),
    };
    let refunded = shop.service.payments.refund(back, Asker(None)).await;
    refunded.unwrap();
}

async fn deposit(shop: &Shop, n: u8, minor: u64, reference: &str) -> Result<Books, String> {
    let deposit = Deposit {
        request_id: request(n),
        amount: krw(minor),
        reference: reference.to_owned(),
    };
    shop.service.bank.deposit(deposit).await.map_err(refusal)
}

async fn books(shop: &Shop) -> (u64, u64, i128, u64) {
    let audit = shop.service.wallets.audit().await.unwrap();
    assert_eq!(audit.violations, Vec::<String>::new());
    let books = shop.service.bank.books().await.unwrap();
    (
        books.bank_minor,
        books.cash_minor,
        books.rail_minor,
        books.fees_minor,
    )
}

/// `reference amount`, in when positive; `!` before a return.
fn statement(id: &str, entries: &[(&str, i64)]) -> Vec<u8> {
    let total: i64 = entries.iter().map(|(_, minor)| minor).sum();
    let side = |minor: i64| if minor < 0 { "DBIT" } else { "CRDT" };
    let balance = |code: &str, minor: i64| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"KRW\">{}</Amt>\
             <CdtDbtInd>{}</CdtDbtInd></Bal>",
            minor.unsigned_abs(),
            side(minor)
        )
    };
    let entry = |(name, minor): &(&str, i64)| {
        let (returned, name) = match name.strip_prefix('!') {
            Some(name) => ("<RvslInd>true</RvslInd>", name),
            None => ("", *name),
        };
        format!(
            "<Ntry><Amt Ccy=\"KRW\">{}</Amt><CdtDbtInd>{}</CdtDbtInd>{returned}<Sts><Cd>BOOK</Cd></Sts>\
             <BookgDt><Dt>2027-01-16</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs>\
             </TxDtls></NtryDtls></Ntry>",
            minor.unsigned_abs(),
            side(*minor)
        )
    };
    let entries: String = entries.iter().map(entry).collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><Stmt><Id>{id}</Id>\
         <Acct><Id><IBAN>NL41MOCK0000000001</IBAN></Id><Ccy>KRW</Ccy></Acct>{}{}{entries}</Stmt></BkToCstmrStmt>\
         </Document>",
        balance("OPBD", 0),
        balance("CLBD", total)
    )
    .into_bytes()
}

fn rail_report(rows: &[&str]) -> Vec<u8> {
    let head = "reference,movement,amount,fee,currency,day,settlement";
    let rows = rows.iter().map(|row| format!("\r\n{row}"));
    (head.to_owned() + &rows.collect::<String>()).into_bytes()
}

async fn compare(shop: &Shop, rail: &[&str], bank: Vec<Vec<u8>>) -> Reconciled {
    let files = Files {
        rail_reports: vec![rail_report(rail)],
        bank_statements: bank,
        from: None,
        rail_until: None,
    };
    let outcome = shop.service.bank.reconcile(files, Written::Text).await;
    outcome.unwrap()
}

fn text(outcome: &Reconciled) -> String {
    String::from_utf8(outcome.content.clone()).unwrap()
}

#[tokio::test]
async fn cash_is_paid_in_once_a_request_and_once_a_reference() {
    let (shop, _) = shop().await;
    assert_eq!(books(&shop).await, (0, 10_000, 0, 0));
    let first = deposit(&shop, 10, 4_000, "SLIP-1").await.unwrap();
    assert_eq!((first.bank_minor, first.cash_minor), (4_000, 6_000));
    assert!(deposit(&shop, 10, 4_000, "SLIP-1").await.is_ok());
    let refused = [
        (10, 4_001, "SLIP-1", "refused ID_REUSED"),
        (10, 4_000, "SLIP-2", "refused ID_REUSED"),
        (11, 4_000, "SLIP-1", "refused ID_REUSED"),
        (3, 10_000, "SLIP-2", "refused ID_REUSED"),
        (11, 6_001, "SLIP-2", "refused INSUFFICIENT_FUNDS"),
        (11, 1, "/SLIP", "refused MALFORMED"),
    ];
    for (n, minor, reference, answer) in refused {
        assert_eq!(
            deposit(&shop, n, minor, reference).await,
            Err(answer.to_owned())
        );
    }
    assert_eq!(books(&shop).await, (4_000, 6_000, 0, 0));
}

#[tokio::test]
async fn a_settlement_that_arrived_is_booked_once_and_refunds_after_it_are_owed() {
    let (shop, _) = shop().await;
    pay(&shop, 1, 3_000).await;
    pay(&shop, 2, 2_000).await;
    refund(&shop, 10, 2, 500).await;
    refund(&shop, 11, 2, 500).await;
    assert_eq!(books(&shop).await, (0, 10_000, 4_000, 0));
    let names = [payment(1), payment(2)].map(rail_name);
    let rows = [
        format!("{},capture,3000,90,KRW,2027-01-15,S1", names[0]),
        format!("{},capture,2000,60,KRW,2027-01-15,S1", names[1]),
        format!("{},refund,500,,KRW,2027-01-15,S1", names[1]),
        format!("{},refund,500,,KRW,2027-01-15,S1", names[1]),
    ];
    let rows = rows.each_ref().map(String::as_str);
    let waiting = compare(&shop, &rows, vec![]).await;
    assert_eq!(
        (waiting.open_breaks, waiting.in_transit, waiting.booked),
        (0, 4, 0)
    );
    let bank = || vec![statement("B1", &[("S1", 3_850)])];
    let arrived = compare(&shop, &rows, bank()).await;
    assert_eq!(
        (arrived.open_breaks, arrived.matched, arrived.booked),
        (0, 5, 1),
        "{}",
        text(&arrived)
    );
    assert_eq!(books(&shop).await, (3_850, 10_000, 0, 150));
    let again = compare(&shop, &rows, bank()).await;
    assert_eq!((again.open_breaks, again.matched, again.booked), (0, 5, 0));
    let shop_rows = shop.rows();
    assert_eq!(compare(&shop, &rows, bank()).await, again);
    assert_eq!(shop.rows(), shop_rows, "not a row was changed");
    // The rail has nothing of ours left: it is owed what goes back now.
    refund(&shop, 12, 1, 1_000).await;
    assert_eq!(books(&shop).await, (3_850, 10_000, -1_000, 150));
    let owed = format!("{},refund,1000,10,KRW,2027-01-15,S2", names[0]);
    let rows: Vec<&str> = rows.into_iter().chain([owed.as_str()]).collect();
    let bank = vec![statement("B1", &[("S1", 3_850), ("S2", -1_010)])];
    let repaid = compare(&shop, &rows, bank).await;
    assert_eq!(
        (repaid.open_breaks, repaid.booked),
        (0, 1),
        "{}",
        text(&repaid)
    );
    assert_eq!(books(&shop).await, (2_840, 10_000, 0, 160));
    shop.clock.advance(std::time::Duration::from_secs(1));
    let to = (crate::reports::Language::En, crate::paper::Format::Csv);
    let closed = shop
        .service
        .paper
        .close_shift(request(20), to)
        .await
        .unwrap();
    let csv = String::from_utf8(closed.content).unwrap();
    for row in [
        "office,banked,card,1,3850",
        "office,rail_repaid,card,1,1010",
        "office,fee,card,2,160",
    ] {
        assert!(csv.contains(row), "{row} in\n{csv}");
    }
}

#[tokio::test]
async fn what_is_booked_by_itself_is_booked_less_its_fee() {
    let (shop, _) = shop().await;
    pay(&shop, 1, 3_000).await;
    let row = format!("{},capture,3000,90,KRW,2027-01-15,", rail_name(payment(1)));
    let bank = || vec![statement("B1", &[(&rail_name(payment(1)), 2_910)])];
    let outcome = compare(&shop, &[&row], bank()).await;
    assert_eq!(
        (outcome.open_breaks, outcome.booked),
        (0, 1),
        "{}",
        text(&outcome)
    );
    assert_eq!(books(&shop).await, (2_910, 10_000, 0, 90));
    assert_eq!(compare(&shop, &[&row], bank()).await.booked, 0);
}

/// A pay-out in a file, and its reference.
async fn sent(shop: &Shop, kim: CustomerId) -> (palm_proto::id::PayoutId, String) {
    let account = BankAccount::new("DE89370400440532013000").unwrap();
    let order = palm_proto::request::OrderPayout {
        request_id: request(30),
        customer: kim,
        amount: krw(1_000),
        account: account.as_str().to_owned(),
        holder: None,
    };
    let payouts = &shop.service.payouts;
    let payout = payouts.order(order, account).await.unwrap();
    payouts.make_file(request(31), None).await.unwrap();
    (payout.id, payout.reference.as_str().to_owned())
}

#[tokio::test]
async fn a_statement_moves_pay_outs_on_also_where_the_bank_s_answer_was_lost() {
    let (shop, kim) = shop().await;
    deposit(&shop, 10, 10_000, "SLIP-1").await.unwrap();
    let (id, reference) = sent(&shop, kim).await;
    let state = |shop: &Shop| shop.service.payouts.find(id).unwrap().state;
    let other = vec![statement("B1", &[("SLIP-1", 10_000), (&reference, -999)])];
    let outcome = compare(&shop, &[], other).await;
    assert_eq!((state(&shop), outcome.open_breaks), (State::Sent, 1));
    let bank = |entries: &[(&str, i64)]| vec![statement("B2", entries)];
    let left = [("SLIP-1", 10_000), (reference.as_str(), -1_000)];
    let outcome = compare(&shop, &[], bank(&left)).await;
    assert_eq!(state(&shop), State::Paid);
    assert_eq!(
        (outcome.open_breaks, outcome.matched, outcome.booked),
        (0, 2, 1),
        "{}",
        text(&outcome)
    );
    assert_eq!(books(&shop).await, (9_000, 0, 0, 0));
    let returned = format!("!{reference}");
    let back = [&left[..], &[(returned.as_str(), 1_000)]].concat();
    let outcome = compare(&shop, &[], bank(&back)).await;
    assert_eq!(state(&shop), State::Returned);
    assert_eq!(
        (outcome.open_breaks, outcome.matched, outcome.booked),
        (0, 3, 1),
        "{}",
        text(&outcome)
    );
    assert_eq!(books(&shop).await, (10_000, 0, 0, 0));
    let again = compare(&shop, &[], bank(&back)).await;
    assert_eq!((again.open_breaks, again.booked), (0, 0));
    assert_eq!(
        shop.service.wallets.balance(kim).await.unwrap().minor(),
        10_000
    );
}

#[tokio::test]
async fn what_comes_back_for_somebody_who_left_is_told_and_booked_nowhere() {
    let (shop, kim) = shop().await;
    deposit(&shop, 10, 10_000, "SLIP-1").await.unwrap();
    let (_, reference) = sent(&shop, kim).await;
    let left = [("SLIP-1", 10_000), (reference.as_str(), -1_000)];
    compare(&shop, &[], vec![statement("B1", &left)]).await;
    assert_eq!(
        shop.pay_out(40, kim, 9_000).await,
        "refused INSUFFICIENT_FUNDS",
        "it is at the bank"
    );
    shop.top_up(41, kim, 1).await;
    pay_all(&shop, kim).await;
    shop.service.customers.delete(kim).await.unwrap();
    let before = books(&shop).await;
    let returned = format!("!{reference}");
    let back = [&left[..], &[(returned.as_str(), 1_000)]].concat();
    let outcome = compare(&shop, &[], vec![statement("B2", &back)]).await;
    assert_eq!((outcome.open_breaks, outcome.booked), (1, 0));
    assert!(text(&outcome).contains("returned"), "{}", text(&outcome));
    assert_eq!(books(&shop).await, before);
}

/// The rest of the wallet is spent.
async fn pay_all(shop: &Shop, kim: CustomerId) {
    let payments = &shop.service.payments;
    payments.set_instrument(kim, None).await.unwrap();
    let pay = Pay {
        id: 50,
        till: "counter-1",
        amount: 9_001,
        palm: 1,
        capture: 50,
    };
    let sent = shop.authorisation(pay);
    assert_eq!(
        shop.authorise("counter-1", sent).await,
        "APPROVED K** left 0"
    );
}

#[tokio::test]
async fn breaks_are_numbered_age_over_comparisons_and_go_when_they_match() {
    let (shop, _) = shop().await;
    pay(&shop, 1, 3_000).await;
    let name = rail_name(payment(1));
    let other = "pi_other,capture,7,,KRW,2027-01-15,";
    let stray = || vec![statement("B1", &[("STRAY", 77)])];
    let first = compare(&shop, &[other], stray()).await;
    assert_eq!(first.open_breaks, 3, "{}", text(&first));
    let told = text(&first);
    for part in [
        "missing_at_rail",
        "#1 since 2027-01-15",
        "STRAY",
        "#3 since",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    // Nine days on, and a restart: the same numbers, and they are older.
    let day = std::time::Duration::from_secs(86_400);
    shop.clock.advance(9 * day);
    let nothing = compare(&shop, &[], vec![]).await;
    let told = text(&nothing);
    assert_eq!(
        nothing.open_breaks, 3,
        "these files settle none of them:\n{told}"
    );
    assert_eq!(told.matches("since 2027-01-15").count(), 3, "{told}");
    assert_eq!(told.matches(" 9 d ").count(), 3, "{told}");
    let row = format!("{name},capture,3000,,KRW,2027-01-15,");
    let bank = vec![statement("B2", &[(&name, 3_000), ("STRAY", 77)])];
    let next = compare(&shop, &[&row, other], bank).await;
    let told = text(&next);
    assert_eq!((next.open_breaks, next.matched), (2, 1), "{told}");
    assert!(!told.contains(&format!("{name} ")), "{told}");
    let number = told.lines().find(|line| line.contains("STRAY")).unwrap();
    let number = number.split('#').nth(1).unwrap();
    let number = number.split(' ').next().unwrap().parse().unwrap();
    let close = |number| CloseBreak {
        number,
        note: "the landlord's deposit".to_owned(),
    };
    shop.service.bank.close_break(close(number)).await.unwrap();
    let unknown = shop.service.bank.close_break(close(99)).await.unwrap_err();
    assert_eq!(refusal(unknown), "refused NOT_FOUND");
    let last = compare(&shop, &[&row, other], stray()).await;
    assert_eq!(last.open_breaks, 1, "{}", text(&last));
    // Another amount under that name is another matter.
    let more = vec![statement("B3", &[("STRAY", 78)])];
    let last = compare(&shop, &[&row, other], more).await;
    assert_eq!(last.open_breaks, 2, "{}", text(&last));
    assert!(text(&last).contains(&format!("#{number} since 2027-01-15")));
}

#[tokio::test]
async fn two_breaks_of_one_name_keep_a_number_each() {
    let (shop, _) = shop().await;
    let bank = || {
        let twice = [("STRAY", 5), ("STRAY", 5), ("STRAY", 5), ("STRAY", -5)];
        vec![statement("B1", &twice)]
    };
    let first = compare(&shop, &[], bank()).await;
    assert_eq!(first.open_breaks, 4, "{}", text(&first));
    for number in 1..=4 {
        let kept = format!("#{number} since");
        assert_eq!(text(&first).matches(&kept).count(), 1, "{}", text(&first));
    }
    assert_eq!(compare(&shop, &[], bank()).await, first);
    assert_eq!(compare(&shop, &[], vec![]).await.open_breaks, 4);
}

#[tokio::test]
async fn files_of_others_and_statements_with_gaps_are_told() {
    let (shop, _) = shop().await;
    let files = |rail: &[u8], bank: &[u8]| Files {
        rail_reports: vec![rail.to_vec()],
        bank_statements: vec![bank.to_vec()],
        ..Files::default()
    };
    let good = (rail_report(&[]), statement("B1", &[("S1", 5)]));
    let text = |bytes: &[u8], from: &str, to: &str| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(from), "{from}");
        text.replace(from, to).into_bytes()
    };
    let wrong = [
        files(b"reference,amount\r\n", &good.1),
        files(&good.0, b"<Document/>"),
        files(
            &good.0,
            &text(&good.1, "NL41MOCK0000000001", "NL84MOCK0000000003"),
        ),
        files(&good.0, &text(&good.1, "KRW", "EUR")),
    ];
    for wrong in wrong {
        let refused = shop.service.bank.reconcile(wrong, Written::Text).await;
        assert_eq!(refusal(refused.unwrap_err()), "refused MALFORMED");
    }
    let gap = text(
        &good.1,
        "<Amt Ccy=\"KRW\">0</Amt>",
        "<Amt Ccy=\"KRW\">2</Amt>",
    );
    let found = shop
        .service
        .bank
        .reconcile(files(&good.0, &gap), Written::Csv)
        .await;
    let found = found.unwrap();
    let csv = String::from_utf8(found.content).unwrap();
    assert_eq!(found.open_breaks, 2, "{csv}");
    assert!(csv.contains("incomplete,B1,"), "{csv}");
    assert_eq!(Currency::KRW, shop.service.bank.currency);
}

#[tokio::test]
async fn without_an_account_of_its_own_a_shop_neither_pays_out_nor_compares() {
    let terms = crate::service::Terms {
        bank: None,
        ..terms()
    };
    let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
    let kim = shop.customer(1, "Kim").await;
    let account = BankAccount::new("DE89370400440532013000").unwrap();
    let order = palm_proto::request::OrderPayout {
        request_id: request(30),
        customer: kim,
        amount: krw(1),
        account: account.as_str().to_owned(),
        holder: None,
    };
    let answers = [
        shop.service.payouts.order(order, account).await.map(drop),
        shop.service
            .payouts
            .make_file(request(31), None)
            .await
            .map(drop),
        shop.service
            .bank
            .reconcile(Files::default(), Written::Text)
            .await
            .map(drop),
    ];
    for answer in answers {
        assert!(matches!(
            answer,
            Err(Error::Bank(BankRefusal::AccountMissing))
        ));
    }
}
