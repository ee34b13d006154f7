use palm_models::template::{CODE_SIDE, Hand, ORIENTATIONS, OrientationCode};
use palm_proto::{
    id::PaymentId,
    money::{Currency, Money},
};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn caps() -> OfflineConfig {
    OfflineConfig {
        payment_max_minor: 5_000,
        total_max_minor: 8_000,
        seen_within_min: 60,
    }
}

/// The finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A palm of its own for each number; `off` of 16 cells differ.
fn template(palm: u64, off: u64) -> Template {
    let orientations = u64::from(ORIENTATIONS);
    let code = OrientationCode::from_cells(|row, column| {
        let cell = u64::try_from(row * CODE_SIDE + column).ok()?;
        let moved = u64::from(cell % 16 < off) * 2;
        let drawn = mix(palm.wrapping_mul(1_000_003) ^ cell) % orientations;
        u8::try_from((drawn + moved) % orientations).ok()
    });
    Template::orientation_only(Hand::Right, 80, code)
}

fn customer(n: u8) -> CustomerId {
    CustomerId::from_bytes([n; 16])
}

fn sale(n: u8, minor: u64) -> Sale {
    Sale {
        payment: PaymentId::from_random([n; 16]),
        amount: Money::amount(minor, Currency::KRW).unwrap(),
    }
}

fn request(sale: Sale) -> v1::AuthorisePaymentRequest {
    v1::AuthorisePaymentRequest {
        payment: sale.payment.to_string(),
        amount: Some(sale.amount.into()),
        sample: Some(v1::SealedTemplate {
            key_id: 1,
            encapsulated_key: vec![1; 32],
            ciphertext: vec![2; 500],
            capture_nonce: vec![3; 16],
        }),
        ..v1::AuthorisePaymentRequest::default()
    }
}

fn offline(folder: &Path) -> Offline {
    Offline::open(caps(), &folder.join("journal.offline")).unwrap()
}

fn accept(offline: &mut Offline, sale: Sale, probe: &Template, now: Duration) -> Option<String> {
    offline.accept(sale, probe, &request(sale), now).unwrap()
}

#[test]
fn only_palms_that_were_recognised_here_lately_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut offline = offline(folder.path());
    let known = template(1, 0);
    assert_eq!(accept(&mut offline, sale(1, 100), &known, MINUTE), None);
    offline.remember(customer(1), known.clone(), "K**".to_owned(), MINUTE);
    let again = template(1, 1);
    let taken = accept(&mut offline, sale(1, 100), &again, 2 * MINUTE);
    assert_eq!(taken.as_deref(), Some("K**"));
    assert_eq!(
        accept(&mut offline, sale(2, 100), &template(2, 0), 2 * MINUTE),
        None
    );
    assert_eq!(
        accept(&mut offline, sale(3, 100), &again, 61 * MINUTE),
        None,
        "long ago"
    );
    // Two people with one palm: nobody.
    offline.remember(customer(1), known.clone(), "K**".to_owned(), 61 * MINUTE);
    offline.remember(customer(2), known, "L**".to_owned(), 61 * MINUTE);
    assert_eq!(
        accept(&mut offline, sale(4, 100), &again, 62 * MINUTE),
        None
    );
}

#[test]
fn caps_hold_for_one_payment_and_for_all_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut offline = offline(folder.path());
    let palm = template(1, 0);
    offline.remember(customer(1), palm.clone(), "K**".to_owned(), MINUTE);
    let mut taken = |n, minor| accept(&mut offline, sale(n, minor), &palm, MINUTE).is_some();
    assert!(!taken(1, 5_001));
    assert!(taken(2, 5_000));
    assert!(!taken(3, 3_001));
    assert!(taken(4, 3_000));
    let (first, _) = offline.take_next().unwrap();
    assert_eq!(first, sale(2, 5_000));
    assert_eq!(offline.take_next(), None, "one at a time");
    offline.answered(first, true).unwrap();
    assert!(accept(&mut offline, sale(5, 5_000), &palm, MINUTE).is_some());
}

#[test]
fn what_was_accepted_survives_a_stop_and_is_sent_as_it_was_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let palm = template(1, 0);
    let mut before = offline(folder.path());
    before.remember(customer(1), palm.clone(), "K**".to_owned(), MINUTE);
    for n in [1, 2] {
        assert!(accept(&mut before, sale(n, 1_000), &palm, MINUTE).is_some());
    }
    drop(before);
    // A crash in the middle of a line: nobody was told of it.
    let path = folder.path().join("journal.offline");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [whole.as_slice(), b"{\"accepted\":{\"paym"].concat()).unwrap();
    let mut after = offline(folder.path());
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    let (sale_1, sent) = after.take_next().unwrap();
    let expected = v1::AuthorisePaymentRequest {
        accepted_offline: true,
        ..request(sale_1)
    };
    assert_eq!((sale_1, sent), (sale(1, 1_000), expected));
    after.not_sent();
    assert_eq!(after.take_next().unwrap().0, sale_1, "sent again");
    after.answered(sale_1, false).unwrap();
    let (sale_2, _) = after.take_next().unwrap();
    after.answered(sale_2, true).unwrap();
    let standing = Standing {
        waiting: 0,
        waiting_minor: 0,
        declined: 1,
        declined_minor: 1_000,
    };
    assert_eq!(after.standing(), standing);
    drop(after);
    let reopened = offline(folder.path());
    assert_eq!(reopened.standing(), standing, "the loss is not forgotten");
}

#[test]
fn damaged_file_is_named_with_its_line_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.offline");
    std::fs::write(&path, b"{}\n").unwrap();
    let error = Offline::open(caps(), &path).unwrap_err();
    assert!(
        matches!(error, JournalError::Line { line: 1, .. }),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
}
