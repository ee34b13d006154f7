//! Rasters in the hand's own frame, and the strokes drawn on them.
//!
//! The hand's frame: millimetres, `u` towards the thumb, `v` towards the finger tips, origin in the middle of the
//! palm; the same for both hands, a left is mirrored only when it is projected.

use super::random::{Field, Rng, cell};

/// A point of the hand's frame, or a vector in it.
pub(crate) type Point = (f32, f32);

/// The part of the hand's frame that rasters cover; beyond it the nearest edge counts (the forearm runs on).
pub(crate) const LEFT: f32 = -80.0;
pub(crate) const BOTTOM: f32 = -105.0;
pub(crate) const BOX_WIDTH: f32 = 188.0;
pub(crate) const BOX_HEIGHT: f32 = 262.0;

/// A raster of `N` channels over the box.
#[derive(Debug, Clone)]
pub(crate) struct Raster<T, const N: usize> {
    scale: f32,
    columns: usize,
    rows: usize,
    texels: Vec<[T; N]>,
}

impl<T: Copy + Into<f32>, const N: usize> Raster<T, N> {
    /// `scale` texels a millimetre; `row(v)` gives the function of `u` that fills one row.
    pub(crate) fn build<F: FnMut(f32) -> [T; N]>(
        scale: f32,
        mut row: impl FnMut(f32) -> F,
    ) -> Self {
        let (columns, rows) = ((BOX_WIDTH * scale) as usize, (BOX_HEIGHT * scale) as usize);
        let step = 1.0 / scale;
        let mut texels = Vec::with_capacity(columns * rows);
        for at in 0..rows {
            let mut texel = row(BOTTOM + at as f32 * step);
            texels.extend((0..columns).map(|column| texel(LEFT + column as f32 * step)));
        }
        Self {
            scale,
            columns,
            rows,
            texels,
        }
    }

    /// Another raster made of this one row by row; `row(v)` gives the function of `u` and texel.
    pub(crate) fn map<S, const M: usize, F: FnMut(f32, [T; N]) -> [S; M]>(
        &self,
        mut row: impl FnMut(f32) -> F,
    ) -> Raster<S, M> {
        let step = 1.0 / self.scale;
        let mut texels = Vec::with_capacity(self.texels.len());
        for (at, line) in self.texels.chunks_exact(self.columns).enumerate() {
            let mut texel = row(BOTTOM + at as f32 * step);
            let place = |column: usize| LEFT + column as f32 * step;
            texels.extend(
                line.iter()
                    .enumerate()
                    .map(|(column, t)| texel(place(column), *t)),
            );
        }
        Raster {
            scale: self.scale,
            columns: self.columns,
            rows: self.rows,
            texels,
        }
    }

    /// The bilinear value at a point of the hand's frame.
    pub(crate) fn at(&self, point: Point) -> [f32; N] {
        let (column, a) = cell((point.0 - LEFT) * self.scale, self.columns);
        let (row, b) = cell((point.1 - BOTTOM) * self.scale, self.rows);
        let top = row * self.columns + column;
        let [t0, t1] = [self.texels[top], self.texels[top + 1]];
        let bottom = top + self.columns;
        let [b0, b1] = [self.texels[bottom], self.texels[bottom + 1]];
        std::array::from_fn(|n| {
            let (t0, t1, b0, b1): (f32, f32, f32, f32) =
                (t0[n].into(), t1[n].into(), b0[n].into(), b1[n].into());
            let (top, bottom) = (t0 + (t1 - t0) * a, b0 + (b1 - b0) * a);
            top + (bottom - top) * b
        })
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn scale(&self) -> f32 {
        self.scale
    }

    pub(crate) fn texels(&self) -> &[[T; N]] {
        &self.texels
    }
}

/// A line with a Gaussian profile: the points of its middle with half width (mm) and depth (0 to 1) at each.
#[derive(Debug, Clone)]
pub(crate) struct Stroke {
    pub(crate) points: Vec<Ink>,
}

/// One point of a stroke.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ink {
    pub(crate) at: Point,
    pub(crate) half_width: f32,
    pub(crate) depth: f32,
}

impl Stroke {
    /// A stroke through `path` that tapers at both ends and whose depth varies along it.
    pub(crate) fn tapered(path: &[Point], half_width: f32, depth: f32, rng: &mut Rng) -> Self {
        let last = (path.len().max(2) - 1) as f32;
        let swell = Field::normal(rng, 0.18, 1.0, 0.1);
        let ink = |(index, at): (usize, &Point)| {
            let along = index as f32 / last;
            let taper = (6.0 * along).min(6.0 * (1.0 - along)).min(1.0);
            let strength = (1.0 + 0.22 * swell.at(along, 0.0)).clamp(0.4, 1.3);
            Ink {
                at: *at,
                half_width: half_width * (0.45 + 0.55 * taper),
                depth: depth * (0.35 + 0.65 * taper) * strength,
            }
        };
        Self {
            points: path.iter().enumerate().map(ink).collect(),
        }
    }
}

impl<const N: usize> Raster<u8, N> {
    /// Draws a stroke on one channel; where two cross, the deeper counts.
    pub(crate) fn draw(&mut self, channel: usize, stroke: &Stroke) {
        for pair in stroke.points.windows(2) {
            self.draw_segment(channel, pair[0], pair[1]);
        }
    }

    fn draw_segment(&mut self, channel: usize, from: Ink, to: Ink) {
        let reach = 2.6 * from.half_width.max(to.half_width);
        let columns = self.span(from.at.0, to.at.0, reach, LEFT, self.columns);
        let rows = self.span(from.at.1, to.at.1, reach, BOTTOM, self.rows);
        let step = 1.0 / self.scale;
        for row in rows {
            let v = BOTTOM + row as f32 * step;
            for column in columns.clone() {
                let (along, distance2) =
                    to_segment((LEFT + column as f32 * step, v), from.at, to.at);
                let half_width = from.half_width + (to.half_width - from.half_width) * along;
                let depth = from.depth + (to.depth - from.depth) * along;
                let ink = 255.0 * depth * (-0.5 * distance2 / (half_width * half_width)).exp();
                let texel = &mut self.texels[row * self.columns + column][channel];
                *texel = (*texel).max(ink as u8);
            }
        }
    }

    fn span(&self, a: f32, b: f32, reach: f32, origin: f32, size: usize) -> std::ops::Range<usize> {
        let low = ((a.min(b) - reach - origin) * self.scale).max(0.0) as usize;
        let high = ((a.max(b) + reach - origin) * self.scale).max(0.0) as usize + 2;
        low.min(size)..high.min(size)
    }
}

/// Where on the segment the nearest point lies (0 to 1), and the squared distance to it.
pub(crate) fn to_segment(point: Point, from: Point, to: Point) -> (f32, f32) {
    let (du, dv) = (to.0 - from.0, to.1 - from.1);
    let (pu, pv) = (point.0 - from.0, point.1 - from.1);
    let along = ((pu * du + pv * dv) / (du * du + dv * dv).max(1e-9)).clamp(0.0, 1.0);
    let (eu, ev) = (pu - along * du, pv - along * dv);
    (along, eu * eu + ev * ev)
}
