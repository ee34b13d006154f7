//! The two pages as people use them: a headless Chromium clicks and types, in Korean and in English, against a shop of
//! real programs.

use anyhow::{Context, Result};
use palm_tests::{Browser, Shop, Till};
use serde_json::Value;

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// A person at the pages, who reads one language.
struct Person<'a> {
    browser: &'a Browser,
    till: &'a Till,
    messages: &'a Value,
    language: &'a str,
}

impl Person<'_> {
    fn word(&self, key: &str) -> Result<&str> {
        self.messages[self.language][key]
            .as_str()
            .with_context(|| format!("no words for {key}"))
    }

    fn word_with(&self, key: &str, values: &[(&str, &str)]) -> Result<String> {
        let filled = |text: String, (name, value): &(&str, &str)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        Ok(values.iter().fold(self.word(key)?.to_owned(), filled))
    }

    fn goes_to(&self, page: &str) -> Result<()> {
        let address = self.till.address();
        self.browser
            .open(&format!("http://{address}/{page}?lang={}", self.language))
    }

    fn sees(&self, key: &str) -> Result<()> {
        self.browser.shows(self.word(key)?).map(drop)
    }

    fn presses(&self, key: &str) -> Result<()> {
        self.browser
            .press(self.word(key)?)
            .with_context(|| key.to_owned())
    }

    /// By the panel of the emulated reader.
    fn holds_out_hand_of(&self, person: u8) -> Result<()> {
        let label = self.word_with("emulator.person", &[("n", &person.to_string())])?;
        self.browser.press(&label)
    }

    fn enrols(&self, person: u8, name: &str) -> Result<()> {
        self.goes_to("kiosk")?;
        self.sees("kiosk.welcome")?;
        self.presses("kiosk.start")?;
        self.sees("kiosk.consent")?;
        self.presses("kiosk.agree")?;
        self.sees("kiosk.name")?;
        self.browser.type_into("//input[@name='name']", name)?;
        self.presses("kiosk.next")?;
        for taken in 1..3 {
            self.holds_out_hand_of(person)?;
            let count = [("taken", &*taken.to_string()), ("needed", "3")];
            let count = self.word_with("kiosk.count", &count)?;
            self.browser.shows(&count)?;
            // A reload in the middle goes on where it was, in the same language.
            self.browser.reload()?;
            self.browser.shows(&count)?;
        }
        self.holds_out_hand_of(person)?;
        self.sees("kiosk.offer")?;
        self.presses("kiosk.finish")?;
        self.sees("kiosk.done")?;
        self.presses("kiosk.home")?;
        self.sees("kiosk.welcome")
    }

    fn asks_for_4500(&self) -> Result<()> {
        self.goes_to("cashier")?;
        self.sees("cashier.amount")?;
        for key in ["9", "C", "4", "5", "0", "0"] {
            self.browser.click(&format!(
                "//div[@role='group']/button[normalize-space()='{key}']"
            ))?;
        }
        self.browser.shows("4,500")?;
        self.presses("cashier.charge")?;
        self.sees("pay.waiting_for_hand")?;
        self.browser.reload()?;
        self.sees("pay.waiting_for_hand")
    }

    fn is_paid_by(&self, person: u8, masked: &str, left: &str) -> Result<()> {
        self.asks_for_4500()?;
        self.holds_out_hand_of(person)?;
        self.sees("pay.approved")?;
        let seen = self.browser.shows(masked)?;
        assert!(
            !seen.contains(left),
            "the balance is the customer's business: {seen}"
        );
        self.goes_to("kiosk")?;
        self.browser.shows(left)?;
        self.goes_to("cashier")?;
        self.sees("pay.approved")?;
        self.presses("cashier.new")?;
        self.sees("cashier.amount")
    }

    fn is_not_paid_by_a_stranger(&self) -> Result<()> {
        self.asks_for_4500()?;
        self.presses("emulator.stranger")?;
        self.sees("pay.not_recognised")?;
        self.presses("cashier.new")?;
        self.sees("cashier.amount")?;
        self.presses("emulator.lift")
    }

    /// Without a mouse: digits, Backspace is not needed, Enter asks, Escape cancels and clears.
    fn asks_and_cancels_by_keyboard(&self) -> Result<()> {
        self.goes_to("cashier")?;
        self.sees("cashier.amount")?;
        self.browser.keys(&format!("1200{ENTER}"))?;
        self.sees("pay.waiting_for_hand")?;
        self.browser.keys(ESCAPE)?;
        self.sees("pay.cancelled")?;
        self.browser.keys(ESCAPE)?;
        self.sees("cashier.amount")
    }

    fn sees_clean_pages(&self) -> Result<()> {
        assert_eq!(
            self.browser.evaluate("document.documentElement.lang")?,
            self.language
        );
        let complaints = self.browser.complaints()?;
        assert!(complaints.is_empty(), "on the console: {complaints:#?}");
        let own = format!("http://{}/", self.till.address());
        let requested = self.browser.requested()?;
        assert!(
            requested.iter().any(|address| address.ends_with("/events")),
            "{requested:?}"
        );
        let foreign: Vec<_> = requested
            .iter()
            .filter(|address| !address.starts_with(&own))
            .collect();
        assert!(foreign.is_empty(), "asked for from elsewhere: {foreign:?}");
        Ok(())
    }
}

#[test]
fn people_enrol_and_pay_by_the_pages_in_both_languages() -> Result<()> {
    let browser = Browser::start()?;
    let (shop, till, page) = Shop::with_till()?;
    drop(page);
    let messages: Value = serde_json::from_str(palm_till::pages::MESSAGES)?;
    for (language, person, name, masked) in [("ko", 1, "하나", "하**"), ("en", 2, "Two", "T**")]
    {
        let (browser, till, messages) = (&browser, &till, &messages);
        let user = Person {
            browser,
            till,
            messages,
            language,
        };
        user.enrols(person, name)
            .with_context(|| format!("enrolling in {language}"))?;
        shop.top_up(name, 20_000)?;
        user.is_paid_by(person, masked, "15,500")
            .with_context(|| format!("paying in {language}"))?;
        user.is_not_paid_by_a_stranger()
            .with_context(|| format!("a stranger in {language}"))?;
        user.asks_and_cancels_by_keyboard()
            .with_context(|| format!("keyboard in {language}"))?;
        user.sees_clean_pages()?;
    }
    assert_eq!(shop.operator()?.payments()?.len(), 2);
    Ok(())
}
