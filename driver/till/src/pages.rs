//! The pages of the till, on loopback: kiosk, cashier, one event stream, a few commands.
//!
//! Pages decide nothing: they draw snapshots and send commands. Everything they load is in this binary, and the
//! content-security policy lets them load nothing else. There is no login, because only this machine can connect; what
//! a browser of this machine may be lured into (another site posting here, a foreign name resolving to loopback) is
//! refused by the `Host` and `Origin` headers and the content type.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::{self, Body},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use palm_driver::EmulatorHandle;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};

use crate::{
    app::{Asked, Refused},
    command::{self, Malformed},
    limits,
    snapshot::Snapshot,
};

/// Version of the consent notice that the kiosk shows; `pages/messages.json` has its text.
pub const NOTICE_VERSION: &str = "2026-11";
/// Every word of the pages, Korean and English.
pub const MESSAGES: &str = include_str!("../pages/messages.json");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the pages: path, content type, content.
type Asset = (&'static str, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 8] = [
    ("/", HTML, include_str!("../pages/index.html")),
    ("/kiosk", HTML, include_str!("../pages/kiosk.html")),
    ("/cashier", HTML, include_str!("../pages/cashier.html")),
    (
        "/till.css",
        "text/css; charset=utf-8",
        include_str!("../pages/till.css"),
    ),
    ("/till.js", SCRIPT, include_str!("../pages/till.js")),
    ("/kiosk.js", SCRIPT, include_str!("../pages/kiosk.js")),
    ("/cashier.js", SCRIPT, include_str!("../pages/cashier.js")),
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../pages/icon.svg"),
    ),
];

/// What the pages' server shares.
#[derive(Debug, Clone)]
pub struct Pages {
    snapshots: watch::Receiver<Arc<str>>,
    commands: mpsc::Sender<Asked>,
    emulator: Option<EmulatorHandle>,
    hosts: Arc<[String]>,
    streams: Arc<Semaphore>,
}

impl Pages {
    /// Pages that draw `snapshots` and send to `commands`, reached through `port`.
    #[must_use]
    pub fn new(
        snapshots: watch::Receiver<Arc<str>>,
        commands: mpsc::Sender<Asked>,
        emulator: Option<EmulatorHandle>,
        port: u16,
    ) -> Self {
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        let streams = Arc::new(Semaphore::new(limits::STREAMS_MAX));
        Self {
            snapshots,
            commands,
            emulator,
            hosts: Arc::new(hosts),
            streams,
        }
    }

    /// The routes.
    pub fn router(self) -> Router {
        let mut router = Router::new();
        for (path, kind, content) in ASSETS {
            router = router.route(path, get(move || async move { typed(kind, content) }));
        }
        router
            .route(
                "/messages.json",
                get(|| async { typed("application/json", MESSAGES) }),
            )
            .route("/events", get(events))
            .route("/commands", post(commands))
            .route("/emulator", post(emulator))
            .route("/healthz", get(|| async { "ok\n" }))
            .fallback(|| async {
                let remedy = "see / for the pages";
                refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "", remedy)
            })
            .layer(middleware::from_fn_with_state(self.clone(), guarded))
            .with_state(self)
    }
}

/// A snapshot as one line of JSON.
pub(crate) fn json_of(snapshot: &Snapshot) -> String {
    serde_json::to_string(snapshot).expect("invariant: a snapshot is plain JSON")
}

fn typed(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], content).into_response()
}

/// What a page is told when it is refused.
#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
    field: &'a str,
    remedy: &'a str,
}

fn refusal(status: StatusCode, error: &str, field: &str, remedy: &str) -> Response {
    let body = serde_json::to_string(&Problem {
        error,
        field,
        remedy,
    })
    .expect("invariant: three texts are JSON");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::CONFLICT);
        refusal(status, self.error, self.field, self.remedy)
    }
}

impl IntoResponse for Malformed {
    fn into_response(self) -> Response {
        refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "MALFORMED",
            self.field,
            self.remedy,
        )
    }
}

