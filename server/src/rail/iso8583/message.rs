//! A message of ISO 8583:1987: its type and its fields, as text.
//!
//! Fields that hold what is on a card (the number, its expiry, the tracks, the PIN block, the chip's data) are never
//! part of one: they cannot be set, and what a host sends in them is passed over unread.

use std::{collections::BTreeMap, fmt};

/// Message type: four digits, each in four bits, for instance `0x0110`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mti(pub u16);

impl Mti {
    /// Authorisation request.
    pub const AUTHORISATION: Self = Self(0x0100);
    /// Financial request; with processing code 20 a refund.
    pub const FINANCIAL: Self = Self(0x0200);
    /// Financial advice: a capture, which the host does not decline.
    pub const ADVICE: Self = Self(0x0220);
    /// Reversal request.
    pub const REVERSAL: Self = Self(0x0400);
    /// Reversal advice.
    pub const REVERSAL_ADVICE: Self = Self(0x0420);
    /// Network management: sign-on, sign-off, echo.
    pub const NETWORK: Self = Self(0x0800);

    /// The type of the same message sent once more.
    #[must_use]
    pub const fn repeat(self) -> Self {
        Self(self.0 | 1)
    }

    /// The type of its answer.
    #[must_use]
    pub const fn answer(self) -> Self {
        Self(self.0 + 0x10)
    }

    /// Whether it asks for an answer.
    #[must_use]
    pub const fn is_request(self) -> bool {
        (self.0 >> 4) & 1 == 0
    }

    /// The same, whether sent first or again.
    #[must_use]
    pub const fn first(self) -> Self {
        Self(self.0 & !1)
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub mti: Mti,
    fields: BTreeMap<u8, String>,
}

/// Prints the type and which fields there are, and of those only what says how it went.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<u8> = self.fields.keys().copied().collect();
        let (trace, code) = (self.field(11), self.field(39));
        write!(f, "{} {fields:?} 11={trace:?} 39={code:?}", self.mti)
    }
}

impl Message {
    /// A message without fields.
    #[must_use]
    pub const fn new(mti: Mti) -> Self {
        Self {
            mti,
            fields: BTreeMap::new(),
        }
    }

    /// The same with a field. A field that is not known or may not be carried is left out.
    #[must_use]
    pub fn with(mut self, number: u8, value: impl Into<String>) -> Self {
        self.set(number, value.into());
        self
    }

    /// The same with a field, where there is a value.
    #[must_use]
    pub fn with_some(self, number: u8, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(number, value),
            None => self,
        }
    }

    pub(super) fn set(&mut self, number: u8, value: String) {
        if !is_of_a_card(number) && shape(number).is_some() {
            self.fields.insert(number, value);
        }
    }

    /// A field's text, without padding.
    #[must_use]
    pub fn field(&self, number: u8) -> Option<&str> {
        self.fields.get(&number).map(String::as_str)
    }

    /// All fields, by number.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &str)> {
        self.fields
            .iter()
            .map(|(number, value)| (*number, value.as_str()))
    }
}

/// Whether a field holds what is on a card.
#[must_use]
pub const fn is_of_a_card(number: u8) -> bool {
    matches!(number, 2 | 14 | 35 | 36 | 45 | 52 | 55)
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many digits, filled up with zeros on the left.
    Digits(usize),
    /// So many characters, filled up with spaces on the right.
    Text(usize),
    /// So many bytes.
    Bytes(usize),
    /// At most so many digits after a length of two digits.
    Digits2(usize),
    /// At most so many characters of a magnetic stripe after a length of so many digits.
    Track(usize, usize),
    /// At most so many characters after a length of two digits.
    Text2(usize),
    /// At most so many characters after a length of three digits.
    Text3(usize),
    /// At most so many bytes after a length of three digits.
    Bytes3(usize),
}

/// The fields of ISO 8583:1987, 2 to 128; `None` for those that it does not define.
pub(super) const fn shape(number: u8) -> Option<Shape> {
    use Shape::{Bytes, Bytes3, Digits, Digits2, Text, Text2, Text3, Track};
    Some(match number {
        2 => Digits2(19),
        3 | 11 | 12 | 73 => Digits(6),
        4..=6 | 82..=85 => Digits(12),
        7 | 74..=81 => Digits(10),
        8..=10 => Digits(8),
        13..=18 | 71 | 72 => Digits(4),
        19..=24 | 49..=51 | 68..=70 => Digits(3),
        25 | 26 | 67 | 92 => Digits(2),
        27 | 66 => Digits(1),
        28..=31 => Digits(9),
        32 | 33 | 99 | 100 => Digits2(11),
        34 => Text2(28),
        35 => Track(2, 37),
        36 => Track(3, 104),
        37 => Text(12),
        38 => Text(6),
        39 => Text(2),
        40 => Text(3),
        41 => Text(8),
        42 => Text(15),
        43 => Text(40),
        44 => Text2(25),
        45 => Text2(76),
        46..=48 | 56..=63 | 105..=127 => Text3(999),
        52 | 64 | 96 | 128 => Bytes(8),
        53 | 86..=89 => Digits(16),
        54 => Text3(120),
        55 => Bytes3(999),
        65 => Bytes(1),
        90 => Digits(42),
        91 => Text(1),
        93 => Digits(5),
        94 => Text(7),
        95 => Text(42),
        97 => Text(17),
        98 => Text(25),
        101 => Text2(17),
        102 | 103 => Text2(28),
        104 => Text3(100),
        _ => return None,
    })
}
