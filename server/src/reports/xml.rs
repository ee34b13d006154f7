//! XML as ISO 20022 uses it: elements, text, one attribute for the currency. The one file that names the crate for XML.
//!
//! Read within bounds into a tree, and refused: document types, entities other than XML's own five, processing
//! instructions, depth and size beyond the limits. Written in the order that it is told; escaped.

use std::fmt::Write;

use palm_proto::money::Currency;
use quick_xml::{
    Reader,
    escape::escape,
    events::{BytesRef, BytesStart, Event},
};

use super::{
    columns::clean,
    money::{decimal, parse_decimal},
};
use crate::limits::{XML_ATTRIBUTES_MAX, XML_BYTES_MAX, XML_DEPTH_MAX, XML_NODES_MAX};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:";

/// Why bytes are not the message that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Not well formed, or not UTF-8.
    #[error("the message is not well-formed XML in UTF-8: ask the bank for it again")]
    Form,
    /// A document type, an entity or a processing instruction.
    #[error(
        "the message has a document type, an entity or a processing instruction, which ISO 20022 has no use for"
    )]
    Forbidden,
    /// Larger or deeper than the limits.
    #[error(
        "the message is larger than {XML_BYTES_MAX} bytes, {XML_NODES_MAX} elements or {XML_DEPTH_MAX} levels"
    )]
    TooLarge,
    /// Another message or version.
    #[error("this is no {0}: send the message in this version")]
    Message(&'static str),
    /// An element that must be there is not, or its text is not what it must be.
    #[error("{0} is missing or not as ISO 20022 has it")]
    Element(&'static str),
}

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    name: String,
    currency: Option<String>,
    text: String,
    children: Vec<Self>,
}

impl Node {
    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element at the end of a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.child(name))
    }

    /// The text at the end of a path; none when it is empty.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        let text = self.at(path)?.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The text of the element itself.
    pub(super) fn own_text(&self) -> &str {
        self.text.trim()
    }

    /// An amount in a currency that is taken, by its attribute.
    pub(super) fn money_at(&self, path: &[&str]) -> Option<(u64, Currency)> {
        let node = self.at(path)?;
        let currency = node.currency.as_deref()?.parse().ok()?;
        Some((parse_decimal(node.own_text(), currency)?, currency))
    }
}

/// Reads a message and gives what is inside its `Document`.
///
/// # Errors
/// [`XmlError`] unless it is a `Document` of one of these messages (such as `camt.053.001.08`; the first is named in
/// the error).
pub(super) fn read(bytes: &[u8], messages: &[&'static str]) -> Result<Node, XmlError> {
    if bytes.len() > XML_BYTES_MAX {
        return Err(XmlError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Form)?;
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.config_mut().check_end_names = true;
    let wanted = XmlError::Message(messages.first().copied().unwrap_or_default());
    let mut tree = Tree::default();
    let mut is_wanted = false;
    loop {
        match reader.read_event().map_err(|_| XmlError::Form)? {
            Event::Start(start) => {
                is_wanted |= tree.open.is_empty() && is_document(&start, messages)?;
                tree.start(&start)?;
            }
            Event::Empty(start) => {
                tree.start(&start)?;
                tree.end()?;
            }
            Event::End(_) => tree.end()?,
            Event::Text(text) => tree.text(&text.xml10_content())?,
            Event::CData(text) => tree.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                tree.text(predefined(&reference)?.encode_utf8(&mut [0; 4]))?
            }
            Event::Comment(_) | Event::Decl(_) => {}
            Event::PI(_) | Event::DocType(_) => return Err(XmlError::Forbidden),
            Event::Eof => break,
        }
    }
    match tree.root {
        Some(root) if tree.open.is_empty() && is_wanted => Ok(root),
        Some(_) if tree.open.is_empty() => Err(wanted),
        _ => Err(XmlError::Form),
    }
}

/// Whether this is the `Document` of one of the messages, by the namespace it is in.
fn is_document(start: &BytesStart<'_>, messages: &[&str]) -> Result<bool, XmlError> {
    let name = start.name();
    let declares = match name.prefix() {
        Some(prefix) => format!("xmlns:{}", prefix.as_ref()),
        None => "xmlns".to_owned(),
    };
    let namespace = attribute(start, &declares)?.unwrap_or_default();
    let message = namespace.strip_prefix(NAMESPACE);
    let is_named = message.is_some_and(|message| messages.contains(&message));
    Ok(is_named && name.local_name().as_ref() == "Document")
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, XmlError> {
    let mut found = None;
    for (at, attribute) in (0..).zip(start.attributes()) {
        let attribute = attribute.map_err(|_| XmlError::Form)?;
        if at >= XML_ATTRIBUTES_MAX {
            return Err(XmlError::TooLarge);
        }
        if attribute.key.as_ref() == name {
            found = Some(attribute.value.into_owned());
        }
    }
    Ok(found)
}

/// XML's own five entities and characters by number.
fn predefined(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    if reference.is_char_ref() {
        let c = reference.resolve_char_ref().map_err(|_| XmlError::Form)?;
        return c.filter(|c| is_xml(*c)).ok_or(XmlError::Form);
    }
    match reference.xml10_content().as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err(XmlError::Forbidden),
    }
}

/// The production `Char` of XML 1.0.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Node>,
    nodes: usize,
}

