//! What one capture gives: a few images of the same hand under different light.

use crate::image::GreyImage;

/// The light that was on while a frame was exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Light {
    /// None of the reader's own: what the room gives. Flash minus ambient isolates the hand.
    Ambient,
    /// Near-infrared LEDs, 850 nm: creases and veins.
    Nir,
    /// White LEDs: creases and skin.
    Visible,
}

/// All eight LEDs of a light.
pub const LEDS_ALL: u8 = 0xff;

/// One image and the light that it was taken under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// The reader's light while this frame was exposed.
    pub light: Light,
    /// Which of that light's eight LEDs were on, bit 0 first, clockwise from the cable. A camera that has no such LEDs
    /// says all.
    pub led_mask: u8,
    /// The frame.
    pub image: GreyImage,
}

/// The shots of one capture in the order in which they were taken; all of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// One shot or more.
    pub shots: Vec<Shot>,
    /// How far each pixel is from grey, where the camera sees colours: the largest less the smallest of red, green and
    /// blue. Skin is coloured, a shadow on white ground is not.
    pub chroma: Option<GreyImage>,
}

impl Burst {
    /// A capture of one image, as a plain camera or a file gives it.
    #[must_use]
    pub fn single(light: Light, image: GreyImage) -> Self {
        Self {
            shots: vec![Shot {
                light,
                led_mask: LEDS_ALL,
                image,
            }],
            chroma: None,
        }
    }

    /// The first image taken under `light`, if there is one.
    #[must_use]
    pub fn image(&self, light: Light) -> Option<&GreyImage> {
        self.shots
            .iter()
            .find(|shot| shot.light == light)
            .map(|shot| &shot.image)
    }

    /// The first image taken under all LEDs of `light`, if there is one.
    #[must_use]
    pub fn fully_lit(&self, light: Light) -> Option<&GreyImage> {
        self.shots
            .iter()
            .find(|shot| shot.light == light && shot.led_mask == LEDS_ALL)
            .map(|shot| &shot.image)
    }

    /// The near-infrared shots under some of the LEDs: what tells which code the light followed.
    pub fn coded(&self) -> impl Iterator<Item = &Shot> {
        self.shots
            .iter()
            .filter(|shot| shot.light == Light::Nir && !matches!(shot.led_mask, 0 | LEDS_ALL))
    }
}
