//! The competitive orientation code: which of six line directions wins in each of 32 x 32 cells.
//!
//! Kong and Zhang, "Competitive Coding Scheme for Palmprint Verification" (ICPR 2004), with their filter. Creases are
//! dark, so the most negative response wins. Start reading at [`orientations`].

use std::f32::consts::{LN_2, PI};
use std::sync::LazyLock;

use crate::params::{GABOR_BANDWIDTH, GABOR_REACH, GABOR_SIGMA, REGION_PIXELS, RESPONSE_MIN};
use crate::template::{CODE_SIDE, ORIENTATIONS, OrientationCode};

const KERNEL_SIDE: usize = 2 * GABOR_REACH + 1;
const PADDED: usize = REGION_PIXELS + 2 * GABOR_REACH;
const CELL: usize = REGION_PIXELS / CODE_SIDE;

/// Real parts of the Gabor filters, without response to a flat region.
static FILTERS: LazyLock<[Vec<f32>; ORIENTATIONS as usize]> = LazyLock::new(|| {
    std::array::from_fn(|index| filter(PI * index as f32 / f32::from(ORIENTATIONS)))
});

/// Codes a normalised region of 128 x 128 pixels, row-major; `hand` says of each pixel whether it is skin. A cell
/// is valid where the pixel in its middle is, and where there is a line to follow.
pub(crate) fn orientations(region: &[f32], hand: &[bool]) -> OrientationCode {
    let padded = reflect(region);
    let winners: Vec<(u8, f32)> = (0..CODE_SIDE * CODE_SIDE)
        .map(|cell| winner(&padded, middle(cell % CODE_SIDE), middle(cell / CODE_SIDE)))
        .collect();
    let response_min = RESPONSE_MIN * median(winners.iter().map(|(_, depth)| *depth));
    OrientationCode::from_cells(|row, column| {
        let (orientation, depth) = winners[row * CODE_SIDE + column];
        let skin = hand[middle(row) * REGION_PIXELS + middle(column)];
        (skin && depth > response_min).then_some(orientation)
    })
}

/// The pixel in the middle of a cell.
fn middle(cell: usize) -> usize {
    cell * CELL + CELL / 2
}

/// The orientation with the darkest line at a pixel, and how dark it is.
fn winner(padded: &[f32], x: usize, y: usize) -> (u8, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (orientation, filter) in (0..ORIENTATIONS).zip(FILTERS.iter()) {
        let depth = -response(padded, filter, x, y);
        if depth > best.1 {
            best = (orientation, depth);
        }
    }
    best
}

fn response(padded: &[f32], filter: &[f32], x: usize, y: usize) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let mut rest = 0.0;
    for (row, weights) in filter.chunks_exact(KERNEL_SIDE).enumerate() {
        let pixels = &padded[(y + row) * PADDED + x..][..KERNEL_SIDE];
        let (pixel_chunks, pixel_rest) = pixels.as_chunks::<LANES>();
        let (weight_chunks, weight_rest) = weights.as_chunks::<LANES>();
        for (p, w) in pixel_chunks.iter().zip(weight_chunks) {
            for lane in 0..LANES {
                sums[lane] += p[lane] * w[lane];
            }
        }
        rest += pixel_rest
            .iter()
            .zip(weight_rest)
            .map(|(p, w)| p * w)
            .sum::<f32>();
    }
    rest + sums.iter().sum::<f32>()
}

/// The filter for lines at `angle` radians from the horizontal.
fn filter(angle: f32) -> Vec<f32> {
    let octaves = GABOR_BANDWIDTH.exp2();
    let kappa = (2.0 * LN_2).sqrt() * (octaves + 1.0) / (octaves - 1.0);
    let omega = kappa / GABOR_SIGMA;
    let reach = GABOR_REACH as f32;
    let mut weights: Vec<f32> = (0..KERNEL_SIDE * KERNEL_SIDE)
        .map(|index| {
            let x = (index % KERNEL_SIDE) as f32 - reach;
            let y = (index / KERNEL_SIDE) as f32 - reach;
            let across = y * angle.cos() + x * angle.sin();
            let along = x * angle.cos() - y * angle.sin();
            let envelope = (-omega.powi(2) / (8.0 * kappa.powi(2))
                * (4.0 * across.powi(2) + along.powi(2)))
            .exp();
            envelope * ((omega * across).cos() - (-kappa.powi(2) / 2.0).exp())
        })
        .collect();
    let mean = weights.iter().sum::<f32>() / weights.len() as f32;
    weights.iter_mut().for_each(|weight| *weight -= mean);
    weights
}

/// The region with its edges mirrored, so that the filter has something to see there.
fn reflect(region: &[f32]) -> Vec<f32> {
    let source = |at: usize| {
        let at = at.abs_diff(GABOR_REACH);
        if at < REGION_PIXELS {
            at
        } else {
            2 * (REGION_PIXELS - 1) - at
        }
    };
    (0..PADDED * PADDED)
        .map(|index| region[source(index / PADDED) * REGION_PIXELS + source(index % PADDED)])
        .collect()
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests;
