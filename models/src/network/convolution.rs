//! Convolutions over maps whose channels lie side by side, with the widest registers of the machine.
//!
//! A tile of neighbouring pixels by two registers of output channels stays in registers while all inputs go by: each
//! weight is loaded once a tile, each input once for both registers.

use pulp::{Arch, Simd, WithSimd};
use zeroize::Zeroizing;

use super::weights::{Reader, WeightsError};

/// Registers of output channels in a tile: a group.
const ABREAST: usize = 2;

/// Square, values by row, column and channel, with a margin of zeros. Wiped when dropped.
pub(super) struct Map {
    side: usize,
    margin: usize,
    channels: usize,
    values: Zeroizing<Vec<f32>>,
}

impl Map {
    pub(super) fn blank(side: usize, channels: usize, margin: usize) -> Self {
        let whole = side + 2 * margin;
        Self {
            side,
            margin,
            channels,
            values: Zeroizing::new(vec![0.0; whole * whole * channels]),
        }
    }

    /// Sets all values within the margin.
    pub(super) fn fill(&mut self, values: impl Iterator<Item = f32>) {
        let mut values = values.fuse();
        for row in 0..self.side {
            let start = self.at(row, 0);
            let row = &mut self.values[start..][..self.side * self.channels];
            row.iter_mut()
                .zip(&mut values)
                .for_each(|(own, value)| *own = value);
        }
    }

    /// The channels of each pixel within the margin, row by row.
    pub(super) fn pixels(&self) -> impl Iterator<Item = &[f32]> {
        (0..self.side).flat_map(|row| {
            let row = &self.values[self.at(row, 0)..][..self.side * self.channels];
            row.chunks_exact(self.channels)
        })
    }

    /// Where the channels of a pixel begin.
    fn at(&self, row: usize, column: usize) -> usize {
        ((row + self.margin) * self.row() + column + self.margin) * self.channels
    }

    /// Pixels of a row with its margins.
    fn row(&self) -> usize {
        self.side + 2 * self.margin
    }
}

/// A convolution, what it adds, and what is below zero cut off.
pub(super) struct Convolution {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    /// By group of outputs, place in the kernel, input, output of the group.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Convolution {
    /// Reads one of `inputs` (1, 32, 64 or 128) and `outputs` (a multiple of 32) channels with a square kernel of odd
    /// side.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> Result<Self, WeightsError> {
        let bias = reader.biases(outputs)?;
        let plain = reader.weights(kernel * kernel * inputs * outputs)?;
        let group = Arch::new().dispatch(Group);
        let mut weights = Vec::with_capacity(plain.len());
        for first in (0..outputs).step_by(group) {
            for row in plain.chunks_exact(outputs) {
                weights.extend_from_slice(&row[first..first + group]);
            }
        }
        Ok(Self {
            inputs,
            outputs,
            kernel,
            stride,
            weights,
            bias,
        })
    }

    /// Margin that an input needs.
    pub(super) fn margin(&self) -> usize {
        self.kernel / 2
    }

    /// The convolution of a map, plus `skip` if there is one; what is below zero is cut off. The margin is 1.
    pub(super) fn apply(&self, input: &Map, skip: Option<&Map>) -> Map {
        let mut output = Map::blank(input.side / self.stride, self.outputs, 1);
        let arch = Arch::new();
        let convolution = self;
        match self.inputs {
            1 => arch.dispatch(Applied::<1> {
                convolution,
                input,
                skip,
                output: &mut output,
            }),
            32 => arch.dispatch(Applied::<32> {
                convolution,
                input,
                skip,
                output: &mut output,
            }),
            64 => arch.dispatch(Applied::<64> {
                convolution,
                input,
                skip,
                output: &mut output,
            }),
            _ => arch.dispatch(Applied::<128> {
                convolution,
                input,
                skip,
                output: &mut output,
            }),
        }
        output
    }
}

/// Outputs of a group.
struct Group;

impl WithSimd for Group {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        ABREAST * S::F32_LANES
    }
}

