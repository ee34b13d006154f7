//! What an emulated lens sees.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::burst::{BurstPlan, Light, Shot};
use crate::limits::{FRAME_PIXELS_MAX, FRAME_SIDE_MAX};
use crate::picture;

/// What is under the lens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A picture file.
    Image(PathBuf),
    /// The background.
    Nothing,
    /// A palm of a made-up person.
    Palm {
        /// Which person.
        identity: u64,
        /// Left hand.
        left: bool,
    },
    /// A picture of the right palm of a made-up person, on paper: an attack, which a till is to refuse.
    Print {
        /// Whose palm.
        identity: u64,
    },
}

/// One photograph as the camera gives it: grey, `width * height` bytes, row by row.
#[derive(Clone)]
pub struct Exposure {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height` bytes.
    pub pixels: Vec<u8>,
}

impl fmt::Debug for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exposure({} x {})", self.width, self.height)
    }
}

/// An emulated camera. [`TestPattern`] is the plain one; who can render palms brings another.
pub trait Sensor: Send {
    /// Photographs `subject` once for each shot of `plan`, in order. The whole burst at once, so
    /// that a renderer does its common work once. The same arguments give the same pictures;
    /// another `capture_seed` is another sample of the same subject.
    ///
    /// # Errors
    /// A text for the log; the reader then refuses the capture with `SENSOR_FAULT`.
    fn expose(
        &mut self,
        subject: &Subject,
        plan: &BurstPlan,
        capture_seed: u64,
    ) -> Result<Vec<Exposure>, String>;
}

/// A camera whose palms are gradients with the identity written into them: enough to follow bytes
/// through the driver, nothing that a matcher would know. Picture files it shows as they are.
#[derive(Debug, Clone)]
pub struct TestPattern {
    width: u32,
    height: u32,
}

impl TestPattern {
    /// A camera of this size, brought into the limits of a frame (1 to 8192 a side, 4 MiB).
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let width = width.clamp(1, FRAME_SIDE_MAX);
        let rows_max = u32::try_from(FRAME_PIXELS_MAX).unwrap_or(u32::MAX) / width;
        Self {
            width,
            height: height.clamp(1, rows_max.min(FRAME_SIDE_MAX)),
        }
    }

    fn pattern(&self, seed: u64, shot: Shot) -> Exposure {
        let base = seed ^ light_key(shot.light);
        let pixels = (0..self.height).flat_map(|y| {
            (0..self.width).map(move |x| {
                let at = u64::from(x).wrapping_mul(3) ^ u64::from(y).wrapping_mul(5);
                let value = at.wrapping_add(base).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                lit(value.to_le_bytes()[7], shot.led_mask, x, self.width)
            })
        });
        Exposure {
            width: self.width,
            height: self.height,
            pixels: pixels.collect(),
        }
    }
}

impl Sensor for TestPattern {
    fn expose(
        &mut self,
        subject: &Subject,
        plan: &BurstPlan,
        capture_seed: u64,
    ) -> Result<Vec<Exposure>, String> {
        let seed = match subject {
            Subject::Image(path) => return expose_picture(path, plan),
            Subject::Nothing => 0,
            Subject::Palm { identity, left } => {
                identity.wrapping_mul(2).wrapping_add(u64::from(*left)) ^ (capture_seed << 24)
            }
            Subject::Print { identity } => !identity ^ (capture_seed << 24),
        };
        Ok(plan
            .shots()
            .iter()
            .map(|shot| self.pattern(seed, *shot))
            .collect())
    }
}

/// Shows a picture file to the lens as if it had been there: as it is under light, and dark with
/// the room's eighth under none; LED masks shade it from their side.
///
/// # Errors
/// The text of [`picture::PictureError`].
pub fn expose_picture(path: &Path, plan: &BurstPlan) -> Result<Vec<Exposure>, String> {
    let picture = picture::read_grey(path).map_err(|error| error.to_string())?;
    let width = picture.width;
    let columns = usize::try_from(width).unwrap_or(usize::MAX).max(1);
    let shade = |shot: &Shot| Exposure {
        width,
        height: picture.height,
        pixels: picture
            .pixels
            .chunks(columns)
            .flat_map(|row| (0..).zip(row).map(|(x, grey)| (x, *grey)))
            .map(|(x, grey)| lit(grey, shot.led_mask, x, width))
            .collect(),
    };
    Ok(plan.shots().iter().map(shade).collect())
}

/// Grey as it looks under these LEDs: the full value under all of them, an eighth under none, and
/// brighter towards the lit side. LEDs 0 to 3 sit on the right of the lens, 4 to 7 on the left.
fn lit(grey: u8, led_mask: u8, x: u32, width: u32) -> u8 {
    if led_mask == u8::MAX {
        return grey;
    }
    let right = (led_mask & 0x0f).count_ones() * x;
    let left = (led_mask & 0xf0).count_ones() * width.saturating_sub(x);
    // At most 4 a side, so at most 4 * width together.
    let bright = u64::from(right + left) * 7 / (u64::from(width.max(1)) * 4) + 1;
    u8::try_from(u64::from(grey) * bright.min(8) / 8).unwrap_or(u8::MAX)
}

fn light_key(light: Light) -> u64 {
    match light {
        Light::Ambient => 0,
        Light::Nir => 0x5151,
        Light::Visible => 0xa2a2,
    }
}
