//! From a capture to a template, in one page of named stages.
//!
//! Each stage is a pure function from one intermediate to the next; none remembers anything. What it does not do:
//! decide whose palm it is. Start reading at [`extract`].

use std::fmt;

use crate::attack::{self, Assessment, Suspicion};
use crate::burst::{Burst, Light};
use crate::hand_shape::{self, Outline, Point};
use crate::image::GreyImage;
use crate::network::{self, Embedding};
use crate::params::{PROBE_WEIGHT, REFERENCE_WEIGHT, REGION_INPUT_MIN, SATURATED_LEVEL};
use crate::quality::{self, Measures, Quality};
use crate::region::{self, Region, Square};
use crate::segment::{self, Silhouette};
use crate::template::{Hand, SearchCode, Template};
use crate::{code, hand_shape::Shape};

/// What a capture gave.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// What enrolment keeps: its search code has [`REFERENCE_WEIGHT`] non-zero coordinates.
    pub reference: Template,
    /// What a payment searches with: [`PROBE_WEIGHT`] non-zero coordinates.
    pub probe: Template,
    /// What the search codes are made of: for measuring what they lose.
    pub embedding: Embedding,
    /// How good the sample is.
    pub quality: Quality,
    /// Whether it was tested that this is a living hand, and what was measured.
    pub attack: Assessment,
    /// Where the hand was, for a picture on the screen.
    pub outline: Outline,
}

/// Why a capture gives no template. Each is one thing that the customer can do about it, which [`fmt::Display`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// No palm lines where they should be: the back of a hand, or a glove.
    BackOfHand,
    /// Lines are washed out: the hand moves, or the lens is dirty.
    Blurred,
    /// Nothing in view, or nothing with fingers.
    NoHand,
    /// The palm is cut by the edge of the view.
    OffCentre,
    /// Something lies over the palm, or it is clenched.
    PartlyHidden,
    /// Fingers touch, so that the palm cannot be placed.
    SpreadFingers,
    /// Taken for an attack. What the customer is told does not depend on why.
    Suspected(Suspicion),
    /// The palm does not face the reader.
    Tilted,
    /// The palm is overexposed.
    TooBright,
    /// The hand fills the view.
    TooClose,
    /// The palm is underexposed.
    TooDark,
    /// The palm is too small to show its lines.
    TooFar,
}

impl Rejection {
    /// A stable name for hints and counters; one for every suspicion.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackOfHand => "back_of_hand",
            Self::Blurred => "blurred",
            Self::NoHand => "no_hand",
            Self::OffCentre => "off_centre",
            Self::PartlyHidden => "partly_hidden",
            Self::SpreadFingers => "spread_fingers",
            Self::Suspected(_) => "other_way",
            Self::Tilted => "tilted",
            Self::TooBright => "too_bright",
            Self::TooClose => "too_close",
            Self::TooDark => "too_dark",
            Self::TooFar => "too_far",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BackOfHand => "No palm lines are visible: turn your palm towards the reader.",
            Self::Blurred => "The picture is blurred: hold your hand still.",
            Self::NoHand => "No hand is in view: hold your open hand over the reader.",
            Self::OffCentre => "Part of your palm is out of view: move your hand to the middle.",
            Self::PartlyHidden => "Part of your palm is covered: open your hand and uncover it.",
            Self::SpreadFingers => "Your fingers touch: spread them a little.",
            Self::Suspected(_) => "That did not work: try again or pay another way.",
            Self::Tilted => "Your hand is tilted: hold it flat above the reader.",
            Self::TooBright => "The picture is too bright: move your hand away or shade it.",
            Self::TooClose => "Your hand is too close: move it away a little.",
            Self::TooDark => "The picture is too dark: bring your hand closer.",
            Self::TooFar => "Your hand is too far away: bring it closer.",
        })
    }
}

impl std::error::Error for Rejection {}

