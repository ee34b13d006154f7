use std::path::Path;

use palm_models::template::OrientationCode;

use super::*;
use crate::{
    entropy::SeededEntropy,
    fixture::{search_code, template},
    gallery::plain::PlainGallery,
    rows::Table,
    store::{Batch, MemoryStore, Store},
    vault::Keyholder,
};

fn customer(n: u64) -> CustomerId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    CustomerId::from_bytes(bytes)
}

fn samples(hand: Hand, palm: u64) -> Vec<Template> {
    (1..=3).map(|sample| template(hand, palm, sample)).collect()
}

/// A store of palms, and the gallery on it.
struct Room {
    store: Arc<MemoryStore>,
    keyholder: Arc<Keyholder>,
    gallery: Gallery,
}

fn setup(store: &Arc<MemoryStore>, keyholder: &Arc<Keyholder>, policy: Identification) -> Setup {
    Setup {
        policy,
        samples_max: 10_000,
        templates: Templates::new(Arc::clone(store) as _, Arc::clone(keyholder)),
        key: EpochKey::new([1; 32]),
        folder: None,
        entropy: Arc::new(SeededEntropy::new(1)),
    }
}

impl Room {
    fn with(policy: Identification) -> Self {
        let store = Arc::new(MemoryStore::new());
        let keyholder = Arc::new(Keyholder::new([7; 32]));
        let gallery = Gallery::open(setup(&store, &keyholder, policy)).unwrap();
        Self {
            store,
            keyholder,
            gallery,
        }
    }

    fn filled(people: u64) -> Self {
        let room = Self::with(Identification::default());
        for n in 1..=people {
            room.add(n, &samples(Hand::Right, n));
            room.add(n, &samples(Hand::Left, 100 + n));
        }
        room
    }

    fn plant(&self, n: u64, samples: &[Template]) -> Vec<u8> {
        let entropy = SeededEntropy::new(n);
        let person = (customer(n), samples);
        rest::plant(&*self.store, &self.keyholder, person, &entropy).unwrap()
    }

    fn add(&self, n: u64, samples: &[Template]) {
        for (number, sample) in self.plant(n, samples).into_iter().zip(samples) {
            self.gallery.add(customer(n), number, sample).unwrap();
        }
    }

    /// As a deletion does: first out of the store.
    fn remove(&self, n: u64) {
        let mut batch = Batch::new();
        let prefix = Table::Template.key(&[&customer(n).to_bytes()]);
        for (key, _) in self.store.scan(&prefix, None, usize::MAX).unwrap() {
            batch.delete(key);
        }
        batch.delete(Table::CustomerKey.key(&[&customer(n).to_bytes()]));
        self.store.commit(&batch).unwrap();
        self.gallery.remove(customer(n));
    }

    fn identify(&self, hand: Hand, palm: u64) -> Identity {
        self.gallery.identify(&template(hand, palm, 9)).unwrap()
    }
}

#[test]
fn empty_gallery_knows_nobody() {
    let room = Room::filled(0);
    assert_eq!(room.identify(Hand::Right, 1), Identity::NoMatch);
    assert!(room.gallery.is_empty());
}

#[test]
fn each_person_is_found_by_either_palm_and_a_stranger_by_none() {
    let room = Room::filled(40);
    for n in 1..=40 {
        let found = Identity::Match(customer(n));
        assert_eq!(room.identify(Hand::Right, n), found);
        assert_eq!(room.identify(Hand::Left, 100 + n), found);
    }
    for stranger in 500..540 {
        assert_eq!(room.identify(Hand::Right, stranger), Identity::NoMatch);
    }
    // A right palm is not looked for among left ones.
    assert_eq!(room.identify(Hand::Left, 1), Identity::NoMatch);
}

