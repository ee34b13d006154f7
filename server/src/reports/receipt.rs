//! A receipt: one payment as the customer gets it, in Korean or English, on paper or as a page.

use palm_proto::{id::PaymentId, money::Currency};

use super::{
    Language, Vat, Zone,
    money::{Tender, amount, digits, sum},
    roll::{Roll, Weight},
    words::Word,
};
use crate::clock::Timestamp;

/// Most lines of goods, and most refunds, on one receipt.
pub const LINES_MAX: usize = 500;

/// Who sold. Fields that are empty are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shop {
    /// The name over the door.
    pub name: String,
    /// The number of its registration as a business; Korea's ten digits are written 123-45-67890.
    pub business_number: String,
    /// Who represents it in law.
    pub representative: String,
    /// Where it is.
    pub address: String,
    /// Its telephone.
    pub phone: String,
}

/// One line of goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What was sold.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// For all of them, tax included, in minor units.
    pub minor: u64,
}

/// Money that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// When.
    pub time: Timestamp,
    /// How much, in minor units.
    pub minor: u64,
}

/// All that is known of a payment when its receipt is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who sold.
    pub shop: Shop,
    /// The bare id of the till.
    pub till: String,
    /// The payment.
    pub payment: PaymentId,
    /// When it was approved.
    pub time: Timestamp,
    /// Where times are read.
    pub zone: Zone,
    /// Of every amount.
    pub currency: Currency,
    /// The goods; none where the till was told an amount only.
    pub items: Vec<Item>,
    /// What was paid, tip and tax included, in minor units.
    pub total_minor: u64,
    /// The part of it that is a tip, on which there is no tax.
    pub tip_minor: u64,
    /// The tax inside the rest; none for a shop or goods without.
    pub vat: Option<Vat>,
    /// How it was paid.
    pub tender: Tender,
    /// The customer's name, masked already; empty where there is none.
    pub masked_name: String,
    /// What the rail answered; empty where there is none.
    pub approval: String,
    /// When the payment was voided.
    pub voided: Option<Timestamp>,
    /// What went back, oldest first.
    pub refunds: Vec<Refund>,
}

/// Why facts make no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The goods and the tip do not add up to the total.
    #[error("the goods and the tip do not add up to the total")]
    ItemsDiffer,
    /// More went back than was paid.
    #[error("the refunds are more than the total")]
    RefundsAboveTotal,
    /// The tip is more than the total.
    #[error("the tip is more than the total")]
    TipAboveTotal,
    /// More than [`LINES_MAX`].
    #[error("a receipt has at most {LINES_MAX} goods and {LINES_MAX} refunds")]
    TooLong,
    /// A voided payment has moved no money that could go back.
    #[error("a voided payment has no refunds")]
    VoidedAndRefunded,
}

/// Where the payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Paid.
    Paid,
    /// A part went back.
    PartlyRefunded,
    /// All of it went back.
    Refunded,
    /// Called off before any money moved.
    Voided,
}

/// A receipt whose amounts add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(Facts);

impl Receipt {
    /// Takes the facts.
    ///
    /// # Errors
    /// [`ReceiptError`] when they contradict each other.
    pub fn new(facts: Facts) -> Result<Self, ReceiptError> {
        let total = i128::from(facts.total_minor);
        let refunded = sum(facts.refunds.iter().map(|refund| refund.minor.into()));
        let goods = facts.items.iter().map(|item| item.minor.into());
        let goods = sum(goods.chain([facts.tip_minor.into()]));
        if facts.items.len() > LINES_MAX || facts.refunds.len() > LINES_MAX {
            Err(ReceiptError::TooLong)
        } else if facts.tip_minor > facts.total_minor {
            Err(ReceiptError::TipAboveTotal)
        } else if !facts.items.is_empty() && goods != total {
            Err(ReceiptError::ItemsDiffer)
        } else if facts.voided.is_some() && !facts.refunds.is_empty() {
            Err(ReceiptError::VoidedAndRefunded)
        } else if refunded > total {
            Err(ReceiptError::RefundsAboveTotal)
        } else {
            Ok(Self(facts))
        }
    }

    /// Where the payment stands.
    #[must_use]
    pub fn state(&self) -> State {
        let left = self.left();
        if self.0.voided.is_some() {
            State::Voided
        } else if self.0.refunds.is_empty() {
            State::Paid
        } else if left == 0 {
            State::Refunded
        } else {
            State::PartlyRefunded
        }
    }

    /// What is paid after the refunds, in minor units.
    fn left(&self) -> i128 {
        let refunds = self.0.refunds.iter();
        let refunds = refunds.map(|refund| i128::from(refund.minor).saturating_neg());
        sum([i128::from(self.0.total_minor)].into_iter().chain(refunds))
    }

