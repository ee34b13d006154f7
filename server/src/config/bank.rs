//! The section `[bank]`: the shop's own account, which pay-outs leave.

use serde::{Deserialize, Serialize};

use super::{Fault, unless};
use crate::reports::payout::BankAccount;

/// The shop's account at a bank.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankConfig {
    /// An IBAN, or the bank's own number.
    pub account: String,
    /// In whose name it is, 1 to 64 characters; the shop's name when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Days that the bank may take from a movement to its booking, 0 to 30; after that it counts as missing.
    #[serde(default = "settle_days_default")]
    pub settle_days: u16,
}

/// Without the account.
impl std::fmt::Debug for BankConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BankConfig")
            .field("settle_days", &self.settle_days)
            .finish_non_exhaustive()
    }
}

const fn settle_days_default() -> u16 {
    3
}

impl BankConfig {
    pub(super) fn fault(&self) -> Option<Fault> {
        let account = "write an IBAN with its check digits, or the bank's own number";
        let is_name = |name: &String| {
            (1..=64).contains(&name.chars().count())
                && name.chars().any(char::is_alphanumeric)
                && !name.chars().any(char::is_control)
        };
        let holder = "write 1 to 64 characters without control characters, or leave it out";
        let is_account = BankAccount::new(&self.account).is_ok();
        unless(is_account, "bank.account", account)
            .or_else(|| {
                unless(
                    self.holder.as_ref().is_none_or(is_name),
                    "bank.holder",
                    holder,
                )
            })
            .or_else(|| unless(self.settle_days <= 30, "bank.settle_days", "write 0 to 30"))
    }
}
