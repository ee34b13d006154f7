//! An emulated UVC camera: one bulk endpoint, GREY and MJPG, and an extension unit with one control that is its lamp.
//!
//! UVC 1.1 ("Universal Serial Bus Device Class Definition for Video Devices"), as little of it as Linux' `uvcvideo`
//! asks for: a camera terminal, the unit, an output terminal; PROBE and COMMIT; payloads with a header of two bytes.

use palm_driver::Wiped;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palm_driver::Bell;
use palm_driver::picture::jpeg_of_grey;
use palm_driver::usbip::descriptors::{
    BULK, BUS_POWERED, Descriptors, configured, device, endpoint, interface,
};
use palm_driver::usbip::gadget::{Gadget, Outcome, Refusal, Setup};
/// USB id of the emulated camera.
pub(crate) const ID: (u16, u16) = (0x1209, 0x0002);
/// Columns and rows of its one frame size.
pub(crate) const SIZE: (u32, u32) = (320, 240);
/// Grey of the view without and with the hand, and of the lamp's share.
pub(crate) const GROUND: u8 = 40;
/// Grey of the hand under the lamp; without it half of that.
pub(crate) const HAND: u8 = 200;
/// Number of the extension unit and of its control.
pub(crate) const UNIT: (u8, u8) = (4, 6);

const STREAM: u8 = 0x81;
const FRAME_LEN: u32 = SIZE.0 * SIZE.1;
/// Header and pictures of a payload: one transfer.
const PAYLOAD_MAX: u32 = 16 << 10;
/// 30 frames a second, in 100 ns.
const INTERVAL: u32 = 333_333;

/// What happens before the camera.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) hand: AtomicBool,
    pub(crate) lamp: AtomicU8,
    plugged: AtomicBool,
    bell: Mutex<Option<Arc<Bell>>>,
}

impl Scene {
    pub(crate) fn unplug(&self) {
        self.plugged.store(false, Ordering::SeqCst);
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bell.as_ref() {
            bell.ring();
        }
    }

    /// The picture as it is now.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let (width, height) = SIZE;
        let hand = if self.lamp.load(Ordering::SeqCst) == 0 {
            HAND / 2
        } else {
            HAND
        };
        let is_there = self.hand.load(Ordering::SeqCst);
        let pixel = |at: u32| {
            let (x, y) = (at % width, at / width);
            let inside = x.abs_diff(width / 2) < 110 && y.abs_diff(height / 2) < 100;
            if is_there && inside { hand } else { GROUND }
        };
        (0..width * height).map(pixel).collect()
    }
}

/// One plugging-in of the camera.
#[derive(Debug)]
pub(crate) struct Camera {
    scene: Arc<Scene>,
    descriptors: Descriptors,
    bell: Arc<Bell>,
    /// What PROBE and COMMIT agreed on.
    agreed: [u8; 34],
    streaming: bool,
    frame: Vec<u8>,
    sent: usize,
    odd: bool,
}

impl Camera {
    pub(crate) fn new(scene: &Arc<Scene>) -> Self {
        let bell = Arc::new(Bell::new());
        scene.plugged.store(true, Ordering::SeqCst);
        *scene.bell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&bell));
        Self {
            scene: Arc::clone(scene),
            descriptors: descriptors(),
            bell,
            agreed: agreement(1),
            streaming: false,
            frame: Vec::new(),
            sent: 0,
            odd: false,
        }
    }

    fn is_jpeg(&self) -> bool {
        self.agreed[2] == 2
    }

    /// The next payload: header, then a piece of the frame.
    fn payload(&mut self) -> Vec<u8> {
        if self.frame.is_empty() {
            let picture = self.scene.picture();
            self.frame = if self.is_jpeg() {
                jpeg_of_grey(&picture, SIZE).unwrap_or_default()
            } else {
                picture
            };
            self.odd = !self.odd;
        }
        let room = usize::try_from(PAYLOAD_MAX).unwrap_or_default() - 2;
        let rest = self.frame.get(self.sent..).unwrap_or_default();
        let piece = rest.get(..room).unwrap_or(rest);
        let is_last = piece.len() == rest.len();
        let flags = 0x80 | u8::from(self.odd) | if is_last { 0x02 } else { 0 };
        let payload = [&[2, flags][..], piece].concat();
        self.sent += piece.len();
        if is_last {
            (self.frame, self.sent) = (Vec::new(), 0);
        }
        payload
    }

    fn unit(&self, setup: Setup, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        if setup.value.to_be_bytes()[0] != UNIT.1 {
            return Err(Refusal::Stall);
        }
        match setup.request {
            0x01 => {
                self.scene
                    .lamp
                    .store(data.first().copied().unwrap_or_default(), Ordering::SeqCst);
                Ok(Vec::new())
            }
            0x81 => Ok(vec![self.scene.lamp.load(Ordering::SeqCst), 0, 0, 0]),
            0x82 | 0x84 | 0x87 => Ok(vec![0; 4]),
            0x83 => Ok(vec![0xff; 4]),
            0x85 => Ok(vec![4, 0]),
            0x86 => Ok(vec![3]),
            _ => Err(Refusal::Stall),
        }
    }

    /// PROBE and COMMIT.
    fn stream_control(&mut self, setup: Setup, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        match (setup.request, setup.value.to_be_bytes()[0]) {
            (0x01, control @ (1 | 2)) => {
                self.agreed = agreement(data.get(2).copied().unwrap_or(1).clamp(1, 2));
                if control == 2 {
                    (self.frame, self.sent) = (Vec::new(), 0);
                    self.streaming = true;
                }
                Ok(Vec::new())
            }
            (0x81..=0x84 | 0x87, 1 | 2) => Ok(self.agreed.to_vec()),
            (0x85, 1 | 2) => Ok(vec![34, 0]),
            (0x86, 1 | 2) => Ok(vec![3]),
            _ => Err(Refusal::Stall),
        }
    }
}

