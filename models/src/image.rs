//! An 8-bit grey image that leaves nothing behind in memory.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The largest width or height, in pixels, that any part of the house accepts.
pub const SIDE_MAX: usize = 4096;

/// Why pixels do not make an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The number of pixels is not `width * height`.
    #[error("{pixels} pixels do not fill {width} x {height}: send width * height bytes")]
    Length {
        /// Width asked for, in pixels.
        width: usize,
        /// Height asked for, in pixels.
        height: usize,
        /// Number of pixels given.
        pixels: usize,
    },
    /// A side is zero or above [`SIDE_MAX`].
    #[error("an image of {width} x {height} is out of range: each side must be 1 to {SIDE_MAX}")]
    Side {
        /// Width asked for, in pixels.
        width: usize,
        /// Height asked for, in pixels.
        height: usize,
    },
}

/// An 8-bit grey image, row-major, top row first. Its pixels are zeroized when it is dropped, and `Debug` prints its
/// size only: an image of a palm never reaches a log.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct GreyImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl GreyImage {
    /// Takes `width * height` pixels, row-major.
    ///
    /// # Errors
    /// [`ImageError`] when a side is out of range or the number of pixels differs.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, ImageError> {
        if !(1..=SIDE_MAX).contains(&width) || !(1..=SIDE_MAX).contains(&height) {
            return Err(ImageError::Side { width, height });
        }
        if pixels.len() != width * height {
            return Err(ImageError::Length {
                width,
                height,
                pixels: pixels.len(),
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// An image of one grey value.
    ///
    /// # Errors
    /// [`ImageError::Side`] when a side is out of range.
    pub fn filled(width: usize, height: usize, value: u8) -> Result<Self, ImageError> {
        Self::new(
            width,
            height,
            vec![value; width.saturating_mul(height).min(SIDE_MAX * SIDE_MAX)],
        )
    }

    /// Width in pixels, 1 to [`SIDE_MAX`].
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, 1 to [`SIDE_MAX`].
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row-major.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, row-major, to change in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }
}

impl fmt::Debug for GreyImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GreyImage({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_that_do_not_fill_the_sides_are_refused() {
        assert_eq!(
            GreyImage::new(3, 2, vec![0; 5]),
            Err(ImageError::Length {
                width: 3,
                height: 2,
                pixels: 5
            })
        );
        assert!(matches!(
            GreyImage::new(0, 2, vec![]),
            Err(ImageError::Side { .. })
        ));
        assert!(matches!(
            GreyImage::filled(SIDE_MAX + 1, 1, 0),
            Err(ImageError::Side { .. })
        ));
    }

    #[test]
    fn debug_shows_no_pixel() {
        assert_eq!(
            format!("{:?}", GreyImage::filled(2, 2, 7).unwrap()),
            "GreyImage(2 x 2)"
        );
    }
}
