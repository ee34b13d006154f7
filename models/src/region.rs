//! The palm region: cut square to the valleys, fingers up, thumb to the right, 128 x 128.
//!
//! The right hand's frame is everybody's: a left region comes out mirrored.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use crate::hand_shape::{Point, Shape, length, minus, plus, times, unit};
use crate::image::GreyImage;
use crate::params::{
    NORMALISE_FLOOR, NORMALISE_SIGMA, REGION_OFFSET, REGION_PIXELS, REGION_SIDE, SPAN_PER_RADIUS,
};
use crate::template::Hand;
use crate::vision;

/// A palm region.
pub(crate) struct Region {
    /// 128 x 128 grey values.
    pub(crate) grey: GreyImage,
    /// Which of them are hand.
    pub(crate) hand: Vec<bool>,
    /// Side of the square in pixels of the source image.
    pub(crate) source_side: f32,
    /// Share of the square that lies beyond the source image.
    pub(crate) outside_image: f32,
}

/// A square in an image: its corner under the little finger, and its sides as vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Square {
    pub(crate) corner: Point,
    /// Towards the index finger.
    pub(crate) right: Point,
    /// Towards the wrist.
    pub(crate) down: Point,
}

impl Square {
    /// The square below the valleys of a shape, in the shape's pixels. Its size follows the valleys' distance and the
    /// palm's radius alike: the first shrinks when fingers close, the second errs where the thumb lies beside the
    /// palm.
    pub(crate) fn below(shape: &Shape) -> Self {
        let valleys = shape.valleys;
        let apart = minus(valleys.index_middle, valleys.ring_little);
        let span = (length(apart) * SPAN_PER_RADIUS * shape.palm.radius).sqrt();
        let across = times(unit(apart), span);
        let wrist = match shape.hand {
            Hand::Right => (-across.1, across.0),
            Hand::Left => (across.1, -across.0),
        };
        let middle = times(plus(valleys.index_middle, valleys.ring_little), 0.5);
        let top = plus(middle, times(wrist, REGION_OFFSET));
        let (right, down) = (times(across, REGION_SIDE), times(wrist, REGION_SIDE));
        Self {
            corner: minus(top, times(right, 0.5)),
            right,
            down,
        }
    }

    /// The same square where the image is `scale` times as large.
    pub(crate) fn scaled(self, scale: f32) -> Self {
        // Pixel centres lie at halves: the corner moves with them.
        let grow = |point: Point| minus(times(plus(point, (0.5, 0.5)), scale), (0.5, 0.5));
        Self {
            corner: grow(self.corner),
            right: times(self.right, scale),
            down: times(self.down, scale),
        }
    }

    /// Index finger's corner, then the others by way of the little finger's.
    pub(crate) fn corners(self) -> [Point; 4] {
        let index = plus(self.corner, self.right);
        let [little_wrist, thumb_wrist] = [self.corner, index].map(|top| plus(top, self.down));
        [index, self.corner, little_wrist, thumb_wrist]
    }

    /// The index-middle and the ring-little valley that place this square.
    pub(crate) fn valleys(self) -> [Point; 2] {
        let above = -REGION_OFFSET / REGION_SIDE;
        let half = 0.5 / REGION_SIDE;
        [self.at(0.5 + half, above), self.at(0.5 - half, above)]
    }

    /// The point at (u, v) of the square, each 0 to 1.
    fn at(self, u: f32, v: f32) -> Point {
        plus(self.corner, plus(times(self.right, u), times(self.down, v)))
    }
}

