//! A shop's day as a receipt roll: each line a step, `=>`, and what came of it.
//!
//! | step | outcome |
//! |---|---|
//! | `enrol NAME PALM [L]` | `done, 1 palm`, or `refused REASON` |
//! | `top up NAME AMOUNT`, `pay out NAME AMOUNT`, `wallet NAME` | `20000 left`, or `refused REASON` |
//! | `pay PALM [L] AMOUNT`, `strange PALM AMOUNT` | `approved S**, 15500 left`, `declined REASON S**`, `not_recognised REASON` |
//! | `delete NAME` | `deleted`, or `refused REASON` |
//! | `restart palmd`, `restart till` | `ready` |
//! | `books` | `2 transfers right, 1 approved, 0 declined` |

use anyhow::{Context, Result, bail};
use palm_tests::{Page, Shop, Till, snapshot::Checkout};
use serde_json::Value;

const TILL: &str = "counter-1";

struct Roll {
    shop: Shop,
    till: Option<Till>,
    page: Page,
}

/// Plays a roll in a shop of its own; fails with the roll as it came out.
pub(crate) fn play(roll: &str) -> Result<()> {
    let (shop, till, page) = Shop::with_till()?;
    let mut played = Roll {
        shop,
        till: Some(till),
        page,
    };
    let (mut expected, mut actual) = (String::new(), String::new());
    for line in roll.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, outcome) = line
            .split_once("=>")
            .with_context(|| format!("{line}: no =>"))?;
        let (step, outcome) = (step.trim(), outcome.trim());
        let came = played
            .step(step)
            .with_context(|| format!("at `{step}`, after\n{actual}"))?;
        expected.push_str(&format!("{step:24} => {outcome}\n"));
        actual.push_str(&format!("{step:24} => {came}\n"));
    }
    assert_eq!(
        actual, expected,
        "\nplayed:\n{actual}\nexpected:\n{expected}"
    );
    Ok(())
}

impl Roll {
    fn step(&mut self, step: &str) -> Result<String> {
        let words: Vec<&str> = step.split_whitespace().collect();
        match *words.as_slice() {
            ["enrol", name, palm] => self.enrol(name, &format!("PALM {palm}")),
            ["enrol", name, palm, "L"] => self.enrol(name, &format!("PALM {palm} L")),
            ["top", "up", name, amount] => self.transfer("top-up", name, amount),
            ["pay", "out", name, amount] => self.transfer("pay-out", name, amount),
            ["wallet", name] => Ok(format!("{} left", self.shop.balance(name)?)),
            ["pay", palm, amount] => self.pay(&format!("PALM {palm}"), amount),
            ["pay", palm, "L", amount] => self.pay(&format!("PALM {palm} L"), amount),
            ["strange", palm, amount] => self.pay_once(&format!("PALM {palm}"), amount),
            ["delete", name] => self.delete(name),
            ["restart", "palmd"] => self.restart_palmd(),
            ["restart", "till"] => self.restart_till(),
            ["books"] => self.books(),
            _ => bail!("unknown step"),
        }
    }

    fn enrol(&mut self, name: &str, palm: &str) -> Result<String> {
        let end = self.page.enrol(name, palm)?;
        Ok(match (end.palms, end.reason) {
            (Some(1), None) => format!("{}, 1 palm", end.screen),
            (Some(palms), None) => format!("{}, {palms} palms", end.screen),
            (_, reason) => format!("{} {}", end.screen, reason.unwrap_or_default()),
        })
    }

    fn transfer(&self, what: &str, name: &str, amount: &str) -> Result<String> {
        let customer = self.shop.customer(name)?;
        answer(
            self.shop.ctl(&["wallet", what, &customer, amount]),
            |wallet| format!("{} left", wallet["balance"]["amount_minor"]),
        )
    }

    fn pay(&mut self, palm: &str, amount: &str) -> Result<String> {
        Ok(outcome(&self.page.pay_known(amount.parse()?, palm)?))
    }

    /// Somebody who is not enrolled, and therefore does not try again.
    fn pay_once(&mut self, palm: &str, amount: &str) -> Result<String> {
        Ok(outcome(&self.page.pay(amount.parse()?, palm)?))
    }

    fn delete(&self, name: &str) -> Result<String> {
        let customer = self.shop.customer(name)?;
        answer(self.shop.ctl(&["customer", "delete", &customer]), |_| {
            "deleted".to_owned()
        })
    }

    fn restart_palmd(&mut self) -> Result<String> {
        let status = self.shop.stop_palmd()?;
        self.shop.wire()?.cut();
        self.shop.start_palmd()?;
        self.page.ready()?;
        Ok(if status.success() {
            "ready".to_owned()
        } else {
            format!("palmd: {status}")
        })
    }

    fn restart_till(&mut self) -> Result<String> {
        let status = self.till.take().context("a till")?.stop()?;
        let till = self.shop.start_till(TILL)?;
        self.page = till.page()?;
        self.till = Some(till);
        self.page.ready()?;
        Ok(if status.success() {
            "ready".to_owned()
        } else {
            format!("till: {status}")
        })
    }

    fn books(&self) -> Result<String> {
        let audit = self.shop.ctl(&["ledger", "audit"])?;
        let right = if audit["violations"] == Value::Array(Vec::new()) {
            "right"
        } else {
            "WRONG"
        };
        let payments = self.shop.ctl(&["payment", "list"])?;
        let payments = payments.as_array().context("a list")?;
        let count = |state| {
            payments
                .iter()
                .filter(|payment| payment["state"] == state)
                .count()
        };
        let (approved, declined) = (count("CAPTURED"), count("DECLINED"));
        Ok(format!(
            "{} transfers {right}, {approved} approved, {declined} declined",
            audit["transfers"]
        ))
    }
}

/// A payment's end in one line.
pub(crate) fn outcome(end: &Checkout) -> String {
    let words = [
        Some(end.screen.clone()),
        end.reason.clone(),
        end.masked_name.clone().filter(|name| !name.is_empty()),
    ];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    match end.balance_minor {
        Some(left) => format!("{words}, {left} left"),
        None => words,
    }
}

/// What palmctl answered, or the reason that it was refused with.
fn answer(asked: Result<Value>, say: impl FnOnce(&Value) -> String) -> Result<String> {
    let error = match asked {
        Ok(value) => return Ok(say(&value)),
        Err(error) => error,
    };
    let said = format!("{error:#}");
    // palmctl ends its line with the reason in brackets.
    let reason = said
        .trim_end()
        .strip_suffix(')')
        .and_then(|said| said.rsplit_once('('));
    let (_, reason) = reason.with_context(|| said.clone())?;
    Ok(format!("refused {reason}"))
}
