//! Cameras: the kernel's emulated one (vivid), and an emulated UVC camera on the virtual controller.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use palm_driver::camera::quirks::Quirks;
use palm_driver::hotplug::{Change, Listing, Watch};
use palm_driver::usbip::vhci::Plugged;
use palm_driver::{
    Camera, CameraBus, CancelToken, Clock, Event, Frame, HandState, Light, ReaderAddress,
    ReaderError, SystemClock,
};

use crate::Case;
use crate::rig::{PATIENCE, Rig, wait_for};
use crate::uvc::{self, GROUND, HAND, Scene};

pub(crate) const CASES: &[Case] = &[
    ("uvc_camera_comes_sees_a_hand_and_goes", uvc_camera),
    ("uvc_camera_sends_motion_jpeg", uvc_jpeg),
    ("lamp_behind_an_extension_unit_is_switched_on", uvc_lamp),
    (
        "camera_pulled_in_the_middle_of_a_burst_is_gone",
        uvc_unplugged,
    ),
    ("vivid_is_read_in_every_format", vivid),
    (
        "lamp_behind_a_control_is_off_and_on_within_a_burst",
        vivid_lamp,
    ),
];

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// The emulated UVC camera, once it is listed.
fn plugged(scene: &Arc<Scene>, bus: &mut CameraBus) -> anyhow::Result<(Plugged, ReaderAddress)> {
    let plugged = Plugged::new(Box::new(uvc::Camera::new(scene)))?;
    let address = wait_for("the UVC camera", || {
        let cameras = bus.list()?;
        Ok(cameras
            .into_iter()
            .find(|camera| camera.serial.as_deref() == Some("CAM-1")))
    })?;
    Ok((plugged, address))
}

fn burst(camera: &mut Camera) -> Result<Vec<Frame>, ReaderError> {
    camera.capture(PATIENCE, &CancelToken::new())
}

fn expect_hand(camera: &mut Camera, wanted: HandState) -> anyhow::Result<()> {
    let seen = wait_for("the hand", || {
        let event = camera.next_event(Duration::from_millis(500))?;
        // A hand that comes or goes moves first.
        Ok(event.filter(|event| *event != Event::Hand(HandState::Moving)))
    })?;
    ensure!(seen == Event::Hand(wanted), "{seen:?}");
    Ok(())
}

fn uvc_camera(_rig: &mut Rig) -> anyhow::Result<()> {
    let scene = Arc::new(Scene::default());
    scene.lamp.store(1, Ordering::SeqCst);
    let mut watch = Watch::new(Box::new(CameraBus::new()));
    let (plugged, _) = plugged(&scene, &mut CameraBus::new())?;
    let arrived = watch.next_change(PATIENCE, &CancelToken::new())?;
    let Some(Change::Arrived(address)) = arrived else {
        anyhow::bail!("{arrived:?}");
    };
    let mut camera = Camera::open(&address, &Quirks::shipped(), clock())?;
    let info = camera.info();
    ensure!(
        info.usb == Some(uvc::ID) && info.serial == "CAM-1",
        "{info}"
    );
    ensure!(
        info.size == uvc::SIZE && !info.promises().attested,
        "{info}"
    );
    ensure!(
        camera.next_event(Duration::from_millis(300))?.is_none(),
        "no hand"
    );
    scene.hand.store(true, Ordering::SeqCst);
    expect_hand(&mut camera, HandState::Present)?;
    let frames = burst(&mut camera)?;
    ensure!(
        frames.len() == 1 && frames[0].pixels() == scene.picture(),
        "{frames:?}"
    );
    ensure!(frames[0].shot().light == Light::Visible, "{frames:?}");
    scene.hand.store(false, Ordering::SeqCst);
    expect_hand(&mut camera, HandState::Absent)?;
    scene.unplug();
    drop(plugged);
    let gone = wait_for("the departure", || Ok(camera.next_event(PATIENCE).err()))?;
    ensure!(gone == ReaderError::Gone, "{gone:?}");
    drop(camera);
    let left = watch.next_change(PATIENCE, &CancelToken::new())?;
    ensure!(left == Some(Change::Left(address)), "{left:?}");
    Ok(())
}

fn uvc_jpeg(_rig: &mut Rig) -> anyhow::Result<()> {
    let scene = Arc::new(Scene::default());
    scene.hand.store(true, Ordering::SeqCst);
    let (_plugged, address) = plugged(&scene, &mut CameraBus::new())?;
    let quirks = Quirks::parse("['1209:0002']\nformats = ['MJPG']\nlight = 'nir'")?;
    let mut camera = Camera::open(&address, &quirks, clock())?;
    let frames = burst(&mut camera)?;
    ensure!(frames[0].shot().light == Light::Nir, "{frames:?}");
    let picture = scene.picture();
    ensure!(frames[0].pixels().len() == picture.len(), "{frames:?}");
    let far = frames[0].pixels().iter().zip(&picture);
    let far = far.filter(|(a, b)| a.abs_diff(**b) > 24).count();
    ensure!(far < picture.len() / 50, "{far} pixels are far off");
    Ok(())
}

