use std::collections::BTreeSet;

use axum::http::Method;
use palm_driver::Hint;
use palm_models::{attack::Suspicion, extract::Rejection};
use palm_proto::reason::ReasonCode;
use serde_json::Value;

use super::*;
use crate::{checkout::Trouble, command::Command, guidance::Guidance};

const HOST: &str = "127.0.0.1:4711";

struct Bench {
    router: Router,
    commands: mpsc::Receiver<Asked>,
    snapshots: watch::Sender<Arc<str>>,
}

fn bench(emulator: Option<EmulatorHandle>) -> Bench {
    let (snapshots, seen) = watch::channel(Arc::from("{\"version\":1,\"first\":true}"));
    let (asked, commands) = mpsc::channel(1);
    Bench {
        router: Pages::new(seen, asked, emulator, 4711).router(),
        commands,
        snapshots,
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn field(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert!(!body["remedy"].as_str().unwrap().is_empty());
        body["field"].as_str().unwrap().to_owned()
    }
}

async fn ask(router: &Router, request: Request) -> Answer {
    use tower_service::Service;
    let response = router.clone().call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

fn get_from(path: &str) -> Request {
    Request::get(path)
        .header("Host", HOST)
        .body(Body::empty())
        .unwrap()
}

fn post_to(path: &str, body: &str) -> Request {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("Host", HOST);
    request
        .header("Content-Type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn every_page_is_there_under_a_strict_policy_and_loads_nothing_from_elsewhere() {
    let bench = bench(None);
    for (path, kind, content) in ASSETS {
        let answer = ask(&bench.router, get_from(path)).await;
        assert_eq!(
            (
                answer.status,
                answer.headers["content-type"].to_str().unwrap()
            ),
            (200, kind)
        );
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let foreign = content.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http://") && !foreign.contains("https://"),
            "{path}"
        );
        assert!(
            !content.contains(" style=") && !content.contains("<style"),
            "{path}: inline style"
        );
        assert!(
            !content.contains(" onclick=\"") && !content.contains("<script>"),
            "{path}"
        );
        assert!(
            !content.contains("innerHTML"),
            "{path}: text is set as text"
        );
    }
    let total: usize = ASSETS.iter().map(|(_, _, content)| content.len()).sum();
    assert!(total + MESSAGES.len() < 100_000, "{total} bytes of pages");
    assert_eq!(ask(&bench.router, get_from("/healthz")).await.status, 200);
    assert_eq!(ask(&bench.router, get_from("/nowhere")).await.status, 404);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_and_nothing_is_done() {
    let mut bench = bench(None);
    let body = r#"{"command":"cancel"}"#;
    for (host, origin, field) in [
        ("evil.example", None, "Host"),
        ("evil.example:4711", None, "Host"),
        ("127.0.0.1", None, "Host"),
        ("127.0.0.1:80", None, "Host"),
        (HOST, Some("http://evil.example"), "Origin"),
        (HOST, Some("https://127.0.0.1:4711"), "Origin"),
        (HOST, Some("null"), "Origin"),
        (HOST, Some("http://127.0.0.1:4712"), "Origin"),
    ] {
        let mut request = post_to("/commands", body);
        request
            .headers_mut()
            .insert("Host", HeaderValue::from_static(host));
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert("Origin", HeaderValue::from_static(origin));
        }
        let answer = ask(&bench.router, request).await;
        assert_eq!(
            (answer.status, answer.field().as_str()),
            (403, field),
            "{host} {origin:?}"
        );
    }
    let mut request = post_to("/commands", body);
    request.headers_mut().remove("Host");
    assert_eq!(ask(&bench.router, request).await.status, 403);
    assert!(
        bench.commands.try_recv().is_err(),
        "no command came through"
    );
}

#[tokio::test]
async fn own_pages_may_command_and_are_told_why_not() {
    let Bench {
        router,
        mut commands,
        ..
    } = bench(None);
    let till = tokio::spawn(async move {
        let (command, answer) = commands.recv().await.unwrap();
        assert_eq!(
            command,
            Command::Charge {
                amount_minor: 4_500
            }
        );
        answer.send(Ok(())).unwrap();
        let (_, answer) = commands.recv().await.unwrap();
        answer
            .send(Err(crate::checkout::Refusal::Busy.into()))
            .unwrap();
    });
    let mut request = post_to("/commands", r#"{"command":"charge","amount_minor":4500}"#);
    request
        .headers_mut()
        .insert("Origin", HeaderValue::from_static("http://127.0.0.1:4711"));
    assert_eq!(ask(&router, request).await.status, 200);
    let answer = ask(&router, post_to("/commands", r#"{"command":"new"}"#)).await;
    assert_eq!((answer.status, answer.field().as_str()), (409, "command"));
    till.await.unwrap();
}

#[tokio::test]
async fn malformed_commands_name_the_field_and_reach_nobody() {
    let mut bench = bench(None);
    for (body, field) in [
        (r#"{"command":"charge","amount_minor":0}"#, "amount_minor"),
        (
            r#"{"command":"charge","amount_minor":-4500}"#,
            "amount_minor",
        ),
        (
            r#"{"command":"charge","amount_minor":99999999999999999999}"#,
            "amount_minor",
        ),
        (
            r#"{"command":"charge","amount_minor":"4500"}"#,
            "amount_minor",
        ),
        (r#"{"command":"explode"}"#, "command"),
        ("not json", ""),
    ] {
        let answer = ask(&bench.router, post_to("/commands", body)).await;
        assert_eq!(
            (answer.status, answer.field().as_str()),
            (422, field),
            "{body}"
        );
    }
    let huge = format!(r#"{{"command":"{}"}}"#, "x".repeat(5_000));
    assert_eq!(
        ask(&bench.router, post_to("/commands", &huge)).await.status,
        413
    );
    let mut form = post_to("/commands", r#"{"command":"cancel"}"#);
    form.headers_mut()
        .insert("Content-Type", HeaderValue::from_static("text/plain"));
    let answer = ask(&bench.router, form).await;
    assert_eq!(
        (answer.status, answer.field().as_str()),
        (415, "Content-Type")
    );
    assert_eq!(ask(&bench.router, get_from("/commands")).await.status, 405);
    assert!(
        bench.commands.try_recv().is_err(),
        "no command came through"
    );
}

#[tokio::test]
async fn emulator_is_moved_only_where_there_is_one() {
    let answer = ask(
        &bench(None).router,
        post_to("/emulator", r#"{"line":"PALM 7"}"#),
    )
    .await;
    assert_eq!(answer.status, 404);
    let emulator = EmulatorHandle::new(Box::<crate::sensor::SyntheticSensor>::default());
    let bench = bench(Some(emulator));
    for (body, status) in [
        (r#"{"line":"PALM 7"}"#, 200),
        (r#"{"line":"DANCE"}"#, 422),
        (r#"{"line":"IMAGE /nowhere.png"}"#, 422),
        (r#"{"line":7}"#, 422),
        ("", 422),
    ] {
        let answer = ask(&bench.router, post_to("/emulator", body)).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        if status == 422 {
            assert_eq!(answer.field(), "line");
        }
    }
}

#[tokio::test]
async fn event_stream_begins_with_the_current_snapshot_and_streams_are_bounded() {
    use tower_service::Service;
    let mut bench = bench(None);
    bench
        .snapshots
        .send(Arc::from("{\"version\":1,\"now\":2}"))
        .unwrap();
    let mut open = Vec::new();
    for _ in 0..limits::STREAMS_MAX {
        let response = bench.router.call(get_from("/events")).await.unwrap();
        assert_eq!(response.status(), 200);
        open.push(response.into_body().into_data_stream());
    }
    let first = open[0].next().await.unwrap().unwrap();
    assert_eq!(first, "data: {\"version\":1,\"now\":2}\n\n");
    assert_eq!(ask(&bench.router, get_from("/events")).await.status, 503);
    open.clear();
    assert_eq!(
        bench
            .router
            .call(get_from("/events"))
            .await
            .unwrap()
            .status(),
        200
    );
}

fn words(language: &str) -> serde_json::Map<String, Value> {
    let catalogue: Value = serde_json::from_str(MESSAGES).unwrap();
    catalogue[language].as_object().unwrap().clone()
}

/// Exhaustive: a new one does not compile until it stands here.
fn rejections() -> Vec<Rejection> {
    fn known(rejection: Rejection) -> Rejection {
        match rejection {
            Rejection::BackOfHand
            | Rejection::Blurred
            | Rejection::NoHand
            | Rejection::OffCentre
            | Rejection::PartlyHidden
            | Rejection::SpreadFingers
            | Rejection::Suspected(_)
            | Rejection::Tilted
            | Rejection::TooBright
            | Rejection::TooClose
            | Rejection::TooDark
            | Rejection::TooFar => rejection,
        }
    }
    use Rejection as R;
    [
        R::BackOfHand,
        R::Blurred,
        R::NoHand,
        R::OffCentre,
        R::PartlyHidden,
        R::SpreadFingers,
        R::Suspected(Suspicion::Flat),
        R::Tilted,
        R::TooBright,
        R::TooClose,
        R::TooDark,
        R::TooFar,
    ]
    .map(known)
    .to_vec()
}

fn guidances() -> Vec<Guidance> {
    let hints = [
        Hint::CentreHand,
        Hint::FlattenHand,
        Hint::HoldStill,
        Hint::MoveCloser,
        Hint::MoveFurther,
        Hint::ShowHand,
    ];
    let own = [
        Guidance::LIFT_HAND,
        Guidance::SAME_HAND,
        Guidance::OTHER_HAND,
        Guidance::ONCE_MORE,
    ];
    let hints = hints.into_iter().map(Guidance::from);
    rejections()
        .into_iter()
        .map(Guidance::from)
        .chain(hints)
        .chain(own)
        .collect()
}

#[test]
fn every_hint_and_reason_has_words_in_both_languages() {
    let troubles = [
        Trouble::Journal,
        Trouble::NotBooked,
        Trouble::SealingKey,
        Trouble::Unreachable,
    ];
    let mut wanted: BTreeSet<String> = guidances()
        .iter()
        .map(|guidance| format!("hint.{}", guidance.as_str()))
        .collect();
    wanted.extend(
        ReasonCode::ALL
            .iter()
            .map(|reason| format!("reason.{}", reason.as_str())),
    );
    wanted.extend(
        troubles
            .iter()
            .map(|trouble| format!("reason.{}", trouble.as_str())),
    );
    for language in crate::enrolment::Language::ALL {
        let words = words(language.tag());
        for key in &wanted {
            let said = words.get(key).and_then(Value::as_str).unwrap_or_default();
            assert!(!said.is_empty(), "{}: {key}", language.tag());
        }
    }
}

#[test]
fn both_languages_say_the_same_things_about_the_same_notice() {
    let keys = |language| words(language).keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys("ko"), keys("en"));
    assert_eq!(words("ko")["notice.version"], NOTICE_VERSION);
    assert_eq!(words("en")["notice.version"], NOTICE_VERSION);
    let holes = |text: &Value| {
        let text = text.as_str().unwrap().to_owned();
        text.split('{')
            .skip(1)
            .map(|part| part.split('}').next().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    let english = words("en");
    for (key, korean) in words("ko") {
        assert_eq!(holes(&korean), holes(&english[&key]), "{key}");
    }
}

#[test]
fn every_key_that_the_scripts_name_is_in_the_catalogue() {
    let known = words("en");
    for (path, _, content) in ASSETS {
        for part in content
            .split("text(\"")
            .chain(content.split("button(\""))
            .skip(1)
        {
            let key = part.split('"').next().unwrap();
            if key.contains('.') && !key.contains(' ') && key.len() < 40 {
                assert!(known.contains_key(key), "{path}: {key}");
            }
        }
    }
}
