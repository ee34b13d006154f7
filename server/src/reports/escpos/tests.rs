//! A printer in words: what the bytes would put on paper, and how.

use encoding_rs::EUC_KR;
use proptest::prelude::*;

use super::*;
use crate::reports::columns::clean;

/// A line of paper.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::reports) struct Printed {
    pub(in crate::reports) text: String,
    pub(in crate::reports) is_strong: bool,
    pub(in crate::reports) is_double: bool,
}

/// What the printer's state is, and what it has printed.
#[derive(Debug, Default)]
pub(in crate::reports) struct Printer {
    is_strong: bool,
    is_double: bool,
    is_double_byte: bool,
    stored: Vec<u8>,
    line: Printed,
    pub(in crate::reports) lines: Vec<Printed>,
    pub(in crate::reports) cuts: usize,
}

impl Printer {
    /// Runs the bytes; panics at one that is no command it knows.
    pub(in crate::reports) fn run(bytes: &[u8]) -> Self {
        let mut printer = Self::default();
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            rest = match *first {
                ESC | FS | GS => printer.command(rest),
                b'\n' => {
                    printer.lines.push(std::mem::take(&mut printer.line));
                    after
                }
                0x20..=0x7e => printer.put(rest, 1),
                0x81.. => {
                    assert!(
                        printer.is_double_byte,
                        "a double-byte character in single-byte mode"
                    );
                    printer.put(rest, 2)
                }
                other => panic!("byte {other:#04x} is nothing to print"),
            };
        }
        assert_eq!(printer.line, Printed::default(), "an unfinished line");
        printer
    }

    fn put<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        let (character, rest) = bytes.split_at(count);
        let (text, _, is_wrong) = EUC_KR.decode(character);
        assert!(!is_wrong, "{character:02x?} is no character");
        self.line.text.push_str(&text);
        self.line.is_strong |= self.is_strong;
        self.line.is_double |= self.is_double;
        rest
    }

    fn command<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes {
            [ESC, b'@', rest @ ..] => {
                *self = Self {
                    lines: std::mem::take(&mut self.lines),
                    ..Self::default()
                };
                rest
            }
            [ESC, b'R', 0 | 13, rest @ ..] | [ESC, b'a', 0 | 1, rest @ ..] => rest,
            [FS, b'&', rest @ ..] => {
                self.is_double_byte = true;
                rest
            }
            [FS, b'.', rest @ ..] => rest,
            [ESC, b'E', on @ (0 | 1), rest @ ..] => {
                self.is_strong = *on == 1;
                rest
            }
            [GS, b'!', size @ (0 | 0x11), rest @ ..] => {
                self.is_double = *size != 0;
                rest
            }
            [FS, b'W', on @ (0 | 1), rest @ ..] => {
                assert_eq!(self.is_double, *on == 1, "both sizes change together");
                rest
            }
            [GS, b'(', b'k', low, high, rest @ ..] => {
                let length = usize::from(u16::from_le_bytes([*low, *high]));
                let (function, rest) = rest.split_at(length);
                self.code(function);
                rest
            }
            [GS, b'V', 66, 0, rest @ ..] => {
                self.cuts += 1;
                rest
            }
            other => panic!("{:02x?} is no command", &other[..other.len().min(8)]),
        }
    }

    fn code(&mut self, function: &[u8]) {
        match function {
            [49, 65, 50, 0] | [49, 67, 1..=16] | [49, 69, 48..=51] => {}
            [49, 80, 48, data @ ..] => self.stored = data.to_vec(),
            [49, 81, 48] => {
                assert_eq!(
                    self.line,
                    Printed::default(),
                    "a code is printed at the beginning of a line"
                );
                let data = String::from_utf8(self.stored.clone()).unwrap();
                self.line.text = format!("[QR {data}]");
            }
            other => panic!("{other:02x?} is no function of a QR code"),
        }
    }
}

