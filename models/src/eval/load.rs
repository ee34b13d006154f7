//! Folders of palm images: `<set>/<identity>/s<session>_<sample>.<ext>`. The one place that names the `image` crate.
//!
//! One identity is one hand. It never guesses: a file that does not fit the layout or cannot be read stops the run and
//! is named, because a figure over a part of a set would pass for one over the whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::image::{GreyImage, ImageError, SIDE_MAX};
use crate::template::Hand;

/// Endings of files that are read, lower case.
pub const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// Why a set of images cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is not an image of a kind that is read.
    #[error("{path}: cannot be read as an image: replace the file or take it out of the set")]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        #[source]
        source: image::ImageError,
    },
    /// A folder holds nothing to measure.
    #[error(
        "{path}: no images below it: a set is <identity>/s<session>_<sample>.png (or jpg, jpeg, bmp)"
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be opened.
    #[error("{path}: cannot be opened: check that it exists and may be read")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A name does not fit the layout.
    #[error(
        "{path}: does not fit the layout <set>/<identity>/s<session>_<sample>.<png, jpg, jpeg or bmp>: {remedy}"
    )]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// What to do about it.
        remedy: &'static str,
    },
    /// An image is larger than the house accepts, or empty.
    #[error("{path}: its size is out of range: scale the image down")]
    Size {
        /// The file.
        path: PathBuf,
        /// Which side.
        #[source]
        source: ImageError,
    },
}

/// How the side of a hand is found where only a palm region is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideRule {
    /// From the folder's name: `_l` or `_r` at its end; else the last digits, odd left and even right; else right.
    Auto,
    /// All are of this side.
    Fixed(Hand),
}

/// One image file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// Session in which it was taken, from its name.
    pub session: u32,
}

/// The images of one hand, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The folder's name.
    pub name: String,
    /// One image or more.
    pub images: Vec<ImageFile>,
}

/// The layout of a set, without its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    /// The folder's name.
    pub name: String,
    /// One hand or more, in the order of their names.
    pub subjects: Vec<Subject>,
}

impl ImageSet {
    /// Reads which images there are below `folder`.
    ///
    /// # Errors
    /// [`LoadError`] names the first file or folder that cannot be used.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let name = folder.canonicalize().map_err(|source| io(folder, source))?;
        let name = name
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let mut subjects = Vec::new();
        for path in entries(folder)? {
            if !path.is_dir() {
                let remedy = "move it into the folder of its identity";
                return Err(LoadError::Layout { path, remedy });
            }
            subjects.push(subject(&path)?);
        }
        if subjects.is_empty() {
            return Err(LoadError::Empty {
                path: folder.to_owned(),
            });
        }
        Ok(Self { name, subjects })
    }

    /// Number of images of all hands.
    #[must_use]
    pub fn images(&self) -> usize {
        self.subjects
            .iter()
            .map(|subject| subject.images.len())
            .sum()
    }
}

fn subject(folder: &Path) -> Result<Subject, LoadError> {
    let mut images = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            let remedy =
                "name the folder of each set on the command line, not the folder above them";
            return Err(LoadError::Layout {
                path: folder.to_owned(),
                remedy,
            });
        }
        let session = session(&path).ok_or_else(|| LoadError::Layout {
            path: path.clone(),
            remedy: "rename the file, for example s1_01.png, or take it out",
        })?;
        images.push(ImageFile { path, session });
    }
    if images.is_empty() {
        return Err(LoadError::Empty {
            path: folder.to_owned(),
        });
    }
    let name = folder
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok(Subject { name, images })
}

/// What a folder holds, in the order of the names, without hidden files.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| io(folder, source))? {
        let entry = entry.map_err(|source| io(folder, source))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn io(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The session in `s<session>_<sample>.<ext>`.
fn session(path: &Path) -> Option<u32> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    if !ENDINGS.contains(&ending.as_str()) {
        return None;
    }
    let (session, sample) = path
        .file_stem()?
        .to_str()?
        .strip_prefix('s')?
        .split_once('_')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(session) && digits(sample) {
        session.parse().ok()
    } else {
        None
    }
}

/// The side that `rule` finds for a folder of this name.
#[must_use]
pub fn side(rule: SideRule, name: &str) -> Hand {
    match rule {
        SideRule::Fixed(hand) => hand,
        SideRule::Auto if name.ends_with("_l") => Hand::Left,
        SideRule::Auto if name.ends_with("_r") => Hand::Right,
        SideRule::Auto => match name.bytes().rev().find(u8::is_ascii_digit) {
            Some(digit) if digit % 2 == 1 => Hand::Left,
            Some(_) | None => Hand::Right,
        },
    }
}

/// An image of a set.
#[derive(Debug)]
pub struct Picture {
    /// Its brightness (ITU-R BT.709 luma).
    pub grey: GreyImage,
    /// Where the file has colours: the largest less the smallest of red, green and blue.
    pub chroma: Option<GreyImage>,
}

/// Reads an image.
///
/// # Errors
/// [`LoadError`] when the file cannot be opened or is no image, or a side is above [`SIDE_MAX`].
pub fn picture(path: &Path) -> Result<Picture, LoadError> {
    let decode = |source| LoadError::Decode {
        path: path.to_owned(),
        source,
    };
    let reader = image::ImageReader::open(path).map_err(|source| io(path, source))?;
    let mut reader = reader
        .with_guessed_format()
        .map_err(|source| io(path, source))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = u32::try_from(SIDE_MAX).ok();
    limits.max_image_height = limits.max_image_width;
    reader.limits(limits);
    let decoded = reader.decode().map_err(decode)?;
    let size = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
    let (width, height) = (size(decoded.width()), size(decoded.height()));
    let plane = |pixels: Vec<u8>| {
        GreyImage::new(width, height, pixels).map_err(|source| LoadError::Size {
            path: path.to_owned(),
            source,
        })
    };
    let chroma = match decoded.color().has_color() {
        true => Some(plane(decoded.to_rgb8().pixels().map(chroma).collect())?),
        false => None,
    };
    let grey = plane(decoded.into_luma8().into_raw())?;
    Ok(Picture { grey, chroma })
}

fn chroma(image::Rgb([red, green, blue]): &image::Rgb<u8>) -> u8 {
    let (least, most) = (red.min(green).min(blue), red.max(green).max(blue));
    most - least
}

/// Writes an image for a test.
#[cfg(test)]
pub(super) fn save(image: &GreyImage, path: &Path) {
    let side = |side: usize| u32::try_from(side).unwrap();
    let pixels = image.pixels().to_vec();
    let (width, height) = (side(image.width()), side(image.height()));
    image::GrayImage::from_raw(width, height, pixels)
        .unwrap()
        .save(path)
        .unwrap();
}

#[cfg(test)]
mod tests;
