//! A shop of real processes and a bank that others wrote: pay-outs ordered, sent, answered, booked and compared.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use palm_proto::v1;
use palm_tests::{Shop, process::program, shop::Folder};
use serde_json::Value;

use crate::{CLOSED, ELSEWHERE, FIRST_DAY, OURS, counterpart::Bank, credit};

const TOP_UP: u64 = 10_000;

/// A shop that knows its account, a customer with money that lies at the bank, and that bank.
struct Day {
    shop: Shop,
    bank: Bank,
    customer: String,
}

impl Day {
    fn begin(bank: Bank) -> Result<Self> {
        let mut shop = Shop::open_in(Folder::temporary()?)?;
        shop.stop_palmd()?;
        let path = shop.deployment().join("palmd.toml");
        let config = fs::read_to_string(&path)?;
        fs::write(&path, format!("{config}\n[bank]\naccount = \"{OURS}\"\n"))?;
        shop.start_palmd()?;
        bank.patch("/_mock/accounts/ACME", r#"{"currency": "KRW"}"#);
        let customer = shop
            .operator()?
            .create_customer(v1::CreateCustomerRequest {
                request_id: "9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11".to_owned(),
                display_name: "Person Seven".to_owned(),
                consent: Some(v1::Consent {
                    notice_version: "2026-11".to_owned(),
                    language: "ko".to_owned(),
                    grant_time: None,
                }),
            })?;
        let day = Self {
            shop,
            bank,
            customer: customer.name,
        };
        let amount = TOP_UP.to_string();
        day.shop
            .ctl(&["wallet", "top-up", &day.customer, &amount])?;
        day.shop
            .ctl(&["bank", "deposit", &amount, "--reference", "SLIP-1"])?;
        credit(&day.bank, "SLIP-1", TOP_UP);
        Ok(day)
    }

    /// `palmctl ARGUMENTS` with a line of standard input; its exit status and what it printed.
    fn palmctl(&self, arguments: &[&str], line: &str) -> Result<(Option<i32>, String)> {
        let mut child = Command::new(program("palmctl")?)
            .arg("--dir")
            .arg(self.shop.deployment())
            .args(["--address", &format!("https://{}", self.shop.palmd()?)])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("standard input")?;
        writeln!(input, "{line}")?;
        drop(input);
        let output = child.wait_with_output()?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    }

    fn order(&self, minor: &str, account: &str) -> Result<Value> {
        let order = ["--json", "payout", "order", &self.customer, minor];
        let (status, printed) = self.palmctl(&order, account)?;
        ensure!(status == Some(0), "{printed}");
        Ok(serde_json::from_str(&printed)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shop.folder().join(name)
    }

    /// Writes what the bank sent of a kind, and gives the files' names, oldest first.
    fn mail(&self, kind: &str) -> Result<Vec<String>> {
        let messages = self.bank.mail(kind, "ACME").into_iter();
        let files = messages.enumerate().map(|(number, text)| {
            let path = self.path(&format!("{kind}-{number}.xml"));
            fs::write(&path, text)?;
            text_of(&path)
        });
        files.collect()
    }

    /// Takes an answer of the bank: effect and state of each pay-out, sorted.
    fn report(&self, file: &str) -> Result<Vec<(String, String)>> {
        let rows = self.shop.ctl(&["payout", "report", file])?;
        let cell = |row: &Value, name| row[name].as_str().map(str::to_owned);
        let rows = rows.as_array().context("a list")?.iter();
        let rows = rows.map(|row| cell(row, "effect").zip(cell(row, "state")));
        let mut told = rows.collect::<Option<Vec<_>>>().context("effects")?;
        told.sort();
        Ok(told)
    }

    /// Compares all that the bank sent so far; exit status and text.
    fn reconcile(&self, more: &[&str]) -> Result<(Option<i32>, String)> {
        let files = self.mail("camt.053")?;
        let named = files.iter().flat_map(|file| ["--bank", file]);
        let line: Vec<&str> = ["reconcile"]
            .into_iter()
            .chain(named)
            .chain(more.iter().copied())
            .collect();
        self.palmctl(&line, "")
    }

    /// What the wallet and, by the books, the bank have.
    fn balances(&self) -> Result<(u64, u64)> {
        let minor = |value: &Value| value["amount_minor"].as_u64().context("an amount");
        let wallet = self.shop.ctl(&["wallet", "show", &self.customer])?;
        let books = self.shop.ctl(&["bank", "show"])?;
        let audit = self.shop.ctl(&["ledger", "audit"])?;
        ensure!(audit["violations"] == serde_json::json!([]), "{audit}");
        Ok((minor(&wallet["balance"])?, minor(&books["bank"])?))
    }
}

fn text_of(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a name in UTF-8")?.to_owned())
}

fn pairs(told: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(effect, state): &(&str, &str)| ((*effect).to_owned(), (*state).to_owned());
    told.iter().map(owned).collect()
}

#[test]
fn a_pay_out_is_ordered_sent_once_answered_booked_and_compared() -> Result<()> {
    let Some(bank) = Bank::start() else {
        return Ok(());
    };
    let mut day = Day::begin(bank)?;
    let paid = day.order("4000", ELSEWHERE)?;
    day.order("1000", CLOSED)?;
    assert_eq!(day.balances()?, (5_000, 5_000));
    // Made, and palmd dies: the same bytes once more.
    let (first, second) = (day.path("first.xml"), day.path("second.xml"));
    let made = [
        "payout",
        "file",
        "--day",
        FIRST_DAY,
        "--out",
        &text_of(&first)?,
    ];
    let made = day.shop.ctl(&made)?;
    assert_eq!(made["payouts"], 2);
    day.shop.kill_palmd()?;
    day.shop.start_palmd()?;
    let name = made["name"].as_str().context("a name")?;
    let again = [
        "payout",
        "file",
        "--again",
        name,
        "--out",
        &text_of(&second)?,
    ];
    day.shop.ctl(&again)?;
    let message = fs::read_to_string(&first)?;
    assert_eq!(message, fs::read_to_string(&second)?);
    for expected in [202, 422] {
        let (status, answer) = day.bank.post("/payments", &message);
        assert_eq!(status, expected, "{answer}");
    }
    let answers = day.mail("pain.002")?;
    let [answer, duplicate] = answers.as_slice() else {
        panic!("one answer for each file: {answers:?}")
    };
    let changed = [("CHANGED", "ACCEPTED"), ("CHANGED", "REJECTED")];
    assert_eq!(day.report(duplicate)?, pairs(&[("DUPLICATE", "")]));
    assert_eq!(day.report(answer)?, pairs(&changed));
    assert_eq!(day.balances()?, (6_000, 6_000));
    let unchanged = changed.map(|(_, state)| ("UNCHANGED", state));
    assert_eq!(day.report(answer)?, pairs(&unchanged));
    assert_eq!(day.report(duplicate)?, pairs(&[("DUPLICATE", "")]));
    assert_eq!(day.balances()?, (6_000, 6_000));
    day.bank.advance(3);
    let (status, text) = day.reconcile(&[])?;
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("2 matched, 0 in transit, 0 to look at"),
        "{text}"
    );
    assert!(text.contains("1 booked"), "{text}");
    let payout = paid["name"].as_str().context("a name")?;
    assert_eq!(day.shop.ctl(&["payout", "show", payout])?["state"], "PAID");
    let (status, text) = day.reconcile(&[])?;
    assert_eq!(status, Some(0), "{text}");
    assert!(!text.contains("booked"), "{text}");
    a_break_is_told_until_it_is_explained(&day)?;
    nothing_tells_an_account(&mut day)
}

/// Money that nobody knows of.
fn a_break_is_told_until_it_is_explained(day: &Day) -> Result<()> {
    credit(&day.bank, "STRAY", 77);
    day.bank.advance(3);
    for _ in 0..2 {
        let (status, text) = day.reconcile(&[])?;
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains("STRAY  #1 since "), "{text}");
        assert!(text.contains("missing_in_ours"), "{text}");
    }
    let (status, csv) = day.reconcile(&["--format", "csv"])?;
    assert_eq!(status, Some(1), "{csv}");
    assert!(
        csv.contains("missing_in_ours,STRAY,CRDT,,77,77,KRW,"),
        "{csv}"
    );
    let close = ["bank", "close-break", "1", "--note", "a friend's"];
    assert_eq!(day.palmctl(&close, "")?.0, Some(0));
    let (status, text) = day.reconcile(&[])?;
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(day.balances()?, (6_000, 6_000), "nothing was guessed");
    Ok(())
}

/// Neither the log nor the store has a customer's account, nor the log the shop's.
fn nothing_tells_an_account(day: &mut Day) -> Result<()> {
    day.shop.stop_palmd()?;
    let mut kept = bytes_below(&day.shop.deployment().join("store"))?;
    ensure!(kept.len() > 1_000, "the store was found");
    let log = fs::read(day.shop.folder().join("palmd.log"))?;
    ensure!(!contains(&log, OURS), "the shop's account is in the log");
    kept.extend(log);
    for account in [ELSEWHERE, CLOSED] {
        ensure!(!contains(&kept, account), "an account is in the clear");
    }
    Ok(())
}

fn bytes_below(folder: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        all.extend(if path.is_dir() {
            bytes_below(&path)?
        } else {
            fs::read(&path)?
        });
    }
    Ok(all)
}

fn contains(whole: &[u8], piece: &str) -> bool {
    whole
        .windows(piece.len())
        .any(|window| window == piece.as_bytes())
}
