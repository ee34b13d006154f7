//! The row of valleys between the four long fingers, and at which end of it the thumb is.

use super::contour::{Contour, Lobe};
use super::{Palm, Point, Valleys, dot, length, minus, plus, times, unit};
use crate::extract::Rejection;
use crate::image::GreyImage;
use crate::params::{
    FINGER_RATIO_MAX, FINGER_WIDTH_MAX, ROW_BEND_MAX, SPACING_MAX, SPACING_RATIO_MAX,
    THUMB_ABOVE_MIN, THUMB_ASIDE_MIN, VALLEY_FLOOR,
};

/// Four fingers side by side and the three valleys between them.
#[derive(Debug, Clone, Copy)]
struct Row {
    tips: [Point; 4],
    valleys: [Point; 3],
    /// Half way up each finger, pixels.
    widths: [f32; 4],
}

/// Finds the two valleys that place the region.
///
/// # Errors
/// Why there are none: [`Rejection::NoHand`] without fingers, [`Rejection::Tilted`] when they grow steadily wider,
/// [`Rejection::SpreadFingers`] when no four stand side by side and apart.
pub(crate) fn find(mask: &GreyImage, palm: Palm) -> Result<Valleys, Rejection> {
    let contour = Contour::round(mask, palm).ok_or(Rejection::NoHand)?;
    let chain = chain(&contour, palm);
    if chain.len() < 2 {
        return Err(Rejection::NoHand);
    }
    let rows =
        (0..chain.len().saturating_sub(3)).map(|first| Row::new(&contour, &chain, first, palm));
    let mut tilted = false;
    let row = rows
        .inspect(|row| tilted |= row.is_tilted())
        .filter(Row::is_of_a_hand)
        .min_by(|a, b| a.cost().total_cmp(&b.cost()));
    let Some(row) = row else {
        return Err(if tilted {
            Rejection::Tilted
        } else {
            Rejection::SpreadFingers
        });
    };
    let [first, _, last] = row.valleys;
    let (index_middle, ring_little) = if row.starts_at_index(&contour) {
        (first, last)
    } else {
        (last, first)
    };
    Ok(Valleys {
        index_middle,
        ring_little,
    })
}

impl Row {
    /// The four fingers of the chain from `first` on.
    fn new(contour: &Contour, chain: &[Lobe], first: usize, palm: Palm) -> Self {
        let fingers: [Lobe; 4] = std::array::from_fn(|finger| chain[first + finger]);
        let [a, b, c, d] = fingers;
        Self {
            tips: fingers.map(|finger| contour.points[finger.peak]),
            valleys: [(a, b), (b, c), (c, d)].map(|(left, right)| valley(contour, left, right)),
            widths: fingers.map(|finger| contour.width(finger, palm) * palm.radius),
        }
    }

    /// Distances from each valley to the next.
    fn spacings(&self) -> [f32; 2] {
        let [a, b, c] = self.valleys;
        [length(minus(a, b)), length(minus(b, c))]
    }

    /// How far the valleys are from a straight line.
    fn bend(&self) -> f32 {
        let [a, _, c] = self.valleys;
        1.0 - length(minus(a, c)) / self.spacings().iter().sum::<f32>().max(f32::EPSILON)
    }

    /// Whether it can be the row of a hand. All limits are proportions of the fingers themselves: the palm may be
    /// cut by the image's edge.
    fn is_of_a_hand(&self) -> bool {
        let spacings = self.spacings();
        let breadth = f32::midpoint(self.widths[1], self.widths[2]);
        ratio(&self.widths) <= FINGER_RATIO_MAX
            && ratio(&spacings) <= SPACING_RATIO_MAX
            && f32::midpoint(spacings[0], spacings[1]) <= SPACING_MAX * breadth
            && self.bend() <= ROW_BEND_MAX
    }

    /// Whether its fingers grow steadily wider to one side, as when that side is much nearer.
    fn is_tilted(&self) -> bool {
        let grows = self.widths.is_sorted() || self.widths.iter().rev().is_sorted();
        grows && ratio(&self.widths) > FINGER_RATIO_MAX && self.bend() <= ROW_BEND_MAX
    }

