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
/// Least samples of a palm in one enrolment.
pub const SAMPLES_PER_PALM_MIN: usize = 3;
/// Most samples that are kept of one palm.
pub const SAMPLES_PER_PALM_MAX: usize = 12;
/// Rows read from the store at once.
pub const SCAN_ROWS: usize = 256;
/// Bytes of a message between matcher and keyholder: a block of 4 MiB, its directory, and what frames them.
pub const LINK_MESSAGE_MAX: usize = 5 << 20;
/// Bytes that either end of that link sends ahead of the other's reading.
pub const LINK_WINDOW: u32 = 4 << 20;
/// Sums that go in one message, in bytes.
pub const LINK_SUMS_BYTES: usize = 128 << 10;
/// Messages of sums that wait to be sent.
pub const LINK_MESSAGES_AHEAD: usize = 8;
/// Time for a connection to the keyholder.
pub const LINK_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the keyholder to answer a search, a deletion or a commit.
pub const LINK_CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Time for the keyholder to read the directories of a whole gallery, or to make a block.
pub const LINK_ATTACH_TIMEOUT: Duration = Duration::from_secs(600);
/// Time that palmd waits for its keyholder at the start.
pub const LINK_PATIENCE: Duration = Duration::from_secs(60);
/// Time between two tries meanwhile.
pub const LINK_PAUSE: Duration = Duration::from_millis(250);
