//! Near infrared against visible light over the palm region: creases are in both, veins in near infrared only, and what
//! is printed is in both alike.

use super::{Found, Lights};
use crate::image::GreyImage;
use crate::params::{
    BAND_FINE_SIGMA, BAND_GLARE_PART, BAND_GROUND_SIGMA, BAND_VEIN_SIGMA, REGION_PIXELS,
};
use crate::region;
use crate::vision;

/// What the two bands say of each other.
pub(super) struct Bands {
    pub(super) veins: f32,
    pub(super) agreement: f32,
    pub(super) breadth: f32,
    pub(super) glare: f32,
}

/// Contrast about the local mean, at two widths.
struct Detail {
    /// As wide as veins.
    broad: Vec<f32>,
    /// All that is wider than noise.
    all: Vec<f32>,
}

pub(super) fn measure(lights: &Lights<'_>, found: &Found<'_>) -> Bands {
    let visible = crate::extract::without_room(lights.visible, lights.room);
    let visible = region::cut(&visible, found.square, |point| {
        found.silhouette.holds(point)
    });
    let (nir, visible) = (detail(&found.region.grey), detail(&visible.grey));
    let inside = &found.region.hand;
    let share = dot(&nir.broad, &visible.broad, inside)
        / dot(&visible.broad, &visible.broad, inside).max(f32::MIN_POSITIVE);
    let own: Vec<f32> = nir
        .broad
        .iter()
        .zip(&visible.broad)
        .map(|(nir, visible)| nir - share * visible)
        .collect();
    let fine: Vec<f32> = visible
        .all
        .iter()
        .zip(&visible.broad)
        .map(|(all, broad)| all - broad)
        .collect();
    let norm = |values: &[f32]| dot(values, values, inside).sqrt().max(1e-6);
    Bands {
        veins: norm(&own) / (inside.len() as f32).sqrt(),
        agreement: dot(&nir.all, &visible.all, inside) / (norm(&nir.all) * norm(&visible.all)),
        breadth: (norm(&visible.broad) / norm(&fine)).ln(),
        glare: brightest(&nir.all, inside),
    }
}

fn detail(grey: &GreyImage) -> Detail {
    let values: Vec<f32> = grey
        .pixels()
        .iter()
        .map(|value| f32::from(*value))
        .collect();
    let smooth = |sigma| vision::smooth_square(&values, REGION_PIXELS, sigma);
    let ground = smooth(BAND_GROUND_SIGMA);
    let contrast = |values: Vec<f32>| -> Vec<f32> {
        let pairs = values.iter().zip(&ground);
        pairs
            .map(|(value, ground)| value / ground.max(1.0) - 1.0)
            .collect()
    };
    Detail {
        broad: contrast(smooth(BAND_VEIN_SIGMA)),
        all: contrast(smooth(BAND_FINE_SIGMA)),
    }
}

fn dot(a: &[f32], b: &[f32], inside: &[bool]) -> f32 {
    let both = a.iter().zip(b).zip(inside);
    both.filter(|(_, inside)| **inside)
        .map(|((a, b), _)| a * b)
        .sum()
}

/// The contrast that only the brightest few exceed.
fn brightest(values: &[f32], inside: &[bool]) -> f32 {
    let pairs = values.iter().zip(inside);
    let mut values: Vec<f32> = pairs
        .filter(|(_, inside)| **inside)
        .map(|(value, _)| *value)
        .collect();
    let rank = values.len() * BAND_GLARE_PART / 1000;
    if values.is_empty() {
        return 1.0;
    }
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}
