//! Palm regions as public region sets have them: a square between the finger valleys and the heel of the hand.

use super::TAG_REGION;
use super::identity::Identity;
use super::random::{Field, Rng};
use super::ranges::SampleRanges;
use super::render::{Mixture, Warp};
use crate::image::GreyImage;
use crate::template::Hand;

/// One near-infrared sample of the palm square, fingers up.
pub(crate) fn region(identity: &Identity, sample_seed: u64, side: usize) -> GreyImage {
    let mut rng = identity.rng(TAG_REGION, sample_seed);
    let ranges = identity.sample_ranges();
    let shape = &identity.shape;
    let warp = Warp::drawn(ranges, shape.half_side, &mut rng);
    let mixture = Mixture::drawn(ranges, &mut rng);
    let crop = Crop::drawn(ranges, &mut rng);
    let look = Look::drawn(ranges, &mut rng);
    let mirror = match identity.hand() {
        Hand::Right => 1.0,
        Hand::Left => -1.0,
    };
    let scale = 2.0 / side as f32;
    let mut pixels = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let place = (
                (column as f32 + 0.5) * scale - 1.0,
                (row as f32 + 0.5) * scale - 1.0,
            );
            let (x, y) = crop.to_square(place);
            let (u, v) = (mirror * x * shape.half_side, -y * shape.half_side);
            let point = warp.moved((shape.square.0 + u, shape.square.1 + v));
            let [skin, _] = mixture.of(point, identity.skin.at(point));
            pixels.push(look.seen(skin, place, &mut rng));
        }
    }
    GreyImage::new(side, side, pixels).expect("invariant: side is a legal image side")
}

/// How the square was cut out: never quite the same way twice.
struct Crop {
    sin: f32,
    cos: f32,
    scale: (f32, f32),
    shift: (f32, f32),
    perspective: (f32, f32),
}

impl Crop {
    fn drawn(ranges: &SampleRanges, rng: &mut Rng) -> Self {
        let (sin, cos) = (ranges.region_rotation_sd * rng.normal()).sin_cos();
        let scale = rng.within(ranges.region_scale);
        let stretch = 1.0 + ranges.region_stretch * rng.within(super::random::Span(-1.0, 1.0));
        let mut within = |size: f32| size * (2.0 * rng.unit() - 1.0);
        Self {
            sin,
            cos,
            scale: (scale * stretch, scale / stretch),
            shift: (within(ranges.region_shift), within(ranges.region_shift)),
            perspective: (
                within(ranges.region_perspective),
                within(ranges.region_perspective),
            ),
        }
    }

    fn to_square(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let depth = 1.0 / (1.0 + self.perspective.0 * x + self.perspective.1 * y);
        let (x, y) = (x * depth * self.scale.0, y * depth * self.scale.1);
        (
            x * self.cos - y * self.sin + self.shift.0,
            x * self.sin + y * self.cos + self.shift.1,
        )
    }
}

/// Light and sensor of one sample.
struct Look {
    plane: (f32, f32),
    vignette: f32,
    gamma: f32,
    noise: f32,
    shade: Field,
}

impl Look {
    fn drawn(ranges: &SampleRanges, rng: &mut Rng) -> Self {
        let mut within = |size: f32| size * (2.0 * rng.unit() - 1.0);
        let plane = (within(ranges.light_plane), within(ranges.light_plane));
        let vignette = within(ranges.vignette);
        let gamma = rng.within(ranges.gamma);
        let noise = rng.within(ranges.read_noise) + 0.5 * ranges.shot_noise;
        Self {
            plane,
            vignette,
            gamma,
            noise,
            shade: Field::normal(rng, 0.9, 2.0, 2.0),
        }
    }

    fn seen(&self, skin: f32, (x, y): (f32, f32), rng: &mut Rng) -> u8 {
        let light =
            1.0 + self.plane.0 * x + self.plane.1 * y - self.vignette * (x * x + y * y) * 0.5;
        let shade = 1.0 + 0.06 * self.shade.at(x + 1.0, y + 1.0);
        let value = (0.55 * skin * light.max(0.1) * shade)
            .clamp(0.0, 1.0)
            .powf(self.gamma);
        (255.0 * (value + self.noise * rng.normal())).clamp(0.0, 255.0) as u8
    }
}
