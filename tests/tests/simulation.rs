//! A bounded run of the payment simulation: fixed seeds, so that it does the same everywhere. `./x sim` goes on.

use palm_tests::sim;

const SEEDS: u64 = 12;
const OPERATIONS: u64 = 150;

#[test]
fn payments_are_as_the_other_books_say() {
    let opening = sim::opening().unwrap();
    let (mut crashes, mut payments) = (0, 0);
    for seed in 0..SEEDS {
        let done = sim::run(seed, OPERATIONS, &opening);
        let done = done.unwrap_or_else(|error| panic!("{error:#}"));
        crashes += done.crashes;
        payments += done.payments;
    }
    assert!(crashes > 0, "no seed lost its power");
    assert!(payments > SEEDS, "hardly anybody paid");
}
