//! `palm-reader`: look at palm readers from the command line. For installers and developers; the
//! program at the counter does not need it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool prints"
)]

#[path = "palm-reader/cameras.rs"]
mod cameras;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use palm_driver::picture::write_png;
use palm_driver::usb::UsbBus;
use palm_driver::{
    BurstPlan, Bus, CancelToken, Change, EmulatedBus, EmulatorHandle, Event, Hint, Nonce, Reader,
    ReaderAddress, ReaderError, Signal, TestPattern, Transport, TransportError, Watch,
};

/// Size of the emulated reader's pictures.
const EMULATED_SIZE: (u32, u32) = (720, 1024);
/// Time a capture may take.
const CAPTURE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often `watch` looks at the bus while a reader is silent.
const EVENT_SLICE: Duration = Duration::from_millis(200);

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 the reader failed, 2 wrong arguments, 3 no reader, 4 no access.

Without a reader, try the emulated one. A script says what happens to it, one thing a line:
  PALM 7          the palm of person 7 (PALM 7 L: the left one)
  IMAGE hand.png  a picture file            LIFT        takes it away
  HINT too_far    a badly placed hand       BUTTON, TAMPER
  SLEEP 200       busy for 200 ms           UNPLUG, PLUG
  STALL 2, CORRUPT 3, DROP 1, DUPLICATE 1, NAK busy: faults; the number counts occasions

  echo 'PALM 7' > script; palm-reader capture --emulate script --out pictures";

/// Looks at palm readers: lists them, watches their events, takes pictures.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// Use an emulated reader that obeys this script instead of a real one.
    #[arg(long, value_name = "SCRIPT_FILE", global = true)]
    emulate: Option<PathBuf>,
    /// Use the reader with this serial number, when there are several.
    #[arg(long, global = true)]
    serial: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the cameras that can stand in for a reader, and what they do not promise.
    Cameras {
        /// Quirk file with cameras of your own, of the form of driver/src/camera/quirks.toml.
        #[arg(long, value_name = "FILE")]
        quirks: Option<PathBuf>,
    },
    /// Take one burst (ambient, near infrared, visible, two coded shots) and say what came.
    Capture {
        /// Write the pictures into this folder as PNG files. They show a palm: delete them
        /// when you are done.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// List the readers that are plugged in.
    List,
    /// Print readers coming and going and what they notice, a line each, until interrupted.
    Watch,
}

/// Why the program ends with another status than 0 or 1.
#[derive(Debug)]
enum Stop {
    NoAccess,
    NoReader,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAccess => {
                "no access to the reader.\n\
                 If another program uses it (palm-till?), stop that. Otherwise allow yourself:\n\
                 \x20 sudo cp driver/99-openpalm.rules /etc/udev/rules.d/\n\
                 \x20 sudo udevadm control --reload\n\
                 \x20 sudo adduser \"$USER\" plugdev    (then log in again)\n\
                 and plug the reader in anew."
            }
            Self::NoReader => {
                "no palm reader found (USB id 1209:0001).\n\
                 Is it plugged in? `lsusb -d 1209:0001` should show it. In a container or virtual\n\
                 machine, pass the device through. Without a reader: --emulate, see --help."
            }
        })
    }
}

impl std::error::Error for Stop {}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palm-reader: {error:#}");
            ExitCode::from(match error.downcast_ref() {
                Some(Stop::NoReader) => 3,
                Some(Stop::NoAccess) => 4,
                None => 1,
            })
        }
    }
}

/// The bus, and the emulated reader on it with the script it will obey.
struct Place {
    bus: Box<dyn Bus>,
    emulated: Option<(EmulatorHandle, String)>,
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut place = place(arguments.emulate.as_deref())?;
    let wanted =
        |address: &ReaderAddress| arguments.serial.is_none() || address.serial == arguments.serial;
    match &arguments.command {
        Command::Cameras { quirks } => cameras::list(quirks.as_deref()),
        Command::Capture { out } => capture(&mut place, wanted, out.as_deref()),
        Command::List => list(&mut place, wanted),
        Command::Watch => watch(place, wanted),
    }
}