    /// How far it is from the row of a hand; 0 is ideal.
    fn cost(&self) -> f32 {
        ratio(&self.spacings()) - 1.0 + self.bend()
    }

    /// Whether its first finger is the index: the thumb is on that side, or else it ends higher than the last and its
    /// valley lies higher.
    fn starts_at_index(&self, contour: &Contour) -> bool {
        let [a, b, c] = self.valleys;
        let up = unit(minus(times(plus(self.tips[1], self.tips[2]), 0.5), b));
        let span = length(minus(a, c));
        let to_first = unit(minus(a, c));
        let thumb_beside = |towards: Point| {
            contour.lobes().iter().any(|lobe| {
                let tip = minus(contour.points[lobe.peak], b);
                let (aside, above) = (dot(tip, towards) / span, dot(tip, up) / span);
                !self.tips.contains(&contour.points[lobe.peak])
                    && aside >= THUMB_ASIDE_MIN
                    && above >= THUMB_ABOVE_MIN
            })
        };
        let (first, last) = (thumb_beside(to_first), thumb_beside(times(to_first, -1.0)));
        if first != last {
            return first;
        }
        let ends = minus(plus(self.tips[0], a), plus(self.tips[3], c));
        dot(ends, up) > 0.0
    }
}

/// The largest over the smallest.
fn ratio(values: &[f32]) -> f32 {
    let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
    values.iter().copied().fold(0.0, f32::max) / smallest.max(f32::EPSILON)
}

/// The longest run of fingers round the contour that no arm interrupts.
fn chain(contour: &Contour, palm: Palm) -> Vec<Lobe> {
    let lobes = contour.lobes();
    let narrow: Vec<bool> = lobes
        .iter()
        .map(|lobe| contour.width(*lobe, palm) <= FINGER_WIDTH_MAX)
        .collect();
    let count = lobes.len();
    let run = |start: usize| {
        (0..count)
            .take_while(|step| narrow[(start + step) % count])
            .count()
    };
    let starts_run = |start: &usize| narrow[*start] && !narrow[(start + count - 1) % count];
    let Some(start) = (0..count)
        .filter(starts_run)
        .max_by_key(|start| run(*start))
    else {
        return if narrow.iter().all(|is| *is) {
            open_chain(lobes, contour)
        } else {
            Vec::new()
        };
    };
    (0..run(start))
        .map(|step| lobes[(start + step) % count])
        .collect()
}

/// Without an arm the run is cut where neighbouring tips are farthest apart: below the wrist.
fn open_chain(mut lobes: Vec<Lobe>, contour: &Contour) -> Vec<Lobe> {
    let count = lobes.len();
    let tip = |at: usize| contour.points[lobes[at % count].peak];
    let gap = |at: &usize| length(minus(tip(*at), tip(at + count - 1)));
    let start = (0..count).max_by(|a, b| gap(a).total_cmp(&gap(b)));
    if let Some(start) = start {
        lobes.rotate_left(start);
    }
    lobes
}

/// The bottom of the valley between two fingers: the contour's lowest place along the fingers' direction.
fn valley(contour: &Contour, left: Lobe, right: Lobe) -> Point {
    let near = contour.points[left.after];
    let middle = times(
        plus(contour.points[left.peak], contour.points[right.peak]),
        0.5,
    );
    let up = unit(minus(middle, near));
    let height = |point: &Point| dot(minus(*point, near), up);
    let points: Vec<Point> = contour.between(left.peak, right.peak).collect();
    let lowest = points.iter().map(height).fold(f32::INFINITY, f32::min);
    let bottom: Vec<Point> = points
        .into_iter()
        .filter(|point| height(point) <= lowest + VALLEY_FLOOR * length(minus(middle, near)))
        .collect();
    let sum = bottom
        .iter()
        .fold((0.0, 0.0), |sum, point| plus(sum, *point));
    times(sum, 1.0 / bottom.len() as f32)
}
