//! Round trips, refusals by name, the specification's vectors, and a seeded fuzz.

use proptest::prelude::*;

use super::*;
use crate::burst::{BurstPlan, Frame, Light, PlanError, Shot};
use crate::emulator::script::fuzz_script;
use crate::picture::fuzz_picture;

/// The document a hardware maker reads.
const SPECIFICATION: &str = include_str!("../../PROTOCOL.md");

/// Bytes of the hex block that follows `name` in the specification.
fn vector(name: &str) -> Vec<u8> {
    let (_, after) = SPECIFICATION
        .split_once(&format!("Vector `{name}`"))
        .unwrap();
    let block = after.split("```").nth(1).unwrap();
    let digits: String = block.chars().filter(char::is_ascii_hexdigit).collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn example_shot() -> Shot {
    Shot {
        light: Light::Nir,
        led_mask: 0x5a,
        exposure_us: 4000,
    }
}

fn example_nonce() -> Nonce {
    std::array::from_fn(|at| u8::try_from(at).unwrap())
}

fn example_info() -> Info {
    Info {
        version: 1,
        shots_max: 8,
        leds: 8,
        exposure_us_min: 10,
        exposure_us_max: 100_000,
        frame_pixels_max: 4_194_304,
        model: "Reader".to_owned(),
        serial: "0001".to_owned(),
        firmware: "1.2.3".to_owned(),
    }
}

fn packet(reply: &Reply, sequence: u32, answers: u32) -> Vec<u8> {
    encode(reply.kind(), sequence, answers, &reply.payload().unwrap())
}

fn example_ticket() -> Ticket {
    Ticket {
        nonce: example_nonce(),
        purpose: Purpose::Payment(std::array::from_fn(|at| 0xf0 + u8::try_from(at).unwrap())),
    }
}

fn example_plan() -> BurstPlan {
    let ambient = Shot {
        light: Light::Ambient,
        led_mask: 0,
        exposure_us: 4000,
    };
    BurstPlan::new(vec![ambient, example_shot()]).unwrap()
}

fn payload_of<const N: usize>(name: &str) -> [u8; N] {
    vector(name)[HEADER_LEN..].try_into().unwrap()
}

/// The two ends of the session in the document, which a second implementation computed.
fn example_channels() -> (Channel, Channel) {
    let connect = Connect::parse(&payload_of::<CONNECT_LEN>("CONNECT")).unwrap();
    let connected = Connected::parse(&payload_of::<CONNECTED_LEN>("CONNECTED")).unwrap();
    for (number, point) in [
        ("HOST_NUMBER", connect.point),
        ("READER_NUMBER", connected.point),
    ] {
        let number: [u8; 32] = vector(number).try_into().unwrap();
        let point = crypto::PublicKey::new(point);
        assert!(crypto::SigningKey::from_number(&number, &point).is_ok());
    }
    let info = example_info();
    let transcript = connect::transcript([1, 1, 0, 0], &info, &connect, &connected);
    assert_eq!(hex(&transcript), hex(&vector("TRANSCRIPT")));
    let claim = claim::Claim::parse(&connected.claim).unwrap();
    let message = connect::signed_message(&transcript);
    let proof = (&message[..], &connected.signature);
    let attested = Trust::development().check(&claim, &info, proof).unwrap();
    assert_eq!((attested.security_version, attested.development), (3, true));
    let schedule = crypto::Schedule::new(&transcript, &vector("SHARED"));
    for (name, label) in [
        ("HOST_TO_READER", "host to reader"),
        ("READER_TO_HOST", "reader to host"),
        ("EVENTS", "events"),
    ] {
        let key = schedule.draw::<32>(&format!("{label} key"));
        let iv = schedule.draw::<12>(&format!("{label} iv"));
        assert_eq!(
            hex(&[&key[..], &iv[..]].concat()),
            hex(&vector(name)),
            "{name}"
        );
    }
    let keys = || connect::Keys::draw(&transcript, &vector("SHARED"));
    (keys().for_host(), keys().for_reader())
}

#[test]
fn specification_vectors_are_what_the_code_sends() {
    let hello = Command::Hello {
        version_min: 1,
        version_max: 1,
    };
    assert_eq!(hex(&vector("HELLO")), hex(&hello.encode(1)));
    let info = packet(&Reply::Info(example_info()), 0, 1);
    assert_eq!(hex(&vector("INFO")), hex(&info));
    let (host, reader) = example_channels();
    let (ticket, plan, nonce) = (example_ticket(), example_plan(), example_nonce());
    let pattern = Pattern {
        colour: [0, 255, 0],
        effect: PatternEffect::Steady,
        tone_hz: 1320,
        tone_ms: 250,
    };
    for (name, sequence, command) in [
        ("ARM", 3, Command::Arm { ticket, plan }),
        ("CAPTURE", 4, Command::Capture { nonce }),
        ("SIGNAL", 5, Command::Signal(pattern)),
        ("PING", 6, Command::Ping(0x0102_0304_0506_0708)),
        ("ABORT", 7, Command::Abort),
    ] {
        let bytes = host.seal(command.kind(), sequence, 0, &command.payload());
        assert_eq!(hex(&vector(name)), hex(&bytes), "vector {name}");
        let opened = reader.open(decode(&bytes).unwrap().unwrap()).unwrap();
        assert_eq!(Command::parse(&opened), Ok(command), "vector {name}");
    }
    let found = SelfTest {
        tried: 0x00cf,
        failed: 1,
        temperature_centi: 3150,
        tampered: false,
        uptime_ms: 1000,
    };
    for (name, sequence, answers, reply) in [
        ("ACK", 2, 3, Reply::Ack),
        (
            "CAPTURE_DONE",
            4,
            4,
            Reply::CaptureDone { nonce, frames: 2 },
        ),
        ("NAK", 5, 5, Reply::Nak(NakCode::Busy)),
        ("PONG", 6, 6, Reply::Pong(0x0102_0304_0506_0708)),
        ("SELF_TEST", 7, 8, Reply::SelfTest(found)),
    ] {
        let payload = reply.payload().unwrap();
        let bytes = reader.seal(reply.kind(), sequence, answers, &payload);
        assert_eq!(hex(&vector(name)), hex(&bytes), "vector {name}");
        let opened = host.open(decode(&bytes).unwrap().unwrap()).unwrap();
        let again = Reply::parse(opened).unwrap();
        assert_eq!(again.payload(), Some(payload), "vector {name}");
    }
    let frame = Frame::new(example_shot(), 3, 2, vec![10, 20, 30, 40, 50, 60]).unwrap();
    let bytes = reader.seal(Reply::FRAME, 3, 4, &encode_frame(ticket, 1, &frame));
    assert_eq!(hex(&vector("FRAME")), hex(&bytes));
    let event = ReaderEvent {
        kind: EventKind::Hand(HandState::Present),
        sequence: 7,
        uptime_ms: 1000,
    };
    assert_eq!(hex(&vector("EVENT")), hex(&reader.seal_event(&event)));
    assert_eq!(host.open_event(&vector("EVENT")), Ok(event));
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).map(|line| {
        line.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn sealed_packet_that_was_changed_anywhere_does_not_open() {
    let (host, reader) = example_channels();
    let good = vector("FRAME");
    // Magic, version, flags and reserved byte are refused before; the checksum is made right for each.
    let covered = [5]
        .into_iter()
        .chain(8..12)
        .chain(16..20)
        .chain(24..good.len());
    for at in covered {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            finish_sealed(&mut bytes);
            let packet = decode(&bytes).unwrap().unwrap();
            assert_eq!(
                host.open(packet).unwrap_err(),
                ProtocolError::NotAuthentic,
                "byte {at}"
            );
        }
    }
    let packet = || decode(&good).unwrap().unwrap();
    let own = reader.open(packet()).unwrap_err();
    assert_eq!(own, ProtocolError::NotAuthentic, "not its own words");
    let mut short = packet();
    short.payload.truncate(15);
    assert_eq!(host.open(short).unwrap_err(), ProtocolError::NotAuthentic);
    let clear = decode(&Command::Ping(1).encode(1)).unwrap().unwrap();
    assert_eq!(host.open(clear).unwrap_err(), ProtocolError::NotSealed(5));
    assert!(host.open(packet()).is_ok());
}

#[test]
fn claim_that_was_changed_anywhere_is_not_believed() {
    let connected = Connected::parse(&payload_of::<CONNECTED_LEN>("CONNECTED")).unwrap();
    let connect = Connect::parse(&payload_of::<CONNECT_LEN>("CONNECT")).unwrap();
    let info = example_info();
    let transcript = connect::transcript([1, 1, 0, 0], &info, &connect, &connected);
    let message = connect::signed_message(&transcript);
    let believed = |claim: &[u8], signature: &[u8; 64]| {
        claim::Claim::parse(claim).is_ok_and(|claim| {
            let proof = (&message[..], signature);
            Trust::development().check(&claim, &info, proof).is_ok()
        })
    };
    assert!(believed(&connected.claim, &connected.signature));
    for at in 0..connected.claim.len() {
        let mut claim = connected.claim;
        claim[at] ^= 1;
        assert!(!believed(&claim, &connected.signature), "byte {at}");
    }
    for at in 0..64 {
        let mut signature = connected.signature;
        signature[at] ^= 1;
        assert!(
            !believed(&connected.claim, &signature),
            "byte {at} of the signature"
        );
    }
}

/// The descriptors of a configuration, one after the other.
fn descriptors(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((length, _)) = bytes.split_first() {
        let (one, rest) = bytes.split_at(usize::from(*length));
        all.push(one);
        bytes = rest;
    }
    all
}

#[test]
fn descriptors_of_the_specification_agree_with_themselves_and_with_the_code() {
    let short = |bytes: &[u8], at: usize| usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8;
    let (device, loader) = (vector("DEVICE_DESCRIPTOR"), vector("DFU_DEVICE_DESCRIPTOR"));
    for (bytes, product) in [(&device, crate::usb::PRODUCT_ID), (&loader, 2)] {
        assert_eq!((bytes.len(), bytes[0], bytes[1]), (18, 18, 1));
        assert_eq!(short(bytes, 8), usize::from(crate::usb::VENDOR_ID));
        assert_eq!(short(bytes, 10), usize::from(product));
    }
    let configuration = vector("CONFIGURATION_DESCRIPTOR");
    assert_eq!(short(&configuration, 2), configuration.len());
    let parts = descriptors(&configuration);
    let kinds: Vec<u8> = parts.iter().map(|part| part[1]).collect();
    assert_eq!(kinds, [2, 4, 5, 5, 5, 4, 0x21]);
    assert_eq!(parts[1][5..8], [0xff, 0x50, 0x01]);
    let directions: Vec<(u8, u8)> = parts[2..5].iter().map(|e| (e[2] & 0x80, e[3])).collect();
    assert_eq!(directions, [(0, 2), (0x80, 2), (0x80, 3)]);
    assert_eq!(short(parts[2], 4), crate::limits::BULK_PACKET_LEN);
    assert!(short(parts[4], 4) >= EVENT_LEN);
    assert_eq!(parts[5][5..8], [0xfe, 0x01, 0x01]);
    let in_loader = vector("DFU_CONFIGURATION_DESCRIPTOR");
    assert_eq!(short(&in_loader, 2), in_loader.len());
    let in_loader = descriptors(&in_loader);
    assert_eq!(in_loader[1][4..8], [0, 0xfe, 0x01, 0x02]);
    for functional in [parts[6], in_loader[2]] {
        assert_eq!(functional.len(), 9);
        assert_eq!(short(functional, 5), crate::limits::DFU_BLOCK_LEN);
    }
    let (bos, set) = (vector("BOS_DESCRIPTOR"), vector("MS_OS_DESCRIPTOR"));
    assert_eq!((short(&bos, 2), bos[4]), (bos.len(), 1));
    assert_eq!(short(&bos, 5 + 24), set.len(), "as the capability says");
    assert_eq!(short(&set, 8), set.len());
    assert_eq!(short(&set, 10 + 6), set.len() - 10, "configuration subset");
    let function = &set[18..];
    let first = short(function, 6);
    assert_eq!((short(function, 2), function[4]), (2, 0));
    let function = &function[first..];
    assert_eq!((function[4], short(function, 6)), (1, function.len()));
}

#[test]
fn specification_names_every_number() {
    for code in NakCode::NAMED {
        let row = format!(
            "| {} | `{}` |",
            code.code(),
            screaming(&format!("{code:?}"))
        );
        assert!(SPECIFICATION.contains(&row), "NAK table lacks {row}");
    }
    for state in HandState::ALL {
        assert!(
            SPECIFICATION.contains(&format!("`{}`", state.word())),
            "{state:?}"
        );
    }
    let limit = crate::limits::FRAME_PIXELS_MAX.to_string();
    assert!(SPECIFICATION.contains(&limit), "frame limit {limit}");
}

fn screaming(camel: &str) -> String {
    let words = camel.chars().enumerate().flat_map(|(at, c)| {
        let gap = (at > 0 && c.is_uppercase()).then_some('_');
        gap.into_iter().chain(c.to_uppercase())
    });
    words.collect()
}

fn decode(bytes: &[u8]) -> Result<Option<Packet>, ProtocolError> {
    Decoder::new(PAYLOAD_MAX).push(bytes, true)
}

/// Writes over the header of a valid packet and makes its checksum right again.
fn forged(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = Command::Ping(1).encode(1);
    bytes[at] = value;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), &bytes[24..]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn malformed_packets_are_refused_by_name() {
    use ProtocolError as E;
    let whole = Command::Ping(1).encode(1);
    let mut damaged = whole.clone();
    damaged[30] ^= 1;
    let mut longer = whole.clone();
    longer.push(0);
    for (bytes, error) in [
        (forged(0, b'X'), E::BadMagic),
        (forged(4, 2), E::UnsupportedVersion(2)),
        (forged(6, 2), E::UnsupportedFlags(2)),
        (
            forged(7, 1),
            E::ReservedNotZero {
                message: "packet header",
                field: "byte 7",
            },
        ),
        (
            forged(15, 0xff),
            E::TooLarge {
                length: 0xff00_0008,
                max: PAYLOAD_MAX,
            },
        ),
        (
            forged(12, 9),
            E::Truncated {
                expected: 33,
                got: 32,
            },
        ),
        (
            whole[..31].to_vec(),
            E::Truncated {
                expected: 32,
                got: 31,
            },
        ),
        (
            whole[..5].to_vec(),
            E::Truncated {
                expected: 24,
                got: 5,
            },
        ),
        (damaged, E::CrcMismatch),
        (
            longer,
            E::TooLong {
                message: "packet",
                extra: 1,
            },
        ),
    ] {
        assert_eq!(decode(&bytes).unwrap_err(), error);
    }
    assert!(
        decode(&[]).unwrap().is_none(),
        "a stray zero-length packet is nothing"
    );
}

#[test]
fn bad_message_is_reported_once_and_the_next_one_is_read() {
    let mut decoder = Decoder::new(PAYLOAD_MAX);
    let good = Command::Abort.encode(9);
    assert_eq!(
        decoder.push(&[0; 512], false).unwrap_err(),
        ProtocolError::BadMagic
    );
    for _ in 0..3 {
        assert!(
            decoder.push(&good, false).unwrap().is_none(),
            "still the bad message"
        );
    }
    assert!(decoder.push(&[1, 2], true).unwrap().is_none(), "its end");
    assert_eq!(decoder.push(&good, true).unwrap().unwrap().sequence, 9);
}

fn refused(kind: u8, payload: &[u8]) -> ProtocolError {
    let payload = crate::Wiped::from(payload.to_vec());
    Reply::parse(Packet {
        kind,
        sequence: 0,
        answers: 0,
        sealed: false,
        payload,
    })
    .unwrap_err()
}

#[test]
fn malformed_replies_are_refused_by_field() {
    use ProtocolError as E;
    let unknown = |field, value| E::UnknownValue {
        message: "INFO",
        field,
        value,
    };
    let short = |message, field| E::TooShort { message, field };
    let mut info = example_info().encode();
    assert_eq!(info.len(), INFO_LEN);
    info[16] = 0x07;
    assert_eq!(refused(0x81, &info), unknown("model", 7));
    info[16] = b'R';
    info[39] = b'x'; // after the padding began
    assert_eq!(refused(0x81, &info), unknown("model", u32::from(b'x')));
    info[2] = 9;
    assert_eq!(refused(0x81, &info), unknown("LEDs", 9));
    info[0] = 2;
    assert_eq!(refused(0x81, &info), E::UnsupportedVersion(2));
    assert_eq!(refused(0x81, &[1, 8]), short("INFO", "LEDs"));
    assert_eq!(
        refused(0x82, &[0]),
        E::TooLong {
            message: "ACK",
            extra: 1
        }
    );
    assert_eq!(refused(0x83, &[0; 7]), short("PONG", "echo"));
    assert_eq!(
        refused(0x85, &[0; 16]),
        short("CAPTURE_DONE", "frame count")
    );
    assert_eq!(refused(0xbf, &[]), short("NAK", "code"));
    assert_eq!(refused(0x42, &[]), E::UnknownType(0x42));
}

#[test]
fn malformed_frames_are_refused_by_field() {
    use ProtocolError as E;
    let unknown = |field, value| E::UnknownValue {
        message: "FRAME",
        field,
        value,
    };
    let frame = Frame::new(example_shot(), 2, 1, vec![1, 2]).unwrap();
    let payload = encode_frame([0; 16], 0, &frame);
    let with = |at: usize, value| {
        let mut bytes = payload.to_vec();
        bytes[at] = value;
        refused(Reply::FRAME, &bytes)
    };
    assert_eq!(with(37, 3), unknown("light", 3));
    assert_eq!(with(39, 2), unknown("format", 2));
    assert_eq!(
        with(44, 3),
        E::BadDimensions {
            width: 3,
            height: 1,
            pixels: 2
        }
    );
    assert_eq!(
        with(47, 0xff),
        E::BadDimensions {
            width: 0xff00_0002,
            height: 1,
            pixels: 2
        }
    );
    assert_eq!(with(16, 3), unknown("purpose", 3));
    for (at, field) in [(17, "after purpose"), (20, "id of a trial")] {
        let reserved = E::ReservedNotZero {
            message: "FRAME",
            field,
        };
        assert_eq!(with(at, 1), reserved);
    }
    let short = E::TooShort {
        message: "FRAME",
        field: "exposure",
    };
    assert_eq!(refused(Reply::FRAME, &payload[..40]), short);
}

#[test]
fn impossible_plan_on_the_wire_is_refused() {
    let arm = |shots: &[u8], count| {
        let payload = [&[0; 36][..], &[count, 0, 0, 0], shots].concat();
        let payload = crate::Wiped::from(payload);
        Command::parse(&Packet {
            kind: 0x02,
            sequence: 0,
            answers: 0,
            sealed: false,
            payload,
        })
        .unwrap_err()
    };
    assert_eq!(arm(&[], 0), ProtocolError::BadPlan(PlanError::Count(0)));
    let dark = PlanError::Mask {
        index: 0,
        led_mask: 0,
    };
    assert_eq!(
        arm(&[1, 0, 0, 0, 100, 0, 0, 0], 1),
        ProtocolError::BadPlan(dark)
    );
    assert_eq!(
        arm(&[], 255),
        ProtocolError::TooShort {
            message: "ARM",
            field: "light"
        }
    );
}

#[test]
fn malformed_events_are_refused_by_field() {
    let event = ReaderEvent {
        kind: EventKind::Tamper,
        sequence: 1,
        uptime_ms: 2,
    };
    let (head, body) = event.parts();
    let good = [&head[..], &body, &[0; 16]].concat();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        let (_, sequence, opened) = ReaderEvent::split(&bytes)?;
        ReaderEvent::parse(sequence, &opened)
    };
    assert_eq!(with(0, 1), Ok(event));
    let unknown = |field, value| {
        Err(ProtocolError::UnknownValue {
            message: "event",
            field,
            value,
        })
    };
    let reserved = |field| {
        Err(ProtocolError::ReservedNotZero {
            message: "event",
            field,
        })
    };
    assert_eq!(with(0, 2), Err(ProtocolError::UnsupportedVersion(2)));
    assert_eq!(with(8, 9), unknown("kind", 9));
    assert_eq!(with(9, 1), unknown("detail", 1));
    assert_eq!(with(3, 1), reserved("after version"));
    assert_eq!(with(10, 1), reserved("after detail"));
    let short = ProtocolError::TooShort {
        message: "event",
        field: "sealed part",
    };
    assert_eq!(ReaderEvent::split(&good[..31]), Err(short));
    let long = ProtocolError::TooLong {
        message: "event",
        extra: 1,
    };
    assert_eq!(ReaderEvent::split(&[&good[..], &[0]].concat()), Err(long));
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to make reproducible bytes.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn feed_all(bytes: &[u8]) {
    fuzz_packet(bytes);
    fuzz_command(bytes);
    fuzz_reply(bytes);
    fuzz_frame(bytes);
    fuzz_event(bytes);
    fuzz_script(bytes);
    claim::fuzz_claim(bytes);
    fuzz_connected(bytes);
}

fn claim() -> claim::Claim {
    let birth = crate::Maker::development().device("0001");
    let (key, _) = crypto::SigningKey::generate();
    let firmware = claim::FirmwareStatement::issue(&birth.key, ("1.2.3", 1), [7; 32], key.public());
    claim::Claim {
        model: birth.model,
        device: birth.device,
        firmware,
    }
}

#[test]
fn fuzz_smoke_random_and_mutated_inputs_do_not_panic() {
    let mut state = 20_260_101;
    let frame = Frame::new(example_shot(), 9, 5, vec![1; 45]).unwrap();
    let arm = Command::Arm {
        ticket: [1; 16].into(),
        plan: BurstPlan::coded([1; 8]),
    }
    .encode(1);
    let seeds = [
        [&[0xff][..], &arm].concat(), // as one piece of fuzz_packet
        [&[0x02][..], &arm[HEADER_LEN..]].concat(),
        [&[0x81][..], &example_info().encode()].concat(),
        encode_frame([1; 16], 0, &frame).to_vec(),
        [&[1, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0][..], &[0; 20]].concat(),
        claim().encode(),
        b"PALM 7 L\nHINT too_far\nSLEEP 200\nNAK busy".to_vec(),
    ];
    for round in 0..20_000_usize {
        let mut bytes = seeds[round % seeds.len()].clone();
        if round % 4 == 0 {
            let len = usize::try_from(random(&mut state) % 300).unwrap();
            bytes = (0..len)
                .map(|_| random(&mut state).to_le_bytes()[0])
                .collect();
        } else {
            for _ in 0..=random(&mut state) % 3 {
                let at = usize::try_from(random(&mut state)).unwrap() % bytes.len();
                bytes[at] = random(&mut state).to_le_bytes()[0];
            }
            let len = usize::try_from(random(&mut state)).unwrap() % (bytes.len() * 4);
            bytes.truncate(len.max(1));
        }
        feed_all(&bytes);
    }
    seeds.iter().for_each(|seed| feed_all(seed));
    (0..200_u64).for_each(|round| fuzz_picture(&mutated_png(round)));
}

fn mutated_png(round: u64) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::GrayImage::from_pixel(20, 10, image::Luma([9]));
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    let mut bytes = bytes.into_inner();
    let mut state = round;
    let at = usize::try_from(random(&mut state)).unwrap() % bytes.len();
    bytes[at] = random(&mut state).to_le_bytes()[0];
    bytes
}

fn any_plan() -> impl Strategy<Value = BurstPlan> {
    let lit = prop_oneof![Just(Light::Nir), Just(Light::Visible)];
    let shot = prop_oneof![
        (10..=100_000_u32).prop_map(|us| Shot {
            light: Light::Ambient,
            led_mask: 0,
            exposure_us: us
        }),
        (lit, 1..=u8::MAX, 10..=100_000_u32).prop_map(|(light, led_mask, exposure_us)| Shot {
            light,
            led_mask,
            exposure_us
        }),
    ];
    prop::collection::vec(shot, 1..=8).prop_map(|shots| BurstPlan::new(shots).unwrap())
}

fn any_ticket() -> impl Strategy<Value = Ticket> {
    let purpose = prop_oneof![
        Just(Purpose::Trial),
        any::<[u8; 16]>().prop_map(Purpose::Payment),
        any::<[u8; 16]>().prop_map(Purpose::Enrolment),
    ];
    (any::<Nonce>(), purpose).prop_map(|(nonce, purpose)| Ticket { nonce, purpose })
}

fn any_command() -> impl Strategy<Value = Command> {
    let effect = prop_oneof![
        Just(PatternEffect::Blink),
        Just(PatternEffect::Pulse),
        Just(PatternEffect::Steady)
    ];
    prop_oneof![
        Just(Command::Abort),
        (any_ticket(), any_plan()).prop_map(|(ticket, plan)| Command::Arm { ticket, plan }),
        any::<([u8; 32], [u8; 32], [u8; 32])>().prop_map(|(nonce, x, y)| {
            let point = [x, y].concat().try_into().unwrap();
            Command::Connect(Connect { nonce, point })
        }),
        Just(Command::SelfTest),
        any::<Nonce>().prop_map(|nonce| Command::Capture { nonce }),
        any::<(u8, u8)>().prop_map(|(version_min, version_max)| {
            Command::Hello {
                version_min,
                version_max,
            }
        }),
        any::<u64>().prop_map(Command::Ping),
        (any::<[u8; 3]>(), effect, any::<u16>(), any::<u16>()).prop_map(
            |(colour, effect, tone_hz, tone_ms)| {
                Command::Signal(Pattern {
                    colour,
                    effect,
                    tone_hz,
                    tone_ms,
                })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn commands_come_back_however_they_are_cut(
        commands in prop::collection::vec(any_command(), 1..5),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut decoder = Decoder::new(crate::limits::COMMAND_PAYLOAD_MAX);
        for (sequence, command) in (1..).zip(&commands) {
            let bytes = command.encode(sequence);
            let mut rest = bytes.as_slice();
            let mut cuts = cuts.iter().cycle();
            let packet = loop {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                rest = after;
                let packet = decoder.push(piece, rest.is_empty()).unwrap();
                if rest.is_empty() {
                    break packet.unwrap();
                }
                prop_assert!(packet.is_none());
            };
            prop_assert_eq!(packet.sequence, sequence);
            prop_assert_eq!(&Command::parse(&packet).unwrap(), command);
        }
    }

    #[test]
    fn frames_come_back(width in 1..40_u32, height in 1..40_u32, ticket in any_ticket(), index: u8) {
        let pixels: Vec<u8> = (0..width * height).map(|at| at.to_le_bytes()[0]).collect();
        let frame = Frame::new(example_shot(), width, height, pixels.clone()).unwrap();
        let image = ImageFrame::parse(encode_frame(ticket, index, &frame)).unwrap();
        prop_assert_eq!((image.index, image.ticket), (index, ticket));
        prop_assert_eq!(image.frame.shot(), example_shot());
        prop_assert_eq!((image.frame.width(), image.frame.height()), (width, height));
        prop_assert_eq!(image.frame.pixels(), pixels);
    }

    #[test]
    fn one_flipped_bit_never_goes_unnoticed(at in 0..(HEADER_LEN + 8) * 8) {
        let mut bytes = Command::Ping(0x55).encode(3);
        bytes[at / 8] ^= 1 << (at % 8);
        prop_assert!(decode(&bytes).is_err());
    }
}
