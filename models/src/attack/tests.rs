use super::*;
use crate::extract::{Rejection, extract, extract_undecided};
use crate::synth::{self, Identity, Pose, Species};
use crate::template::Hand;

const SHOTS: [(Light, u8); 5] = [
    (Light::Ambient, 0),
    (Light::Nir, 0xFF),
    (Light::Visible, 0xFF),
    (Light::Nir, 0b0000_1111),
    (Light::Nir, 0b0011_1100),
];

fn hand() -> Identity {
    Identity::new(41, Hand::Right)
}

fn attacked(species: Species) -> Burst {
    let other = Identity::new(42, Hand::Right);
    synth::attack(species, &hand(), &other, &Pose::centred(), &SHOTS, 5)
}

fn why(burst: &Burst) -> Option<Rejection> {
    extract(burst).err()
}

#[test]
fn a_hand_is_tested_and_passes() {
    let burst = synth::burst(&hand(), &Pose::centred(), &SHOTS, 5);
    let measured = extract_undecided(&burst).unwrap().attack;
    assert!(matches!(measured, Assessment::Tested(_)));
    assert!(extract(&burst).is_ok(), "{measured:?}");
}

#[test]
fn each_instrument_has_its_reason() {
    let suspected = |suspicion| Some(Rejection::Suspected(suspicion));
    assert_eq!(
        why(&attacked(Species::FlatPrint)),
        suspected(Suspicion::NoVeins)
    );
    assert_eq!(
        why(&attacked(Species::Silicone)),
        suspected(Suspicion::NoVeins)
    );
    assert_eq!(
        why(&attacked(Species::Replay)),
        suspected(Suspicion::WrongCode)
    );
}

#[test]
fn every_suspicion_is_told_to_the_customer_alike() {
    let told = |suspicion| {
        let rejection = Rejection::Suspected(suspicion);
        (rejection.as_str(), rejection.to_string())
    };
    assert_eq!(told(Suspicion::Flat), told(Suspicion::WrongCode));
    assert_ne!(Suspicion::Flat.as_str(), Suspicion::WrongCode.as_str());
}

#[test]
fn frames_of_another_code_are_refused() {
    let mut burst = synth::burst(&hand(), &Pose::centred(), &SHOTS, 5);
    burst.shots[3].led_mask = 0b1111_0000;
    assert_eq!(
        why(&burst),
        Some(Rejection::Suspected(Suspicion::WrongCode))
    );
}

#[test]
fn a_camera_without_coded_light_is_not_tested() {
    let burst = synth::burst(&hand(), &Pose::centred(), &SHOTS[..3], 5);
    assert_eq!(extract(&burst).unwrap().attack, Assessment::NotTested);
    let mut uneven = synth::burst(&hand(), &Pose::centred(), &SHOTS, 5);
    uneven.shots[4].image = GreyImage::filled(10, 10, 200).unwrap();
    assert_eq!(extract(&uneven).unwrap().attack, Assessment::NotTested);
}

#[test]
fn undecided_extraction_measures_and_refuses_nothing() {
    let extraction = extract_undecided(&attacked(Species::FlatPrint)).unwrap();
    let Assessment::Tested(cues) = extraction.attack else {
        panic!("not tested")
    };
    assert!(cues.relief < 0.3 && cues.veins < 0.004, "{cues:?}");
}

#[test]
fn no_number_is_suspect() {
    let cues = Cues {
        breadth: f32::NAN,
        ..genuine_middle()
    };
    assert_eq!(cues.suspicion(), Some(Suspicion::Unlike));
    assert_eq!(genuine_middle().suspicion(), None);
}
