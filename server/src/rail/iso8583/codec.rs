//! Messages as bytes: type, bitmap, fields in the order of their numbers.
//!
//! Three layouts are spoken, see [`Encoding`]. Reading is bounded by the message: every length is checked against what
//! is there, no field is longer than the standard says, and nothing may be left over.

use super::message::{Message, Mti, Shape, is_of_a_card, shape};
use crate::config::rails::Encoding;

/// Longest message, in bytes.
pub const MESSAGE_MAX: usize = 4096;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codec {
    /// The layout.
    pub encoding: Encoding,
    /// Whether field 39 is packed where numbers are.
    pub response_code_packed: bool,
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It ends in the middle of a field, or is longer than [`MESSAGE_MAX`].
    #[error("a message that ends too early or is too long: check rails.iso8583.encoding")]
    Length,
    /// The type, the bitmap, a length or a number is not written with digits.
    #[error(
        "a message with other characters than digits where digits stand: check rails.iso8583.encoding"
    )]
    Digits,
    /// A text with control or non-ASCII characters.
    #[error("a message with other than printable characters in field {0}")]
    Text(u8),
    /// The bitmap names a field that the standard does not define.
    #[error("a message with field {0}, which ISO 8583:1987 does not define")]
    Field(u8),
    /// Bytes are left over after the last field.
    #[error("a message with bytes after its last field: check rails.iso8583.encoding")]
    Trailing,
}

/// Why a message cannot be written: a field that does not fit its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {0} does not fit")]
pub struct EncodeError(pub u8);

impl Codec {
    const fn is_packed(self) -> bool {
        matches!(self.encoding, Encoding::Packed)
    }

    fn shape(self, number: u8) -> Option<Shape> {
        match shape(number) {
            Some(Shape::Text(2)) if number == 39 && self.response_code_packed => {
                Some(Shape::Digits(2))
            }
            shape => shape,
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// [`EncodeError`] names the field.
    pub fn encode(self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(256);
        self.put_digits(&mut out, &message.mti.to_string());
        let mut bitmap = [0_u8; 16];
        for (number, _) in message.fields() {
            set_bit(&mut bitmap, number);
        }
        let has_second = bitmap[8..].iter().any(|byte| *byte != 0);
        if has_second {
            set_bit(&mut bitmap, 1);
        }
        let bitmap = &bitmap[..if has_second { 16 } else { 8 }];
        if self.encoding == Encoding::AsciiHex {
            for byte in bitmap {
                out.extend_from_slice(format!("{byte:02X}").as_bytes());
            }
        } else {
            out.extend_from_slice(bitmap);
        }
        for (number, value) in message.fields() {
            self.put(&mut out, number, value)
                .ok_or(EncodeError(number))?;
        }
        (out.len() <= MESSAGE_MAX)
            .then_some(out)
            .ok_or(EncodeError(0))
    }

    fn put(self, out: &mut Vec<u8>, number: u8, value: &str) -> Option<()> {
        let is_digits = value.bytes().all(|c| c.is_ascii_digit());
        let is_text = value.bytes().all(is_printable);
        match self.shape(number)? {
            Shape::Digits(length) if is_digits && value.len() <= length => {
                self.put_digits(out, &format!("{value:0>length$}"));
            }
            Shape::Text(length) if is_text && value.len() <= length => {
                out.extend_from_slice(format!("{value:<length$}").as_bytes());
            }
            Shape::Digits2(most) if is_digits && value.len() <= most => {
                self.put_digits(out, &format!("{:02}", value.len()));
                self.put_digits(out, value);
            }
            Shape::Text2(most) if is_text && value.len() <= most => {
                self.put_digits(out, &format!("{:02}", value.len()));
                out.extend_from_slice(value.as_bytes());
            }
            Shape::Text3(most) if is_text && value.len() <= most => {
                self.put_digits(out, &format!("{:03}", value.len()));
                out.extend_from_slice(value.as_bytes());
            }
            // Bytes and stripes are read over, never written.
            _ => return None,
        }
        Some(())
    }

    /// Digits as characters, or two a byte with a zero before an odd number of them.
    fn put_digits(self, out: &mut Vec<u8>, digits: &str) {
        if !self.is_packed() {
            out.extend_from_slice(digits.as_bytes());
            return;
        }
        let mut nibbles = Vec::with_capacity(digits.len() + 1);
        if digits.len() % 2 == 1 {
            nibbles.push(0);
        }
        nibbles.extend(digits.bytes().map(|c| c - b'0'));
        out.extend(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }

    /// Reads a message; the whole of `bytes` is one.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(self, bytes: &[u8]) -> Result<Message, DecodeError> {
        if bytes.len() > MESSAGE_MAX {
            return Err(DecodeError::Length);
        }
        let mut rest = bytes;
        let mti = self.take_digits(&mut rest, 4)?;
        let mti = u16::from_str_radix(&mti, 16).map_err(|_| DecodeError::Digits)?;
        let mut message = Message::new(Mti(mti));
        let bitmap = self.take_bitmap(&mut rest)?;
        for number in 2..=128 {
            if !has_bit(&bitmap, number) {
                continue;
            }
            let shape = self.shape(number).ok_or(DecodeError::Field(number))?;
            if let Some(value) = self.take_field(&mut rest, number, shape)? {
                message.set(number, value);
            }
        }
        if rest.is_empty() {
            Ok(message)
        } else {
            Err(DecodeError::Trailing)
        }
    }

    fn take_bitmap(self, rest: &mut &[u8]) -> Result<[u8; 16], DecodeError> {
        let mut bitmap = [0; 16];
        let (first, second) = bitmap.split_at_mut(8);
        self.take_half(rest, first)?;
        if first[0] & 0x80 != 0 {
            self.take_half(rest, second)?;
        }
        Ok(bitmap)
    }

    fn take_half(self, rest: &mut &[u8], half: &mut [u8]) -> Result<(), DecodeError> {
        if self.encoding != Encoding::AsciiHex {
            half.copy_from_slice(take(rest, 8)?);
            return Ok(());
        }
        let hex = take(rest, 16)?;
        for (byte, pair) in half.iter_mut().zip(hex.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| DecodeError::Digits)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| DecodeError::Digits)?;
        }
        Ok(())
    }

