use palm_proto::money::Money;

use super::*;
use crate::{
    config::rails::{Encoding, Header},
    rail::{Instrument, StepId},
};

const ASCII: Codec = Codec {
    encoding: Encoding::Ascii,
    response_code_packed: false,
};

fn of(encoding: Encoding) -> Codec {
    Codec { encoding, ..ASCII }
}

fn request() -> Message {
    Message::new(Mti::AUTHORISATION)
        .with(3, "000000")
        .with(4, "4500")
        .with(11, "000123")
        .with(41, "TILL7")
        .with(48, "tok_abc")
        .with(49, "410")
}

fn text(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("<{byte:02x}>"),
        })
        .collect()
}

#[test]
fn a_message_is_written_in_each_layout_as_the_standard_says() {
    let bytes = of(Encoding::AsciiHex).encode(&request()).unwrap();
    assert_eq!(
        text(&bytes),
        "01003020000000818000000000000000004500000123TILL7   007tok_abc410"
    );
    let bytes = ASCII.encode(&request()).unwrap();
    assert_eq!(
        text(&bytes),
        "01000 <00><00><00><81><80><00>000000000000004500000123TILL7   007tok_abc410"
    );
    let bytes = of(Encoding::Packed).encode(&request()).unwrap();
    assert_eq!(
        text(&bytes),
        "<01><00>0 <00><00><00><81><80><00>\
         <00><00><00><00><00><00><00>E<00><00><01>#TILL7   <00><07>tok_abc<04><10>"
    );
}

#[test]
fn fields_above_64_bring_a_second_bitmap() {
    let message = Message::new(Mti::NETWORK).with(11, "1").with(70, "301");
    let bytes = of(Encoding::AsciiHex).encode(&message).unwrap();
    assert_eq!(
        text(&bytes),
        "080080200000000000000400000000000000000001301"
    );
    let read = of(Encoding::AsciiHex).decode(&bytes).unwrap();
    assert_eq!(
        (read.field(11), read.field(70)),
        (Some("000001"), Some("301"))
    );
}

#[test]
fn every_layout_reads_what_it_writes() {
    let full = request()
        .with(7, "1125103059")
        .with(37, "633010000123")
        .with(38, "A00123")
        .with(39, "00")
        .with(90, "0".repeat(42));
    for encoding in [Encoding::Ascii, Encoding::AsciiHex, Encoding::Packed] {
        for response_code_packed in [false, true] {
            let codec = Codec {
                encoding,
                response_code_packed,
            };
            let read = codec.decode(&codec.encode(&full).unwrap()).unwrap();
            assert_eq!(read.mti, Mti::AUTHORISATION);
            assert_eq!(read.field(4), Some("000000004500"));
            assert_eq!(read.field(41), Some("TILL7"));
            assert_eq!(read.field(48), Some("tok_abc"));
            assert_eq!(read.fields().count(), full.fields().count());
        }
    }
}

#[test]
fn what_is_on_a_card_is_neither_written_nor_kept_when_read() {
    let message = request()
        .with(2, "4242424242424242")
        .with(35, "x")
        .with(52, "x");
    assert_eq!(message, request());
    // The same with field 2 set by a host: bit 2 of the bitmap, and the number after it.
    let mut bytes = ASCII.encode(&request()).unwrap();
    bytes[4] |= 0x40;
    bytes.splice(12..12, *b"164242424242424242");
    let read = ASCII.decode(&bytes).unwrap();
    assert_eq!(read.field(2), None);
    assert_eq!(read.field(48), Some("tok_abc"));
    assert!(!format!("{read:?}").contains("4242"));
}

