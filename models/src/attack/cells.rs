//! Images brought down to cells of some pixels, in which noise is small.

use crate::image::GreyImage;
use crate::params::ATTACK_CELLS;

/// How an image is cut into cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Pixels to a cell's side.
    pub(super) side: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Grid {
    pub(super) fn over(image: &GreyImage) -> Self {
        let side = image.width().max(image.height()).div_ceil(ATTACK_CELLS);
        Self {
            side,
            columns: (image.width() / side).max(1),
            rows: (image.height() / side).max(1),
        }
    }

    /// The middle of a cell, pixels.
    pub(super) fn middle(self, index: usize) -> (f32, f32) {
        let at = |cell: usize| (cell as f32 + 0.5) * self.side as f32 - 0.5;
        (at(index % self.columns), at(index / self.columns))
    }

    /// Mean grey of every cell, row by row.
    pub(super) fn means(self, image: &GreyImage) -> Vec<f32> {
        let mut means = Vec::with_capacity(self.columns * self.rows);
        // Down first, which the compiler does many columns at a time; a cell has at most 32 rows.
        let mut sums = vec![0_u16; image.width()];
        let share = 1.0 / (self.side * self.side) as f32;
        for band in image
            .pixels()
            .chunks(image.width() * self.side)
            .take(self.rows)
        {
            sums.fill(0);
            for row in band.chunks_exact(image.width()) {
                for (sum, pixel) in sums.iter_mut().zip(row) {
                    *sum += u16::from(*pixel);
                }
            }
            let cells = sums.chunks(self.side).take(self.columns);
            means.extend(cells.map(|cell| {
                let sum: u32 = cell.iter().map(|sum| u32::from(*sum)).sum();
                sum as f32 * share
            }));
        }
        means
    }
}
