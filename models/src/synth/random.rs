//! Seeded random numbers: `SplitMix64`, and what the generator draws with it.
//!
//! Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014). Written out here, and not
//! taken from a library, because the numbers are part of the generator's version: they must never change under it.
//! Not for keys.

/// A range of a parameter, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) f32, pub(crate) f32);

/// Every stream follows from it; it changes when a hand is to become another, and with it the version.
const HANDS: u64 = 2;
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// One step of `SplitMix64`: a good hash of `state`.
pub(crate) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream of these numbers; another order or another number gives an unrelated stream.
    pub(crate) fn new(parts: &[u64]) -> Self {
        Self(
            parts
                .iter()
                .fold(HANDS, |state, part| mix(state ^ mix(*part))),
        )
    }

    pub(crate) fn next(&mut self) -> u64 {
        let number = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        number
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        const SCALE: f32 = 1.0 / 16_777_216.0;
        (self.next() >> 40) as f32 * SCALE
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    pub(crate) fn within(&mut self, span: Span) -> f32 {
        span.0 + (span.1 - span.0) * self.unit()
    }

    /// A whole number of `span`, both ends included.
    pub(crate) fn count(&mut self, span: Span) -> usize {
        self.within(Span(span.0, span.1 + 0.999)) as usize
    }

    /// Standard normal (Box and Muller), cut at 3.
    pub(crate) fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (std::f32::consts::TAU * self.unit()).cos()).clamp(-3.0, 3.0)
    }
}

/// Smooth noise: random values on a square lattice, interpolated.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    inverse_step: f32,
    columns: usize,
    rows: usize,
    values: Vec<f32>,
}

impl Field {
    /// Standard normal values every `step` over `width` x `height`.
    pub(crate) fn normal(rng: &mut Rng, step: f32, width: f32, height: f32) -> Self {
        let (columns, rows) = ((width / step) as usize + 2, (height / step) as usize + 2);
        let values = (0..columns * rows).map(|_| rng.normal()).collect();
        Self {
            inverse_step: 1.0 / step,
            columns,
            rows,
            values,
        }
    }

    /// The value at `(x, y)`, measured from the corner; outside, that of the nearest edge.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (column, a) = cell(x * self.inverse_step, self.columns);
        let (row, b) = cell(y * self.inverse_step, self.rows);
        let at = row * self.columns + column;
        let (a, b) = (smooth(a), smooth(b));
        let top = self.values[at] + (self.values[at + 1] - self.values[at]) * a;
        let below = at + self.columns;
        let bottom = self.values[below] + (self.values[below + 1] - self.values[below]) * a;
        top + (bottom - top) * b
    }

    /// All values at one `y`, for many `x`.
    pub(crate) fn line(&self, y: f32) -> Line {
        let (row, b) = cell(y * self.inverse_step, self.rows);
        let b = smooth(b);
        let (top, rest) = self.values[row * self.columns..].split_at(self.columns);
        let values = top
            .iter()
            .zip(rest)
            .map(|(top, bottom)| top + (bottom - top) * b)
            .collect();
        Line {
            inverse_step: self.inverse_step,
            values,
        }
    }
}

/// One line of a [`Field`].
#[derive(Debug)]
pub(crate) struct Line {
    inverse_step: f32,
    values: Vec<f32>,
}

impl Line {
    pub(crate) fn at(&self, x: f32) -> f32 {
        let (column, a) = cell(x * self.inverse_step, self.values.len());
        let (left, right) = (self.values[column], self.values[column + 1]);
        left + (right - left) * smooth(a)
    }
}

fn smooth(a: f32) -> f32 {
    a * a * (3.0 - 2.0 * a)
}

/// The lattice cell of a coordinate and the place in it, 0 to 1.
pub(crate) fn cell(coordinate: f32, size: usize) -> (usize, f32) {
    let clamped = coordinate.clamp(0.0, (size - 1) as f32 - 1e-3);
    let index = clamped as usize;
    (index, clamped - index as f32)
}
