//! What field 39 means, and the numbers of currencies.
//!
//! Source: the action codes of ISO 8583:1987 as acquirers publish them. Lost, stolen and suspected cards are told apart
//! by nobody at the counter.

use palm_proto::{money::Currency, reason::ReasonCode};

use crate::rail::Action;

/// What a host means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Done as asked.
    Approved,
    Declined(ReasonCode),
    /// It did, or may have done, something else than was asked, or cannot say.
    Unclear,
}

/// What a host means by a response code to something asked. `is_repeat`: the same was sent before.
pub(super) fn meaning(code: &str, action: Action, is_repeat: bool) -> Meaning {
    let is_advice = matches!(action, Action::Capture | Action::Void);
    Meaning::Declined(match code {
        "00" | "11" => return Meaning::Approved,
        // It has it already, which for an advice or a reversal is as good as taking it.
        "94" if is_repeat && is_advice => return Meaning::Approved,
        // Approved for less; still at work; too late; seen before: none of these says what is held.
        "10" | "09" | "68" | "94" => return Meaning::Unclear,
        "08" | "38" | "55" | "70" | "75" | "1A" => ReasonCode::AuthenticationRequired,
        "13" => ReasonCode::AmountInvalid,
        "21" | "25" => ReasonCode::HoldGone,
        "14" | "15" | "39" | "42" | "52" | "53" | "56" | "78" => ReasonCode::CardUnknown,
        "33" | "54" => ReasonCode::CardExpired,
        "51" => ReasonCode::CardFundsInsufficient,
        "61" | "65" => ReasonCode::CardLimitExceeded,
        "03" | "12" | "30" | "31" | "40" | "58" | "77" | "93" => ReasonCode::RailRefused,
        "06" | "19" | "22" | "80" | "88" | "89" | "90" | "91" | "92" | "95" | "96" | "97"
        | "98" => ReasonCode::RailUnavailable,
        _ => ReasonCode::CardDeclined,
    })
}

/// Whether, after this answer to a reversal, it is as if the reversed had never been: it was undone, had been undone
/// before, or the host has no trace of it. The last only counts when the reversed can no longer arrive after its
/// reversal.
pub(super) fn is_undone(code: &str, is_settled: bool) -> bool {
    matches!(code, "00" | "94") || is_settled && matches!(code, "21" | "25")
}

/// The number of a currency in ISO 4217.
pub(super) fn currency_number(currency: Currency) -> Option<&'static str> {
    Some(match currency.code() {
        "AUD" => "036",
        "BHD" => "048",
        "CNY" => "156",
        "EUR" => "978",
        "GBP" => "826",
        "HKD" => "344",
        "JPY" => "392",
        "KRW" => "410",
        "KWD" => "414",
        "SGD" => "702",
        "TWD" => "901",
        "USD" => "840",
        _ => return None,
    })
}
