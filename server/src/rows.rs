//! How the upper floor's rows stand in the store: one table a kind, keys that sort as lists are read, JSON values.
//!
//! Sealed values and wrapped keys have rows of their own, as bytes. The ledger's rows are the ledger's.

use std::ops::RangeInclusive;

use palm_proto::{fault::Malformed, request::Page};
use serde::{Serialize, de::DeserializeOwned};

use crate::{error::Error, store::Store};

/// A kind of row. The name is its prefix in the store, and part of what a sealed value is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// number -> something that the bank, the rail and we do not agree on.
    Break,
    /// nothing -> the last number.
    BreakLast,
    /// customer id, number -> something that the card provider is still to do for us.
    CardChore,
    /// customer id -> what is known in the clear.
    Customer,
    /// customer id -> what they paid lately.
    CustomerDay,
    /// customer id -> digests of their second factors, sealed.
    CustomerFactors,
    /// customer id -> their card or account at the outside rail, sealed.
    CustomerInstrument,
    /// customer id -> their wrapped key. Deleting this row is erasure.
    CustomerKey,
    /// customer id -> their name, sealed.
    CustomerName,
    /// creation time, customer id -> nothing: the order of lists.
    CustomerOrder,
    /// customer id -> what the card provider calls them, and their page there, sealed.
    CustomerProvider,
    /// customer id -> how they guard their money.
    CustomerSafeguards,
    /// reference -> cash that was paid in at the bank.
    Deposit,
    /// customer id -> nothing: a keyholder of its own destroyed their samples, and takes none of theirs any more.
    Forgotten,
    /// capture nonce -> what it was used for.
    Nonce,
    /// payment id -> what became of it.
    Payment,
    /// customer id, falling creation time, payment id -> nothing: the order of one customer's list.
    PaymentByCustomer,
    /// till, falling creation time, payment id -> nothing: the order of one till's list.
    PaymentByTill,
    /// time, payment id -> nothing: when something has to be done about it.
    PaymentDeadline,
    /// falling creation time, payment id -> nothing: the order of lists.
    PaymentOrder,
    /// pay-out id -> what became of it.
    Payout,
    /// customer id, pay-out id -> the bank account that it goes to, sealed.
    PayoutAccount,
    /// file id -> a file of pay-outs for the bank.
    PayoutFile,
    /// file id, pay-out id -> nothing: what is in it.
    PayoutInFile,
    /// falling creation time, pay-out id -> nothing: the order of lists.
    PayoutOrder,
    /// creation time, pay-out id -> nothing: what waits for a file.
    PayoutWaiting,
    /// payment id, number -> money that went back.
    Refund,
    /// request id -> what was answered.
    Request,
    /// way, reference -> what a rail paid to the bank.
    Settlement,
    /// number -> a shift that was closed.
    Shift,
    /// nothing -> the last one.
    ShiftLast,
    /// customer id, hand, number -> a template, sealed.
    Template,
    /// till id -> its certificate and whether it is revoked.
    Till,
    /// certificate fingerprint -> till id.
    TillCertificate,
    /// till id -> what it last told of its reader.
    TillReader,
}

impl Table {
    /// Its name, without the separator.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Break => "break",
            Self::BreakLast => "break-last",
            Self::CardChore => "card-chore",
            Self::Customer => "customer",
            Self::CustomerDay => "customer-day",
            Self::CustomerFactors => "customer-factors",
            Self::CustomerInstrument => "customer-instrument",
            Self::CustomerKey => "customer-key",
            Self::CustomerName => "customer-name",
            Self::CustomerOrder => "customer-order",
            Self::CustomerProvider => "customer-provider",
            Self::CustomerSafeguards => "customer-safeguards",
            Self::Deposit => "deposit",
            Self::Forgotten => "forgotten",
            Self::Nonce => "nonce",
            Self::Payment => "payment",
            Self::PaymentByCustomer => "payment-by-customer",
            Self::PaymentByTill => "payment-by-till",
            Self::PaymentDeadline => "payment-deadline",
            Self::PaymentOrder => "payment-order",
            Self::Payout => "payout",
            Self::PayoutAccount => "payout-account",
            Self::PayoutFile => "payout-file",
            Self::PayoutInFile => "payout-in-file",
            Self::PayoutOrder => "payout-order",
            Self::PayoutWaiting => "payout-waiting",
            Self::Refund => "refund",
            Self::Request => "request",
            Self::Settlement => "settlement",
            Self::Shift => "shift",
            Self::ShiftLast => "shift-last",
            Self::Template => "template",
            Self::Till => "till",
            Self::TillCertificate => "till-certificate",
            Self::TillReader => "till-reader",
        }
    }

    /// The store's key of the row with this key: the name, `/`, the parts one after the other.
    #[must_use]
    pub(crate) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = self.name().as_bytes().to_vec();
        key.push(b'/');
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    /// Reads a row's value.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(bytes).map_err(|_| Error::Corrupt(self.name()))
    }
}