/// Cuts the square out of the image. `is_hand` says of a point of the image whether it is hand.
pub(crate) fn cut(image: &GreyImage, square: Square, is_hand: impl Fn(Point) -> bool) -> Region {
    let source_side = length(square.right);
    let samples = (source_side / REGION_PIXELS as f32).ceil().clamp(1.0, 8.0) as usize;
    let step = 1.0 / REGION_PIXELS as f32;
    let (mut grey, mut hand) = (Vec::new(), Vec::new());
    let mut outside = 0;
    for row in 0..REGION_PIXELS {
        for column in 0..REGION_PIXELS {
            let centre = square.at((column as f32 + 0.5) * step, (row as f32 + 0.5) * step);
            let inside = within(image, centre);
            outside += usize::from(!inside);
            hand.push(inside && is_hand(centre));
            grey.push(mean(image, square, (column, row), samples));
        }
    }
    Region {
        grey: GreyImage::new(REGION_PIXELS, REGION_PIXELS, grey)
            .expect("invariant: one value was pushed per pixel"),
        hand,
        source_side,
        outside_image: outside as f32 / (REGION_PIXELS * REGION_PIXELS) as f32,
    }
}

/// An image that is a palm region already, brought to size; a left one is mirrored.
pub(crate) fn whole(image: &GreyImage, hand: Hand) -> Region {
    let mut grey = vision::resize(image, REGION_PIXELS, REGION_PIXELS);
    if hand == Hand::Left {
        grey.pixels_mut()
            .chunks_exact_mut(REGION_PIXELS)
            .for_each(<[u8]>::reverse);
    }
    Region {
        grey,
        hand: vec![true; REGION_PIXELS * REGION_PIXELS],
        source_side: image.width().min(image.height()) as f32,
        outside_image: 0.0,
    }
}

/// Grey less its local mean, over its local standard deviation.
pub(crate) fn normalise(grey: &GreyImage) -> Vec<f32> {
    let values: Vec<f32> = grey
        .pixels()
        .iter()
        .map(|value| f32::from(*value))
        .collect();
    let mean = vision::smooth_square(&values, REGION_PIXELS, NORMALISE_SIGMA);
    let detail: Vec<f32> = values
        .iter()
        .zip(&mean)
        .map(|(value, mean)| value - mean)
        .collect();
    let squares: Vec<f32> = detail.iter().map(|value| value * value).collect();
    let variance = vision::smooth_square(&squares, REGION_PIXELS, NORMALISE_SIGMA);
    let floor = NORMALISE_FLOOR * values.iter().sum::<f32>() / values.len() as f32 + f32::EPSILON;
    detail
        .iter()
        .zip(&variance)
        .map(|(value, variance)| value / (variance.sqrt() + floor))
        .collect()
}

/// The mean over one pixel of the region.
fn mean(image: &GreyImage, square: Square, (column, row): (usize, usize), samples: usize) -> u8 {
    let step = 1.0 / (REGION_PIXELS * samples) as f32;
    let mut sum = 0.0;
    for y in 0..samples {
        for x in 0..samples {
            let u = ((column * samples + x) as f32 + 0.5) * step;
            let v = ((row * samples + y) as f32 + 0.5) * step;
            sum += sample(image, square.at(u, v));
        }
    }
    (sum / (samples * samples) as f32).round() as u8
}

/// The grey value between pixels; the edge goes on beyond the image.
fn sample(image: &GreyImage, (x, y): Point) -> f32 {
    let (right, bottom) = (image.width() - 1, image.height() - 1);
    let (x, y) = (x.clamp(0.0, right as f32), y.clamp(0.0, bottom as f32));
    let (left, top) = (x as usize, y as usize);
    let (fx, fy) = (x - left as f32, y - top as f32);
    let at = |x: usize, y: usize| {
        f32::from(image.pixels()[y.min(bottom) * image.width() + x.min(right)])
    };
    let upper = at(left, top) * (1.0 - fx) + at(left + 1, top) * fx;
    let lower = at(left, top + 1) * (1.0 - fx) + at(left + 1, top + 1) * fx;
    upper * (1.0 - fy) + lower * fy
}

fn within(image: &GreyImage, (x, y): Point) -> bool {
    x >= -0.5 && y >= -0.5 && x <= image.width() as f32 - 0.5 && y <= image.height() as f32 - 0.5
}

#[cfg(test)]
mod tests;
