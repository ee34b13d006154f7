//! Palm centre, fingers, valleys and side out of a silhouette.
//!
//! The palm is the largest circle that fits; fingers are the narrow peaks of the contour's distance from its centre;
//! the valleys between the four long fingers stand in a row, half a palm radius apart, which the valley of the
//! thumb does not. It knows nothing of lines or veins. Start reading at `shape`.

mod contour;
mod gaps;
mod valleys;

use crate::extract::Rejection;
use crate::image::GreyImage;
use crate::params::{GAP_DEEPER_MIN, PALM_CANDIDATE_RADIUS_MIN, PALM_CANDIDATES, SIDE_CUT_MIN};
use crate::segment::Silhouette;
use crate::template::Hand;
use crate::vision;

/// A point or a direction: right, down; pixels.
pub(crate) type Point = (f32, f32);

/// Where a hand is in an image; coordinates are pixels of the burst's frames, right and down from the top left corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Centre of the palm.
    pub centre: (f32, f32),
    /// Radius of the largest circle inside the palm, pixels.
    pub radius: f32,
    /// Bottoms of the index-middle and the ring-little valley.
    pub valleys: [(f32, f32); 2],
    /// Corners of the palm region: under the index finger, under the little finger, then towards the wrist on the
    /// little finger's side and on the thumb's.
    pub region: [(f32, f32); 4],
    /// Which hand, given that the palm faces the camera.
    pub hand: Hand,
}

/// A palm that may be one: a circle in the silhouette.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palm {
    pub(crate) centre: Point,
    pub(crate) radius: f32,
}

/// The two valleys that place the region, and the side they tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valleys {
    pub(crate) index_middle: Point,
    pub(crate) ring_little: Point,
}

impl Valleys {
    /// Right when the index finger comes before the little finger counter-clockwise, as on a right palm seen from the
    /// front.
    fn hand(&self, centre: Point) -> Hand {
        let turn = cross(
            minus(self.index_middle, centre),
            minus(self.ring_little, centre),
        );
        if turn < 0.0 { Hand::Right } else { Hand::Left }
    }

    /// Whether a valley lies nearer to the palm than the other's by more than cutting gaps may move it.
    fn is_deeper(self, other: Self, palm: Palm) -> bool {
        let span = length(minus(self.index_middle, self.ring_little));
        let depth =
            |a: Point, b: Point| length(minus(b, palm.centre)) - length(minus(a, palm.centre));
        let deepest = depth(self.index_middle, other.index_middle)
            .max(depth(self.ring_little, other.ring_little));
        deepest > GAP_DEEPER_MIN * span
    }
}

/// A palm and its valleys, in pixels of the silhouette.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) palm: Palm,
    pub(crate) valleys: Valleys,
    pub(crate) hand: Hand,
}

/// Finds the hand's shape; `trace` sees the silhouette with its gaps cut.
///
/// # Errors
/// When none of the candidates has the valleys of a hand: what the image's sides tell, or else the rejection of the
/// widest circle.
pub(crate) fn shape(
    silhouette: &Silhouette,
    trace: &mut dyn FnMut(&'static str, &GreyImage),
) -> Result<Shape, Rejection> {
    let mut first = None;
    for palm in palms(&silhouette.mask) {
        match find_valleys(silhouette, palm, trace) {
            Ok(valleys) => {
                let hand = valleys.hand(palm.centre);
                return Ok(Shape {
                    palm,
                    valleys,
                    hand,
                });
            }
            Err(rejection) => first = first.or(Some(rejection)),
        }
    }
    let rejection = first.unwrap_or(Rejection::NoHand);
    Err(match sides_cut(&silhouette.mask) {
        // One side is where the arm comes in.
        0 | 1 => rejection,
        2 => Rejection::OffCentre,
        _ => Rejection::TooClose,
    })
}

/// How many sides of the image cut the silhouette.
fn sides_cut(mask: &GreyImage) -> usize {
    let (width, height) = (mask.width(), mask.height());
    let covered = |start: usize, step: usize, count: usize| {
        let inside = (0..count)
            .filter(|n| mask.pixels()[start + n * step] > 0)
            .count();
        inside as f32 > SIDE_CUT_MIN * count as f32
    };
    let last_row = (height - 1) * width;
    [
        covered(0, 1, width),
        covered(last_row, 1, width),
        covered(0, width, height),
        covered(width - 1, width, height),
    ]
    .iter()
    .filter(|cut| **cut)
    .count()
}

/// The valleys of the plain silhouette, unless cutting dark gaps shows that they were only where fingers touch.
fn find_valleys(
    silhouette: &Silhouette,
    palm: Palm,
    trace: &mut dyn FnMut(&'static str, &GreyImage),
) -> Result<Valleys, Rejection> {
    let plain = gaps::without_specks(&silhouette.mask, palm);
    trace("fingers", &plain);
    let parted = gaps::part_fingers(silhouette, palm);
    trace("parted fingers", &parted);
    match (valleys::find(&plain, palm), valleys::find(&parted, palm)) {
        (Ok(plain), Ok(parted)) if parted.is_deeper(plain, palm) => Ok(parted),
        (Ok(plain), _) => Ok(plain),
        (Err(_), parted) => parted,
    }
}

/// The widest circles inside the mask that do not overlap, the widest first; each is looked for when it is asked for.
fn palms(mask: &GreyImage) -> impl Iterator<Item = Palm> {
    let width = mask.width();
    let mut distances = vision::distances(mask);
    let mut found: Vec<Palm> = Vec::new();
    let next = move || {
        if let Some(last) = found.last() {
            clear(&mut distances, width, *last);
        }
        let distances = distances.iter().copied().enumerate();
        let (at, radius) = distances.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let widest = found.first().map_or(radius, |palm| palm.radius);
        let palm = Palm {
            centre: ((at % width) as f32, (at / width) as f32),
            radius,
        };
        found.push(palm);
        (radius >= 1.0 && radius >= PALM_CANDIDATE_RADIUS_MIN * widest).then_some(palm)
    };
    std::iter::from_fn(next).take(PALM_CANDIDATES)
}

/// Sets what lies within a circle to 0.
fn clear(values: &mut [f32], width: usize, circle: Palm) {
    for (row, line) in values.chunks_exact_mut(width).enumerate() {
        for (column, value) in line.iter_mut().enumerate() {
            let apart = minus((column as f32, row as f32), circle.centre);
            if dot(apart, apart) < circle.radius * circle.radius {
                *value = 0.0;
            }
        }
    }
}

pub(crate) fn plus(a: Point, b: Point) -> Point {
    (a.0 + b.0, a.1 + b.1)
}

pub(crate) fn minus(a: Point, b: Point) -> Point {
    (a.0 - b.0, a.1 - b.1)
}

pub(crate) fn times(a: Point, factor: f32) -> Point {
    (a.0 * factor, a.1 * factor)
}

pub(crate) fn dot(a: Point, b: Point) -> f32 {
    a.0 * b.0 + a.1 * b.1
}

pub(crate) fn cross(a: Point, b: Point) -> f32 {
    a.0 * b.1 - a.1 * b.0
}

pub(crate) fn length(a: Point) -> f32 {
    // Pixels are far from where a square overflows: hypot's care is not needed.
    dot(a, a).sqrt()
}

/// The direction of `a` with length 1; to the right when `a` has none.
pub(crate) fn unit(a: Point) -> Point {
    let length = length(a);
    if length > 0.0 {
        times(a, 1.0 / length)
    } else {
        (1.0, 0.0)
    }
}

#[cfg(test)]
mod tests;
