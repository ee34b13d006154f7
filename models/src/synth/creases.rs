//! The lines of a palm: three principal creases from the statistics of labelled palms, secondary creases, wrinkles,
//! and the creases of the finger joints.
//!
//! A principal crease is `y = c4 x^4 + c3 x^3 + c2 x^2 + c1 x + c0` in the palm square (x from the thumb's side, y
//! towards the fingers, both in [-1, 1]). Coefficients are drawn from the normal distribution of each line; life,
//! head and heart line are drawn jointly, because they are not independent in real palms (their coefficients
//! correlate up to 0.78): here the whitened coordinates correlate by [`HEART_WITH_HEAD`] and [`LIFE_WITH_HEAD`].

use super::canvas::{Point, Stroke};
use super::outline::{Finger, Shape};
use super::random::Rng;
use super::ranges::CreaseRanges;

/// The lines of one palm.
#[derive(Debug, Clone)]
pub(crate) struct Creases {
    /// Principal and strong secondary creases.
    pub(crate) strong: Vec<Stroke>,
    pub(crate) wrinkles: Vec<Stroke>,
}

/// Statistics of one principal crease: means, covariance (both c0 to c4), and the ends of its x range (mean, sd).
struct Line {
    mean: [f32; 5],
    covariance: [[f32; 5]; 5],
    start: (f32, f32),
    end: (f32, f32),
}

const HEART_WITH_HEAD: f32 = 0.65;
const LIFE_WITH_HEAD: f32 = 0.35;

const LIFE: Line = Line {
    mean: [-0.467, -1.521, -1.073, -0.915, -0.628],
    covariance: [
        [0.0602, 0.0696, 0.0697, 0.0523, 0.0028],
        [0.0696, 0.1757, 0.2678, 0.2324, 0.0584],
        [0.0697, 0.2678, 0.9577, 1.3839, 0.6260],
        [0.0523, 0.2324, 1.3839, 2.9079, 1.7559],
        [0.0028, 0.0584, 0.6260, 1.7559, 1.4416],
    ],
    start: (-0.828, 0.172),
    end: (0.220, 0.196),
};
const HEAD: Line = Line {
    mean: [0.154, -0.365, -0.217, -0.043, 0.004],
    covariance: [
        [0.0180, 0.0022, -0.0024, 0.0028, 0.0022],
        [0.0022, 0.0153, 0.0090, -0.0072, -0.0062],
        [-0.0024, 0.0090, 0.0350, 0.0040, -0.0201],
        [0.0028, -0.0072, 0.0040, 0.0309, 0.0139],
        [0.0022, -0.0062, -0.0201, 0.0139, 0.0341],
    ],
    start: (-0.889, 0.143),
    end: (0.684, 0.234),
};
const HEART: Line = Line {
    mean: [0.545, -0.387, 0.277, -0.072, 0.006],
    covariance: [
        [0.0131, -0.0003, -0.0009, 0.0014, -0.0006],
        [-0.0003, 0.0207, -0.0225, 0.0015, 0.0072],
        [-0.0009, -0.0225, 0.0733, -0.0755, 0.0248],
        [0.0014, 0.0015, -0.0755, 0.1774, -0.1021],
        [-0.0006, 0.0072, 0.0248, -0.1021, 0.0709],
    ],
    start: (-0.372, 0.193),
    end: (0.965, 0.041),
};

/// One drawn principal crease.
#[derive(Debug, Clone, Copy)]
struct Curve {
    coefficients: [f32; 5],
    start: f32,
    end: f32,
}

impl Creases {
    pub(crate) fn drawn(ranges: &CreaseRanges, shape: &Shape, rng: &mut Rng) -> Self {
        let principal = principal(ranges, rng);
        let mut strong = Vec::new();
        for curve in &principal {
            strands(curve, ranges, shape, rng, &mut strong);
        }
        branches(&principal, ranges, shape, rng, &mut strong);
        let slope = principal[principal.len() - 1].slope();
        secondaries(slope, ranges, shape, rng, &mut strong);
        let mut wrinkles = wrinkles(slope, ranges, shape, rng);
        hatches(ranges, shape, rng, &mut wrinkles);
        Self { strong, wrinkles }
    }
}

/// Life, head and heart line; two lines where the palm is simian.
fn principal(ranges: &CreaseRanges, rng: &mut Rng) -> Vec<Curve> {
    let [life, mut head, heart] = plausible(rng);
    let kind = rng.unit();
    if kind < ranges.simian {
        let middle = |k: usize| (head.coefficients[k] + heart.coefficients[k]) / 2.0;
        let coefficients = [middle(0), middle(1), middle(2) * 0.5, 0.0, 0.0];
        return vec![
            life,
            Curve {
                coefficients,
                start: head.start,
                end: heart.end,
            },
        ];
    }
    if kind < ranges.simian + ranges.sydney {
        head.end = 0.9 + 0.1 * rng.unit();
        head.coefficients[1] *= 0.6;
    }
    vec![life, head, heart]
}

