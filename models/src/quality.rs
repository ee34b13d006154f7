//! Whether a palm region is good enough, and how good.
//!
//! Each gate has one rejection, and each rejection one thing that the customer can do. Start reading at `gate`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use crate::extract::Rejection;
use crate::params::{
    DARK_LEVEL, DARK_MEDIAN_MIN, DARK_REACH, DARK_SHARE_MAX, OUTSIDE_SHARE_MAX, REGION_PIXELS,
    REGION_SOURCE_MIN, SATURATED_LEVEL, SATURATED_SHARE_MAX, SHARPNESS_FULL, SHARPNESS_MIN,
    SHARPNESS_SIGMA, SHARPNESS_STEPS, VALID_SHARE_MIN,
};
use crate::region::Region;
use crate::segment;
use crate::template::{CODE_SIDE, OrientationCode};
use crate::vision::{self, Brush};
use zeroize::Zeroize;

/// How good a sample is; each component and the score from 0 (worst) to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// The whole: the geometric mean of the components, so that one bad component cannot hide.
    pub score: u8,
    /// Share of the code's cells that are skin with a line to follow.
    pub coverage: u8,
    /// How far the region is from too dark and from saturated.
    pub exposure: u8,
    /// How many source pixels there are to a region pixel; 100 from one upwards.
    pub resolution: u8,
    /// How much fine detail there is against coarse.
    pub sharpness: u8,
}

/// What the gates measure of a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measures {
    /// Median grey, 0 to 255.
    pub(crate) median: f32,
    /// Share of pixels much darker than the median: background, or something laid over the palm.
    pub(crate) dark: f32,
    /// Share of pixels outside the silhouette.
    pub(crate) outside: f32,
    /// Share of pixels at the top of the scale.
    pub(crate) saturated: f32,
    /// Fine detail over coarse.
    pub(crate) sharpness: f32,
}

impl Measures {
    pub(crate) fn of(region: &Region) -> Self {
        let pixels = region.grey.pixels();
        let share = |count: usize| count as f32 / pixels.len() as f32;
        let mut sorted = pixels.to_vec();
        let median = f32::from(*sorted.select_nth_unstable(pixels.len() / 2).1);
        sorted.zeroize();
        let saturated = |pixel: &&u8| **pixel >= SATURATED_LEVEL;
        Self {
            median,
            dark: share(dark_pixels(region, DARK_LEVEL * median)),
            outside: share(region.hand.iter().filter(|hand| !**hand).count()),
            saturated: share(pixels.iter().filter(saturated).count()),
            sharpness: sharpness(region),
        }
    }
}

/// How many pixels are darker than `level` and lie in a dark patch that is too wide for a crease or a vein.
fn dark_pixels(region: &Region, level: f32) -> usize {
    let dark = segment::map(
        &region.grey,
        |value| if f32::from(value) < level { 255 } else { 0 },
    );
    let patches = vision::open(&dark, Brush::Disc(DARK_REACH));
    patches.pixels().iter().filter(|pixel| **pixel > 0).count()
}

/// Judges a region before its lines are followed.
///
/// # Errors
/// The first gate that it does not pass.
pub(crate) fn gate(region: &Region, measures: &Measures) -> Result<(), Rejection> {
    if region.outside_image > OUTSIDE_SHARE_MAX {
        return Err(Rejection::OffCentre);
    }
    if region.source_side < REGION_SOURCE_MIN {
        return Err(Rejection::TooFar);
    }
    if measures.saturated > SATURATED_SHARE_MAX {
        return Err(Rejection::TooBright);
    }
    if measures.median < DARK_MEDIAN_MIN {
        return Err(Rejection::TooDark);
    }
    if measures.outside > OUTSIDE_SHARE_MAX || measures.dark > DARK_SHARE_MAX {
        return Err(Rejection::PartlyHidden);
    }
    if measures.sharpness < SHARPNESS_MIN {
        return Err(Rejection::Blurred);
    }
    Ok(())
}

/// Scores a sample that passed the gates.
///
/// # Errors
/// [`Rejection::PartlyHidden`] when too few cells of the code are valid.
pub(crate) fn assess(
    region: &Region,
    measures: &Measures,
    code: &OrientationCode,
) -> Result<Quality, Rejection> {
    let valid = code.valid_cells() as f32 / (CODE_SIDE * CODE_SIDE) as f32;
    if valid < VALID_SHARE_MIN {
        return Err(Rejection::PartlyHidden);
    }
    let dark_room = (measures.median / (4.0 * DARK_MEDIAN_MIN)).min(1.0);
    let bright_room = 1.0 - measures.saturated / SATURATED_SHARE_MAX;
    let coverage = valid;
    let exposure = dark_room.min(bright_room);
    let resolution = region.source_side / REGION_PIXELS as f32;
    let sharpness = measures.sharpness / SHARPNESS_FULL;
    let parts = [coverage, exposure, resolution, sharpness].map(|part| part.clamp(0.0, 1.0));
    let score = parts.iter().product::<f32>().powf(0.25);
    let [coverage, exposure, resolution, sharpness] = parts.map(percent);
    Ok(Quality {
        score: percent(score),
        coverage,
        exposure,
        resolution,
        sharpness,
    })
}

fn percent(part: f32) -> u8 {
    (100.0 * part).round() as u8
}

/// How much of the contrast over a long step is there over a short one already, in the direction where it is least:
/// a moving hand loses its fine detail along the motion only.
fn sharpness(region: &Region) -> f32 {
    let values: Vec<f32> = region
        .grey
        .pixels()
        .iter()
        .map(|value| f32::from(*value))
        .collect();
    let calm = vision::smooth_square(&values, REGION_PIXELS, SHARPNESS_SIGMA);
    let (short, long) = SHARPNESS_STEPS;
    [(1, 0), (0, 1), (1, 1), (1, -1)]
        .map(|direction| {
            contrast(&calm, direction, short) / contrast(&calm, direction, long).max(f32::EPSILON)
        })
        .into_iter()
        .fold(f32::INFINITY, f32::min)
}

/// Root of the mean square difference of pixels `step` apart in a direction.
fn contrast(values: &[f32], (dx, dy): (isize, isize), step: usize) -> f32 {
    let inner = step..REGION_PIXELS - step;
    let at = |x: usize, y: usize| values[y * REGION_PIXELS + x];
    let moved = |from: usize, by: isize| from.saturating_add_signed(by * step.cast_signed());
    let mut sum = 0.0;
    for y in inner.clone() {
        for x in inner.clone() {
            sum += (at(moved(x, dx), moved(y, dy)) - at(x, y)).powi(2);
        }
    }
    sum.sqrt() / inner.len() as f32
}

#[cfg(test)]
mod tests;
