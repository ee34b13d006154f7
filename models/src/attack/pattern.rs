//! Regular dots of a print and pixels of a screen: sharp peaks of the power spectrum, which skin does not have.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use crate::image::GreyImage;
use crate::params::{PATTERN_NEIGHBOURS, PATTERN_PERIOD_MAX, PATTERN_SIDE};
use crate::vision;

/// Logarithm of the highest peak's power over its neighbours' geometric mean, over fine patterns round `centre`.
/// 0 where the image is too small to tell.
pub(super) fn strongest(image: &GreyImage, centre: (f32, f32)) -> f32 {
    let side = PATTERN_SIDE;
    let Some(values) = window(image, centre, side) else {
        return 0.0;
    };
    let power: Vec<f32> = vision::power_spectrum(&values, side)
        .into_iter()
        .map(|power| power.max(f32::MIN_POSITIVE).ln())
        .collect();
    let ground = vision::smooth_square(&power, side, PATTERN_NEIGHBOURS);
    let least = side as f32 / PATTERN_PERIOD_MAX;
    let wave = |at: usize| at.min(side - at) as f32;
    let mut highest = 0.0_f32;
    // The other half of the plane mirrors this one. Beside the axes the window's own edges show.
    for row in 3..side / 2 {
        for column in (3..side - 2).filter(|column| wave(*column).hypot(row as f32) >= least) {
            let at = row * side + column;
            highest = highest.max(power[at] - ground[at]);
        }
    }
    highest
}

/// The square round a point, faded out towards its edges (Hann).
fn window(image: &GreyImage, (x, y): (f32, f32), side: usize) -> Option<Vec<f32>> {
    let start = |middle: f32, length: usize| {
        let most = length.checked_sub(side)?;
        Some((middle as usize).saturating_sub(side / 2).min(most))
    };
    let (left, top) = (start(x, image.width())?, start(y, image.height())?);
    let fade: Vec<f32> = (0..side)
        .map(|at| 0.5 - 0.5 * (std::f32::consts::TAU * (at as f32 + 0.5) / side as f32).cos())
        .collect();
    let rows = image
        .pixels()
        .chunks_exact(image.width())
        .skip(top)
        .take(side);
    let mean = rows.clone().map(|row| {
        row[left..left + side]
            .iter()
            .map(|p| f32::from(*p))
            .sum::<f32>()
    });
    let mean = mean.sum::<f32>() / (side * side) as f32;
    let faded = rows.zip(&fade).flat_map(|(row, down)| {
        let pixels = row[left..left + side].iter().zip(&fade);
        pixels.map(move |(pixel, across)| (f32::from(*pixel) - mean) * across * down)
    });
    Some(faded.collect())
}
