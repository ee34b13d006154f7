//! Photographs of real hands through the whole path: emulated lens, driver, till, TLS, palmd. Who enrolled in one
//! session pays in another where there are two; the table on standard error says who was recognised, refused or asked.
//!
//! The photographs lie beside the checkout, if at all, and are for measuring only: nothing is set by them. What must
//! hold is that nobody pays for somebody else.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use palm_proto::{id::wallet_name, v1};
use palm_tests::{Caller, Page, Shop, palms, snapshot::Snapshot};
use serde_json::json;

const TOP_UP: u64 = 1_000_000;
const PRICE: u64 = 100;

/// What the till says when a picture gives no template; everything else that it says is about how a hand is held.
const REJECTIONS: [&str; 11] = [
    "back_of_hand",
    "blurred",
    "no_hand",
    "off_centre",
    "partly_hidden",
    "spread_fingers",
    "tilted",
    "too_bright",
    "too_close",
    "too_dark",
    "too_far",
];

#[test]
fn casia_nir_pays_in_the_second_session_and_never_for_somebody_else() -> Result<()> {
    play("casia_nir")
}

#[test]
fn coep_pays_and_never_for_somebody_else() -> Result<()> {
    play("coep")
}

#[test]
fn hands11k_pays_and_never_for_somebody_else() -> Result<()> {
    play("hands11k")
}

/// One hand and its photographs, those to enrol first.
struct Hand {
    name: String,
    enrolling: Vec<PathBuf>,
    paying: Vec<PathBuf>,
}

fn hands(folder: &Path) -> Result<Vec<Hand>> {
    let mut folders: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.sort();
    folders.iter().map(|folder| hand(folder)).collect()
}

/// Session 1 enrols and later ones pay; with one session, what is not needed for the enrolment pays.
fn hand(folder: &Path) -> Result<Hand> {
    let mut images: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    images.sort();
    let is_first = |image: &PathBuf| {
        image
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("s1_"))
    };
    let (enrolling, paying) = images.into_iter().partition(is_first);
    let name = folder
        .file_name()
        .context("a name")?
        .to_string_lossy()
        .into_owned();
    Ok(Hand {
        name,
        enrolling,
        paying,
    })
}

/// What became of one photograph at the lens.
enum Seen {
    Taken,
    /// By the extractor, with its reason.
    Refused(String),
    OtherHand,
    /// Not looked at: the photograph before was taken at a second look, and was the last one needed.
    Late,
}

#[derive(Default)]
struct Row {
    enrolled: bool,
    note: String,
    recognised: u32,
    not_recognised: u32,
    asked: u32,
    refused: u32,
}

/// The photographs of a set in a shop of its own.
struct Counter {
    page: Page,
    operator: Caller,
    shop: Shop,
    _till: palm_tests::Till,
}

fn play(set: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/palms/hand")
        .join(set);
    let mut out = std::io::stderr();
    let Ok(folder) = folder.canonicalize() else {
        writeln!(
            out,
            "{set}: skipped, there are no photographs beside the checkout"
        )?;
        return Ok(());
    };
    let (shop, till, page) = Shop::with_reader("pictures = true\n")?;
    let operator = shop.operator()?;
    let mut counter = Counter {
        page,
        operator,
        shop,
        _till: till,
    };
    let mut hands = hands(&folder)?;
    ensure!(!hands.is_empty(), "{} is empty", folder.display());
    let mut rows = BTreeMap::new();
    for hand in &mut hands {
        rows.insert(
            hand.name.clone(),
            counter.enrol(hand).with_context(|| hand.name.clone())?,
        );
    }
    let mut wrong = Vec::new();
    for hand in &hands {
        let row = rows.get_mut(&hand.name).context("a row")?;
        for image in &hand.paying {
            let charged = counter
                .pay(image, row)
                .with_context(|| image.display().to_string())?;
            wrong.extend(
                charged
                    .filter(|charged| *charged != hand.name)
                    .map(|charged| format!("{} paid with the money of {charged}", image.display())),
            );
        }
    }
    write!(out, "{}", table(set, &rows))?;
    assert!(
        wrong.is_empty(),
        "somebody else was charged:\n{}",
        wrong.join("\n")
    );
    Ok(())
}

impl Counter {
    /// Takes away what lies there and waits until nothing does.
    fn lift(&mut self) -> Result<()> {
        self.page.reader(&["LIFT"])?;
        let asks = |seen: &Snapshot| {
            hint(seen).is_none_or(|hint| hint == "show_hand") && !is_reading(seen)
        };
        self.page.until("the hand to be gone", asks).map(drop)
    }

    /// Shows a photograph and waits until something comes of it, or the extractor refuses it.
    fn show(&mut self, image: &Path, is_done: impl Fn(&Snapshot) -> bool) -> Result<()> {
        let image = image.to_str().context("a path that is not UTF-8")?;
        self.page.reader(&[&format!("IMAGE {image}")])?;
        let is_over = |seen: &Snapshot| is_done(seen) || rejection(seen).is_some();
        self.page.until("word of the photograph", is_over).map(drop)
    }

    fn capture(&mut self, image: &Path) -> Result<Seen> {
        self.lift()?;
        let before = self.page.seen().enrolment.taken;
        if before == self.page.seen().enrolment.needed {
            return Ok(Seen::Late);
        }
        let is_read =
            |seen: &Snapshot| seen.enrolment.taken > before || hint(seen) == Some("lift_hand");
        self.show(image, is_read)?;
        let seen = self.page.seen();
        Ok(match rejection(seen) {
            _ if seen.enrolment.taken > before => Seen::Taken,
            Some(reason) => Seen::Refused(reason.to_owned()),
            None => Seen::OtherHand,
        })
    }

