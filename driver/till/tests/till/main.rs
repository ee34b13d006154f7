//! The whole till over real sockets: pages on one side, a stand-in for palmd behind mutual TLS on the other, the
//! emulated reader in between. Each test reads like what happens at the counter.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod browser;
mod palmd;

use std::{net::SocketAddr, path::Path};

use browser::Browser;
use palm_proto::request::{Confirmation, Factor};
use palm_till::{Config, RunningTill, Till};
use palmd::{Act, Palmd, Running, certificates};
use serde_json::json;
use tempfile::TempDir;

struct Shop {
    folder: TempDir,
    service: SocketAddr,
    palmd: Palmd,
    running: Option<Running>,
    till: Option<RunningTill>,
}

const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn config(folder: &Path, service: SocketAddr) -> Config {
    config_with(folder, service, "")
}

fn config_with(folder: &Path, service: SocketAddr, more: &str) -> Config {
    let text = format!(
        "[service]\naddress = \"https://{service}\"\nca = \"ca.pem\"\ncertificate = \"till.pem\"\n\
         key = \"till.key\"\n[reader]\nkind = \"emulated\"\n[pages]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    Config::parse(&text, &folder.join("till.toml")).unwrap()
}

impl Shop {
    /// palmd and a till that are connected, and a page.
    fn open() -> (Self, Browser) {
        let folder = tempfile::tempdir().unwrap();
        let identity = certificates(folder.path());
        let palmd = Palmd::new();
        let (running, service) = palmd.serve(ANYWHERE.into(), identity);
        let running = Some(running);
        let mut shop = Self {
            folder,
            service,
            palmd,
            running,
            till: None,
        };
        let mut page = shop.start_till();
        page.ready();
        (shop, page)
    }

    fn start_till(&mut self) -> Browser {
        let till = Till::start(config(self.folder.path(), self.service)).unwrap();
        let page = Browser::open(till.pages_address());
        self.till = Some(till);
        page
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("journal")).unwrap()
    }
}

#[test]
fn palm_pays_and_the_screen_tells_where_the_time_went() {
    let (shop, mut page) = Shop::open();
    assert_eq!(page.seen()["service"]["shop_name"], "Corner Shop");
    assert_eq!(page.seen()["service"]["minor_digits"], 0);
    shop.palmd.acts(&[Act::Approve]);
    page.charge(4_500);
    let asked = page.checkout("waiting_for_hand");
    assert_eq!(
        (&asked["amount_minor"], &asked["currency"]),
        (&json!(4_500), &json!("KRW"))
    );
    page.reader(&["PALM 7"]);
    let paid = page.checkout("approved");
    assert_eq!(
        (&paid["masked_name"], &paid["balance_minor"]),
        (&json!("김*수"), &json!(5_500))
    );
    assert_eq!(paid["timings"]["identify_ms"], 0.9);
    let time = |name: &str| paid["timings"][name].as_f64().unwrap();
    assert!(
        time("total_ms") >= time("extract_ms") + time("service_ms"),
        "{paid}"
    );
    assert!(time("capture_ms") > 0.0 && time("extract_ms") > 0.0 && time("service_ms") > 0.0);
    assert!(shop.journal().lines().last().unwrap().contains("resolved"));
    let payment = shop.palmd.books.lock().unwrap().sends[0].payment.clone();
    assert_eq!(paid["payment"], payment);
    assert!(
        shop.palmd.books.lock().unwrap().readers.contains(&2),
        "the reader was reported ready"
    );
    page.does("new");
    page.checkout("idle");
}

#[test]
fn second_factor_is_asked_for_given_and_not_shown() {
    let (shop, mut page) = Shop::open();
    shop.palmd.acts(&[Act::Ask]);
    page.charge(90_000);
    page.reader(&["PALM 7"]);
    let asked = page.checkout("step_up");
    assert_eq!(
        (&asked["reason"], &asked["masked_name"]),
        (&json!("SECOND_FACTOR"), &json!("김*수"))
    );
    page.command(&json!({"command": "give_pin", "pin": "0427"}));
    let paid = page.checkout("approved");
    assert!(!paid.to_string().contains("0427"));
    let given = shop.palmd.books.lock().unwrap().given.clone();
    let [Confirmation::Factor(Factor::Pin(pin))] = given.as_slice() else {
        panic!("one PIN is given: {given:?}");
    };
    assert_eq!(pin.as_bytes(), b"0427");
    assert!(!shop.journal().contains("0427"));
}

