use super::decode::{DecodeError, PixelFormat, Raw, decode};
use super::presence::Presence;
use super::quirks::{CameraLight, Lamp, QuirkError, Quirks};
use super::*;

fn decoded(format: PixelFormat, size: (u32, u32), stride: usize, bytes: &[u8]) -> Vec<u8> {
    let mut grey = vec![99; 3];
    let raw = Raw {
        format,
        size,
        stride,
        bytes,
    };
    decode(raw, &mut grey).unwrap();
    grey
}

#[test]
fn formats_become_grey() {
    let size = (2, 2);
    assert_eq!(
        decoded(PixelFormat::Grey, size, 0, &[1, 2, 3, 4]),
        [1, 2, 3, 4]
    );
    let yuyv = [1, 128, 2, 128, 3, 90, 4, 200];
    assert_eq!(decoded(PixelFormat::Yuyv, size, 4, &yuyv), [1, 2, 3, 4]);
    let ten_bits = PixelFormat::Y16 { bits: 10 };
    let y16 = [0, 0, 0xff, 3, 4, 0, 0xff, 0xff];
    assert_eq!(decoded(ten_bits, size, 0, &y16), [0, 255, 1, 255]);
    let sixteen = PixelFormat::Y16 { bits: 16 };
    assert_eq!(decoded(sixteen, size, 0, &y16), [0, 3, 0, 255]);
}

#[test]
fn gap_between_rows_is_left_out_and_may_lack_behind_the_last() {
    let rows = [1, 2, 77, 77, 3, 4];
    assert_eq!(decoded(PixelFormat::Grey, (2, 2), 4, &rows), [1, 2, 3, 4]);
}

#[test]
fn cut_or_impossible_frame_is_refused() {
    let mut grey = Vec::new();
    let raw = Raw {
        format: PixelFormat::Grey,
        size: (2, 2),
        stride: 0,
        bytes: &[1, 2, 3],
    };
    let short = DecodeError::Short { wanted: 4, got: 3 };
    assert_eq!(decode(raw, &mut grey), Err(short));
    for size in [(0, 2), (2, 0), (8193, 1), (8192, 8192)] {
        let refused = decode(Raw { size, ..raw }, &mut grey);
        assert_eq!(refused, Err(DecodeError::Size(size.0, size.1)));
    }
    let jpeg = Raw {
        format: PixelFormat::Mjpg,
        ..raw
    };
    assert_eq!(decode(jpeg, &mut grey), Err(DecodeError::Jpeg));
}

#[test]
fn motion_jpeg_is_read_with_and_without_its_huffman_tables() {
    let pixels: Vec<u8> = (0..64_u8 * 2).map(|at| at.wrapping_mul(2)).collect();
    let jpeg = crate::picture::jpeg_of_grey(&pixels, (16, 8)).unwrap();
    let whole = decoded(PixelFormat::Mjpg, (16, 8), 0, &jpeg);
    let off = |grey: &[u8]| {
        let differences = grey.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b));
        differences.max().unwrap()
    };
    assert!(
        whole.len() == pixels.len() && off(&whole) < 24,
        "{}",
        off(&whole)
    );
    // Of another size than agreed.
    let raw = Raw {
        format: PixelFormat::Mjpg,
        size: (8, 16),
        stride: 0,
        bytes: &jpeg,
    };
    assert_eq!(decode(raw, &mut Vec::new()), Err(DecodeError::Jpeg));
    let bare = without_huffman_tables(&jpeg);
    assert!(bare.len() < jpeg.len());
    let bare = decoded(PixelFormat::Mjpg, (16, 8), 0, &bare);
    assert_eq!(bare, whole);
}

/// As cameras send it: DHT segments left out, because everybody knows them.
fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut bare = jpeg[..2].to_vec();
    let mut rest = &jpeg[2..];
    while rest[1] != 0xda {
        let length = 2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if rest[1] != 0xc4 {
            bare.extend(&rest[..length]);
        }
        rest = &rest[length..];
    }
    [&bare[..], rest].concat()
}

const SIZE: (u32, u32) = (160, 120);

/// A grey table with a bright square of this half side at this column.
fn view(ground: u8, hand: Option<(u32, u32)>) -> Vec<u8> {
    let (width, height) = SIZE;
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        let is_hand = hand.is_some_and(|(column, half)| {
            x.abs_diff(column) < half && y.abs_diff(height / 2) < half
        });
        if is_hand { 220 } else { ground }
    };
    (0..width * height).map(pixel).collect()
}