struct Applied<'a, const INPUTS: usize> {
    convolution: &'a Convolution,
    input: &'a Map,
    skip: Option<&'a Map>,
    output: &'a mut Map,
}

impl<const INPUTS: usize> WithSimd for Applied<'_, INPUTS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // As many registers as there are: 32 of the widest kind, 16 of others.
        if S::F32_LANES == 16 {
            self.tiles::<S, 8>(simd);
        } else {
            self.tiles::<S, 4>(simd);
        }
    }
}

impl<const INPUTS: usize> Applied<'_, INPUTS> {
    #[inline(always)]
    fn tiles<S: Simd, const PIXELS: usize>(&mut self, simd: S) {
        let group = ABREAST * S::F32_LANES;
        let kernel = self.convolution.kernel;
        let weights = self
            .convolution
            .weights
            .chunks_exact(kernel * kernel * INPUTS * group);
        for (first, weights) in (0..).step_by(group).zip(weights) {
            for row in 0..self.output.side {
                for column in (0..self.output.side).step_by(PIXELS) {
                    self.tile::<S, PIXELS>(simd, weights, [row, column, first]);
                }
            }
        }
    }

    /// Outputs from `first` on of the pixels from `column` on.
    #[inline(always)]
    fn tile<S: Simd, const PIXELS: usize>(
        &mut self,
        simd: S,
        weights: &[f32],
        [row, column, first]: [usize; 3],
    ) {
        let Convolution {
            kernel,
            stride,
            ref bias,
            ..
        } = *self.convolution;
        let pixels = self.input.values.as_chunks::<INPUTS>().0;
        let mut sums = [[simd.splat_f32s(0.0); ABREAST]; PIXELS];
        let mut weights = S::as_simd_f32s(weights)
            .0
            .as_chunks::<ABREAST>()
            .0
            .as_chunks::<INPUTS>()
            .0
            .iter();
        for y in 0..kernel {
            let line = &pixels[(row * stride + y) * self.input.row() + column * stride..];
            for (x, weights) in (0..kernel).zip(&mut weights) {
                let mut values = [&line[0]; PIXELS];
                for (at, value) in values.iter_mut().enumerate() {
                    *value = &line[at * stride + x];
                }
                sums = accumulated(simd, sums, weights, values);
            }
        }
        let group = ABREAST * S::F32_LANES;
        let bias = &bias[first..first + group];
        for (at, sums) in sums.iter().enumerate() {
            let place = self.output.at(row, column + at) + first;
            let out = &mut self.output.values[place..place + group];
            let skip = self.skip.map(|skip| &skip.values[place..place + group]);
            finish(simd, sums, bias, skip, out);
        }
    }
}

/// The sums with the products of each pixel's inputs added. They come and go by value, which keeps them in registers.
#[inline(always)]
fn accumulated<S: Simd, const INPUTS: usize, const PIXELS: usize>(
    simd: S,
    mut sums: [[S::f32s; ABREAST]; PIXELS],
    weights: &[[S::f32s; ABREAST]; INPUTS],
    values: [&[f32; INPUTS]; PIXELS],
) -> [[S::f32s; ABREAST]; PIXELS] {
    for (at, weights) in weights.iter().enumerate() {
        for (sums, value) in sums.iter_mut().zip(values) {
            let value = simd.splat_f32s(value[at]);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_f32s(*weight, value, *sum);
            }
        }
    }
    sums
}

/// Adds to the sums what is to be added and cuts off what is below zero.
#[inline(always)]
fn finish<S: Simd>(simd: S, sums: &[S::f32s], bias: &[f32], skip: Option<&[f32]>, out: &mut [f32]) {
    let out = S::as_mut_simd_f32s(out).0;
    for (at, ((out, sum), bias)) in out
        .iter_mut()
        .zip(sums)
        .zip(S::as_simd_f32s(bias).0)
        .enumerate()
    {
        let mut sum = simd.add_f32s(*sum, *bias);
        if let Some(skip) = skip {
            sum = simd.add_f32s(sum, S::as_simd_f32s(skip).0[at]);
        }
        *out = simd.max_f32s(sum, simd.splat_f32s(0.0));
    }
}
