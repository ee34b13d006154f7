//! A hand drawn from capsules and a few lines, for tests: the same number, the same pixels.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use crate::burst::{Burst, Light};
use crate::extract::Rejection;
use crate::image::GreyImage;
use crate::segment::{Silhouette, segment};
use crate::template::Hand;

/// How the hand lies in a 720 x 1024 frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawing {
    pub(crate) hand: Hand,
    /// Clockwise, degrees; 0 has the fingers up.
    pub(crate) rotation_deg: f32,
    /// Size; 1 has a palm of 190 pixels.
    pub(crate) scale: f32,
    /// Shift to the right and down, pixels.
    pub(crate) offset: (f32, f32),
    /// Which lines the palm has.
    pub(crate) identity: u32,
    pub(crate) skin: u8,
    pub(crate) ground: u8,
}

pub(crate) const WIDTH: usize = 720;
pub(crate) const HEIGHT: usize = 1024;

impl Drawing {
    pub(crate) fn plain() -> Self {
        Self {
            hand: Hand::Right,
            rotation_deg: 0.0,
            scale: 1.0,
            offset: (0.0, 0.0),
            identity: 1,
            skin: 140,
            ground: 12,
        }
    }

    /// The hand's own frame: right, down from the middle of the palm; thumb to the right.
    fn to_hand(self, x: usize, y: usize) -> (f32, f32) {
        let (dx, dy) = (
            x as f32 - 360.0 - self.offset.0,
            y as f32 - 600.0 - self.offset.1,
        );
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        let (right, down) = (
            (dx * cos + dy * sin) / self.scale,
            (dy * cos - dx * sin) / self.scale,
        );
        match self.hand {
            Hand::Right => (right, down),
            Hand::Left => (-right, down),
        }
    }

    pub(crate) fn image(self) -> GreyImage {
        let lines = lines(self.identity);
        let pixels = (0..WIDTH * HEIGHT)
            .map(|index| {
                let point = self.to_hand(index % WIDTH, index / WIDTH);
                let grey = if in_hand(point) {
                    f32::from(self.skin) * (1.0 - 0.5 * darkness(&lines, point))
                } else {
                    f32::from(self.ground)
                };
                (grey + grain(index)).clamp(0.0, 255.0) as u8
            })
            .collect();
        GreyImage::new(WIDTH, HEIGHT, pixels).expect("one value was drawn per pixel")
    }

    pub(crate) fn burst(self) -> Burst {
        Burst::single(Light::Nir, self.image())
    }
}

/// The silhouette of an image that has brightness only.
pub(crate) fn segmented(image: &GreyImage) -> Result<Silhouette, Rejection> {
    segment(image, image)
}

type Point = (f32, f32);

/// Capsules: two ends and a radius. Fingers from little to index, thumb, palm and arm.
const CAPSULES: [(Point, Point, f32); 8] = [
    ((-85.0, -60.0), (-135.0, -245.0), 19.0),
    ((-35.0, -80.0), (-50.0, -320.0), 21.0),
    ((18.0, -80.0), (25.0, -345.0), 22.0),
    ((70.0, -65.0), (105.0, -310.0), 21.0),
    ((60.0, 70.0), (200.0, -50.0), 25.0),
    ((-30.0, -10.0), (30.0, -10.0), 76.0),
    ((-25.0, 50.0), (25.0, 50.0), 80.0),
    ((0.0, 60.0), (0.0, 900.0), 62.0),
];

fn in_hand(point: (f32, f32)) -> bool {
    CAPSULES
        .iter()
        .any(|(a, b, radius)| distance(point, *a, *b) < *radius)
}

fn distance(point: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (along, to) = ((b.0 - a.0, b.1 - a.1), (point.0 - a.0, point.1 - a.1));
    let t = (to.0 * along.0 + to.1 * along.1) / (along.0.powi(2) + along.1.powi(2));
    let t = t.clamp(0.0, 1.0);
    (to.0 - t * along.0).hypot(to.1 - t * along.1)
}

type Line = (Point, Point);

/// Strokes over the palm, drawn from the identity's number.
fn lines(identity: u32) -> Vec<Line> {
    let mut state = identity.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = |low: f32, high: f32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (high - low) * (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..40)
        .map(|_| {
            let (x, y) = (next(-100.0, 100.0), next(-90.0, 120.0));
            let (angle, half) = (next(0.0, 3.2), next(20.0, 70.0));
            let (dx, dy) = (half * angle.cos(), half * angle.sin());
            ((x - dx, y - dy), (x + dx, y + dy))
        })
        .collect()
}

fn darkness(lines: &[Line], point: (f32, f32)) -> f32 {
    let nearest = lines
        .iter()
        .map(|(a, b)| distance(point, *a, *b))
        .fold(f32::INFINITY, f32::min);
    (1.0 - nearest / 4.0).max(0.0)
}

/// A little noise that is the same in every drawing.
fn grain(index: usize) -> f32 {
    let hash = (index as u32).wrapping_mul(2_654_435_761) >> 24;
    hash as f32 / 64.0 - 2.0
}