#[test]
fn declined_and_not_recognised_offer_another_try_under_the_right_id() {
    let (shop, mut page) = Shop::open();
    shop.palmd
        .acts(&[Act::NotRecognised, Act::Decline, Act::Approve]);
    page.charge(4_500);
    page.reader(&["PALM 7"]);
    assert_eq!(page.checkout("not_recognised")["reason"], "NOT_RECOGNISED");
    page.does("retry");
    page.until("lift", |seen| seen["checkout"]["hint"] == "lift_hand");
    page.reader(&["LIFT", "PALM 7"]);
    let declined = page.checkout("declined");
    assert_eq!(
        (&declined["reason"], &declined["masked_name"]),
        (&json!("INSUFFICIENT_FUNDS"), &json!("김*수"))
    );
    page.does("retry");
    page.reader(&["LIFT", "PALM 7"]);
    page.checkout("approved");
    let books = shop.palmd.books.lock().unwrap();
    let [first, second, third] = &books.sends[..] else {
        panic!("three sends")
    };
    assert_eq!(
        first.payment, second.payment,
        "not recognised leaves the id free"
    );
    assert_ne!(first.sample, second.sample);
    assert_ne!(second.payment, third.payment, "a decline uses the id up");
}

#[test]
fn lost_answer_is_asked_for_with_the_same_bytes_and_booked_once() {
    let (shop, mut page) = Shop::open();
    shop.palmd.acts(&[Act::BookAndLose]);
    page.charge(4_500);
    page.reader(&["PALM 7"]);
    page.checkout("checking");
    page.checkout("approved");
    let books = shop.palmd.books.lock().unwrap();
    assert_eq!(books.payments.len(), 1);
    assert_eq!(books.sends.len(), 2);
    assert_eq!(books.sends[0], books.sends[1], "the same sealed request");
}

#[test]
fn cancel_after_a_lost_send_ends_in_a_certain_cancellation() {
    let (shop, mut page) = Shop::open();
    shop.palmd.acts(&[Act::Lose; 64]);
    page.charge(4_500);
    page.reader(&["PALM 7"]);
    page.checkout("checking");
    let busy = page.post(
        "/commands",
        &json!({"command": "charge", "amount_minor": 1}),
    );
    assert_eq!((busy.0, &busy.1["error"]), (409, &json!("UNRESOLVED")));
    page.does("cancel");
    page.checkout("cancelled");
    let books = shop.palmd.books.lock().unwrap();
    let states: Vec<i32> = books
        .payments
        .values()
        .map(|payment| payment.state)
        .collect();
    assert_eq!(
        states,
        [3],
        "cancelled in the books, so that no late copy can charge"
    );
}

#[test]
fn payment_left_open_by_a_stop_is_resolved_before_the_next() {
    let (mut shop, mut page) = Shop::open();
    shop.palmd.acts(&[Act::BookAndLose]);
    shop.palmd.books.lock().unwrap().mute = true;
    page.charge(4_500);
    page.until("waiting", |seen| {
        seen["checkout"]["screen"] == "waiting_for_hand"
    });
    page.reader(&["PALM 7"]);
    page.checkout("authorising");
    page.checkout("checking");
    let sends = shop.palmd.books.lock().unwrap().sends.len();
    // Both sides stop while the outcome is unknown; the till comes back first.
    drop(shop.running.take());
    shop.till.take().unwrap().stop();
    assert!(!shop.journal().contains("resolved"));
    let mut page = shop.start_till();
    let checking = page.checkout("checking");
    assert_eq!(checking["amount_minor"], 4_500);
    let refused = page.post(
        "/commands",
        &json!({"command": "charge", "amount_minor": 1}),
    );
    assert!(refused.0 == 409 || refused.0 == 503, "{refused:?}");
    shop.palmd.books.lock().unwrap().mute = false;
    let identity = certificates_again(&shop);
    shop.running = Some(shop.palmd.serve(shop.service, identity).0);
    assert_eq!(page.checkout("approved")["masked_name"], "김*수");
    assert!(shop.journal().contains("resolved"));
    let books = shop.palmd.books.lock().unwrap();
    assert!(
        books.sends[..sends]
            .iter()
            .all(|send| *send == books.sends[0])
    );
    assert!(
        books.sends.len() <= sends + 1,
        "after the restart it was asked, not sent again"
    );
}

/// The service comes back as the one that it was.
fn certificates_again(shop: &Shop) -> (tonic::transport::Identity, tonic::transport::Certificate) {
    let read = |name: &str| std::fs::read(shop.folder.path().join(name)).unwrap();
    let identity = tonic::transport::Identity::from_pem(read("server.pem"), read("server.key"));
    (
        identity,
        tonic::transport::Certificate::from_pem(read("ca.pem")),
    )
}

