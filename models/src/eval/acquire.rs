//! From a set of images, or from synthetic hands, to templates; what fails is kept with its reason.

use std::time::{Duration, Instant};

use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use super::load::{self, ImageSet, LoadError, Picture, SideRule};
use super::matcher::Codes;
use super::protocol::Sample;
use super::report::Failure;
use crate::burst::{Burst, Light};
use crate::extract::{Rejection, extract, extract_region};
use crate::image::GreyImage;
use crate::synth::{self, Identity, Pose};
use crate::template::Hand;

/// What the images of a set show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A palm region, cut out already; its side by this rule.
    Region(SideRule),
    /// A whole hand under this light; the extractor finds its side.
    WholeHand(Light),
}

/// Which synthetic samples are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synthetic {
    /// Number of the first hand.
    pub first: u64,
    /// Number of hands; odd numbers are left hands.
    pub hands: u64,
    /// Samples of each hand; the first half is session 1, the rest session 2.
    pub samples: u32,
    /// Palm regions of 128 pixels in place of whole hands.
    pub regions: bool,
}

/// What became of the images of a set.
#[derive(Debug)]
pub struct Acquired {
    /// Codes, in the order of the images.
    pub samples: Vec<Sample<Codes>>,
    /// Images that gave none.
    pub failures: Vec<Failure>,
    /// Mean time from grey image to template, milliseconds.
    pub ms_per_image: f64,
}

/// Pixels of a synthetic region's side.
const REGION_SIDE: usize = 128;
/// The lights of a synthetic capture: the room, then all LEDs of each colour.
const SHOTS: [(Light, u8); 3] = [
    (Light::Ambient, 0),
    (Light::Nir, 0xFF),
    (Light::Visible, 0xFF),
];

/// Extracts every image of a set.
///
/// # Errors
/// [`LoadError`] when a file cannot be read: the measurement stops there.
pub fn from_images(set: &ImageSet, content: Content) -> Result<Acquired, LoadError> {
    let images: Vec<_> = set
        .subjects
        .iter()
        .enumerate()
        .flat_map(|(hand, subject)| {
            subject
                .images
                .iter()
                .map(move |image| (hand, subject, image))
        })
        .collect();
    let attempts: Result<Vec<Attempt>, LoadError> = images
        .par_iter()
        .map(|(hand, folder, image)| {
            let capture = Capture::new(load::picture(&image.path)?, content, &folder.name);
            let name = image.path.display().to_string();
            Ok(attempt(&capture, name, *hand, image.session))
        })
        .collect();
    Ok(gathered(attempts?))
}

/// Draws and extracts synthetic samples.
#[must_use]
pub fn from_synthetic(plan: Synthetic) -> Acquired {
    let numbers: Vec<(usize, u64)> = (plan.first..plan.first.saturating_add(plan.hands))
        .enumerate()
        .collect();
    let attempts: Vec<Vec<Attempt>> = numbers
        .par_iter()
        .map(|(hand, number)| {
            let side = if number % 2 == 1 {
                Hand::Left
            } else {
                Hand::Right
            };
            let identity = Identity::new(*number, side);
            let one = |sample: u32| {
                let session = if sample < plan.samples.div_ceil(2) {
                    1
                } else {
                    2
                };
                let name = format!("synthetic {number}, sample {sample}");
                attempt(
                    &Capture::synthetic(&identity, sample, plan.regions),
                    name,
                    *hand,
                    session,
                )
            };
            (0..plan.samples).map(one).collect()
        })
        .collect();
    gathered(attempts.into_iter().flatten().collect())
}

/// What the extractor is given.
enum Capture {
    Region(GreyImage, Hand),
    WholeHand(Burst),
}

impl Capture {
    fn new(picture: Picture, content: Content, folder: &str) -> Self {
        match content {
            Content::Region(rule) => Self::Region(picture.grey, load::side(rule, folder)),
            Content::WholeHand(light) => Self::WholeHand(Burst {
                chroma: picture.chroma,
                ..Burst::single(light, picture.grey)
            }),
        }
    }

    fn synthetic(identity: &Identity, sample: u32, region: bool) -> Self {
        let seed = identity
            .number()
            .wrapping_mul(1_000_003)
            .wrapping_add(u64::from(sample));
        if region {
            Self::Region(synth::region(identity, seed, REGION_SIDE), identity.hand())
        } else {
            Self::WholeHand(synth::burst(identity, &Pose::sampled(seed), &SHOTS, seed))
        }
    }

    fn codes(&self) -> Result<Codes, Rejection> {
        match self {
            Self::Region(image, hand) => extract_region(image, *hand),
            Self::WholeHand(burst) => extract(burst),
        }
        .map(Codes::from)
    }
}

/// One image, tried.
struct Attempt {
    outcome: Result<Sample<Codes>, Failure>,
    took: Duration,
}

fn attempt(capture: &Capture, image: String, hand: usize, session: u32) -> Attempt {
    let (codes, took) = timed(|| capture.codes());
    let outcome = match codes {
        Ok(code) => Ok(Sample {
            hand,
            session,
            code,
        }),
        Err(rejection) => Err(Failure {
            image,
            reason: rejection.to_string(),
        }),
    };
    Attempt { outcome, took }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time of an extraction is what is measured here"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn gathered(attempts: Vec<Attempt>) -> Acquired {
    let total: Duration = attempts.iter().map(|attempt| attempt.took).sum();
    let ms_per_image = 1000.0 * total.as_secs_f64() / attempts.len().max(1) as f64;
    let (mut samples, mut failures) = (Vec::new(), Vec::new());
    for attempt in attempts {
        match attempt.outcome {
            Ok(sample) => samples.push(sample),
            Err(failure) => failures.push(failure),
        }
    }
    Acquired {
        samples,
        failures,
        ms_per_image,
    }
}

#[cfg(test)]
mod tests;
