//! Picture files: read grey for the emulated lens, written by the developer's `palm-reader
//! capture`. The only module that names the `image` crate.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::burst::Frame;
use crate::limits::{FRAME_PIXELS_MAX, FRAME_SIDE_MAX};

/// Memory a decoder may use for one file, in bytes: a frame in 16-bit colour with room to spare.
const DECODE_BYTES_MAX: u64 = 64 << 20;

/// A grey picture, one byte a pixel, row by row.
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height` bytes.
    pub pixels: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} x {})", self.width, self.height)
    }
}

/// A picture file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be opened. Remedy: check the path and the rights.
    #[error("cannot open {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no PNG, JPEG or BMP, or damaged, or larger than a frame may be (8192 a side).
    /// Remedy: convert or replace it.
    #[error("cannot read {path} as PNG, JPEG or BMP of at most 8192 a side")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },
    /// More pixels than a frame may have. Remedy: scale the picture down.
    #[error("{path} has {width} x {height} pixels, a frame has at most 4194304: scale it down")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The file cannot be written. Remedy: check the folder, its rights and the disk.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the encoder says.
        source: image::ImageError,
    },
}

/// Reads a PNG, JPEG or BMP file as grey.
///
/// # Errors
/// [`PictureError`] names the file and the remedy.
pub fn read_grey(path: &Path) -> Result<Picture, PictureError> {
    let open = |source| PictureError::Open {
        path: path.to_owned(),
        source,
    };
    let mut reader = image::ImageReader::open(path)
        .and_then(|r| r.with_guessed_format())
        .map_err(open)?;
    let mut limits = image::Limits::no_limits();
    limits.max_image_width = Some(FRAME_SIDE_MAX);
    limits.max_image_height = Some(FRAME_SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    let read = |source| PictureError::Read {
        path: path.to_owned(),
        source,
    };
    let grey = reader.decode().map_err(read)?.into_luma8();
    let (width, height) = grey.dimensions();
    let pixels = grey.into_raw();
    if pixels.is_empty() || pixels.len() > FRAME_PIXELS_MAX {
        return Err(PictureError::TooLarge {
            path: path.to_owned(),
            width,
            height,
        });
    }
    Ok(Picture {
        width,
        height,
        pixels,
    })
}

/// A frame of motion JPEG as grey; `None` when it is damaged or of another size than `size`.
#[must_use]
pub fn grey_of_jpeg(bytes: &[u8], size: (u32, u32)) -> Option<Vec<u8>> {
    let bytes = with_huffman_tables_known(bytes);
    let decoder = image::codecs::jpeg::JpegDecoder::new(std::io::Cursor::new(&*bytes)).ok()?;
    if image::ImageDecoder::dimensions(&decoder) != size {
        return None;
    }
    let picture = image::DynamicImage::from_decoder(decoder).ok()?;
    Some(picture.into_luma8().into_raw())
}

/// Cameras leave the Huffman tables out, because motion JPEG has but one set. The decoder puts them in when the file
/// says that it is motion JPEG, which cameras do not say either.
fn with_huffman_tables_known(bytes: &[u8]) -> Cow<'_, [u8]> {
    const SAYS_SO: [u8; 18] = *b"\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";
    const HUFFMAN_TABLES: u8 = 0xc4;
    const SCAN: u8 = 0xda;
    let Some((start, mut rest)) = bytes.split_at_checked(2) else {
        return Cow::Borrowed(bytes);
    };
    let segments = rest;
    while let [0xff, marker, high, low, ..] = *rest {
        match marker {
            HUFFMAN_TABLES => return Cow::Borrowed(bytes),
            SCAN => return Cow::Owned([start, &SAYS_SO, segments].concat()),
            _ => {}
        }
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(length..).unwrap_or_default();
    }
    Cow::Borrowed(bytes)
}

/// Grey pixels as a JPEG file, as an emulated camera sends it; `None` when the sizes do not agree.
#[must_use]
pub fn jpeg_of_grey(pixels: &[u8], (width, height): (u32, u32)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    let length = usize::try_from(width.checked_mul(height)?).ok()?;
    if length != pixels.len() {
        return None;
    }
    encoder
        .encode(pixels, width, height, image::ExtendedColorType::L8)
        .ok()?;
    Some(bytes)
}

/// Writes a frame as a PNG file. Only ever by a developer's explicit command.
///
/// # Errors
/// [`PictureError::Write`].
pub fn write_png(path: &Path, frame: &Frame) -> Result<(), PictureError> {
    let (width, height) = (frame.width(), frame.height());
    image::save_buffer_with_format(
        path,
        frame.pixels(),
        width,
        height,
        image::ExtendedColorType::L8,
        image::ImageFormat::Png,
    )
    .map_err(|source| PictureError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Reads arbitrary bytes as a picture file would be read; must not panic.
#[doc(hidden)]
pub fn fuzz_picture(bytes: &[u8]) {
    let Ok(mut reader) = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()
    else {
        return;
    };
    let mut limits = image::Limits::no_limits();
    limits.max_image_width = Some(FRAME_SIDE_MAX);
    limits.max_image_height = Some(FRAME_SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    drop(reader.decode());
}
