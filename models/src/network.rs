//! The network: a normalised palm region to the 512 numbers that a search code is made of.
//!
//! Residual (He et al., CVPR 2016), small, trained on synthetic palms by `models/training`, which has its definition in
//! `network.py`; `models/weights` has what it learnt. Start reading at `embedding`.

mod convolution;
mod weights;

use std::fmt;
use std::sync::LazyLock;

use zeroize::Zeroizing;

use crate::params::{EMBEDDED_LIMIT, REGION_PIXELS};
use crate::template::DIMENSIONS;
use convolution::{Convolution, Map};
use weights::{Reader, WeightsError};

/// What ships with the product.
static SHIPPED: LazyLock<Network> = LazyLock::new(|| {
    Network::read(include_bytes!("../weights/palm.opnet"))
        .expect("invariant: the shipped weights are of this network")
});

/// 24 in training; the others are zero.
const STEM: usize = 32;
const WIDTHS: [usize; 3] = [32, 64, 128];
const BLOCKS: usize = 2;
/// Places of the last map, and weighted sums over them for each of its channels.
const PLACES: usize = 64;
const POOLS: usize = DIMENSIONS / WIDTHS[2];

/// What the network makes of a palm: 512 components without a unit, each with a mean of about 0 over many palms. Wiped
/// when dropped; `Debug` shows none of it.
#[derive(Clone)]
pub struct Embedding(Zeroizing<Vec<f32>>);

impl Embedding {
    /// How alike two palms are: the cosine of their embeddings, -1 to 1.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        let dot =
            |a: &Self, b: &Self| -> f32 { a.0.iter().zip(b.0.iter()).map(|(a, b)| a * b).sum() };
        let length = dot(self, self).sqrt() * dot(other, other).sqrt();
        dot(self, other) / length.max(f32::MIN_POSITIVE)
    }

    pub(crate) fn components(&self) -> &[f32; DIMENSIONS] {
        self.0
            .first_chunk()
            .expect("invariant: made with all its components")
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Embedding")
    }
}

/// The embedding of a normalised region, 128 x 128, row by row; `hand` says of each pixel whether it is skin.
pub(crate) fn embedding(normal: &[f32], hand: &[bool]) -> Embedding {
    SHIPPED.embedding(normal, hand)
}

struct Network {
    stem: Convolution,
    stages: Vec<Stage>,
    /// By channel, place and pool.
    pool: Vec<[[f32; POOLS]; PLACES]>,
    /// By what was pooled.
    embed: Vec<[f32; DIMENSIONS]>,
    bias: Vec<f32>,
}

/// Halves a map's side, then refines it.
struct Stage {
    down: Convolution,
    blocks: Vec<[Convolution; 2]>,
}

impl Network {
    fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let mut reader = Reader::new(bytes)?;
        let stem = Convolution::read(&mut reader, [1, STEM], 5, 2)?;
        let mut stages = Vec::new();
        let mut inputs = STEM;
        for width in WIDTHS {
            let down = Convolution::read(&mut reader, [inputs, width], 3, 2)?;
            let mut same = || Convolution::read(&mut reader, [width, width], 3, 1);
            let blocks = (0..BLOCKS).map(|_| Ok([same()?, same()?]));
            let blocks = blocks.collect::<Result<_, WeightsError>>()?;
            stages.push(Stage { down, blocks });
            inputs = width;
        }
        let pool = reader.weights(inputs * PLACES * POOLS)?;
        let bias = reader.biases(DIMENSIONS)?;
        let embed = reader.weights(DIMENSIONS * DIMENSIONS)?;
        reader.end()?;
        Ok(Self {
            stem,
            stages,
            pool: pool.as_chunks().0.as_chunks().0.to_vec(),
            embed: embed.as_chunks().0.to_vec(),
            bias,
        })
    }

    fn embedding(&self, normal: &[f32], hand: &[bool]) -> Embedding {
        let mut input = Map::blank(REGION_PIXELS, 1, self.stem.margin());
        input.fill(
            normal.iter().zip(hand).map(|(value, hand)| {
                f32::from(*hand) * value.clamp(-EMBEDDED_LIMIT, EMBEDDED_LIMIT)
            }),
        );
        let mut map = self.stem.apply(&input, None);
        for stage in &self.stages {
            map = stage.down.apply(&map, None);
            for [first, second] in &stage.blocks {
                map = second.apply(&first.apply(&map, None), Some(&map));
            }
        }
        self.embedded(&map)
    }

    fn embedded(&self, map: &Map) -> Embedding {
        let mut pooled = Zeroizing::new([0.0; DIMENSIONS]);
        for (place, pixel) in map.pixels().enumerate() {
            for ((value, masks), sums) in pixel
                .iter()
                .zip(&self.pool)
                .zip(pooled.as_chunks_mut::<POOLS>().0)
            {
                for (sum, mask) in sums.iter_mut().zip(masks[place]) {
                    *sum += value * mask;
                }
            }
        }
        let mut out = Zeroizing::new(self.bias.clone());
        for (value, weights) in pooled.iter().zip(&self.embed) {
            for (sum, weight) in out.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
        Embedding(out)
    }
}

#[cfg(test)]
mod tests;
