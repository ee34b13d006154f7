//! `palm-reader`: look at palm readers from the command line. For installers and developers; the
//! program at the counter does not need it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool prints"
)]

mod cameras;
mod filming;
mod looking;
mod making;
mod terminal;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use palm_driver::protocol::crypto::{HexError, PublicKey, from_hex};
use palm_driver::usb::UsbBus;
use palm_driver::{
    Bus, EmulatedBus, EmulatorHandle, Reader, ReaderAddress, ReaderError, TestPattern, Trust,
};

/// Size of the emulated reader's pictures.
const EMULATED_SIZE: (u32, u32) = (720, 1024);

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 the reader failed, 2 wrong arguments, 3 no reader, 4 no access.

A reader proves who made it and what it runs. Say whom to trust with --root and --allow-firmware;
--development trusts readers whose keys anybody has. The emulated reader is one of those.

Without a reader, try the emulated one. A script says what happens to it, one thing a line:
  PALM 7          the palm of person 7 (PALM 7 L: the left one)
  IMAGE hand.png  a picture file            LIFT        takes it away
  PRINT 7         a palm on paper, an attack
  HINT too_far    a badly placed hand       BUTTON, TAMPER
  SLEEP 200       busy for 200 ms           UNPLUG, PLUG
  STALL 2, CORRUPT 3, DROP 1, DUPLICATE 1, SHORT 1, BABBLE 1, FORGE 1, REPLAY 1, MOVE 1,
  RESTART, NAK busy: faults; the number counts occasions

  echo 'PALM 7' > script; palm-reader capture --emulate script --out pictures";

/// Looks at palm readers: lists them, watches their events, takes pictures, updates them.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// Use an emulated reader that obeys this script instead of a real one.
    #[arg(long, value_name = "SCRIPT_FILE", global = true)]
    emulate: Option<PathBuf>,
    /// Use the reader with this serial number, when there are several.
    #[arg(long, global = true)]
    serial: Option<String>,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct TrustArguments {
    /// Trust this maker's root (128 hexadecimal digits); may be given several times.
    #[arg(long, value_name = "HEX", global = true)]
    root: Vec<PublicKey>,
    /// Let firmware of this digest speak (64 hexadecimal digits); may be given several times.
    #[arg(long, value_name = "HEX", global = true, value_parser = digest)]
    allow_firmware: Vec<Digest>,
    /// Trust the development root, whose private key is published. Never for payments.
    #[arg(long, global = true)]
    development: bool,
}

/// One value, where the parser of arguments would see a list in an array.
#[derive(Debug, Clone, Copy)]
struct Digest([u8; 32]);

