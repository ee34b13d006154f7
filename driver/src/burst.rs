//! What to photograph under which light, and the photographs.
//!
//! A burst is planned by the host and played by the reader. The driver knows lights and LEDs; what
//! a palm looks like under them is not its business.

use crate::Wiped;
use std::fmt::Debug;

use crate::limits::{
    EXPOSURE_US_MAX, EXPOSURE_US_MIN, FRAME_PIXELS_MAX, FRAME_SIDE_MAX, SHOTS_MAX,
};

/// All eight LEDs of a bank.
pub const LEDS_ALL: u8 = 0xff;
/// Exposure of every shot of [`BurstPlan::coded`], in microseconds: short enough that a hand held
/// over a reader does not smear. A reader under other optics gets a plan of its own.
pub const CODED_EXPOSURE_US: u32 = 4_000;

/// Which LED bank lights a shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Light {
    /// No LED: what the room gives. Subtracted from the others.
    Ambient,
    /// Near infrared, 850 nm or 940 nm as the reader says.
    Nir,
    /// Visible white.
    Visible,
}

/// One exposure of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shot {
    /// Which bank is lit.
    pub light: Light,
    /// Which LEDs of that bank are on, bit 0 first, clockwise from the cable. 0 for ambient.
    pub led_mask: u8,
    /// Exposure time in microseconds.
    pub exposure_us: u32,
}

/// A plan that no reader could play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The number of shots is 0 or more than [`SHOTS_MAX`]. Remedy: split the burst.
    #[error("a burst has 1 to 8 shots, this one has {0}: split it")]
    Count(usize),
    /// A shot's exposure is out of range. Remedy: choose 10 to 100,000 microseconds.
    #[error("shot {index}: exposure {exposure_us} us is outside 10..=100000 us")]
    Exposure {
        /// Which shot, from 0.
        index: usize,
        /// What was asked.
        exposure_us: u32,
    },
    /// Ambient with LEDs on, or a lit shot with none. Remedy: make light and mask agree.
    #[error("shot {index}: LED mask {led_mask:#04x} contradicts its light")]
    Mask {
        /// Which shot, from 0.
        index: usize,
        /// What was asked.
        led_mask: u8,
    },
}

/// One to eight shots that a reader can play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurstPlan {
    shots: Vec<Shot>,
}

impl BurstPlan {
    /// Checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] names the shot and the field.
    pub fn new(shots: Vec<Shot>) -> Result<Self, PlanError> {
        if shots.is_empty() || shots.len() > SHOTS_MAX {
            return Err(PlanError::Count(shots.len()));
        }
        for (index, shot) in shots.iter().enumerate() {
            if !(EXPOSURE_US_MIN..=EXPOSURE_US_MAX).contains(&shot.exposure_us) {
                return Err(PlanError::Exposure {
                    index,
                    exposure_us: shot.exposure_us,
                });
            }
            if (shot.light == Light::Ambient) != (shot.led_mask == 0) {
                return Err(PlanError::Mask {
                    index,
                    led_mask: shot.led_mask,
                });
            }
        }
        Ok(Self { shots })
    }

    /// The burst of a payment: ambient, NIR with all LEDs, visible with all LEDs, and two NIR
    /// shots under LED masks drawn from `random` (eight bytes of the caller's entropy).
    ///
    /// The two masks differ and each has four of eight LEDs on, so that they are equally bright
    /// and only their shading tells them apart: 70 x 69 = 4,830 codes a replayed film must guess.
    #[must_use]
    pub fn coded(random: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = random;
        let balanced: Vec<u8> = (0..=u8::MAX)
            .filter(|mask| mask.count_ones() == 4)
            .collect();
        let first = pick(&balanced, u32::from_le_bytes([a, b, c, d]));
        let others: Vec<u8> = balanced.into_iter().filter(|mask| *mask != first).collect();
        let second = pick(&others, u32::from_le_bytes([e, f, g, h]));
        let shot = |light, led_mask| Shot {
            light,
            led_mask,
            exposure_us: CODED_EXPOSURE_US,
        };
        Self {
            shots: vec![
                shot(Light::Ambient, 0),
                shot(Light::Nir, LEDS_ALL),
                shot(Light::Visible, LEDS_ALL),
                shot(Light::Nir, first),
                shot(Light::Nir, second),
            ],
        }
    }

    /// The shots, in the order they are taken.
    #[must_use]
    pub fn shots(&self) -> &[Shot] {
        &self.shots
    }
}

/// The remainder's bias is below 2^-25 and does not matter for a code drawn anew each time.
fn pick(masks: &[u8], random: u32) -> u8 {
    let index = usize::try_from(random).unwrap_or(usize::MAX) % masks.len().max(1);
    masks.get(index).copied().unwrap_or(0x55)
}

