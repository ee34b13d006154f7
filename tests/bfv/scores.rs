//! The same templates and the same ternary probes by three ways: our additive ring-LWE, BFV as the library `fhe` does
//! it, and the plain inner product. All scores must be equal.

use std::sync::Arc;

use fhe::bfv::{BfvParameters, BfvParametersBuilder, Ciphertext, Encoding, Plaintext, SecretKey};
use fhe_traits::{FheDecoder, FheDecrypter, FheEncoder, FheEncrypter};
use palm_models::template::{DIMENSIONS, SearchCode};
use palm_server::{
    entropy::{Entropy, SeededEntropy},
    gallery::sealed::{Packing, scores_of},
};

const CODES: usize = 2_048;
const PROBES: usize = 8;

/// A code with so many coordinates, its own for each number.
fn code(n: u64, weight: usize) -> SearchCode {
    let mut bytes = [0; 2 * DIMENSIONS];
    SeededEntropy::new(n).fill(&mut bytes);
    let drawn = |at: usize| f32::from(i16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])) + 0.5;
    SearchCode::strongest(&std::array::from_fn(drawn), weight).expect("a weight up to 512")
}

fn parameters() -> Arc<BfvParameters> {
    BfvParametersBuilder::new()
        .set_degree(2_048)
        .set_moduli(&[0x3f_ffff_ff00_0001])
        .set_plaintext_modulus(1 << 10)
        .build_arc()
        .expect("the parameters of the library's own example")
}

/// Coordinate `at` of every code, encrypted as one polynomial.
fn encrypted(
    codes: &[SearchCode],
    parameters: &Arc<BfvParameters>,
    key: &SecretKey,
) -> Vec<Ciphertext> {
    let mut random = rand::rng();
    let row = |at: usize| {
        let values: Vec<i64> = codes
            .iter()
            .map(|code| code.coordinate(at).into())
            .collect();
        let plain = Plaintext::try_encode(&values, Encoding::poly(), parameters);
        key.try_encrypt(&plain.expect("2,048 small numbers"), &mut random)
    };
    let rows = (0..DIMENSIONS).map(row).collect::<Result<_, _>>();
    rows.expect("plaintexts of these parameters")
}

/// What the matcher does with rows, done with the library's ciphertexts.
fn added_up(rows: &[Ciphertext], probe: &SearchCode) -> Ciphertext {
    let wanted = |sign| (0..DIMENSIONS).filter(move |at| probe.coordinate(*at) == sign);
    let mut plus = wanted(1).map(|at| &rows[at]);
    let mut sum = plus
        .next()
        .expect("a probe with positive coordinates")
        .clone();
    plus.for_each(|row| sum += row);
    wanted(-1).for_each(|at| sum -= &rows[at]);
    sum
}

#[test]
fn our_scheme_bfv_and_the_plain_inner_product_give_the_same_scores() {
    let codes: Vec<_> = (0..CODES as u64).map(|n| code(n, 341)).collect();
    let parameters = parameters();
    let key = SecretKey::random(&parameters, &mut rand::rng());
    let rows = encrypted(&codes, &parameters, &key);
    for (packing, weight) in [(Packing::Three, 63), (Packing::Two, 127)] {
        let probes: Vec<_> = (0..PROBES as u64).map(|n| code(n, weight)).collect();
        let ours = scores_of(packing, &codes, &probes, &SeededEntropy::new(weight as u64));
        for (probe, ours) in probes.iter().zip(&ours) {
            let decrypted = key
                .try_decrypt(&added_up(&rows, probe))
                .expect("our own ciphertext");
            let theirs = Vec::<i64>::try_decode(&decrypted, Encoding::poly());
            let plain: Vec<i64> = codes.iter().map(|code| probe.dot(code).into()).collect();
            let ours: Vec<i64> = ours.iter().map(|score| i64::from(*score)).collect();
            assert_eq!(theirs.expect("an encoding of ours")[..CODES], plain);
            assert_eq!(ours, plain);
            assert!(
                plain.contains(&(weight as i64)),
                "a probe of its own code scores its weight"
            );
        }
    }
}
