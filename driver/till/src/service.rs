//! The one gRPC client of the till: calls, deadlines, and what a failure means for money.
//!
//! Answers come back as events of the state machines. Only transport trouble is an error, and of a payment it is
//! never told apart further than it is certain: either the connection was never made ([`Trouble::Unreachable`],
//! nothing was sent), or the service refused by name, or the outcome is unknown.
//!
//! The connection is made at the first call and made again when it broke; retrying is the callers' decision.

use std::{error::Error as _, fs, io::Read, path::Path, time::Duration};

use palm_proto::{
    envelope::SealingKey,
    fault::{self, Malformed},
    id::{CustomerId, PaymentId, TillId},
    money::{Currency, Money},
    reason::ReasonCode,
    request, v1,
};
use tonic::{
    Code, ConnectError, Request, Response, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::{
    checkout::{Answer, Ask, Lookup, Sale, Trouble},
    config::{ConfigError, ServiceConfig},
    enrolment, limits,
};

/// What the service tells a till when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Who this till is.
    pub till: TillId,
    /// Shown on the pages.
    pub shop_name: String,
    /// The only currency that is taken.
    pub currency: Currency,
    /// Highest amount of one payment.
    pub payment_max: Money,
    /// What templates are sealed to.
    pub sealing_key: SealingKey,
}

/// Why the setup was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The service did not answer: check that palmd runs at `service.address`.
    #[error(
        "the service does not answer: check that it runs at service.address and trusts this till's CA"
    )]
    Unreachable,
    /// The service refused: let the operator enrol this till's certificate.
    #[error("the service refused this till ({}): enrol its certificate with palmctl", .0.as_str())]
    Refused(ReasonCode),
    /// The answer is not one that this till understands: update the till or the service.
    #[error("the service's setup is not understood ({0}): update the till or the service")]
    Malformed(#[from] Malformed),
}

/// Where the service's time went, in microseconds.
pub type StageTimes = v1::StageTimes;

/// The client. Clones share one connection.
#[derive(Debug, Clone)]
pub struct Service {
    channel: Channel,
}

impl Service {
    /// A client that will connect at its first call. Reads the key files now, so that a wrong path is said at the
    /// start. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ConfigError::File`] names the key and the file.
    pub fn new(config: &ServiceConfig) -> Result<Self, ConfigError> {
        let ca = Certificate::from_pem(pem("service.ca", &config.ca)?);
        let certificate = pem("service.certificate", &config.certificate)?;
        let key = pem("service.key", &config.key)?;
        let tls = ClientTlsConfig::new()
            .ca_certificate(ca)
            .identity(Identity::from_pem(certificate, key));
        let bad = |key, path: &Path, remedy| ConfigError::File {
            key,
            path: path.to_owned(),
            remedy,
            source: None,
        };
        let endpoint = Endpoint::from_shared(config.address.clone())
            .map_err(|_| {
                let remedy = "write https://host:port, for instance https://127.0.0.1:7443";
                bad("service.address", Path::new(&config.address), remedy)
            })?
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(limits::KEEP_ALIVE)
            .tls_config(tls)
            .map_err(|_| {
                let remedy = "not a PEM certificate with its private key in service.key, or service.ca is not PEM: \
                              make them anew with palmctl";
                bad("service.certificate", &config.certificate, remedy)
            })?;
        Ok(Self {
            channel: endpoint.connect_lazy(),
        })
    }

    /// Asks who this till is and what it needs.
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn setup(&self) -> Result<Setup, SetupError> {
        let mut client = v1::till_service_client::TillServiceClient::new(self.channel.clone());
        let call = client.get_till_setup(within(limits::CALL_TIMEOUT, v1::GetTillSetupRequest {}));
        match ended(limits::CALL_TIMEOUT, call).await {
            Ok(setup) => Ok(setup_of(setup)?),
            Err(status) => Err(match refusal(&status) {
                Some(reason) => SetupError::Refused(reason),
                None => SetupError::Unreachable,
            }),
        }
    }

    /// Tells what became of the reader; whether the service took note.
    pub async fn report_reader(&self, state: v1::reader::State, serial: String) -> bool {
        let mut client = v1::till_service_client::TillServiceClient::new(self.channel.clone());
        let report = v1::ReportReaderRequest {
            state: state.into(),
            serial,
        };
        let call = client.report_reader(within(limits::CALL_TIMEOUT, report));
        ended(limits::CALL_TIMEOUT, call).await.is_ok()
    }

    /// Sends a payment, for the first time or again.
    pub async fn authorise(
        &self,
        sale: Sale,
        wire: v1::AuthorisePaymentRequest,
    ) -> (Answer, Option<StageTimes>) {
        let mut client =
            v1::checkout_service_client::CheckoutServiceClient::new(self.channel.clone());
        let call = client.authorise_payment(within(limits::AUTHORISE_TIMEOUT, wire));
        match ended(limits::AUTHORISE_TIMEOUT, call).await {
            Ok(response) => (answer_of(sale, response.outcome), response.stage_times),
            Err(status) => (
                trouble_of(&status).map_or(Answer::Unknown, Answer::Nothing),
                None,
            ),
        }
    }