    /// The document.
    #[must_use]
    pub fn roll(&self, language: Language) -> Roll {
        let mut roll = Roll::default();
        self.0.shop.head(&mut roll, language);
        roll.rule();
        self.which(&mut roll, language);
        roll.rule();
        self.amounts(&mut roll, language);
        roll.rule();
        self.how(&mut roll, language);
        roll.blank();
        roll.code(&self.0.payment.to_string());
        roll.centre(Word::Thanks.say(language), Weight::Plain);
        roll
    }

    /// Which payment, and where it stands.
    fn which(&self, roll: &mut Roll, language: Language) {
        let banner = match self.state() {
            State::Paid => None,
            State::PartlyRefunded => Some(Word::PartlyRefunded),
            State::Refunded => Some(Word::Refunded),
            State::Voided => Some(Word::Voided),
        };
        if let Some(banner) = banner {
            roll.centre(&format!("[{}]", banner.say(language)), Weight::Strong);
        }
        let say = |word: Word| word.say(language);
        roll.pair(say(Word::PaidAt), &self.0.zone.text(self.0.time));
        if let Some(voided) = self.0.voided {
            roll.pair(say(Word::VoidedAt), &self.0.zone.text(voided));
        }
        roll.pair(say(Word::Payment), &short(self.0.payment));
        roll.pair(say(Word::Till), &self.0.till);
    }

    fn amounts(&self, roll: &mut Roll, language: Language) {
        let facts = &self.0;
        let plain = |minor: u64| digits(minor.into(), facts.currency);
        for item in &facts.items {
            let name = match item.quantity {
                1 => item.name.clone(),
                quantity => format!("{} x {quantity}", item.name),
            };
            roll.pair(&name, &plain(item.minor));
        }
        if !facts.items.is_empty() {
            roll.rule();
        }
        let goods = facts.total_minor.saturating_sub(facts.tip_minor);
        if let Some(vat) = facts.vat {
            let tax = vat.included(goods);
            roll.pair(
                Word::Supply.say(language),
                &plain(goods.saturating_sub(tax)),
            );
            let label = format!("{} ({})", Word::Vat.say(language), vat.text());
            roll.pair(&label, &plain(tax));
        }
        if facts.tip_minor > 0 {
            roll.pair(Word::Tip.say(language), &plain(facts.tip_minor));
        }
        let total = amount(facts.total_minor.into(), facts.currency, language);
        roll.weighted(Word::Total.say(language), &total, Weight::Double);
        for refund in &facts.refunds {
            let label = Word::Refund.say(language);
            let label = format!("{label} {}", facts.zone.text(refund.time));
            let back = i128::from(refund.minor).saturating_neg();
            roll.pair(&label, &digits(back, facts.currency));
        }
        if !facts.refunds.is_empty() {
            let left = amount(self.left(), facts.currency, language);
            roll.weighted(Word::PaidAfterRefunds.say(language), &left, Weight::Strong);
        }
    }

    fn how(&self, roll: &mut Roll, language: Language) {
        let facts = &self.0;
        let tender = facts.tender.word().say(language);
        for (word, text) in [
            (Word::PaidBy, tender),
            (Word::Customer, facts.masked_name.as_str()),
            (Word::Approval, facts.approval.as_str()),
        ] {
            if !text.is_empty() {
                roll.pair(word.say(language), text);
            }
        }
    }
}

impl Shop {
    /// The head of every document.
    pub(super) fn head(&self, roll: &mut Roll, language: Language) {
        roll.centre(&self.name, Weight::Double);
        let number = registration(&self.business_number);
        for (word, text) in [
            (Word::BusinessNumber, number.as_str()),
            (Word::Representative, self.representative.as_str()),
            (Word::Address, self.address.as_str()),
            (Word::Phone, self.phone.as_str()),
        ] {
            if !text.is_empty() {
                roll.pair(word.say(language), text);
            }
        }
    }
}

/// Korea's ten digits with their dashes; any other text as it is.
fn registration(number: &str) -> String {
    match number.as_bytes() {
        digits if digits.len() == 10 && digits.iter().all(u8::is_ascii_digit) => {
            let (office, rest) = number.split_at(3);
            let (kind, serial) = rest.split_at(2);
            format!("{office}-{kind}-{serial}")
        }
        _ => number.to_owned(),
    }
}

/// The first eight digits of a payment's id, to read out; the code has all of it.
fn short(payment: PaymentId) -> String {
    let [a, b, c, d, ..] = payment.to_bytes();
    format!("{:08X}", u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
pub(super) mod tests;
