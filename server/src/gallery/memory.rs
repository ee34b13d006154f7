//! How many samples the machine's memory holds.

use super::GalleryError;

/// Memory that one sample takes: 683 bytes of ciphertext and 18 of its block's directory, rounded up.
pub const SAMPLE_BYTES: usize = 704;

/// Refuses a bound that the memory does not hold, before a customer does not fit. Where the system does not say how
/// much there is, nothing is refused.
pub(super) fn refuse_too_many(asked: usize) -> Result<(), GalleryError> {
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    match told.as_deref().and_then(available) {
        Some(bytes) if bytes / SAMPLE_BYTES < asked => Err(GalleryError::Memory {
            asked,
            fits: bytes / SAMPLE_BYTES,
        }),
        _ => Ok(()),
    }
}

/// `MemAvailable` of proc(5)'s `meminfo`, in bytes.
fn available(meminfo: &str) -> Option<usize> {
    let mut lines = meminfo.lines();
    let kibibytes = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let number = kibibytes.trim().strip_suffix(" kB")?;
    number.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes_and_anything_else_is_not() {
        let told = "MemTotal:       24632432 kB\nMemAvailable:      12 kB\nBuffers: 1 kB\n";
        assert_eq!(available(told), Some(12 * 1024));
        for told in [
            "",
            "MemAvailable: x kB",
            "MemAvailable: 12",
            "MemFree: 12 kB",
        ] {
            assert_eq!(available(told), None, "{told}");
        }
    }

    #[test]
    fn more_than_any_memory_is_refused_with_the_number_that_fits() {
        assert!(refuse_too_many(12).is_ok());
        let message = refuse_too_many(usize::MAX).unwrap_err().to_string();
        assert!(message.contains("write at most"), "{message}");
    }
}
