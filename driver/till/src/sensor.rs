//! What the emulated reader sees: synthetic palms and picture files, in the frame of the real reader.
//!
//! A palm is rendered anew for each capture, in a pose drawn from the capture's seed. A picture file is laid into the
//! frame whole: turned by a quarter when it then fills more of it (turned, never mirrored: a mirrored left hand is a
//! right hand), scaled, and its ground continued from its edges. The reader isolates a hand by subtracting the ambient
//! shot from the lit ones. A photograph cannot be taken apart into hand and room, so its ambient shot is a dark frame
//! with the sensor's noise, and flash minus ambient gives the picture back. It looks alike under every light and
//! follows no code: a till takes it for a hand only where its configuration has `reader.pictures`.
//!
//! Developers' and tests' work only: no till with `kind = "usb"` runs any of this.

use std::path::Path;

use palm_driver::{BurstPlan, Exposure, Light, Sensor, Subject, picture};
use palm_models::{
    burst,
    synth::{self, FRAME_HEIGHT, FRAME_WIDTH, Identity, Pose, Species},
    template::Hand,
};

/// The camera of the emulated reader.
#[derive(Debug, Default)]
pub struct SyntheticSensor {
    /// Drawing a hand costs more than photographing it, and a person comes more than once.
    last: Option<Identity>,
}

impl Sensor for SyntheticSensor {
    fn expose(
        &mut self,
        subject: &Subject,
        plan: &BurstPlan,
        capture_seed: u64,
    ) -> Result<Vec<Exposure>, String> {
        match subject {
            Subject::Nothing => Ok(empty(plan, capture_seed)),
            Subject::Palm { identity, left } => {
                let hand = if *left { Hand::Left } else { Hand::Right };
                let identity = self.identity(*identity, hand);
                Ok(palm(identity, false, plan, capture_seed))
            }
            Subject::Print { identity } => {
                let identity = self.identity(*identity, Hand::Right);
                Ok(palm(identity, true, plan, capture_seed))
            }
            Subject::Image(path) => photograph(path, plan, capture_seed),
        }
    }
}

impl SyntheticSensor {
    fn identity(&mut self, number: u64, hand: Hand) -> &Identity {
        let kept = self.last.take();
        let same = |known: &Identity| known.number() == number && known.hand() == hand;
        let drawn = kept
            .filter(same)
            .unwrap_or_else(|| Identity::new(number, hand));
        self.last.insert(drawn)
    }
}

fn palm(identity: &Identity, print: bool, plan: &BurstPlan, seed: u64) -> Vec<Exposure> {
    let shots: Vec<_> = plan
        .shots()
        .iter()
        .map(|shot| (light_of(shot.light), shot.led_mask))
        .collect();
    let pose = Pose::sampled(seed);
    let burst = if print {
        synth::attack(Species::FlatPrint, identity, identity, &pose, &shots, seed)
    } else {
        synth::burst(identity, &pose, &shots, seed)
    };
    burst
        .shots
        .iter()
        .map(|shot| exposure(shot.image.pixels().to_vec()))
        .collect()
}

fn empty(plan: &BurstPlan, seed: u64) -> Vec<Exposure> {
    let frame = |(index, shot): (u64, &palm_driver::Shot)| {
        let image = synth::empty_frame(light_of(shot.light), seed.wrapping_add(index));
        exposure(image.pixels().to_vec())
    };
    (0..).zip(plan.shots()).map(frame).collect()
}

fn photograph(path: &Path, plan: &BurstPlan, seed: u64) -> Result<Vec<Exposure>, String> {
    let picture = picture::read_grey(path).map_err(|error| error.to_string())?;
    let scene = scene(&Grey::of(picture)?);
    let mut noise = Noise(seed | 1);
    Ok(plan
        .shots()
        .iter()
        .map(|shot| match shot.light {
            Light::Ambient => exposure((0..scene.len()).map(|_| noise.dark()).collect()),
            Light::Nir | Light::Visible => exposure(scene.clone()),
        })
        .collect())
}

fn exposure(pixels: Vec<u8>) -> Exposure {
    let side = |side: usize| u32::try_from(side).expect("invariant: the frame is 720 x 1024");
    Exposure {
        width: side(FRAME_WIDTH),
        height: side(FRAME_HEIGHT),
        pixels,
    }
}

/// The reader's light, in the extractor's words.
#[must_use]
pub fn light_of(light: Light) -> burst::Light {
    match light {
        Light::Ambient => burst::Light::Ambient,
        Light::Nir => burst::Light::Nir,
        Light::Visible => burst::Light::Visible,
    }
}

/// A decoded picture.
struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Grey {
    fn of(picture: picture::Picture) -> Result<Self, String> {
        let side = |side: u32| usize::try_from(side).map_err(|_| "picture too large".to_owned());
        let (width, height) = (side(picture.width)?, side(picture.height)?);
        Ok(Self {
            width,
            height,
            pixels: picture.pixels,
        })
    }

    /// A quarter turn clockwise.
    fn turned(&self) -> Self {
        let (width, height) = (self.height, self.width);
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| self.pixels[(self.height - 1 - x) * self.width + y])
            .collect();
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Mean of the source pixels under one target pixel; beyond the edge the edge goes on.
    fn mean(&self, columns: (isize, isize), rows: (isize, isize)) -> u8 {
        let (left, right) = (inside(columns.0, self.width), inside(columns.1, self.width));
        let (top, bottom) = (inside(rows.0, self.height), inside(rows.1, self.height));
        let (mut sum, mut count) = (0_usize, 0_usize);
        for y in top..=bottom {
            for value in &self.pixels[y * self.width + left..=y * self.width + right] {
                sum += usize::from(*value);
                count += 1;
            }
        }
        u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
    }
}

fn inside(at: isize, length: usize) -> usize {
    usize::try_from(at).unwrap_or(0).min(length - 1)
}

/// The whole picture in the middle of the reader's frame.
fn scene(picture: &Grey) -> Vec<u8> {
    let lies = scale(picture.height, picture.width) > scale(picture.width, picture.height);
    if lies {
        fitted(&picture.turned())
    } else {
        fitted(picture)
    }
}

fn fitted(picture: &Grey) -> Vec<u8> {
    let scale = scale(picture.width, picture.height);
    // Which source pixels lie under one target pixel.
    let source = |target: usize, target_length: usize, length: usize| {
        let shown = (length * scale) >> 16;
        let corner = signed(target) - (signed(target_length) - signed(shown)) / 2;
        let scale = signed(scale);
        let from = (corner << 16).div_euclid(scale);
        (from, (((corner + 1) << 16).div_euclid(scale) - 1).max(from))
    };
    let columns: Vec<_> = (0..FRAME_WIDTH)
        .map(|x| source(x, FRAME_WIDTH, picture.width))
        .collect();
    (0..FRAME_HEIGHT)
        .map(|y| source(y, FRAME_HEIGHT, picture.height))
        .flat_map(|rows| {
            columns
                .iter()
                .map(move |columns| picture.mean(*columns, rows))
        })
        .collect()
}

/// Target pixels per 65,536 source pixels, so that the whole picture fits.
fn scale(width: usize, height: usize) -> usize {
    ((FRAME_WIDTH << 16) / width).min((FRAME_HEIGHT << 16) / height)
}

fn signed(length: usize) -> isize {
    isize::try_from(length).expect("invariant: no side is over 8192 pixels")
}

/// A sensor's noise in the dark: xorshift, because it must only be cheap and repeatable.
struct Noise(u64);

impl Noise {
    fn dark(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u8::try_from((self.0 >> 32) & 3).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
