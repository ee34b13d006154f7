//! The section `[policy]`: the shop's rules for payments.

use palm_proto::money::{AMOUNT_MAX, Currency};
use serde::{Deserialize, Serialize};

use super::{Fault, unless};

/// The shop's rules for payments. Amounts are in minor units of the shop's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A palm alone pays at most this; above it a second factor is asked for. Absent: never for the amount alone.
    pub palm_max_minor: Option<u64>,
    /// One customer pays at most this in one day of the shop's. Absent: no limit but their own.
    pub day_max_minor: Option<u64>,
    /// The same customer paying the same amount within so many seconds is asked about, 0 (never) to 3,600.
    pub duplicate_window_s: u32,
    /// An authorised payment that is not captured within so many hours is freed, 1 to 720.
    pub hold_h: u32,
    /// A second factor or the cashier's word is waited for so many seconds, 30 to 900.
    pub step_up_s: u32,
    /// The shop's time zone, in minutes ahead of UTC, -720 to 840: a day's limit begins at its midnight.
    pub utc_offset_min: i32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            palm_max_minor: None,
            day_max_minor: None,
            duplicate_window_s: 30,
            hold_h: 168,
            step_up_s: 180,
            utc_offset_min: 0,
        }
    }
}

impl Policy {
    /// What a new shop starts with: a palm alone pays as much as a card is taken without a signature or PIN, as far as
    /// that is a round sum: KRW 50,000, JPY 10,000, else 50 of the currency. Korea and Japan are nine hours ahead of
    /// UTC; others write their own offset.
    #[must_use]
    pub fn of_new_shop(currency: Currency) -> Self {
        let (palm_max, utc_offset_min) = match currency.code() {
            "KRW" => (50_000, 540),
            "JPY" => (10_000, 540),
            _ => (50 * 10_u64.pow(currency.minor_digits().into()), 0),
        };
        Self {
            palm_max_minor: Some(palm_max),
            utc_offset_min,
            ..Self::default()
        }
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        let amount = |limit: Option<u64>| limit.is_none_or(|minor| minor <= AMOUNT_MAX);
        let most = "write 0 to 999999999999 minor units, or leave it out";
        unless(amount(self.palm_max_minor), "policy.palm_max_minor", most)
            .or_else(|| unless(amount(self.day_max_minor), "policy.day_max_minor", most))
            .or_else(|| {
                let is_right = self.duplicate_window_s <= 3_600;
                unless(is_right, "policy.duplicate_window_s", "write 0 to 3600")
            })
            .or_else(|| {
                let is_right = (1..=720).contains(&self.hold_h);
                unless(is_right, "policy.hold_h", "write 1 to 720")
            })
            .or_else(|| {
                let is_right = (30..=900).contains(&self.step_up_s);
                unless(is_right, "policy.step_up_s", "write 30 to 900")
            })
            .or_else(|| {
                let is_right = (-720..=840).contains(&self.utc_offset_min);
                unless(is_right, "policy.utc_offset_min", "write -720 to 840")
            })
    }
}