fn place(script: Option<&Path>) -> anyhow::Result<Place> {
    let Some(path) = script else {
        return Ok(Place {
            bus: Box::new(UsbBus::new()),
            emulated: None,
        });
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the script {}", path.display()))?;
    // Checked before anything happens, so that a slip in line 9 does not end a watch.
    palm_driver::emulator::script::parse(&text).with_context(|| path.display().to_string())?;
    let sensor = TestPattern::new(EMULATED_SIZE.0, EMULATED_SIZE.1);
    let emulator = EmulatorHandle::new(Box::new(sensor));
    let bus = Box::new(EmulatedBus::new(vec![emulator.clone()]));
    Ok(Place {
        bus,
        emulated: Some((emulator, text)),
    })
}

/// Lets the script begin.
fn begin(emulated: Option<&(EmulatorHandle, String)>) -> anyhow::Result<()> {
    emulated.map_or(
        Ok(()),
        |(emulator, script)| Ok(emulator.run_script(script)?),
    )
}

fn list(place: &mut Place, wanted: impl Fn(&ReaderAddress) -> bool) -> anyhow::Result<()> {
    begin(place.emulated.as_ref())?;
    let readers = place.bus.list()?;
    let mut readers = readers.iter().filter(|address| wanted(address)).peekable();
    if readers.peek().is_none() {
        return Err(Stop::NoReader.into());
    }
    let mut denied = false;
    for address in readers {
        match place
            .bus
            .open(address)
            .map_err(ReaderError::from)
            .and_then(Reader::open)
        {
            Ok(reader) => {
                let info = reader.info();
                println!("{address}: {}, firmware {}", info.model, info.firmware);
            }
            Err(error) => {
                println!("{address}: {error}");
                denied |= error == ReaderError::Denied;
            }
        }
    }
    if denied {
        Err(Stop::NoAccess.into())
    } else {
        Ok(())
    }
}

fn open(bus: &mut dyn Bus, address: &ReaderAddress) -> anyhow::Result<Box<dyn Transport>> {
    bus.open(address).map_err(|error| match error {
        TransportError::Denied => Stop::NoAccess.into(),
        other => anyhow::Error::new(other).context(address.to_string()),
    })
}

fn capture(
    place: &mut Place,
    wanted: impl Fn(&ReaderAddress) -> bool,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let readers = place.bus.list()?;
    let address = readers
        .iter()
        .find(|address| wanted(address))
        .ok_or(Stop::NoReader)?;
    let mut reader = Reader::open(open(&mut *place.bus, address)?)?;
    begin(place.emulated.as_ref())?;
    let plan = BurstPlan::coded(random()?);
    let nonce: Nonce = random()?;
    let frames = reader.capture(&plan, nonce, CAPTURE_TIMEOUT, &CancelToken::new())?;
    reader.signal(Signal::Captured)?;
    for (index, frame) in frames.iter().enumerate() {
        let shot = frame.shot();
        println!(
            "{index}: {:?}, LEDs {:08b}, {} us, {} x {}",
            shot.light,
            shot.led_mask,
            shot.exposure_us,
            frame.width(),
            frame.height()
        );
        if let Some(folder) = out {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            let light = format!("{:?}", shot.light).to_lowercase();
            let path = folder.join(format!("{index}-{light}.png"));
            write_png(&path, frame)?;
            println!("   -> {}", path.display());
        }
    }
    Ok(())
}

/// Bytes from the operating system.
fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    use std::io::Read;
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("no random bytes from /dev/urandom")?;
    Ok(bytes)
}

fn watch(place: Place, wanted: impl Fn(&ReaderAddress) -> bool) -> anyhow::Result<()> {
    let Place { bus, mut emulated } = place;
    let emulator = emulated.as_ref().map(|(emulator, _)| emulator.clone());
    let mut watch = Watch::new(bus);
    let mut readers: Vec<(ReaderAddress, Reader)> = Vec::new();
    loop {
        let patience = if readers.is_empty() {
            EVENT_SLICE
        } else {
            Duration::ZERO
        };
        let change = watch.next_change(patience, &CancelToken::new())?;
        let quiet = change.is_none();
        match change {
            Some(Change::Arrived(address)) if wanted(&address) => {
                if let Some(reader) = arrive(&mut watch, &address) {
                    readers.push((address, reader));
                }
                begin(emulated.take().as_ref())?;
            }
            Some(Change::Left(address)) => {
                readers.retain(|(known, _)| *known != address);
                println!("{address}: left");
            }
            Some(Change::Arrived(_)) | None => {}
        }
        let there = readers.len();
        readers.retain_mut(|(address, reader)| hear(address, reader));
        let quiet = quiet && emulated.is_none() && readers.len() == there;
        if quiet && emulator.as_ref().is_some_and(EmulatorHandle::is_idle) {
            return Ok(()); // An emulated reader's script has an end; a real one's day has not.
        }
    }
}

fn arrive(watch: &mut Watch, address: &ReaderAddress) -> Option<Reader> {
    match watch
        .open(address)
        .map_err(ReaderError::from)
        .and_then(Reader::open)
    {
        Ok(reader) => {
            println!("{address}: arrived, {}", reader.info().model);
            Some(reader)
        }
        Err(error) => {
            println!("{address}: arrived, but: {error}");
            None
        }
    }
}

/// Prints what a reader noticed; whether it is still there.
fn hear(address: &ReaderAddress, reader: &mut Reader) -> bool {
    match reader.next_event(EVENT_SLICE) {
        Ok(None) => true,
        Ok(Some(event)) => {
            println!("{address}: {}", words(event));
            true
        }
        Err(error) => {
            println!("{address}: {error}");
            error != ReaderError::Gone
        }
    }
}

fn words(event: Event) -> String {
    match event {
        Event::Button => "button".to_owned(),
        Event::Hand(state) => match Hint::for_hand(state) {
            Some(hint) => format!("hand {} -> {hint:?}", state.word()),
            None => format!("hand {}", state.word()),
        },
        Event::Tamper => "tamper: look at the reader before using it again".to_owned(),
    }
}
