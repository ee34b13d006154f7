use super::*;

#[test]
fn a_left_region_is_the_mirror_of_a_right_one() {
    let pixels = (0..64 * 64_usize).map(|at| (at * 31 % 251) as u8).collect();
    let image = GreyImage::new(64, 64, pixels).unwrap();
    let mut mirrored = image.clone();
    mirrored
        .pixels_mut()
        .chunks_exact_mut(64)
        .for_each(<[u8]>::reverse);
    assert_eq!(
        whole(&image, Hand::Right).grey,
        whole(&mirrored, Hand::Left).grey
    );
}

#[test]
fn a_square_along_the_axes_is_cut_as_it_stands() {
    let pixels = (0..200 * 200_usize).map(|at| (at % 200) as u8).collect();
    let image = GreyImage::new(200, 200, pixels).unwrap();
    let square = Square {
        corner: (9.5, 19.5),
        right: (128.0, 0.0),
        down: (0.0, 128.0),
    };
    let region = cut(&image, square, |_| true);
    assert_eq!(region.grey.pixels()[..3], [10, 11, 12]);
    assert_eq!(region.outside_image, 0.0);
    let beyond = cut(
        &image,
        Square {
            corner: (-64.5, 19.5),
            ..square
        },
        |_| true,
    );
    assert!((beyond.outside_image - 0.5).abs() < 0.01);
    assert!(!beyond.hand[0]);
}

#[test]
fn a_square_grows_with_its_image_and_keeps_its_valleys() {
    let square = Square {
        corner: (0.0, 0.0),
        right: (130.0, 0.0),
        down: (0.0, 130.0),
    };
    let [index, little] = square.valleys();
    assert!((index.0 - little.0 - 100.0).abs() < 1e-3);
    assert!((index.1 + 20.0).abs() < 1e-3);
    assert_eq!(square.scaled(2.0).right, (260.0, 0.0));
    assert_eq!(square.scaled(2.0).corner, (0.5, 0.5));
}

#[test]
fn normalising_takes_brightness_and_contrast_away() {
    let pixels: Vec<u8> = (0..128 * 128_usize)
        .map(|at| (at * 37 % 61) as u8)
        .collect();
    let dim = GreyImage::new(128, 128, pixels.iter().map(|p| p + 20).collect()).unwrap();
    let lit = GreyImage::new(128, 128, pixels.iter().map(|p| 2 * p + 100).collect()).unwrap();
    let difference = normalise(&dim)
        .iter()
        .zip(normalise(&lit))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(difference < 0.1, "{difference}");
}
