use super::*;

#[test]
fn captures_are_counted_by_what_became_of_them() {
    let shown = |species, outcome| Presentation { species, outcome };
    let cues = crate::attack::genuine_middle();
    let lit = Cues {
        self_lit: 0.9,
        ..cues
    };
    let all = [
        shown(None, Ok((cues, 0.9))),
        shown(None, Err("blurred")),
        shown(Some(Species::Screen), Ok((lit, 0.7))),
        shown(Some(Species::Screen), Ok((cues, 0.7))),
        shown(Some(Species::Screen), Ok((cues, 0.5))),
    ];
    let rows = rows(&all);
    assert_eq!(
        (rows[0].accepted, rows[0].refused, rows[0].no_response),
        (1, 0, 1)
    );
    let screen = rows.iter().find(|row| row.species == "screen").unwrap();
    assert_eq!((screen.accepted, screen.refused), (2, 1));
    assert_eq!(
        (screen.accepted_and_matched, screen.matched_untested),
        (1, 2)
    );
    assert!(table(&all).contains("APCER 66.67 %"));
}

#[test]
fn drawn_attacks_are_told_from_hands() {
    let all = presentations(Plan {
        first: 31,
        victims: 3,
    });
    let rows = rows(&all);
    assert_eq!(rows[0].presentations, 12);
    assert_eq!(rows[0].refused, 0, "{}", scatter(&all, None));
    assert!(rows[0].accepted >= 10);
    assert_eq!(rows[0].accepted_and_matched, rows[0].accepted);
    let prints = rows.iter().filter(|row| row.species.contains("print"));
    assert_eq!(
        prints.map(|row| row.accepted_and_matched).sum::<usize>(),
        0,
        "{}",
        table(&all)
    );
}
