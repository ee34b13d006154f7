//! Over real sockets and mutual TLS on loopback.

use palm_models::template::Hand;
use palm_proto::{
    envelope::{Binding, SealedTemplate, SealingKey},
    fault::reason_of,
    id::{CustomerId, TillId},
    reason::ReasonCode,
    v1::{
        self, authorise_payment_response::Outcome, bank_service_client::BankServiceClient,
        checkout_service_client::CheckoutServiceClient,
        customer_service_client::CustomerServiceClient,
        enrolment_service_client::EnrolmentServiceClient, till_service_client::TillServiceClient,
        wallet_service_client::WalletServiceClient,
    },
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Code, Status,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

use super::*;
use crate::{
    clock::{Clock, SystemClock},
    fixture::{Shop, krw, payment, request, template, terms, till},
    pki::{Authority, Credential},
    store::MemoryStore,
};

/// A shop on the wire.
struct Counter {
    shop: Shop,
    authority: Authority,
    ca: String,
    operator: Credential,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Counter {
    async fn open() -> Self {
        let now = SystemClock.now();
        let (authority, ca) = Authority::create("Corner Shop", now).unwrap();
        let operator = authority.operator(now).unwrap();
        let server = authority.server(&[], now).unwrap();
        let mut terms = terms();
        terms.operators = vec![operator.fingerprint];
        let shop = Shop::on(Arc::new(MemoryStore::new()), 1, terms);
        let ca = ca.certificate;
        let tls = TlsFiles {
            certificate: server.certificate,
            key: server.key,
            ca: ca.clone(),
        };
        let api = Api::new(Arc::clone(&shop.service), &tls, Duration::from_secs(10))
            .await
            .unwrap();
        let (listener, address) = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(api.serve(listener, async { drop(stopped.await) }));
        Self {
            shop,
            authority,
            ca,
            operator,
            address,
            stop,
            serving,
        }
    }

    fn credential(&self, id: &str) -> Credential {
        self.authority.till(&till(id), SystemClock.now()).unwrap()
    }

    async fn till(&self, id: &str) -> Channel {
        let credential = self.credential(id);
        let certificate_sha256 = credential.fingerprint.to_bytes();
        let request = palm_proto::request::CreateTill {
            till: till(id),
            certificate_sha256,
        };
        self.shop.service.tills.create(request).await.unwrap();
        self.connect(Some(&credential)).await.unwrap()
    }

    async fn operator(&self) -> Channel {
        self.connect(Some(&self.operator)).await.unwrap()
    }

    async fn connect(
        &self,
        credential: Option<&Credential>,
    ) -> Result<Channel, tonic::transport::Error> {
        self.connect_trusting(credential, &self.ca).await
    }

    async fn connect_trusting(
        &self,
        credential: Option<&Credential>,
        ca: &str,
    ) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        if let Some(Credential {
            certificate, key, ..
        }) = credential
        {
            tls = tls.identity(Identity::from_pem(certificate, key.as_bytes()));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address))?;
        endpoint.tls_config(tls)?.connect().await
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, Option<ReasonCode>) {
    let status = answer.unwrap_err();
    (status.code(), reason_of(&status))
}

const DENIED: (Code, Option<ReasonCode>) =
    (Code::PermissionDenied, Some(ReasonCode::PermissionDenied));

fn create_customer() -> v1::CreateCustomerRequest {
    v1::CreateCustomerRequest {
        request_id: request(1).to_string(),
        display_name: "Kim Minjun".to_owned(),
        consent: Some(v1::Consent {
            notice_version: "2026-11".to_owned(),
            language: "ko".to_owned(),
            grant_time: None,
        }),
    }
}

/// Seals as a till does: with the key out of its setup.
fn seal(
    setup: &v1::TillSetup,
    binding: &Binding,
    sample: u64,
    nonce: [u8; 16],
) -> v1::SealedTemplate {
    let public = setup.sealing_key.clone().try_into().unwrap();
    let key = SealingKey {
        id: setup.sealing_key_id,
        public,
    };
    let plain = template(Hand::Right, 1, sample).to_bytes();
    let fill = &mut |out: &mut [u8]| out.fill(u8::try_from(sample).unwrap());
    let sealed: SealedTemplate = key.seal(&plain, binding, nonce, fill).unwrap();
    sealed.into()
}

fn enrolment(setup: &v1::TillSetup, till: &TillId, customer: CustomerId) -> v1::EnrolRequest {
    let binding = Binding::Enrolment {
        till: till.clone(),
        customer,
        request: request(2),
    };
    let samples = [1, 2, 3].map(|n| seal(setup, &binding, n.into(), [n; 16]));
    v1::EnrolRequest {
        request_id: request(2).to_string(),
        customer: customer.to_string(),
        samples: samples.to_vec(),
    }
}

/// Enrols palm 1 through a till.
async fn enrol(channel: &Channel, setup: &v1::TillSetup) -> CustomerId {
    let mut customers = CustomerServiceClient::new(channel.clone());
    let kim = customers
        .create_customer(create_customer())
        .await
        .unwrap()
        .into_inner();
    let id: CustomerId = kim.name.parse().unwrap();
    let mut enrolments = EnrolmentServiceClient::new(channel.clone());
    let request = enrolment(setup, &till("counter-1"), id);
    let answer = enrolments
        .enrol(request)
        .await
        .unwrap()
        .into_inner()
        .outcome;
    assert_eq!(
        answer,
        Some(v1::enrol_response::Outcome::Enrolled(v1::Enrolled {
            palms: 1
        }))
    );
    id
}

#[tokio::test]
async fn palm_is_enrolled_and_pays_over_the_wire() {
    let counter = Counter::open().await;
    let (channel, operator) = (counter.till("counter-1").await, counter.operator().await);
    let mut tills = TillServiceClient::new(channel.clone());
    let setup = tills
        .get_till_setup(v1::GetTillSetupRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (setup.till.as_str(), setup.currency_code.as_str()),
        ("tills/counter-1", "KRW")
    );
    let kim = enrol(&channel, &setup).await;

    let top_up = v1::TopUpRequest {
        request_id: request(3).to_string(),
        wallet: format!("{kim}/wallet"),
        amount: Some(krw(10_000).into()),
    };
    let wallet = WalletServiceClient::new(operator)
        .top_up(top_up)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(wallet.balance.unwrap().amount_minor, 10_000);

    let (payment, amount) = (payment(1), krw(4_500));
    let binding = Binding::Payment {
        till: till("counter-1"),
        payment,
        amount,
    };
    let request = v1::AuthorisePaymentRequest {
        payment: payment.to_string(),
        amount: Some(amount.into()),
        sample: Some(seal(&setup, &binding, 9, [9; 16])),
        capture_mode: v1::payment::CaptureMode::Automatic.into(),
        accepted_offline: false,
    };
    let mut checkout = CheckoutServiceClient::new(channel);
    let answer = checkout
        .authorise_payment(request)
        .await
        .unwrap()
        .into_inner();
    assert!(answer.stage_times.is_some());
    let Some(Outcome::Approved(approved)) = answer.outcome else {
        panic!("{answer:?}")
    };
    assert_eq!(approved.balance.unwrap().amount_minor, 5_500);
    let booked = approved.payment.unwrap();
    assert_eq!(
        (booked.masked_name.as_str(), booked.customer),
        ("K** M**", kim.to_string())
    );
    let request = v1::GetPaymentRequest { name: booked.name };
    let found = checkout.get_payment(request).await.unwrap().into_inner();
    assert_eq!(found.state(), v1::payment::State::Captured);
}

#[tokio::test]
async fn roles_are_kept_for_every_call() {
    let counter = Counter::open().await;
    let (till, operator) = (counter.till("counter-1").await, counter.operator().await);
    let name = CustomerId::from_bytes([9; 16]).to_string();
    let mut customers = CustomerServiceClient::new(till.clone());
    let named = v1::GetCustomerRequest { name: name.clone() };
    assert_eq!(refused(customers.get_customer(named).await), DENIED);
    let list = v1::ListCustomersRequest::default();
    assert_eq!(refused(customers.list_customers(list).await), DENIED);
    let named = v1::DeleteCustomerRequest { name };
    assert_eq!(refused(customers.delete_customer(named).await), DENIED);
    let mut wallets = WalletServiceClient::new(till.clone());
    assert_eq!(
        refused(wallets.top_up(v1::TopUpRequest::default()).await),
        DENIED
    );
    assert_eq!(
        refused(wallets.pay_out(v1::PayOutRequest::default()).await),
        DENIED
    );
    assert_eq!(
        refused(wallets.get_wallet(v1::GetWalletRequest::default()).await),
        DENIED
    );
    assert_eq!(
        refused(wallets.audit_ledger(v1::AuditLedgerRequest {}).await),
        DENIED
    );
    let mut tills = TillServiceClient::new(till);
    assert_eq!(
        refused(tills.create_till(v1::CreateTillRequest::default()).await),
        DENIED
    );
    assert_eq!(
        refused(tills.list_tills(v1::ListTillsRequest::default()).await),
        DENIED
    );
    assert_eq!(
        refused(tills.revoke_till(v1::RevokeTillRequest::default()).await),
        DENIED
    );

    let mut tills = TillServiceClient::new(operator.clone());
    assert_eq!(
        refused(tills.get_till_setup(v1::GetTillSetupRequest {}).await),
        DENIED
    );
    assert_eq!(
        refused(
            tills
                .report_reader(v1::ReportReaderRequest::default())
                .await
        ),
        DENIED
    );
    let mut enrolments = EnrolmentServiceClient::new(operator.clone());
    assert_eq!(
        refused(enrolments.enrol(v1::EnrolRequest::default()).await),
        DENIED
    );
    let mut checkout = CheckoutServiceClient::new(operator);
    let pay = v1::AuthorisePaymentRequest::default();
    assert_eq!(refused(checkout.authorise_payment(pay).await), DENIED);
    let cancel = v1::CancelPaymentRequest::default();
    assert_eq!(refused(checkout.cancel_payment(cancel).await), DENIED);
    assert!(
        checkout
            .list_payments(v1::ListPaymentsRequest::default())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn stranger_s_certificates_are_refused() {
    let counter = Counter::open().await;
    let setup = |channel| async {
        TillServiceClient::new(channel)
            .get_till_setup(v1::GetTillSetupRequest {})
            .await
    };
    // Of this CA, but not enrolled.
    let unknown = counter
        .connect(Some(&counter.credential("counter-9")))
        .await
        .unwrap();
    assert_eq!(refused(setup(unknown).await), DENIED);
    // Of another CA, and none: the handshake fails. TLS 1.3 lets the client notice at its first call only.
    let (foreign, foreign_ca) = Authority::create("Elsewhere", SystemClock.now()).unwrap();
    let foreign = foreign.till(&till("counter-1"), SystemClock.now()).unwrap();
    for credential in [Some(&foreign), None] {
        if let Ok(channel) = counter.connect(credential).await {
            let status = setup(channel).await.unwrap_err();
            assert_eq!(reason_of(&status), None, "{status:?}");
        }
    }
    // A service that is not the till's own is not spoken to.
    let ours = counter.credential("counter-1");
    assert!(
        counter
            .connect_trusting(Some(&ours), &foreign_ca.certificate)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn revoked_till_is_refused_on_its_open_connection() {
    let counter = Counter::open().await;
    let mut tills = TillServiceClient::new(counter.till("counter-1").await);
    assert!(
        tills
            .get_till_setup(v1::GetTillSetupRequest {})
            .await
            .is_ok()
    );
    counter
        .shop
        .service
        .tills
        .revoke(till("counter-1"))
        .await
        .unwrap();
    assert_eq!(
        refused(tills.get_till_setup(v1::GetTillSetupRequest {}).await),
        DENIED
    );
}

#[tokio::test]
async fn operator_s_certificate_does_not_become_a_till_s() {
    let counter = Counter::open().await;
    let request = v1::CreateTillRequest {
        name: "tills/counter-1".to_owned(),
        certificate_sha256: counter.operator.fingerprint.to_string(),
    };
    let answer = TillServiceClient::new(counter.operator().await)
        .create_till(request)
        .await;
    assert_eq!(
        refused(answer),
        (Code::AlreadyExists, Some(ReasonCode::IdReused))
    );
}

fn field(status: &Status) -> String {
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations[0].field.clone()
}

#[tokio::test]
async fn malformed_customer_names_the_field_and_stores_nothing() {
    let counter = Counter::open().await;
    let mut customers = CustomerServiceClient::new(counter.till("counter-1").await);
    let rows = counter.shop.rows();
    let nameless = v1::CreateCustomerRequest {
        display_name: String::new(),
        ..create_customer()
    };
    let without_consent = v1::CreateCustomerRequest {
        consent: None,
        ..create_customer()
    };
    let without_id = v1::CreateCustomerRequest {
        request_id: "1".to_owned(),
        ..create_customer()
    };
    let requests = [
        (nameless, "display_name"),
        (without_consent, "consent"),
        (without_id, "request_id"),
    ];
    for (request, name) in requests {
        let status = customers.create_customer(request).await.unwrap_err();
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, name)
        );
    }
    assert_eq!(counter.shop.rows(), rows);
}

#[tokio::test]
async fn malformed_payment_names_the_field_and_stores_nothing() {
    let counter = Counter::open().await;
    let mut checkout = CheckoutServiceClient::new(counter.till("counter-1").await);
    let rows = counter.shop.rows();
    let money = |amount_minor, code: &str| {
        Some(v1::Money {
            amount_minor,
            currency_code: code.to_owned(),
        })
    };
    let sample = v1::SealedTemplate {
        key_id: 1,
        encapsulated_key: vec![1; 32],
        ciphertext: vec![1; 64],
        capture_nonce: vec![1; 16],
    };
    let good = v1::AuthorisePaymentRequest {
        payment: payment(1).to_string(),
        amount: money(1, "KRW"),
        sample: Some(sample),
        capture_mode: v1::payment::CaptureMode::Automatic.into(),
        accepted_offline: false,
    };
    let amounts = [
        (money(0, "KRW"), "amount.amount_minor"),
        (money(u64::MAX, "KRW"), "amount.amount_minor"),
        (money(5_000_000, "KRW"), "amount.amount_minor"),
        (money(1, "XXX"), "amount.currency_code"),
        (money(1, "EUR"), "amount.currency_code"),
        (None, "amount"),
    ];
    let mut requests = amounts
        .map(|(amount, name)| {
            (
                v1::AuthorisePaymentRequest {
                    amount,
                    ..good.clone()
                },
                name,
            )
        })
        .to_vec();
    let nameless = v1::AuthorisePaymentRequest {
        payment: "payments/1".to_owned(),
        ..good.clone()
    };
    requests.push((nameless, "payment"));
    requests.push((
        v1::AuthorisePaymentRequest {
            sample: None,
            ..good
        },
        "sample",
    ));
    for (request, name) in requests {
        let status = checkout.authorise_payment(request).await.unwrap_err();
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, name)
        );
    }
    assert_eq!(counter.shop.rows(), rows);
}

#[tokio::test]
async fn message_above_the_bound_is_refused() {
    let counter = Counter::open().await;
    let request = v1::CreateCustomerRequest {
        display_name: "x".repeat(limits::MESSAGE_MAX),
        ..create_customer()
    };
    let answer = CustomerServiceClient::new(counter.operator().await)
        .create_customer(request)
        .await;
    assert_eq!(refused(answer), (Code::OutOfRange, None));
}

#[tokio::test]
async fn health_is_serving_and_reflection_lists_the_services() {
    let counter = Counter::open().await;
    let channel = counter.operator().await;
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "openpalm.v1.CheckoutService", "openpalm.v1.TillService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        assert_eq!(
            health.check(request).await.unwrap().into_inner().status,
            1,
            "{service}"
        );
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for part in ["Customer", "Enrolment", "Checkout", "Wallet", "Till"] {
        assert!(
            names.contains(&format!("openpalm.v1.{part}Service")),
            "{names:?}"
        );
    }
}

