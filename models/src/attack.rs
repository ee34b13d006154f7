//! Whether a capture shows a living hand or something made to pass for one (presentation attack detection,
//! ISO/IEC 30107-3), by physics that a burst records.
//!
//! A reader with coded LEDs is what it takes: a burst of room, near infrared, visible light and some of the LEDs. From
//! any other camera nothing is tested, and [`Assessment::NotTested`] says so. Each cue has a limit and a name for the
//! operator; besides, a one-class score says how far all cues together lie from what genuine captures give. Limits and
//! score were set on genuine drawn captures only.
//!
//! What it cannot see: an attack that has the victim's veins in an ink that is dark in near infrared only. Figures on
//! drawn attacks describe the drawings; no real instrument was tried. Start reading at `assess`.

mod bands;
mod cells;
mod light;
mod pattern;

use crate::burst::{Burst, Light};
use crate::image::GreyImage;
use crate::params::{
    ATTACK_BRIGHTNESS_ERROR_MAX, ATTACK_CODE_ERROR_MAX, ATTACK_GLARE_MAX, ATTACK_PATTERN_MAX,
    ATTACK_RELIEF_MIN, ATTACK_SELF_LIT_MAX, ATTACK_UNLIKE_MAX, ATTACK_VEINS_MIN, GENUINE_MEAN,
    GENUINE_WHITENING,
};
use crate::region::{Region, Square};
use crate::segment::Silhouette;

/// Number of cues.
pub const CUES: usize = 10;

/// What was measured; each with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cues {
    /// How far shading is from what the drawn LED code asks for: root mean square, as a share of the full light.
    pub code_error: f32,
    /// How far the brightness of a flash is from what its number of LEDs asks for, as a share of the full light.
    pub brightness_error: f32,
    /// How fast the shading changes from LED to LED, 1 as the inverse square says for a hand of that size.
    pub falloff: f32,
    /// How round what was lit is, 1 for fingers and a palm with rounded edges, 0 for a sheet.
    pub relief: f32,
    /// The room's share of the light on the hand; a screen shines by itself.
    pub self_lit: f32,
    /// Contrast in near infrared that visible light does not have, at the width of veins.
    pub veins: f32,
    /// Correlation of near infrared and visible detail, -1 to 1: creases are in both.
    pub agreement: f32,
    /// Natural logarithm of broad over fine contrast in visible light.
    pub breadth: f32,
    /// How much brighter than their surroundings the brightest details are.
    pub glare: f32,
    /// Strongest regular pattern of fine dots: logarithm of its power over that of its neighbours.
    pub pattern: f32,
}

impl Cues {
    /// The cues brought to scales on which genuine captures scatter about evenly.
    #[must_use]
    pub fn scaled(&self) -> [f32; CUES] {
        let ln = |value: f32| value.max(1e-4).ln();
        [
            ln(self.code_error),
            ln(self.brightness_error + 0.01),
            self.falloff,
            self.relief,
            ln(self.self_lit),
            ln(self.veins),
            self.agreement.clamp(-0.999, 0.999).atanh(),
            self.breadth,
            ln(self.glare),
            self.pattern,
        ]
    }

    /// The one-class score: Mahalanobis distance of the cues from genuine ones, over the root of their number; about 1
    /// for genuine captures.
    #[must_use]
    pub fn unlikeness(&self) -> f32 {
        let cues = self.scaled();
        let off: [f32; CUES] = std::array::from_fn(|n| cues[n] - GENUINE_MEAN[n]);
        let white = GENUINE_WHITENING.map(|row| row.iter().zip(off).map(|(w, off)| w * off).sum());
        let sum: f32 = white.map(|value: f32| value * value).iter().sum();
        (sum / CUES as f32).sqrt()
    }

    /// Why this is taken for an attack, if it is.
    #[must_use]
    pub fn suspicion(&self) -> Option<Suspicion> {
        let unlikeness = self.unlikeness();
        // A cue that is no number is suspect.
        let is_unlike = unlikeness.is_nan() || unlikeness > ATTACK_UNLIKE_MAX;
        let findings = [
            (self.self_lit > ATTACK_SELF_LIT_MAX, Suspicion::SelfLit),
            (
                self.code_error > ATTACK_CODE_ERROR_MAX,
                Suspicion::WrongCode,
            ),
            (
                self.brightness_error > ATTACK_BRIGHTNESS_ERROR_MAX,
                Suspicion::WrongCode,
            ),
            (self.veins < ATTACK_VEINS_MIN, Suspicion::NoVeins),
            (self.relief < ATTACK_RELIEF_MIN, Suspicion::Flat),
            (self.pattern > ATTACK_PATTERN_MAX, Suspicion::Pattern),
            (self.glare > ATTACK_GLARE_MAX, Suspicion::Overlay),
            (is_unlike, Suspicion::Unlike),
        ];
        let mut found = findings.into_iter().filter(|(found, _)| *found);
        found.next().map(|(_, suspicion)| suspicion)
    }
}

