//! What is particular about a camera, by USB id: a TOML file, and the few that ship with the driver.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::burst::Light;
use crate::limits::{QUIRKS_LEN_MAX, XU_LEN_MAX};

/// Those that ship with the driver. From public reports, tried on none of these cameras by us; each says where from.
const SHIPPED: &str = include_str!("quirks.toml");

/// Cameras by USB id.
#[derive(Debug, Clone, Default)]
pub struct Quirks(BTreeMap<(u16, u16), Quirk>);

/// What is particular about one camera.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quirk {
    /// Which camera, for people.
    #[serde(default)]
    pub name: String,
    /// What lights its pictures.
    #[serde(default)]
    pub light: CameraLight,
    /// V4L2 formats, best first; those not named are not used. Empty: GREY, Y16, YUYV, MJPG.
    #[serde(default)]
    pub formats: Vec<String>,
    /// Columns and rows to ask for.
    pub size: Option<(u32, u32)>,
    /// Bits of a Y16 pixel that count.
    #[serde(default = "sixteen")]
    pub bits: u8,
    /// Exposure in microseconds; 0 leaves it to the camera.
    #[serde(default)]
    pub exposure_us: u32,
    /// How its lamp is switched.
    pub lamp: Option<Lamp>,
    /// Frames to pass over after the lamp has changed.
    #[serde(default = "three")]
    pub settle_frames: u32,
}

impl Default for Quirk {
    fn default() -> Self {
        Self {
            name: String::new(),
            light: CameraLight::default(),
            formats: Vec::new(),
            size: None,
            bits: sixteen(),
            exposure_us: 0,
            lamp: None,
            settle_frames: three(),
        }
    }
}

/// What lights a camera's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraLight {
    /// Its own near-infrared lamp.
    Nir,
    /// The room, or a white lamp.
    #[default]
    Visible,
}

impl From<CameraLight> for Light {
    fn from(light: CameraLight) -> Self {
        match light {
            CameraLight::Nir => Self::Nir,
            CameraLight::Visible => Self::Visible,
        }
    }
}

/// How a lamp is switched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lamp {
    /// By a V4L2 control, at any time: pictures are taken without and with the lamp.
    Control(ControlLamp),
    /// By a control of a UVC extension unit, once, when the camera is opened.
    Unit(UnitLamp),
}

/// A lamp behind a V4L2 control.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlLamp {
    /// The control's name, as `v4l2-ctl --list-ctrls` prints it without underscores.
    pub name: String,
    /// Its value for on.
    pub on: i32,
    /// Its value for off.
    pub off: i32,
}

/// A lamp behind a control of a UVC extension unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitLamp {
    /// Number of the video control interface.
    #[serde(default)]
    pub interface: u8,
    /// `bUnitID`.
    pub unit: u8,
    /// The control's selector.
    pub selector: u8,
    /// What SET_CUR sends to switch it on.
    pub on: Vec<u8>,
}

fn sixteen() -> u8 {
    16
}

fn three() -> u32 {
    3
}

/// A quirk file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuirkError {
    /// Longer than any such file. Remedy: give another file.
    #[error("longer than 256 KiB")]
    TooLong,
    /// Not TOML, or a key missing or unknown. Remedy: as the text says.
    #[error("{0}. See driver/src/camera/quirks.toml for every key")]
    Shape(String),
    /// A camera's heading is no USB id. Remedy: write `["046d:085e"]`.
    #[error("{0:?} is no USB id: write four hexadecimal digits, a colon, four more")]
    Id(String),
    /// A value that no camera takes. Remedy: as the text says.
    #[error("{id}: {remedy}")]
    Value {
        /// Which camera.
        id: String,
        /// What to write.
        remedy: &'static str,
    },
}

impl Quirks {
    /// Those that ship with the driver.
    #[must_use]
    pub fn shipped() -> Self {
        // A test reads the same text.
        Self::parse(SHIPPED).unwrap_or_default()
    }

    /// Reads a quirk file.
    ///
    /// # Errors
    /// [`QuirkError`] says which camera and what to write.
    pub fn parse(text: &str) -> Result<Self, QuirkError> {
        if text.len() > QUIRKS_LEN_MAX {
            return Err(QuirkError::TooLong);
        }
        let cameras: BTreeMap<String, Quirk> = toml::from_str(text)
            .map_err(|error| QuirkError::Shape(error.to_string().trim_end().replace('\n', " ")))?;
        let parsed = cameras.into_iter().map(|(id, quirk)| {
            let key = usb_id(&id).ok_or_else(|| QuirkError::Id(id.clone()))?;
            check(&quirk).map_err(|remedy| QuirkError::Value { id, remedy })?;
            Ok((key, quirk))
        });
        Ok(Self(parsed.collect::<Result<_, QuirkError>>()?))
    }

    /// Adds another file's cameras; they win over those known before.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// What is known of the camera with this id.
    #[must_use]
    pub fn of(&self, id: (u16, u16)) -> Option<&Quirk> {
        self.0.get(&id)
    }
}

fn check(quirk: &Quirk) -> Result<(), &'static str> {
    if !(9..=16).contains(&quirk.bits) {
        return Err("bits: write 9 to 16");
    }
    if quirk.exposure_us > 1_000_000 {
        return Err("exposure_us: write at most 1000000");
    }
    if quirk.settle_frames > 60 {
        return Err("settle_frames: write at most 60");
    }
    match &quirk.lamp {
        Some(Lamp::Unit(unit)) if unit.on.is_empty() || unit.on.len() > XU_LEN_MAX => {
            Err("lamp.unit.on: write 1 to 64 bytes")
        }
        Some(Lamp::Control(_) | Lamp::Unit(_)) | None => Ok(()),
    }
}

/// `046d:085e`.
pub(crate) fn usb_id(text: &str) -> Option<(u16, u16)> {
    let (vendor, product) = text.split_once(':')?;
    let number = |text: &str| {
        let is_hex = text.len() == 4 && text.chars().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(text, 16).ok()).flatten()
    };
    Some((number(vendor)?, number(product)?))
}

/// Reads arbitrary bytes as a quirk file; must not panic.
#[doc(hidden)]
pub fn fuzz_quirks(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(Quirks::parse(text));
    }
}
