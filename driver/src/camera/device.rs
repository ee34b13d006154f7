//! One streaming V4L2 device. The only module that names `linuxvideo`; of `rustix` it uses the wait with a deadline.
//!
//! `linuxvideo` and not `v4l`: it needs no libclang, so that whoever builds the driver needs no C tools. It does not
//! list the very first control (Brightness), which is no lamp.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linuxvideo::controls::Cid;
use linuxvideo::format::{FrameSizes, PixFormat, PixelFormat as FourCc};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::decode::{PixelFormat, Raw, decode};
use super::quirks::{Lamp, Quirk};
use crate::burst::frame_len;
use crate::limits::CAMERA_PIXELS_MAX;
use crate::transport::TransportError;

/// Without a quirk: the most faithful first.
const FORMATS: [[u8; 4]; 4] = [*b"GREY", *b"Y16 ", *b"YUYV", *b"MJPG"];
/// V4L2_EXPOSURE_MANUAL.
const EXPOSURE_MANUAL: i32 = 1;
/// V4L2 counts exposures in tenths of a millisecond.
const EXPOSURE_UNIT_US: u32 = 100;

pub(super) struct Source {
    stream: ReadStream,
    /// A second handle for controls, which may be set while frames come.
    controls: Device,
    node: PathBuf,
    format: PixelFormat,
    size: (u32, u32),
    stride: usize,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.node.display())
    }
}

impl Source {
    pub(super) fn open(node: &Path, quirk: &Quirk) -> Result<Self, TransportError> {
        let open = || Device::open(node).map_err(|error| failed(node, &error));
        let device = open()?;
        let (fourcc, format) = choose_format(&device, quirk).ok_or(TransportError::Fault)?;
        let (width, height) = quirk.size.unwrap_or_else(|| choose_size(&device, fourcc));
        let wish = PixFormat::new(width, height, fourcc);
        let capture = device
            .video_capture(wish)
            .map_err(|error| failed(node, &error))?;
        let agreed = capture.format();
        let size = (agreed.width(), agreed.height());
        if agreed.pixel_format() != fourcc || frame_len(size.0, size.1).is_none() {
            tracing::warn!(node = %node.display(), "the camera does not keep to what it lists");
            return Err(TransportError::Fault);
        }
        let stride = match format {
            PixelFormat::Mjpg => 0,
            PixelFormat::Grey | PixelFormat::Y16 { .. } | PixelFormat::Yuyv => {
                usize::try_from(agreed.bytes_per_line()).unwrap_or_default()
            }
        };
        let stream = capture
            .into_stream()
            .map_err(|error| failed(node, &error))?;
        let mut source = Self {
            stream,
            controls: open()?,
            node: node.to_owned(),
            format,
            size,
            stride,
        };
        source.expose(quirk);
        source.lamp(quirk, true)?;
        Ok(source)
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    pub(super) fn format(&self) -> PixelFormat {
        self.format
    }

    /// Waits for a frame; `false` when it came damaged.
    pub(super) fn next(
        &mut self,
        timeout: Duration,
        grey: &mut Vec<u8>,
    ) -> Result<bool, TransportError> {
        let limit = Timespec::try_from(timeout).ok();
        let ready = {
            let mut waiting = [PollFd::new(&self.stream, PollFlags::IN)];
            poll(&mut waiting, limit.as_ref())
        };
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Err(TransportError::TimedOut),
            Ok(_) => {}
            Err(_) => return Err(TransportError::Fault),
        }
        let (format, size, stride) = (self.format, self.size, self.stride);
        let taken = self.stream.dequeue(|frame| {
            let raw = Raw {
                format,
                size,
                stride,
                bytes: &frame,
            };
            Ok(!frame.is_error() && decode(raw, grey).is_ok())
        });
        taken.map_err(|error| failed(&self.node, &error))
    }