#[test]
fn searches_at_once_get_the_answers_of_their_own() {
    let room = Room::filled(12);
    room.add(77, &samples(Hand::Right, 7));
    let alone: Vec<_> = (1..=24).map(|n| room.identify(Hand::Right, n)).collect();
    let at_once: Vec<_> = std::thread::scope(|scope| {
        let room = &room;
        let asked: Vec<_> = (1..=24)
            .map(|n| scope.spawn(move || room.identify(Hand::Right, n)))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(at_once, alone);
    assert!(alone.contains(&Identity::NoMatch));
    assert!(alone.contains(&Identity::Match(customer(1))));
}

#[test]
fn two_people_with_one_palm_are_ambiguous_and_never_a_match() {
    let room = Room::filled(5);
    room.add(99, &samples(Hand::Right, 3));
    let Identity::Ambiguous(mut two) = room.identify(Hand::Right, 3) else {
        panic!("two people have this palm");
    };
    two.sort();
    assert_eq!(two, [customer(3), customer(99)]);
    let probe = template(Hand::Right, 3, 9);
    assert!(room.gallery.is_of_another(&probe, customer(3)).unwrap());
}

#[test]
fn samples_added_at_different_times_count_as_one_person() {
    let room = Room::filled(5);
    room.add(2, &samples(Hand::Right, 2));
    assert_eq!(room.identify(Hand::Right, 2), Identity::Match(customer(2)));
    let probe = template(Hand::Right, 2, 9);
    assert!(!room.gallery.is_of_another(&probe, customer(2)).unwrap());
    let own = room
        .gallery
        .second
        .templates
        .of_palm(customer(2), Hand::Right)
        .unwrap();
    assert_eq!(own.len(), 6);
}

#[test]
fn removed_person_is_forgotten_and_the_others_are_found() {
    let room = Room::filled(20);
    for n in (1..=20).step_by(2) {
        room.remove(n);
        assert_eq!(room.identify(Hand::Right, n), Identity::NoMatch);
    }
    for n in (2..=20).step_by(2) {
        let found = room.identify(Hand::Left, 100 + n);
        assert_eq!(found, Identity::Match(customer(n)));
    }
    assert_eq!(room.gallery.len(), 60);
}

#[test]
fn few_candidates_still_find_the_best() {
    let room = Room::with(Identification {
        opened_samples: 6,
        coarse_candidates: 2,
        ..Identification::default()
    });
    for n in 1..=60 {
        room.add(n, &samples(Hand::Right, n));
    }
    for n in 1..=60 {
        assert_eq!(room.identify(Hand::Right, n), Identity::Match(customer(n)));
    }
}

#[test]
fn room_ends_at_the_bound() {
    let room = Room::filled(0);
    room.add(1, &samples(Hand::Right, 1));
    assert!(room.gallery.has_room_for(9_997));
    assert!(!room.gallery.has_room_for(9_998));
    assert!(!room.gallery.has_room_for(usize::MAX));
}

#[test]
fn template_without_a_search_code_is_refused_and_not_searched() {
    let room = Room::filled(1);
    let code = OrientationCode::from_cells(|_, _| Some(1));
    let old = Template::orientation_only(Hand::Right, 80, code);
    assert!(matches!(
        room.gallery.refuse_unsearchable(&old),
        Err(Error::TemplateUnknown)
    ));
    assert!(matches!(
        room.gallery.identify(&old),
        Err(Error::TemplateUnknown)
    ));
    room.plant(2, &[old]);
    let again = setup(&room.store, &room.keyholder, Identification::default());
    assert_eq!(
        Gallery::open(again).unwrap().len(),
        6,
        "kept, and not found"
    );
}

#[test]
fn sealed_and_plain_gallery_give_the_same_answers() {
    let room = Room::filled(30);
    // A twin, so that all three answers occur.
    room.add(77, &samples(Hand::Right, 7));
    let pool = threads(1).unwrap();
    let mut plain = PlainGallery::new(Identification::default(), pool);
    for n in (1..=30).chain([77]) {
        for hand in [Hand::Right, Hand::Left] {
            let own = room
                .gallery
                .second
                .templates
                .of_palm(customer(n), hand)
                .unwrap();
            own.into_iter()
                .for_each(|sample| plain.add(customer(n), sample));
        }
    }
    let mut answers = Vec::new();
    for palm in 1..=60 {
        for hand in [Hand::Right, Hand::Left] {
            let probe = template(hand, palm, 11);
            let answer = plain.identify(&probe);
            let sealed = room.gallery.identify(&probe).unwrap();
            assert_eq!(sealed, answer, "{hand:?} {palm}");
            answers.push(answer);
        }
    }
    for expected in [Identity::NoMatch, Identity::Match(customer(1))] {
        assert!(answers.contains(&expected), "{expected:?} occurs");
    }
    let is_ambiguous = |answer: &Identity| matches!(answer, Identity::Ambiguous(_));
    assert!(answers.iter().any(is_ambiguous));
}

fn blocks_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder.join("right-2"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// The folder is gone when a block is to be written, and is there again later: nobody is lost, and the block that was
/// not written is not used.
#[test]
fn block_that_cannot_be_written_leaves_its_codes_waiting_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let room = Room::with(Identification::default());
    let mut setup = setup(&room.store, &room.keyholder, Identification::default());
    setup.folder = Some(folder.path().to_owned());
    let gallery = Gallery::open(setup).unwrap();
    let right = folder.path().join("right-2");
    std::fs::remove_dir_all(&right).unwrap();
    room.plant(1, &[template(Hand::Right, 1, 1)]);
    let own = template(Hand::Right, 1, 1);
    gallery.add(customer(1), 0, &own).unwrap();
    let blank =
        Template::orientation_only(Hand::Right, 80, OrientationCode::from_cells(|_, _| None));
    for n in 2..=6_200 {
        let other = blank.clone().with_search(search_code(n, 1));
        gallery.add(customer(n), 0, &other).unwrap();
    }
    let is_found = || {
        let probe = template(Hand::Right, 1, 9);
        assert_eq!(
            gallery.identify(&probe).unwrap(),
            Identity::Match(customer(1))
        );
        assert_eq!(gallery.len(), 6_200);
    };
    gallery.settle();
    is_found();
    std::fs::create_dir(&right).unwrap();
    gallery.settle();
    is_found();
    let names = blocks_in(folder.path());
    assert_eq!(names.len(), 1);
    assert!(
        names[0].ends_with("0000000000000001.block"),
        "{names:?}: the first try's id is spent"
    );
}

/// Templates that have nothing but a search code fill the blocks; the people of `known` have whole ones.
#[test]
fn blocks_survive_a_restart_are_made_again_under_another_key_and_lose_their_dead() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new());
    let keyholder = Arc::new(Keyholder::new([7; 32]));
    let blank = OrientationCode::from_cells(|_, _| None);
    let entropy = SeededEntropy::new(3);
    let plant = |n: u64, samples: &[Template]| {
        rest::plant(&*store, &keyholder, (customer(n), samples), &entropy).unwrap()
    };
    let known = [1, 3_000, 6_150];
    for n in 1..=6_200 {
        let empty = Template::orientation_only(Hand::Right, 80, blank.clone());
        let template = match known.contains(&n) {
            true => template(Hand::Right, n, 1),
            false => empty.with_search(search_code(n, 1)),
        };
        plant(n, &[template]);
    }
    let open = |key: u8| {
        let mut setup = setup(&store, &keyholder, Identification::default());
        setup.folder = Some(folder.path().to_owned());
        setup.key = EpochKey::new([key; 32]);
        Gallery::open(setup).unwrap()
    };
    let all_are_found = |gallery: &Gallery| {
        for n in known {
            let probe = template(Hand::Right, n, 9);
            assert_eq!(
                gallery.identify(&probe).unwrap(),
                Identity::Match(customer(n))
            );
        }
    };
    let gallery = open(1);
    all_are_found(&gallery);
    let first = blocks_in(folder.path());
    assert_eq!((gallery.len(), first.len()), (6_200, 1), "56 codes wait");
    drop(gallery);
    let gallery = open(1);
    all_are_found(&gallery);
    assert_eq!(blocks_in(folder.path()), first, "read, not made again");
    drop(gallery);
    let gallery = open(2);
    all_are_found(&gallery);
    let second = blocks_in(folder.path());
    assert_eq!(second.len(), 1);
    assert_ne!(second, first, "made again under the other key");
    for n in (1..=6_144).filter(|n| n % 5 == 0 && !known.contains(n)) {
        gallery.remove(customer(n));
    }
    gallery.settle();
    all_are_found(&gallery);
    assert!(
        blocks_in(folder.path()).is_empty(),
        "too many were dead: the others wait"
    );
}