/// Draws until the lines lie in the palm, in order, apart; the last draw counts after 40.
fn plausible(rng: &mut Rng) -> [Curve; 3] {
    let mut lines = joint(rng);
    for _ in 0..40 {
        let [life, head, heart] = &lines;
        let inside = |c: &Curve| c.sampled(12).all(|(_, y)| (-1.5..1.1).contains(&y));
        let apart = |high: &Curve, low: &Curve, gap: f32| {
            let (start, end) = (high.start.max(low.start), high.end.min(low.end));
            (0..=8u8).all(|k| {
                let x = start + (end - start) * f32::from(k) / 8.0;
                end <= start || high.y(x) > low.y(x) + gap
            })
        };
        if lines.iter().all(inside) && apart(heart, head, 0.14) && apart(head, life, -0.08) {
            break;
        }
        lines = joint(rng);
    }
    lines
}

fn joint(rng: &mut Rng) -> [Curve; 3] {
    let white =
        |rng: &mut Rng| -> [f32; 5] { std::array::from_fn(|_| rng.normal().clamp(-2.0, 2.0)) };
    let follow = |rng: &mut Rng, leader: &[f32; 5], share: f32| -> [f32; 5] {
        let own = white(rng);
        let rest = (1.0 - share * share).sqrt();
        std::array::from_fn(|k| share * leader[k] + rest * own[k])
    };
    let head = white(rng);
    let heart = follow(rng, &head, HEART_WITH_HEAD);
    let life = follow(rng, &head, LIFE_WITH_HEAD);
    [
        LIFE.curve(&life, rng),
        HEAD.curve(&head, rng),
        HEART.curve(&heart, rng),
    ]
}

impl Line {
    fn curve(&self, white: &[f32; 5], rng: &mut Rng) -> Curve {
        let root = cholesky(&self.covariance);
        let coefficients = std::array::from_fn(|i| {
            self.mean[i] + (0..=i).map(|j| root[i][j] * white[j]).sum::<f32>()
        });
        let mut end = |(mean, sd): (f32, f32)| mean + sd * rng.normal().clamp(-2.0, 2.0);
        let (start, end) = (end(self.start), end(self.end));
        Curve {
            coefficients,
            start: start.max(-1.05),
            end: end.min(1.05),
        }
    }
}

impl Curve {
    fn y(&self, x: f32) -> f32 {
        self.coefficients
            .iter()
            .rev()
            .fold(0.0, |sum, c| sum * x + c)
    }

    fn slope(&self) -> f32 {
        (self.y(self.end) - self.y(self.start)).atan2(self.end - self.start)
    }

    fn sampled(&self, count: u16) -> impl Iterator<Item = Point> {
        (0..=count).map(move |k| {
            let x = self.start + (self.end - self.start) * f32::from(k) / f32::from(count);
            (x, self.y(x))
        })
    }
}

/// From the palm square (x from the thumb's side) to the hand's frame.
pub(crate) fn on_hand(shape: &Shape, (x, y): Point) -> Point {
    (
        shape.square.0 - x * shape.half_side,
        shape.square.1 + y * shape.half_side,
    )
}

/// One to three strands side by side, as skin folds.
fn strands(
    curve: &Curve,
    ranges: &CreaseRanges,
    shape: &Shape,
    rng: &mut Rng,
    strokes: &mut Vec<Stroke>,
) {
    let half_width = rng.within(ranges.principal_width);
    let depth = 0.75 + 0.25 * rng.unit();
    for strand in 0..rng.count(ranges.strands) {
        let (from, to) = if strand == 0 {
            (0.0, 1.0)
        } else {
            let from = 0.6 * rng.unit();
            (from, (from + 0.25 + 0.4 * rng.unit()).min(1.0))
        };
        let side = if strand == 0 {
            0.0
        } else {
            0.028 * rng.normal()
        };
        let mut wander = 0.0;
        let path: Vec<Point> = curve
            .sampled(60)
            .enumerate()
            .filter(|(k, _)| (from..=to).contains(&(*k as f32 / 60.0)))
            .map(|(_, (x, y))| {
                wander = 0.85 * wander + 0.0035 * rng.normal();
                on_hand(shape, (x + 0.5 * wander, y + side + wander))
            })
            .collect();
        if strand == 0 {
            // The fold's soft flanks.
            strokes.push(Stroke::tapered(
                &path,
                2.6 + 1.2 * rng.unit(),
                0.30 * depth,
                rng,
            ));
        }
        let share = if strand == 0 { 1.0 } else { 0.75 };
        strokes.push(Stroke::tapered(
            &path,
            half_width * share,
            depth * share,
            rng,
        ));
    }
}

