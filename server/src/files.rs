//! Files that hold keys: made readable for their owner only, never overwritten, and refused when others may read them.
//!
//! What stands in them is not this module's business, except that a key is [`KEY_BYTES`] long.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Length of a symmetric key and of an HPKE key seed, in bytes.
pub const KEY_BYTES: usize = 32;
/// Longest file that is read as PEM or TOML, in bytes.
pub const TEXT_MAX: u64 = 64 << 10;

/// Why a file was not read or not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is there already: it may hold the only copy of a key.
    #[error("{0} exists already: name another folder, or move it away if it is really not needed")]
    Exists(PathBuf),
    /// A key file that others may read.
    #[error("{0} may be read by others: run chmod 600 on it")]
    Exposed(PathBuf),
    /// A key file of the wrong length.
    #[error(
        "{path} holds {length} bytes, a key has 32: restore it, or make new keys with `palmctl init`"
    )]
    KeyLength {
        /// The file.
        path: PathBuf,
        /// Its length, up to 33.
        length: usize,
    },
    /// It cannot be read.
    #[error("{path} cannot be read: check that it exists and belongs to this user")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Longer than [`TEXT_MAX`].
    #[error("{0} is longer than 64 KiB: it is not the file that was meant")]
    TooLong(PathBuf),
    /// Longer than what is read of it.
    #[error(
        "{path} is longer than {max} bytes: it is not the file that was meant, or has to be split"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes that are read at most.
        max: u64,
    },
    /// It cannot be written.
    #[error("{path} cannot be written: check the folder's owner and the free space")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Reads a text file of at most [`TEXT_MAX`] bytes.
///
/// # Errors
/// [`FileError::Read`], [`FileError::TooLong`].
pub fn read_text(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(TEXT_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= TEXT_MAX) {
        Ok(text)
    } else {
        Err(FileError::TooLong(path.to_owned()))
    }
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// [`FileError::Read`], [`FileError::TooLarge`].
pub fn read_bytes(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= max) {
        Ok(bytes)
    } else {
        let path = path.to_owned();
        Err(FileError::TooLarge { path, max })
    }
}

/// Reads a text file with a private key in it.
///
/// # Errors
/// As [`read_text`], and [`FileError::Exposed`].
pub fn read_secret_text(path: &Path) -> Result<Zeroizing<String>, FileError> {
    refuse_exposed(path)?;
    read_text(path).map(Zeroizing::new)
}

/// Reads a key file.
///
/// # Errors
/// [`FileError::Read`], [`FileError::Exposed`], [`FileError::KeyLength`].
pub fn read_key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, FileError> {
    refuse_exposed(path)?;
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    // One byte more than a key, so that a longer file is noticed; sized so that it never moves.
    let mut bytes = Zeroizing::new([0; KEY_BYTES + 1]);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    if length != KEY_BYTES {
        return Err(FileError::KeyLength {
            path: path.to_owned(),
            length,
        });
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(&bytes[..KEY_BYTES]);
    Ok(key)
}

fn refuse_exposed(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(FileError::Exposed(path.to_owned()))
    }
}

/// Makes a file that only its owner may read, and puts it on disk.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::Write`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source: std::io::Error| {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::AlreadyExists => FileError::Exists(path),
            _ => FileError::Write { path, source },
        }
    };
    let options = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .to_owned();
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Puts a file that only its owner may read in the place of another or of none: whatever stops it, one of the two is
/// there, whole.
///
/// # Errors
/// [`FileError::Write`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    // Of an earlier try.
    if new.exists() {
        fs::remove_file(&new).map_err(failed)?;
    }
    write_new(&new, bytes)?;
    fs::rename(&new, path).map_err(failed)?;
    let folder = path.parent().filter(|own| *own != Path::new(""));
    fs::File::open(folder.unwrap_or_else(|| Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// Makes a folder and those above it; this one for its owner only.
///
/// # Errors
/// [`FileError::Write`].
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Write {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        write_new(&path, &[7; 32]).unwrap();
        assert_eq!(*read_key(&path).unwrap(), [7; 32]);
        assert!(matches!(
            write_new(&path, &[8; 32]),
            Err(FileError::Exists(_))
        ));
        assert_eq!(*read_key(&path).unwrap(), [7; 32]);
    }

    #[test]
    fn key_that_others_may_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        write_new(&path, &[7; 32]).unwrap();
        for mode in [0o640, 0o604, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read_key(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn key_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 31, 33, 64] {
            let path = folder.path().join(length.to_string());
            write_new(&path, &vec![1; length]).unwrap();
            assert!(matches!(read_key(&path), Err(FileError::KeyLength { .. })));
        }
    }
}
