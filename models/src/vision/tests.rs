use super::*;

fn square() -> GreyImage {
    let pixels = (0..400).map(|at| {
        if (5..15).contains(&(at % 20)) && (5..15).contains(&(at / 20)) {
            255
        } else {
            0
        }
    });
    GreyImage::new(20, 20, pixels.collect()).unwrap()
}

#[test]
fn a_contour_filled_again_is_the_mask() {
    let found = contours(&square());
    assert_eq!(found.len(), 1);
    assert_eq!(filled(&found[0], 20, 20), square());
}

#[test]
fn distance_counts_the_edge_of_the_image_as_outside() {
    let all = GreyImage::filled(9, 9, 255).unwrap();
    let distances = distances(&all);
    assert!((distances[4 * 9 + 4] - 5.0).abs() < 0.2);
    assert!((distances[0] - 1.0).abs() < 0.1);
}

#[test]
fn opening_removes_what_the_brush_does_not_fit_into() {
    let opened = open(&square(), Brush::Disc(6.0));
    assert!(opened.pixels().iter().all(|pixel| *pixel == 0));
    assert_eq!(open(&square(), Brush::Line(3.0, 0.0)), square());
}

#[test]
fn otsu_parts_two_levels() {
    let level = otsu(&square());
    assert!(level < 255);
    let dots = GreyImage::new(4, 1, vec![20, 22, 180, 190]).unwrap();
    assert!((22..180).contains(&otsu(&dots)));
}

#[test]
fn one_pixel_goes_through_everything() {
    let dot = GreyImage::filled(1, 1, 255).unwrap();
    assert_eq!(resize(&dot, 3, 2).pixels(), [255; 6]);
    assert_eq!(smooth(&dot, 2.0).pixels(), [255]);
    assert_eq!(close(&dot, Brush::Disc(9.0)).pixels(), [255]);
    assert_eq!(distances(&dot).len(), 1);
    assert!(contours(&GreyImage::filled(1, 1, 0).unwrap()).is_empty());
}