/// Lets in only what this machine's own pages send, and puts the policy on every answer.
async fn guarded(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let mut response = match check(&pages.hosts, request.headers()) {
        Ok(()) => next.run(request).await,
        Err((field, remedy)) => refusal(StatusCode::FORBIDDEN, "FOREIGN", field, remedy),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(hosts: &[String], headers: &HeaderMap) -> Result<(), (&'static str, &'static str)> {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    let known = |host: &str| hosts.iter().any(|known| known == host);
    if !text(header::HOST).is_some_and(known) {
        return Err((
            "Host",
            "open the pages by the address that palm-till printed",
        ));
    }
    match text(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.strip_prefix("http://").is_some_and(known) => Ok(()),
        Some(_) => Err(("Origin", "send commands from the till's own pages")),
    }
}

async fn events(State(pages): State<Pages>) -> Response {
    let Ok(permit) = Arc::clone(&pages.streams).try_acquire_owned() else {
        let remedy = "close pages that are open elsewhere";
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "TOO_MANY_STREAMS",
            "",
            remedy,
        );
    };
    let stream = WatchStream::new(pages.snapshots).map(move |json: Arc<str>| {
        let _held = &permit;
        Ok(Event::default().data(&*json))
    });
    sse(stream).into_response()
}

fn sse<S>(stream: S) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send + 'static>
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    Sse::new(stream).keep_alive(KeepAlive::new().interval(limits::STREAM_KEEP_ALIVE))
}

async fn commands(State(pages): State<Pages>, request: Request) -> Response {
    let body = match json_body(request).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let command = match command::parse(&body) {
        Ok(command) => command,
        Err(malformed) => return malformed.into_response(),
    };
    let (answer, answered) = oneshot::channel();
    let stopping = || {
        let remedy = "the till is busy or stopping: try again";
        refusal(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "", remedy)
    };
    if pages.commands.try_send((command, answer)).is_err() {
        return stopping();
    }
    match answered.await {
        Ok(Ok(())) => done(),
        Ok(Err(refused)) => refused.into_response(),
        Err(_) => stopping(),
    }
}

fn done() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmulatorLine {
    line: String,
}

async fn emulator(State(pages): State<Pages>, request: Request) -> Response {
    let Some(emulator) = pages.emulator else {
        let remedy = "only a till with reader.kind = \"emulated\" has one";
        return refusal(StatusCode::NOT_FOUND, "NOT_EMULATED", "", remedy);
    };
    let body = match json_body(request).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let Ok(EmulatorLine { line }) = serde_json::from_slice(&body) else {
        let remedy = "send a JSON object such as {\"line\":\"PALM 7\"}";
        return refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "MALFORMED",
            "line",
            remedy,
        );
    };
    // A line may read a picture file, and the reader may be in the middle of a burst.
    let ran = tokio::task::spawn_blocking(move || emulator.run_line(&line)).await;
    match ran {
        Ok(Ok(())) => done(),
        Ok(Err(error)) => {
            let remedy = error.to_string();
            refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "MALFORMED",
                "line",
                &remedy,
            )
        }
        Err(_) => {
            let remedy = "the till is stopping";
            refusal(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "", remedy)
        }
    }
}

/// The body of a command. Only JSON, which a form of another site cannot send without asking first.
async fn json_body(request: Request<Body>) -> Result<Vec<u8>, Box<Response>> {
    let (parts, body) = request.into_parts();
    let kind = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let is_json = |kind: &str| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/json")
    };
    if !kind.is_some_and(is_json) {
        let remedy = "send Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Box::new(refusal(
            status,
            "NOT_JSON",
            "Content-Type",
            remedy,
        )));
    }
    match body::to_bytes(body, limits::BODY_MAX).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => {
            let remedy = "send at most 4096 bytes";
            Err(Box::new(refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "TOO_LARGE",
                "",
                remedy,
            )))
        }
    }
}

#[cfg(test)]
mod tests;
