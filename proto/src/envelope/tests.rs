use super::*;
use crate::money::Currency;

fn binding(payment: u8, minor: u64) -> Binding {
    Binding::Payment {
        till: TillId::new("counter-1").unwrap(),
        payment: PaymentId::from_bytes([payment; 16]),
        amount: Money::amount(minor, Currency::KRW).unwrap(),
    }
}

fn sealed(key: &OpeningKey) -> SealedTemplate {
    let mut next = 0u8;
    let mut fill = |out: &mut [u8]| {
        out.fill_with(|| {
            next = next.wrapping_add(1);
            next
        });
    };
    key.sealing_key()
        .seal(&[5; 516], &binding(1, 4_500), [9; 16], &mut fill)
        .unwrap()
}

#[test]
fn opens_for_the_use_that_it_was_sealed_for() {
    let key = OpeningKey::new(3, [1; 32]);
    let sealed = sealed(&key);
    assert_eq!(sealed.ciphertext.len(), 532);
    assert_eq!(
        key.open(&sealed, &binding(1, 4_500)).unwrap().as_slice(),
        [5; 516]
    );
}

#[test]
fn opens_for_no_other_use_key_or_nonce() {
    let key = OpeningKey::new(3, [1; 32]);
    let sealed = sealed(&key);
    let refused = |key: &OpeningKey, sealed: &SealedTemplate, binding: &Binding| {
        assert_eq!(key.open(sealed, binding).unwrap_err(), EnvelopeError::Open);
    };
    refused(&key, &sealed, &binding(2, 4_500));
    refused(&key, &sealed, &binding(1, 4_501));
    refused(&OpeningKey::new(3, [2; 32]), &sealed, &binding(1, 4_500));
    refused(&OpeningKey::new(4, [1; 32]), &sealed, &binding(1, 4_500));
    let enrolment = Binding::Enrolment {
        till: TillId::new("counter-1").unwrap(),
        customer: CustomerId::from_bytes([1; 16]),
        request: RequestId::from_bytes([1; 16]),
    };
    refused(&key, &sealed, &enrolment);
    let mut other = sealed.clone();
    other.capture_nonce[0] ^= 1;
    refused(&key, &other, &binding(1, 4_500));
    let mut other = sealed.clone();
    other.ciphertext[100] ^= 1;
    refused(&key, &other, &binding(1, 4_500));
    let mut other = sealed;
    other.ciphertext.clear();
    refused(&key, &other, &binding(1, 4_500));
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(
        format!("{:?}", OpeningKey::new(3, [1; 32])),
        "OpeningKey(3)"
    );
}
