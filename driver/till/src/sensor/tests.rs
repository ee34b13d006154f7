use super::*;

fn plan() -> BurstPlan {
    BurstPlan::coded([3; 8])
}

/// A binary PGM-free way to a file: an 8-bit grey BMP.
fn bmp(
    folder: &Path,
    width: u32,
    height: u32,
    pixel: impl Fn(u32, u32) -> u8,
) -> std::path::PathBuf {
    let stride = width.div_ceil(4) * 4;
    let offset = 54 + 1024;
    let mut bytes = Vec::new();
    bytes.extend(b"BM");
    for word in [offset + stride * height, 0, offset, 40, width, height] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([1, 0, 8, 0]);
    for word in [0, stride * height, 2835, 2835, 256, 0] {
        bytes.extend(word.to_le_bytes());
    }
    (0..=255).for_each(|grey: u8| bytes.extend([grey, grey, grey, 0]));
    for y in (0..height).rev() {
        bytes.extend((0..stride).map(|x| if x < width { pixel(x, y) } else { 0 }));
    }
    let path = folder.join(format!("{width}x{height}.bmp"));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn shown(path: &Path) -> Vec<Exposure> {
    SyntheticSensor::default()
        .expose(&Subject::Image(path.to_owned()), &plan(), 5)
        .unwrap()
}

fn at(exposure: &Exposure, x: usize, y: usize) -> u8 {
    exposure.pixels[y * FRAME_WIDTH + x]
}

#[test]
fn palm_repeats_with_its_seed_and_varies_with_another() {
    let mut sensor = SyntheticSensor::default();
    let subject = Subject::Palm {
        identity: 7,
        left: false,
    };
    let mut take = |seed| sensor.expose(&subject, &plan(), seed).unwrap();
    let (first, again, other) = (take(1), take(1), take(2));
    assert_eq!(first.len(), plan().shots().len());
    assert!(first.iter().zip(&again).all(|(a, b)| a.pixels == b.pixels));
    assert!(first.iter().zip(&other).all(|(a, b)| a.pixels != b.pixels));
    assert!(
        first
            .iter()
            .all(|exposure| (exposure.width, exposure.height) == (720, 1024))
    );
}

#[test]
fn upright_picture_fills_the_frame_and_its_ambient_shot_is_dark() {
    let folder = tempfile::tempdir().unwrap();
    let path = bmp(folder.path(), 360, 512, |x, y| {
        if x < 180 && y < 256 { 200 } else { 90 }
    });
    let exposures = shown(&path);
    assert!(exposures[0].pixels.iter().all(|grey| *grey < 4), "ambient");
    assert_eq!(
        [
            at(&exposures[1], 10, 10),
            at(&exposures[1], 700, 10),
            at(&exposures[1], 10, 1000)
        ],
        [200, 90, 90]
    );
}

#[test]
fn lying_picture_is_turned_and_not_mirrored() {
    let folder = tempfile::tempdir().unwrap();
    // Bright top left quarter; clockwise it comes to the top right.
    let path = bmp(folder.path(), 512, 360, |x, y| {
        if x < 256 && y < 180 { 200 } else { 90 }
    });
    let exposure = &shown(&path)[1];
    assert_eq!(
        [
            at(exposure, 700, 10),
            at(exposure, 10, 10),
            at(exposure, 700, 1000)
        ],
        [200, 90, 90]
    );
}

#[test]
fn narrow_picture_keeps_its_shape_and_its_ground_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = bmp(folder.path(), 100, 1024, |x, _| {
        if (40..60).contains(&x) { 250 } else { 30 }
    });
    let exposure = &shown(&path)[1];
    assert_eq!(
        [
            at(exposure, 0, 500),
            at(exposure, 360, 500),
            at(exposure, 719, 500)
        ],
        [30, 250, 30]
    );
    let bright = (0..FRAME_WIDTH)
        .filter(|x| at(exposure, *x, 500) == 250)
        .count();
    assert_eq!(bright, 20, "not stretched");
}

#[test]
fn one_pixel_is_enough_and_no_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let exposure = &shown(&bmp(folder.path(), 1, 1, |_, _| 77))[1];
    assert!(exposure.pixels.iter().all(|grey| *grey == 77));
    for path in [folder.path().join("absent.png"), {
        let path = folder.path().join("torn.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n torn").unwrap();
        path
    }] {
        let subject = Subject::Image(path.clone());
        let said = SyntheticSensor::default()
            .expose(&subject, &plan(), 1)
            .unwrap_err();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
}

#[test]
fn a_print_is_another_picture_of_the_same_palm() {
    let mut sensor = SyntheticSensor::default();
    let palm = Subject::Palm {
        identity: 7,
        left: false,
    };
    let print = Subject::Print { identity: 7 };
    let mut take = |subject| sensor.expose(subject, &plan(), 1).unwrap();
    let (hand, paper) = (take(&palm), take(&print));
    assert_eq!(paper.len(), plan().shots().len());
    let lit = 1..;
    assert!(
        lit.take(4)
            .all(|shot| hand[shot].pixels != paper[shot].pixels)
    );
}
