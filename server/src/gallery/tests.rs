use palm_models::template::Hand;

use super::*;
use crate::fixture::template;

fn customer(n: u8) -> CustomerId {
    CustomerId::from_bytes([n; 16])
}

fn gallery() -> Gallery {
    Gallery::new(Identification::default(), 1_000).unwrap()
}

fn samples(hand: Hand, palm: u64) -> Vec<Template> {
    (1..=3).map(|sample| template(hand, palm, sample)).collect()
}

fn filled(people: u8) -> Gallery {
    let gallery = gallery();
    for n in 1..=people {
        gallery.add(customer(n), &samples(Hand::Right, n.into()));
        gallery.add(customer(n), &samples(Hand::Left, 100 + u64::from(n)));
    }
    gallery
}

#[test]
fn empty_gallery_knows_nobody() {
    assert_eq!(
        gallery().identify(&template(Hand::Right, 1, 9)),
        Identity::NoMatch
    );
    assert!(gallery().is_empty());
}

#[test]
fn each_person_is_found_by_either_palm_and_a_stranger_by_none() {
    let gallery = filled(40);
    for n in 1..=40 {
        let right = template(Hand::Right, n.into(), 9);
        let left = template(Hand::Left, 100 + u64::from(n), 9);
        assert_eq!(gallery.identify(&right), Identity::Match(customer(n)));
        assert_eq!(gallery.identify(&left), Identity::Match(customer(n)));
    }
    for stranger in 500..540 {
        assert_eq!(
            gallery.identify(&template(Hand::Right, stranger, 9)),
            Identity::NoMatch
        );
    }
    // A right palm is not looked for among left ones.
    assert_eq!(
        gallery.identify(&template(Hand::Left, 1, 9)),
        Identity::NoMatch
    );
}

#[test]
fn two_people_with_one_palm_are_ambiguous_and_never_a_match() {
    let gallery = filled(5);
    gallery.add(customer(99), &samples(Hand::Right, 3));
    assert_eq!(
        gallery.identify(&template(Hand::Right, 3, 9)),
        Identity::Ambiguous
    );
    assert!(gallery.is_of_another(&template(Hand::Right, 3, 9), customer(3)));
}

#[test]
fn samples_added_at_different_times_count_as_one_person() {
    let gallery = filled(5);
    gallery.add(customer(2), &samples(Hand::Right, 2));
    assert_eq!(
        gallery.identify(&template(Hand::Right, 2, 9)),
        Identity::Match(customer(2))
    );
    assert!(!gallery.is_of_another(&template(Hand::Right, 2, 9), customer(2)));
    assert_eq!(
        gallery.samples_of(&template(Hand::Right, 2, 9), customer(2)),
        6
    );
}

#[test]
fn removed_person_is_forgotten_and_the_others_are_found() {
    let gallery = filled(20);
    for n in (1..=20).step_by(2) {
        gallery.remove(customer(n));
        assert_eq!(
            gallery.identify(&template(Hand::Right, n.into(), 9)),
            Identity::NoMatch
        );
    }
    for n in (2..=20).step_by(2) {
        let probe = template(Hand::Left, 100 + u64::from(n), 9);
        assert_eq!(gallery.identify(&probe), Identity::Match(customer(n)));
    }
    assert_eq!(gallery.len(), 60);
}

#[test]
fn few_coarse_candidates_still_find_the_best() {
    let policy = Identification {
        coarse_candidates: 2,
        ..Identification::default()
    };
    let gallery = Gallery::new(policy, 1_000).unwrap();
    for n in 1..=60 {
        gallery.add(customer(n), &samples(Hand::Right, n.into()));
    }
    for n in 1..=60 {
        let probe = template(Hand::Right, n.into(), 9);
        assert_eq!(gallery.identify(&probe), Identity::Match(customer(n)));
    }
}

#[test]
fn room_ends_at_the_bound() {
    let gallery = Gallery::new(Identification::default(), 7).unwrap();
    gallery.add(customer(1), &samples(Hand::Right, 1));
    assert!(gallery.has_room_for(4));
    assert!(!gallery.has_room_for(5));
    assert!(!gallery.has_room_for(usize::MAX));
}

#[test]
fn probe_is_compared_with_the_customer_s_own_samples_of_that_hand() {
    let gallery = filled(3);
    assert_eq!(
        gallery.is_of(&template(Hand::Right, 1, 9), customer(1)),
        Some(true)
    );
    assert_eq!(
        gallery.is_of(&template(Hand::Right, 2, 9), customer(1)),
        Some(false)
    );
    assert_eq!(
        gallery.is_of(&template(Hand::Right, 2, 9), customer(77)),
        None
    );
}
