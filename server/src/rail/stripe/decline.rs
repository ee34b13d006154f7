//! The provider's words for a refusal, as reasons of the house.
//!
//! Sources: the provider's public lists of decline codes and of error codes. Lost, stolen and fraudulent cards are told
//! apart by nobody at the counter: the provider asks to show them as any other decline.

use palm_proto::reason::ReasonCode;

use super::wire::Fault;

/// Why the payment was refused.
pub(super) fn reason(fault: &Fault) -> ReasonCode {
    let code = fault.code.as_deref().unwrap_or_default();
    match fault.decline_code.as_deref() {
        Some(decline) => declined(decline),
        None => refused(code, fault),
    }
}

/// What the card's bank said.
fn declined(decline_code: &str) -> ReasonCode {
    match decline_code {
        "insufficient_funds" => ReasonCode::CardFundsInsufficient,
        "expired_card" => ReasonCode::CardExpired,
        "authentication_required"
        | "authentication_not_handled"
        | "mobile_device_authentication_required"
        | "approve_with_id"
        | "offline_pin_required"
        | "online_or_offline_pin_required" => ReasonCode::AuthenticationRequired,
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            ReasonCode::CardLimitExceeded
        }
        "invalid_account"
        | "incorrect_number"
        | "invalid_number"
        | "new_account_information_available" => ReasonCode::CardUnknown,
        "issuer_not_available" | "processing_error" | "reenter_transaction" | "try_again_later" => {
            ReasonCode::RailUnavailable
        }
        "currency_not_supported" | "invalid_amount" => ReasonCode::RailRefused,
        _ => ReasonCode::CardDeclined,
    }
}

/// What the provider said without asking the bank.
fn refused(code: &str, fault: &Fault) -> ReasonCode {
    match code {
        "card_declined" => ReasonCode::CardDeclined,
        "expired_card" | "invalid_expiry_month" | "invalid_expiry_year" => ReasonCode::CardExpired,
        "insufficient_funds" => ReasonCode::CardFundsInsufficient,
        "authentication_required" | "payment_intent_authentication_failure" => {
            ReasonCode::AuthenticationRequired
        }
        "processing_error" => ReasonCode::RailUnavailable,
        "amount_too_large" | "amount_too_small" => ReasonCode::AmountInvalid,
        "payment_intent_unexpected_state"
        | "charge_already_captured"
        | "charge_expired_for_capture" => ReasonCode::HoldGone,
        "payment_method_unactivated" | "payment_method_unexpected_state" | "incorrect_number" => {
            ReasonCode::CardUnknown
        }
        "resource_missing" => match fault.param.as_deref() {
            Some("payment_method" | "customer") => ReasonCode::CardUnknown,
            _ => ReasonCode::RailRefused,
        },
        _ if fault.kind.as_deref() == Some("card_error") => ReasonCode::CardDeclined,
        _ => ReasonCode::RailRefused,
    }
}
