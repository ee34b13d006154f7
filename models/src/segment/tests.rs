use super::*;
use crate::drawn::{Drawing, segmented};

fn share_of(drawing: Drawing) -> f32 {
    share(&segmented(&drawing.image()).unwrap().mask)
}

#[test]
fn a_dark_hand_on_white_is_the_same_hand() {
    let bright = share_of(Drawing::plain());
    let dark = share_of(Drawing {
        skin: 150,
        ground: 250,
        ..Drawing::plain()
    });
    assert!((bright - dark).abs() < 0.01, "{bright} {dark}");
}

#[test]
fn a_bright_window_beside_the_hand_does_not_hide_it() {
    let mut image = Drawing::plain().image();
    for row in image
        .pixels_mut()
        .chunks_exact_mut(crate::drawn::WIDTH)
        .take(120)
    {
        row[..60].fill(255);
    }
    let silhouette = segmented(&image).unwrap();
    assert!(silhouette.holds((360.0, 600.0)));
    assert!(!silhouette.holds((30.0, 60.0)));
}

#[test]
fn a_shadow_without_colour_is_no_hand() {
    let image = Drawing::plain().image();
    let mut shaded = image.clone();
    for row in shaded.pixels_mut().chunks_exact_mut(crate::drawn::WIDTH) {
        row[500..].fill(130);
    }
    let by_colour = segment(&shaded, &image).unwrap();
    assert!((share(&by_colour.mask) - share_of(Drawing::plain())).abs() < 0.001);
    assert_eq!(by_colour.grey, segmented(&shaded).unwrap().grey);
}

#[test]
fn an_even_image_holds_no_hand() {
    for level in [0, 128, 255] {
        let even = GreyImage::filled(300, 200, level).unwrap();
        assert_eq!(segmented(&even).err(), Some(Rejection::NoHand));
    }
}
