use super::*;

const NOW: u64 = 1_800_000_000_000_000;

fn now() -> Timestamp {
    Timestamp::from_micros(NOW)
}

#[test]
fn fingerprint_is_written_and_read_as_lower_case_hex() {
    let fingerprint = Fingerprint::from_bytes([0xab; 32]);
    assert_eq!(fingerprint.to_string(), "ab".repeat(32));
    assert_eq!(
        Fingerprint::from_hex(&fingerprint.to_string()),
        Some(fingerprint)
    );
    for text in [
        "",
        "ab",
        &"AB".repeat(32),
        &"g0".repeat(32),
        &"ab".repeat(33),
        &"+a".repeat(32),
    ] {
        assert_eq!(Fingerprint::from_hex(text), None, "{text}");
    }
}

#[test]
fn authority_read_back_signs_certificates_with_distinct_names() {
    let (_, kept) = Authority::create("Corner Shop", now()).unwrap();
    let authority = Authority::read(&kept.certificate, &kept.key).unwrap();
    let till = authority
        .till(&TillId::new("counter-1").unwrap(), now())
        .unwrap();
    let server = authority
        .server(
            &["palm.shop.example".to_owned(), "192.0.2.7".to_owned()],
            now(),
        )
        .unwrap();
    let operator = authority.operator(now()).unwrap();
    let fingerprints = [
        kept.fingerprint,
        till.fingerprint,
        server.fingerprint,
        operator.fingerprint,
    ];
    let distinct: std::collections::BTreeSet<_> = fingerprints.into_iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn hosts_and_keys_that_cannot_be_used_are_refused() {
    let (authority, kept) = Authority::create("Corner Shop", now()).unwrap();
    assert!(matches!(
        authority.server(&["münchen".to_owned()], now()),
        Err(PkiError::Issue(_))
    ));
    assert!(matches!(
        Authority::read("", &kept.key),
        Err(PkiError::Authority(_))
    ));
    assert!(matches!(
        Authority::read(&kept.certificate, "no key"),
        Err(PkiError::Authority(_))
    ));
}