impl Gadget for Camera {
    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: Setup, data: &[u8]) -> Outcome<Vec<u8>> {
        let [entity, interface] = setup.index.to_be_bytes();
        Some(match (setup.request_type & 0x7f, interface, entity) {
            (0x21, 0, entity) if entity == UNIT.0 => self.unit(setup, data),
            (0x21, 1, 0) => self.stream_control(setup, data),
            _ => Err(Refusal::Stall),
        })
    }

    fn input(&mut self, endpoint: u8, room: usize) -> Outcome<Wiped> {
        if endpoint != STREAM {
            return Some(Err(Refusal::Stall));
        }
        if !self.streaming {
            return None;
        }
        let payload = self.payload();
        if payload.len() > room {
            return Some(Err(Refusal::Overflow));
        }
        Some(Ok(Wiped::from(payload)))
    }

    fn output(&mut self, _endpoint: u8, _data: &[u8]) -> Outcome<()> {
        Some(Err(Refusal::Stall))
    }

    /// Hosts say so when they stop a bulk stream.
    fn clear_halt(&mut self, endpoint: u8) {
        if endpoint == STREAM {
            self.streaming = false;
            (self.frame, self.sent) = (Vec::new(), 0);
        }
    }

    fn restart(&mut self) {
        self.streaming = false;
        (self.frame, self.sent) = (Vec::new(), 0);
    }

    fn is_plugged(&self) -> bool {
        self.scene.plugged.load(Ordering::SeqCst)
    }

    fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// `bmHint` to `dwMaxPayloadTransferSize` and what UVC 1.1 adds.
fn agreement(format: u8) -> [u8; 34] {
    let mut bytes = [0; 34];
    bytes[2] = format;
    bytes[3] = 1;
    bytes[4..8].copy_from_slice(&INTERVAL.to_le_bytes());
    bytes[18..22].copy_from_slice(&FRAME_LEN.to_le_bytes());
    bytes[22..26].copy_from_slice(&PAYLOAD_MAX.to_le_bytes());
    bytes[26..30].copy_from_slice(&30_000_000_u32.to_le_bytes());
    bytes
}

fn descriptors() -> Descriptors {
    let mut parts = vec![8, 11, 0, 2, 0x0e, 3, 0, 0]; // the two interfaces are one function
    parts.extend(interface(0, 0, [0x0e, 1, 0]));
    parts.extend(video_control());
    parts.extend(interface(1, 1, [0x0e, 2, 0]));
    parts.extend(video_stream());
    parts.extend(endpoint(STREAM, BULK, 512, 0));
    Descriptors {
        device: device(ID.0, ID.1, [0xef, 2, 1]),
        configuration: configured(2, BUS_POWERED, 500, &parts),
        bos: Vec::new(),
        ms_os: Vec::new(),
        strings: vec![
            "OpenPalm".to_owned(),
            "Emulated camera".to_owned(),
            "CAM-1".to_owned(),
        ],
    }
}

/// Camera 1 -> unit 4 -> output 3.
fn video_control() -> Vec<u8> {
    let camera = [
        18, 0x24, 2, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0,
    ];
    // A code of our own; selector 6 is bit 5.
    let code = *b"OpenPalm test XU";
    let unit = [
        &[26, 0x24, 6, UNIT.0][..],
        &code,
        &[1, 1, 1, 1, 1 << (UNIT.1 - 1), 0],
    ]
    .concat();
    let output = [9, 0x24, 3, 3, 0x01, 0x01, 0, UNIT.0, 0];
    let total = u16::try_from(13 + camera.len() + unit.len() + output.len()).unwrap_or_default();
    let [low, high] = total.to_le_bytes();
    let mut bytes = vec![13, 0x24, 1, 0x10, 0x01, low, high];
    bytes.extend(48_000_000_u32.to_le_bytes());
    bytes.extend([1, 1]);
    bytes.extend(camera);
    bytes.extend(unit);
    bytes.extend(output);
    bytes
}

/// Format 1 GREY (by its code Y800), format 2 MJPG; one frame each.
fn video_stream() -> Vec<u8> {
    let grey_code = [
        b'Y', b'8', b'0', b'0', 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71,
    ];
    let grey = [&[27, 0x24, 4, 1, 1][..], &grey_code, &[8, 1, 0, 0, 0, 0]].concat();
    let jpeg = [11, 0x24, 6, 2, 1, 1, 1, 0, 0, 0, 0];
    let formats = [grey, frame(5), jpeg.to_vec(), frame(7)].concat();
    let total = u16::try_from(15 + formats.len()).unwrap_or_default();
    let [low, high] = total.to_le_bytes();
    let mut bytes = vec![15, 0x24, 1, 2, low, high, STREAM, 0, 3, 0, 0, 0, 1, 0, 0];
    bytes.extend(formats);
    bytes
}

fn frame(kind: u8) -> Vec<u8> {
    let side = |side: u32| u16::try_from(side).unwrap_or_default().to_le_bytes();
    let mut bytes = vec![30, 0x24, kind, 1, 0];
    bytes.extend(side(SIZE.0));
    bytes.extend(side(SIZE.1));
    bytes.extend([FRAME_LEN * 8 * 30; 2].map(u32::to_le_bytes).concat());
    bytes.extend(FRAME_LEN.to_le_bytes());
    bytes.extend(INTERVAL.to_le_bytes());
    bytes.push(1);
    bytes.extend(INTERVAL.to_le_bytes());
    bytes
}
