//! What the emulated lens shows here: bytes that both sides can compute, at the speed of a copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::ensure;
use palm_driver::{BurstPlan, Exposure, Frame, Sensor, Shot, Subject};

/// Noise that every picture is cut from.
const REEL: usize = (4 << 20) + (64 << 10);

/// A camera whose pictures are cut from one reel of noise, at a place that person and shot say. Its size can be changed
/// from outside.
#[derive(Debug, Clone)]
pub(crate) struct Film {
    reel: Arc<[u8]>,
    size: Size,
}

/// Columns and rows of the next burst.
#[derive(Debug, Clone)]
pub(crate) struct Size(Arc<[AtomicU32; 2]>);

impl Size {
    pub(crate) fn set(&self, width: u32, height: u32) {
        let [columns, rows] = &*self.0;
        columns.store(width, Ordering::SeqCst);
        rows.store(height, Ordering::SeqCst);
    }

    fn now(&self) -> (u32, u32) {
        let [columns, rows] = &*self.0;
        (columns.load(Ordering::SeqCst), rows.load(Ordering::SeqCst))
    }
}

impl Film {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut reel = Vec::with_capacity(REEL);
        while reel.len() < REEL {
            // xorshift64: noise without a pattern at any packet size.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            reel.extend(state.to_le_bytes());
        }
        let size = Size(Arc::new([AtomicU32::new(width), AtomicU32::new(height)]));
        Self {
            reel: Arc::from(reel),
            size,
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.size.clone()
    }

    fn cut(&self, identity: u64, shot: Shot, length: usize) -> &[u8] {
        let at = identity.wrapping_mul(4099) ^ (u64::from(shot.led_mask) << 3) ^ light(shot);
        let at = usize::try_from(at % (64 << 10)).unwrap_or_default();
        self.reel.get(at..at + length).unwrap_or_default()
    }

    /// Whether these are the frames of this person under this plan, byte for byte.
    pub(crate) fn check(
        &self,
        identity: u64,
        plan: &BurstPlan,
        frames: &[Frame],
    ) -> anyhow::Result<()> {
        ensure!(
            frames.len() == plan.shots().len(),
            "{} frames",
            frames.len()
        );
        let (width, height) = self.size.now();
        for (shot, frame) in plan.shots().iter().zip(frames) {
            ensure!(frame.shot() == *shot, "{:?} answers {shot:?}", frame.shot());
            ensure!(
                (frame.width(), frame.height()) == (width, height),
                "{frame:?} is not {width} x {height}"
            );
            let expected = self.cut(identity, *shot, frame.pixels().len());
            ensure!(frame.pixels() == expected, "{frame:?} has other bytes");
        }
        Ok(())
    }
}

fn light(shot: Shot) -> u64 {
    match shot.light {
        palm_driver::Light::Ambient => 0,
        palm_driver::Light::Nir => 0x1111,
        palm_driver::Light::Visible => 0x2222,
    }
}

impl Sensor for Film {
    fn expose(
        &mut self,
        subject: &Subject,
        plan: &BurstPlan,
        _capture_seed: u64,
    ) -> Result<Vec<Exposure>, String> {
        let identity = match subject {
            Subject::Palm { identity, .. } | Subject::Print { identity } => *identity,
            Subject::Image(_) | Subject::Nothing => 0,
        };
        let (width, height) = self.size.now();
        let length = usize::try_from(width * height).map_err(|error| error.to_string())?;
        let exposure = |shot: &Shot| Exposure {
            width,
            height,
            pixels: self.cut(identity, *shot, length).to_vec(),
        };
        Ok(plan.shots().iter().map(exposure).collect())
    }
}
