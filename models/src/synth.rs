//! Seeded synthetic palms: hands that belong to nobody, as the reader would see them.
//!
//! A hand is a shape of tapered capsules on a palm polygon, and four layers of skin drawn once: creases, fine lines
//! and ridges, veins, tone. A capture projects it through a pinhole under eight LEDs, warps it a little (a hand is
//! soft), and adds a dim room and a sensor. What attackers show in place of a hand is [`Species`]. Everything follows
//! from numbers: no clock, no entropy, no network, no photograph.
//!
//! What it is not: a likeness of skin. It serves tests, the emulated reader, and the freezing of thresholds; figures
//! measured on it describe the generator as much as the matcher, and are reported as synthetic.
//!
//! Start reading at [`Identity`] and [`burst`]; every number drawn from stands in `ranges.rs`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is clamped to its integer's range before it is cut"
)]

mod attack;
mod canvas;
mod creases;
mod identity;
mod outline;
mod pose;
mod random;
mod ranges;
mod region;
mod render;
mod skin;
mod veins;

pub use attack::{Species, attack};
pub use identity::Identity;
pub use pose::Pose;

use crate::burst::{Burst, Light};
use crate::image::GreyImage;
use crate::template::Hand;

/// Width of the reader's frame, pixels.
pub const FRAME_WIDTH: usize = 720;
/// Height of the reader's frame, pixels: portrait, finger tips up.
pub const FRAME_HEIGHT: usize = 1024;
/// Changes whenever the same number would give another hand or another frame: figures measured on different
/// versions are not comparable.
pub const GENERATOR_VERSION: u64 = 3;

// Streams of random numbers of one seed are kept apart by these.
const TAG_SHAPE: u64 = 1;
const TAG_SKIN: u64 = 2;
const TAG_FINGERS: u64 = 3;
const TAG_SAMPLE: u64 = 4;
const TAG_POSE: u64 = 5;
const TAG_REGION: u64 = 6;
const TAG_CONTRAST: u64 = 7;
const TAG_ATTACK: u64 = 8;
const TAG_CODE: u64 = 9;

/// One frame of this hand under one light. The bits of `led_mask` say which of the eight LEDs round the lens are on,
/// bit 0 first, clockwise from the left; without any, or under [`Light::Ambient`], only the room shines.
/// The same arguments give the same pixels.
#[must_use]
pub fn frame(
    identity: &Identity,
    pose: &Pose,
    light: Light,
    led_mask: u8,
    sample_seed: u64,
) -> GreyImage {
    burst(identity, pose, &[(light, led_mask)], sample_seed)
        .shots
        .remove(0)
        .image
}

/// The frames of one capture: the same pose, softness and room in all, noise of its own in each; cheaper than frame
/// by frame. Each shot is a light and a mask of LEDs as in [`frame`].
#[must_use]
pub fn burst(identity: &Identity, pose: &Pose, shots: &[(Light, u8)], sample_seed: u64) -> Burst {
    render::burst(identity, pose, shots, sample_seed, &render::Shown::HAND)
}

/// A near-infrared palm region, `side` pixels square (1 to [`SIDE_MAX`](crate::image::SIDE_MAX)), fingers up, cut out
/// a little differently for each `sample_seed`, as public region sets have them.
///
/// # Panics
/// When `side` is out of range: an error of the caller.
#[must_use]
pub fn region(identity: &Identity, sample_seed: u64, side: usize) -> GreyImage {
    region::region(identity, sample_seed, side)
}

/// The layers of skin round the palm square of a right hand: creases, fine lines, veins, tone. Each is `side` x `side`
/// values of 0 to 255, row by row, fingers up, thumb to the right; the window reaches `reach` half sides of the square
/// from its middle each way. A trainer draws samples of the palm from them.
#[must_use]
pub fn skin_layers(number: u64, side: usize, reach: f32) -> Vec<u8> {
    skin::layers(&Identity::new(number, Hand::Right), side, reach)
}

/// A frame without a hand: the room, dimmer in near infrared, and the sensor's noise.
#[must_use]
pub fn empty_frame(light: Light, seed: u64) -> GreyImage {
    render::empty(light, seed)
}

/// Where the bottoms of the three valleys (index-middle, middle-ring, ring-little) fall in the frame, pixels from its
/// top left corner: the truth that a test of an extractor compares with, up to the sample's warp (about 2 mm).
#[must_use]
pub fn valleys(identity: &Identity, pose: &Pose) -> [(f32, f32); 3] {
    let camera = pose::Camera::new(pose, identity.hand());
    identity
        .shape
        .valleys(pose.spread)
        .map(|valley| camera.to_frame(valley))
}

/// Two different numbers below `count` (2 or more), drawn from a seed: which codes a drawn capture is lit by.
#[must_use]
pub fn two_of(count: usize, seed: u64) -> (usize, usize) {
    let mut rng = random::Rng::new(&[TAG_CODE, seed]);
    let first = rng.next() as usize % count;
    let second = rng.next() as usize % (count - 1);
    (first, second + usize::from(second >= first))
}

#[cfg(test)]
mod tests;
