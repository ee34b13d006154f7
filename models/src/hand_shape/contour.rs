//! A closed contour and the peaks of its distance from the palm's centre.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use super::{Palm, Point, length, minus};
use crate::image::GreyImage;
use crate::params::{CONTOUR_SMOOTHING, FINGER_PROMINENCE_MIN};
use crate::vision;

/// A contour round the palm.
pub(crate) struct Contour {
    pub(crate) points: Vec<Point>,
    /// Smoothed distance of each point from the palm's centre, in palm radii.
    pub(crate) distances: Vec<f32>,
}

/// A peak between two valleys, as places in the contour; the three follow each other round it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lobe {
    pub(crate) before: usize,
    pub(crate) peak: usize,
    pub(crate) after: usize,
}

impl Contour {
    /// The contour of that part of the mask which holds the palm.
    pub(crate) fn round(mask: &GreyImage, palm: Palm) -> Option<Self> {
        let inside = |contour: &[(i32, i32)]| winds_round(contour, palm.centre);
        let contour = vision::contours(mask)
            .into_iter()
            .find(|contour| inside(contour))?;
        let points: Vec<Point> = contour
            .iter()
            .map(|(x, y)| (*x as f32, *y as f32))
            .collect();
        let raw: Vec<f32> = points
            .iter()
            .map(|point| length(minus(*point, palm.centre)) / palm.radius)
            .collect();
        let reach = (CONTOUR_SMOOTHING * palm.radius) as usize;
        let distances = smooth_round(&raw, reach);
        Some(Self { points, distances })
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// The peaks that stand out, in the order of the contour.
    pub(crate) fn lobes(&self) -> Vec<Lobe> {
        let extremes = self.extremes();
        let count = extremes.len();
        (0..count)
            .filter(|index| extremes[*index].1)
            .map(|index| Lobe {
                before: extremes[(index + count - 1) % count].0,
                peak: extremes[index].0,
                after: extremes[(index + 1) % count].0,
            })
            .collect()
    }

    /// Places of minima and maxima in turn; a place and whether it is a maximum.
    fn extremes(&self) -> Vec<(usize, bool)> {
        let Some(start) =
            (0..self.len()).min_by(|a, b| self.distances[*a].total_cmp(&self.distances[*b]))
        else {
            return Vec::new();
        };
        let mut found: Vec<(usize, bool)> = vec![(start, false)];
        let (mut low, mut high, mut rising) = (start, start, true);
        for step in 1..=self.len() {
            let at = (start + step) % self.len();
            let distance = self.distances[at];
            if distance > self.distances[high] {
                high = at;
            }
            if distance < self.distances[low] {
                low = at;
            }
            if rising && distance < self.distances[high] - FINGER_PROMINENCE_MIN {
                found.push((high, true));
                (low, rising) = (at, false);
            } else if !rising && distance > self.distances[low] + FINGER_PROMINENCE_MIN {
                found.push((low, false));
                (high, rising) = (at, true);
            }
        }
        if found.last().is_some_and(|last| !last.1) && found.len() > 1 {
            found.pop();
        }
        found
    }

    /// The width of a lobe half way up, in palm radii.
    pub(crate) fn width(&self, lobe: Lobe, palm: Palm) -> f32 {
        let foot = self.distances[lobe.before].max(self.distances[lobe.after]);
        let level = f32::midpoint(foot, self.distances[lobe.peak]);
        let count = self.len();
        let falls = |step: usize| {
            (0..count)
                .map(|n| (lobe.peak + n * step) % count)
                .find(|at| self.distances[*at] <= level)
                .unwrap_or(lobe.peak)
        };
        let (left, right) = (falls(count - 1), falls(1));
        length(minus(self.points[left], self.points[right])) / palm.radius
    }

    /// The points from one place to another, in order.
    pub(crate) fn between(&self, from: usize, to: usize) -> impl Iterator<Item = Point> {
        let count = self.len();
        let steps = (to + count - from) % count;
        (0..=steps).map(move |step| self.points[(from + step) % count])
    }
}

/// Whether a closed contour encloses a point: it crosses the ray to the right an odd number of times.
fn winds_round(contour: &[(i32, i32)], point: Point) -> bool {
    let mut inside = false;
    for (index, a) in contour.iter().enumerate() {
        let b = contour[(index + 1) % contour.len()];
        let (ay, by) = (a.1 as f32, b.1 as f32);
        if (ay > point.1) != (by > point.1) {
            let x = a.0 as f32 + (point.1 - ay) / (by - ay) * (b.0 - a.0) as f32;
            inside ^= x > point.0;
        }
    }
    inside
}

/// Means over `reach` neighbours on each side, round the circle.
fn smooth_round(values: &[f32], reach: usize) -> Vec<f32> {
    let count = values.len();
    if count <= 2 * reach {
        return values.to_vec();
    }
    let mut sum: f64 = (0..=2 * reach)
        .map(|n| f64::from(values[(n + count - reach) % count]))
        .sum();
    let window = (2 * reach + 1) as f64;
    (0..count)
        .map(|at| {
            let mean = sum / window;
            sum += f64::from(values[(at + reach + 1) % count]);
            sum -= f64::from(values[(at + count - reach) % count]);
            mean as f32
        })
        .collect()
}
