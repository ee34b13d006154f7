//! Every bound and deadline of the till, in one place.

use std::time::Duration;

// Waiting for people.

/// How long a payment waits for a hand before it times out.
pub const HAND_WAIT: Duration = Duration::from_secs(20);
/// How long an enrolment waits for the next step before everything typed and captured is wiped.
pub const ENROLMENT_IDLE: Duration = Duration::from_secs(75);
/// How long a result stays on the screens before they go back to the start.
pub const RESULT_SHOWN: Duration = Duration::from_secs(60);
/// The screens show the seconds left once there are no more than this many.
pub const COUNTDOWN_FROM: Duration = Duration::from_secs(15);

// Waiting for the service.

/// Time to reach the service: TCP and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the setup, a report or a lookup to be answered.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a payment to be answered before its outcome counts as unknown.
pub const AUTHORISE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for an enrolment to be answered; sending it again is safe.
pub const ENROL_TIMEOUT: Duration = Duration::from_secs(20);
/// An HTTP/2 connection without traffic is probed this often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long after its capture a request may still be sent again. Afterwards the person may have
/// left, so the till only asks what became of it.
pub const RESEND_WINDOW: Duration = Duration::from_secs(30);
/// First pause before an unknown outcome is asked for again; doubles up to [`CHECK_PAUSE_MAX`].
pub const CHECK_PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause between two questions about an unknown outcome.
pub const CHECK_PAUSE_MAX: Duration = Duration::from_secs(4);
/// Pause between two attempts to fetch the setup or to report the reader.
pub const SETUP_PAUSE: Duration = Duration::from_secs(1);
/// The setup is fetched anew this often, so that the pages do not claim a connection that is gone.
pub const SETUP_REFRESH: Duration = Duration::from_secs(15);
/// Attempts to send one enrolment before the person is told.
pub const ENROL_ATTEMPTS: u32 = 3;

// The reader.

/// Time for one burst: exposures, transfer, one repeat.
pub const CAPTURE_TIMEOUT: Duration = Duration::from_secs(3);
/// One wait for a reader event; orders are looked at in between.
pub const READER_SLICE: Duration = Duration::from_millis(25);
/// Orders that may wait for the reader thread.
pub const ORDERS_MAX: usize = 16;
/// Pieces of news that may wait for the till's task.
pub const NEWS_MAX: usize = 64;
/// Pause before a capture is repeated while the hand stays badly placed.
pub const REPEAT_PAUSE: Duration = Duration::from_millis(250);

// The application.

/// How often deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(100);
/// Commands of the pages that may wait.
pub const COMMANDS_MAX: usize = 16;
/// Answers of the service that may wait.
pub const ANSWERS_MAX: usize = 16;
/// Captures needed of one palm.
pub const SAMPLES_PER_PALM: u8 = 3;

// The pages.

/// Longest body of a command, in bytes.
pub const BODY_MAX: usize = 4096;
/// Event streams open at once; more are refused.
pub const STREAMS_MAX: usize = 16;
/// A silent event stream says something this often, so that a dead one is noticed.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(10);

// Files.

/// Longest configuration file, in bytes.
pub const CONFIG_MAX: u64 = 64 << 10;
/// Longest journal; beyond it the till refuses to start rather than read it.
pub const JOURNAL_MAX: u64 = 1 << 20;
/// The journal is emptied when nothing is open and it has grown to this many bytes.
pub const JOURNAL_COMPACT: u64 = 64 << 10;
/// A second factor or the cashier's word is waited for so long: less than the service's own 180 seconds.
pub const STEP_UP_WAIT: Duration = Duration::from_secs(150);

// Without the service.

/// Palms that are remembered from payments here.
pub const OFFLINE_SEEN: usize = 256;
/// Least similarity to a remembered palm: above what the service asks for, as nobody checks it until later.
pub const OFFLINE_SIMILARITY_MIN: f32 = 0.70;
/// Least lead over every other person remembered.
pub const OFFLINE_MARGIN_MIN: f32 = 0.06;
/// Longest file of payments accepted without the service, in bytes: about 1,000 of them.
pub const OFFLINE_FILE_MAX: u64 = 2 << 20;
