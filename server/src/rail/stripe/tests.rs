use palm_proto::{id::PaymentId, money::Currency};

use super::*;
use crate::{
    clock::{ManualClock, Timestamp},
    rail::Instrument,
};
use wire::ErrorBody;

/// A refusal as the provider writes it.
fn told(error: &str) -> ReasonCode {
    let body: ErrorBody = serde_json::from_str(&format!(r#"{{"error":{{{error}}}}}"#)).unwrap();
    decline::reason(&body.error)
}

#[test]
fn what_the_bank_says_is_told_by_what_can_be_done_about_it() {
    use ReasonCode as R;
    for (code, reason) in [
        ("insufficient_funds", R::CardFundsInsufficient),
        ("expired_card", R::CardExpired),
        ("authentication_required", R::AuthenticationRequired),
        ("card_velocity_exceeded", R::CardLimitExceeded),
        ("issuer_not_available", R::RailUnavailable),
        // Nobody at the counter learns which of these it was.
        ("stolen_card", R::CardDeclined),
        ("lost_card", R::CardDeclined),
        ("fraudulent", R::CardDeclined),
        ("a_code_of_next_year", R::CardDeclined),
    ] {
        let error =
            format!(r#""type":"card_error","code":"card_declined","decline_code":"{code}""#);
        assert_eq!(told(&error), reason, "{code}");
    }
}

#[test]
fn what_the_provider_says_is_told_by_what_can_be_done_about_it() {
    use ReasonCode as R;
    for (error, reason) in [
        (r#""code":"expired_card""#, R::CardExpired),
        (
            r#""code":"resource_missing","param":"payment_method""#,
            R::CardUnknown,
        ),
        (
            r#""code":"resource_missing","param":"intent""#,
            R::RailRefused,
        ),
        (r#""code":"amount_too_small""#, R::AmountInvalid),
        (r#""code":"payment_intent_unexpected_state""#, R::HoldGone),
        (
            r#""type":"card_error","code":"of_next_year""#,
            R::CardDeclined,
        ),
        (r#""type":"invalid_request_error""#, R::RailRefused),
        ("", R::RailRefused),
    ] {
        assert_eq!(told(error), reason, "{error}");
    }
}

#[test]
fn forms_are_percent_encoded() {
    let form = Form::default()
        .with("metadata[step]", "a b&c=d")
        .with_some("customer", None::<&str>)
        .with("url", "https://x.example/?q=é");
    assert_eq!(
        form.as_str(),
        "metadata%5Bstep%5D=a%20b%26c%3Dd&url=https%3A%2F%2Fx.example%2F%3Fq%3D%C3%A9"
    );
}

fn money(minor: u64, code: &str) -> Money {
    Money::amount(minor, code.parse().unwrap()).unwrap()
}

#[test]
fn amounts_are_the_provider_s_minor_units() {
    let text = |minor, code| amount(money(minor, code)).as_str().to_owned();
    assert_eq!(text(4_500, "KRW"), "amount=4500&currency=krw");
    assert_eq!(text(4_500, "JPY"), "amount=4500&currency=jpy");
    assert_eq!(text(450, "EUR"), "amount=450&currency=eur");
    assert_eq!(text(4_500, "KWD"), "amount=4500&currency=kwd");
    assert_eq!(unfit(money(4_501, "KWD")), Some(ReasonCode::AmountInvalid));
    assert_eq!(unfit(money(4_500, "BHD")), None);
    assert_eq!(unfit(money(4_501, "KRW")), None);
}

fn file(folder: &std::path::Path, text: &str, mode: u32) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("stripe.key");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn rail(key: std::path::PathBuf) -> Result<Stripe, StripeError> {
    let config = StripeConfig {
        base_url: "http://127.0.0.1:9".to_owned(),
        ..StripeConfig::new(key)
    };
    let clock = ManualClock::new(Timestamp::from_micros(0));
    Stripe::new(&config, Arc::new(clock))
}

#[test]
fn the_key_comes_from_a_file_for_its_owner_only_and_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let rail_of = |text, mode| rail(file(folder.path(), text, mode));
    let good = rail_of("sk_test_0000secret\n", 0o600).unwrap();
    assert!(!format!("{good:?}").contains("secret"));
    assert!(matches!(
        rail_of("sk_test_0", 0o644),
        Err(StripeError::File(FileError::Exposed(_)))
    ));
    for text in ["", "pk_test_public", "sk_two words", "4242424242424242"] {
        assert!(
            matches!(rail_of(text, 0o600), Err(StripeError::Key)),
            "{text}"
        );
    }
    let missing = rail(folder.path().join("none"));
    assert!(matches!(
        missing,
        Err(StripeError::File(FileError::Read { .. }))
    ));
    let config = StripeConfig {
        roots: file(folder.path(), "sk_test_0 and no certificate", 0o600),
        ..StripeConfig::new(folder.path().join("stripe.key"))
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    std::fs::write(folder.path().join("roots"), "none").unwrap();
    let config = StripeConfig {
        key: file(folder.path(), "sk_test_0", 0o600),
        roots: folder.path().join("roots"),
        ..config
    };
    assert!(matches!(
        Stripe::new(&config, clock),
        Err(StripeError::Roots)
    ));
}

fn step(action: Action, reference: &str) -> Step {
    Step {
        id: StepId([0xab; 16]),
        payment: PaymentId::from_bytes([1; 16]),
        action,
        amount: Money::amount(4_500, Currency::KRW).unwrap(),
        instrument: Instrument::new("cus_1:pm_2").unwrap(),
        reference: Reference::new(reference).ok(),
        time_us: 0,
    }
}

fn intent(status: &str, received: u64) -> PaymentIntent {
    let text = format!(
        r#"{{"id":"pi_1","status":"{status}","amount":4500,"currency":"krw","amount_received":{received}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_state_of_a_payment_tells_what_became_of_a_capture_or_a_void() {
    let done = approved("pi_1");
    let gone = Answer::Declined(ReasonCode::HoldGone);
    for (action, status, received, answer) in [
        (Action::Capture, "succeeded", 4_500, done.clone()),
        (Action::Capture, "succeeded", 4_000, gone.clone()),
        (Action::Capture, "requires_capture", 0, Answer::NotSent),
        (Action::Capture, "canceled", 0, gone.clone()),
        (Action::Capture, "processing", 0, Answer::Unknown),
        (Action::Capture, "a_state_of_next_year", 0, Answer::Unknown),
        (Action::Void, "canceled", 0, done),
        (Action::Void, "succeeded", 4_500, gone),
        (Action::Void, "requires_capture", 0, Answer::NotSent),
    ] {
        let told = settled(&step(action, "pi_1"), &intent(status, received));
        assert_eq!(told, answer, "{action:?} {status} {received}");
    }
}

#[test]
fn ids_that_could_lead_a_path_astray_are_none_of_this_rail_s() {
    for reference in [
        "pi_1/../../customers",
        "pi_1?x",
        "re_1",
        "000123.1125103059.632910.-",
    ] {
        assert_eq!(
            intent_id(&step(Action::Capture, reference)),
            None,
            "{reference}"
        );
    }
    assert_eq!(
        intent_id(&step(Action::Capture, "pi_1")).as_deref(),
        Some("pi_1")
    );
    assert_eq!(
        key(StepId([0xab; 16]), "-x"),
        format!("{}-x", "ab".repeat(16))
    );
    let parts = |text| {
        let instrument = Instrument::new(text).unwrap();
        let (customer, method) = saving::parts(&instrument);
        (customer.map(ToOwned::to_owned), method.to_owned())
    };
    assert_eq!(
        parts("cus_1:pm_2"),
        (Some("cus_1".to_owned()), "pm_2".to_owned())
    );
    assert_eq!(parts("pm_2"), (None, "pm_2".to_owned()));
}

const BODY: &str = concat!(
    r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","#,
    r#""metadata":{"openpalm_payment":"payments/67e55044-10b1-426f-9247-bb680e5fe0c8"}}}}"#,
);
/// `printf '1000.BODY' | openssl dgst -sha256 -hmac whsec_test`, where BODY is [`BODY`].
const SIGNATURE: &str = "1227d56c2e322117d84569b1a48f1f7435071a7d0c47ae685c053d2dab901791";

fn open(header: &str, body: &str, now_s: u64) -> Result<WebhookEvent, WebhookError> {
    let now = Timestamp::from_micros(now_s * 1_000_000);
    Webhook::new(b"whsec_test").open(header, body.as_bytes(), now)
}

#[test]
fn a_signed_message_is_read_and_any_other_refused() {
    let header = format!("t=1000,v1={SIGNATURE}");
    let name = "payments/67e55044-10b1-426f-9247-bb680e5fe0c8";
    let payment = Ok(WebhookEvent::Payment(name.parse().unwrap()));
    assert_eq!(open(&header, BODY, 1_000), payment);
    let now = Timestamp::from_micros(1_000_000_000);
    assert_eq!(
        Webhook::new(b"whsec_test").sign(BODY.as_bytes(), now),
        header
    );
    assert_eq!(open(&header, BODY, 1_000 + TOLERANCE_S), payment);
    let both = format!("t=1000,v1={},v0=x,v1={SIGNATURE}", "0".repeat(64));
    assert_eq!(open(&both, BODY, 1_000), payment);

    assert_eq!(
        open(&header, BODY, 1_001 + TOLERANCE_S),
        Err(WebhookError::Stale)
    );
    assert_eq!(
        open(&header, BODY, 999 - TOLERANCE_S),
        Err(WebhookError::Stale)
    );
    let moved = header.replace("t=1000", "t=1001");
    assert_eq!(open(&moved, BODY, 1_001), Err(WebhookError::Signature));
    let other = BODY.replace("pi_1", "pi_2");
    assert_eq!(open(&header, &other, 1_000), Err(WebhookError::Signature));
    for header in [
        "",
        "t=1000",
        "v1=00",
        "t=1000,v1=zz",
        &format!("t=1,{}", "x".repeat(2_000)),
    ] {
        assert_eq!(
            open(header, BODY, 1_000),
            Err(WebhookError::Header),
            "{header}"
        );
    }
}

#[test]
fn messages_say_what_to_look_up_and_others_payments_are_left_alone() {
    let payment = "payments/67e55044-10b1-426f-9247-bb680e5fe0c8";
    let customer = "customers/67e55044-10b1-426f-9247-bb680e5fe0c8";
    let read = |kind: &str, status: &str, ours: &str| {
        let object = format!(r#"{{"id":"x_1","status":"{status}","metadata":{ours}}}"#);
        let body = format!(r#"{{"type":"{kind}","data":{{"object":{object}}}}}"#);
        let webhook = Webhook::new(b"whsec_test");
        let now = Timestamp::from_micros(5_000_000);
        let header = webhook.sign(body.as_bytes(), now);
        webhook.open(&header, body.as_bytes(), now).unwrap()
    };
    let paid = format!(r#"{{"openpalm_payment":"{payment}"}}"#);
    let page = format!(r#"{{"openpalm_customer":"{customer}"}}"#);
    let paid_event = WebhookEvent::Payment(payment.parse().unwrap());
    for kind in [
        "payment_intent.canceled",
        "charge.refunded",
        "refund.updated",
    ] {
        assert_eq!(read(kind, "succeeded", &paid), paid_event, "{kind}");
    }
    let failed = WebhookEvent::RefundFailed(payment.parse().unwrap());
    for kind in ["refund.failed", "charge.refund.updated"] {
        assert_eq!(read(kind, "failed", &paid), failed, "{kind}");
    }
    let page_event = WebhookEvent::CardPage(customer.parse().unwrap());
    for kind in ["checkout.session.completed", "checkout.session.expired"] {
        assert_eq!(read(kind, "", &page), page_event, "{kind}");
        assert_eq!(read(kind, "", "{}"), WebhookEvent::Other, "{kind}");
    }
    for (kind, ours) in [
        ("payment_intent.succeeded", "null"),
        ("payment_intent.succeeded", &page),
        ("payout.paid", &paid),
    ] {
        assert_eq!(read(kind, "", ours), WebhookEvent::Other, "{kind}");
    }
}

#[test]
fn config_of_the_rails_is_checked_by_name() {
    let example = include_str!("../../../palmd.example.toml");
    let parse = |section: &str| {
        let text = format!("{example}\n{section}");
        crate::config::Config::parse(&text, std::path::Path::new("/etc/palm/palmd.toml"))
    };
    let stripe = "[rails.stripe]\nkey = \"stripe.key\"\n";
    let config = parse(stripe).unwrap().rails.stripe.unwrap();
    assert_eq!(config, StripeConfig::new("/etc/palm/stripe.key".into()));
    for (line, key) in [
        ("base_url = \"http://api.example\"", "base_url"),
        ("base_url = \"http://127.0.0.1.example\"", "base_url"),
        ("base_url = \"https://user@api.example\"", "base_url"),
        ("call_timeout_ms = 0", "call_timeout_ms"),
        ("connect_timeout_ms = 90000", "connect_timeout_ms"),
        ("token = \"sk_test\"", "unknown field"),
        ("return_url = \"http://shop.example\"", "return_url"),
        ("webhook_address = \"127.0.0.1:0\"", "webhook_secret"),
    ] {
        let refused = parse(&format!("{stripe}{line}")).unwrap_err().to_string();
        assert!(refused.contains(key), "{refused}");
    }
    let host = "[rails.iso8583]\nhost = \"127.0.0.1:9\"\nterminal = \"T1\"\nmerchant = \"M1\"\n\
                trace_book = \"trace.book\"\n";
    let config = parse(host).unwrap().rails.iso8583.unwrap();
    assert_eq!(
        config.trace_book,
        std::path::Path::new("/etc/palm/trace.book")
    );
    for (line, key) in [
        ("token_field = 2", "token_field"),
        ("entry_mode = \"1\"", "entry_mode"),
        ("tpdu = \"60000100\"", "tpdu"),
        ("echo_s = 0", "echo_s"),
        ("answer_timeout_ms = 1", "answer_timeout_ms"),
        ("utc_offset_min = 900", "utc_offset_min"),
    ] {
        let refused = parse(&format!("{host}{line}")).unwrap_err().to_string();
        assert!(refused.contains(key), "{refused}");
    }
}
