//! Picture files: read grey for the emulated lens, written by the developer's `palm-reader
//! capture`. The only module that names the `image` crate.

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
