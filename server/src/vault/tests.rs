use super::*;
use crate::entropy::SeededEntropy;

const PLACE: Place<'static> = Place {
    table: "template",
    key: b"customer-1/right/0",
};

fn person(number: u8) -> CustomerId {
    CustomerId::from_bytes([number; 16])
}

#[test]
fn value_opens_where_it_was_sealed_and_nowhere_else() {
    let entropy = SeededEntropy::new(1);
    let (key, _) = Keyholder::new([1; 32]).create_person_key(person(1), &entropy);
    let sealed = key.seal(&PLACE, b"palm", &entropy);
    assert_eq!(key.open(&PLACE, &sealed).unwrap().as_slice(), b"palm");
    for place in [
        Place {
            key: b"customer-1/right/1",
            ..PLACE
        },
        Place {
            table: "name",
            ..PLACE
        },
        Place {
            table: "templatec",
            key: b"ustomer-1/right/0",
        },
    ] {
        assert_eq!(key.open(&place, &sealed).unwrap_err(), VaultError::Open);
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let entropy = SeededEntropy::new(1);
    let (key, _) = Keyholder::new([1; 32]).create_person_key(person(1), &entropy);
    let sealed = key.seal(&PLACE, b"palm", &entropy);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(key.open(&PLACE, &changed).is_err(), "byte {at}");
    }
    for length in 0..sealed.len() {
        assert!(
            key.open(&PLACE, &sealed[..length]).is_err(),
            "cut to {length}"
        );
    }
}

#[test]
fn wrapped_key_opens_for_its_person_and_keyholder_only() {
    let entropy = SeededEntropy::new(1);
    let keyholder = Keyholder::new([1; 32]);
    let (key, wrapped) = keyholder.create_person_key(person(1), &entropy);
    let sealed = key.seal(&PLACE, b"palm", &entropy);
    let wrapped = WrappedKey::from_bytes(&wrapped.to_bytes()).unwrap();
    let again = keyholder.unwrap(person(1), &wrapped).unwrap();
    assert_eq!(again.open(&PLACE, &sealed).unwrap().as_slice(), b"palm");
    assert_eq!(
        keyholder.unwrap(person(2), &wrapped).unwrap_err(),
        VaultError::Open
    );
    let other = Keyholder::new([2; 32])
        .unwrap(person(1), &wrapped)
        .unwrap_err();
    assert!(other.to_string().contains("master key file"));
}

#[test]
fn same_value_sealed_twice_differs() {
    let entropy = SeededEntropy::new(1);
    let (key, _) = Keyholder::new([1; 32]).create_person_key(person(1), &entropy);
    assert_ne!(
        key.seal(&PLACE, b"palm", &entropy),
        key.seal(&PLACE, b"palm", &entropy)
    );
}

#[test]
fn debug_shows_no_secret() {
    let keyholder = Keyholder::new([0xAB; 32]);
    let (key, _) = keyholder.create_person_key(person(1), &SeededEntropy::new(1));
    assert_eq!(format!("{keyholder:?} {key:?}"), "Keyholder PersonKey");
}
