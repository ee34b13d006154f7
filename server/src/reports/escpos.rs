//! A document as bytes for a receipt printer: Epson's ESC/POS, which the others follow. The one file that names the
//! crate for character sets.
//!
//! Used: `ESC @` initialise, `ESC R` international set, `FS &` / `FS .` double-byte characters on / off, `ESC a`
//! justify (for the code only), `ESC E` emphasis, `GS !` size, `FS W` double-byte size, `GS ( k` QR code (functions
//! 165, 167, 169, 180, 181), `GS V 66` feed and cut. Source: Epson's ESC/POS command reference, which Bixolon's and
//! HPRT's manuals repeat for `GS ( k`.
//!
//! Text is laid out in columns and filled with spaces: what is printed is the text of [`Roll::text`], apart from the
//! double size of the total and the code.

use encoding_rs::EUC_KR;

use super::{
    columns::{Width, width, width_of},
    roll::{Columns, Medium, Piece, Roll, Weight, lay_out},
};

const ESC: u8 = 0x1b;
const FS: u8 = 0x1c;
const GS: u8 = 0x1d;
/// Side of one module of the code, in dots: 4 makes a code of 33 modules 17 mm wide at 203 dots an inch.
const MODULE_DOTS: u8 = 4;
/// Most characters of a code that [`print`] takes; far below what a QR code holds.
const CODE_LEN_MAX: usize = 256;

/// Which characters the printer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Printable ASCII.
    Ascii,
    /// Korean: Windows' code page 949, with all 11,172 modern syllables.
    Cp949,
    /// Korean: KS X 1001, with the 2,350 usual syllables.
    KsX1001,
}

impl Charset {
    /// The bytes of a character: as many as the columns it takes. One that the printer does not have becomes as many
    /// question marks as it would have taken columns.
    fn bytes(self, c: char) -> Printed {
        if c == ' ' || c.is_ascii_graphic() {
            // ASCII is itself in all three.
            return Printed::of(&[u8::try_from(c).unwrap_or(b'?')]);
        }
        let mut buffer = [0; 4];
        let (bytes, _, is_missing) = EUC_KR.encode(c.encode_utf8(&mut buffer));
        let is_printable = !is_missing
            && match self {
                Self::Ascii => false,
                Self::Cp949 => bytes.len() == 2,
                Self::KsX1001 => bytes.len() == 2 && bytes.iter().all(|byte| *byte >= 0xa1),
            };
        if is_printable {
            Printed::of(&bytes)
        } else {
            Printed::of(b"??".get(..width_of(c)).unwrap_or(b"??"))
        }
    }

    fn medium(self) -> Medium {
        let width: Width = match self {
            Self::Ascii => |c| Self::Ascii.bytes(c).as_slice().len(),
            Self::Cp949 => |c| Self::Cp949.bytes(c).as_slice().len(),
            Self::KsX1001 => |c| Self::KsX1001.bytes(c).as_slice().len(),
        };
        Medium {
            width,
            widens: true,
        }
    }
}

/// None, one or two bytes.
struct Printed {
    bytes: [u8; 2],
    count: usize,
}

impl Printed {
    fn of(from: &[u8]) -> Self {
        let mut bytes = [b'?'; 2];
        bytes
            .iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = *from);
        Self {
            bytes,
            count: from.len().min(2),
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or(&self.bytes)
    }
}

/// The bytes that print a document, up to the cut.
#[must_use]
pub fn print(roll: &Roll, columns: Columns, charset: Charset) -> Vec<u8> {
    let medium = charset.medium();
    let mut out = vec![ESC, b'@'];
    match charset {
        Charset::Ascii => out.extend_from_slice(&[ESC, b'R', 0, FS, b'.']),
        Charset::Cp949 | Charset::KsX1001 => out.extend_from_slice(&[ESC, b'R', 13, FS, b'&']),
    }
    for piece in roll.pieces() {
        let weight = match piece {
            Piece::Blank | Piece::Rule | Piece::Text(_) => Weight::Plain,
            Piece::Centre(_, weight) | Piece::Pair(_, _, weight) => *weight,
            Piece::Code(text) => {
                code(text, &mut out);
                continue;
            }
        };
        set_weight(weight, true, charset, &mut out);
        for line in lay_out(piece, columns.count(), medium) {
            let line = line.trim_end();
            let fits = width(line, medium.width).saturating_mul(weight.factor()) <= columns.count();
            assert!(fits, "a line was laid out wider than the paper");
            line.chars()
                .for_each(|c| out.extend_from_slice(charset.bytes(c).as_slice()));
            out.push(b'\n');
        }
        set_weight(weight, false, charset, &mut out);
    }
    out.extend_from_slice(&[GS, b'V', 66, 0]);
    out
}

fn set_weight(weight: Weight, on: bool, charset: Charset, out: &mut Vec<u8>) {
    match weight {
        Weight::Plain => {}
        Weight::Strong => out.extend_from_slice(&[ESC, b'E', u8::from(on)]),
        Weight::Double => {
            let size = if on { 0x11 } else { 0x00 };
            out.extend_from_slice(&[ESC, b'E', u8::from(on), GS, b'!', size]);
            // Older printers take the size of double-byte characters from here only.
            if charset != Charset::Ascii {
                out.extend_from_slice(&[FS, b'W', u8::from(on)]);
            }
        }
    }
}

/// A QR code in the middle: model 2, correction level M.
fn code(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let length = bytes
        .len()
        .checked_add(3)
        .and_then(|length| u16::try_from(length).ok());
    let length = length.filter(|_| bytes.is_ascii() && bytes.len() <= CODE_LEN_MAX);
    let [low, high] = length
        .expect("invariant: only ids of ours are put into a code")
        .to_le_bytes();
    out.extend_from_slice(&[ESC, b'a', 1]);
    out.extend_from_slice(&[GS, b'(', b'k', 4, 0, 49, 65, 50, 0]);
    out.extend_from_slice(&[GS, b'(', b'k', 3, 0, 49, 67, MODULE_DOTS]);
    out.extend_from_slice(&[GS, b'(', b'k', 3, 0, 49, 69, 49]);
    out.extend_from_slice(&[GS, b'(', b'k', low, high, 49, 80, 48]);
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[GS, b'(', b'k', 3, 0, 49, 81, 48]);
    out.extend_from_slice(&[b'\n', ESC, b'a', 0]);
}

#[cfg(test)]
pub(super) mod tests;