#[test]
fn unplug_during_the_capture_holds_the_payment_until_the_reader_is_back() {
    let (shop, mut page) = Shop::open();
    shop.palmd.acts(&[Act::Approve]);
    page.charge(4_500);
    page.checkout("waiting_for_hand");
    page.reader(&["UNPLUG 6", "PALM 7"]);
    page.checkout("reader_lost");
    assert_eq!(page.seen()["reader"]["state"], "absent");
    page.reader(&["PLUG", "PALM 7"]);
    page.checkout("approved");
    assert_eq!(shop.palmd.books.lock().unwrap().sends.len(), 1);
}

#[test]
fn cancel_before_the_palm_sends_nothing_and_journals_nothing() {
    let (shop, mut page) = Shop::open();
    page.charge(4_500);
    page.checkout("waiting_for_hand");
    page.does("cancel");
    page.checkout("cancelled");
    page.reader(&["PALM 7"]);
    page.does("new");
    page.checkout("idle");
    assert!(shop.palmd.books.lock().unwrap().sends.is_empty());
    assert_eq!(shop.journal(), "");
}

#[test]
fn three_captures_enrol_a_person_and_a_reload_resumes_in_the_middle() {
    let (shop, mut page) = Shop::open();
    page.command(&json!({"command": "enrol_start", "language": "ko"}));
    let outdated = json!({"command": "enrol_consent", "notice_version": "1999-01"});
    assert_eq!(
        page.post("/commands", &outdated).1["error"],
        "NOTICE_OUTDATED"
    );
    page.command(&json!({"command": "enrol_consent", "notice_version": "2026-11"}));
    page.command(&json!({"command": "enrol_name", "display_name": "Kim"}));
    let busy = page.post(
        "/commands",
        &json!({"command": "charge", "amount_minor": 1}),
    );
    assert_eq!((busy.0, &busy.1["error"]), (409, &json!("BUSY")));
    for taken in 1..=3 {
        page.reader(&["LIFT", "PALM 7"]);
        page.until("taken", |seen| seen["enrolment"]["taken"] == taken);
        let resumed = Browser::open(shop.till.as_ref().unwrap().pages_address());
        assert_eq!(resumed.seen()["enrolment"]["taken"], taken);
    }
    assert_eq!(page.enrolment("offer")["hand"], "right");
    page.does("enrol_finish");
    assert_eq!(page.enrolment("done")["palms"], 1);
    page.does("new");
    page.enrolment("idle");
    let books = shop.palmd.books.lock().unwrap();
    assert_eq!((books.customers.len(), books.samples), (1, 3));
    assert!(
        !page.seen().to_string().contains("Kim"),
        "no name on the stream"
    );
}

#[test]
fn till_without_a_service_says_so_and_takes_no_payment() {
    let folder = tempfile::tempdir().unwrap();
    drop(certificates(folder.path()));
    let closed = std::net::TcpListener::bind(SocketAddr::from(ANYWHERE)).unwrap();
    let service = closed.local_addr().unwrap();
    drop(closed);
    let till = Till::start(config(folder.path(), service)).unwrap();
    let mut page = Browser::open(till.pages_address());
    page.until("reader", |seen| seen["reader"]["state"] == "ready");
    assert_eq!(page.seen()["service"]["state"], "connecting");
    let (status, body) = page.post(
        "/commands",
        &json!({"command": "charge", "amount_minor": 4500}),
    );
    assert_eq!((status, &body["error"]), (503, &json!("CONNECTING")));
    let too_much = page.post(
        "/commands",
        &json!({"command": "enrol_start", "language": "en"}),
    );
    assert_eq!(too_much.0, 503);
    till.stop();
}

#[test]
fn amounts_beyond_the_shop_s_limit_and_odd_commands_change_nothing() {
    let (shop, mut page) = Shop::open();
    for (body, status, field) in [
        (
            json!({"command": "charge", "amount_minor": 1_000_001}),
            422,
            "amount_minor",
        ),
        (
            json!({"command": "charge", "amount_minor": 0}),
            422,
            "amount_minor",
        ),
        (json!({"command": "cancel"}), 409, "command"),
        (json!({"command": "retry"}), 409, "command"),
        (json!({"command": "enrol_finish"}), 409, "command"),
        (
            json!({"command": "enrol_name", "display_name": "Kim"}),
            409,
            "command",
        ),
    ] {
        let (got, answer) = page.post("/commands", &body);
        assert_eq!((got, &answer["field"]), (status, &json!(field)), "{body}");
    }
    page.checkout("idle");
    page.enrolment("idle");
    assert_eq!(shop.journal(), "");
}

