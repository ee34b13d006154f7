//! Frames of the reader: geometry and reflectance once a capture, then one pass over the pixels for each shot.

use super::canvas::{BOTTOM, BOX_HEIGHT, BOX_WIDTH, LEFT, Point, Raster};
use super::identity::{CREASE, FINE, Identity, TONE, VEIN};
use super::outline::Shape;
use super::pose::{Camera, Pose, dot};
use super::random::{Field, Line, Rng, Span, mix};
use super::ranges::SampleRanges;
use super::{FRAME_HEIGHT, FRAME_WIDTH, TAG_CONTRAST, TAG_SAMPLE};
use crate::burst::{Burst, Light, Shot};
use crate::image::GreyImage;
use crate::params::led_places;

/// Texels a millimetre of the outline and of the light on it.
const SURFACE_SCALE: f32 = 1.5;
/// Pixels between two points at which the geometry is computed; between them it is linear.
const STEP: usize = 16;
const NODE_COLUMNS: usize = FRAME_WIDTH / STEP + 1;
const NODE_ROWS: usize = FRAME_HEIGHT / STEP + 1;
/// Shots that one pass over the pixels draws: as many as a reader's burst has at most.
const SHOTS: usize = 8;
/// Distance to the outline, and the light of each shot's LEDs.
type Lit = Raster<f32, { SHOTS + 1 }>;
/// Grey of an evenly lit bright skin at 100 mm under all LEDs.
const LEVEL: f32 = 0.66;
/// Share of the room's light that the near-infrared filter lets through.
const NIR_AMBIENT: f32 = 0.35;

/// What one capture has in common.
pub(crate) struct Scene {
    /// Hand coordinates and room brightness at the lattice of [`STEP`].
    nodes: Vec<[f32; 3]>,
    lit: Lit,
    /// Reflectance in near infrared and in visible light.
    reflectance: Raster<f32, 2>,
    pixels_per_mm: f32,
    exposure: f32,
    /// Light of the room on the hand.
    room: f32,
    read_noise: f32,
    shot_noise: f32,
    halftone: Option<Halftone>,
}

impl Scene {
    /// `led_masks` has the LEDs of each shot, at most [`SHOTS`].
    pub(crate) fn new(
        identity: &Identity,
        pose: &Pose,
        sample_seed: u64,
        led_masks: &[u8],
        shown: &Shown<'_>,
    ) -> Self {
        let mut rng = identity.rng(TAG_SAMPLE, sample_seed);
        let ranges = identity.sample_ranges();
        let camera = Camera::new(pose, identity.hand());
        let chains = identity.shape.chains(pose.spread);
        let warp = Warp::drawn(ranges, identity.shape.half_side, &mut rng).eased(ranges.frame_warp);
        let skin = reflectance(identity, &chains, &mut rng);
        let reflectance = (shown.paint)(skin);
        let room = Room::drawn(&mut rng);
        let nodes = lattice(|x, y| {
            let (u, v) = warp.moved(camera.to_hand(x, y));
            [u, v, room.brightness(x, y)]
        });
        let distance = Raster::build(SURFACE_SCALE, |v| {
            let (shape, chains) = (&identity.shape, &chains);
            move |u| [shape.distance(chains, (u, v))]
        });
        Self {
            nodes,
            lit: light(&distance, &identity.shape, shown.form, camera, led_masks),
            reflectance,
            pixels_per_mm: camera.scale(),
            // The reader's exposure follows the distance, but only in part.
            exposure: LEVEL * (camera.distance_mm() / 100.0).powf(1.4),
            room: 0.9 * room.level + 0.015,
            read_noise: rng.within(ranges.read_noise),
            shot_noise: ranges.shot_noise,
            halftone: shown.halftone,
        }
    }

    /// The frames of one capture; each exposure has noise of its own.
    fn shots(&self, exposures: &[Exposure]) -> Vec<Vec<u8>> {
        let mut frames: Vec<Vec<u8>> = exposures
            .iter()
            .map(|_| Vec::with_capacity(FRAME_WIDTH * FRAME_HEIGHT))
            .collect();
        self.each_pixel(|point, room| {
            let [distance, lit @ ..] = self.lit.at(point);
            let cover = (0.5 - distance * self.pixels_per_mm).clamp(0.0, 1.0);
            let skin = if cover > 0.0 {
                let dots = self.halftone.map_or(1.0, |halftone| halftone.at(point));
                self.reflectance.at(point).map(|skin| skin * dots)
            } else {
                [0.0; 2]
            };
            for ((frame, exposure), light) in frames.iter_mut().zip(exposures).zip(lit) {
                let light = light * exposure.strength;
                let hand = skin[exposure.channel] * (light + self.room * exposure.ambient);
                let behind = room * exposure.ambient;
                let value = behind + cover * (hand - behind);
                frame.push(exposure.noise.seen(value, frame.len()));
            }
        });
        frames
    }