fn watch(presence: &mut Presence, frame: &[u8], frames: usize) -> Vec<HandState> {
    (0..frames)
        .filter_map(|_| presence.look(frame, SIZE))
        .collect()
}

#[test]
fn hand_is_told_once_when_it_comes_and_once_when_it_goes() {
    let mut presence = Presence::new();
    assert_eq!(watch(&mut presence, &view(40, None), 20), []);
    let hand = view(40, Some((80, 45)));
    assert_eq!(watch(&mut presence, &hand, 20), [HandState::Present]);
    assert_eq!(
        watch(&mut presence, &view(40, None), 20),
        [HandState::Absent]
    );
}

#[test]
fn hand_that_moves_is_asked_to_keep_still() {
    let mut presence = Presence::new();
    watch(&mut presence, &view(40, None), 5);
    let states: Vec<HandState> = [50, 110, 60, 100, 55, 80, 80, 80]
        .iter()
        .filter_map(|column| presence.look(&view(40, Some((*column, 45))), SIZE))
        .collect();
    assert_eq!(states, [HandState::Moving, HandState::Present]);
}

#[test]
fn small_things_at_the_edge_and_slow_light_are_no_hand() {
    let mut presence = Presence::new();
    watch(&mut presence, &view(40, None), 5);
    assert_eq!(watch(&mut presence, &view(40, Some((5, 12))), 20), []);
    for ground in 40..120 {
        assert_eq!(watch(&mut presence, &view(ground, None), 4), []);
    }
}

#[test]
fn thing_that_never_moves_becomes_part_of_the_view() {
    let mut presence = Presence::new();
    watch(&mut presence, &view(40, None), 5);
    let bottle = view(40, Some((80, 45)));
    let told = watch(&mut presence, &bottle, 2000);
    assert_eq!(told, [HandState::Present, HandState::Absent]);
}

#[test]
fn frame_that_is_too_small_or_cut_tells_nothing() {
    let mut presence = Presence::new();
    assert_eq!(presence.look(&[0; 64], (8, 8)), None);
    assert_eq!(presence.look(&[0; 64], SIZE), None);
    assert_eq!(presence.state(), HandState::Absent);
}

#[test]
fn shipped_quirks_are_read() {
    let text = include_str!("quirks.toml");
    let quirks = Quirks::parse(text).unwrap();
    let brio = quirks.of((0x046d, 0x085e)).unwrap();
    assert_eq!(brio.light, CameraLight::Nir);
    let Some(Lamp::Unit(unit)) = &brio.lamp else {
        panic!("{:?}", brio.lamp)
    };
    assert_eq!((unit.interface, unit.unit, unit.selector), (0, 12, 6));
    assert_eq!(unit.on.len(), 9);
    assert!(Quirks::shipped().of((0x046d, 0x085e)).is_some());
    assert!(quirks.of((0x1209, 0x0001)).is_none());
}

#[test]
fn own_quirks_win_and_bad_ones_are_named() {
    let own = Quirks::parse("['046d:085e']\nname = 'mine'").unwrap();
    let both = Quirks::shipped().and(own);
    assert_eq!(both.of((0x046d, 0x085e)).unwrap().name, "mine");
    let refused = |text: &str| Quirks::parse(text).unwrap_err();
    assert!(matches!(refused("['46d:085e']"), QuirkError::Id(id) if id == "46d:085e"));
    assert!(matches!(
        refused("['046d:085e']\nlamps = 1"),
        QuirkError::Shape(_)
    ));
    let bits = refused("['046d:085e']\nbits = 8");
    assert_eq!(bits.to_string(), "046d:085e: bits: write 9 to 16");
    let lamp = refused("['046d:085e']\nlamp.unit = { unit = 1, selector = 1, on = [] }");
    assert!(lamp.to_string().contains("lamp.unit.on"), "{lamp}");
    assert!(matches!(refused(&" ".repeat(300_000)), QuirkError::TooLong));
}

#[test]
fn information_says_what_a_camera_does_not_promise() {
    let info = CameraInfo {
        model: "Some camera".to_owned(),
        serial: "A-1".to_owned(),
        usb: Some((0x046d, 0x085e)),
        size: (640, 480),
        format: PixelFormat::Grey,
        light: Light::Nir,
        is_known: true,
    };
    assert!(!info.promises().attested && !info.promises().led_code);
    let text = info.to_string();
    assert!(text.contains("046d:085e (known)"), "{text}");
    assert!(text.contains("not attested; no LED code"), "{text}");
}