#[tokio::test]
async fn calls_above_the_bound_are_told_to_come_again() {
    let counter = Counter::open().await;
    let mut tills = TillServiceClient::new(counter.till("counter-1").await);
    let places: Vec<_> = std::iter::from_fn(|| counter.shop.service.enter().ok()).collect();
    assert_eq!(places.len(), counter.shop.service.terms().limits.calls_max);
    let answer = tills.get_till_setup(v1::GetTillSetupRequest {}).await;
    assert_eq!(
        refused(answer),
        (Code::Unavailable, Some(ReasonCode::Unavailable))
    );
    drop(places);
    assert!(
        tills
            .get_till_setup(v1::GetTillSetupRequest {})
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn stop_ends_serving_while_a_connection_is_open() {
    let counter = Counter::open().await;
    let channel = counter.operator().await;
    counter.stop.send(()).unwrap();
    counter.serving.await.unwrap().unwrap();
    let answer = TillServiceClient::new(channel)
        .list_tills(v1::ListTillsRequest::default())
        .await;
    assert_eq!(reason_of(&answer.unwrap_err()), None);
}

#[tokio::test]
async fn calls_about_the_bank_are_the_operator_s_alone() {
    let counter = Counter::open().await;
    let mut till = BankServiceClient::new(counter.till("counter-1").await);
    let name = "payouts/9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11".to_owned();
    let denied = [
        refused(till.get_books(v1::GetBooksRequest {}).await),
        refused(till.deposit(v1::DepositRequest::default()).await),
        refused(till.order_payout(v1::OrderPayoutRequest::default()).await),
        refused(
            till.cancel_payout(v1::CancelPayoutRequest { name: name.clone() })
                .await,
        ),
        refused(
            till.get_payout(v1::GetPayoutRequest { name: name.clone() })
                .await,
        ),
        refused(till.list_payouts(v1::ListPayoutsRequest::default()).await),
        refused(
            till.make_payout_file(v1::MakePayoutFileRequest::default())
                .await,
        ),
        refused(
            till.get_payout_file(v1::GetPayoutFileRequest::default())
                .await,
        ),
        refused(
            till.report_payouts(v1::ReportPayoutsRequest::default())
                .await,
        ),
        refused(till.reconcile(v1::ReconcileRequest::default()).await),
        refused(till.close_break(v1::CloseBreakRequest::default()).await),
    ];
    assert!(denied.iter().all(|answer| *answer == DENIED), "{denied:?}");
    let mut operator = BankServiceClient::new(counter.operator().await);
    let order = |account: &str| v1::OrderPayoutRequest {
        request_id: request(1).to_string(),
        wallet: "customers/9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11/wallet".to_owned(),
        amount: Some(krw(100).into()),
        account: account.to_owned(),
        holder: String::new(),
    };
    for account in ["DE88370400440532013000", "4242424242424242"] {
        let status = operator.order_payout(order(account)).await.unwrap_err();
        assert_eq!(reason_of(&status), Some(ReasonCode::Malformed));
        assert!(!format!("{status:?}").contains(&account[4..]), "{status:?}");
    }
    // More than other calls may be, and no message of a bank.
    let content = vec![b' '; 1 << 20];
    let request = v1::ReportPayoutsRequest { content };
    let status = operator.report_payouts(request).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(ReasonCode::Malformed));
    let unknown = refused(operator.get_payout(v1::GetPayoutRequest { name }).await);
    assert_eq!(unknown, (Code::NotFound, Some(ReasonCode::NotFound)));
}
