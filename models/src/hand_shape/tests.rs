use super::*;
use crate::drawn::{Drawing, segmented};

fn shape_of(drawing: Drawing) -> Shape {
    shape(&segmented(&drawing.image()).unwrap(), &mut |_, _| {}).unwrap()
}

#[test]
fn both_hands_are_told_apart_at_any_angle() {
    for rotation_deg in [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0] {
        for hand in [Hand::Right, Hand::Left] {
            let drawing = Drawing {
                hand,
                rotation_deg,
                scale: 0.7,
                ..Drawing::plain()
            };
            assert_eq!(shape_of(drawing).hand, hand, "{rotation_deg}");
        }
    }
}

#[test]
fn valleys_turn_with_the_hand() {
    let span = |rotation_deg: f32| {
        let valleys = shape_of(Drawing {
            rotation_deg,
            ..Drawing::plain()
        })
        .valleys;
        minus(valleys.index_middle, valleys.ring_little)
    };
    let (straight, turned) = (span(0.0), span(30.0));
    let angle = cross(straight, turned)
        .atan2(dot(straight, turned))
        .to_degrees();
    assert!((angle - 30.0).abs() < 4.0, "{angle}");
    assert!((length(turned) / length(straight) - 1.0).abs() < 0.06);
}

#[test]
fn a_peg_between_two_fingers_does_not_move_the_valley() {
    let drawing = Drawing::plain();
    let valley = shape_of(drawing).valleys.ring_little;
    let mut image = drawing.image();
    // A bead of 30 pixels that touches ring and little finger, half way up the gap.
    for (index, pixel) in image.pixels_mut().iter_mut().enumerate() {
        let (x, y) = ((index % 720) as f32 - 288.0, (index / 720) as f32 - 430.0);
        if x.hypot(y) < 15.0 {
            *pixel = 120;
        }
    }
    let pegged = shape(&segmented(&image).unwrap(), &mut |_, _| {}).unwrap();
    let moved = length(minus(pegged.valleys.ring_little, valley));
    assert!(moved < 0.25 * pegged.palm.radius, "{moved}");
}

#[test]
fn sides_that_cut_a_silhouette_are_counted() {
    let mut mask = GreyImage::filled(40, 30, 0).unwrap();
    assert_eq!(sides_cut(&mask), 0);
    mask.pixels_mut()[..20].fill(255);
    assert_eq!(sides_cut(&mask), 1);
    mask.pixels_mut().fill(255);
    assert_eq!(sides_cut(&mask), 4);
}
