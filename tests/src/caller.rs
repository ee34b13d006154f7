//! Any holder of a certificate, speaking gRPC to palmd without a till: for requests that no till would send.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use palm_proto::{
    envelope::SealingKey,
    id::TillId,
    v1::{
        self, checkout_service_client::CheckoutServiceClient,
        customer_service_client::CustomerServiceClient,
        enrolment_service_client::EnrolmentServiceClient, till_service_client::TillServiceClient,
        wallet_service_client::WalletServiceClient,
    },
};
use tokio::runtime::Runtime;
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The files of a caller's certificate.
#[derive(Debug, Clone, Copy)]
pub struct Credential<'a> {
    /// Folder of the files.
    pub folder: &'a Path,
    /// `till` for `till.pem` and `till.key`.
    pub name: &'a str,
    /// The CA file that palmd's certificate is checked with.
    pub ca: &'a Path,
}

/// A connection with a certificate. Calls block.
#[derive(Debug)]
pub struct Caller {
    runtime: Runtime,
    channel: Channel,
}

/// What a till is told at its start, checked.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The caller's own id.
    pub till: TillId,
    /// What templates are sealed to.
    pub key: SealingKey,
}

type Answered<T> = std::result::Result<T, Status>;

impl Caller {
    /// A caller that connects to palmd with its first call.
    ///
    /// # Errors
    /// When its files cannot be read or are no certificate and key.
    pub fn new(palmd: SocketAddr, credential: Credential<'_>) -> Result<Self> {
        let Credential { folder, name, ca } = credential;
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
        };
        let certificate = read(&folder.join(format!("{name}.pem")))?;
        let key = read(&folder.join(format!("{name}.key")))?;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read(ca)?))
            .identity(Identity::from_pem(certificate, key));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let endpoint = Endpoint::from_shared(format!("https://{palmd}"))?
            .tls_config(tls)?
            .timeout(CALL_TIMEOUT);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Ok(Self { runtime, channel })
    }

    /// The channel, for clients of one's own.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where [`Caller::channel`] works.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What a till is told at its start.
    ///
    /// # Errors
    /// The service's status.
    pub fn till_setup(&self) -> Answered<v1::TillSetup> {
        let mut client = TillServiceClient::new(self.channel());
        let call = client.get_till_setup(v1::GetTillSetupRequest {});
        Ok(self.runtime.block_on(call)?.into_inner())
    }

    /// As [`Caller::till_setup`], checked.
    ///
    /// # Errors
    /// When the service refuses or its answer has another shape than the protocol says.
    pub fn setup(&self) -> Result<Setup> {
        let setup = self.till_setup()?;
        let public = setup
            .sealing_key
            .try_into()
            .ok()
            .context("the sealing key's length")?;
        let key = SealingKey {
            id: setup.sealing_key_id,
            public,
        };
        Ok(Setup {
            till: setup.till.parse()?,
            key,
        })
    }

    /// Asks for a payment.
    ///
    /// # Errors
    /// The service's status.
    pub fn authorise(
        &self,
        request: v1::AuthorisePaymentRequest,
    ) -> Answered<v1::AuthorisePaymentResponse> {
        let mut client = CheckoutServiceClient::new(self.channel());
        Ok(self
            .runtime
            .block_on(client.authorise_payment(request))?
            .into_inner())
    }

    /// What is booked under a payment id.
    ///
    /// # Errors
    /// The service's status.
    pub fn payment(&self, name: &str) -> Answered<v1::Payment> {
        let mut client = CheckoutServiceClient::new(self.channel());
        let call = client.get_payment(v1::GetPaymentRequest {
            name: name.to_owned(),
        });
        Ok(self.runtime.block_on(call)?.into_inner())
    }

    /// Every payment, newest first; the first thousand.
    ///
    /// # Errors
    /// The service's status.
    pub fn payments(&self) -> Answered<Vec<v1::Payment>> {
        let mut client = CheckoutServiceClient::new(self.channel());
        let (page_size, page_token) = (1_000, String::new());
        let call = client.list_payments(v1::ListPaymentsRequest {
            page_size,
            page_token,
        });
        Ok(self.runtime.block_on(call)?.into_inner().payments)
    }

    /// Registers a person.
    ///
    /// # Errors
    /// The service's status.
    pub fn create_customer(&self, request: v1::CreateCustomerRequest) -> Answered<v1::Customer> {
        let mut client = CustomerServiceClient::new(self.channel());
        Ok(self
            .runtime
            .block_on(client.create_customer(request))?
            .into_inner())
    }

    /// Every customer; the first thousand.
    ///
    /// # Errors
    /// The service's status.
    pub fn customers(&self) -> Answered<Vec<v1::Customer>> {
        let mut client = CustomerServiceClient::new(self.channel());
        let (page_size, page_token) = (1_000, String::new());
        let call = client.list_customers(v1::ListCustomersRequest {
            page_size,
            page_token,
        });
        Ok(self.runtime.block_on(call)?.into_inner().customers)
    }

    /// Adds palms to a customer.
    ///
    /// # Errors
    /// The service's status.
    pub fn enrol(&self, request: v1::EnrolRequest) -> Answered<v1::EnrolResponse> {
        let mut client = EnrolmentServiceClient::new(self.channel());
        Ok(self.runtime.block_on(client.enrol(request))?.into_inner())
    }

    /// Puts money into a wallet.
    ///
    /// # Errors
    /// The service's status.
    pub fn top_up(&self, request: v1::TopUpRequest) -> Answered<v1::Wallet> {
        let mut client = WalletServiceClient::new(self.channel());
        Ok(self.runtime.block_on(client.top_up(request))?.into_inner())
    }

    /// Replays the books.
    ///
    /// # Errors
    /// The service's status.
    pub fn audit(&self) -> Answered<v1::AuditLedgerResponse> {
        let mut client = WalletServiceClient::new(self.channel());
        let call = client.audit_ledger(v1::AuditLedgerRequest {});
        Ok(self.runtime.block_on(call)?.into_inner())
    }
}
