use super::*;

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 5e-4
}

#[test]
fn wilson_interval_matches_published_values() {
    // Newcombe 1998, table I: 81 of 263 and 0 of 20.
    let (low, high) = Rate { hits: 81, of: 263 }.interval().unwrap();
    assert!(near(low, 0.2553) && near(high, 0.3662), "{low} {high}");
    let (low, high) = Rate { hits: 0, of: 20 }.interval().unwrap();
    assert!(near(low, 0.0) && near(high, 0.1611), "{low} {high}");
    assert_eq!(Rate { hits: 0, of: 0 }.interval(), None);
    assert_eq!(Rate::bound_of_none(300), Some(0.01));
}

#[test]
fn equal_error_rate_of_overlapping_scores() {
    // One of four mated below, one of four non-mated above 0.5: a quarter each.
    let scores = Scores::new(vec![0.4, 0.6, 0.7, 0.8], vec![0.1, 0.2, 0.3, 0.55]);
    assert!(near(scores.eer().unwrap(), 0.25));
    let apart = Scores::new(vec![0.9, 0.8], vec![0.1, 0.2]);
    assert_eq!(apart.eer(), Some(0.0));
    let same = Scores::new(vec![0.5; 4], vec![0.5; 4]);
    assert!(near(same.eer().unwrap(), 0.5));
    assert_eq!(Scores::new(vec![], vec![0.5]).eer(), None);
}

#[test]
fn true_accept_rate_at_a_false_accept_rate_counted_by_hand() {
    let impostor: Vec<f32> = (0..10u8).map(|n| f32::from(n) / 10.0).collect();
    let scores = Scores::new(vec![0.95, 0.85, 0.75, 0.05], impostor);
    // One false accept of ten is allowed: 0.9 passes, 0.8 does not.
    let point = scores.at_far(0.1).unwrap();
    assert_eq!(point.false_accepts, Rate { hits: 1, of: 10 });
    assert_eq!(point.true_accepts, Rate { hits: 2, of: 4 });
    let strict = scores.at_zero_false_accepts().unwrap();
    assert_eq!(strict.false_accepts.hits, 0);
    assert_eq!(strict.true_accepts.hits, 1);
    assert!(
        scores.at_far(0.09).is_none(),
        "ten comparisons cannot show 9 %"
    );
}

#[test]
fn tied_scores_are_never_split() {
    let scores = Scores::new(vec![0.5, 0.6], vec![0.5, 0.5, 0.5, 0.1]);
    let point = scores.at_far(0.25).unwrap();
    assert_eq!(
        point.false_accepts.hits, 0,
        "accepting one 0.5 would accept three"
    );
    assert_eq!(point.true_accepts.hits, 1);
}

#[test]
fn a_rate_is_measurable_from_exactly_its_inverse_on() {
    for (far, count) in [(1e-3, 1_000), (1e-4, 10_000), (1e-5, 100_000)] {
        let scores = |n: usize| Scores::new(vec![1.0], vec![0.0; n]);
        assert!(scores(count).at_far(far).is_some(), "{far}");
        assert!(scores(count - 1).at_far(far).is_none(), "{far}");
    }
}

#[test]
fn trade_off_falls_as_more_false_matches_are_allowed() {
    let spread = |from: f32| {
        (0..500u16)
            .map(|n| from + f32::from(n) / 1000.0)
            .collect::<Vec<_>>()
    };
    let points = Scores::new(spread(0.3), spread(0.0)).trade_off();
    assert!(points.len() > 20);
    assert!(
        points
            .windows(2)
            .all(|p| p[0].0 <= p[1].0 && p[0].1 >= p[1].1)
    );
}

#[test]
fn quantiles_of_a_sorted_list() {
    let sorted = [0.0, 1.0, 2.0, 3.0, 4.0];
    assert_eq!(Scores::quantile(&sorted, 0.5), Some(2.0));
    assert_eq!(Scores::quantile(&sorted, 1.0), Some(4.0));
    assert_eq!(Scores::quantile(&[], 0.5), None);
}
