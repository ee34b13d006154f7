//! Every parser of outside bytes, on seeded inputs: valid ones, valid ones damaged, and noise. None may panic.
//!
//! `OPENPALM_FUZZ_SEEDS` sets the rounds. The same functions are targets of `cargo fuzz` under `tests/fuzz`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, fs, io::Cursor, path::Path};

use palm_driver::{
    BurstPlan, Frame, Light, Shot, emulator,
    protocol::{self, Command, encode, encode_frame},
    usbip,
};
use palm_models::template::{Hand, OrientationCode, Template};
use palm_proto::v1;
use palm_server::{config::rails::Encoding, rail};
use palm_tests::settings;
use prost::Message;

type Parser = fn(&[u8]);
/// A name as in `fuzz/fuzz_targets`, a parser, and inputs that it takes.
type Target = (&'static str, Parser, Vec<Vec<u8>>);

fn targets() -> Vec<Target> {
    [
        driver_targets(),
        cable_targets(),
        other_targets(),
        messages_of_banks(),
        rail_targets(),
    ]
    .concat()
}

fn messages_of_banks() -> Vec<Target> {
    vec![
        (
            "server_bank_statement",
            palm_server::reports::fuzz_bank_statement,
            texts(&[BANK_STATEMENT]),
        ),
        (
            "server_status_report",
            palm_server::reports::fuzz_status_report,
            texts(&[STATUS_REPORT]),
        ),
        (
            "server_rail_report",
            palm_server::reports::fuzz_rail_report,
            texts(&[RAIL_REPORT]),
        ),
    ]
}

/// What a reader sends, and what a developer or maker gives to the driver.
fn driver_targets() -> Vec<Target> {
    vec![
        (
            "driver_claim",
            protocol::claim::fuzz_claim,
            vec![vector("CONNECTED")[120..][..584].to_vec()],
        ),
        ("driver_command", protocol::fuzz_command, commands(1)),
        (
            "driver_connected",
            protocol::fuzz_connected,
            vec![vector("CONNECTED")[24..].to_vec()],
        ),
        (
            "driver_dfu_report",
            palm_driver::dfu::fuzz_dfu_report,
            vec![vec![0, 20, 0, 0, 4, 0]],
        ),
        (
            "driver_event",
            protocol::fuzz_event,
            vec![
                vector("EVENT"),
                [&[1, 0, 0, 0, 7, 0, 0, 0, 3], &[0; 23][..]].concat(),
            ],
        ),
        (
            "driver_firmware",
            palm_driver::dfu::fuzz_firmware,
            firmware_files(),
        ),
        ("driver_frame", protocol::fuzz_frame, vec![frame()]),
        ("driver_packet", protocol::fuzz_packet, packets()),
        (
            "driver_picture",
            palm_driver::picture::fuzz_picture,
            pictures(),
        ),
        (
            "driver_recording",
            palm_driver::recording::fuzz_recording,
            vec![recording()],
        ),
        ("driver_reply", protocol::fuzz_reply, vec![vec![0; 64]]),
        (
            "driver_script",
            emulator::script::fuzz_script,
            texts(&[SCRIPT]),
        ),
    ]
}

/// What comes over a cable to an emulated device, and what a camera sends.
fn cable_targets() -> Vec<Target> {
    vec![
        (
            "driver_camera",
            palm_driver::camera::decode::fuzz_decode,
            vec![[&[8, 4, 0, 12][..], &pictures().concat()].concat()],
        ),
        (
            "driver_descriptors",
            usbip::descriptors::fuzz_descriptors,
            vec![usbip::descriptors::Descriptors::reader("A-1").configuration],
        ),
        (
            "driver_quirks",
            palm_driver::camera::quirks::fuzz_quirks,
            texts(&[QUIRKS]),
        ),
        (
            "driver_redir",
            usbip::redir::fuzz_redir,
            vec![redir_packet()],
        ),
        ("driver_usbip", usbip::wire::fuzz_usbip, usbip_headers()),
    ]
}

fn other_targets() -> Vec<Target> {
    vec![
        ("models_template", template_of, vec![template()]),
        (
            "proto_requests",
            palm_proto::request::fuzz_requests,
            requests(),
        ),
        (
            "server_block",
            palm_server::gallery::sealed::block::fuzz_block,
            vec![block_header()],
        ),
        (
            "server_config",
            palm_server::config::fuzz_config,
            texts(&[PALMD_CONFIG]),
        ),
        (
            "server_link",
            palm_server::gallery::fuzz_link,
            link_messages(),
        ),
        (
            "server_page_token",
            palm_server::fuzz_page_token,
            texts(&["", "00ff", "6162"]),
        ),
        (
            "server_record",
            palm_server::ledger::fuzz_record,
            vec![vec![1; 64], vec![0; 96]],
        ),
        (
            "server_sealed",
            palm_server::vault::fuzz_sealed,
            vec![vec![1; 64]],
        ),
        (
            "till_command",
            palm_till::command::fuzz_command,
            texts(&COMMANDS),
        ),
        (
            "till_journal",
            palm_till::journal::fuzz_journal,
            texts(&[JOURNAL]),
        ),
        (
            "till_offline",
            palm_till::offline::fuzz_queue,
            texts(&[OFFLINE]),
        ),
    ]
}

/// What outside rails send.
fn rail_targets() -> Vec<Target> {
    vec![
        (
            "server_host_frames",
            rail::iso8583::fuzz_frames,
            host_frames(),
        ),
        (
            "server_host_message",
            rail::iso8583::fuzz_message,
            host_messages(),
        ),
        (
            "server_webhook",
            rail::stripe::fuzz_webhook,
            texts(&WEBHOOKS),
        ),
    ]
}

/// Bytes of a vector of the reader protocol's specification.
fn vector(name: &str) -> Vec<u8> {
    let text = include_str!("../../driver/PROTOCOL.md");
    let (_, after) = text.split_once(&format!("Vector `{name}`")).unwrap();
    let block = after.split("```").nth(1).unwrap().split_whitespace();
    block
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// With its suffix, and without: then the target writes one.
fn firmware_files() -> Vec<Vec<u8>> {
    let file = vector("FIRMWARE_FILE");
    let bare = file[..file.len() - 16].to_vec();
    vec![file, bare]
}

/// An event, and a burst of one small picture.
fn recording() -> Vec<u8> {
    let head = [
        &b"OPRR\x01\0\0\0"[..],
        &[1, 0, 0, 0, 9, 0, 0, 0, 1, 1, 0, 0],
    ]
    .concat();
    let burst = [
        2, 0, 0, 0, 9, 1, 0, 0, 1, 0, 0, 0, 1, 255, 0, 0, 100, 0, 0, 0,
    ];
    let picture = [2, 0, 0, 0, 1, 0, 0, 0, 7, 8];
    [&head[..], &burst, &picture].concat()
}

const SCRIPT: &str =
    "PALM 7 L\nLIFT\nHINT too_far\nUNPLUG 3\nSLEEP 200\nNAK busy\nIMAGE a b.png\n# so\n";
const BANK_STATEMENT: &str = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>
<Id>S</Id><Acct><Id><IBAN>X</IBAN></Id><Ccy>EUR</Ccy></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp>
<Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal><Ntry><Amt Ccy="EUR">2.5</Amt><CdtDbtInd>DBIT</CdtDbtInd>
<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-24</Dt></BookgDt><NtryDtls><TxDtls><Refs>
<EndToEndId>E&amp;&#x31;</EndToEndId></Refs></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"#;
const RAIL_REPORT: &str = "reference,movement,amount,fee,currency,day,settlement\r\n\
    pi_1,capture,4500,90,KRW,2026-11-24,S1\r\npi_1,refund,500,,KRW,2026-11-25,\r\n";
const STATUS_REPORT: &str = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<OrgnlGrpInfAndSts><OrgnlMsgId>P</OrgnlMsgId><GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>DUPL</Cd></Rsn></StsRsnInf>
</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><TxInfAndSts><OrgnlEndToEndId>E</OrgnlEndToEndId><TxSts>ACCP</TxSts>
</TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"#;
const QUIRKS: &str = include_str!("../../driver/src/camera/quirks.toml");
const PALMD_CONFIG: &str = include_str!("../../server/palmd.example.toml");
const COMMANDS: [&str; 3] = [
    r#"{"command":"charge","amount_minor":4500}"#,
    r#"{"command":"enrol_name","display_name":"Seven"}"#,
    r#"{"command":"enrol_consent","notice_version":"2026-11"}"#,
];
const OFFLINE: &str = concat!(
    r#"{"ended":{"payment":"payments/00000000-0000-4000-8000-000000000001","amount_minor":1,"end":"paid"}}"#,
    "\n",
);
const WEBHOOKS: [&str; 2] = [
    "t=0,v1=0000000000000000000000000000000000000000000000000000000000000000\n{}",
    r#"{"id":"evt_1","type":"charge.refunded","data":{"object":{"id":"ch_1","payment_intent":"pi_1"}}}"#,
];
const JOURNAL: &str = concat!(
    r#"{"sent":{"payment":"payments/00000000-0000-4000-8000-000000000001","amount_minor":1,"currency":"KRW"}}"#,
    "\n",
    r#"{"resolved":{"payment":"payments/00000000-0000-4000-8000-000000000001"}}"#,
    "\n",
);

/// What matcher and keyholder say to each other in a search.
fn link_messages() -> Vec<Vec<u8>> {
    let open = v1::SearchOpen {
        session: vec![1; 16],
        till: "tills/counter-1".to_owned(),
        purpose: Some(v1::search_open::Purpose::Payment(v1::SearchPayment {
            payment: "payments/00000000-0000-4000-8000-000000000001".to_owned(),
            amount: Some(v1::Money {
                amount_minor: 1,
                currency_code: "KRW".to_owned(),
            }),
        })),
        samples: vec![v1::SealedTemplate {
            key_id: 1,
            encapsulated_key: vec![1; 32],
            ciphertext: vec![1; 16],
            capture_nonce: vec![1; 16],
        }],
    };
    let name = v1::BlockName {
        hand: 1,
        model: 2,
        epoch: 3,
        block: 4,
    };
    let sums = v1::SearchSums {
        blocks: vec![v1::BlockSums {
            name: Some(name),
            rows: vec![5; 8_192],
        }],
    };
    let person = v1::FoundPerson {
        outcome: 2,
        first: vec![6; 16],
        second: vec![0; 16],
    };
    let probe = v1::SearchProbe {
        hand: 0,
        model: 2,
        code: vec![0x55; 128],
    };
    let asked = [
        v1::search_request::Step::Open(open),
        v1::search_request::Step::Sums(sums),
    ];
    let answered = [
        v1::search_response::Step::Person(person),
        v1::search_response::Step::Probes(v1::SearchProbes {
            probes: vec![probe],
        }),
    ];
    let asked = asked.map(|step| v1::SearchRequest { step: Some(step) }.encode_to_vec());
    let answered = answered.map(|step| v1::SearchResponse { step: Some(step) }.encode_to_vec());
    let header = block_header()[..92].to_vec();
    let directory = vec![7; 64];
    let attach = v1::AttachRequest { header, directory }.encode_to_vec();
    [&asked[..], &answered, &[attach]].concat()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A bulk packet of usb-redir: type, length, id, then endpoint, status, lengths and stream.
fn redir_packet() -> Vec<u8> {
    let head = [101_u32.to_le_bytes(), 12_u32.to_le_bytes()].concat();
    let body = [0x03, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 7];
    [&head[..], &7_u64.to_le_bytes(), &body].concat()
}

fn usbip_headers() -> Vec<Vec<u8>> {
    let setup = usbip::Setup {
        request_type: 0x80,
        request: 6,
        value: 0x0100,
        index: 0,
        length: 18,
    };
    let submit = usbip::wire::Command::Submit {
        sequence: 1,
        device: 2,
        endpoint: 0x85,
        length: 512,
        setup,
    };
    let unlink = usbip::wire::Command::Unlink {
        sequence: 2,
        device: 2,
        which: 1,
    };
    let done = usbip::wire::Reply::Submit {
        sequence: 1,
        status: 0,
        length: 512,
    };
    vec![
        submit.encode().to_vec(),
        unlink.encode().to_vec(),
        done.encode().to_vec(),
    ]
}

/// Commands after the packet's header of so many bytes: type, then payload.
fn commands(kind: usize) -> Vec<Vec<u8>> {
    let nonce = [9; 16];
    let plan = BurstPlan::coded([1, 2, 3, 4, 5, 6, 7, 8]);
    let all = [
        Command::Hello {
            version_min: 1,
            version_max: 1,
        },
        Command::Arm {
            ticket: nonce.into(),
            plan,
        },
        Command::Capture { nonce },
        Command::Abort,
        Command::Ping(7),
    ];
    let bytes = |command: &Command| {
        let payload = command.encode(1)[protocol::HEADER_LEN..].to_vec();
        [vec![command.kind(); kind], payload].concat()
    };
    all.iter().map(bytes).collect()
}

/// Packets in pieces: before each piece, its length twice and whether it ends the message.
fn packets() -> Vec<Vec<u8>> {
    let packet = encode(0x01, 1, 0, &[1, 1]);
    let length = u8::try_from(packet.len()).unwrap();
    let whole = [&[length * 2 + 1][..], &packet].concat();
    let halves = [
        &[16][..],
        &packet[..8],
        &[(length - 8) * 2 + 1],
        &packet[8..],
    ]
    .concat();
    vec![whole, halves]
}

/// An answer of an acquirer's host in each layout.
fn host_messages() -> Vec<Vec<u8>> {
    let answer = rail::iso8583::Message::new(rail::iso8583::Mti::AUTHORISATION.answer())
        .with(4, "4500")
        .with(11, "123")
        .with(37, "632910000123")
        .with(38, "A00123")
        .with(39, "00")
        .with(44, "words")
        .with(90, "0");
    let layouts = [Encoding::Ascii, Encoding::AsciiHex, Encoding::Packed];
    let codec = |encoding| rail::iso8583::Codec {
        encoding,
        response_code_packed: false,
    };
    layouts
        .map(|encoding| codec(encoding).encode(&answer).unwrap())
        .to_vec()
}

/// A byte that chooses how, then frames: lengths of two bytes, four bytes and four digits.
fn host_frames() -> Vec<Vec<u8>> {
    vec![
        b"\x00\x00\x03one\x00\x00\x00\x02ab".to_vec(),
        b"\x01\x00\x00\x00\x03one".to_vec(),
        b"\x820008TPDU!one".to_vec(),
    ]
}

fn frame() -> Vec<u8> {
    let shot = Shot {
        light: Light::Nir,
        led_mask: 255,
        exposure_us: 4_000,
    };
    let frame = Frame::new(shot, 8, 6, vec![7; 48]).unwrap();
    encode_frame([9; 16], 0, &frame).to_vec()
}

fn pictures() -> Vec<Vec<u8>> {
    let picture = image::GrayImage::from_fn(24, 16, |x, y| image::Luma([(x * y % 251) as u8]));
    let formats = [
        image::ImageFormat::Png,
        image::ImageFormat::Jpeg,
        image::ImageFormat::Bmp,
    ];
    let written = formats.map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    written.to_vec()
}

fn template() -> Vec<u8> {
    let code = OrientationCode::from_cells(|x, y| u8::try_from((x + y) % 6).ok());
    Template::orientation_only(Hand::Right, 80, code)
        .to_bytes()
        .to_vec()
}

fn template_of(bytes: &[u8]) {
    if let Ok(template) = Template::from_bytes(bytes) {
        assert_eq!(
            template.to_bytes(),
            *bytes,
            "what was read writes the same bytes"
        );
    }
}

fn requests() -> Vec<Vec<u8>> {
    let id = || "payments/00000000-0000-4000-8000-000000000001".to_owned();
    let amount = Some(v1::Money {
        amount_minor: 4_500,
        currency_code: "KRW".to_owned(),
    });
    let sample = v1::SealedTemplate {
        key_id: 1,
        encapsulated_key: vec![1; 32],
        ciphertext: vec![2; 532],
        capture_nonce: vec![3; 16],
    };
    let payment = v1::AuthorisePaymentRequest {
        payment: id(),
        amount,
        sample: Some(sample.clone()),
        capture_mode: v1::payment::CaptureMode::Automatic.into(),
        accepted_offline: false,
    };
    let enrol = v1::EnrolRequest {
        request_id: id().replace("payments/", ""),
        customer: id().replace("payments", "customers"),
        samples: vec![sample; 3],
    };
    vec![payment.encode_to_vec(), enrol.encode_to_vec()]
}

/// SplitMix64 (Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest)).map(|_| self.byte()).collect()
    }
}

/// A valid input with a few things done to it, or noise.
fn input(random: &mut Random, valid: &[Vec<u8>]) -> Vec<u8> {
    if random.below(8) == 0 {
        return random.bytes(256);
    }
    let mut bytes = valid[random.below(valid.len())].clone();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend(random.bytes(32)),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.insert(at, random.byte()),
            4 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            _ if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    bytes
}

#[test]
fn no_parser_of_outside_bytes_panics() {
    for (name, parser, valid) in targets() {
        valid.iter().for_each(|bytes| parser(bytes));
        for seed in 0..settings::fuzz_seeds() {
            let bytes = input(&mut Random(seed), &valid);
            let outcome = std::panic::catch_unwind(|| parser(&bytes));
            assert!(outcome.is_ok(), "{name}, seed {seed}: {bytes:02x?}");
        }
    }
}

/// The start of a block of the sealed gallery (magic, format, three codes a word, right hand, model 2), then zeros; a
/// whole one has 4 MiB.
fn block_header() -> Vec<u8> {
    let mut bytes = b"OPGB\x01\x03\x00\x02".to_vec();
    bytes.resize(2_048, 0);
    bytes
}

/// Names of the files in a folder, without ending.
fn stems(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Counts `pub fn fuzz_` below a folder.
fn parsers(folder: &Path) -> usize {
    let mut found = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += parsers(&path);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found += fs::read_to_string(&path)
                .unwrap()
                .matches("\npub fn fuzz_")
                .count();
        }
    }
    found
}

#[test]
fn every_parser_is_called_here_and_is_a_target_of_cargo_fuzz() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named: BTreeSet<String> = targets()
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(stems(&here.join("fuzz/fuzz_targets")), named);
    let manifest = fs::read_to_string(here.join("fuzz/Cargo.toml")).unwrap();
    for name in &named {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is no target"
        );
    }
    let crates = ["proto", "models", "driver", "driver/till", "server"];
    let found: usize = crates
        .iter()
        .map(|folder| parsers(&here.join("..").join(folder).join("src")))
        .sum();
    // `models_template` stands for a parser without a function of its own.
    let own = usize::from(!has_template_parser(here));
    assert_eq!(
        named.len(),
        found + own,
        "a fuzz function is not called here"
    );
}

fn has_template_parser(here: &Path) -> bool {
    parsers(&here.join("../models/src")) > 0
}
