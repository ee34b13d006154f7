//! Secrets made of digits.

use std::{fmt, ops::RangeInclusive};

use zeroize::Zeroizing;

/// How long a PIN is.
pub const PIN_DIGITS: RangeInclusive<usize> = 4..=12;
/// How many of a telephone number's last digits are asked for.
pub const PHONE_DIGITS: RangeInclusive<usize> = 4..=4;

/// A PIN, or the last digits of a telephone number. Zeroized when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(Zeroizing<String>);

impl Digits {
    /// Takes a text of ASCII digits of one of these lengths; `None` for any other.
    #[must_use]
    pub fn new(text: String, lengths: RangeInclusive<usize>) -> Option<Self> {
        let text = Zeroizing::new(text);
        let is_right = lengths.contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        is_right.then_some(Self(text))
    }

    /// The digits as text, for a message that must hold them.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.to_string()
    }

    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_of_the_right_length_are_taken_and_none_is_printed() {
        for text in [
            "",
            "123",
            "1234567890123",
            "12a4",
            "12 4",
            "\u{661}\u{662}\u{663}\u{664}",
        ] {
            assert_eq!(Digits::new(text.to_owned(), PIN_DIGITS), None, "{text}");
        }
        let pin = Digits::new("0427".to_owned(), PIN_DIGITS).unwrap();
        assert_eq!(
            (pin.as_bytes(), format!("{pin:?}").as_str()),
            (&b"0427"[..], "Digits")
        );
    }
}