fn digest(text: &str) -> Result<Digest, HexError> {
    from_hex(text).map(Digest)
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say who made a reader and what it runs, as it proves it. Status 1 when it does not.
    Attest,
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
    /// Say everything about one reader, attested or not.
    Info,
    /// List the readers that are plugged in.
    List,
    /// What a maker of readers does.
    #[command(subcommand)]
    Make(making::Make),
    /// Record events and a burst each time a hand is well placed. The file shows a palm: for
    /// developers, with their own.
    Record {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How many bursts.
        #[arg(long, default_value_t = 1)]
        bursts: u32,
    },
    /// Play a recording through the whole driver once more.
    Replay {
        /// What `record` made.
        recording: PathBuf,
        /// Write the pictures into this folder as PNG files.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Let a reader try its parts. Status 1 when one failed or it was opened.
    SelfTest,
    /// Give a reader new firmware.
    Update {
        /// The maker's file.
        firmware: PathBuf,
    },
    /// Print readers coming and going and what they notice, a line each, until interrupted.
    Watch {
        /// Show what the reader sees, in the terminal.
        #[arg(long)]
        picture: bool,
        /// Write what the reader sees into this PNG file, again and again.
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
    },
}

/// Why the program ends with another status than 0 or 1.
#[derive(Debug)]
pub(crate) enum Stop {
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

/// The bus, whom to trust on it, and the emulated reader with the script it will obey.
struct Place {
    bus: Box<dyn Bus>,
    trust: Trust,
    serial: Option<String>,
    emulator: Option<EmulatorHandle>,
    /// Not begun yet.
    script: Option<String>,
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut place = match &arguments.command {
        Command::Cameras { quirks } => return cameras::list(quirks.as_deref()),
        Command::Make(what) => return making::make(what),
        Command::Replay { recording, out } => {
            return filming::replay(recording, out.as_deref());
        }
        _ => place(arguments)?,
    };
    match &arguments.command {
        Command::Attest => looking::attest(&mut place),
        Command::Capture { out } => filming::capture(&mut place, out.as_deref()),
        Command::Info => looking::info(&mut place),
        Command::List => looking::list(&mut place),
        Command::Record { out, bursts } => filming::record(&mut place, out, *bursts),
        Command::SelfTest => looking::self_test(&mut place),
        Command::Update { firmware } => looking::update(&mut place, firmware),
        Command::Watch { picture, png } => {
            let live = filming::Live {
                picture: *picture,
                png: png.clone(),
            };
            filming::watch(place, &live)
        }
        Command::Cameras { .. } | Command::Make(_) | Command::Replay { .. } => Ok(()),
    }
}

fn place(arguments: &Arguments) -> anyhow::Result<Place> {
    let TrustArguments {
        root,
        allow_firmware,
        development,
    } = &arguments.trust;
    let trust = Trust {
        roots: root.clone(),
        firmware_allowed: allow_firmware.iter().map(|digest| digest.0).collect(),
        security_version_min: 0,
        development: *development || arguments.emulate.is_some(),
    };
    let serial = arguments.serial.clone();
    let Some(path) = &arguments.emulate else {
        return Ok(Place {
            bus: Box::new(UsbBus::new()),
            trust,
            serial,
            emulator: None,
            script: None,
        });
    };
    let (emulator, script) = emulated(path)?;
    Ok(Place {
        bus: Box::new(EmulatedBus::new(vec![emulator.clone()])),
        trust,
        serial,
        emulator: Some(emulator),
        script: Some(script),
    })
}

fn emulated(path: &Path) -> anyhow::Result<(EmulatorHandle, String)> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the script {}", path.display()))?;
    // Checked before anything happens, so that a slip in line 9 does not end a watch.
    palm_driver::emulator::script::parse(&text).with_context(|| path.display().to_string())?;
    let sensor = TestPattern::new(EMULATED_SIZE.0, EMULATED_SIZE.1);
    Ok((EmulatorHandle::new(Box::new(sensor)), text))
}

impl Place {
    /// Lets the script begin, once.
    fn begin(&mut self) -> anyhow::Result<()> {
        match (&self.emulator, self.script.take()) {
            (Some(emulator), Some(script)) => Ok(emulator.run_script(&script)?),
            _ => Ok(()),
        }
    }

    /// Whether an emulated reader's script has come to its end.
    fn is_over(&self) -> bool {
        self.emulator.as_ref().is_some_and(EmulatorHandle::is_idle)
    }

    fn emulator(&self) -> Option<EmulatorHandle> {
        self.emulator.clone()
    }

    /// The readers asked for: at least one.
    fn readers(&mut self) -> anyhow::Result<Vec<ReaderAddress>> {
        let mut readers = self.bus.list().map_err(Stop::from_transport)?;
        if self.serial.is_some() {
            readers.retain(|address| address.serial == self.serial);
        }
        if readers.is_empty() {
            return Err(Stop::NoReader.into());
        }
        Ok(readers)
    }

    /// Whether any device of the machine will do: neither the emulated reader nor one by its serial number is wanted.
    fn has_own_bus(&self) -> bool {
        self.emulator.is_none() && self.serial.is_none()
    }

    fn first(&mut self) -> anyhow::Result<ReaderAddress> {
        let mut readers = self.readers()?;
        Ok(readers.remove(0))
    }

    fn open(&mut self, address: &ReaderAddress) -> Result<Reader, ReaderError> {
        let transport = self.bus.open(address)?;
        Reader::open(transport, &self.trust)
    }
}
