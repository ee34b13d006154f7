//! Every fixed bound of the service in one place; what an operator may want to change is in [`crate::config`].

use std::time::Duration;

/// Largest request message, in bytes: twelve sealed samples take 8 KiB.
pub const MESSAGE_MAX: usize = 64 << 10;
/// Largest message of a bank that is read, in bytes; a day of 20,000 entries takes about as much.
pub const XML_BYTES_MAX: usize = 16 << 20;
/// Most elements of one message.
pub const XML_NODES_MAX: usize = 1 << 19;
/// Deepest element of one message; camt.053 goes 14 deep.
pub const XML_DEPTH_MAX: usize = 32;
/// Most attributes of one element; ISO 20022 has one. (Looking for two of a name takes the square of their number.)
pub const XML_ATTRIBUTES_MAX: usize = 16;
/// Most payments in one pain.001.
pub const PAYOUTS_MAX: usize = 10_000;
/// Most pay-outs that are put into one file at once: one command of the single writer. The rest goes into the next.
pub const PAYOUTS_A_FILE: usize = 1_000;
/// Most rows of one report of a rail.
pub const RAIL_ROWS_MAX: usize = 200_000;
/// Largest call with messages of a bank or a rail in it, and largest answer to it, in bytes.
pub const BANK_MESSAGE_MAX: usize = XML_BYTES_MAX + (64 << 10);
/// Files in one comparison with the bank.
pub const RECONCILE_FILES_MAX: usize = 1_000;
/// Breaks of comparisons that are kept; what is found beyond them is told, but not followed.
pub const BREAKS_MAX: usize = 10_000;
/// Facts of a bank that one command of the single writer books.
pub const BANK_FACTS_A_WRITE: usize = 500;
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
/// Most refunds of one payment.
pub const REFUNDS_MAX: u8 = 100;
/// Payments of a customer among which duplicates are looked for.
pub const RECENT_PAYMENTS: usize = 8;
/// Wrong second factors of a customer in a row, after which no more are taken (PSD2's technical standard, article 4,
/// allows five).
pub const WRONG_FACTORS_MAX: u8 = 5;
/// Wrong second factors for one payment.
pub const WRONG_FACTORS_A_PAYMENT: u8 = 3;
/// Second factors that are checked at once: each check takes 19 MiB.
pub const FACTOR_CHECKS: usize = 2;
/// An announced payment waits so long for a palm.
pub const CREATED_FOR: Duration = Duration::from_secs(15 * 60);
/// How often payments whose time is up are looked for.
pub const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// How long a step is left alone that a rail was asked for, by how often nobody could say what became of it: rails
/// answer or time out within the first; after that, twice as long each time, up to ten minutes.
#[must_use]
pub fn rail_pause(unknown: u32) -> Duration {
    match unknown {
        0 => Duration::from_secs(60),
        again => Duration::from_secs(5 << again.min(7).saturating_sub(1)),
    }
    .min(Duration::from_secs(600))
}
/// Messages of the card provider that are taken at once; more wait to be accepted.
pub const WEBHOOKS_MAX: usize = 16;
/// Longest head of such a message, in bytes.
pub const WEBHOOK_HEADERS_MAX: usize = 16 << 10;
/// Time for its head, and for its body.
pub const WEBHOOK_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for all of it: what it is about is asked of the provider meanwhile.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after a connection that could not be accepted, as when there are no more file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