    /// Sends what a payment waited for, for the first time or again.
    pub async fn confirm(&self, sale: Sale, wire: v1::ConfirmPaymentRequest) -> Answer {
        let mut client =
            v1::checkout_service_client::CheckoutServiceClient::new(self.channel.clone());
        let call = client.confirm_payment(within(limits::AUTHORISE_TIMEOUT, wire));
        match ended(limits::AUTHORISE_TIMEOUT, call).await {
            Ok(response) => answer_of(sale, response.outcome),
            Err(status) => trouble_of(&status).map_or(Answer::Unknown, Answer::Nothing),
        }
    }

    /// Asks what became of a payment, and has it cancelled if nothing is booked.
    pub async fn resolve(&self, sale: Sale) -> Lookup {
        let mut client =
            v1::checkout_service_client::CheckoutServiceClient::new(self.channel.clone());
        let name = sale.payment.to_string();
        let wire = v1::CancelPaymentRequest {
            name,
            amount: Some(sale.amount.into()),
        };
        let call = client.cancel_payment(within(limits::CALL_TIMEOUT, wire));
        match ended(limits::CALL_TIMEOUT, call).await {
            Ok(payment) => lookup_of(sale, payment),
            Err(status) => {
                tracing::warn!(code = ?status.code(), "the outcome is still unknown");
                Lookup::Unknown
            }
        }
    }

    /// Registers a person. Sending the same again gives the same customer.
    ///
    /// # Errors
    /// The answer that the enrolment then has.
    pub async fn create_customer(
        &self,
        wire: v1::CreateCustomerRequest,
    ) -> Result<CustomerId, enrolment::Answer> {
        let mut client =
            v1::customer_service_client::CustomerServiceClient::new(self.channel.clone());
        let call = client.create_customer(within(limits::CALL_TIMEOUT, wire));
        let customer = ended(limits::CALL_TIMEOUT, call)
            .await
            .map_err(|status| unsent(&status))?;
        request::named("name", &customer.name).map_err(|_| enrolment::Answer::Unknown)
    }

    /// Sends the palms of a customer. Sending the same again gives the same answer.
    pub async fn enrol(&self, wire: v1::EnrolRequest) -> enrolment::Answer {
        let mut client =
            v1::enrolment_service_client::EnrolmentServiceClient::new(self.channel.clone());
        let call = client.enrol(within(limits::ENROL_TIMEOUT, wire));
        match ended(limits::ENROL_TIMEOUT, call)
            .await
            .map(|response| response.outcome)
        {
            Ok(Some(v1::enrol_response::Outcome::Enrolled(v1::Enrolled { palms }))) => {
                enrolment::Answer::Enrolled { palms }
            }
            Ok(Some(v1::enrol_response::Outcome::Refused(refused))) => {
                enrolment::Answer::Refused(ReasonCode::from_wire(refused.reason))
            }
            Ok(None) => enrolment::Answer::Unknown,
            Err(status) => unsent(&status),
        }
    }
}

fn pem(key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(limits::CONFIG_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.starts_with(b"-----BEGIN ") || contains(&bytes, b"\n-----BEGIN ") => {
            Ok(bytes)
        }
        Ok(_) => Err(ConfigError::File {
            key,
            path: path.to_owned(),
            remedy: "not a PEM file: name the file that palmctl wrote",
            source: None,
        }),
        Err(source) => Err(ConfigError::File {
            key,
            path: path.to_owned(),
            remedy: "cannot be read: name the file that palmctl wrote, readable by this user",
            source: Some(source),
        }),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The deadline travels with the request, so that the service stops working on what nobody awaits.
fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

async fn ended<T>(
    deadline: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::new(Code::DeadlineExceeded, "no answer in time")),
    }
}

/// The reason of a refusal that is final for this request; `None` when it may go better or is not the service's own.
fn refusal(status: &Status) -> Option<ReasonCode> {
    let is_final = |reason: &ReasonCode| {
        !matches!(reason, ReasonCode::Unavailable | ReasonCode::OutcomeUnknown)
    };
    fault::reason_of(status).filter(is_final)
}

/// Why a request did nothing, where that is certain.
fn trouble_of(status: &Status) -> Option<Trouble> {
    if was_never_connected(status) {
        return Some(Trouble::Unreachable);
    }
    refusal(status).map(Trouble::Refused)
}

fn was_never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn unsent(status: &Status) -> enrolment::Answer {
    trouble_of(status).map_or(enrolment::Answer::Unknown, enrolment::Answer::Nothing)
}

fn setup_of(wire: v1::TillSetup) -> Result<Setup, Malformed> {
    let payment_max = wire
        .payment_max
        .ok_or_else(|| Malformed::new("payment_max", "an amount is missing"))?;
    let public = wire
        .sealing_key
        .try_into()
        .map_err(|_| Malformed::new("sealing_key", "32 bytes are expected"))?;
    Ok(Setup {
        till: request::named("till", &wire.till)?,
        shop_name: wire
            .shop_name
            .chars()
            .filter(|c| !c.is_control())
            .take(64)
            .collect(),
        currency: wire
            .currency_code
            .parse()
            .map_err(|_| Malformed::new("currency_code", "a currency of this build is expected"))?,
        payment_max: payment_max.try_into()?,
        sealing_key: SealingKey {
            id: wire.sealing_key_id,
            public,
        },
    })
}

