//! The connection to palmd, and operator.toml, which says where it is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use palm_proto::{
    money::Currency,
    v1::{
        bank_service_client::BankServiceClient, checkout_service_client::CheckoutServiceClient,
        customer_service_client::CustomerServiceClient,
        payment_service_client::PaymentServiceClient, report_service_client::ReportServiceClient,
        till_service_client::TillServiceClient, wallet_service_client::WalletServiceClient,
    },
};
use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::CtlError;
use crate::{files, limits};

pub(super) const OPERATOR_FILE: &str = "operator.toml";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const PAGE_SIZE_MAX: usize = 1_000;

/// Rows to ask for next, when `have` of `limit` are there.
pub(super) fn page_size(limit: usize, have: usize) -> u32 {
    let missing = limit.saturating_sub(have).clamp(1, PAGE_SIZE_MAX);
    u32::try_from(missing).expect("invariant: at most 1000")
}

/// What `palmctl` needs to reach palmd. Relative paths are taken from the file's folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operator {
    /// `https://host:port`.
    pub(super) address: String,
    /// The shop's currency.
    pub(super) currency: String,
    /// PEM files.
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Operator {
    fn read(dir: &Path) -> Result<(Self, Currency), CtlError> {
        let path = dir.join(OPERATOR_FILE);
        let text = files::read_text(&path)?;
        let failed = |message| CtlError::Operator {
            path: path.clone(),
            message,
        };
        let operator: Self =
            toml::from_str(&text).map_err(|error| failed(error.to_string().replace('\n', " ")))?;
        let currency = operator.currency.parse().map_err(|_| {
            failed(
                "currency: write the shop's currency as in palmd.toml, such as \"KRW\"".to_owned(),
            )
        })?;
        Ok((operator, currency))
    }
}

/// A connection with the operator's certificate.
#[derive(Debug)]
pub(super) struct Link {
    channel: Channel,
    address: String,
    currency: Currency,
}

impl Link {
    pub(super) async fn open(dir: &Path, address: Option<String>) -> Result<Self, CtlError> {
        let (operator, currency) = Operator::read(dir)?;
        let address = address.unwrap_or_else(|| operator.address.clone());
        let failed = |source| CtlError::Connect {
            address: address.clone(),
            config: dir.join("palmd.toml").display().to_string(),
            source,
        };
        let ca = files::read_text(&dir.join(&operator.ca))?;
        let certificate = files::read_text(&dir.join(&operator.certificate))?;
        let key = files::read_secret_text(&dir.join(&operator.key))?;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca))
            .identity(Identity::from_pem(certificate, key.as_bytes()));
        if !address.starts_with("https://") {
            let remedy = "give https://HOST:PORT; palmd speaks TLS only";
            return Err(CtlError::Argument {
                argument: "address",
                remedy,
            });
        }
        let endpoint = Endpoint::from_shared(address.clone())
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(failed)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT);
        let channel = endpoint.connect().await.map_err(failed)?;
        Ok(Self {
            channel,
            address,
            currency,
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn currency(&self) -> Currency {
        self.currency
    }

    pub(super) fn bank(&self) -> BankServiceClient<Channel> {
        BankServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::BANK_MESSAGE_MAX)
    }

    pub(super) fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub(super) fn checkout(&self) -> CheckoutServiceClient<Channel> {
        CheckoutServiceClient::new(self.channel.clone())
    }

    pub(super) fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.channel.clone())
    }

    pub(super) fn reports(&self) -> ReportServiceClient<Channel> {
        ReportServiceClient::new(self.channel.clone())
    }

    pub(super) fn tills(&self) -> TillServiceClient<Channel> {
        TillServiceClient::new(self.channel.clone())
    }

    pub(super) fn wallets(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.channel.clone())
    }
}
