use super::*;

/// A folder with these files (empty ones), removed when dropped.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
    folder
}

#[test]
fn layout_gives_identities_and_sessions_in_order() {
    let folder = folder(&[
        "002_l/s2_01.PNG",
        "002_l/s1_01.jpg",
        "001_r/s1_1.bmp",
        "001_r/.hidden",
    ]);
    let set = ImageSet::open(folder.path()).unwrap();
    let rows: Vec<(&str, Vec<u32>)> = set
        .subjects
        .iter()
        .map(|subject| {
            (
                subject.name.as_str(),
                subject.images.iter().map(|i| i.session).collect(),
            )
        })
        .collect();
    assert_eq!(rows, [("001_r", vec![1]), ("002_l", vec![1, 2])]);
    assert_eq!(set.images(), 3);
}

#[test]
fn what_does_not_fit_the_layout_is_named_with_its_remedy() {
    for (files, named) in [
        (&["s1_01.png"][..], "s1_01.png"),
        (&["001/palm.png"], "palm.png"),
        (&["001/s1_01.gif"], "s1_01.gif"),
        (&["001/s1.png"], "s1.png"),
        (&["001/s_1.png"], "s_1.png"),
        (&["set/001/s1_01.png"], "set"),
    ] {
        let folder = folder(files);
        let error = ImageSet::open(folder.path()).unwrap_err();
        assert!(
            matches!(error, LoadError::Layout { .. }),
            "{files:?}: {error}"
        );
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_missing_and_an_empty_folder_are_told_apart() {
    let folder = folder(&[]);
    assert!(matches!(
        ImageSet::open(folder.path()),
        Err(LoadError::Empty { .. })
    ));
    fs::create_dir(folder.path().join("001")).unwrap();
    assert!(matches!(
        ImageSet::open(folder.path()),
        Err(LoadError::Empty { .. })
    ));
    let missing = folder.path().join("missing");
    assert!(matches!(
        ImageSet::open(&missing),
        Err(LoadError::Io { .. })
    ));
}

#[test]
fn an_unreadable_image_is_named() {
    let folder = folder(&["001/s1_01.png"]);
    let path = folder.path().join("001/s1_01.png");
    for bytes in [&b""[..], b"no image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"] {
        fs::write(&path, bytes).unwrap();
        let error = picture(&path).unwrap_err();
        assert!(matches!(error, LoadError::Decode { .. }), "{error:?}");
        assert!(error.to_string().contains("s1_01.png"));
    }
}

#[test]
fn colour_becomes_grey_and_chroma() {
    let folder = folder(&[]);
    let path = folder.path().join("red.png");
    image::RgbImage::from_pixel(3, 2, image::Rgb([255, 0, 0]))
        .save(&path)
        .unwrap();
    let Picture { grey, chroma } = picture(&path).unwrap();
    assert_eq!((grey.width(), grey.height()), (3, 2));
    assert!(grey.pixels().iter().all(|pixel| (50..60).contains(pixel)));
    assert!(chroma.unwrap().pixels().iter().all(|pixel| *pixel == 255));
    image::GrayImage::new(3, 2).save(&path).unwrap();
    assert!(picture(&path).unwrap().chroma.is_none());
}

#[test]
fn side_follows_the_name() {
    let names = ["001_l", "002_r", "003", "004", "hand"];
    let sides = names.map(|name| side(SideRule::Auto, name));
    assert_eq!(
        sides,
        [
            Hand::Left,
            Hand::Right,
            Hand::Left,
            Hand::Right,
            Hand::Right
        ]
    );
    assert_eq!(side(SideRule::Fixed(Hand::Left), "002_r"), Hand::Left);
}
