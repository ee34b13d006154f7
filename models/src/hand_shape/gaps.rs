//! Parts fingers that touch: cuts the dark lines between them out of the silhouette.

#![expect(
    clippy::cast_possible_truncation,
    reason = "pixel maths: a direction needs no double"
)]

use super::{Palm, Point, dot, minus, times};
use crate::image::GreyImage;
use crate::params::{GAP_BRIDGE, GAP_DEPTH_MIN, GAP_RADIUS_MIN, GAP_REACH, SPECK_WIDTH};
use crate::segment::{Silhouette, medians};
use crate::vision::{self, Brush};

/// The silhouette without the dark gaps between fingers that touch, and without specks.
pub(crate) fn part_fingers(silhouette: &Silhouette, palm: Palm) -> GreyImage {
    let along = long_axis(&silhouette.mask, palm);
    let across = times((-along.1, along.0), GAP_REACH * palm.radius);
    let mask = &silhouette.mask;
    let grey = dark_outside(&silhouette.grey, mask);
    let closed = vision::close(&grey, Brush::Line(across.0, across.1));
    let [_, median] = medians(&grey, mask);
    let depth_min = GAP_DEPTH_MIN * median;
    let mut ground = mask.clone();
    let width = mask.width();
    let near = (GAP_RADIUS_MIN * palm.radius).powi(2);
    let pixels = ground.pixels_mut().iter_mut().zip(closed.pixels());
    for (index, ((pixel, closed), grey)) in pixels.zip(grey.pixels()).enumerate() {
        let is_gap = || {
            let point = ((index % width) as f32, (index / width) as f32);
            let apart = minus(point, palm.centre);
            f32::from(*closed) - f32::from(*grey) > depth_min && dot(apart, apart) > near
        };
        *pixel = if *pixel == 0 || is_gap() { 255 } else { 0 };
    }
    let bridge = times(along, GAP_BRIDGE * palm.radius);
    let mut fingers = vision::close(&ground, Brush::Line(bridge.0, bridge.1));
    fingers
        .pixels_mut()
        .iter_mut()
        .for_each(|pixel| *pixel = 255 - *pixel);
    without_specks(&fingers, palm)
}

/// The silhouette without beads, pegs and what else is too narrow for a finger.
pub(crate) fn without_specks(mask: &GreyImage, palm: Palm) -> GreyImage {
    vision::open(mask, Brush::Disc(SPECK_WIDTH * palm.radius / 2.0))
}

/// The image without its ground, which may be white.
fn dark_outside(grey: &GreyImage, mask: &GreyImage) -> GreyImage {
    let mut out = grey.clone();
    for (pixel, inside) in out.pixels_mut().iter_mut().zip(mask.pixels()) {
        *pixel &= *inside;
    }
    out
}

/// The direction in which the silhouette is longest: fingers to arm.
fn long_axis(mask: &GreyImage, palm: Palm) -> Point {
    let width = mask.width();
    let (mut xx, mut xy, mut yy) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (index, pixel) in mask.pixels().iter().enumerate() {
        if *pixel > 0 {
            let x = f64::from((index % width) as f32 - palm.centre.0);
            let y = f64::from((index / width) as f32 - palm.centre.1);
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    (angle.cos() as f32, angle.sin() as f32)
}
