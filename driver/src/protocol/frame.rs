//! The payload of one image frame: 52 bytes that say what it is, then the pixels.

use super::fields::Fields;
use super::ticket::TICKET_LEN;
use super::{ProtocolError, Ticket};
use crate::Wiped;
use crate::burst::{Frame, Light, Shot};

/// Bytes before the pixels.
pub const FRAME_HEADER_LEN: usize = TICKET_LEN + 16;
/// One byte a pixel, grey, row by row from the top left. The only format of version 1.
const FORMAT_GREY8: u8 = 1;

/// One photograph and where it belongs.
#[derive(Debug)]
pub struct ImageFrame {
    /// Its place in the burst, from 0.
    pub index: u8,
    /// Names the capture, and says what it is for.
    pub ticket: Ticket,
    /// The photograph; it carries the shot it answers.
    pub frame: Frame,
}

impl ImageFrame {
    /// Reads a FRAME payload, keeping its buffer.
    ///
    /// # Errors
    /// [`ProtocolError`] names the field.
    pub fn parse(payload: Wiped) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new("FRAME", &payload);
        let ticket = Ticket::parse(&mut fields)?;
        let index = fields.u8("index")?;
        let code = fields.u8("light")?;
        let light =
            Light::from_code(code).ok_or_else(|| fields.unknown("light", u32::from(code)))?;
        let led_mask = fields.u8("LED mask")?;
        let format = fields.u8("format")?;
        if format != FORMAT_GREY8 {
            return Err(fields.unknown("format", u32::from(format)));
        }
        let exposure_us = fields.u32("exposure")?;
        let (width, height) = (fields.u32("width")?, fields.u32("height")?);
        let shot = Shot {
            light,
            led_mask,
            exposure_us,
        };
        let frame = Frame::behind_header(shot, (width, height), payload, FRAME_HEADER_LEN)
            .map_err(|e| ProtocolError::BadDimensions {
                width,
                height,
                pixels: e.pixels,
            })?;
        Ok(Self {
            index,
            ticket,
            frame,
        })
    }
}

/// Writes a FRAME payload.
#[must_use]
pub fn encode_frame(ticket: impl Into<Ticket>, index: u8, frame: &Frame) -> Wiped {
    let shot = frame.shot();
    let mut payload = Vec::with_capacity(FRAME_HEADER_LEN + frame.pixels().len());
    ticket.into().encode(&mut payload);
    payload.extend([index, shot.light.code(), shot.led_mask, FORMAT_GREY8]);
    payload.extend(shot.exposure_us.to_le_bytes());
    payload.extend(frame.width().to_le_bytes());
    payload.extend(frame.height().to_le_bytes());
    payload.extend(frame.pixels());
    Wiped::from(payload)
}

/// Parses arbitrary bytes as a FRAME payload; must not panic.
#[doc(hidden)]
pub fn fuzz_frame(bytes: &[u8]) {
    if let Ok(image) = ImageFrame::parse(Wiped::from(bytes.to_vec())) {
        let again = encode_frame(image.ticket, image.index, &image.frame);
        assert_eq!(
            again.as_slice(),
            bytes,
            "what was decoded encodes to the same bytes"
        );
    }
}
