//! Every bound of this crate, in one place. Lengths in bytes, times in the unit of the type.
//!
//! The wire limits are part of the protocol (`PROTOCOL.md` section 10): changing one is a new
//! protocol version. The host limits are ours alone.

use std::time::Duration;

// Wire.

/// Most pixels of one frame (one byte each): 4 MiB.
pub const FRAME_PIXELS_MAX: usize = 4 << 20;
/// Longest side of a frame, in pixels.
pub const FRAME_SIDE_MAX: u32 = 8192;
/// Most shots of one burst.
pub const SHOTS_MAX: usize = 8;
/// Shortest exposure a plan may ask for, in microseconds.
pub const EXPOSURE_US_MIN: u32 = 10;
/// Longest exposure a plan may ask for, in microseconds: beyond it a hand is never still.
pub const EXPOSURE_US_MAX: u32 = 100_000;
/// Longest that the near infrared LEDs may shine in one burst, in microseconds (`PROTOCOL.md` section 11).
pub const NIR_US_MAX: u32 = 200_000;
/// Longest that the visible LEDs may shine in one burst, in microseconds.
pub const VISIBLE_US_MAX: u32 = 20_000;
/// How long a lit shot counts against what a bank may shine.
pub const LIGHT_WINDOW: Duration = Duration::from_secs(1);
/// Longest payload of a command packet.
pub const COMMAND_PAYLOAD_MAX: usize = 1024;
/// Size of a bulk packet at high speed. A message that is a multiple of it ends with a
/// zero-length packet.
pub const BULK_PACKET_LEN: usize = 512;

// Host.

/// Bytes asked of one bulk IN transfer. One large transfer is faster than many in flight
/// (`1 MiB x 1` measured best on an emulated host controller); a short packet ends it early.
pub const BULK_TRANSFER_LEN: usize = 1 << 20;
/// Bytes the emulated reader moves in one bulk IN transfer: small, so that a frame takes several.
pub const EMULATED_TRANSFER_LEN: usize = 64 << 10;
/// A blocked wait looks at its cancel token this often.
pub const CANCEL_SLICE: Duration = Duration::from_millis(20);
/// Time allowed for a command other than a capture to be answered.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// A reader that has said nothing for so long is asked for a sign of life while events are waited for.
pub const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Longest silence within an answer: a message lost by the reader costs this much, not the whole
/// deadline.
pub const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Time allowed for each rung of the recovery ladder. Not part of a capture's own deadline.
pub const RECOVERY_TIMEOUT: Duration = Duration::from_millis(500);
/// Messages thrown away while looking for the answer that ends a resynchronisation.
pub const RESYNC_MESSAGES_MAX: usize = 64;
/// Attempts at one capture, the first included.
pub const CAPTURE_ATTEMPTS: usize = 2;
/// Bursts whose light is counted apart; beyond, the oldest two count as one.
pub const LIGHT_BURSTS_MAX: usize = 64;
/// How long cancelled USB transfers may take to come back before they are given up.
pub const USB_DRAIN: Duration = Duration::from_millis(100);
/// Bulk reads kept pending: the bus works while the host looks at what came before.
pub const USB_READS: usize = 2;
/// How long a device that is listed but not yet configured, or not yet given to its group by the udev daemon, may take
/// to become usable.
pub const USB_SETTLE: Duration = Duration::from_secs(1);
/// First pause between two attempts to open such a device; later ones are up to eight times as long.
pub const USB_SETTLE_STEP: Duration = Duration::from_millis(20);
/// Time for a standard request (descriptors, configuration, halts).
pub const USB_CONTROL_TIMEOUT: Duration = Duration::from_secs(1);
/// The bus is listed again at least this often, because notices of change do not reach every container.
pub const HOTPLUG_POLL: Duration = Duration::from_millis(500);

// Cameras.

/// Most pixels that a camera is asked for, when it may choose: the extractor sees no more in more.
pub const CAMERA_PIXELS_MAX: u32 = 1280 * 1024;
/// Nodes of cameras that are looked at.
pub const CAMERAS_MAX: usize = 64;
/// A streaming camera that gives no frame for so long is stuck.
pub const CAMERA_SILENCE: Duration = Duration::from_secs(3);
/// Longest quirk file.
pub const QUIRKS_LEN_MAX: usize = 256 << 10;
/// Longest setting of a UVC extension unit.
pub const XU_LEN_MAX: usize = 64;
/// How long a camera may take to come back after its driver was away.
pub const XU_SETTLE: Duration = Duration::from_secs(3);

// Firmware update.

/// Bytes of one block, `wTransferSize` of the functional descriptor.
pub const DFU_BLOCK_LEN: usize = 4096;
/// Longest image: 8 MiB.
pub const FIRMWARE_IMAGE_MAX: u32 = 8 << 20;
/// Time allowed for one request of an update.
pub const DFU_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause that a reader may ask for before the next question.
pub const DFU_POLL_MAX: Duration = Duration::from_secs(5);
/// Questions in a row that may bring nothing forward.
pub const DFU_POLLS_MAX: u32 = 100;
/// How long a reader may take to come back on the bus.
pub const DFU_RETURN: Duration = Duration::from_secs(10);
/// How long after UPDATE a reader obeys DETACH.
pub const DFU_ALLOWED: Duration = Duration::from_secs(10);

// Recordings.

/// Longest recording that is read, in bytes: some sixty bursts.
pub const RECORDING_MAX: usize = 256 << 20;
/// Most entries of a recording.
pub const RECORDING_ENTRIES_MAX: usize = 100_000;

// Emulator.

/// Script lines and host messages an emulated reader keeps waiting while it sleeps.
pub const EMULATOR_INBOX_MAX: usize = 1024;
/// Unread events an emulated reader keeps; the oldest goes first.
pub const EMULATOR_EVENTS_MAX: usize = 64;
/// Faults that may be set on an emulated reader at once.
pub const EMULATOR_FAULTS_MAX: usize = 256;
/// Longest script line.
pub const SCRIPT_LINE_MAX: usize = 4096;
/// Most lines of one script.
pub const SCRIPT_LINES_MAX: usize = EMULATOR_INBOX_MAX;
/// Longest `SLEEP`, in milliseconds: ten minutes.
pub const SCRIPT_SLEEP_MS_MAX: u64 = 600_000;

// Cables.

/// Transfers that wait on one endpoint of a device in software; one more is refused.
pub const URBS_MAX: usize = 64;
/// Longest transfer over a cable.
pub const URB_LEN_MAX: usize = 16 << 20;
/// Most bytes of a configuration descriptor with all that belongs to it.
pub const DESCRIPTORS_MAX: usize = 4096;
/// Longest message that an emulated reader takes; a longer one halts it.
pub const GADGET_MESSAGE_MAX: usize = 64 << 10;
/// A cable asks an emulated device again at least this often.
pub const GADGET_PATIENCE: Duration = Duration::from_millis(100);
