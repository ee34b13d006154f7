//! The shape of a hand: five fingers of tapered capsules on a palm polygon, and how high its surface stands.
//!
//! Distances are signed, in millimetres, negative inside (after Quilez, "2D distance functions"). The valleys between
//! the fingers are therefore known exactly, which tests of the extractor need.

use super::canvas::{Point, to_segment};
use super::random::Rng;
use super::ranges::HandRanges;

/// One finger: a chain of tapered capsules from its joint in the palm.
#[derive(Debug, Clone)]
pub(crate) struct Finger {
    joint: Point,
    /// Direction with the fingers closed, degrees towards the thumb, and how much full spread adds.
    closed_deg: f32,
    spread_deg: f32,
    /// Distances of the knuckle creases and the tip from the joint, and the half thickness at each; the first is 0.
    along: [f32; 4],
    radii: [f32; 4],
}

/// The shape of one hand.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Index, middle, ring, little, thumb.
    pub(crate) fingers: [Finger; 5],
    palm: Vec<Point>,
    forearm: f32,
    /// Half a side of the palm square, mm.
    pub(crate) half_side: f32,
    /// Middle of the palm square.
    pub(crate) square: Point,
    /// Thenar, hypothenar, hollow and the pads below the fingers: place, standard deviation, height.
    mounds: Vec<(Point, f32, f32)>,
}

/// A hand of adult middle size, 185 mm long and 84 mm wide, that every other is scaled from.
/// Rows: joint u, v; closed and spread degrees; knuckles and tip from the joint; half thickness at each.
type FingerRow = ([f32; 2], [f32; 2], [f32; 4], [f32; 4]);
const FINGERS: [FingerRow; 5] = [
    (
        [29.5, 30.0],
        [-1.0, 11.0],
        [0.0, 43.0, 67.0, 82.0],
        [9.6, 9.0, 8.3, 7.2],
    ),
    (
        [9.6, 34.0],
        [0.2, 2.5],
        [0.0, 46.0, 74.0, 90.5],
        [9.6, 9.2, 8.5, 7.4],
    ),
    (
        [-11.0, 30.0],
        [1.4, -7.0],
        [0.0, 44.0, 71.0, 86.0],
        [9.0, 8.5, 7.8, 6.9],
    ),
    (
        [-30.3, 21.0],
        [2.6, -19.0],
        [0.0, 36.0, 55.0, 68.5],
        [8.0, 7.3, 6.7, 6.0],
    ),
    (
        [22.0, -40.0],
        [26.0, 26.0],
        [0.0, 38.0, 68.0, 90.0],
        [15.5, 11.4, 10.4, 8.2],
    ),
];
/// The palm's corners, drawn in by [`ROUNDING`]; from the wrist's little-finger side clockwise as seen on a right hand.
const PALM: [Point; 13] = [
    (-21.0, -58.0),
    (-32.0, -36.0),
    (-37.0, -5.0),
    (-34.0, 25.0),
    (-30.3, 30.5),
    (-21.0, 36.0),
    (-11.0, 41.0),
    (-1.0, 44.0),
    (9.6, 44.5),
    (19.6, 42.0),
    (29.5, 38.0),
    (34.5, 22.0),
    (19.0, -56.0),
];
const ROUNDING: f32 = 5.0;
const LENGTH: f32 = 185.0;
const WIDTH: f32 = 84.0;

impl Shape {
    pub(crate) fn drawn(ranges: &HandRanges, rng: &mut Rng) -> Self {
        let length = rng.within(ranges.length);
        let (s, w) = (
            length / LENGTH,
            length * rng.within(ranges.width_to_length) / WIDTH,
        );
        let mut vary = || 1.0 + ranges.finger_sd * rng.normal();
        let fingers = FINGERS.map(|(joint, turn, along, radii)| {
            let (long, thick) = (s * vary(), w * vary());
            Finger {
                joint: (joint[0] * w, joint[1] * s),
                closed_deg: turn[0] + 14.0 * (vary() - 1.0),
                spread_deg: turn[1],
                along: along.map(|a| a * long),
                radii: radii.map(|r| r * thick),
            }
        });
        let palm = PALM.map(|(u, v)| (u * w, v * s)).to_vec();
        let mounds = [
            ((26.0, -20.0), 16.0, 7.0),
            ((-24.0, -20.0), 17.0, 5.0),
            ((2.0, 2.0), 17.0, -4.0),
            ((29.0, 30.0), 9.0, 2.0),
            ((-1.0, 34.0), 10.0, 2.0),
            ((-27.0, 26.0), 9.0, 2.0),
        ]
        .map(|((u, v), sd, height)| ((u * w, v * s), sd * s, height * vary().powi(6)))
        .to_vec();
        let forearm = 25.5 * w * vary();
        Self {
            fingers,
            palm,
            forearm,
            half_side: 38.0 * w,
            square: (0.0, 6.0 * s),
            mounds,
        }
    }

