//! How a hand is held in front of the reader, and where its points fall on the sensor.

use super::TAG_POSE;
use super::canvas::Point;
use super::random::{Rng, Span};
use super::{FRAME_HEIGHT, FRAME_WIDTH};
use crate::params::FOCAL_PIXELS as FOCAL;
use crate::template::Hand;

/// The point of the hand that a centred pose puts in the middle of the frame.
const ANCHOR: Point = (7.0, 8.0);

/// How the hand is held in front of the reader. Build one with `Pose { distance_mm: 60.0, ..Pose::centred() }`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Turn in the plane of the frame, degrees, clockwise as the reader sees it; -60 to 60.
    pub rotation_deg: f32,
    /// Tilt about the horizontal and the vertical axis of the frame, degrees; -25 to 25 each.
    pub tilt_deg: (f32, f32),
    /// From the lens to the palm, millimetres; 40 to 150.
    pub distance_mm: f32,
    /// Shift to the right and downwards as the reader sees it, millimetres at the palm.
    pub offset_mm: (f32, f32),
    /// 0 fingers closed to 1 wide apart.
    pub spread: f32,
}

impl Pose {
    /// Flat, upright, 100 mm away, fingers comfortably apart.
    #[must_use]
    pub fn centred() -> Self {
        Self {
            rotation_deg: 0.0,
            tilt_deg: (0.0, 0.0),
            distance_mm: 100.0,
            offset_mm: (0.0, 0.0),
            spread: 0.55,
        }
    }

    /// A small natural variation about [`Pose::centred`]; the same seed gives the same pose.
    #[must_use]
    pub fn sampled(seed: u64) -> Self {
        let mut rng = Rng::new(&[TAG_POSE, seed]);
        Self {
            rotation_deg: 6.0 * rng.normal(),
            tilt_deg: (2.5 * rng.normal(), 2.5 * rng.normal()),
            distance_mm: rng.within(Span(86.0, 114.0)),
            offset_mm: (4.0 * rng.normal(), 4.0 * rng.normal()),
            spread: rng.within(Span(0.55, 0.9)),
        }
    }
}

/// The pinhole that sees the hand's plane: maps between the hand's frame (mm) and the sensor (pixels).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    /// Where the anchor is, mm from the lens: right, down, away.
    place: [f32; 3],
    /// Directions of `u`, of `v` and of the normal towards the reader.
    u: [f32; 3],
    v: [f32; 3],
    normal: [f32; 3],
}

impl Camera {
    pub(crate) fn new(pose: &Pose, hand: Hand) -> Self {
        let (sin, cos) = pose.rotation_deg.to_radians().sin_cos();
        let mirror = match hand {
            Hand::Right => 1.0,
            Hand::Left => -1.0,
        };
        let tilted = |vector: [f32; 3]| {
            let ((sx, cx), (sy, cy)) = (
                pose.tilt_deg.0.to_radians().sin_cos(),
                pose.tilt_deg.1.to_radians().sin_cos(),
            );
            let [x, y, z] = vector;
            let (y, z) = (y * cx - z * sx, y * sx + z * cx);
            [x * cy + z * sy, y, z * cy - x * sy]
        };
        Self {
            place: [
                pose.offset_mm.0,
                pose.offset_mm.1,
                pose.distance_mm.max(10.0),
            ],
            u: tilted([mirror * cos, mirror * sin, 0.0]),
            v: tilted([sin, -cos, 0.0]),
            normal: tilted([0.0, 0.0, -1.0]),
        }
    }

    /// The point of the hand's plane that a pixel sees.
    pub(crate) fn to_hand(self, x: f32, y: f32) -> Point {
        let ray = [
            (x - FRAME_WIDTH as f32 / 2.0) / FOCAL,
            (y - FRAME_HEIGHT as f32 / 2.0) / FOCAL,
            1.0,
        ];
        let slope = dot(self.normal, ray).min(-0.05);
        let reach = dot(self.normal, self.place) / slope;
        let from_anchor: [f32; 3] = std::array::from_fn(|k| reach * ray[k] - self.place[k]);
        (
            ANCHOR.0 + dot(from_anchor, self.u),
            ANCHOR.1 + dot(from_anchor, self.v),
        )
    }

    /// Where a point `height` above the hand's plane is, mm from the lens.
    pub(crate) fn in_space(self, (u, v): Point, height: f32) -> [f32; 3] {
        let (u, v) = (u - ANCHOR.0, v - ANCHOR.1);
        std::array::from_fn(|k| {
            self.place[k] + u * self.u[k] + v * self.v[k] + height * self.normal[k]
        })
    }

    /// A direction of the hand's frame (`u`, `v`, towards the reader) in space.
    pub(crate) fn direction(self, (u, v): Point, normal: f32) -> [f32; 3] {
        std::array::from_fn(|k| u * self.u[k] + v * self.v[k] + normal * self.normal[k])
    }

    /// The pixel that sees a point of the hand's plane.
    pub(crate) fn to_frame(self, point: Point) -> Point {
        let [x, y, z] = self.in_space(point, 0.0);
        (
            FRAME_WIDTH as f32 / 2.0 + FOCAL * x / z.max(1.0),
            FRAME_HEIGHT as f32 / 2.0 + FOCAL * y / z.max(1.0),
        )
    }

    /// Pixels a millimetre at the palm.
    pub(crate) fn scale(self) -> f32 {
        FOCAL / self.place[2]
    }

    pub(crate) fn distance_mm(self) -> f32 {
        self.place[2]
    }
}

pub(crate) fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
