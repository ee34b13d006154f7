//! Amounts as people and machines read them, and the tax that is inside a price.

use palm_proto::money::Currency;

use super::{Language, words::Word};

/// Which way money went, seen from the account's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Out of the account.
    Debit,
    /// Into the account.
    Credit,
}

impl Side {
    /// The side and the size of a signed amount; nothing counts as in.
    #[must_use]
    pub fn of(minor: i128) -> (Self, u128) {
        let side = if minor < 0 { Self::Debit } else { Self::Credit };
        (side, minor.unsigned_abs())
    }

    /// The amount with its sign: out of the account is negative.
    #[must_use]
    pub fn signed(self, minor: u64) -> i128 {
        let minor = i128::from(minor);
        match self {
            Self::Debit => minor.saturating_neg(),
            Self::Credit => minor,
        }
    }

    /// The code of ISO 20022: `CRDT` or `DBIT`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Debit => "DBIT",
            Self::Credit => "CRDT",
        }
    }
}

/// How money was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tender {
    /// From or to a bank account, without a card.
    Bank,
    /// By palm, from a card that an outside rail keeps.
    Card,
    /// Notes and coins at the counter.
    Cash,
    /// By palm, from the customer's balance with the shop.
    Wallet,
}

impl Tender {
    /// For machines: `bank`, `card`, `cash`, `wallet`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Card => "card",
            Self::Cash => "cash",
            Self::Wallet => "wallet",
        }
    }

    pub(super) const fn word(self) -> Word {
        match self {
            Self::Bank => Word::ByBank,
            Self::Card => Word::ByCard,
            Self::Cash => Word::ByCash,
            Self::Wallet => Word::ByWallet,
        }
    }
}

/// The sum of many amounts. It cannot overflow: 2^63 amounts of 64 bits fit.
pub(super) fn sum(amounts: impl IntoIterator<Item = i128>) -> i128 {
    amounts.into_iter().fold(0, i128::saturating_add)
}

/// For machines: `45.00`, `-4500`; a point and no grouping, the currency's own digits.
#[must_use]
pub fn decimal(minor: i128, currency: Currency) -> String {
    written(minor, currency, "")
}

/// For people, without the currency: `4,500`, `-1,234.50`.
#[must_use]
pub(super) fn digits(minor: i128, currency: Currency) -> String {
    written(minor, currency, ",")
}

/// For people: `4,500원` in Korean, `KRW 4,500` elsewhere and for other currencies.
#[must_use]
pub fn amount(minor: i128, currency: Currency, language: Language) -> String {
    let digits = digits(minor, currency);
    if language == Language::Ko && currency == Currency::KRW {
        format!("{digits}원")
    } else {
        format!("{currency} {digits}")
    }
}

