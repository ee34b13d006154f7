//! A stand-in for palmd over real TLS: it opens what the till seals, answers as it is told to, and keeps books.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use palm_proto::{
    envelope::{Binding, OpeningKey, SealedTemplate},
    fault,
    id::{CustomerId, TillId},
    reason::ReasonCode,
    request::{
        AuthorisePayment, CancelPayment, ConfirmPayment, Confirmation, CreateCustomer, Enrol,
    },
    v1::{
        self,
        authorise_payment_response::Outcome,
        checkout_service_server::{CheckoutService, CheckoutServiceServer},
        customer_service_server::{CustomerService, CustomerServiceServer},
        enrolment_service_server::{EnrolmentService, EnrolmentServiceServer},
        till_service_server::{TillService, TillServiceServer},
    },
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

/// What to do with the next payment that is sent for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Approve,
    /// Asks for a second factor.
    Ask,
    Decline,
    NotRecognised,
    /// Books it and loses the answer.
    BookAndLose,
    /// Neither books nor answers.
    Lose,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) acts: VecDeque<Act>,
    pub(crate) payments: BTreeMap<String, v1::Payment>,
    /// Every payment request as it came, in order.
    pub(crate) sends: Vec<v1::AuthorisePaymentRequest>,
    /// What waits for a second factor.
    asked: Option<v1::Payment>,
    /// Everything that was given.
    pub(crate) given: Vec<Confirmation>,
    pub(crate) readers: Vec<i32>,
    pub(crate) customers: Vec<String>,
    pub(crate) samples: usize,
    /// Answers to payments are lost, whatever they are.
    pub(crate) mute: bool,
}

/// The service's side of a test.
#[derive(Clone)]
pub(crate) struct Palmd {
    pub(crate) books: Arc<Mutex<Books>>,
    key: Arc<OpeningKey>,
    till: TillId,
}

/// A running stand-in; dropping it closes every connection.
pub(crate) struct Running {
    runtime: Option<tokio::runtime::Runtime>,
    _stop: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Writes ca.pem and the certificates and keys of till and server into `folder`; gives the server's.
pub(crate) fn certificates(folder: &Path) -> (Identity, Certificate) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let leaf = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (
            params.signed_by(&key, &issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    };
    let (till, till_key) = leaf("counter-1");
    let (server, server_key) = leaf("127.0.0.1");
    std::fs::write(folder.join("ca.pem"), &ca_pem).unwrap();
    std::fs::write(folder.join("till.pem"), till).unwrap();
    std::fs::write(folder.join("till.key"), till_key).unwrap();
    std::fs::write(folder.join("server.pem"), &server).unwrap();
    std::fs::write(folder.join("server.key"), &server_key).unwrap();
    (
        Identity::from_pem(server, server_key),
        Certificate::from_pem(ca_pem),
    )
}

impl Palmd {
    pub(crate) fn new() -> Self {
        Self {
            books: Arc::default(),
            key: Arc::new(OpeningKey::new(3, [5; 32])),
            till: TillId::new("counter-1").unwrap(),
        }
    }

    /// Serves on `address` (port 0: a free one) until dropped.
    pub(crate) fn serve(
        &self,
        address: SocketAddr,
        (identity, ca): (Identity, Certificate),
    ) -> (Running, SocketAddr) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let tls = ServerTlsConfig::new().identity(identity).client_ca_root(ca);
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(TillServiceServer::new(self.clone()))
            .add_service(CheckoutServiceServer::new(self.clone()))
            .add_service(CustomerServiceServer::new(self.clone()))
            .add_service(EnrolmentServiceServer::new(self.clone()));
        runtime.spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            server
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped)
                .await
        });
        (
            Running {
                runtime: Some(runtime),
                _stop: stop,
            },
            address,
        )
    }

    pub(crate) fn acts(&self, acts: &[Act]) {
        self.books.lock().unwrap().acts.extend(acts);
    }

    fn opens(&self, sealed: &SealedTemplate, binding: &Binding) -> Result<(), Status> {
        let template = self.key.open(sealed, binding).map_err(|_| {
            fault::status(
                Code::InvalidArgument,
                ReasonCode::SealBroken,
                "does not open",
            )
        })?;
        palm_models::template::Template::from_bytes(&template)
            .map(drop)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn answer(&self, outcome: Outcome) -> Response<v1::AuthorisePaymentResponse> {
        let stage_times = v1::StageTimes {
            open_us: 100,
            identify_us: 900,
            commit_us: 400,
        };
        Response::new(v1::AuthorisePaymentResponse {
            outcome: Some(outcome),
            stage_times: Some(stage_times),
        })
    }
}

