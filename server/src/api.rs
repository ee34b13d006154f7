//! The service on the wire: gRPC over mutual TLS.
//!
//! A handler admits its caller, lets [`palm_proto::request`] read the request, calls one part of the [`Service`] and
//! writes the answer. It decides nothing. Refusals become statuses in `status.rs` and nowhere else.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use palm_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        bank_service_server::BankServiceServer, checkout_service_server::CheckoutServiceServer,
        customer_service_server::CustomerServiceServer,
        enrolment_service_server::EnrolmentServiceServer,
        keyholder_service_server::KeyholderServiceServer,
        payment_service_server::PaymentServiceServer, report_service_server::ReportServiceServer,
        till_service_server::TillServiceServer, wallet_service_server::WalletServiceServer,
    },
};
use tokio::net::TcpListener;
use tonic::transport::{
    Certificate, Identity, Server, ServerTlsConfig,
    server::{Router, TcpIncoming},
};
use zeroize::Zeroizing;

use crate::{gallery::holder::Holder, limits, pki::Fingerprint, service::Service};

mod admission;
mod bank;
mod checkout;
mod customers;
mod enrolment;
mod keyholder;
mod payments;
mod reports;
mod status;
mod tills;
mod wallets;
mod wire;

/// The service's certificate and key, and the CA of its callers', PEM.
pub struct TlsFiles {
    /// The service's certificate.
    pub certificate: String,
    /// Its private key.
    pub key: Zeroizing<String>,
    /// Who signs the certificates of tills and operators.
    pub ca: String,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsFiles")
    }
}

/// Why the service is not, or no longer, on the wire.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: is another palmd running there? Choose another `listen` in palmd.toml"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The descriptions of the services cannot be served.
    #[error("the protocol's description cannot be served: this is a defect of the build")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The certificates cannot be used, or the connection layer failed.
    #[error(
        "the connection layer failed: check that tls.certificate, tls.key and tls.ca are PEM and belong together"
    )]
    Transport(#[from] tonic::transport::Error),
}

/// Takes an address to listen on.
///
/// # Errors
/// [`ServeError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// A service that is ready to be served.
#[derive(Debug)]
pub struct Api {
    router: Router,
}

/// One part of the service behind its generated server.
#[derive(Debug, Clone)]
struct Part(Arc<Service>);

impl Api {
    /// Puts the service behind TLS, with health and reflection beside it.
    ///
    /// # Errors
    /// [`ServeError`] when the certificates cannot be used.
    pub async fn new(
        service: Arc<Service>,
        tls: &TlsFiles,
        call_timeout: Duration,
    ) -> Result<Self, ServeError> {
        macro_rules! part {
            ($server:ident) => {
                $server::new(Part(Arc::clone(&service)))
                    .max_decoding_message_size(limits::MESSAGE_MAX)
            };
        }
        let (health, health_server) = tonic_health::server::health_reporter();
        health.set_serving::<CustomerServiceServer<Part>>().await;
        health.set_serving::<EnrolmentServiceServer<Part>>().await;
        health.set_serving::<CheckoutServiceServer<Part>>().await;
        health.set_serving::<PaymentServiceServer<Part>>().await;
        health.set_serving::<ReportServiceServer<Part>>().await;
        health.set_serving::<WalletServiceServer<Part>>().await;
        health.set_serving::<TillServiceServer<Part>>().await;
        health.set_serving::<BankServiceServer<Part>>().await;
        // Files of banks are larger than requests.
        let bank = BankServiceServer::new(Part(Arc::clone(&service)))
            .max_decoding_message_size(limits::BANK_MESSAGE_MAX);
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(ServeError::Reflection)?;
        let router = server(tls, call_timeout)?
            .add_service(health_server)
            .add_service(reflection)
            .add_service(part!(CustomerServiceServer))
            .add_service(part!(EnrolmentServiceServer))
            .add_service(part!(CheckoutServiceServer))
            .add_service(part!(PaymentServiceServer))
            .add_service(part!(ReportServiceServer))
            .add_service(part!(WalletServiceServer))
            .add_service(bank)
            .add_service(part!(TillServiceServer));
        Ok(Self { router })
    }

    /// Puts a keyholder of its own behind TLS, for the matcher with this certificate.
    ///
    /// # Errors
    /// [`ServeError`] when the certificates cannot be used.
    pub fn of_keyholder(
        holder: Arc<Holder>,
        matcher: Fingerprint,
        tls: &TlsFiles,
    ) -> Result<Self, ServeError> {
        let desk = KeyholderServiceServer::new(keyholder::Desk { holder, matcher })
            .max_decoding_message_size(limits::LINK_MESSAGE_MAX)
            .max_encoding_message_size(limits::LINK_MESSAGE_MAX);
        let router = server(tls, limits::LINK_ATTACH_TIMEOUT)?
            .initial_stream_window_size(limits::LINK_WINDOW)
            .initial_connection_window_size(limits::LINK_WINDOW)
            .add_service(desk);
        Ok(Self { router })
    }

    /// Serves until `stop`; then takes no more calls and gives those in progress [`limits::STOP_GRACE`].
    ///
    /// # Errors
    /// [`ServeError::Transport`].
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = self.router.serve_with_incoming_shutdown(incoming, async {
            // An error means that the sender is gone, which is a stop as well.
            drop(stopped.await);
        });
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            result = &mut serving => return Ok(result?),
            () = stop => {}
        }
        drop(stopping);
        match tokio::time::timeout(limits::STOP_GRACE, serving).await {
            Ok(result) => Ok(result?),
            Err(_) => {
                tracing::warn!("calls were still in progress at the end of the grace time");
                Ok(())
            }
        }
    }
}

/// Looks whether certificate, key and CA can be used.
///
/// # Errors
/// [`ServeError::Transport`].
pub fn check(tls: &TlsFiles) -> Result<(), ServeError> {
    server(tls, limits::HANDSHAKE_TIMEOUT).map(drop)
}

fn server(tls: &TlsFiles, call_timeout: Duration) -> Result<Server, ServeError> {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&tls.certificate, tls.key.as_bytes()))
        .client_ca_root(Certificate::from_pem(&tls.ca))
        .timeout(limits::HANDSHAKE_TIMEOUT);
    let server = Server::builder()
        .timeout(call_timeout)
        .max_concurrent_streams(limits::STREAMS_MAX)
        .http2_keepalive_interval(Some(limits::KEEP_ALIVE))
        .http2_keepalive_timeout(Some(limits::KEEP_ALIVE_TIMEOUT))
        .tls_config(tls)?;
    Ok(server)
}

#[cfg(test)]
mod tests;
