//! Takes the card provider's signed messages by HTTP: `POST /stripe`, one message a connection.
//!
//! A message only says what to ask the provider about. 204 is answered when what it says is on disk, was known, or is
//! none of ours; then the provider is done with it, and a replay changes nothing. Anything else makes it send the
//! message again.
//!
//! | answer | when |
//! |---|---|
//! | 204 | done, known, or not ours |
//! | 400 | not signed, signed wrongly or long ago, or no event: all alike |
//! | 404, 405 | another path, another method |
//! | 408, 413 | too slow, too long |
//! | 503 | the provider or the store did not answer, or too many at once |
//!
//! It speaks plain HTTP: on loopback, or behind a reverse proxy that ends TLS.

use std::{convert::Infallible, fmt, sync::Arc};

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes},
    header::CONNECTION,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tracing::{error, info, warn};

use crate::{
    clock::Clock,
    error::Error,
    limits,
    rail::stripe::{BODY_MAX, Webhook, WebhookEvent},
    service::Service,
};

/// Where messages are posted to.
pub const PATH: &str = "/stripe";
const SIGNATURE: &str = "Stripe-Signature";

/// Takes messages for a service.
#[derive(Clone)]
pub struct Webhooks {
    service: Arc<Service>,
    webhook: Arc<Webhook>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhooks")
    }
}

type Answer = Response<Empty<Bytes>>;

impl Webhooks {
    /// For one endpoint of the provider's.
    #[must_use]
    pub fn new(service: Arc<Service>, webhook: Webhook, clock: Arc<dyn Clock>) -> Self {
        let webhook = Arc::new(webhook);
        Self {
            service,
            webhook,
            clock,
        }
    }

    /// Takes messages for as long as it is polled; what is in progress when it is dropped comes again.
    pub async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(limits::WEBHOOKS_MAX));
        let mut talks = tokio::task::JoinSet::new();
        loop {
            // Whoever finds no place waits to be accepted.
            let place = Arc::clone(&places).acquire_owned().await;
            let accepted = (place, listener.accept().await);
            while talks.try_join_next().is_some() {}
            match accepted {
                (Ok(place), Ok((stream, _))) => {
                    let webhooks = self.clone();
                    talks.spawn(async move {
                        webhooks.talk(stream).await;
                        drop(place);
                    });
                }
                (_, Err(error)) => {
                    warn!(%error, "a message of the card provider cannot be accepted");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
                (Err(_), Ok(_)) => return,
            }
        }
    }

    async fn talk(&self, stream: TcpStream) {
        let service =
            service_fn(|request| async { Ok::<_, Infallible>(self.answered(request).await) });
        let talking = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::WEBHOOK_READ_TIMEOUT)
            .max_buf_size(limits::WEBHOOK_HEADERS_MAX)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // A connection that breaks is the provider's affair: it comes again.
        drop(timeout(limits::WEBHOOK_TIMEOUT, talking).await);
    }

    async fn answered<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let status = match self.take(request).await {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(status) => status,
        };
        let mut answer = Response::new(Empty::new());
        *answer.status_mut() = status;
        let close = hyper::header::HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
        answer
    }

    async fn take<B>(&self, request: Request<B>) -> Result<(), StatusCode>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if request.uri().path() != PATH {
            return Err(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (head, body) = request.into_parts();
        let signature = head.headers.get(SIGNATURE);
        let signature = signature.and_then(|value| value.to_str().ok());
        let signature = signature.ok_or(StatusCode::BAD_REQUEST)?;
        let body = Box::pin(Limited::new(body, BODY_MAX)).collect();
        let body = timeout(limits::WEBHOOK_READ_TIMEOUT, body).await;
        let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            }
        })?;
        let opened = self
            .webhook
            .open(signature, &body.to_bytes(), self.clock.now());
        let event = opened.map_err(|error| {
            let error = &error as &dyn std::error::Error;
            warn!(
                error,
                "a message that is not believed to be the card provider's"
            );
            StatusCode::BAD_REQUEST
        })?;
        match self.act(event).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StatusCode::SERVICE_UNAVAILABLE),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "the card provider is to send a message again");
                Err(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// Looks up what a message is about; says whether it is done with.
    async fn act(&self, event: WebhookEvent) -> Result<bool, Error> {
        match event {
            WebhookEvent::Payment(payment) => self.service.payments.look_again(payment).await,
            WebhookEvent::RefundFailed(payment) => {
                // A refund is booked when the provider takes it; what a bank sends back later is for people.
                error!(%payment, "the card's bank sent a refund back: give the money back another way");
                self.service.payments.look_again(payment).await
            }
            WebhookEvent::CardPage(customer) => {
                match self.service.cards.look_again(customer).await {
                    Ok(()) => info!(%customer, "the card provider told how it went with a page"),
                    // Erased meanwhile: the provider is told to forget them.
                    Err(Error::CustomerNotFound) => {}
                    Err(error) => return Err(error),
                }
                Ok(true)
            }
            WebhookEvent::Other => Ok(true),
        }
    }
}