fn approved(payment: v1::Payment) -> Outcome {
    let currency_code = "KRW".to_owned();
    let balance = Some(v1::Money {
        amount_minor: 5_500,
        currency_code,
    });
    Outcome::Approved(v1::Approved {
        payment: Some(payment),
        balance,
    })
}

#[tonic::async_trait]
impl CheckoutService for Palmd {
    async fn authorise_payment(
        &self,
        request: Request<v1::AuthorisePaymentRequest>,
    ) -> Result<Response<v1::AuthorisePaymentResponse>, Status> {
        let wire = request.into_inner();
        let AuthorisePayment {
            payment,
            amount,
            sample,
            capture_mode: _,
            accepted_offline: _,
        } = AuthorisePayment::try_from(wire.clone())?;
        self.opens(
            &sample,
            &Binding::Payment {
                till: self.till.clone(),
                payment,
                amount,
            },
        )?;
        let mut books = self.books.lock().unwrap();
        books.sends.push(wire);
        let muted = books.mute;
        if let Some(booked) = books.payments.get(&payment.to_string()) {
            if muted {
                return Err(Status::unavailable("connection lost"));
            }
            return Ok(self.answer(approved(booked.clone())));
        }
        let act = books
            .acts
            .pop_front()
            .expect("a payment that the test did not expect");
        let booked = v1::Payment {
            name: payment.to_string(),
            state: v1::payment::State::Captured.into(),
            amount: Some(amount.into()),
            masked_name: "김*수".to_owned(),
            customer: CustomerId::from_bytes([7; 16]).to_string(),
            ..v1::Payment::default()
        };
        match act {
            Act::Approve => {
                books.payments.insert(booked.name.clone(), booked.clone());
                Ok(self.answer(approved(booked)))
            }
            Act::Ask => {
                let masked_name = booked.masked_name.clone();
                books.asked = Some(booked);
                Ok(self.answer(Outcome::StepUp(v1::StepUp {
                    reason: ReasonCode::SecondFactor.to_wire(),
                    masked_name,
                    expire_time: None,
                })))
            }
            Act::Decline => Ok(self.answer(Outcome::Declined(v1::Declined {
                reason: ReasonCode::InsufficientFunds.to_wire(),
                masked_name: booked.masked_name,
            }))),
            Act::NotRecognised => Ok(self.answer(Outcome::NotRecognised(v1::NotRecognised {
                reason: ReasonCode::NotRecognised.to_wire(),
            }))),
            Act::BookAndLose => {
                books.payments.insert(booked.name.clone(), booked);
                Err(Status::unavailable("connection lost"))
            }
            Act::Lose => Err(Status::unavailable("connection lost")),
        }
    }

    async fn confirm_payment(
        &self,
        request: Request<v1::ConfirmPaymentRequest>,
    ) -> Result<Response<v1::AuthorisePaymentResponse>, Status> {
        let wire = request.into_inner();
        let ConfirmPayment { payment, what, .. } = ConfirmPayment::try_from(wire)?;
        let mut books = self.books.lock().unwrap();
        books.given.push(what);
        let asked = books.asked.take();
        let booked = asked.filter(|asked| asked.name == payment.to_string());
        let booked = booked.expect("only what was asked for is given");
        books.payments.insert(booked.name.clone(), booked.clone());
        Ok(self.answer(approved(booked)))
    }

    async fn get_payment(
        &self,
        _: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        Err(Status::unimplemented("the till asks by CancelPayment"))
    }

    async fn cancel_payment(
        &self,
        request: Request<v1::CancelPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let wire = request.into_inner();
        let CancelPayment { .. } = CancelPayment::try_from(wire.clone())?;
        let mut books = self.books.lock().unwrap();
        let cancelled = v1::Payment {
            name: wire.name.clone(),
            state: v1::payment::State::Cancelled.into(),
            amount: wire.amount,
            ..v1::Payment::default()
        };
        Ok(Response::new(
            books.payments.entry(wire.name).or_insert(cancelled).clone(),
        ))
    }

