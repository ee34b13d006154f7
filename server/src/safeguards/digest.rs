//! A second factor as it is kept: Argon2id (RFC 9106). The only file that names argon2.
//!
//! 19 MiB, two passes, one lane: the least that OWASP's password storage cheat sheet asks for, about 20 ms here.

use argon2::{Algorithm, Argon2, Params, Version};
use palm_proto::digits::Digits;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const BYTES: usize = 32;

/// Digits that only somebody who knows them can match.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    salt: [u8; 16],
    hash: [u8; BYTES],
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

impl Digest {
    pub(super) fn of(digits: &Digits, salt: [u8; 16]) -> Self {
        let hash = hashed(digits, salt);
        Self { salt, hash }
    }

    /// Whether these are the digits that are kept. Takes as long when none are.
    pub(super) fn is_of(kept: Option<&Self>, digits: &Digits) -> bool {
        let nobody = Self {
            salt: [0; 16],
            hash: [0; BYTES],
        };
        let against = kept.unwrap_or(&nobody);
        let is_equal = hashed(digits, against.salt).ct_eq(&against.hash);
        bool::from(is_equal) && kept.is_some()
    }
}

fn hashed(digits: &Digits, salt: [u8; 16]) -> [u8; BYTES] {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(BYTES))
        .expect("invariant: these parameters are within Argon2's bounds");
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = [0; BYTES];
    argon
        .hash_password_into(digits.as_bytes(), &salt, &mut out)
        .expect("invariant: salt and output have lengths that Argon2 takes");
    out
}

#[cfg(test)]
mod tests {
    use palm_proto::digits::PIN_DIGITS;

    use super::*;

    fn digits(text: &str) -> Digits {
        Digits::new(text.to_owned(), PIN_DIGITS).unwrap()
    }

    #[test]
    fn only_the_same_digits_match() {
        let kept = Digest::of(&digits("0427"), [5; 16]);
        assert!(Digest::is_of(Some(&kept), &digits("0427")));
        assert!(!Digest::is_of(Some(&kept), &digits("0428")));
        assert!(!Digest::is_of(None, &digits("0427")));
        assert_ne!(kept, Digest::of(&digits("0427"), [6; 16]));
        assert_eq!(format!("{kept:?}"), "Digest");
    }
}