/// Why a capture is taken for an attack: for the operator only. Whoever stands at the counter is told one thing
/// whatever the reason, or an attacker would learn what to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// No relief: a print.
    Flat,
    /// Near infrared shows what visible light shows, and no veins: a print or a cast.
    NoVeins,
    /// Something brighter than skin lies on the palm.
    Overlay,
    /// Regular dots: a print or a screen.
    Pattern,
    /// It shines by itself: a screen.
    SelfLit,
    /// No cue alone, but all together are unlike a hand.
    Unlike,
    /// The light does not follow the code that was drawn for this capture: a recording.
    WrongCode,
}

impl Suspicion {
    /// A stable name for logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::NoVeins => "no_veins",
            Self::Overlay => "overlay",
            Self::Pattern => "pattern",
            Self::SelfLit => "self_lit",
            Self::Unlike => "unlike_a_hand",
            Self::WrongCode => "wrong_code",
        }
    }
}

/// What became of the test of one capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Assessment {
    /// The burst lacks a light that the test needs: nothing is known.
    NotTested,
    /// It was tested.
    Tested(Cues),
}

impl Assessment {
    /// Why this is taken for an attack, if it was tested and is.
    #[must_use]
    pub fn suspicion(&self) -> Option<Suspicion> {
        match self {
            Self::NotTested => None,
            Self::Tested(cues) => cues.suspicion(),
        }
    }
}

/// A burst with every light that the test needs, all of one size.
struct Lights<'a> {
    room: &'a GreyImage,
    nir: &'a GreyImage,
    visible: &'a GreyImage,
    /// Masks and images of the coded shots.
    coded: Vec<(u8, &'a GreyImage)>,
}

impl<'a> Lights<'a> {
    fn of(burst: &'a Burst) -> Option<Self> {
        let full = |light| burst.fully_lit(light);
        let (room, nir) = (burst.image(Light::Ambient)?, full(Light::Nir)?);
        let visible = full(Light::Visible)?;
        let coded: Vec<_> = burst
            .coded()
            .map(|shot| (shot.led_mask, &shot.image))
            .collect();
        let size = |image: &GreyImage| (image.width(), image.height());
        let alike = [room, visible]
            .into_iter()
            .chain(coded.iter().map(|(_, image)| *image))
            .all(|image| size(image) == size(nir));
        (alike && coded.len() >= 2).then_some(Self {
            room,
            nir,
            visible,
            coded,
        })
    }
}

/// Where the hand was found.
pub(crate) struct Found<'a> {
    pub(crate) silhouette: &'a Silhouette,
    /// Centre and radius of the palm, pixels of the burst's images.
    pub(crate) centre: (f32, f32),
    pub(crate) radius: f32,
    pub(crate) square: Square,
    /// The palm region in near infrared.
    pub(crate) region: &'a Region,
}

/// Tests a capture in which a hand was found.
pub(crate) fn assess(burst: &Burst, found: &Found<'_>) -> Assessment {
    let Some(lights) = Lights::of(burst) else {
        return Assessment::NotTested;
    };
    let light = light::measure(&lights, found);
    let bands = bands::measure(&lights, found);
    Assessment::Tested(Cues {
        code_error: light.code_error,
        brightness_error: light.brightness_error,
        falloff: light.falloff,
        relief: light.relief,
        self_lit: light.self_lit,
        veins: bands.veins,
        agreement: bands.agreement,
        breadth: bands.breadth,
        glare: bands.glare,
        pattern: pattern::strongest(lights.nir, found.centre),
    })
}

/// Cues in the middle of genuine ones.
#[cfg(test)]
pub(crate) fn genuine_middle() -> Cues {
    let middle = GENUINE_MEAN;
    Cues {
        code_error: middle[0].exp(),
        brightness_error: middle[1].exp() - 0.01,
        falloff: middle[2],
        relief: middle[3],
        self_lit: middle[4].exp(),
        veins: middle[5].exp(),
        agreement: middle[6].tanh(),
        breadth: middle[7],
        glare: middle[8].exp(),
        pattern: middle[9],
    }
}

#[cfg(test)]
mod tests;
