//! Templates of made-up people, as a till would make and seal them.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use palm_models::{
    burst::{Burst, Light},
    extract::extract,
    synth::{self, Identity, Pose},
    template::{Hand, Template},
};
use palm_proto::{
    envelope::{Binding, SealedTemplate, SealingKey},
    id::{CustomerId, PaymentId, RequestId, TillId},
    money::Money,
    v1,
};
use palm_server::entropy::{Entropy, SystemEntropy};

use crate::caller::Setup;

/// How often another pose is tried when a capture is refused, as a customer would.
const TRIES: u64 = 8;
/// The reader's usual burst: room, near infrared, visible; all LEDs.
const SHOTS: [(Light, u8); 3] = [
    (Light::Ambient, 0),
    (Light::Nir, 0xFF),
    (Light::Visible, 0xFF),
];

/// One capture of a made-up person's right hand. The same numbers give the same pixels.
#[must_use]
pub fn capture(person: u64, sample: u64) -> Burst {
    let identity = Identity::new(person, Hand::Right);
    synth::burst(&identity, &Pose::sampled(sample), &SHOTS, sample)
}

/// A template of a made-up person's right hand; poses that the extractor refuses are held again.
///
/// # Errors
/// When it refuses every one of a few.
pub fn template(person: u64, sample: u64) -> Result<Template> {
    let identity = Identity::new(person, Hand::Right);
    let tried = (0..TRIES).map(|again| {
        let seed = sample * TRIES + again;
        extract(&synth::burst(&identity, &Pose::sampled(seed), &SHOTS, seed))
    });
    let taken = tried.filter_map(Result::ok).next();
    Ok(taken
        .with_context(|| format!("no capture of person {person} was taken"))?
        .reference)
}

/// Random bytes for an id or a nonce.
#[must_use]
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    SystemEntropy::new().fill(&mut bytes);
    bytes
}

/// A capture nonce that was never used: cheap, and unlike any of another process.
#[must_use]
pub fn nonce() -> [u8; 16] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = random();
    bytes[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// A fresh payment id.
#[must_use]
pub fn payment_id() -> PaymentId {
    PaymentId::from_random(random())
}

/// A fresh request id.
#[must_use]
pub fn request_id() -> RequestId {
    RequestId::from_random(random())
}

/// Seals bytes for one use.
///
/// # Errors
/// When the key is none.
pub fn seal(key: &SealingKey, plaintext: &[u8], binding: &Binding) -> Result<SealedTemplate> {
    let entropy = SystemEntropy::new();
    Ok(key.seal(plaintext, binding, nonce(), &mut |out| entropy.fill(out))?)
}

/// The request of a payment by palm.
///
/// # Errors
/// As [`seal`].
pub fn payment(
    setup: &Setup,
    palm: &Template,
    payment: PaymentId,
    amount: Money,
) -> Result<v1::AuthorisePaymentRequest> {
    payment_of_bytes(setup, &palm.to_bytes(), payment, amount)
}

/// The request of a payment by something that may be no template.
///
/// # Errors
/// As [`seal`].
pub fn payment_of_bytes(
    setup: &Setup,
    plaintext: &[u8],
    payment: PaymentId,
    amount: Money,
) -> Result<v1::AuthorisePaymentRequest> {
    let binding = Binding::Payment {
        till: setup.till.clone(),
        payment,
        amount,
    };
    let sample = seal(&setup.key, plaintext, &binding)?;
    Ok(v1::AuthorisePaymentRequest {
        payment: payment.to_string(),
        amount: Some(amount.into()),
        sample: Some(sample.into()),
        capture_mode: v1::payment::CaptureMode::Automatic.into(),
        accepted_offline: false,
    })
}

/// The request of an enrolment.
///
/// # Errors
/// As [`seal`].
pub fn enrolment(
    setup: &Setup,
    customer: CustomerId,
    palms: &[Template],
) -> Result<v1::EnrolRequest> {
    let request = request_id();
    let till: TillId = setup.till.clone();
    let binding = Binding::Enrolment {
        till,
        customer,
        request,
    };
    let samples = palms
        .iter()
        .map(|palm| Ok(seal(&setup.key, &palm.to_bytes(), &binding)?.into()))
        .collect::<Result<_>>()?;
    let (request_id, customer) = (request.to_string(), customer.to_string());
    Ok(v1::EnrolRequest {
        request_id,
        customer,
        samples,
    })
}