    /// A field's text; `None` for one that is read over.
    fn take_field(
        self,
        rest: &mut &[u8],
        number: u8,
        shape: Shape,
    ) -> Result<Option<String>, DecodeError> {
        let value = match shape {
            Shape::Digits(length) => self.take_digits(rest, length)?,
            Shape::Text(length) => text(take(rest, length)?, number)?,
            Shape::Digits2(most) => {
                let length = self.take_length(rest, 2, most)?;
                self.take_digits(rest, length)?
            }
            Shape::Text2(most) => {
                let length = self.take_length(rest, 2, most)?;
                text(take(rest, length)?, number)?
            }
            Shape::Text3(most) => {
                let length = self.take_length(rest, 3, most)?;
                text(take(rest, length)?, number)?
            }
            Shape::Bytes(length) => {
                self.pass_bytes(rest, length)?;
                return Ok(None);
            }
            Shape::Bytes3(most) => {
                // Counts hex digits where bytes are written so.
                let most = if self.encoding == Encoding::AsciiHex {
                    most * 2
                } else {
                    most
                };
                let length = self.take_length(rest, 3, most)?;
                take(rest, length)?;
                return Ok(None);
            }
            Shape::Track(digits, most) => {
                let length = self.take_length(rest, digits, most)?;
                let bytes = if self.is_packed() {
                    length.div_ceil(2)
                } else {
                    length
                };
                take(rest, bytes)?;
                return Ok(None);
            }
        };
        Ok((!is_of_a_card(number)).then_some(value))
    }

    fn pass_bytes(self, rest: &mut &[u8], length: usize) -> Result<(), DecodeError> {
        let is_hex = self.encoding == Encoding::AsciiHex;
        take(rest, if is_hex { length * 2 } else { length })?;
        Ok(())
    }

    fn take_length(
        self,
        rest: &mut &[u8],
        digits: usize,
        most: usize,
    ) -> Result<usize, DecodeError> {
        let length = self.take_digits(rest, digits)?;
        let length: usize = length.parse().map_err(|_| DecodeError::Digits)?;
        (length <= most)
            .then_some(length)
            .ok_or(DecodeError::Length)
    }

    fn take_digits(self, rest: &mut &[u8], count: usize) -> Result<String, DecodeError> {
        let digits: Vec<u8> = if self.is_packed() {
            let bytes = take(rest, count.div_ceil(2))?;
            let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            nibbles.skip(count % 2).map(|n| n + b'0').collect()
        } else {
            take(rest, count)?.to_vec()
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(DecodeError::Digits);
        }
        String::from_utf8(digits).map_err(|_| DecodeError::Digits)
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, left) = rest.split_at_checked(count).ok_or(DecodeError::Length)?;
    *rest = left;
    Ok(taken)
}

fn text(bytes: &[u8], number: u8) -> Result<String, DecodeError> {
    if !bytes.iter().copied().all(is_printable) {
        return Err(DecodeError::Text(number));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Text(number))?;
    Ok(text.trim_end_matches(' ').to_owned())
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Field 1 is the highest bit of the first byte.
fn set_bit(bitmap: &mut [u8; 16], number: u8) {
    let at = usize::from(number - 1);
    bitmap[at / 8] |= 0x80 >> (at % 8);
}

fn has_bit(bitmap: &[u8; 16], number: u8) -> bool {
    let at = usize::from(number - 1);
    bitmap[at / 8] & (0x80 >> (at % 8)) != 0
}

/// Reads any bytes as a message, in every layout; nothing may panic, and what was read is written and read as the same.
#[doc(hidden)]
pub fn fuzz_message(bytes: &[u8]) {
    for encoding in [Encoding::Ascii, Encoding::AsciiHex, Encoding::Packed] {
        for response_code_packed in [false, true] {
            let codec = Codec {
                encoding,
                response_code_packed,
            };
            let Ok(message) = codec.decode(bytes) else {
                continue;
            };
            if let Ok(written) = codec.encode(&message) {
                assert_eq!(codec.decode(&written), Ok(message));
            }
        }
    }
}
