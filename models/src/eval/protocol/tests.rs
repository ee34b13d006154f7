use super::*;

/// Samples as (hand, session, place on a line); similarity is how near two places are.
fn samples(rows: &[(usize, u32, f32)]) -> Vec<Sample<f32>> {
    rows.iter()
        .map(|&(hand, session, code)| Sample {
            hand,
            session,
            code,
        })
        .collect()
}

fn nearness(a: &f32) -> impl Fn(&f32) -> f32 + use<> {
    let a = *a;
    move |b| -(a - b).abs()
}

#[test]
fn all_pairs_compares_every_two_once() {
    let rows = samples(&[
        (0, 1, 0.0),
        (0, 1, 1.0),
        (1, 1, 10.0),
        (1, 2, 11.0),
        (2, 1, 30.0),
    ]);
    let outcome = all_pairs(&rows, nearness);
    assert_eq!(outcome.scores.genuine(), [-1.0, -1.0]);
    assert_eq!(outcome.scores.impostor().len(), 8);
    // The fifth has no mate and is left out.
    assert_eq!(outcome.rank1, Rate { hits: 4, of: 4 });
}

#[test]
fn cross_session_compares_later_sessions_with_the_first_only() {
    let rows = samples(&[
        (0, 1, 0.0),
        (0, 1, 5.2),
        (1, 1, 5.0),
        (0, 2, 4.5),
        (1, 2, 5.05),
        (1, 3, 9.0),
    ]);
    let outcome = cross_session(&rows, nearness).unwrap();
    assert_eq!(outcome.scores.genuine().len(), 2 + 1 + 1);
    assert_eq!(outcome.scores.impostor().len(), 1 + 2 + 2);
    // 4.5 is nearest to hand 1's 5.0; 9.0 to hand 0's 5.2; only 5.05 finds its own.
    assert_eq!(outcome.rank1, Rate { hits: 1, of: 3 });
    // With hand 0 known by 0.0 alone, 9.0 is found too.
    assert_eq!(outcome.rank1_one_reference, Some(Rate { hits: 2, of: 3 }));
}

#[test]
fn one_session_gives_no_cross_session_figure() {
    assert_eq!(
        cross_session(&samples(&[(0, 2, 0.0), (1, 2, 1.0)]), nearness),
        None
    );
    assert_eq!(cross_session(&samples(&[]), nearness), None);
}

#[test]
fn a_tie_for_the_first_rank_counts_as_a_miss() {
    let outcome = all_pairs(
        &samples(&[(0, 1, 0.0), (0, 1, 1.0), (1, 1, -1.0)]),
        nearness,
    );
    assert_eq!(outcome.rank1, Rate { hits: 1, of: 2 });
}
