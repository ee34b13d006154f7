//! From answers to wire shapes.

use palm_proto::{
    id::{safeguards_name, wallet_name},
    v1,
};
use prost_types::Timestamp as WireTime;

use crate::{
    cards::{CardPage, Standing},
    checkout::{Outcome, stages::StageTimes},
    clock::Timestamp,
    customers::Customer,
    enrolment::EnrolOutcome,
    payments::{Payment, Refund, RefundStanding, State},
    safeguards::View,
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

impl From<CardPage> for v1::CardPage {
    fn from(page: CardPage) -> Self {
        let mut wire = Self {
            name: page.id.to_string(),
            ..Self::default()
        };
        match page.standing {
            Standing::Open { url, expires } => {
                wire.set_state(v1::card_page::State::Open);
                wire.url = url;
                wire.expire_time = expires.map(time);
            }
            Standing::Saved(card) => {
                wire.set_state(v1::card_page::State::Saved);
                wire.card = Some(v1::Card {
                    brand: card.brand,
                    last4: card.last4,
                    expire_month: card.expire_month.into(),
                    expire_year: card.expire_year.into(),
                });
            }
            Standing::Expired => wire.set_state(v1::card_page::State::Expired),
        }
        wire
    }
}

impl From<Payment> for v1::Payment {
    fn from(payment: Payment) -> Self {
        let mode = v1::payment::CaptureMode::from(payment.capture_mode);
        Self {
            name: payment.id.to_string(),
            state: state(payment.state).into(),
            amount: Some(payment.amount.into()),
            customer: payment
                .customer
                .map_or_else(String::new, |customer| customer.to_string()),
            masked_name: payment.masked_name,
            till: payment.till.to_string(),
            create_time: Some(time(payment.create_time)),
            reason: payment.reason.map_or(0, |reason| reason.to_wire()),
            capture_mode: mode.into(),
            captured: Some(payment.captured.into()),
            refunded: Some(payment.refunded.into()),
            expire_time: payment.expire_time.map(time),
        }
    }
}

fn state(state: State) -> v1::payment::State {
    match state {
        State::Created => v1::payment::State::Created,
        State::StepUp => v1::payment::State::StepUp,
        State::Authorising
        | State::Capturing
        | State::Voiding
        | State::Expiring
        | State::Refunding => v1::payment::State::OutcomeUnknown,
        State::Authorised => v1::payment::State::Authorised,
        State::Captured => v1::payment::State::Captured,
        State::Declined => v1::payment::State::Declined,
        State::Cancelled => v1::payment::State::Cancelled,
        State::Voided => v1::payment::State::Voided,
        State::Expired => v1::payment::State::Expired,
    }
}

impl From<Refund> for v1::Refund {
    fn from(refund: Refund) -> Self {
        let (state, reason) = match refund.standing {
            RefundStanding::Done => (v1::refund::State::Done, 0),
            RefundStanding::InDoubt => (v1::refund::State::OutcomeUnknown, 0),
            RefundStanding::Refused(reason) => (v1::refund::State::Refused, reason.to_wire()),
        };
        Self {
            request_id: refund.request.to_string(),
            payment: refund.payment.to_string(),
            amount: Some(refund.amount.into()),
            state: state.into(),
            create_time: Some(time(refund.create_time)),
            reason,
        }
    }
}

impl From<View> for v1::Safeguards {
    fn from(view: View) -> Self {
        Self {
            name: safeguards_name(view.customer),
            has_pin: view.has_pin,
            has_phone_digits: view.has_phone_digits,
            always_second_factor: view.always_second_factor,
            frozen: view.is_frozen,
            payment_max_minor: view.payment_max_minor,
            day_max_minor: view.day_max_minor,
            locked: view.is_locked,
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
                balance: balance.map(v1::Money::from),
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
            Outcome::StepUp {
                reason,
                masked_name,
                expire_time,
            } => Self::StepUp(v1::StepUp {
                reason: reason.to_wire(),
                masked_name,
                expire_time: Some(time(expire_time)),
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
