//! A printed document, before it is known on what: lines of text, pairs, rules and a code to scan.
//!
//! [`Roll::text`] lays it out in plain text, [`super::escpos::print`] the same lines as bytes for a receipt printer.

use std::fmt::Write;

use super::{
    Language,
    columns::{Width, centre, clean, pair, width_of, wrap},
};

/// How wide the paper is, in characters of the printer's normal font: 58 mm paper has 32, 80 mm paper 42 or 48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// 58 mm.
    C32,
    /// 80 mm, wide characters.
    C42,
    /// 80 mm.
    C48,
}

impl Columns {
    /// The number.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::C32 => 32,
            Self::C42 => 42,
            Self::C48 => 48,
        }
    }
}

/// How a line stands out, where the paper can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Not at all.
    Plain,
    /// Emphasised.
    Strong,
    /// Emphasised and of double height and width.
    Double,
}

impl Weight {
    const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Strong => "strong",
            Self::Double => "double",
        }
    }

    /// How many normal characters fit in the room of one.
    pub(super) const fn factor(self) -> usize {
        match self {
            Self::Plain | Self::Strong => 1,
            Self::Double => 2,
        }
    }

    /// How many of its characters fit in so many columns, where double ones take the room of two.
    const fn room(self, columns: usize, widens: bool) -> usize {
        match self {
            Self::Double if widens => columns / 2,
            Self::Plain | Self::Strong | Self::Double => columns,
        }
    }
}

/// One piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Blank,
    Rule,
    Centre(String, Weight),
    Text(String),
    Pair(String, String, Weight),
    /// A QR code of these characters; text has none.
    Code(String),
}

/// A document. Its texts are clean: nothing in them can command a printer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roll(Vec<Piece>);

impl Roll {
    pub(super) fn blank(&mut self) {
        self.0.push(Piece::Blank);
    }

    pub(super) fn rule(&mut self) {
        self.0.push(Piece::Rule);
    }

    pub(super) fn centre(&mut self, text: &str, weight: Weight) {
        self.0.push(Piece::Centre(clean(text), weight));
    }

    pub(super) fn text_line(&mut self, text: &str) {
        self.0.push(Piece::Text(clean(text)));
    }

    pub(super) fn pair(&mut self, left: &str, right: &str) {
        self.weighted(left, right, Weight::Plain);
    }

    pub(super) fn weighted(&mut self, left: &str, right: &str, weight: Weight) {
        self.0.push(Piece::Pair(clean(left), clean(right), weight));
    }

    pub(super) fn code(&mut self, text: &str) {
        self.0.push(Piece::Code(clean(text)));
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The document as a piece of a page: an `<article class="roll">` of headings, lists of terms and rules, escaped,
    /// without script or style.
    #[must_use]
    pub fn page(&self, language: Language) -> String {
        let mut out = format!("<article class=\"roll\" lang=\"{}\">\n", language.tag());
        let mut in_list = false;
        for piece in &self.0 {
            let is_pair = matches!(piece, Piece::Pair(..));
            match (in_list, is_pair) {
                (false, true) => out.push_str("<dl>\n"),
                (true, false) => out.push_str("</dl>\n"),
                _ => {}
            }
            in_list = is_pair;
            write_piece(piece, &mut out).expect("invariant: a string takes any text");
        }
        if in_list {
            out.push_str("</dl>\n");
        }
        out.push_str("</article>\n");
        out
    }

    /// The document as plain text: lines of at most so many columns, each ended by a line feed, none by a space.
    #[must_use]
    pub fn text(&self, columns: Columns) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            for line in lay_out(piece, columns.count(), TEXT) {
                out.push_str(line.trim_end());
                out.push('\n');
            }
        }
        out
    }
}

/// What shows a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Medium {
    /// How wide it shows a character.
    pub(super) width: Width,
    /// Whether double characters take the room of two.
    pub(super) widens: bool,
}

const TEXT: Medium = Medium {
    width: width_of,
    widens: false,
};

/// The lines of a piece.
pub(super) fn lay_out(piece: &Piece, columns: usize, medium: Medium) -> Vec<String> {
    let of = medium.width;
    let room = |weight: &Weight| weight.room(columns, medium.widens);
    match piece {
        Piece::Blank => vec![String::new()],
        Piece::Rule => vec!["-".repeat(columns)],
        Piece::Centre(text, weight) => centre(text, room(weight), of),
        Piece::Text(text) => wrap(text, columns, of),
        Piece::Pair(left, right, weight) => pair(left, right, room(weight), of),
        Piece::Code(_) => Vec::new(),
    }
}

fn write_piece(piece: &Piece, out: &mut String) -> std::fmt::Result {
    match piece {
        Piece::Blank => Ok(()),
        Piece::Rule => writeln!(out, "<hr>"),
        Piece::Centre(text, Weight::Double) => writeln!(out, "<h2>{}</h2>", escape(text)),
        Piece::Centre(text, weight) => {
            let class = weight.class();
            writeln!(out, "<p class=\"centre {class}\">{}</p>", escape(text))
        }
        Piece::Text(text) => writeln!(out, "<p>{}</p>", escape(text)),
        Piece::Pair(left, right, weight) => {
            let (class, left, right) = (weight.class(), escape(left), escape(right));
            writeln!(
                out,
                "<div class=\"{class}\"><dt>{left}</dt><dd>{right}</dd></div>"
            )
        }
        Piece::Code(text) => writeln!(out, "<p class=\"code\"><code>{}</code></p>", escape(text)),
    }
}

/// Text for HTML, between tags or inside quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
