//! From answers to wire shapes.

use palm_proto::{id::wallet_name, v1};
use prost_types::Timestamp as WireTime;

use crate::{
    checkout::{Outcome, Payment, Standing, stages::StageTimes},
    clock::Timestamp,
    customers::Customer,
    enrolment::EnrolOutcome,
    tills::{Reader, Till},
};

pub(super) fn time(time: Timestamp) -> WireTime {
    const SECOND: u64 = 1_000_000;
    let seconds = i64::try_from(time.micros() / SECOND).unwrap_or(i64::MAX);
    let nanos = i32::try_from(time.micros() % SECOND * 1_000).unwrap_or_default();
    WireTime { seconds, nanos }
}

pub(super) fn wallet(
    customer: palm_proto::id::CustomerId,
    balance: palm_proto::money::Money,
) -> v1::Wallet {
    v1::Wallet {
        name: wallet_name(customer),
        balance: Some(balance.into()),
    }
}

impl From<Customer> for v1::Customer {
    fn from(customer: Customer) -> Self {
        let create_time = Some(time(customer.create_time));
        Self {
            name: customer.id.to_string(),
            display_name: customer.display_name,
            consent: Some(v1::Consent {
                notice_version: customer.notice_version,
                language: customer.language,
                grant_time: create_time,
            }),
            create_time,
            palms: customer.palms,
        }
    }
}

impl From<EnrolOutcome> for v1::EnrolResponse {
    fn from(outcome: EnrolOutcome) -> Self {
        use v1::enrol_response::Outcome;
        let outcome = match outcome {
            EnrolOutcome::Enrolled { palms } => Outcome::Enrolled(v1::Enrolled { palms }),
            EnrolOutcome::Refused { reason } => Outcome::Refused(v1::EnrolmentRefused {
                reason: reason.to_wire(),
            }),
        };
        Self {
            outcome: Some(outcome),
        }
    }
}

impl From<Payment> for v1::Payment {
    fn from(payment: Payment) -> Self {
        let (state, reason) = match payment.standing {
            Standing::Approved => (v1::payment::State::Approved, 0),
            Standing::Cancelled => (v1::payment::State::Cancelled, 0),
            Standing::Declined(reason) => (v1::payment::State::Declined, reason.to_wire()),
        };
        Self {
            name: payment.id.to_string(),
            state: state.into(),
            amount: Some(payment.amount.into()),
            customer: payment
                .customer
                .map_or_else(String::new, |customer| customer.to_string()),
            masked_name: payment.masked_name,
            till: payment.till.to_string(),
            create_time: Some(time(payment.create_time)),
            reason,
        }
    }
}

impl From<StageTimes> for v1::StageTimes {
    fn from(times: StageTimes) -> Self {
        let StageTimes {
            open_us,
            identify_us,
            commit_us,
        } = times;
        Self {
            open_us,
            identify_us,
            commit_us,
        }
    }
}

impl From<Outcome> for v1::authorise_payment_response::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Approved { payment, balance } => Self::Approved(v1::Approved {
                payment: Some(payment.into()),
                balance: Some(balance.into()),
            }),
            Outcome::Declined {
                reason,
                masked_name,
            } => Self::Declined(v1::Declined {
                reason: reason.to_wire(),
                masked_name,
            }),
            Outcome::NotRecognised { reason } => Self::NotRecognised(v1::NotRecognised {
                reason: reason.to_wire(),
            }),
        }
    }
}

impl From<Till> for v1::Till {
    fn from(till: Till) -> Self {
        Self {
            name: till.id.to_string(),
            certificate_sha256: till.certificate.to_string(),
            create_time: Some(time(till.create_time)),
            revoked: till.is_revoked,
            reader: till.reader.map(v1::Reader::from),
        }
    }
}

impl From<Reader> for v1::Reader {
    fn from(reader: Reader) -> Self {
        Self {
            state: reader.state.into(),
            serial: reader.serial,
            report_time: Some(time(reader.report_time)),
        }
    }
}
