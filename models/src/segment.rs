//! Which pixels are hand.
//!
//! Otsu's threshold on the square root of grey, which evens out the sensor's noise and tames a bright window, tells the
//! two classes; the hand is that which the image's edge is not, and its border is half way between their medians, which
//! leaves shadows out. Then the largest part, its holes filled. Fingers that touch stay one here:
//! [`crate::hand_shape`] parts them.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use crate::extract::Rejection;
use crate::hand_shape::Point;
use crate::image::GreyImage;
use crate::params::{CONTRAST_MIN, HAND_AREA_MIN, SEGMENT_SMOOTHING, WORK_SIDE};
use crate::vision;

/// A hand in a small image.
pub(crate) struct Silhouette {
    /// The image, shrunk and smoothed.
    pub(crate) grey: GreyImage,
    /// 255 where there is hand, without holes.
    pub(crate) mask: GreyImage,
    /// Pixels of the source image to a pixel of these.
    pub(crate) scale: f32,
}

impl Silhouette {
    /// Whether a point of the source image is hand.
    pub(crate) fn holds(&self, (x, y): Point) -> bool {
        let at = |value: f32| ((value + 0.5) / self.scale) as usize;
        let (column, row) = (
            at(x).min(self.mask.width() - 1),
            at(y).min(self.mask.height() - 1),
        );
        self.mask.pixels()[row * self.mask.width() + column] > 0
    }
}

/// Finds the hand of `image` in `contrast`: the image itself, or another of the same size in which hand and ground
/// differ.
///
/// # Errors
/// [`Rejection::NoHand`] when nothing stands out from the ground.
pub(crate) fn segment(image: &GreyImage, contrast: &GreyImage) -> Result<Silhouette, Rejection> {
    let (grey, scale) = shrink(image);
    let mut bright = if std::ptr::eq(image, contrast) {
        grey.clone()
    } else {
        shrink(contrast).0
    };
    if edge_is_bright(&bright_class(&bright)) {
        bright = map(&bright, |value| 255 - value);
    }
    let level = half_level(&bright, &bright_class(&bright));
    let parts = vision::contours(&map(&bright, |value| {
        if f32::from(value) > level { 255 } else { 0 }
    }));
    let largest = parts.first().ok_or(Rejection::NoHand)?;
    let mask = vision::filled(largest, grey.width(), grey.height());
    let [ground, hand] = medians(&bright, &mask);
    let covers_all = share(&mask) >= 1.0;
    if share(&mask) < HAND_AREA_MIN || covers_all || hand - ground < CONTRAST_MIN {
        return Err(Rejection::NoHand);
    }
    Ok(Silhouette { grey, mask, scale })
}

/// The brighter of Otsu's two classes.
fn bright_class(grey: &GreyImage) -> GreyImage {
    let roots = map(grey, square_root);
    let level = vision::otsu(&roots);
    map(&roots, |root| if root > level { 255 } else { 0 })
}

/// The grey half way between ground and hand, where an edge that the lens has smoothed really is.
fn half_level(grey: &GreyImage, hand: &GreyImage) -> f32 {
    let [ground, hand] = medians(grey, hand);
    f32::midpoint(ground, hand)
}

/// The working image and how many source pixels make one of its.
fn shrink(image: &GreyImage) -> (GreyImage, f32) {
    let long = image.width().max(image.height());
    let scale = (long as f32 / WORK_SIDE as f32).max(1.0);
    let side = |side: usize| ((side as f32 / scale).round() as usize).max(1);
    let small = vision::resize(image, side(image.width()), side(image.height()));
    let sigma = (SEGMENT_SMOOTHING * small.width().max(small.height()) as f32).max(0.5);
    (vision::smooth(&small, sigma), scale)
}

fn square_root(value: u8) -> u8 {
    (f32::from(value) * 255.0).sqrt() as u8
}

pub(crate) fn map(image: &GreyImage, value: impl Fn(u8) -> u8) -> GreyImage {
    let values: [u8; 256] = std::array::from_fn(|grey| value(grey as u8));
    let mut out = image.clone();
    out.pixels_mut()
        .iter_mut()
        .for_each(|pixel| *pixel = values[usize::from(*pixel)]);
    out
}

/// Whether most of the image's edge is in the mask: then the mask is the ground.
fn edge_is_bright(mask: &GreyImage) -> bool {
    let (width, height) = (mask.width(), mask.height());
    let at = |x: usize, y: usize| usize::from(mask.pixels()[y * width + x] > 0);
    let rows: usize = (0..width).map(|x| at(x, 0) + at(x, height - 1)).sum();
    let columns: usize = (0..height).map(|y| at(0, y) + at(width - 1, y)).sum();
    rows + columns > width + height
}

/// Share of the image that is in the mask.
fn share(mask: &GreyImage) -> f32 {
    let inside = mask.pixels().iter().filter(|pixel| **pixel > 0).count();
    inside as f32 / mask.pixels().len() as f32
}

/// Median grey outside and inside the mask.
pub(crate) fn medians(grey: &GreyImage, mask: &GreyImage) -> [f32; 2] {
    let mut counts = [[0_usize; 256]; 2];
    for (value, inside) in grey.pixels().iter().zip(mask.pixels()) {
        counts[usize::from(*inside > 0)][usize::from(*value)] += 1;
    }
    counts.map(|counts| {
        let half = counts.iter().sum::<usize>() / 2;
        let mut below = 0;
        let reaches_half = |count: &usize| {
            below += count;
            below > half
        };
        counts.iter().position(reaches_half).unwrap_or(0) as f32
    })
}

#[cfg(test)]
mod tests;
