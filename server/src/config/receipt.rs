//! The section `[receipt]`: what stands on paper beside the shop's name.

use serde::{Deserialize, Serialize};

use super::{Fault, unless};

/// What stands on receipts and reports. What is empty is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiptConfig {
    /// Number of the shop's registration as a business.
    pub business_number: String,
    /// Who represents it in law.
    pub representative: String,
    /// Where it is.
    pub address: String,
    /// Its telephone.
    pub phone: String,
    /// Value-added tax that prices include, in hundredths of a percent (Korea: 1,000), 0 to 10,000; 0: none is printed.
    pub vat_rate_bp: u16,
}

impl ReceiptConfig {
    pub(super) fn fault(&self) -> Option<Fault> {
        let is_line =
            |text: &String| text.chars().count() <= 64 && !text.chars().any(char::is_control);
        let line = "write at most 64 characters without control characters";
        [
            ("receipt.business_number", &self.business_number),
            ("receipt.representative", &self.representative),
            ("receipt.address", &self.address),
            ("receipt.phone", &self.phone),
        ]
        .into_iter()
        .find_map(|(key, text)| unless(is_line(text), key, line))
        .or_else(|| {
            let is_right = self.vat_rate_bp <= 10_000;
            unless(is_right, "receipt.vat_rate_bp", "write 0 to 10000")
        })
    }
}
