//! How a refusal travels: one `Status` shape for the whole surface, in the manner of AIP-193.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::reason::ReasonCode;

/// The `domain` of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "openpalm";

/// A request of the wrong shape: which field, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {remedy}")]
pub struct Malformed {
    /// Path of the field in the request, for instance `amount.currency_code`.
    pub field: String,
    /// What is wrong and what to send instead. Fixed text: it repeats nothing of the request.
    pub remedy: &'static str,
    /// [`ReasonCode::Malformed`] unless a narrower code fits.
    pub reason: ReasonCode,
}

impl Malformed {
    /// A field that is missing or out of range.
    #[must_use]
    pub fn new(field: &str, remedy: &'static str) -> Self {
        Self {
            field: field.to_owned(),
            remedy,
            reason: ReasonCode::Malformed,
        }
    }

    /// The same with a narrower reason.
    #[must_use]
    pub fn with_reason(self, reason: ReasonCode) -> Self {
        Self { reason, ..self }
    }

    /// The same, found below `parent`: `currency_code` becomes `amount.currency_code`.
    #[must_use]
    pub fn below(self, parent: &str) -> Self {
        Self {
            field: format!("{parent}.{}", self.field),
            ..self
        }
    }
}

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation(malformed.field.clone(), malformed.remedy);
        details.set_error_info(malformed.reason.as_str(), DOMAIN, []);
        Self::with_error_details(Code::InvalidArgument, malformed.to_string(), details)
    }
}

/// A refusal that is not about shape: the gRPC code, the reason for programs, and a sentence for people that says what
/// to do. The sentence is fixed text: no ids, no scores, no paths.
#[must_use]
pub fn status(code: Code, reason: ReasonCode, remedy: &'static str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str(), DOMAIN, []);
    Status::with_error_details(code, remedy, details)
}

/// The reason inside a status of ours; `None` when it came from elsewhere (a proxy, the transport).
#[must_use]
pub fn reason_of(status: &Status) -> Option<ReasonCode> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN)
        .then(|| ReasonCode::from_name(&info.reason))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_status_names_field_reason_and_remedy() {
        let status = Status::from(Malformed::new("currency_code", "send a code").below("amount"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "amount.currency_code: send a code");
        assert_eq!(reason_of(&status), Some(ReasonCode::Malformed));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "amount.currency_code");
    }

    #[test]
    fn foreign_status_has_no_reason_of_ours() {
        assert_eq!(reason_of(&Status::unavailable("connection refused")), None);
    }
}