    fn exposure(&self, light: Light, seed: u64) -> Exposure {
        let (channel, strength, ambient) = match light {
            Light::Ambient => (1, 0.0, 1.0),
            Light::Nir => (0, self.exposure, NIR_AMBIENT),
            Light::Visible => (1, self.exposure, 1.0),
        };
        Exposure {
            channel,
            strength,
            ambient,
            noise: Noise {
                read: self.read_noise,
                shot: self.shot_noise,
                seed,
            },
        }
    }

    /// Calls `pixel` with the hand coordinates and the room's brightness, row by row.
    fn each_pixel(&self, mut pixel: impl FnMut(Point, f32)) {
        let mut line = [[0.0f32; 3]; NODE_COLUMNS];
        for y in 0..FRAME_HEIGHT {
            let (row, b) = (y / STEP * NODE_COLUMNS, (y % STEP) as f32 / STEP as f32);
            for (column, node) in line.iter_mut().enumerate() {
                let (top, bottom) = (
                    self.nodes[row + column],
                    self.nodes[row + NODE_COLUMNS + column],
                );
                *node = std::array::from_fn(|k| top[k] + (bottom[k] - top[k]) * b);
            }
            for pair in line.windows(2) {
                let step: [f32; 3] =
                    std::array::from_fn(|k| (pair[1][k] - pair[0][k]) / STEP as f32);
                let [mut u, mut v, mut room] = pair[0];
                for _ in 0..STEP {
                    pixel((u, v), room);
                    (u, v, room) = (u + step[0], v + step[1], room + step[2]);
                }
            }
        }
    }
}

/// How one frame is exposed.
struct Exposure {
    /// Of the reflectance: 0 near infrared, 1 visible.
    channel: usize,
    /// Strength of the LEDs.
    strength: f32,
    /// Share of the room's light that counts.
    ambient: f32,
    noise: Noise,
}

/// What stands in front of the lens in the shape of a hand.
pub(crate) struct Shown<'a> {
    pub(crate) form: Form,
    /// Makes of the skin's reflectance, near infrared and visible, that of the surface.
    pub(crate) paint: &'a dyn Fn(Raster<f32, 2>) -> Raster<f32, 2>,
    pub(crate) halftone: Option<Halftone>,
}

impl Shown<'_> {
    /// The hand itself.
    pub(crate) const HAND: Self = Shown {
        form: Form::Hand,
        paint: &|skin| skin,
        halftone: None,
    };
}

/// How a surface stands towards the reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Soft and round, and light scatters in it.
    Hand,
    /// A sheet bent round an axis: curvature (1/mm, 0 is flat) and the direction across the axis.
    Sheet { curvature: f32, across: Point },
}

impl Form {
    fn height(self, shape: &Shape, distance: f32, point: Point) -> f32 {
        match self {
            Self::Hand => shape.height(distance, point),
            Self::Sheet { curvature, across } => {
                let off = point.0 * across.0 + point.1 * across.1;
                -0.5 * curvature * off * off
            }
        }
    }

    /// Share of its slopes that shading shows: light scatters under the skin.
    fn crispness(self) -> f32 {
        match self {
            Self::Hand => 0.5,
            Self::Sheet { .. } => 1.0,
        }
    }
}

/// The dots of a print or the pixels of a screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halftone {
    /// Wave numbers along its two axes, radians a millimetre.
    pub(crate) waves: [Point; 2],
    /// Contrast, 0 to 1, as the sensor's pixels leave it.
    pub(crate) contrast: f32,
}

impl Halftone {
    pub(crate) fn at(self, (u, v): Point) -> f32 {
        let [a, b] = self.waves.map(|wave| (wave.0 * u + wave.1 * v).cos());
        1.0 + 0.5 * self.contrast * (a + b)
    }
}