/// An approval of another payment or amount than was asked is no approval: it is looked up.
fn is_of(sale: Sale, payment: &v1::Payment) -> bool {
    let amount = payment
        .amount
        .clone()
        .and_then(|amount| Money::try_from(amount).ok());
    payment.name.parse::<PaymentId>() == Ok(sale.payment) && amount == Some(sale.amount)
}

fn answer_of(sale: Sale, outcome: Option<v1::authorise_payment_response::Outcome>) -> Answer {
    use v1::authorise_payment_response::Outcome;
    match outcome {
        Some(Outcome::Approved(v1::Approved {
            payment: Some(payment),
            balance,
        })) => {
            if !is_of(sale, &payment) {
                tracing::error!("the service approved another payment than was asked");
                return Answer::Unknown;
            }
            let balance = balance.and_then(|balance| request::balance(&balance).ok());
            Answer::Approved {
                customer: payment.customer.parse().ok(),
                masked_name: payment.masked_name,
                balance,
            }
        }
        Some(Outcome::Declined(declined)) => Answer::Declined {
            reason: ReasonCode::from_wire(declined.reason),
            masked_name: declined.masked_name,
        },
        Some(Outcome::StepUp(ask)) => Answer::StepUp(Ask {
            reason: ReasonCode::from_wire(ask.reason),
            masked_name: ask.masked_name,
        }),
        Some(Outcome::NotRecognised(not)) => {
            Answer::NotRecognised(ReasonCode::from_wire(not.reason))
        }
        Some(Outcome::Approved(v1::Approved { payment: None, .. })) | None => Answer::Unknown,
    }
}

fn lookup_of(sale: Sale, payment: v1::Payment) -> Lookup {
    if !is_of(sale, &payment) {
        tracing::error!("the service looked up another payment than was asked");
        return Lookup::Unknown;
    }
    let masked_name = payment.masked_name;
    match v1::payment::State::try_from(payment.state) {
        Ok(v1::payment::State::Captured | v1::payment::State::Authorised) => {
            Lookup::Approved { masked_name }
        }
        Ok(v1::payment::State::Declined) => Lookup::Declined {
            reason: ReasonCode::from_wire(payment.reason),
            masked_name,
        },
        Ok(
            v1::payment::State::Cancelled
            | v1::payment::State::Voided
            | v1::payment::State::Expired,
        ) => Lookup::Cancelled,
        Ok(
            v1::payment::State::Created
            | v1::payment::State::StepUp
            | v1::payment::State::OutcomeUnknown
            | v1::payment::State::Unspecified,
        )
        | Err(_) => Lookup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use palm_proto::fault::status;

    use super::*;

    #[test]
    fn only_certain_refusals_say_that_nothing_was_booked() {
        for (answer, expected) in [
            (
                status(Code::PermissionDenied, ReasonCode::PermissionDenied, "x"),
                true,
            ),
            (
                status(Code::InvalidArgument, ReasonCode::SealBroken, "x"),
                true,
            ),
            (
                status(Code::Unavailable, ReasonCode::Unavailable, "x"),
                false,
            ),
            (Status::unavailable("proxy"), false),
            (Status::deadline_exceeded("late"), false),
            (Status::internal("broken"), false),
            (Status::unknown("?"), false),
            (Status::cancelled("connection lost"), false),
            (Status::permission_denied("a proxy's opinion"), false),
        ] {
            assert_eq!(trouble_of(&answer).is_some(), expected, "{answer}");
        }
    }

    #[test]
    fn answers_about_another_payment_are_not_believed() {
        let amount = Money::amount(4_500, Currency::KRW).unwrap();
        let sale = Sale {
            payment: PaymentId::from_random([1; 16]),
            amount,
        };
        let payment = |id: u8, minor| v1::Payment {
            name: PaymentId::from_random([id; 16]).to_string(),
            state: v1::payment::State::Captured.into(),
            amount: Some(Money::balance(minor, Currency::KRW).into()),
            ..v1::Payment::default()
        };
        let approved = |payment| {
            let outcome = v1::Approved {
                payment,
                balance: None,
            };
            answer_of(
                sale,
                Some(v1::authorise_payment_response::Outcome::Approved(outcome)),
            )
        };
        assert!(matches!(
            approved(Some(payment(1, 4_500))),
            Answer::Approved { .. }
        ));
        assert_eq!(approved(Some(payment(2, 4_500))), Answer::Unknown);
        assert_eq!(approved(Some(payment(1, 45))), Answer::Unknown);
        assert_eq!(approved(None), Answer::Unknown);
        assert_eq!(answer_of(sale, None), Answer::Unknown);
        assert!(matches!(
            lookup_of(sale, payment(1, 4_500)),
            Lookup::Approved { .. }
        ));
        assert_eq!(lookup_of(sale, payment(2, 4_500)), Lookup::Unknown);
    }
}