#[test]
fn a_character_of_the_korean_set_is_as_wide_as_its_bytes() {
    let mut seen = 0;
    for c in '\u{a0}'..='\u{ffff}' {
        let mut buffer = [0; 4];
        let (bytes, _, is_missing) = EUC_KR.encode(c.encode_utf8(&mut buffer));
        if !is_missing && clean(&c.to_string()) == c.to_string() {
            assert_eq!(
                Charset::Cp949.bytes(c).as_slice(),
                &*bytes,
                "{c} U+{:04X}",
                u32::from(c)
            );
            seen += 1;
        }
    }
    assert!(
        seen > 17_000,
        "code page 949 has 17,048 characters of two bytes: {seen}"
    );
}

#[test]
fn what_the_printer_does_not_have_keeps_its_room() {
    let encoded = |text: &str, charset: Charset| {
        let bytes = text.chars().map(|c| charset.bytes(c).as_slice().to_vec());
        bytes.collect::<Vec<_>>().concat()
    };
    assert_eq!(encoded("펲 x", Charset::Cp949), [0xbc, 0x84, b' ', b'x']);
    assert_eq!(encoded("펲 x", Charset::KsX1001), *b"?? x");
    assert_eq!(encoded("가 x", Charset::KsX1001), [0xb0, 0xa1, b' ', b'x']);
    assert_eq!(encoded("가 ß😀x", Charset::Ascii), *b"?? ???x");
    assert_eq!(encoded("ßЖ", Charset::KsX1001), [0xa9, 0xac, 0xac, 0xa8]);
}

#[test]
fn a_small_document_is_these_bytes() {
    let mut roll = Roll::default();
    roll.centre("가", Weight::Strong);
    roll.weighted("합계", "1원", Weight::Double);
    roll.code("payments/1");
    let golden = [
        &[ESC, b'@', ESC, b'R', 13, FS, b'&'][..],
        &[ESC, b'E', 1],
        b"               \xb0\xa1\n",
        &[ESC, b'E', 0, ESC, b'E', 1, GS, b'!', 0x11, FS, b'W', 1],
        b"\xc7\xd5\xb0\xe8         1\xbf\xf8\n",
        &[ESC, b'E', 0, GS, b'!', 0, FS, b'W', 0, ESC, b'a', 1],
        b"\x1d(k\x04\x00\x31\x41\x32\x00\x1d(k\x03\x00\x31\x43\x04\x1d(k\x03\x00\x31\x45\x31",
        b"\x1d(k\x0d\x00\x31\x50\x30payments/1\x1d(k\x03\x00\x31\x51\x30\n",
        &[ESC, b'a', 0, GS, b'V', 66, 0],
    ]
    .concat();
    assert_eq!(print(&roll, Columns::C32, Charset::Cp949), golden);
}

proptest! {
    #[test]
    fn paper_shows_the_text_whatever_it_is(
        texts in prop::collection::vec((".{0,60}", "[가-힣 a-z]{0,20}"), 0..8), wide in 0_usize..3, set in 0_usize..3,
    ) {
        let mut roll = Roll::default();
        for (left, right) in &texts {
            roll.pair(left, right);
            roll.centre(left, Weight::Strong);
        }
        let columns = [Columns::C32, Columns::C42, Columns::C48][wide];
        let charset = [Charset::Ascii, Charset::Cp949, Charset::KsX1001][set];
        let printer = Printer::run(&print(&roll, columns, charset));
        let paper: Vec<u8> = printer.lines.iter().flat_map(|line| line.text.bytes()).collect();
        let letters = |text: &[u8]| text.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        let text = roll.text(columns);
        prop_assert_eq!(letters(&paper), letters(text.as_bytes()));
        prop_assert_eq!(printer.cuts, 1);
        for line in &printer.lines {
            prop_assert!(width(&line.text, charset.medium().width) <= columns.count());
        }
        for line in text.lines() {
            prop_assert!(width(line, width_of) <= columns.count());
        }
    }
}