/// Several frames of one capture.
pub(crate) fn burst(
    identity: &Identity,
    pose: &Pose,
    shots: &[(Light, u8)],
    sample_seed: u64,
    shown: &Shown<'_>,
) -> Burst {
    let numbered: Vec<_> = (1..).zip(shots).collect();
    let mut taken = Vec::with_capacity(shots.len());
    for some in numbered.chunks(SHOTS) {
        let masks: Vec<u8> = some.iter().map(|(_, (_, leds))| *leds).collect();
        let scene = Scene::new(identity, pose, sample_seed, &masks, shown);
        let exposures: Vec<Exposure> = some
            .iter()
            .map(|(n, (light, _))| scene.exposure(*light, mix(sample_seed ^ mix(*n))))
            .collect();
        let frames = scene.shots(&exposures).into_iter().zip(some);
        taken.extend(frames.map(|(frame, (_, (light, led_mask)))| Shot {
            light: *light,
            led_mask: *led_mask,
            image: image(frame),
        }));
    }
    Burst {
        shots: taken,
        chroma: None,
    }
}

/// A frame without a hand.
pub(crate) fn empty(light: Light, seed: u64) -> GreyImage {
    let mut rng = Rng::new(&[TAG_SAMPLE, seed]);
    let room = Room::drawn(&mut rng);
    let share = match light {
        Light::Ambient => 1.0,
        Light::Nir => NIR_AMBIENT,
        Light::Visible => 1.1,
    };
    let noise = Noise {
        read: 0.006,
        shot: 0.016,
        seed,
    };
    let pixels = (0..FRAME_WIDTH * FRAME_HEIGHT).map(|at| {
        let (x, y) = ((at % FRAME_WIDTH) as f32, (at / FRAME_WIDTH) as f32);
        noise.seen(share * room.brightness(x, y), at)
    });
    image(pixels.collect())
}

pub(crate) fn image(pixels: Vec<u8>) -> GreyImage {
    GreyImage::new(FRAME_WIDTH, FRAME_HEIGHT, pixels).expect("invariant: one pixel each was drawn")
}

/// Moves every point a little, differently in each sample: a hand is soft.
pub(crate) struct Warp {
    coarse: [Field; 2],
    fine: [Field; 2],
    amplitude: (f32, f32),
}

impl Warp {
    pub(crate) fn drawn(ranges: &SampleRanges, half_side: f32, rng: &mut Rng) -> Self {
        let mut field = |step: f32| Field::normal(rng, step, BOX_WIDTH, BOX_HEIGHT);
        // A grid of 4 x 4 and one of 8 x 8 over the palm square.
        let (coarse, fine) = (half_side * 2.0 / 3.0, half_side * 2.0 / 7.0);
        Self {
            coarse: [field(coarse), field(coarse)],
            fine: [field(fine), field(fine)],
            amplitude: (ranges.warp_coarse * half_side, ranges.warp_fine * half_side),
        }
    }

    /// The same warp, `share` as strong.
    fn eased(mut self, share: f32) -> Self {
        self.amplitude = (self.amplitude.0 * share, self.amplitude.1 * share);
        self
    }

    pub(crate) fn moved(&self, (u, v): Point) -> Point {
        let (x, y) = (u - LEFT, v - BOTTOM);
        let shift = |k: usize| {
            self.amplitude.0 * self.coarse[k].at(x, y) + self.amplitude.1 * self.fine[k].at(x, y)
        };
        (u + shift(0), v + shift(1))
    }
}

/// Reflectance of the skin in this sample, near infrared and visible.
pub(crate) fn reflectance(
    identity: &Identity,
    chains: &[[Point; 4]; 5],
    rng: &mut Rng,
) -> Raster<f32, 2> {
    let skin = identity.skin_with_fingers(chains);
    let ranges = identity.sample_ranges();
    let own = Mixture::drawn(ranges, &mut identity.rng(TAG_CONTRAST, 0));
    let mixture = own.varied(ranges, rng);
    let [nir, visible] = identity.reflectance;
    skin.map(|v| {
        let mixture = mixture.line(v);
        move |u, layers| {
            let [in_nir, in_visible] = mixture.of(u, layers);
            [nir * in_nir, visible * in_visible]
        }
    })
}

/// How strongly each layer of the skin shows in one sample.
pub(crate) struct Mixture {
    crease: f32,
    fine: f32,
    vein: f32,
    tone: f32,
    faint: Field,
    dropout: f32,
}

