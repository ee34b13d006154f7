//! Money: minor units of an ISO 4217 currency. Never a float, never unchecked.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

use std::{fmt, str::FromStr};

/// The highest amount of one request, in minor units: twelve digits, as in ISO 8583 field 4.
pub const AMOUNT_MAX: u64 = 999_999_999_999;

/// Currencies that are taken and their minor digits (ISO 4217 list one).
const CURRENCIES: [(&str, u8); 12] = [
    ("AUD", 2),
    ("BHD", 3),
    ("CNY", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("JPY", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("SGD", 2),
    ("TWD", 2),
    ("USD", 2),
];

/// Why something is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Not a currency that is taken.
    #[error("send an ISO 4217 code in capitals: AUD BHD CNY EUR GBP HKD JPY KRW KWD SGD TWD USD")]
    Currency,
    /// Two amounts of different currencies were put together.
    #[error("the currencies differ: send an amount in the shop's currency")]
    CurrenciesDiffer,
    /// The sum does not fit.
    #[error("the sum does not fit into 64 bits: split it")]
    Overflow,
    /// Zero, or above [`AMOUNT_MAX`].
    #[error("send an amount of 1 to 999999999999 minor units")]
    Range,
}

/// A currency that is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency(u8);

impl Currency {
    /// South Korean won; it has no minor digits.
    pub const KRW: Self = Self(7);

    fn entry(self) -> (&'static str, u8) {
        CURRENCIES[usize::from(self.0)]
    }

    /// The ISO 4217 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.entry().0
    }

    /// Digits behind the point when written for people: 0, 2 or 3.
    #[must_use]
    pub fn minor_digits(self) -> u8 {
        self.entry().1
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        let index = CURRENCIES.iter().position(|(known, _)| *known == code);
        index
            .and_then(|index| u8::try_from(index).ok())
            .map(Self)
            .ok_or(MoneyError::Currency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount: minor units and their currency. Zero only as a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    minor: u64,
    currency: Currency,
}

impl Money {
    /// An amount that is asked for or paid.
    ///
    /// # Errors
    /// [`MoneyError::Range`] unless `minor` is 1 to [`AMOUNT_MAX`].
    pub fn amount(minor: u64, currency: Currency) -> Result<Self, MoneyError> {
        if (1..=AMOUNT_MAX).contains(&minor) {
            Ok(Self { minor, currency })
        } else {
            Err(MoneyError::Range)
        }
    }

    /// A balance; any value.
    #[must_use]
    pub const fn balance(minor: u64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Minor units.
    #[must_use]
    pub const fn minor(self) -> u64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }
}

/// For people: `KRW 4,500`, `EUR 4.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.minor_digits());
        let text = format!("{:0>width$}", self.minor, width = digits.saturating_add(1));
        let (whole, minor) = text.split_at(text.len().saturating_sub(digits));
        write!(f, "{} ", self.currency)?;
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && whole.len().saturating_sub(index) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        if digits > 0 {
            write!(f, ".{minor}")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(minor: u64, code: &str) -> String {
        Money::balance(minor, code.parse().unwrap()).to_string()
    }

    #[test]
    fn amounts_are_written_with_the_currency_s_own_digits() {
        assert_eq!(text(4_500, "KRW"), "KRW 4,500");
        assert_eq!(text(1_234_567, "JPY"), "JPY 1,234,567");
        assert_eq!(text(5, "EUR"), "EUR 0.05");
        assert_eq!(text(123_456_789, "KWD"), "KWD 123,456.789");
        assert_eq!(text(0, "USD"), "USD 0.00");
    }

    #[test]
    fn amounts_out_of_range_and_unknown_currencies_are_refused() {
        assert_eq!(Money::amount(0, Currency::KRW), Err(MoneyError::Range));
        assert_eq!(
            Money::amount(AMOUNT_MAX + 1, Currency::KRW),
            Err(MoneyError::Range)
        );
        assert!(Money::amount(AMOUNT_MAX, Currency::KRW).is_ok());
        for code in ["", "krw", "KR", "XXX", "KRWW"] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::Currency));
        }
        assert_eq!(Currency::KRW.code(), "KRW");
    }
}
