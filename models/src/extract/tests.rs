use proptest::prelude::*;

use super::*;
use crate::compare::compare;
use crate::drawn::Drawing;

fn template(drawing: Drawing) -> Template {
    extract(&drawing.burst())
        .expect("a plain hand is accepted")
        .reference
}

fn likeness(a: Drawing, b: Drawing) -> f32 {
    compare(&template(a), &template(b)).value()
}

#[test]
fn turn_shift_and_size_leave_the_template_alike() {
    let plain = Drawing::plain();
    let stranger = likeness(
        plain,
        Drawing {
            identity: 2,
            ..plain
        },
    );
    let moved = [
        Drawing {
            rotation_deg: 25.0,
            ..plain
        },
        Drawing {
            rotation_deg: 170.0,
            scale: 0.8,
            ..plain
        },
        Drawing {
            offset: (40.0, -30.0),
            ..plain
        },
        Drawing {
            scale: 0.75,
            ..plain
        },
    ];
    for drawing in moved {
        let same = likeness(plain, drawing);
        assert!(
            same > stranger + 0.08,
            "{drawing:?}: {same} against {stranger}"
        );
    }
}

#[test]
fn a_mirrored_left_hand_has_the_right_hands_code() {
    let right = Drawing::plain();
    let left = Drawing {
        hand: Hand::Left,
        ..right
    };
    assert_eq!(template(right).hand(), Hand::Right);
    assert_eq!(template(left).hand(), Hand::Left);
    assert!(likeness(right, left) > 0.8, "{}", likeness(right, left));
}

#[test]
fn the_rooms_light_is_taken_away() {
    let lit = Drawing::plain().image();
    let mut burst = Burst::single(Light::Nir, lit.clone());
    let mut room = lit.clone();
    room.pixels_mut().fill(9);
    burst.shots.push(crate::burst::Shot {
        light: Light::Ambient,
        led_mask: 0,
        image: room,
    });
    let mut stages = Vec::new();
    let extraction = extract_traced(&burst, &mut |stage, image| {
        if stage == "lit" {
            assert_eq!(image.pixels()[0], lit.pixels()[0] - 9);
        }
        stages.push(stage);
    });
    assert!(extraction.is_ok());
    assert_eq!(stages.first(), Some(&"lit"));
    assert_eq!(stages.last(), Some(&"region"));
}

#[test]
fn the_outline_lies_on_the_hand() {
    let outline = extract(&Drawing::plain().burst()).unwrap().outline;
    assert!((outline.centre.0 - 360.0).abs() < 30.0, "{outline:?}");
    assert!(
        outline.valleys[0].0 > outline.valleys[1].0,
        "index on the right: {outline:?}"
    );
    assert!(
        outline
            .valleys
            .iter()
            .all(|valley| (480.0..560.0).contains(&valley.1))
    );
    assert!(outline.region[2].1 > outline.region[1].1);
}

#[test]
fn faults_of_a_capture_are_told_apart() {
    let plain = Drawing::plain();
    let why = |drawing: Drawing| extract(&drawing.burst()).err();
    assert_eq!(
        why(Drawing {
            skin: 13,
            ground: 13,
            ..plain
        }),
        Some(Rejection::NoHand)
    );
    assert_eq!(
        why(Drawing { skin: 255, ..plain }),
        Some(Rejection::TooBright)
    );
    assert_eq!(
        why(Drawing {
            skin: 16,
            ground: 2,
            ..plain
        }),
        Some(Rejection::TooDark)
    );
    assert_eq!(
        why(Drawing {
            scale: 0.42,
            ..plain
        }),
        Some(Rejection::TooFar)
    );
    assert_eq!(
        why(Drawing {
            scale: 4.5,
            ..plain
        }),
        Some(Rejection::TooClose)
    );
    assert_eq!(
        why(Drawing {
            offset: (330.0, 0.0),
            ..plain
        }),
        Some(Rejection::OffCentre)
    );
    let empty = Burst {
        shots: Vec::new(),
        chroma: None,
    };
    assert_eq!(extract(&empty).err(), Some(Rejection::NoHand));
}

#[test]
fn a_covered_palm_is_partly_hidden() {
    let mut image = Drawing::plain().image();
    for row in image.pixels_mut().chunks_exact_mut(720).take(660).skip(600) {
        row[300..400].fill(20);
    }
    let burst = Burst::single(Light::Nir, image);
    assert_eq!(extract(&burst).err(), Some(Rejection::PartlyHidden));
}

#[test]
fn every_rejection_has_a_name_and_a_remedy() {
    let all = [
        Rejection::BackOfHand,
        Rejection::Blurred,
        Rejection::NoHand,
        Rejection::OffCentre,
        Rejection::PartlyHidden,
        Rejection::SpreadFingers,
        Rejection::Tilted,
        Rejection::TooBright,
        Rejection::TooClose,
        Rejection::TooDark,
        Rejection::TooFar,
    ];
    for rejection in all {
        assert!(
            rejection
                .as_str()
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_')
        );
        assert!(rejection.to_string().contains(": "), "{rejection}");
    }
}

#[test]
fn shots_of_different_sizes_are_no_reason_to_fail() {
    let mut burst = Drawing::plain().burst();
    let image = GreyImage::filled(10, 10, 200).unwrap();
    burst.shots.push(crate::burst::Shot {
        light: Light::Ambient,
        led_mask: 0,
        image,
    });
    assert!(extract(&burst).is_ok());
}

#[test]
fn images_of_extreme_sides_give_an_answer() {
    for (width, height) in [(1, 1), (4096, 1), (1, 4096), (4096, 3), (63, 64), (64, 64)] {
        for value in [0, 255] {
            let image = GreyImage::filled(width, height, value).unwrap();
            assert!(extract(&Burst::single(Light::Visible, image.clone())).is_err());
            assert!(extract_region(&image, Hand::Left).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_image_makes_it_panic(
        width in 1_usize..160, height in 1_usize..160, seed in any::<u64>(), blocks in 1_usize..40,
    ) {
        let mut state = seed | 1;
        let noise: Vec<u8> = (0..4096).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        }).collect();
        let pixels = (0..width * height)
            .map(|at| noise[(at % width / blocks + at / width / blocks * 64) % 4096])
            .collect();
        let image = GreyImage::new(width, height, pixels).unwrap();
        let whole = extract(&Burst::single(Light::Nir, image.clone()));
        let region = extract_region(&image, Hand::Right);
        for extraction in [whole, region].into_iter().flatten() {
            prop_assert!(extraction.quality.score <= 100);
        }
    }
}
