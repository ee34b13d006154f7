//! One synthetic hand: its shape and the layers of its skin, drawn once.

use super::canvas::{BOTTOM, BOX_HEIGHT, BOX_WIDTH, LEFT, Point, Raster};
use super::creases::{Creases, knuckles};
use super::outline::Shape;
use super::random::{Field, Rng, Span};
use super::ranges::{ORDINARY, Ranges, SampleRanges};
use super::{TAG_FINGERS, TAG_SHAPE, TAG_SKIN, veins};
use crate::template::Hand;

/// Channels of the skin's layers.
pub(crate) const CREASE: usize = 0;
pub(crate) const FINE: usize = 1;
pub(crate) const VEIN: usize = 2;
pub(crate) const TONE: usize = 3;

/// Texels a millimetre of the skin.
const SKIN_SCALE: f32 = 3.0;
/// Real ridges lie 0.5 mm apart, finer than the raster and than most cameras at this distance; these are a weak
/// stand-in of about twice that.
const RIDGE_PERIOD_MM: f32 = 0.95;

/// One synthetic hand. The same number and side give the same hand for ever within a
/// [`GENERATOR_VERSION`](super::GENERATOR_VERSION). Left and right of one number have a hand's size in common, and
/// nothing of their lines. Holds about 1.8 MB.
#[derive(Clone)]
pub struct Identity {
    number: u64,
    hand: Hand,
    ranges: Ranges,
    pub(crate) shape: Shape,
    pub(crate) skin: Raster<u8, 4>,
    /// Reflectance of the bare skin in near infrared and in visible light, as a share of a bright skin's.
    pub(crate) reflectance: [f32; 2],
}

impl Identity {
    /// Draws the hand with this number: any number is one.
    #[must_use]
    pub fn new(number: u64, hand: Hand) -> Self {
        Self::within(number, hand, &ORDINARY)
    }

    /// Draws the hand with this number from other ranges.
    pub(crate) fn within(number: u64, hand: Hand, ranges: &Ranges) -> Self {
        let shape = Shape::drawn(&ranges.hand, &mut Rng::new(&[TAG_SHAPE, number]));
        let mut rng = Rng::new(&[TAG_SKIN, number, side(hand)]);
        let mut skin = bare_skin(&mut rng);
        let creases = Creases::drawn(&ranges.crease, &shape, &mut rng);
        creases
            .strong
            .iter()
            .for_each(|stroke| skin.draw(CREASE, stroke));
        creases
            .wrinkles
            .iter()
            .for_each(|stroke| skin.draw(FINE, stroke));
        veins::drawn(&ranges.vein, &shape, &mut rng)
            .iter()
            .for_each(|vein| skin.draw(VEIN, vein));
        let reflectance = [rng.within(Span(0.92, 1.04)), rng.within(Span(0.45, 1.0))];
        Self {
            number,
            hand,
            ranges: *ranges,
            shape,
            skin,
            reflectance,
        }
    }

    /// The number that it was drawn from.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Which hand it is.
    #[must_use]
    pub fn hand(&self) -> Hand {
        self.hand
    }

    pub(crate) fn sample_ranges(&self) -> &SampleRanges {
        &self.ranges.sample
    }

    /// A stream of numbers that belongs to this hand and these further numbers.
    pub(crate) fn rng(&self, tag: u64, sample: u64) -> Rng {
        Rng::new(&[tag, self.number, side(self.hand), sample])
    }

    /// The skin with the creases of the finger joints, which move with the fingers.
    pub(crate) fn skin_with_fingers(&self, chains: &[[Point; 4]; 5]) -> Raster<u8, 4> {
        let mut skin = self.skin.clone();
        let mut rng = self.rng(TAG_FINGERS, 0);
        for (index, (finger, chain)) in self.shape.fingers.iter().zip(chains).enumerate() {
            for stroke in knuckles(finger, chain, index == 4, &mut rng) {
                skin.draw(CREASE, &stroke);
            }
        }
        skin
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({}, {:?})", self.number, self.hand)
    }
}

fn side(hand: Hand) -> u64 {
    match hand {
        Hand::Right => 0,
        Hand::Left => 1,
    }
}

/// Tone and ridges, without lines.
fn bare_skin(rng: &mut Rng) -> Raster<u8, 4> {
    let mut field = |step: f32| Field::normal(rng, step, BOX_WIDTH, BOX_HEIGHT);
    let (broad, middle, grain, fine) = (field(18.0), field(5.0), field(1.4), field(0.8));
    let (flow, strength) = (field(24.0), field(4.0));
    let (sin, cos) = (std::f32::consts::TAU * rng.unit()).sin_cos();
    Raster::build(SKIN_SCALE, |v| {
        let [broad, middle, grain, fine, flow, strength] =
            [&broad, &middle, &grain, &fine, &flow, &strength].map(|field| field.line(v - BOTTOM));
        move |u| {
            let x = u - LEFT;
            let spots = 20.0 * grain.at(x) + 16.0 * fine.at(x);
            let tone = 128.0 + 26.0 * broad.at(x) + 22.0 * middle.at(x) + spots;
            let phase = (u * cos + v * sin) / RIDGE_PERIOD_MM + 7.0 * flow.at(x);
            let ridge = 44.0 * triangle(phase) * (0.6 + 0.4 * strength.at(x)).clamp(0.0, 1.0);
            [0, ridge as u8, 0, tone as u8]
        }
    })
}

/// A wave of period 1 between 0 and 1.
fn triangle(phase: f32) -> f32 {
    let place = phase - phase.floor();
    1.0 - (2.0 * place - 1.0).abs()
}
