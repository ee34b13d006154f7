//! References that every party carries: ours, the rail's and the bank's.

use std::fmt;

/// Longest reference: `Max35Text` of ISO 20022.
const LEN_MAX: usize = 35;

/// Text that cannot be carried as a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a reference has 1 to 35 characters out of A-Z a-z 0-9 and + - . , : ? ( ) ' / space, no '//', no '/' or space at \
     either end"
)]
pub struct ReferenceError;

/// A reference that banks pass on unchanged: 1 to 35 characters of the set that SEPA's usage guidelines allow (European
/// Payments Council, EPC230-15), without `//` and without `/` or a space at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(String);

impl Reference {
    /// Takes a text.
    ///
    /// # Errors
    /// [`ReferenceError`] unless it is as [`Reference`] says.
    pub fn new(text: &str) -> Result<Self, ReferenceError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.,:?()'/ ".contains(&byte);
        let edge = |c| c == '/' || c == ' ';
        let is_sound = (1..=LEN_MAX).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.contains("//")
            && !text.starts_with(edge)
            && !text.ends_with(edge);
        if is_sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError)
        }
    }

    /// The reference of an id of ours: its 32 hexadecimal digits. A UUID with its dashes would be one too long.
    #[must_use]
    pub fn of_id(id: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(id)))
    }

    /// The id that [`Self::of_id`] made this text of; `None` for any other text.
    #[must_use]
    pub fn id(text: &str) -> Option<[u8; 16]> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_formed = text.len() == 32 && text.bytes().all(is_hex);
        let number = is_formed.then(|| u128::from_str_radix(text, 16).ok());
        number.flatten().map(u128::to_be_bytes)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_banks_carry_is_a_reference() {
        for text in ["a", "RF18 5390/0754", "9b2f3c1e0f7a4c579a867d2f0c1f4f11"] {
            assert_eq!(Reference::new(text).unwrap().as_str(), text);
        }
        let long = "x".repeat(36);
        for text in [
            "",
            "/a",
            "a/",
            "a//b",
            " a",
            "한글",
            "a&b",
            "a\n",
            long.as_str(),
        ] {
            assert_eq!(Reference::new(text), Err(ReferenceError), "{text}");
        }
    }

    #[test]
    fn ids_are_references() {
        let reference = Reference::of_id([0x0a; 16]);
        assert_eq!(reference.as_str(), "0a".repeat(16));
        assert_eq!(Reference::id(reference.as_str()), Some([0x0a; 16]));
        for other in [
            "",
            "0a",
            "0A0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
            "+a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
        ] {
            assert_eq!(Reference::id(other), None, "{other}");
        }
        assert_eq!(Reference::new(reference.as_str()), Ok(reference));
    }
}