impl Mixture {
    pub(crate) fn drawn(ranges: &SampleRanges, rng: &mut Rng) -> Self {
        Self {
            crease: rng.within(ranges.gain_crease),
            fine: rng.within(ranges.gain_fine),
            vein: rng.within(ranges.gain_vein),
            tone: rng.within(ranges.gain_tone),
            faint: Field::normal(rng, 14.0, BOX_WIDTH, BOX_HEIGHT),
            dropout: ranges.dropout,
        }
    }

    /// The mixture of another frame of the same hand.
    fn varied(self, ranges: &SampleRanges, rng: &mut Rng) -> Self {
        let mut gain = |mean: f32| mean * rng.within(ranges.frame_gain);
        Self {
            crease: gain(self.crease),
            fine: gain(self.fine),
            vein: gain(self.vein),
            tone: gain(self.tone),
            faint: Field::normal(rng, 14.0, BOX_WIDTH, BOX_HEIGHT),
            dropout: self.dropout,
        }
    }

    /// The mixture along one row of the hand's frame.
    pub(crate) fn line(&self, v: f32) -> MixtureLine<'_> {
        MixtureLine {
            mixture: self,
            faint: self.faint.line(v - BOTTOM),
        }
    }

    /// Near infrared and visible reflectance at a point, 1 for bare skin.
    pub(crate) fn of(&self, (u, v): Point, layers: [f32; 4]) -> [f32; 2] {
        self.mixed(self.faint.at(u - LEFT, v - BOTTOM), layers)
    }

    fn mixed(&self, faint: f32, layers: [f32; 4]) -> [f32; 2] {
        const BYTE: f32 = 1.0 / 255.0;
        // The share of the normal distribution below -0.92 is 0.18.
        let faint = faint + 0.92 * (self.dropout / 0.18);
        let shown = (0.65 + 1.2 * faint).clamp(0.25, 1.0);
        let lines = shown * (self.crease * layers[CREASE] + self.fine * layers[FINE]) * BYTE;
        let tone = self.tone * (layers[TONE] * BYTE - 0.5);
        let nir = 1.0 - lines - self.vein * layers[VEIN] * BYTE + tone;
        let visible = 1.0 - 1.15 * lines + 1.3 * tone;
        [nir.max(0.05), visible.max(0.05)]
    }
}

/// One row of a [`Mixture`].
pub(crate) struct MixtureLine<'a> {
    mixture: &'a Mixture,
    faint: Line,
}

impl MixtureLine<'_> {
    fn of(&self, u: f32, layers: [u8; 4]) -> [f32; 2] {
        self.mixture
            .mixed(self.faint.at(u - LEFT), layers.map(f32::from))
    }
}

/// The light of each shot's LEDs on the curved surface, 1 where all face it at 100 mm.
pub(crate) fn light(
    distance: &Raster<f32, 1>,
    shape: &Shape,
    form: Form,
    camera: Camera,
    led_masks: &[u8],
) -> Lit {
    let height = distance.map(|v| move |u, [d]: [f32; 1]| [form.height(shape, d, (u, v))]);
    let columns = height.columns();
    let (texels, slope) = (height.texels(), 0.5 * height.scale() * form.crispness());
    let (last_column, last_row) = (columns - 1, height.rows() - 1);
    let h = |row: usize, column: usize| texels[row * columns + column][0];
    let leds = led_places();
    let mut rows = 0..;
    distance.map(|v| {
        let row = rows.next().unwrap_or(last_row);
        let mut column = 0;
        move |u, [d]: [f32; 1]| {
            let right = (column + 1).min(last_column);
            let across = (h(row, right) - h(row, column.saturating_sub(1))) * slope;
            let up = (row + 1).min(last_row);
            let along = (h(up, column) - h(row.saturating_sub(1), column)) * slope;
            let place = camera.in_space((u, v), h(row, column));
            column += 1;
            let mut texel = [0.0; SHOTS + 1];
            texel[0] = d;
            if d > 2.0 {
                return texel;
            }
            let inverse = 1.0 / (1.0 + across * across + along * along).sqrt();
            let normal = camera.direction((-across * inverse, -along * inverse), inverse);
            let lit = leds.map(|led| from_led(led, place, normal));
            for (shot, mask) in texel[1..].iter_mut().zip(led_masks) {
                let on = |n: usize| f32::from((mask >> n) & 1);
                *shot = lit
                    .iter()
                    .enumerate()
                    .map(|(n, lit)| lit * on(n))
                    .sum::<f32>()
                    / 8.0;
            }
            texel
        }
    })
}

