//! Every fixed bound of the service in one place; what an operator may want to change is in [`crate::config`].

use std::time::Duration;

/// Largest request message, in bytes: twelve sealed samples take 8 KiB.
pub const MESSAGE_MAX: usize = 64 << 10;
/// Open streams of one connection.
pub const STREAMS_MAX: u32 = 32;
/// Time for a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is probed this often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A connection whose probe is not answered within this is closed.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that calls in progress get at the stop.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// Threads that search the gallery.
pub const SEARCH_THREADS: usize = 2;
/// Searches that share a scan of the gallery: as many calls as are in progress at once by default.
pub const SEARCHES_TOGETHER: usize = 64;
/// Least samples of a palm in one enrolment.
pub const SAMPLES_PER_PALM_MIN: usize = 3;
/// Most samples that are kept of one palm.
pub const SAMPLES_PER_PALM_MAX: usize = 12;
/// Rows read from the store at once.
pub const SCAN_ROWS: usize = 256;
/// Keys read from the store at once.
pub const SCAN_KEYS: usize = 4096;