impl Tree {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > XML_NODES_MAX || self.open.len() >= XML_DEPTH_MAX {
            return Err(XmlError::TooLarge);
        }
        if self.root.is_some() {
            return Err(XmlError::Form);
        }
        self.open.push(Node {
            name: start.local_name().as_ref().to_owned(),
            currency: attribute(start, "Ccy")?,
            ..Node::default()
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let node = self.open.pop().ok_or(XmlError::Form)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(node) => node.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Form),
        }
        Ok(())
    }
}

/// A message being written.
#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    /// A `Document` of a message such as `camt.053.001.08`.
    pub(super) fn new(message: &str) -> Self {
        let mut writer = Self {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            open: vec!["Document"],
        };
        writer.put(format_args!("<Document xmlns=\"{NAMESPACE}{message}\">"));
        writer
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.out
            .write_fmt(text)
            .expect("invariant: a string takes any text");
    }

    fn indent(&mut self) {
        self.out.push('\n');
        self.out.push_str(&" ".repeat(self.open.len()));
    }

    /// An element with others inside.
    pub(super) fn within(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.indent();
        self.put(format_args!("<{name}>"));
        self.open.push(name);
        inside(self);
        self.open.pop();
        self.indent();
        self.put(format_args!("</{name}>"));
    }

    /// An element with text that is sound already: a code, a number, a day.
    pub(super) fn leaf(&mut self, name: &'static str, text: &str) {
        assert!(!text.is_empty(), "{name} has a text");
        self.indent();
        self.put(format_args!("<{name}>{}</{name}>", escape(text)));
    }

    /// Elements one inside the other, the last with text.
    pub(super) fn path(&mut self, names: &[&'static str], text: &str) {
        match names {
            [] => {}
            [name] => self.leaf(name, text),
            [name, rest @ ..] => self.within(name, |writer| writer.path(rest, text)),
        }
    }

    /// An element with words of somebody, cut to so many characters; none where there are no words.
    pub(super) fn words(&mut self, name: &'static str, text: &str, longest: usize) {
        let text: String = clean(text)
            .chars()
            .filter(|c| is_xml(*c))
            .take(longest)
            .collect();
        let text = text.trim_end();
        if !text.is_empty() {
            self.leaf(name, text);
        }
    }

    /// An amount with its currency.
    pub(super) fn money(&mut self, name: &'static str, minor: i128, currency: Currency) {
        self.indent();
        let amount = decimal(minor, currency);
        self.put(format_args!("<{name} Ccy=\"{currency}\">{amount}</{name}>"));
    }

    /// The message.
    pub(super) fn finish(mut self) -> String {
        assert_eq!(self.open, ["Document"], "every element is closed");
        self.out.push_str("\n</Document>\n");
        self.out
    }
}

/// The texts of a message by their paths, for tests and checks of structure.
#[cfg(test)]
pub(super) fn flat(node: &Node) -> Vec<(String, String)> {
    fn walk(node: &Node, path: &str, out: &mut Vec<(String, String)>) {
        let path = format!("{path}/{}", node.name);
        if node.children.is_empty() {
            out.push((path, node.own_text().to_owned()));
        } else {
            node.children
                .iter()
                .for_each(|child| walk(child, &path, out));
        }
    }
    let mut out = Vec::new();
    walk(node, "", &mut out);
    out
}

#[cfg(test)]
mod tests;