/// Lambert's law and the inverse square of the distance; the LED's lens spreads its light evenly.
fn from_led(led: (f32, f32), place: [f32; 3], normal: [f32; 3]) -> f32 {
    let ray = [led.0 - place[0], led.1 - place[1], -place[2]];
    let squared = dot(ray, ray);
    let length = squared.sqrt();
    let facing = (dot(normal, ray) / length).max(0.0);
    10_000.0 * facing / squared
}

/// What is behind the hand: a dim room, out of focus.
struct Room {
    level: f32,
    blur: Field,
    lamp: [f32; 5],
}

impl Room {
    fn drawn(rng: &mut Rng) -> Self {
        let level = rng.within(Span(0.03, 0.09));
        let blur = Field::normal(rng, 150.0, FRAME_WIDTH as f32, FRAME_HEIGHT as f32);
        let lamp = [
            rng.unit() * FRAME_WIDTH as f32,
            rng.unit() * FRAME_HEIGHT as f32,
            60.0 + 160.0 * rng.unit(),
            40.0 + 60.0 * rng.unit(),
            rng.within(Span(0.0, 0.10)),
        ];
        Self { level, blur, lamp }
    }

    fn brightness(&self, x: f32, y: f32) -> f32 {
        let [lamp_x, lamp_y, wide, high, bright] = self.lamp;
        let (dx, dy) = ((x - lamp_x) / wide, (y - lamp_y) / high);
        let lamp = bright * (-0.5 * (dx * dx + dy * dy)).exp();
        (self.level * (1.0 + 0.45 * self.blur.at(x, y)) + lamp).max(0.0)
    }
}

/// Photons and electronics.
pub(crate) struct Noise {
    pub(crate) read: f32,
    pub(crate) shot: f32,
    pub(crate) seed: u64,
}

impl Noise {
    pub(crate) fn seen(&self, value: f32, at: usize) -> u8 {
        const BYTES: u64 = 0x00FF_00FF_00FF_00FF;
        const SD: f32 = 209.02; // of the sum of eight uniform bytes
        let bits = mix(self.seed ^ (at as u64).wrapping_mul(0xD134_2543_DE82_EF95));
        let pairs = (bits & BYTES) + ((bits >> 8) & BYTES);
        let sum = (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as f32;
        let sd = (self.read * self.read + self.shot * self.shot * value).sqrt();
        (255.0 * (value + sd * (sum - 1020.0) / SD)).clamp(0.0, 255.0) as u8
    }
}

fn lattice(node: impl Fn(f32, f32) -> [f32; 3]) -> Vec<[f32; 3]> {
    (0..NODE_ROWS * NODE_COLUMNS)
        .map(|at| {
            node(
                (at % NODE_COLUMNS * STEP) as f32,
                (at / NODE_COLUMNS * STEP) as f32,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::ranges::ORDINARY;

    #[test]
    fn veins_show_in_near_infrared_only_and_creases_in_both() {
        let mixture = Mixture::drawn(&ORDINARY.sample, &mut Rng::new(&[1]));
        let [bare, bare_visible] = mixture.mixed(0.0, [0.0, 0.0, 0.0, 127.5]);
        let [vein, vein_visible] = mixture.mixed(0.0, [0.0, 0.0, 255.0, 127.5]);
        let [crease, crease_visible] = mixture.mixed(0.0, [255.0, 0.0, 0.0, 127.5]);
        assert!(vein < bare - 0.05 && crease < bare - 0.05);
        assert!((vein_visible - bare_visible).abs() < 1e-6);
        assert!(crease_visible < bare_visible - 0.05);
    }

    #[test]
    fn noise_has_the_mean_and_the_spread_it_claims() {
        let noise = Noise {
            read: 0.02,
            shot: 0.0,
            seed: 3,
        };
        let seen: Vec<f32> = (0..40_000)
            .map(|at| f32::from(noise.seen(0.5, at)))
            .collect();
        let mean = seen.iter().sum::<f32>() / 40_000.0;
        let variance = seen.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / 40_000.0;
        assert!((mean - 127.0).abs() < 0.2, "{mean}");
        assert!((variance.sqrt() - 5.1).abs() < 0.15, "{variance}");
    }
}