/// Sees the intermediate images, each by the name of its stage.
pub type Trace<'a> = &'a mut dyn FnMut(&'static str, &GreyImage);

/// Makes a template of a whole hand.
///
/// # Errors
/// [`Rejection`]: what to ask of the customer.
pub fn extract(burst: &Burst) -> Result<Extraction, Rejection> {
    extract_traced(burst, &mut |_, _| {})
}

/// [`extract`], with a sink for its intermediates: for a debugger's eyes; they are images of a palm.
///
/// # Errors
/// As [`extract`].
pub fn extract_traced(burst: &Burst, trace: Trace<'_>) -> Result<Extraction, Rejection> {
    let extraction = undecided(burst, trace)?;
    match extraction.attack.suspicion() {
        Some(suspicion) => Err(Rejection::Suspected(suspicion)),
        None => Ok(extraction),
    }
}

/// [`extract`] that refuses no attack: for measuring how well attacks are told, and for pictures that stand for hands.
///
/// # Errors
/// As [`extract`], but never [`Rejection::Suspected`].
pub fn extract_undecided(burst: &Burst) -> Result<Extraction, Rejection> {
    undecided(burst, &mut |_, _| {})
}

fn undecided(burst: &Burst, trace: Trace<'_>) -> Result<Extraction, Rejection> {
    let lit = lit_hand(burst).ok_or(Rejection::NoHand)?;
    trace("lit", &lit);
    let chroma = burst.chroma.as_ref();
    let (silhouette, shape) = match chroma.filter(|chroma| same_size(chroma, &lit)) {
        Some(chroma) => place(&lit, chroma, trace)
            .or_else(|by_colour| place(&lit, &lit, trace).map_err(|_| by_colour))?,
        None => place(&lit, &lit, trace)?,
    };
    let square = Square::below(&shape).scaled(silhouette.scale);
    let region = region::cut(&lit, square, |point| silhouette.holds(point));
    trace("region", &region.grey);
    let outline = outline(&shape, square, silhouette.scale);
    let found = attack::Found {
        silhouette: &silhouette,
        centre: outline.centre,
        radius: outline.radius,
        square,
        region: &region,
    };
    let attack = attack::assess(burst, &found);
    finish(&region, outline, attack)
}

/// Finds the hand in `lit` by what sets it off in `contrast`.
fn place(
    lit: &GreyImage,
    contrast: &GreyImage,
    trace: Trace<'_>,
) -> Result<(Silhouette, Shape), Rejection> {
    let silhouette = segment::segment(lit, contrast)?;
    trace("silhouette", &silhouette.mask);
    let shape = hand_shape::shape(&silhouette, trace)?;
    Ok((silhouette, shape))
}

/// Makes a template of an image that is a palm region already, fingers up, as public data sets have them; of any
/// size from 64 pixels a side.
///
/// # Errors
/// [`Rejection`]: which gate the region does not pass.
pub fn extract_region(image: &GreyImage, hand: Hand) -> Result<Extraction, Rejection> {
    if image.width().min(image.height()) < REGION_INPUT_MIN {
        return Err(Rejection::TooFar);
    }
    let region = region::whole(image, hand);
    finish(&region, whole_outline(image, hand), Assessment::NotTested)
}

/// Gates, codes and score of a region.
fn finish(region: &Region, outline: Outline, attack: Assessment) -> Result<Extraction, Rejection> {
    let measures = Measures::of(region);
    quality::gate(region, &measures)?;
    let normal = region::normalise(&region.grey);
    let code = code::orientations(&normal, &region.hand);
    let quality = quality::assess(region, &measures, &code)?;
    let embedding = network::embedding(&normal, &region.hand);
    let template = Template::orientation_only(outline.hand, quality.score, code);
    let coded = |weight| match SearchCode::strongest(embedding.components(), weight) {
        Ok(code) => Ok(template.clone().with_search(code)),
        // Nothing was seen that tells this palm from others.
        Err(_) => Err(Rejection::PartlyHidden),
    };
    Ok(Extraction {
        reference: coded(REFERENCE_WEIGHT)?,
        probe: coded(PROBE_WEIGHT)?,
        embedding,
        quality,
        attack,
        outline,
    })
}

/// The image that shows lines best, less what the room's light adds to it.
fn lit_hand(burst: &Burst) -> Option<GreyImage> {
    let lit = burst
        .image(Light::Nir)
        .or_else(|| burst.image(Light::Visible))
        .or_else(|| burst.image(Light::Ambient))?;
    let ambient = burst
        .image(Light::Ambient)
        .filter(|ambient| *ambient != lit);
    Some(match ambient.filter(|ambient| same_size(ambient, lit)) {
        Some(ambient) => without_room(lit, ambient),
        None => lit.clone(),
    })
}

/// A lit image less what the room adds to it; both of one size.
pub(crate) fn without_room(lit: &GreyImage, room: &GreyImage) -> GreyImage {
    let mut out = lit.clone();
    for (pixel, room) in out.pixels_mut().iter_mut().zip(room.pixels()) {
        // A saturated pixel stays one: what it lost cannot be told.
        if *pixel < SATURATED_LEVEL {
            *pixel = pixel.saturating_sub(*room);
        }
    }
    out
}

fn same_size(a: &GreyImage, b: &GreyImage) -> bool {
    (a.width(), a.height()) == (b.width(), b.height())
}

fn outline(shape: &Shape, square: Square, scale: f32) -> Outline {
    let grow = |(x, y): Point| ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5);
    Outline {
        centre: grow(shape.palm.centre),
        radius: shape.palm.radius * scale,
        valleys: [shape.valleys.index_middle, shape.valleys.ring_little].map(grow),
        region: square.corners(),
        hand: shape.hand,
    }
}

/// The outline of an image that is all region: its valleys are where they would have placed it.
fn whole_outline(image: &GreyImage, hand: Hand) -> Outline {
    let (right, down) = (image.width() as f32, image.height() as f32);
    let square = match hand {
        Hand::Right => Square {
            corner: (0.0, 0.0),
            right: (right, 0.0),
            down: (0.0, down),
        },
        Hand::Left => Square {
            corner: (right, 0.0),
            right: (-right, 0.0),
            down: (0.0, down),
        },
    };
    Outline {
        centre: (right / 2.0, down / 2.0),
        radius: right.min(down) / 2.0,
        valleys: square.valleys(),
        region: square.corners(),
        hand,
    }
}

#[cfg(test)]
mod tests;