    async fn list_payments(
        &self,
        _: Request<v1::ListPaymentsRequest>,
    ) -> Result<Response<v1::ListPaymentsResponse>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }
}

#[tonic::async_trait]
impl TillService for Palmd {
    async fn create_till(
        &self,
        _: Request<v1::CreateTillRequest>,
    ) -> Result<Response<v1::Till>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn list_tills(
        &self,
        _: Request<v1::ListTillsRequest>,
    ) -> Result<Response<v1::ListTillsResponse>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn revoke_till(
        &self,
        _: Request<v1::RevokeTillRequest>,
    ) -> Result<Response<v1::Till>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn get_till_setup(
        &self,
        request: Request<v1::GetTillSetupRequest>,
    ) -> Result<Response<v1::TillSetup>, Status> {
        assert!(
            request
                .peer_certs()
                .is_some_and(|certificates| certificates.len() == 1)
        );
        let sealing = self.key.sealing_key();
        let currency_code = "KRW".to_owned();
        Ok(Response::new(v1::TillSetup {
            till: self.till.to_string(),
            shop_name: "Corner Shop".to_owned(),
            currency_code: currency_code.clone(),
            payment_max: Some(v1::Money {
                amount_minor: 1_000_000,
                currency_code,
            }),
            sealing_key: sealing.public.to_vec(),
            sealing_key_id: sealing.id,
        }))
    }

    async fn report_reader(
        &self,
        request: Request<v1::ReportReaderRequest>,
    ) -> Result<Response<v1::ReportReaderResponse>, Status> {
        self.books
            .lock()
            .unwrap()
            .readers
            .push(request.into_inner().state);
        Ok(Response::new(v1::ReportReaderResponse {}))
    }
}

#[tonic::async_trait]
impl CustomerService for Palmd {
    async fn create_customer(
        &self,
        request: Request<v1::CreateCustomerRequest>,
    ) -> Result<Response<v1::Customer>, Status> {
        let asked = CreateCustomer::try_from(request.into_inner())?;
        self.books
            .lock()
            .unwrap()
            .customers
            .push(asked.display_name.clone());
        let name = CustomerId::from_random(asked.request_id.to_bytes()).to_string();
        Ok(Response::new(v1::Customer {
            name,
            ..v1::Customer::default()
        }))
    }

    async fn get_customer(
        &self,
        _: Request<v1::GetCustomerRequest>,
    ) -> Result<Response<v1::Customer>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn list_customers(
        &self,
        _: Request<v1::ListCustomersRequest>,
    ) -> Result<Response<v1::ListCustomersResponse>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn delete_customer(
        &self,
        _: Request<v1::DeleteCustomerRequest>,
    ) -> Result<Response<v1::DeleteCustomerResponse>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn get_safeguards(
        &self,
        _: Request<v1::GetSafeguardsRequest>,
    ) -> Result<Response<v1::Safeguards>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn update_safeguards(
        &self,
        _: Request<v1::UpdateSafeguardsRequest>,
    ) -> Result<Response<v1::Safeguards>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn set_instrument(
        &self,
        _: Request<v1::SetInstrumentRequest>,
    ) -> Result<Response<v1::SetInstrumentResponse>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn open_card_page(
        &self,
        _: Request<v1::OpenCardPageRequest>,
    ) -> Result<Response<v1::CardPage>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn get_card_page(
        &self,
        _: Request<v1::GetCardPageRequest>,
    ) -> Result<Response<v1::CardPage>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }

    async fn forget_card(
        &self,
        _: Request<v1::ForgetCardRequest>,
    ) -> Result<Response<v1::ForgetCardResponse>, Status> {
        Err(Status::unimplemented("no till asks this"))
    }
}

#[tonic::async_trait]
impl EnrolmentService for Palmd {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let Enrol {
            request_id,
            customer,
            samples,
        } = Enrol::try_from(request.into_inner())?;
        let till = self.till.clone();
        let binding = Binding::Enrolment {
            till,
            customer,
            request: request_id,
        };
        samples
            .iter()
            .try_for_each(|sample| self.opens(sample, &binding))?;
        self.books.lock().unwrap().samples = samples.len();
        let outcome = v1::enrol_response::Outcome::Enrolled(v1::Enrolled { palms: 1 });
        Ok(Response::new(v1::EnrolResponse {
            outcome: Some(outcome),
        }))
    }
}