    /// Enrols a hand with the first three photographs that are taken; with one session, the rest pay.
    fn enrol(&mut self, hand: &mut Hand) -> Result<Row> {
        let mut row = Row::default();
        let mut notes = Vec::new();
        self.page.enrol_up_to_capture(&hand.name)?;
        let mut images = std::mem::take(&mut hand.enrolling).into_iter();
        while self.page.seen().enrolment.screen == "capturing" {
            let Some(image) = images.next() else { break };
            match self.capture(&image)? {
                Seen::Taken => {}
                Seen::Late => {
                    images = [image]
                        .into_iter()
                        .chain(images)
                        .collect::<Vec<_>>()
                        .into_iter()
                }
                Seen::Refused(reason) => notes.push(reason),
                Seen::OtherHand => notes.push("read as the other hand".to_owned()),
            }
        }
        if hand.paying.is_empty() {
            hand.paying = images.collect();
        }
        self.page.reader(&["LIFT"])?;
        if self.page.seen().enrolment.screen == "offer" {
            self.page.does("enrol_finish")?;
            let is_over = |seen: &Snapshot| seen.enrolment.is_over();
            let end = self.page.until("an answer", is_over)?.enrolment.clone();
            row.enrolled = end.screen == "done";
            notes.extend(end.reason);
        } else {
            let taken = self.page.seen().enrolment.taken;
            notes.push(format!("{taken} of 3 captures"));
        }
        self.page.leave_kiosk()?;
        if row.enrolled {
            self.top_up(&hand.name)?;
            if hand.paying.is_empty() {
                notes.push("no photograph left to pay with".to_owned());
            }
        }
        row.note = notes.join(", ");
        Ok(row)
    }

    fn top_up(&self, name: &str) -> Result<()> {
        let customer = self.shop.customer(name)?.parse()?;
        self.operator.top_up(v1::TopUpRequest {
            request_id: palms::request_id().to_string(),
            wallet: wallet_name(customer),
            amount: Some(v1::Money {
                amount_minor: TOP_UP,
                currency_code: "KRW".to_owned(),
            }),
        })?;
        Ok(())
    }

    /// Pays with a photograph; gives the display name of whoever was charged.
    fn pay(&mut self, image: &Path, row: &mut Row) -> Result<std::option::IntoIter<String>> {
        self.page.charge(PRICE)?;
        self.page.checkout("waiting_for_hand")?;
        self.lift()?;
        self.show(image, |seen| seen.checkout.is_over())?;
        if !self.page.seen().checkout.is_over() {
            self.page.reader(&["LIFT"])?;
            // A second look may have come first; then that is what counts.
            self.page.post("/commands", &json!({"command": "cancel"}))?;
            self.page.until("the end", |seen| seen.checkout.is_over())?;
        }
        let end = self.page.payment_over()?;
        match (end.screen.as_str(), end.reason.as_deref()) {
            ("approved", _) => {
                row.recognised += 1;
                let payment = self.operator.payment(&end.payment.context("an id")?)?;
                let charged = self.shop.ctl(&["customer", "show", &payment.customer])?;
                let charged = charged["display_name"]
                    .as_str()
                    .context("a name")?
                    .to_owned();
                return Ok(Some(charged).into_iter());
            }
            ("not_recognised", Some("AMBIGUOUS")) => row.asked += 1,
            ("not_recognised", _) => row.not_recognised += 1,
            ("cancelled", _) => row.refused += 1,
            (screen, reason) => anyhow::bail!("{screen}: {reason:?}"),
        }
        Ok(None.into_iter())
    }
}

/// What the hand is asked to do, by whichever of the two is under way.
fn hint(seen: &Snapshot) -> Option<&str> {
    let enrolling = seen.enrolment.screen == "capturing";
    if enrolling {
        seen.enrolment.hint.as_deref()
    } else {
        seen.checkout.hint.as_deref()
    }
}

/// Why the last picture gave no template.
fn rejection(seen: &Snapshot) -> Option<&str> {
    hint(seen).filter(|hint| REJECTIONS.contains(hint))
}

fn is_reading(seen: &Snapshot) -> bool {
    seen.checkout.screen == "reading" || seen.enrolment.reading
}

fn table(set: &str, rows: &BTreeMap<String, Row>) -> String {
    let head = format!(
        "\n{set:12} {:>8} {:>10} {:>14} {:>5} {:>7}  {}\n",
        "enrolled", "recognised", "not recognised", "asked", "refused", "at the enrolment"
    );
    let mut text = head;
    let mut sum = [0; 5];
    for (name, row) in rows {
        let enrolled = u32::from(row.enrolled);
        let counts = [
            enrolled,
            row.recognised,
            row.not_recognised,
            row.asked,
            row.refused,
        ];
        sum.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
        text.push_str(&line(name, counts, &row.note));
    }
    text.push_str(&line(&format!("{} hands", rows.len()), sum, ""));
    text
}

fn line(
    name: &str,
    [enrolled, recognised, not_recognised, asked, refused]: [u32; 5],
    note: &str,
) -> String {
    let line = format!(
        "{name:12} {enrolled:>8} {recognised:>10} {not_recognised:>14} {asked:>5} {refused:>7}  {note}"
    );
    format!("{}\n", line.trim_end())
}
