use super::*;
use crate::template::Hand;

fn right(number: u64) -> Identity {
    Identity::new(number, Hand::Right)
}

/// Share of pixels whose grey is above `level`.
fn share_above(image: &GreyImage, level: u8) -> f32 {
    let above = image
        .pixels()
        .iter()
        .filter(|pixel| **pixel > level)
        .count();
    above as f32 / image.pixels().len() as f32
}

#[test]
fn the_same_numbers_give_the_same_pixels_and_others_do_not() {
    let pose = Pose::sampled(5);
    let first = frame(&right(3), &pose, Light::Nir, 0xFF, 9);
    assert_eq!(first, frame(&right(3), &pose, Light::Nir, 0xFF, 9));
    assert_ne!(first, frame(&right(4), &pose, Light::Nir, 0xFF, 9));
    assert_ne!(
        first,
        frame(&Identity::new(3, Hand::Left), &pose, Light::Nir, 0xFF, 9)
    );
    assert_ne!(first, frame(&right(3), &pose, Light::Nir, 0xFF, 10));
    let square = region(&right(3), 1, 96);
    assert_eq!(square, region(&right(3), 1, 96));
    assert_ne!(square, region(&right(4), 1, 96));
}

#[test]
fn shots_of_a_burst_show_the_hand_as_its_light_does() {
    let shots = [
        (Light::Ambient, 0),
        (Light::Nir, 0xFF),
        (Light::Nir, 0x0F),
        (Light::Visible, 0xFF),
    ];
    let burst = burst(&right(11), &Pose::centred(), &shots, 2);
    let lights: Vec<Light> = burst.shots.iter().map(|shot| shot.light).collect();
    assert_eq!(
        lights,
        [Light::Ambient, Light::Nir, Light::Nir, Light::Visible]
    );
    let bright: Vec<f32> = burst
        .shots
        .iter()
        .map(|shot| share_above(&shot.image, 75))
        .collect();
    assert!(bright[0] < 0.02, "a dim room: {bright:?}");
    assert!(
        (0.25..0.75).contains(&bright[1]),
        "a bright hand on dark: {bright:?}"
    );
    assert!(
        bright[2] < bright[1],
        "four LEDs give less than eight: {bright:?}"
    );
}

#[test]
fn each_led_lights_its_own_side_more() {
    let left_share = |mask: u8| {
        let image = frame(&right(2), &Pose::centred(), Light::Nir, mask, 1);
        let half = |from: usize| -> u64 {
            let rows = image.pixels().chunks_exact(FRAME_WIDTH).skip(500).take(200);
            rows.flat_map(|row| &row[from..from + 120])
                .map(|pixel| u64::from(*pixel))
                .sum()
        };
        half(240) as f32 / half(360) as f32
    };
    assert!(left_share(0b1100_0011) > 1.1 * left_share(0b0011_1100));
}

#[test]
fn valleys_lie_between_the_fingers_and_turn_with_the_hand() {
    for hand in [Hand::Right, Hand::Left] {
        let identity = Identity::new(21, hand);
        let upright = valleys(&identity, &Pose::centred());
        // Thumb on the right of a right hand: the index finger's valley is the rightmost.
        let ordered = upright.is_sorted_by(|a, b| (a.0 > b.0) == (hand == Hand::Right));
        assert!(ordered, "{hand:?} {upright:?}");
        let image = frame(&identity, &Pose::centred(), Light::Nir, 0xFF, 4);
        let grey = |x: f32, y: f32| image.pixels()[y as usize * FRAME_WIDTH + x as usize];
        for (x, y) in upright {
            assert!(grey(x, y + 22.0) > 80, "skin below the valley at {x} {y}");
            assert!(
                grey(x, y - 60.0) < 80,
                "background above the valley at {x} {y}"
            );
        }
        let turned = valleys(
            &identity,
            &Pose {
                rotation_deg: 60.0,
                ..Pose::centred()
            },
        );
        let side = |p: &[(f32, f32); 3]| (p[0].0 - p[2].0).hypot(p[0].1 - p[2].1);
        assert!((side(&turned) - side(&upright)).abs() < 1.0);
    }
}

#[test]
fn a_nearer_hand_is_larger_and_brighter() {
    let seen = |distance_mm: f32| {
        let pose = Pose {
            distance_mm,
            ..Pose::centred()
        };
        frame(&right(8), &pose, Light::Nir, 0xFF, 1)
    };
    let (near, far) = (seen(60.0), seen(140.0));
    assert!(share_above(&near, 60) > share_above(&far, 60));
    assert!(share_above(&near, 180) > share_above(&far, 180));
}

#[test]
fn an_empty_frame_is_dark_and_repeatable() {
    let empty = empty_frame(Light::Nir, 3);
    assert_eq!(empty, empty_frame(Light::Nir, 3));
    assert!(share_above(&empty, 60) < 0.01);
}

#[test]
fn extreme_poses_are_drawn_without_panic() {
    for pose in [
        Pose {
            rotation_deg: 60.0,
            tilt_deg: (25.0, -25.0),
            distance_mm: 40.0,
            ..Pose::centred()
        },
        Pose {
            tilt_deg: (89.0, 89.0),
            distance_mm: 0.0,
            spread: 3.0,
            ..Pose::centred()
        },
        Pose {
            offset_mm: (900.0, -900.0),
            ..Pose::centred()
        },
    ] {
        let image = frame(&right(1), &pose, Light::Visible, 0xFF, 1);
        assert_eq!((image.width(), image.height()), (FRAME_WIDTH, FRAME_HEIGHT));
    }
}