    /// Signed distance to the hand's outline, mm, negative inside. `chains` come from [`Shape::chains`].
    pub(crate) fn distance(&self, chains: &[[Point; 4]; 5], point: Point) -> f32 {
        let palm = polygon(&self.palm, point) - ROUNDING;
        let arm = to_segment(point, (-1.0, -60.0), (-1.0, -900.0)).1.sqrt() - self.forearm;
        let mut trunk = smooth_min(palm, arm, 18.0);
        trunk = smooth_min(trunk, self.fingers[4].distance(&chains[4], point), 13.0);
        let mut nearest = trunk;
        for (finger, chain) in self.fingers.iter().zip(chains).take(4) {
            nearest = nearest.min(smooth_min(trunk, finger.distance(chain, point), 3.5));
        }
        nearest
    }

    /// The joints of each finger at this spread (0 closed, 1 wide).
    pub(crate) fn chains(&self, spread: f32) -> [[Point; 4]; 5] {
        self.fingers.each_ref().map(|finger| finger.chain(spread))
    }

    /// How far the surface stands towards the reader at a point that lies `distance` from the outline, mm.
    pub(crate) fn height(&self, distance: f32, point: Point) -> f32 {
        const EDGE: f32 = 9.0;
        let inside = (-distance).clamp(0.0, EDGE);
        let edge = (EDGE * EDGE - (EDGE - inside) * (EDGE - inside))
            .max(0.0)
            .sqrt();
        let mounds: f32 = self
            .mounds
            .iter()
            .map(|((u, v), sd, height)| {
                let (du, dv) = ((point.0 - u) / sd, (point.1 - v) / sd);
                height * (-0.5 * (du * du + dv * dv)).exp()
            })
            .sum();
        edge + mounds
    }

    /// The bottoms of the three valleys: index-middle, middle-ring, ring-little.
    pub(crate) fn valleys(&self, spread: f32) -> [Point; 3] {
        let chains = self.chains(spread);
        std::array::from_fn(|n| {
            let middle = |k: usize| {
                let (a, b) = (chains[n][k], chains[n + 1][k]);
                ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0)
            };
            let (root, far) = (middle(0), middle(1));
            // From between the first knuckles down to the web.
            let at = |t: f32| (root.0 + (far.0 - root.0) * t, root.1 + (far.1 - root.1) * t);
            let steps = (0..200u16).map(|k| at(1.0 - f32::from(k) / 200.0));
            let mut outside = steps.skip_while(|p| self.distance(&chains, *p) <= 0.0);
            outside
                .find(|p| self.distance(&chains, *p) <= 0.0)
                .unwrap_or(far)
        })
    }
}

impl Finger {
    fn chain(&self, spread: f32) -> [Point; 4] {
        let (sin, cos) = (self.closed_deg + self.spread_deg * spread)
            .to_radians()
            .sin_cos();
        self.along
            .map(|a| (self.joint.0 + a * sin, self.joint.1 + a * cos))
    }

    /// The finger is straight: one projection on its axis finds the thickness that counts.
    fn distance(&self, chain: &[Point; 4], point: Point) -> f32 {
        let (along, distance2) = to_segment(point, chain[0], chain[3]);
        let along = along * self.along[3];
        let part = if along < self.along[1] {
            0
        } else {
            1 + usize::from(along > self.along[2])
        };
        let share = (along - self.along[part]) / (self.along[part + 1] - self.along[part]);
        distance2.sqrt() - (self.radii[part] + (self.radii[part + 1] - self.radii[part]) * share)
    }

    /// Half thickness at the knuckles and the tip.
    pub(crate) fn radii(&self) -> [f32; 4] {
        self.radii
    }
}

/// Two shapes joined with a fillet of about `k` millimetres.
fn smooth_min(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - h * h * k * 0.25
}

fn polygon(corners: &[Point], point: Point) -> f32 {
    let mut nearest2 = f32::INFINITY;
    let mut inside = false;
    let mut previous = corners[corners.len() - 1];
    for &corner in corners {
        nearest2 = nearest2.min(to_segment(point, previous, corner).1);
        if (corner.1 > point.1) != (previous.1 > point.1) {
            let slope = (previous.0 - corner.0) / (previous.1 - corner.1);
            inside ^= point.0 < corner.0 + (point.1 - corner.1) * slope;
        }
        previous = corner;
    }
    if inside {
        -nearest2.sqrt()
    } else {
        nearest2.sqrt()
    }
}