fn uvc_lamp(_rig: &mut Rig) -> anyhow::Result<()> {
    let scene = Arc::new(Scene::default());
    scene.hand.store(true, Ordering::SeqCst);
    let (_plugged, address) = plugged(&scene, &mut CameraBus::new())?;
    let quirks = Quirks::parse(
        "['1209:0002']\nlight = 'nir'\nlamp.unit = { unit = 4, selector = 6, on = [1, 2, 3, 4] }",
    )?;
    let mut camera = Camera::open(&address, &quirks, clock())?;
    ensure!(scene.lamp.load(Ordering::SeqCst) == 1, "the lamp is off");
    let frames = burst(&mut camera)?;
    let middle = frames[0].pixels()[(uvc::SIZE.1 / 2 * uvc::SIZE.0 + uvc::SIZE.0 / 2) as usize];
    ensure!(
        middle == HAND && frames[0].pixels()[0] == GROUND,
        "middle {middle}"
    );
    Ok(())
}

fn uvc_unplugged(_rig: &mut Rig) -> anyhow::Result<()> {
    for _ in 0..3 {
        let scene = Arc::new(Scene::default());
        let (plugged, address) = plugged(&scene, &mut CameraBus::new())?;
        let mut camera = Camera::open(&address, &Quirks::default(), clock())?;
        burst(&mut camera)?;
        let pulling = std::thread::spawn(move || {
            scene.unplug();
            drop(plugged);
        });
        let error = wait_for("the end of the stream", || Ok(burst(&mut camera).err()))?;
        pulling.join().ok().context("the other thread panicked")?;
        ensure!(error == ReaderError::Gone, "{error:?}");
    }
    Ok(())
}

/// The kernel's own emulated camera, with its instance's node.
fn vivid_camera() -> anyhow::Result<ReaderAddress> {
    // One capture node, no others; a second call finds it loaded.
    let loaded = Command::new("modprobe")
        .args([
            "vivid",
            "n_devs=1",
            "node_types=0x1",
            "num_inputs=1",
            "input_types=0x0",
        ])
        .status()?;
    ensure!(loaded.success(), "modprobe vivid: {loaded}");
    let mut bus = CameraBus::new();
    wait_for("vivid", || {
        let cameras = bus.list()?;
        Ok(cameras.into_iter().find(|camera| camera.serial.is_none()))
    })
}

fn vivid(_rig: &mut Rig) -> anyhow::Result<()> {
    let address = vivid_camera()?;
    let found = Camera::open(&address, &Quirks::default(), clock())?;
    ensure!(found.info().model.contains("vivid"), "{}", found.info());
    drop(found);
    for format in ["GREY", "Y16 ", "YUYV"] {
        let quirk = palm_driver::camera::quirks::Quirk {
            formats: vec![format.to_owned()],
            size: Some((640, 360)),
            ..Default::default()
        };
        let mut camera = Camera::open_with(&address, quirk, clock())?;
        let format_of = camera.info().format.to_string();
        ensure!(format_of == format.trim(), "{format_of}");
        let frames = burst(&mut camera)?;
        let pixels = frames[0].pixels();
        ensure!(pixels.len() == 640 * 360, "{frames:?}");
        // Vivid shows bars from white to black.
        let (darkest, brightest) = (pixels.iter().min(), pixels.iter().max());
        ensure!(
            darkest < Some(&40) && brightest > Some(&150),
            "{format}: {darkest:?} {brightest:?}"
        );
    }
    Ok(())
}

fn vivid_lamp(_rig: &mut Rig) -> anyhow::Result<()> {
    let address = vivid_camera()?;
    // Without contrast vivid's picture is one grey: as good a lamp as any.
    let quirks = Quirks::parse(
        "['0000:0000']\nformats = ['GREY']\nsize = [640, 360]\nlight = 'nir'\n\
         lamp.control = { name = 'Contrast', on = 128, off = 0 }",
    )?;
    let quirk = quirks.of((0, 0)).context("its own quirk")?.clone();
    let mut camera = Camera::open_with(&address, quirk, clock())?;
    let frames = burst(&mut camera)?;
    let lights: Vec<Light> = frames.iter().map(|frame| frame.shot().light).collect();
    ensure!(lights == [Light::Ambient, Light::Nir], "{lights:?}");
    let spread = |frame: &Frame| {
        let brightest = frame.pixels().iter().max().copied().unwrap_or_default();
        brightest - frame.pixels().iter().min().copied().unwrap_or_default()
    };
    let (dark, lit) = (spread(&frames[0]), spread(&frames[1]));
    ensure!(dark < 20 && lit > 100, "dark {dark}, lit {lit}");
    Ok(())
}