#[test]
fn damaged_messages_are_refused_by_name() {
    let whole = ASCII.encode(&request()).unwrap();
    for cut in 1..whole.len() {
        assert!(ASCII.decode(&whole[..cut]).is_err(), "{cut}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(ASCII.decode(&longer), Err(DecodeError::Trailing));
    assert_eq!(
        ASCII.decode(&[b'0'; MESSAGE_MAX + 1]),
        Err(DecodeError::Length)
    );
    assert_eq!(ASCII.decode(b"01x0"), Err(DecodeError::Digits));
    let mut other = whole.clone();
    other[13] = b'x';
    assert_eq!(ASCII.decode(&other), Err(DecodeError::Digits));
    let mut other = whole;
    other[36] = 0;
    assert_eq!(ASCII.decode(&other), Err(DecodeError::Text(41)));
}

#[test]
fn fields_that_do_not_fit_are_not_written() {
    for (number, value) in [
        (4, "1234567890123"),
        (4, "x"),
        (41, "too long a name"),
        (41, "é"),
    ] {
        let message = request().with(number, value);
        assert_eq!(ASCII.encode(&message), Err(EncodeError(number)), "{value}");
    }
}

#[test]
fn frames_are_taken_out_of_a_stream_in_whatever_pieces_they_come() {
    let tpdu = Some([0x60, 0, 1, 0, 0]);
    for (header, tpdu) in [
        (Header::Bytes2, None),
        (Header::Bytes2, tpdu),
        (Header::Bytes4, None),
        (Header::Digits4, tpdu),
    ] {
        let framing = Framing { header, tpdu };
        let stream = [framing.frame(b"one"), framing.frame(b"second")].concat();
        let (mut received, mut taken) = (Vec::new(), Vec::new());
        for byte in stream {
            received.push(byte);
            taken.extend(framing.take(&mut received).unwrap());
        }
        assert_eq!(taken, [b"one".to_vec(), b"second".to_vec()]);
        assert!(received.is_empty());
    }
}

#[test]
fn a_stream_out_of_step_is_told() {
    let framing = |header| Framing { header, tpdu: None };
    let mut long = vec![0xff, 0xff, 0];
    assert_eq!(framing(Header::Bytes2).take(&mut long), Err(FramingError));
    let mut words = b"HTTP/1.1".to_vec();
    assert_eq!(framing(Header::Digits4).take(&mut words), Err(FramingError));
    let mut empty = vec![0, 0];
    assert_eq!(
        framing(Header::Bytes2).take(&mut empty),
        Ok(Some(Vec::new()))
    );
}

#[test]
fn times_are_written_as_the_calendar_says() {
    // From `date -u -d @SECONDS`.
    for (seconds, transmission, reference) in [
        (0, "0101000000", "000100"),
        (951_782_400, "0229000000", "006000"),
        (951_868_800, "0301000000", "006100"),
        (1_735_689_599, "1231235959", "436623"),
        (1_795_602_659, "1125103059", "632910"),
    ] {
        let moment = Moment::at(seconds * 1_000_000, 0);
        assert_eq!(moment.transmission(), transmission, "{seconds}");
        assert_eq!(moment.reference(), reference, "{seconds}");
    }
    let seoul = Moment::at(1_735_689_599 * 1_000_000, 540);
    assert_eq!(
        (seoul.date(), seoul.time()),
        ("0101".to_owned(), "085959".to_owned())
    );
}

#[test]
fn response_codes_mean_what_the_standard_says() {
    let send = |code| meaning(code, Action::Authorise, false);
    assert_eq!(send("00"), Meaning::Approved);
    assert_eq!(
        send("51"),
        Meaning::Declined(ReasonCode::CardFundsInsufficient)
    );
    assert_eq!(send("54"), Meaning::Declined(ReasonCode::CardExpired));
    assert_eq!(send("91"), Meaning::Declined(ReasonCode::RailUnavailable));
    for code in ["05", "41", "43", "59", "zz", ""] {
        assert_eq!(
            send(code),
            Meaning::Declined(ReasonCode::CardDeclined),
            "{code}"
        );
    }
    // Nobody knows what is held after these.
    for code in ["10", "68", "94"] {
        assert_eq!(send(code), Meaning::Unclear, "{code}");
    }
    assert_eq!(meaning("94", Action::Capture, true), Meaning::Approved);
    assert_eq!(meaning("94", Action::Capture, false), Meaning::Unclear);
    assert!(is_undone("00", false) && is_undone("25", true));
    assert!(!is_undone("25", false) && !is_undone("96", true));
}

#[test]
fn a_reference_carries_what_later_messages_need_and_is_no_card_number() {
    let step = Step {
        id: StepId([1; 16]),
        payment: palm_proto::id::PaymentId::from_bytes([1; 16]),
        action: Action::Authorise,
        amount: Money::amount(4_500, palm_proto::money::Currency::KRW).unwrap(),
        instrument: Instrument::new("tok_abc").unwrap(),
        reference: None,
        time_us: 1_795_602_659_000_000,
    };
    for trace in 0..20_000 {
        let original = Original::of(&step, trace * 49).with_code(Some("123456"));
        let reference = original.write().unwrap();
        assert_eq!(Original::read(&reference), Some(original));
    }
    let original = Original::of(&step, 123).with_code(Some("A1 2"));
    assert_eq!(
        original.write().unwrap().as_str(),
        "000123.1125103059.632910.-"
    );
    assert_eq!(original.data(Mti::AUTHORISATION).len(), 42);
    for text in [
        "pi_123",
        "1.2.3.4",
        "000123.1125103059.632910",
        "00012x.1125103059.632910.-",
    ] {
        assert_eq!(
            Original::read(&Reference::new(text).unwrap()),
            None,
            "{text}"
        );
    }
}
