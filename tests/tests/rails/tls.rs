//! The `stripe` rail over TLS: whom it trusts.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use palm_proto::{
    id::PaymentId,
    money::{Currency, Money},
};
use palm_server::{
    clock::{Clock, SystemClock},
    config::rails::StripeConfig,
    files,
    pki::{Authority, Credential},
    rail::{Action, Answer, Instrument, Rail, Step, StepId, stripe::Stripe},
};
use palm_tests::rails::stage::Stage;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

const HELD: &str = r#"{"id":"pi_1","status":"requires_capture","amount":4500,"currency":"krw"}"#;

/// A provider that holds whatever it is asked to, over TLS, and counts how often it was asked.
fn provider(credential: &Credential) -> Result<(Stage, Arc<AtomicUsize>)> {
    let chain = vec![CertificateDer::from_pem_slice(
        credential.certificate.as_bytes(),
    )?];
    let key = PrivateKeyDer::from_pem_slice(credential.key.as_bytes())?;
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let (config, asked) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let stage = Stage::start(move |stream| {
        // A client that does not trust us breaks the connection, as it should.
        drop(answer(stream, &config, &count));
    })?;
    Ok((stage, asked))
}

fn answer(stream: TcpStream, config: &Arc<ServerConfig>, asked: &AtomicUsize) -> Result<()> {
    let connection = ServerConnection::new(Arc::clone(config))?;
    let mut lines = BufReader::new(StreamOwned::new(connection, stream));
    let (mut line, mut length) = (String::new(), 0);
    while lines.read_line(&mut line)? > 2 {
        let header = line.trim_end().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
        line.clear();
    }
    lines.read_exact(&mut vec![0; length])?;
    asked.fetch_add(1, Ordering::SeqCst);
    let length = HELD.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{HELD}");
    lines.get_mut().write_all(answer.as_bytes())?;
    Ok(())
}

fn rail(folder: &Path, url: String, roots: &str) -> Result<Stripe> {
    let key = folder.join("stripe.key");
    if !key.exists() {
        files::write_new(&key, b"sk_test_0")?;
    }
    let path = folder.join("roots.pem");
    std::fs::write(&path, roots)?;
    let config = StripeConfig {
        base_url: url,
        roots: path,
        ..StripeConfig::new(key)
    };
    Ok(Stripe::new(&config, Arc::new(SystemClock))?)
}

#[tokio::test]
async fn a_provider_is_trusted_for_its_name_and_root_only_and_is_not_asked_otherwise() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let now = SystemClock.now();
    let (authority, root) = Authority::create("Roots", now)?;
    let (_, other_root) = Authority::create("Others", now)?;
    let (stage, asked) = provider(&authority.server(&[], now)?)?;
    let port = stage.address().port();
    let step = Step {
        id: StepId([1; 16]),
        payment: PaymentId::from_bytes([1; 16]),
        action: Action::Authorise,
        amount: Money::amount(4_500, Currency::KRW)?,
        instrument: Instrument::new("cus_1:pm_1")?,
        reference: None,
        time_us: now.micros(),
    };
    let right = rail(
        folder.path(),
        format!("https://localhost:{port}"),
        &root.certificate,
    )?;
    let answer = right.send(&step).await;
    assert!(matches!(answer, Answer::Approved { .. }), "{answer:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let distrusted = rail(
        folder.path(),
        format!("https://localhost:{port}"),
        &other_root.certificate,
    )?;
    assert_eq!(distrusted.send(&step).await, Answer::NotSent);
    // Loopback has more addresses than its certificate names.
    let misnamed = rail(
        folder.path(),
        format!("https://127.0.0.2:{port}"),
        &root.certificate,
    )?;
    assert_eq!(misnamed.send(&step).await, Answer::NotSent);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "neither was asked");
    drop(stage);
    let gone = right.send(&step).await;
    assert_eq!(gone, Answer::NotSent);
    Ok(())
}