#[test]
fn wrong_key_files_are_named_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    drop(certificates(folder.path()));
    let service = SocketAddr::from(ANYWHERE);
    std::fs::write(folder.path().join("ca.pem"), "not pem").unwrap();
    let said = Till::start(config(folder.path(), service))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("service.ca") && said.contains("not a PEM file"),
        "{said}"
    );
    std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
    let said = Till::start(config(folder.path(), service))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("service.ca") && said.contains("cannot be read"),
        "{said}"
    );
}

#[test]
fn program_prints_its_pages_obeys_its_script_and_stops_on_sigterm() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let (shop, page) = Shop::open();
    drop(page);
    drop(shop.till);
    let folder = shop.folder.path();
    let example = include_str!("../../till.example.toml")
        .replace("127.0.0.1:7443", &shop.service.to_string())
        .replace("127.0.0.1:8470", "127.0.0.1:0");
    std::fs::write(folder.join("till.toml"), example).unwrap();
    std::fs::write(folder.join("script"), "# a customer\nPALM 7\n").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_palm-till"))
        .args(["--log", "warn", "--config"])
        .arg(folder.join("till.toml"))
        .arg("--emulator-script")
        .arg(folder.join("script"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap())
        .lines()
        .take(3);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    let address = lines[0].strip_prefix("palm-till pages on http://").unwrap();
    assert_eq!(lines[1], format!("kiosk   http://{address}/kiosk"));
    let mut page = Browser::open(address.parse().unwrap());
    page.ready();
    shop.palmd.acts(&[Act::Approve]);
    page.charge(4_500);
    page.checkout("approved");
    let id = program.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(program.wait().unwrap().success());
}

#[test]
fn program_names_the_wrong_key_and_fails() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("till.toml");
    let text = include_str!("../../till.example.toml").replace("127.0.0.1:8470", "0.0.0.0:80");
    std::fs::write(&path, text).unwrap();
    let program = env!("CARGO_BIN_EXE_palm-till");
    let output = Command::new(program)
        .arg("--config")
        .arg(&path)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("pages.listen") && said.contains("127.0.0.1"),
        "{said}"
    );
}

const OFFLINE: &str =
    "[offline]\npayment_max_minor = 5000\ntotal_max_minor = 9000\nseen_within_min = 60\n";

#[test]
fn known_palm_pays_without_the_service_and_is_charged_once_when_it_is_back() {
    let (mut shop, _) = Shop::open();
    drop(shop.till.take());
    let start = |shop: &mut Shop| {
        let config = config_with(shop.folder.path(), shop.service, OFFLINE);
        let till = Till::start(config).unwrap();
        let page = Browser::open(till.pages_address());
        shop.till = Some(till);
        page
    };
    let mut page = start(&mut shop);
    page.ready();
    shop.palmd.acts(&[Act::Approve]);
    page.charge(1_000);
    page.reader(&["PALM 7"]);
    page.checkout("approved");
    page.does("new");
    drop(shop.running.take());
    page.until("gone", |seen| seen["service"]["state"] == "connecting");
    // A stranger is not taken, and neither is more than the cap.
    page.charge(2_000);
    page.reader(&["LIFT", "PALM 8"]);
    page.checkout("not_charged");
    page.charge(2_000);
    page.reader(&["LIFT", "PALM 7"]);
    let taken = page.checkout("accepted_offline");
    assert_eq!(taken["masked_name"], "김*수");
    page.until("waits", |seen| seen["offline"]["waiting_minor"] == 2_000);
    let payment = taken["payment"].as_str().unwrap().to_owned();
    // The till stops and starts in between.
    drop(shop.till.take());
    let mut page = start(&mut shop);
    page.until("still waits", |seen| seen["offline"]["waiting"] == 1);
    shop.palmd.acts(&[Act::Approve]);
    let identity = certificates(shop.folder.path());
    drop(shop.till.take());
    let (running, service) = shop.palmd.serve(ANYWHERE.into(), identity);
    (shop.running, shop.service) = (Some(running), service);
    let mut page = start(&mut shop);
    page.until("sent", |seen| seen["offline"]["waiting"] == 0);
    let books = shop.palmd.books.lock().unwrap();
    let sends: Vec<_> = books
        .sends
        .iter()
        .filter(|sent| sent.payment == payment)
        .collect();
    assert!(sends.len() == 1 && sends[0].accepted_offline, "{sends:?}");
    assert!(books.payments.contains_key(&payment));
}
