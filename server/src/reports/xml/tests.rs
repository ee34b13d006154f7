//! What is read and what is refused.

use super::*;

const MESSAGES: [&str; 2] = ["camt.053.001.08", "camt.053.001.02"];

fn document(inside: &str) -> String {
    format!(
        "<?xml version='1.0'?><Document xmlns=\"{NAMESPACE}camt.053.001.08\">{inside}</Document>"
    )
}

fn read_text(text: &str) -> Result<Vec<(String, String)>, XmlError> {
    read(text.as_bytes(), &MESSAGES).map(|root| flat(&root))
}

#[test]
fn texts_references_and_sections_are_read() {
    let read = read_text(&document(
        "<A>a &amp; &#xac00;<!-- no --><![CDATA[<b>]]></A><B/>",
    ))
    .unwrap();
    let expected = [("/Document/A", "a & 가<b>"), ("/Document/B", "")];
    assert_eq!(
        read,
        expected.map(|(path, text)| (path.to_owned(), text.to_owned()))
    );
    let prefixed = format!(
        "\u{feff}<n:Document xmlns:n='{NAMESPACE}camt.053.001.02'><n:A>1</n:A></n:Document>"
    );
    assert_eq!(
        read_text(&prefixed).unwrap(),
        [("/Document/A".to_owned(), "1".to_owned())]
    );
}

#[test]
fn what_is_no_plain_message_is_refused() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]>";
    let deep = "<a>".repeat(XML_DEPTH_MAX) + &"</a>".repeat(XML_DEPTH_MAX);
    let attributes = (0..=XML_ATTRIBUTES_MAX).map(|at| format!(" a{at}=''"));
    let attributes = format!("<A{}/>", attributes.collect::<String>());
    for (text, error) in [
        (format!("{bomb}{}", document("&b;")), XmlError::Forbidden),
        (document("<A>&b;</A>"), XmlError::Forbidden),
        (document("<?php x?>"), XmlError::Forbidden),
        (document(&deep), XmlError::TooLarge),
        (document(&attributes), XmlError::TooLarge),
        (document("<A></B>"), XmlError::Form),
        (document("<A>&#0;</A>"), XmlError::Form),
        (document("<A a='1' a='2'/>"), XmlError::Form),
        (format!("{}{}", document(""), document("")), XmlError::Form),
        (format!("{}x", document("")), XmlError::Form),
        (document("").replace("</Document>", ""), XmlError::Form),
        (String::new(), XmlError::Form),
        (
            document("").replace(".08", ".09"),
            XmlError::Message(MESSAGES[0]),
        ),
        ("<Document/>".to_owned(), XmlError::Message(MESSAGES[0])),
        (
            "<Document></Document>".to_owned(),
            XmlError::Message(MESSAGES[0]),
        ),
    ] {
        assert_eq!(read_text(&text), Err(error), "{text:.80}");
    }
    assert_eq!(read(&[0xff], &MESSAGES), Err(XmlError::Form));
    assert_eq!(
        read(&vec![b' '; XML_BYTES_MAX + 1], &MESSAGES),
        Err(XmlError::TooLarge)
    );
    let many = document(&"<a/>".repeat(XML_NODES_MAX));
    assert_eq!(read_text(&many), Err(XmlError::TooLarge));
}

#[test]
fn what_is_written_is_read_again() {
    let mut writer = Writer::new("camt.053.001.08");
    writer.within("A", |writer| {
        writer.words("B", "<가 & \u{1b}\"나\">\u{ffff}", 8);
        writer.words("C", "\u{7}", 8);
        writer.money("D", -450, "EUR".parse().unwrap());
        writer.path(&["E", "F"], "x");
    });
    let text = writer.finish();
    assert!(text.contains("<D Ccy=\"EUR\">-4.50</D>"));
    let expected = [
        ("/Document/A/B", "<가 & \"나\""),
        ("/Document/A/D", "-4.50"),
        ("/Document/A/E/F", "x"),
    ];
    let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(read_text(&text).unwrap(), expected);
}