/// A frame whose sizes contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{pixels} pixels do not make a frame of {width} x {height} (sides 1..=8192, at most 4 MiB)"
)]
pub struct FrameSizeError {
    /// Columns claimed.
    pub width: u32,
    /// Rows claimed.
    pub height: u32,
    /// Bytes given.
    pub pixels: usize,
}

/// One photograph: 8-bit grey, row by row from the top left. Wiped from memory on drop.
pub struct Frame {
    shot: Shot,
    width: u32,
    height: u32,
    /// The pixels lie behind `skip` bytes of wire header, so that no copy is made of them.
    bytes: Wiped,
    skip: usize,
}

impl Frame {
    /// A frame from `width * height` grey bytes.
    ///
    /// # Errors
    /// [`FrameSizeError`] when the sizes do not agree or exceed the limits.
    pub fn new(
        shot: Shot,
        width: u32,
        height: u32,
        pixels: Vec<u8>,
    ) -> Result<Self, FrameSizeError> {
        Self::behind_header(shot, (width, height), Wiped::from(pixels), 0)
    }

    pub(crate) fn behind_header(
        shot: Shot,
        (width, height): (u32, u32),
        bytes: Wiped,
        skip: usize,
    ) -> Result<Self, FrameSizeError> {
        let pixels = bytes.len().saturating_sub(skip);
        if frame_len(width, height) == Some(pixels) {
            Ok(Self {
                shot,
                width,
                height,
                bytes,
                skip,
            })
        } else {
            Err(FrameSizeError {
                width,
                height,
                pixels,
            })
        }
    }

    /// The shot it answers.
    #[must_use]
    pub fn shot(&self) -> Shot {
        self.shot
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height` bytes, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or_default()
    }
}

impl Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Frame({} x {}, {:?})",
            self.width, self.height, self.shot.light
        )
    }
}

/// Bytes of a frame, `None` when a side or the whole is out of bounds.
pub(crate) fn frame_len(width: u32, height: u32) -> Option<usize> {
    let sides = 1..=FRAME_SIDE_MAX;
    if !sides.contains(&width) || !sides.contains(&height) {
        return None;
    }
    let len = usize::try_from(width)
        .ok()?
        .checked_mul(usize::try_from(height).ok()?)?;
    (len <= FRAME_PIXELS_MAX).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coded_masks_are_balanced_and_differ_whatever_the_random_bytes() {
        for seed in 0..=u8::MAX {
            let plan = BurstPlan::coded([seed; 8]);
            let [_, _, _, first, second] = plan.shots() else {
                panic!("five shots")
            };
            assert_eq!(
                (first.led_mask.count_ones(), second.led_mask.count_ones()),
                (4, 4)
            );
            assert_ne!(first.led_mask, second.led_mask);
            assert_eq!(BurstPlan::new(plan.shots().to_vec()), Ok(plan.clone()));
        }
    }

    #[test]
    fn impossible_plans_are_refused_by_field() {
        let shot = Shot {
            light: Light::Nir,
            led_mask: 1,
            exposure_us: 100,
        };
        assert_eq!(BurstPlan::new(vec![]), Err(PlanError::Count(0)));
        assert_eq!(BurstPlan::new(vec![shot; 9]), Err(PlanError::Count(9)));
        let long = Shot {
            exposure_us: 100_001,
            ..shot
        };
        let refused = BurstPlan::new(vec![shot, long]);
        assert_eq!(
            refused,
            Err(PlanError::Exposure {
                index: 1,
                exposure_us: 100_001
            })
        );
        let dark = Shot {
            led_mask: 0,
            ..shot
        };
        assert_eq!(
            BurstPlan::new(vec![dark]),
            Err(PlanError::Mask {
                index: 0,
                led_mask: 0
            })
        );
        let lit = Shot {
            light: Light::Ambient,
            ..shot
        };
        assert_eq!(
            BurstPlan::new(vec![lit]),
            Err(PlanError::Mask {
                index: 0,
                led_mask: 1
            })
        );
    }

    #[test]
    fn frame_debug_shows_no_pixel() {
        let shot = Shot {
            light: Light::Nir,
            led_mask: 1,
            exposure_us: 100,
        };
        let frame = Frame::new(shot, 2, 1, vec![201, 202]).unwrap();
        assert_eq!(format!("{frame:?}"), "Frame(2 x 1, Nir)");
        assert_eq!(frame.pixels(), [201, 202]);
        assert!(Frame::new(shot, 2, 2, vec![0; 3]).is_err());
        assert!(Frame::new(shot, 0, 0, vec![]).is_err());
        assert!(Frame::new(shot, 8192, 8192, vec![]).is_err());
    }
}
