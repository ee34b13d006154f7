//! Codes and keys for tests: any number of them, the same for the same number.

use palm_models::template::{DIMENSIONS, SearchCode};
use palm_proto::id::CustomerId;

use super::{
    EpochKey, RecordId,
    code::{Permutation, ProbeCode, ReferenceCode},
};
use crate::entropy::{Entropy, SeededEntropy};

pub(super) fn key(epoch: u8) -> EpochKey {
    EpochKey::new([epoch; 32])
}

pub(super) fn embedding(seed: usize, noise: Option<usize>) -> [f32; DIMENSIONS] {
    let drawn = |seed: usize| {
        let mut bytes = [0; DIMENSIONS * 2];
        SeededEntropy::new(u64::try_from(seed).unwrap()).fill(&mut bytes);
        std::array::from_fn::<f32, DIMENSIONS, _>(|at| {
            f32::from(i16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])) + 0.5
        })
    };
    let own = drawn(seed);
    match noise {
        Some(noise) => {
            let other = drawn(noise);
            std::array::from_fn(|at| own[at] + other[at] / 2.0)
        }
        None => own,
    }
}

/// A code of person `n`.
pub(super) fn code(n: usize, weight: usize) -> SearchCode {
    SearchCode::strongest(&embedding(n, None), weight).unwrap()
}

/// Another capture of person `n`.
pub(super) fn capture(n: usize, weight: usize) -> SearchCode {
    SearchCode::strongest(&embedding(n, Some(n + 1_000_000)), weight).unwrap()
}

/// Enrolled code of person `n` in epoch 1.
pub(super) fn reference(n: usize) -> ReferenceCode {
    Permutation::derive(&key(1))
        .reference(&code(n, 341))
        .unwrap()
}

/// Another capture of person `n`, with so many coordinates, in epoch 1.
pub(super) fn probe(n: usize, weight: usize) -> ProbeCode {
    Permutation::derive(&key(1))
        .probe(&capture(n, weight), weight)
        .unwrap()
}

pub(super) fn record(n: usize) -> RecordId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
    RecordId {
        customer: CustomerId::from_bytes(bytes),
        number: 1,
    }
}
