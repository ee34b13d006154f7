//! The system's randomness. The only file that names the `ring` crate.

use palm_proto::id::{PaymentId, RequestId};
use ring::rand::{SecureRandom, SystemRandom};

/// Fills `bytes` from the operating system.
pub fn system(bytes: &mut [u8]) {
    SystemRandom::new()
        .fill(bytes)
        .expect("invariant: the operating system gives random bytes");
}

/// A payment id that nobody has used.
#[must_use]
pub fn payment_id(fill: &mut dyn FnMut(&mut [u8])) -> PaymentId {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    PaymentId::from_random(bytes)
}

/// A request id that nobody has used.
#[must_use]
pub fn request_id(fill: &mut dyn FnMut(&mut [u8])) -> RequestId {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    RequestId::from_random(bytes)
}
