use super::*;
use crate::image::GreyImage;

/// A region of fine texture about a level.
fn region(level: u8) -> Region {
    let pixels = (0..REGION_PIXELS * REGION_PIXELS).map(|at| {
        let texture = (at * 2_654_435_761 / 256) % 16;
        level.saturating_add(texture as u8)
    });
    Region {
        grey: GreyImage::new(REGION_PIXELS, REGION_PIXELS, pixels.collect()).unwrap(),
        hand: vec![true; REGION_PIXELS * REGION_PIXELS],
        source_side: 200.0,
        outside_image: 0.0,
    }
}

fn judged(region: &Region) -> Result<(), Rejection> {
    gate(region, &Measures::of(region))
}

#[test]
fn each_fault_has_its_rejection() {
    assert_eq!(judged(&region(100)), Ok(()));
    assert_eq!(judged(&region(0)), Err(Rejection::TooDark));
    assert_eq!(judged(&region(254)), Err(Rejection::TooBright));
    let cut = Region {
        outside_image: 0.2,
        ..region(100)
    };
    assert_eq!(judged(&cut), Err(Rejection::OffCentre));
    let far = Region {
        source_side: 60.0,
        ..region(100)
    };
    assert_eq!(judged(&far), Err(Rejection::TooFar));
    let mut covered = region(100);
    covered.grey.pixels_mut()[..1000].fill(3);
    assert_eq!(judged(&covered), Err(Rejection::PartlyHidden));
    let mut beside = region(100);
    beside.hand[..2000].fill(false);
    assert_eq!(judged(&beside), Err(Rejection::PartlyHidden));
    let mut blurred = region(100);
    for (index, pixel) in blurred.grey.pixels_mut().iter_mut().enumerate() {
        *pixel = (100.0 + 30.0 * ((index % REGION_PIXELS) as f32 / 20.0).sin()) as u8;
    }
    assert_eq!(judged(&blurred), Err(Rejection::Blurred));
}

#[test]
fn dark_veins_cover_nothing() {
    let mut veined = region(100);
    for (index, pixel) in veined.grey.pixels_mut().iter_mut().enumerate() {
        if (index % REGION_PIXELS + index / REGION_PIXELS) % 40 < 12 {
            *pixel = 20;
        }
    }
    assert_eq!(judged(&veined), Ok(()));
}

#[test]
fn one_bad_component_lowers_the_score() {
    let code = OrientationCode::from_cells(|_, _| Some(1));
    let good = region(120);
    let small = Region {
        source_side: 96.0,
        ..region(120)
    };
    let score = |region: &Region| assess(region, &Measures::of(region), &code).unwrap();
    assert_eq!(score(&good).resolution, 100);
    assert_eq!(score(&small).resolution, 75);
    assert!(score(&small).score < score(&good).score);
    let empty = OrientationCode::from_cells(|_, _| None);
    let refused = assess(&good, &Measures::of(&good), &empty);
    assert_eq!(refused.err(), Some(Rejection::PartlyHidden));
}