/// Writes a row's value.
///
/// # Panics
/// Never for the row types of this crate: they are plain structs and enums.
#[must_use]
pub(crate) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    serde_json::to_vec(row).expect("invariant: rows are plain structs, which JSON can hold")
}

/// One part of a list: the keys without their table and prefix, and the token of the next part.
pub(crate) struct Part {
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) next_page_token: String,
}

/// Reads the keys of one page below `prefix`. `key_bytes` is how long a key's rest may be, which the token must fit.
pub(crate) fn page(
    store: &dyn Store,
    prefix: &[u8],
    key_bytes: RangeInclusive<usize>,
    page: &Page,
) -> Result<Part, Error> {
    let after = match page.token.as_str() {
        "" => None,
        token => {
            let rest = from_hex(token).filter(|rest| key_bytes.contains(&rest.len()));
            let rest = rest.ok_or_else(|| {
                Malformed::new("page_token", "send the next_page_token of the last page")
            })?;
            Some([prefix, &rest].concat())
        }
    };
    // One more than asked for tells whether there is a next page.
    let rows = store.scan(prefix, after.as_deref(), page.size + 1)?;
    let more = rows.len() > page.size;
    let keys: Vec<Vec<u8>> = rows
        .into_iter()
        .take(page.size)
        .map(|(key, _)| key[prefix.len()..].to_vec())
        .collect();
    let next_page_token = keys
        .last()
        .filter(|_| more)
        .map_or_else(String::new, |key| to_hex(key));
    Ok(Part {
        keys,
        next_page_token,
    })
}

/// A row's key part of fixed length.
pub(crate) fn id_at<const N: usize>(table: Table, key: &[u8], at: usize) -> Result<[u8; N], Error> {
    let part = key.get(at..).and_then(|rest| rest.first_chunk::<N>());
    part.copied().ok_or(Error::Corrupt(table.name()))
}

/// Ids in rows: written and read as text.
pub(crate) mod text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(crate) fn deserialize<'a, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr,
        D: Deserializer<'a>,
    {
        String::deserialize(from)?
            .parse()
            .map_err(|_| D::Error::custom("not an id"))
    }
}

/// Reason codes in rows: by their names on the wire.
pub(crate) mod reason {
    use palm_proto::reason::ReasonCode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(code: &ReasonCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(code.as_str())
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<ReasonCode, D::Error> {
        let name = String::deserialize(from)?;
        ReasonCode::from_name(&name).ok_or_else(|| D::Error::custom("not a reason"))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?));
    if rest.is_empty() {
        bytes.collect()
    } else {
        None
    }
}

/// Reads a page of a small store by any token; nothing may panic, whatever it is.
#[doc(hidden)]
pub fn fuzz_page_token(bytes: &[u8]) {
    let store = crate::store::MemoryStore::new();
    let token = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(parsed) = Page::parse(1, token) {
        let prefix = Table::Payment.key(&[]);
        drop(page(&store, &prefix, 1..=24, &parsed).map(|part| part.keys));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, SeededEntropy};

    #[test]
    fn hex_is_read_back_and_other_text_is_refused() {
        assert_eq!(
            from_hex(&to_hex(b"\x00\x7f\xff")),
            Some(b"\x00\x7f\xff".to_vec())
        );
        for text in ["0", "0g", "+1", "é", "00 "] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_of_any_bytes_do_not_panic() {
        let entropy = SeededEntropy::new(7);
        for length in 0..200 {
            let mut bytes = vec![0; length];
            entropy.fill(&mut bytes);
            fuzz_page_token(&bytes);
            fuzz_page_token(to_hex(&bytes).as_bytes());
        }
    }
}
