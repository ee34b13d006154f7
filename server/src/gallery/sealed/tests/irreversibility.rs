//! What somebody can do with codes of epoch 1, all of which they have in the epoch's coordinates, after the deployment
//! has gone on to epoch 2: be accepted there, or have the embedding back. In the manner of ISO/IEC 30136's
//! irreversibility, with its full-disclosure attacker but for the epoch's key; they may know some people's codes in the
//! plain as well, their accomplices'.

use palm_models::template::{DIMENSIONS, SearchCode};

use crate::gallery::sealed::{
    code::{Permutation, ProbeCode},
    fixture::{capture, code, embedding, key},
};

const PEOPLE: usize = 500;
const PROBE: usize = 63;
const REFERENCE: usize = 341;
/// Accomplices are none of the victims.
const ACCOMPLICE: usize = 50_000;

type Coordinates = [i8; DIMENSIONS];

fn coordinates(code: &SearchCode) -> Coordinates {
    std::array::from_fn(|at| code.coordinate(at))
}

/// A code as it is enrolled in epoch 1.
fn protected(n: usize) -> Coordinates {
    let enrolled = Permutation::derive(&key(1)).reference(&code(n, REFERENCE));
    let enrolled = enrolled.unwrap();
    std::array::from_fn(|at| enrolled.coordinate(at))
}

/// Where each coordinate of epoch 1 belongs and with which sign, as far as `pairs` tell: the first that fits all of
/// them. With none to tell, coordinates stay where they are.
fn guessed(pairs: usize) -> Vec<(usize, i8)> {
    let known = (0..pairs).map(|n| ACCOMPLICE + n);
    let known: Vec<_> = known
        .map(|n| (coordinates(&code(n, REFERENCE)), protected(n)))
        .collect();
    let fits = |at: usize, from: usize, sign: i8| {
        let mut all = known.iter();
        all.all(|(plain, own)| own[at] == sign * plain[from])
    };
    let guess = |at: usize| {
        let choices = (at..DIMENSIONS).chain(0..at);
        let mut choices = choices.flat_map(|from| [(from, 1), (from, -1)]);
        choices.find(|(from, sign)| fits(at, *from, *sign))
    };
    (0..DIMENSIONS)
        .map(|at| guess(at).unwrap_or((at, 1)))
        .collect()
}

/// A protected code brought back by a guess.
fn brought_back(guess: &[(usize, i8)], protected: &Coordinates) -> Coordinates {
    let mut plain = [0; DIMENSIONS];
    for ((from, sign), value) in guess.iter().zip(protected) {
        plain[*from] = sign * value;
    }
    plain
}

fn cosine(code: &Coordinates, of: &[f32; DIMENSIONS]) -> f32 {
    let dot: f32 = code.iter().zip(of).map(|(a, b)| f32::from(*a) * b).sum();
    let norm = |squares: f32| squares.sqrt();
    dot / norm(code.iter().map(|a| f32::from(*a).powi(2)).sum())
        / norm(of.iter().map(|b| b * b).sum())
}

/// Epoch 2, as the attacker meets it.
struct Epoch {
    permutation: Permutation,
    /// No stranger's probe scored as much.
    accepts: i8,
}

impl Epoch {
    fn second() -> Self {
        let permutation = Permutation::derive(&key(2));
        let mut epoch = Self {
            permutation,
            accepts: 0,
        };
        let strangers = (0..PEOPLE).map(|n| epoch.score(n, &epoch.probe(&capture(n + 1, PROBE))));
        epoch.accepts = strangers.max().unwrap() + 1;
        epoch
    }

    fn probe(&self, code: &SearchCode) -> ProbeCode {
        self.permutation.probe(code, PROBE).unwrap()
    }

    fn score(&self, victim: usize, probe: &ProbeCode) -> i8 {
        let enrolled = self.permutation.reference(&code(victim, REFERENCE));
        probe.dot(&enrolled.unwrap())
    }

    /// Share of victims as whom the attacker is accepted.
    fn accepted(&self, probe: impl Fn(usize) -> ProbeCode) -> f32 {
        let accepted = (0..PEOPLE).filter(|n| self.score(*n, &probe(*n)) >= self.accepts);
        accepted.count() as f32 / PEOPLE as f32
    }
}

/// Coordinates placed right, cosine with the embedding, and share of victims that accept, for an attacker with so many
/// pairs.
fn attack(epoch: &Epoch, pairs: usize) -> [f32; 3] {
    let guess = guessed(pairs);
    // Told by a code that has every coordinate: each stands where it came from.
    let truth = guessed(64);
    let right = guess.iter().zip(&truth).filter(|(one, other)| one == other);
    let right = right.count() as f32 / DIMENSIONS as f32;
    let back: Vec<_> = (0..PEOPLE)
        .map(|n| brought_back(&guess, &protected(n)))
        .collect();
    let cosines = back
        .iter()
        .enumerate()
        .map(|(n, own)| cosine(own, &embedding(n, None)));
    let cosine = cosines.sum::<f32>() / PEOPLE as f32;
    let accepted =
        epoch.accepted(|n| epoch.probe(&SearchCode::from_coordinates(&back[n]).unwrap()));
    [right, cosine, accepted]
}

#[test]
fn codes_of_an_old_epoch_open_no_new_one_unless_some_people_s_plain_codes_are_known() {
    let epoch = Epoch::second();
    let own = epoch.accepted(|n| epoch.probe(&capture(n, PROBE)));
    assert!(own > 0.99, "{own}: people are accepted as themselves");
    // As they are: the code itself is sent in, in epoch 1's coordinates, as if they were epoch 2's.
    let replayed = epoch.accepted(|n| {
        let mut bytes = protected(n);
        bytes
            .iter_mut()
            .filter(|value| **value != 0)
            .skip(PROBE)
            .for_each(|value| *value = 0);
        let code = SearchCode::from_coordinates(&bytes).unwrap();
        ProbeCode::from_bytes(&code.to_bytes()).unwrap()
    });
    assert!(replayed < 0.01, "{replayed}");
    let rows = [0, 2, 4, 6, 8, 12].map(|pairs| attack(&epoch, pairs));
    let [none, _, few, ..] = rows;
    assert!(none[1].abs() < 0.01 && none[2] < 0.01, "{rows:?}");
    assert!(few[0] < 0.5, "{rows:?}");
    // Who knows half a dozen people's codes has most of the permutation; who knows a dozen has all, and with it
    // everybody's code.
    let [right, cosine, accepted] = rows[5];
    assert!(right > 0.95 && cosine > 0.8 && accepted > 0.95, "{rows:?}");
}