    /// Fixes the exposure, where the quirk says so; a camera that does not obey goes on as it likes.
    fn expose(&mut self, quirk: &Quirk) {
        if quirk.exposure_us == 0 {
            return;
        }
        let exposure = i32::try_from(quirk.exposure_us / EXPOSURE_UNIT_US).unwrap_or(i32::MAX);
        let set = self
            .controls
            .write_control_raw(Cid::EXPOSURE_AUTO, EXPOSURE_MANUAL)
            .and_then(|()| {
                self.controls
                    .write_control_raw(Cid::EXPOSURE_ABSOLUTE, exposure.max(1))
            });
        if let Err(error) = set {
            tracing::warn!(%error, node = %self.node.display(), "the camera keeps its own exposure");
        }
    }

    /// Switches a lamp that is behind a V4L2 control.
    pub(super) fn lamp(&mut self, quirk: &Quirk, on: bool) -> Result<(), TransportError> {
        let Some(Lamp::Control(lamp)) = &quirk.lamp else {
            return Ok(());
        };
        let named = self
            .controls
            .controls()
            .flatten()
            .find(|control| control.name() == lamp.name)
            .map(|control| control.id());
        let Some(control) = named else {
            tracing::warn!(name = lamp.name, "the camera has no such control");
            return Err(TransportError::Fault);
        };
        let value = if on { lamp.on } else { lamp.off };
        self.controls
            .write_control_raw(control, value)
            .map_err(|error| failed(&self.node, &error))
    }
}

impl Source {
    /// Whether frames can be captured from this node at all.
    pub(super) fn is_camera(node: &Path) -> bool {
        Device::open(node).is_ok_and(|device| {
            device
                .formats(BufType::VIDEO_CAPTURE)
                .flatten()
                .any(|format| PixelFormat::of(format.pixel_format().as_fourcc(), 16).is_some())
        })
    }
}

fn choose_format(device: &Device, quirk: &Quirk) -> Option<(FourCc, PixelFormat)> {
    let offered: Vec<[u8; 4]> = device
        .formats(BufType::VIDEO_CAPTURE)
        .flatten()
        .map(|format| format.pixel_format().as_fourcc())
        .collect();
    let wanted: Vec<[u8; 4]> = if quirk.formats.is_empty() {
        FORMATS.to_vec()
    } else {
        let letters = quirk.formats.iter().map(String::as_bytes);
        letters.flat_map(<[u8; 4]>::try_from).collect()
    };
    wanted.into_iter().find_map(|fourcc| {
        let format = PixelFormat::of(fourcc, quirk.bits)?;
        let is_offered = offered.contains(&fourcc);
        is_offered.then(|| (FourCc::from_fourcc(fourcc), format))
    })
}

/// The largest size that is not larger than the extractor needs; else VGA, which every camera has.
fn choose_size(device: &Device, fourcc: FourCc) -> (u32, u32) {
    const VGA: (u32, u32) = (640, 480);
    let Ok(FrameSizes::Discrete(sizes)) = device.frame_sizes(fourcc) else {
        return VGA;
    };
    sizes
        .iter()
        .map(|size| (size.width(), size.height()))
        .filter(|(width, height)| width.saturating_mul(*height) <= CAMERA_PIXELS_MAX)
        .max_by_key(|(width, height)| width * height)
        .unwrap_or(VGA)
}

fn failed(node: &Path, error: &io::Error) -> TransportError {
    /// ENODEV, ENXIO: the kernel has taken the device away.
    const GONE: [i32; 2] = [19, 6];
    /// EBUSY.
    const BUSY: i32 = 16;
    tracing::debug!(%error, node = %node.display(), "camera");
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => TransportError::Disconnected,
        (io::ErrorKind::PermissionDenied, _) | (_, Some(BUSY)) => TransportError::Denied,
        (_, Some(code)) if GONE.contains(&code) => TransportError::Disconnected,
        // A stream that was cut off says EIO first: the node tells whether the camera is still there.
        _ if !node.exists() => TransportError::Disconnected,
        _ => TransportError::Fault,
    }
}
