//! `Template` v1: what is kept of a palm, in 516 bytes.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 1 | [`ModelVersion`] that made it |
//! | 2 | 1 | [`Hand`]: 0 right, 1 left |
//! | 3 | 1 | quality, 0 to 100 |
//! | 4 | 128 | [`SearchCode`]: 512 signs, then which are kept; all zero in [`ModelVersion::ORIENTATION_ONLY`] |
//! | 132 | 384 | orientation code: three bit planes of 32 rows, each row one little-endian `u32` (bit x = column x) |
//!
//! An orientation is one of six, written in the three planes as the Johnson code of Kong and Zhang, "Competitive Coding
//! Scheme for Palmprint Verification" (ICPR 2004): 0 = 000, 1 = 001, 2 = 011, 3 = 111, 4 = 110, 5 = 100 (plane 2
//! first), so that the Hamming distance of two cells is their distance in steps of 30 degrees. Of the two unused
//! patterns 010 marks a cell as not valid (outside the hand, or no line to follow); 101 is refused. The validity mask
//! thus costs no byte.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

mod search_code;

pub use search_code::{DIMENSIONS, SEARCH_CODE_BYTES, SearchCode, SearchCodeError};

/// Length of a template in bytes.
pub const TEMPLATE_BYTES: usize = 516;
/// Rows and columns of the orientation code.
pub const CODE_SIDE: usize = 32;
/// Number of orientations, 30 degrees apart.
pub const ORIENTATIONS: u8 = 6;

/// The bits of each orientation: as many differ as there are steps between two.
const JOHNSON: [u8; ORIENTATIONS as usize] = [0b000, 0b001, 0b011, 0b111, 0b110, 0b100];

const FORMAT_V1: u8 = 1;
const SEARCH_AT: usize = 4;
const ORIENTATION_AT: usize = 132;
const QUALITY_MAX: u8 = 100;

/// Why bytes are not a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A cell holds the unused pattern 101.
    #[error("orientation code: a cell holds the unused pattern 101: extract the template again")]
    Cell,
    /// The format version is not 1.
    #[error("template format {0} is not known here: update this program or the till")]
    Format(u8),
    /// The hand is neither 0 nor 1.
    #[error("hand {0} is out of range: 0 is right, 1 is left")]
    Hand(u8),
    /// The length is not [`TEMPLATE_BYTES`].
    #[error("{0} bytes are not a template: it has {TEMPLATE_BYTES}")]
    Length(usize),
    /// The model version is not known to this build.
    #[error("model version {0} is not known here: update this program or the till")]
    Model(u8),
    /// The quality is above 100.
    #[error("quality {0} is out of range: 0 to 100")]
    Quality(u8),
    /// A search code stands where the model version has none.
    #[error(
        "search code: this model has none, but bytes stand in its place: extract the template again"
    )]
    Search,
}

/// Which extractor made a template; templates of different versions are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelVersion(u8);

impl ModelVersion {
    /// The orientation code alone; the search code is all zero.
    pub const ORIENTATION_ONLY: Self = Self(1);
    /// The orientation code and a search code.
    pub const WITH_SEARCH_CODE: Self = Self(2);

    /// The version of this number, if this build knows it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let known = [Self::ORIENTATION_ONLY, Self::WITH_SEARCH_CODE];
        known.into_iter().find(|model| model.0 == number)
    }

    /// The number that stands in the template.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Which hand; a left is mirrored to a right before its codes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hand {
    /// The right hand.
    Right,
    /// The left hand.
    Left,
}

/// Competitive orientation code of a palm region: 32 x 32 cells, each one of six orientations or not valid.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct OrientationCode {
    /// Bit planes of the Johnson code, zero where a cell is not valid: `planes[p][row]`, bit x = column x.
    pub(crate) planes: [[u32; CODE_SIDE]; 3],
    /// Which cells are valid: bit x of `valid[row]`.
    pub(crate) valid: [u32; CODE_SIDE],
}

impl OrientationCode {
    /// Builds a code from a function that gives the orientation (0 to 5, in steps of 30 degrees) of each cell
    /// `(row, column)`, or `None` where the cell is not valid.
    ///
    /// # Panics
    /// When an orientation is 6 or more: an error of the caller.
    #[must_use]
    pub fn from_cells(mut cell: impl FnMut(usize, usize) -> Option<u8>) -> Self {
        let mut code = Self {
            planes: [[0; CODE_SIDE]; 3],
            valid: [0; CODE_SIDE],
        };
        for row in 0..CODE_SIDE {
            for column in 0..CODE_SIDE {
                if let Some(orientation) = cell(row, column) {
                    code.put(row, column, orientation);
                }
            }
        }
        code
    }

    fn put(&mut self, row: usize, column: usize, orientation: u8) {
        assert!(
            orientation < ORIENTATIONS,
            "orientation {orientation} is not one of six"
        );
        let bits = JOHNSON[usize::from(orientation)];
        self.valid[row] |= 1 << column;
        for (p, plane) in self.planes.iter_mut().enumerate() {
            plane[row] |= u32::from((bits >> p) & 1) << column;
        }
    }