fn branches(
    curves: &[Curve],
    ranges: &CreaseRanges,
    shape: &Shape,
    rng: &mut Rng,
    strokes: &mut Vec<Stroke>,
) {
    for _ in 0..rng.count(ranges.branches) {
        let curve = &curves[rng.count(super::random::Span(0.0, curves.len() as f32 - 1.0))];
        let x = curve.start + (curve.end - curve.start) * (0.3 + 0.6 * rng.unit());
        let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let turn = curve.slope() + side * (0.35 + 0.5 * rng.unit());
        let length = 0.2 + 0.35 * rng.unit();
        let path = bowed((x, curve.y(x)), turn, length, 0.12 * rng.normal(), shape);
        strokes.push(Stroke::tapered(&path, 0.34, 0.55 + 0.25 * rng.unit(), rng));
    }
}

/// Strong lines along the heart line's direction or across it.
fn secondaries(
    slope: f32,
    ranges: &CreaseRanges,
    shape: &Shape,
    rng: &mut Rng,
    strokes: &mut Vec<Stroke>,
) {
    for _ in 0..rng.count(ranges.secondaries) {
        let across = if rng.chance(0.5) {
            std::f32::consts::FRAC_PI_2
        } else {
            0.0
        };
        let turn = slope + across + 0.3 * rng.normal();
        let length = 0.15 + 0.55 * rng.unit();
        let from = (1.7 * rng.unit() - 0.9, 1.9 * rng.unit() - 1.1);
        let path = bowed(from, turn, length, 0.1 * rng.normal(), shape);
        let half_width = 0.22 + 0.2 * rng.unit();
        strokes.push(Stroke::tapered(
            &path,
            half_width,
            0.35 + 0.45 * rng.unit(),
            rng,
        ));
    }
}

/// Short fine lines around one or two directions, all over the palm.
fn wrinkles(slope: f32, ranges: &CreaseRanges, shape: &Shape, rng: &mut Rng) -> Vec<Stroke> {
    let directions = [slope + 0.5 * rng.normal(), slope + 1.4 + 0.5 * rng.normal()];
    let second = 0.6 * rng.unit();
    (0..rng.count(ranges.wrinkles))
        .map(|_| {
            let turn = directions[usize::from(rng.chance(second))] + 0.25 * rng.normal();
            let length = 0.06 + 0.5 * rng.unit() * rng.unit() * rng.unit();
            let from = (2.1 * rng.unit() - 1.1, 2.6 * rng.unit() - 1.6);
            let path = bowed(from, turn, length, 0.06 * rng.normal(), shape);
            Stroke::tapered(&path, 0.17 + 0.12 * rng.unit(), 0.3 + 0.6 * rng.unit(), rng)
        })
        .collect()
}

/// Bundles of long, fine, nearly parallel lines, as the ball of the thumb has them.
fn hatches(ranges: &CreaseRanges, shape: &Shape, rng: &mut Rng, strokes: &mut Vec<Stroke>) {
    for _ in 0..rng.count(ranges.hatches) {
        let turn = std::f32::consts::PI * rng.unit();
        let (sin, cos) = turn.sin_cos();
        let first = (1.8 * rng.unit() - 1.0, 2.2 * rng.unit() - 1.4);
        let apart = 0.04 + 0.07 * rng.unit();
        for line in 0..rng.count(ranges.hatch_lines) {
            let across = apart * (line as f32 + 0.3 * rng.normal());
            let along = 0.15 * rng.normal();
            let from = (
                first.0 + along * cos - across * sin,
                first.1 + along * sin + across * cos,
            );
            let length = 0.3 + 0.7 * rng.unit();
            let path = bowed(
                from,
                turn + 0.06 * rng.normal(),
                length,
                0.04 * rng.normal(),
                shape,
            );
            strokes.push(Stroke::tapered(
                &path,
                0.15 + 0.10 * rng.unit(),
                0.2 + 0.4 * rng.unit(),
                rng,
            ));
        }
    }
}

/// A quadratic Bezier curve of `length` half sides from a point of the palm square, bent by `bow` of its length.
fn bowed(from: Point, turn: f32, length: f32, bow: f32, shape: &Shape) -> Vec<Point> {
    let (sin, cos) = turn.sin_cos();
    (0..=16u8)
        .map(|k| {
            let t = f32::from(k) / 16.0;
            let off = 4.0 * bow * t * (1.0 - t) * length;
            let along = t * length;
            on_hand(
                shape,
                (
                    from.0 + along * cos - off * sin,
                    from.1 + along * sin + off * cos,
                ),
            )
        })
        .collect()
}

