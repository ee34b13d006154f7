//! Synthetic people: embeddings of 512 bytes, roughly normal, the same for the same number.

use palm_models::template::{DIMENSIONS, SearchCode};
use palm_proto::id::CustomerId;
use palm_server::{
    entropy::{Entropy, SeededEntropy},
    gallery::sealed::RecordId,
};
use rayon::prelude::*;

pub(crate) type Embedding = [i8; DIMENSIONS];

/// Probes that are looked for, each of somebody else.
pub(crate) const PROBES: usize = 320;

/// Everybody who is enrolled, and captures of some of them.
pub(crate) struct People {
    pub(crate) enrolled: Vec<Embedding>,
    /// Whom a probe is of, and the probe.
    pub(crate) probes: Vec<(usize, Embedding)>,
}

impl People {
    pub(crate) fn draw(n: usize) -> Self {
        let probe = |k: usize| {
            // Spread over the whole gallery.
            let own = k.wrapping_mul(7_919) % n;
            (own, capture(own))
        };
        Self {
            enrolled: (0..n).into_par_iter().map(embedding).collect(),
            probes: (0..PROBES).map(probe).collect(),
        }
    }
}

/// The embedding of person `n`: sums of four uniform bytes, of a standard deviation of 37.
pub(crate) fn embedding(n: usize) -> Embedding {
    noise(n, 0x6d61_6c65)
}

/// Another capture of person `n`, at a cosine of 0.8 or so.
pub(crate) fn capture(n: usize) -> Embedding {
    let (own, other) = (embedding(n), noise(n, 0x7072_6f62));
    std::array::from_fn(|at| {
        let sum = i32::from(own[at]) * 4 + i32::from(other[at]) * 3;
        i8::try_from(sum / 5).expect("invariant: at most 7/5 of 73")
    })
}

fn noise(n: usize, salt: u64) -> Embedding {
    let n = u64::try_from(n).expect("invariant: a count");
    let mut bytes = [0; DIMENSIONS * 4];
    SeededEntropy::new(n << 32 ^ salt).fill(&mut bytes);
    let (fours, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|at| {
        let sum: i32 = fours[at]
            .iter()
            .map(|byte| i32::from(byte.cast_signed()))
            .sum();
        i8::try_from(sum / 7).expect("invariant: at most 512 / 7")
    })
}

/// The search code of an embedding; coordinates that are zero count as one half, and equal ones are told apart by
/// their place.
pub(crate) fn code(embedding: &Embedding, weight: usize) -> SearchCode {
    let component = |at: usize| f32::from(embedding[at]) + 0.5;
    SearchCode::strongest(&std::array::from_fn(component), weight)
        .expect("invariant: no component is zero")
}

pub(crate) fn record(n: usize) -> RecordId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    RecordId {
        customer: CustomerId::from_bytes(bytes),
        number: 1,
    }
}
