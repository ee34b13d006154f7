use super::*;

/// A region of one dark line through the middle, `degrees` from the horizontal, counter-clockwise.
fn line(degrees: f32) -> Vec<f32> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    (0..REGION_PIXELS * REGION_PIXELS)
        .map(|index| {
            let x = (index % REGION_PIXELS) as f32 - 64.0;
            let y = 64.0 - (index / REGION_PIXELS) as f32;
            if (y * cos - x * sin).abs() < 3.0 {
                -1.0
            } else {
                0.2
            }
        })
        .collect()
}

#[test]
fn each_orientation_of_a_dark_line_wins_on_it() {
    let hand = vec![true; REGION_PIXELS * REGION_PIXELS];
    for step in 0..ORIENTATIONS {
        let code = orientations(&line(30.0 * f32::from(step)), &hand);
        let expected = OrientationCode::from_cells(|_, _| Some(step));
        let middle = (15, 15);
        for plane in 0..3 {
            assert_eq!(
                code.planes[plane][middle.0] >> middle.1 & 1,
                expected.planes[plane][middle.0] >> middle.1 & 1,
                "orientation {step}, plane {plane}"
            );
        }
    }
}

#[test]
fn cells_off_the_hand_are_not_valid() {
    let half: Vec<bool> = (0..REGION_PIXELS * REGION_PIXELS)
        .map(|index| index % REGION_PIXELS < REGION_PIXELS / 2)
        .collect();
    let code = orientations(&line(30.0), &half);
    assert!(code.valid.iter().all(|row| row >> 16 == 0));
}

#[test]
fn a_flat_region_has_no_valid_cell() {
    let flat = vec![0.0; REGION_PIXELS * REGION_PIXELS];
    let code = orientations(&flat, &vec![true; flat.len()]);
    assert_eq!(code.valid_cells(), 0);
}

#[test]
fn filters_do_not_answer_to_brightness() {
    for filter in FILTERS.iter() {
        assert!(filter.iter().sum::<f32>().abs() < 1e-3);
    }
}