fn written(minor: i128, currency: Currency, group: &str) -> String {
    let places = usize::from(currency.minor_digits());
    let (side, size) = Side::of(minor);
    let text = format!("{size:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = text.split_at(text.len().saturating_sub(places));
    let mut out = String::new();
    if side == Side::Debit {
        out.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len().saturating_sub(index) % 3 == 0 {
            out.push_str(group);
        }
        out.push(digit);
    }
    if places > 0 {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Reads what [`decimal`] writes, and what banks write: at most 18 digits (as ISO 20022 allows), digits beyond the
/// currency's own only when they are zero, no sign. `None` for anything else.
#[must_use]
pub fn parse_decimal(text: &str, currency: Currency) -> Option<u64> {
    const DIGITS_MAX: usize = 18;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let length = whole.len().checked_add(fraction.len())?;
    if whole.is_empty() || length > DIGITS_MAX || !plain(whole) || !plain(fraction) {
        return None;
    }
    let places = usize::from(currency.minor_digits());
    let (kept, beyond) = fraction.split_at_checked(places).unwrap_or((fraction, ""));
    if beyond.bytes().any(|digit| digit != b'0') {
        return None;
    }
    format!("{whole}{kept:0<places$}").parse().ok()
}

/// A value-added tax that is inside the price.
///
/// Tax = price x rate / (1 + rate), rounded to the nearest minor unit, a half away from zero; supply = price - tax, so
/// that the two always add up to the price. Korea: 10 %, thus one eleventh, which has no halves: rounding the tax and
/// rounding the supply (price x 100 / 110, Value-Added Tax Act, article 29 paragraph 7) give the same won. The act says
/// nothing about the last won; nearest is what Korean payment providers print (1,000 won is 909 + 91: Toss Payments,
/// developers' forum, thread 1308698035722911764; "1/11 of the taxed amount": PortOne SDK, `vatAmount`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vat {
    /// The rate in hundredths of a percent: 1000 is 10 %.
    pub rate_bp: u16,
}

impl Vat {
    /// Korea's rate, 10 %.
    pub const KOREA: Self = Self { rate_bp: 1_000 };

    /// The tax inside a price.
    #[must_use]
    pub fn included(self, price_minor: u64) -> u64 {
        let rate = u128::from(self.rate_bp);
        let whole = rate.saturating_add(10_000);
        let twice = u128::from(price_minor)
            .saturating_mul(rate)
            .saturating_mul(2)
            .saturating_add(whole);
        let tax = twice.checked_div(whole.saturating_mul(2)).unwrap_or(0);
        u64::try_from(tax).expect("invariant: the tax inside a price is not above the price")
    }

    /// The tax that a refund takes back, after `before_minor` of the same payment was refunded. Refunds that add up to
    /// the price take back exactly the tax that was inside it, however they are split.
    #[must_use]
    pub fn taken_back(self, before_minor: u64, refund_minor: u64) -> u64 {
        let after = before_minor.saturating_add(refund_minor);
        self.included(after)
            .saturating_sub(self.included(before_minor))
    }

    /// `10 %`, `7.5 %`.
    #[must_use]
    pub fn text(self) -> String {
        let (percent, rest) = (self.rate_bp / 100, self.rate_bp % 100);
        let fraction = format!("{rest:02}");
        match fraction.trim_end_matches('0') {
            "" => format!("{percent} %"),
            fraction => format!("{percent}.{fraction} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use palm_proto::money::AMOUNT_MAX;
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_have_the_currency_s_own_digits() {
        let written = |minor, code| {
            (
                decimal(minor, currency(code)),
                digits(minor, currency(code)),
            )
        };
        assert_eq!(written(4_500, "KRW"), ("4500".into(), "4,500".into()));
        assert_eq!(written(5, "EUR"), ("0.05".into(), "0.05".into()));
        assert_eq!(
            written(-123_456_789, "KWD"),
            ("-123456.789".into(), "-123,456.789".into())
        );
        assert_eq!(amount(4_500, Currency::KRW, Language::Ko), "4,500원");
        assert_eq!(amount(4_500, Currency::KRW, Language::En), "KRW 4,500");
        assert_eq!(amount(-450, currency("EUR"), Language::Ko), "EUR -4.50");
    }

    #[test]
    fn what_is_no_amount_of_the_currency_is_refused() {
        for text in [
            "",
            ".5",
            "-1",
            "+1",
            "1,0",
            "1.005",
            "1e3",
            "1234567890123456789",
            "１",
        ] {
            assert_eq!(parse_decimal(text, currency("EUR")), None, "{text}");
        }
        assert_eq!(parse_decimal("4500.00", Currency::KRW), Some(4_500));
        assert_eq!(parse_decimal("4500.5", Currency::KRW), None);
        assert_eq!(parse_decimal("1.5", currency("EUR")), Some(150));
        assert_eq!(parse_decimal("1.", currency("EUR")), Some(100));
        assert_eq!(parse_decimal("1.50000", currency("EUR")), Some(150));
    }

    #[test]
    fn tax_inside_a_price_is_rounded_to_the_nearest_unit() {
        let korea = |price| Vat::KOREA.included(price);
        assert_eq!(
            [0, 1, 5, 6, 1_000, 4_500, 11_000].map(korea),
            [0, 0, 0, 1, 91, 409, 1_000]
        );
        assert_eq!(
            Vat { rate_bp: 2_000 }.included(3),
            1,
            "a half goes away from zero"
        );
        assert_eq!(Vat { rate_bp: 0 }.included(u64::MAX), 0);
        assert_eq!(Vat { rate_bp: 750 }.text(), "7.5 %");
        assert_eq!(Vat::KOREA.text(), "10 %");
    }

    proptest! {
        #[test]
        fn amounts_read_back_as_written(minor in 0..=AMOUNT_MAX, code in 0_usize..4) {
            let currency = currency(["KRW", "JPY", "EUR", "KWD"][code]);
            prop_assert_eq!(parse_decimal(&decimal(minor.into(), currency), currency), Some(minor));
        }

        #[test]
        fn rounding_the_tax_or_the_supply_is_the_same_for_an_eleventh(price in 0..=AMOUNT_MAX) {
            let supply = (price * 200 + 110) / 220; // price x 100 / 110, to the nearest
            prop_assert_eq!(price - Vat::KOREA.included(price), supply);
        }

        #[test]
        fn refunds_of_everything_take_back_the_whole_tax(
            parts in prop::collection::vec(1..1_000_000_u64, 1..8), rate_bp in 0..3_000_u16,
        ) {
            let (vat, price) = (Vat { rate_bp }, parts.iter().sum::<u64>());
            let (mut before, mut back) = (0, 0);
            for part in parts {
                back += vat.taken_back(before, part);
                before += part;
            }
            prop_assert_eq!(back, vat.included(price));
        }
    }
}
