//! Camera formats into grey: one byte a pixel, row by row.

use std::fmt;

use crate::burst::frame_len;
use crate::picture;

/// How a camera encodes a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// A byte a pixel.
    Grey,
    /// A JPEG file a frame.
    Mjpg,
    /// Sixteen bits a pixel, little-endian, of which so many count.
    Y16 {
        /// 9 to 16.
        bits: u8,
    },
    /// Luminance and colour in turn: two bytes a pixel.
    Yuyv,
}

impl PixelFormat {
    /// The four letters of V4L2.
    #[must_use]
    pub fn fourcc(self) -> [u8; 4] {
        match self {
            Self::Grey => *b"GREY",
            Self::Mjpg => *b"MJPG",
            Self::Y16 { .. } => *b"Y16 ",
            Self::Yuyv => *b"YUYV",
        }
    }

    /// The format of these four letters, if it is read here.
    #[must_use]
    pub fn of(fourcc: [u8; 4], bits: u8) -> Option<Self> {
        match &fourcc {
            b"GREY" => Some(Self::Grey),
            b"MJPG" | b"JPEG" => Some(Self::Mjpg),
            b"Y16 " => Some(Self::Y16 {
                bits: bits.clamp(9, 16),
            }),
            b"YUYV" => Some(Self::Yuyv),
            _ => None,
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grey => "GREY",
            Self::Mjpg => "MJPG",
            Self::Y16 { .. } => "Y16",
            Self::Yuyv => "YUYV",
        })
    }
}

/// A frame that cannot be read. Remedy: none for this one; the next may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Columns and rows out of the limits of a frame.
    #[error("a frame of {0} x {1} is out of range: 1 to 8192 a side, 4194304 pixels")]
    Size(u32, u32),
    /// Fewer bytes than the frame needs: it was cut on its way.
    #[error("{got} bytes of {wanted}: the frame was cut on its way")]
    Short {
        /// What it needs.
        wanted: usize,
        /// What there is.
        got: usize,
    },
    /// No JPEG, or one of another size.
    #[error("the frame is no JPEG of the size that was agreed on")]
    Jpeg,
}

/// A frame as it came from the camera.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// How it is encoded.
    pub format: PixelFormat,
    /// Columns and rows.
    pub size: (u32, u32),
    /// Bytes from one row to the next; 0: no gap between rows.
    pub stride: usize,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Writes a frame into `grey` as `width * height` bytes.
///
/// # Errors
/// [`DecodeError`]; `grey` then holds nothing of use.
pub fn decode(raw: Raw<'_>, grey: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (width, height) = raw.size;
    let length = frame_len(width, height).ok_or(DecodeError::Size(width, height))?;
    grey.clear();
    grey.reserve_exact(length);
    let columns = length / usize::try_from(height).unwrap_or(usize::MAX).max(1);
    match raw.format {
        PixelFormat::Grey => rows(raw, columns, |row| grey.extend_from_slice(row)),
        PixelFormat::Y16 { bits } => {
            let shift = u32::from(bits.clamp(9, 16)) - 8;
            rows(raw, columns * 2, |row| {
                grey.extend(row.as_chunks::<2>().0.iter().map(|pair| {
                    // A camera that says more than it counts is white there.
                    u8::try_from(u16::from_le_bytes(*pair) >> shift).unwrap_or(u8::MAX)
                }));
            })
        }
        PixelFormat::Yuyv => rows(raw, columns * 2, |row| {
            grey.extend(
                row.as_chunks::<2>()
                    .0
                    .iter()
                    .map(|[luminance, _]| *luminance),
            );
        }),
        PixelFormat::Mjpg => {
            *grey = picture::grey_of_jpeg(raw.bytes, raw.size).ok_or(DecodeError::Jpeg)?;
            Ok(())
        }
    }
}

/// Each row without the gap behind it. The last one may lack its gap.
fn rows(raw: Raw<'_>, row_len: usize, mut each: impl FnMut(&[u8])) -> Result<(), DecodeError> {
    let stride = raw.stride.max(row_len);
    let count = usize::try_from(raw.size.1).unwrap_or(usize::MAX);
    let wanted = stride.saturating_mul(count - 1).saturating_add(row_len);
    let short = DecodeError::Short {
        wanted,
        got: raw.bytes.len(),
    };
    let bytes = raw.bytes.get(..wanted).ok_or(short)?;
    for row in bytes.chunks(stride) {
        each(row.get(..row_len).unwrap_or(row));
    }
    Ok(())
}

/// Reads arbitrary bytes as frames of every format; must not panic, and what is read has the size that was agreed on.
#[doc(hidden)]
pub fn fuzz_decode(bytes: &[u8]) {
    let [width, height, gap, bits, frame @ ..] = bytes else {
        return;
    };
    let size = (u32::from(*width), u32::from(*height));
    let y16 = PixelFormat::Y16 { bits: *bits };
    let mut grey = Vec::new();
    for format in [PixelFormat::Grey, PixelFormat::Mjpg, y16, PixelFormat::Yuyv] {
        let raw = Raw {
            format,
            size,
            stride: usize::from(*gap) * 4,
            bytes: frame,
        };
        if decode(raw, &mut grey).is_ok() {
            assert_eq!(Some(grey.len()), frame_len(size.0, size.1));
        }
    }
}