    /// The orientation of a cell, if it is valid.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<u8> {
        let bit = |rows: &[u32; CODE_SIDE]| rows[row] >> column & 1;
        let [low, middle, high] = self.planes.each_ref().map(bit);
        let bits = low | middle << 1 | high << 2;
        let orientation = (0..ORIENTATIONS)
            .zip(JOHNSON)
            .find(|(_, code)| u32::from(*code) == bits);
        orientation
            .map(|(orientation, _)| orientation)
            .filter(|_| bit(&self.valid) == 1)
    }

    /// Number of valid cells, 0 to 1024.
    #[must_use]
    pub fn valid_cells(&self) -> u32 {
        self.valid.iter().map(|row| row.count_ones()).sum()
    }

    fn write(&self, out: &mut [u8]) {
        for (index, word) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let (plane, row) = (index / CODE_SIDE, index % CODE_SIDE);
            let invalid = if plane == 1 { !self.valid[row] } else { 0 };
            *word = (self.planes[plane][row] | invalid).to_le_bytes();
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, TemplateError> {
        let mut code = Self {
            planes: [[0; CODE_SIDE]; 3],
            valid: [0; CODE_SIDE],
        };
        for (index, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
            code.planes[index / CODE_SIDE][index % CODE_SIDE] = u32::from_le_bytes(*word);
        }
        for row in 0..CODE_SIDE {
            let [low, middle, high] = code.planes.each_ref().map(|plane| plane[row]);
            if low & !middle & high != 0 {
                return Err(TemplateError::Cell);
            }
            let invalid = !low & middle & !high;
            code.valid[row] = !invalid;
            code.planes[1][row] &= !invalid;
        }
        Ok(code)
    }
}

impl fmt::Debug for OrientationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrientationCode({} valid cells)", self.valid_cells())
    }
}

/// What is kept of one palm sample. Zeroized when dropped; `Debug` shows neither code.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Template {
    #[zeroize(skip)]
    model: ModelVersion,
    #[zeroize(skip)]
    hand: Hand,
    quality: u8,
    search: Option<SearchCode>,
    orientation: OrientationCode,
}

impl Template {
    /// A template of [`ModelVersion::ORIENTATION_ONLY`]; a `quality` above 100 counts as 100.
    #[must_use]
    pub fn orientation_only(hand: Hand, quality: u8, orientation: OrientationCode) -> Self {
        Self {
            model: ModelVersion::ORIENTATION_ONLY,
            hand,
            quality: quality.min(QUALITY_MAX),
            search: None,
            orientation,
        }
    }

    /// The same template with a search code: of [`ModelVersion::WITH_SEARCH_CODE`].
    #[must_use]
    pub fn with_search(mut self, code: SearchCode) -> Self {
        self.model = ModelVersion::WITH_SEARCH_CODE;
        self.search = Some(code);
        self
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`TemplateError`] names the first field that is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TemplateError> {
        let bytes: &[u8; TEMPLATE_BYTES] = bytes
            .try_into()
            .map_err(|_| TemplateError::Length(bytes.len()))?;
        let [format, model, hand, quality] = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if format != FORMAT_V1 {
            return Err(TemplateError::Format(format));
        }
        let model = ModelVersion::from_number(model).ok_or(TemplateError::Model(model))?;
        let hand = match hand {
            0 => Hand::Right,
            1 => Hand::Left,
            other => return Err(TemplateError::Hand(other)),
        };
        if quality > QUALITY_MAX {
            return Err(TemplateError::Quality(quality));
        }
        let search = read_search(model, bytes)?;
        let orientation = OrientationCode::read(&bytes[ORIENTATION_AT..])?;
        Ok(Self {
            model,
            hand,
            quality,
            search,
            orientation,
        })
    }

    /// The stored form. The caller seals it before it goes anywhere.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TEMPLATE_BYTES] {
        let mut bytes = [0; TEMPLATE_BYTES];
        bytes[0] = FORMAT_V1;
        bytes[1] = self.model.0;
        bytes[2] = match self.hand {
            Hand::Right => 0,
            Hand::Left => 1,
        };
        bytes[3] = self.quality;
        if let Some(code) = &self.search {
            bytes[SEARCH_AT..ORIENTATION_AT].copy_from_slice(&code.to_bytes());
        }
        self.orientation.write(&mut bytes[ORIENTATION_AT..]);
        bytes
    }

    /// Which extractor made it.
    #[must_use]
    pub fn model(&self) -> ModelVersion {
        self.model
    }

    /// Which hand it is of.
    #[must_use]
    pub fn hand(&self) -> Hand {
        self.hand
    }

    /// Sample quality, 0 (worst) to 100.
    #[must_use]
    pub fn quality(&self) -> u8 {
        self.quality
    }

    /// The search code; `None` in [`ModelVersion::ORIENTATION_ONLY`].
    #[must_use]
    pub fn search(&self) -> Option<&SearchCode> {
        self.search.as_ref()
    }

    /// The orientation code.
    #[must_use]
    pub fn orientation(&self) -> &OrientationCode {
        &self.orientation
    }
}

fn read_search(
    model: ModelVersion,
    bytes: &[u8; TEMPLATE_BYTES],
) -> Result<Option<SearchCode>, TemplateError> {
    let bytes = bytes[SEARCH_AT..ORIENTATION_AT].try_into();
    let bytes: &[u8; SEARCH_CODE_BYTES] = bytes.expect("invariant: 128 bytes");
    if model == ModelVersion::WITH_SEARCH_CODE {
        Ok(Some(SearchCode::from_bytes(bytes)))
    } else if *bytes == [0; SEARCH_CODE_BYTES] {
        Ok(None)
    } else {
        Err(TemplateError::Search)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?}, quality {})", self.hand, self.quality)
    }
}

/// Reads bytes as a template, as a fuzzer wants it: what is read is written back as it came.
///
/// # Panics
/// When it is not: an error of this module.
#[doc(hidden)]
pub fn fuzz_template(bytes: &[u8]) {
    if let Ok(template) = Template::from_bytes(bytes) {
        assert_eq!(template.to_bytes().as_slice(), bytes);
    }
}

#[cfg(test)]
mod tests;