/// The creases of the finger joints: they move with the fingers, so they are drawn for each pose. `rng` is of the
/// identity, not of the sample.
pub(crate) fn knuckles(
    finger: &Finger,
    chain: &[Point; 4],
    thumb: bool,
    rng: &mut Rng,
) -> Vec<Stroke> {
    let (du, dv) = (chain[1].0 - chain[0].0, chain[1].1 - chain[0].1);
    let length = (du * du + dv * dv).sqrt().max(1e-3);
    let (du, dv) = (du / length, dv / length);
    let root = if thumb { 0.95 } else { 0.42 };
    let mut places = vec![
        (root * length, finger.radii()[0]),
        (length, finger.radii()[1]),
    ];
    if !thumb {
        let second = (chain[2].0 - chain[0].0) * du + (chain[2].1 - chain[0].1) * dv;
        places.push((second, finger.radii()[2]));
    }
    let mut strokes = Vec::new();
    for (along, radius) in places {
        for strand in 0..rng.count(super::random::Span(1.0, 3.0)) {
            let shift = along + if strand == 0 { 0.0 } else { 1.6 * rng.normal() };
            let (tilt, bow) = (0.8 * rng.normal(), 0.8 * rng.normal());
            let half = radius
                * if strand == 0 {
                    0.85
                } else {
                    0.4 + 0.3 * rng.unit()
                };
            let path: Vec<Point> = (-8..=8i8)
                .map(|k| {
                    let across = f32::from(k) / 8.0;
                    let a = shift + tilt * across + bow * (1.0 - across * across);
                    let b = across * half;
                    (chain[0].0 + a * du + b * dv, chain[0].1 + a * dv - b * du)
                })
                .collect();
            let depth = 0.5 + 0.35 * rng.unit();
            strokes.push(Stroke::tapered(&path, 0.3 + 0.25 * rng.unit(), depth, rng));
        }
    }
    strokes
}

/// The lower triangular root of a covariance; a direction without variance counts as fixed.
fn cholesky(covariance: &[[f32; 5]; 5]) -> [[f32; 5]; 5] {
    let mut root = [[0.0; 5]; 5];
    for i in 0..5 {
        for j in 0..=i {
            let sum: f32 = (0..j).map(|k| root[i][k] * root[j][k]).sum();
            root[i][j] = if i == j {
                (covariance[i][i] - sum).max(0.0).sqrt()
            } else if root[j][j] > 1e-4 {
                (covariance[i][j] - sum) / root[j][j]
            } else {
                0.0
            };
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::canvas::{BOTTOM, BOX_HEIGHT, BOX_WIDTH, LEFT};
    use crate::synth::ranges::ORDINARY;

    #[test]
    fn root_of_a_covariance_squares_to_it() {
        for line in [LIFE, HEAD, HEART] {
            let root = cholesky(&line.covariance);
            for (i, row) in line.covariance.iter().enumerate() {
                for (j, expected) in row.iter().enumerate() {
                    let product: f32 = (0..5).map(|k| root[i][k] * root[j][k]).sum();
                    assert!(
                        (product - expected).abs() < 0.02,
                        "{i} {j}: {product} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn drawn_lines_keep_the_statistics_and_the_order_of_real_ones() {
        let mut rng = Rng::new(&[77]);
        let lines: Vec<[Curve; 3]> = (0..600).map(|_| plausible(&mut rng)).collect();
        let mean = |n: usize| lines.iter().map(|l| l[n].coefficients[0]).sum::<f32>() / 600.0;
        let [life, head, heart] = [mean(0), mean(1), mean(2)];
        assert!((life - LIFE.mean[0]).abs() < 0.1, "{life}");
        assert!((head - HEAD.mean[0]).abs() < 0.05, "{head}");
        assert!((heart - HEART.mean[0]).abs() < 0.05, "{heart}");
        let together: f32 = lines
            .iter()
            .map(|l| (l[1].coefficients[0] - head) * (l[2].coefficients[0] - heart))
            .sum();
        assert!(together > 0.0, "head and heart line move together");
        let ordered = lines.iter().filter(|l| l[2].y(0.3) > l[1].y(0.3)).count();
        assert!(ordered > 580, "{ordered}");
    }

    #[test]
    fn lines_lie_on_the_hand() {
        let mut rng = Rng::new(&[78]);
        for _ in 0..20 {
            let shape = Shape::drawn(&ORDINARY.hand, &mut rng);
            let creases = Creases::drawn(&ORDINARY.crease, &shape, &mut rng);
            assert!(creases.strong.len() >= 5);
            assert!((40..=190).contains(&creases.wrinkles.len()));
            for ink in creases
                .strong
                .iter()
                .chain(&creases.wrinkles)
                .flat_map(|s| &s.points)
            {
                assert!((LEFT..LEFT + BOX_WIDTH).contains(&ink.at.0), "{ink:?}");
                assert!((BOTTOM..BOTTOM + BOX_HEIGHT).contains(&ink.at.1), "{ink:?}");
            }
        }
    }
}
