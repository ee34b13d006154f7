//! Ids and resource names (AIP-122). An id that exists is well formed.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Text that is not the id or resource name asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct IdError(
    /// The form that was expected, for instance `payments/{uuid}`.
    pub &'static str,
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $form:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            #[doc = concat!("Makes an id (UUID version 4, written `", $form, "`) from 16 random bytes.")]
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
            }

            /// The id whose bytes these are, as [`Self::to_bytes`] gave them.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the UUID, big-endian.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), Uuid::from_bytes(self.0).hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let text = text.strip_prefix($prefix).ok_or(IdError($form))?;
                let uuid = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
                uuid.map(|uuid| Self(uuid.into_bytes())).ok_or(IdError($form))
            }
        }
    };
}

uuid_id!(
    /// A customer: `customers/{uuid}`.
    CustomerId, "customers/", "customers/{uuid}"
);
uuid_id!(
    /// A payment: `payments/{uuid}`, minted once, by the till, before the first byte is sent.
    PaymentId, "payments/", "payments/{uuid}"
);
uuid_id!(
    /// A pay-out to a bank account: `payouts/{uuid}`.
    PayoutId, "payouts/", "payouts/{uuid}"
);
uuid_id!(
    /// Pay-outs that go to the bank together: `payout-files/{uuid}`.
    PayoutFileId, "payout-files/", "payout-files/{uuid}"
);
uuid_id!(
    /// The id of one request that may be sent again (AIP-155): a UUID.
    RequestId, "", "a UUID such as 9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11"
);

const TILL_FORM: &str = "tills/{id}, id of 1 to 32 characters out of a-z, 0-9 and '-'";
const TILL_PREFIX: &str = "tills/";
const TILL_ID_MAX: usize = 32;

/// A till: `tills/{id}` with an id that a person chose, such as `counter-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TillId(String);

impl TillId {
    /// Takes the bare id.
    ///
    /// # Errors
    /// [`IdError`] unless it has 1 to 32 characters out of a-z, 0-9 and `-`.
    pub fn new(id: &str) -> Result<Self, IdError> {
        let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if (1..=TILL_ID_MAX).contains(&id.len()) && id.bytes().all(known) {
            Ok(Self(id.to_owned()))
        } else {
            Err(IdError(TILL_FORM))
        }
    }

    /// The bare id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TILL_PREFIX}{}", self.0)
    }
}

impl FromStr for TillId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text.strip_prefix(TILL_PREFIX).ok_or(IdError(TILL_FORM))?)
    }
}

const WALLET_FORM: &str = "customers/{uuid}/wallet";
const WALLET_SUFFIX: &str = "/wallet";
const SAFEGUARDS_FORM: &str = "customers/{uuid}/safeguards";
const SAFEGUARDS_SUFFIX: &str = "/safeguards";

/// Writes `customers/{uuid}/wallet`: each customer has one wallet.
#[must_use]
pub fn wallet_name(customer: CustomerId) -> String {
    format!("{customer}{WALLET_SUFFIX}")
}

/// Reads `customers/{uuid}/wallet`.
///
/// # Errors
/// [`IdError`] when the text is anything else.
pub fn wallet_owner(name: &str) -> Result<CustomerId, IdError> {
    owner(name, WALLET_SUFFIX, WALLET_FORM)
}

/// Writes `customers/{uuid}/safeguards`.
#[must_use]
pub fn safeguards_name(customer: CustomerId) -> String {
    format!("{customer}{SAFEGUARDS_SUFFIX}")
}

/// Reads `customers/{uuid}/safeguards`.
///
/// # Errors
/// [`IdError`] when the text is anything else.
pub fn safeguards_owner(name: &str) -> Result<CustomerId, IdError> {
    owner(name, SAFEGUARDS_SUFFIX, SAFEGUARDS_FORM)
}

const CARD_PAGE_FORM: &str = "customers/{uuid}/cardPages/{uuid}";
const CARD_PAGE_JOINT: &str = "/cardPages/";

/// A page to save a card on: `customers/{uuid}/cardPages/{uuid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardPageId {
    /// Whose card is saved.
    pub customer: CustomerId,
    /// The request that opened it.
    pub request: RequestId,
}

impl fmt::Display for CardPageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{CARD_PAGE_JOINT}{}", self.customer, self.request)
    }
}

impl FromStr for CardPageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let form = |_| IdError(CARD_PAGE_FORM);
        let parts = text.split_once(CARD_PAGE_JOINT);
        let (customer, request) = parts.ok_or(IdError(CARD_PAGE_FORM))?;
        Ok(Self {
            customer: customer.parse().map_err(form)?,
            request: request.parse().map_err(form)?,
        })
    }
}

fn owner(name: &str, suffix: &str, form: &'static str) -> Result<CustomerId, IdError> {
    let customer = name.strip_suffix(suffix).ok_or(IdError(form))?;
    customer.parse().map_err(|_| IdError(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        let payment = PaymentId::from_random([7; 16]);
        assert_eq!(payment.to_string().parse(), Ok(payment));
        let till = TillId::new("counter-1").unwrap();
        assert_eq!(till.to_string(), "tills/counter-1");
        assert_eq!(till.to_string().parse(), Ok(till));
        let customer = CustomerId::from_random([9; 16]);
        assert_eq!(wallet_owner(&wallet_name(customer)), Ok(customer));
        let request = RequestId::from_random([8; 16]);
        let page = CardPageId { customer, request };
        assert_eq!(page.to_string().parse(), Ok(page));
        assert!(customer.to_string().parse::<CardPageId>().is_err());
    }

    #[test]
    fn other_text_is_refused_with_the_form_expected() {
        for text in [
            "",
            "payments/",
            "payments/1",
            "customers/67e55044-10b1-426f-9247-bb680e5fe0c8",
        ] {
            assert_eq!(text.parse::<PaymentId>(), Err(IdError("payments/{uuid}")));
        }
        let braced = "payments/{67e55044-10b1-426f-9247-bb680e5fe0c8}";
        assert!(braced.parse::<PaymentId>().is_err());
        for text in ["Counter", "a b", "", "a/b", &"x".repeat(33)] {
            assert!(TillId::new(text).is_err());
        }
        assert!(wallet_owner("customers/1/wallet").is_err());
    }
}
