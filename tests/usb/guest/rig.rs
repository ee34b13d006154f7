//! The desk with the reader on it: what the tests do to the device, whichever controller it hangs on.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use palm_driver::usb::UsbBus;
use palm_driver::usbip::vhci::Plugged;
use palm_driver::{
    BurstPlan, Bus, CancelToken, EmulatorConfig, EmulatorHandle, Frame, Listing, Reader,
    ReaderAddress, ReaderError, Shot, SystemClock, Transport, Trust,
};

use crate::film::{Film, Size};

/// Pictures of most cases: small, so that a case is about the bus and not about copying.
pub(crate) const SMALL: (u32, u32) = (96, 128);
/// Pictures of a payment.
pub(crate) const WHOLE: (u32, u32) = (720, 1024);
/// Long enough for anything that happens at all, on a machine emulated on a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Serial number of the reader on the desk.
pub(crate) const SERIAL: &str = "RIG-1";

/// One reader that can be plugged in, and its bus.
pub(crate) struct Rig {
    device: Device,
    pub(crate) film: Film,
    pub(crate) bus: UsbBus,
    pub(crate) is_long: bool,
}

enum Device {
    Vhci {
        emulator: EmulatorHandle,
        plugged: Option<Plugged>,
    },
    Xhci {
        line: File,
        answers: BufReader<File>,
    },
}

/// A new emulated reader with pictures cut from `film`.
pub(crate) fn emulator(serial: &str, film: &Film) -> EmulatorHandle {
    EmulatorHandle::with_config(
        Box::new(film.clone()),
        EmulatorConfig {
            serial: serial.to_owned(),
            clock: std::sync::Arc::new(SystemClock::new()),
        },
    )
}

impl Rig {
    pub(crate) fn vhci(is_long: bool) -> anyhow::Result<Self> {
        let film = Film::new(SMALL.0, SMALL.1);
        Ok(Self {
            device: Device::Vhci {
                emulator: emulator(SERIAL, &film),
                plugged: None,
            },
            film,
            bus: UsbBus::new(),
            is_long,
        })
    }

    /// The device is on the other side of the second serial line.
    pub(crate) fn xhci(is_long: bool) -> anyhow::Result<Self> {
        let path = "/dev/ttyS1";
        let raw = std::process::Command::new("stty")
            .args(["-F", path, "raw", "-echo"])
            .status()?;
        ensure!(raw.success(), "no second serial line");
        let line = File::options().read(true).write(true).open(path)?;
        let answers = BufReader::new(line.try_clone()?);
        let mut rig = Self {
            device: Device::Xhci { line, answers },
            film: Film::new(SMALL.0, SMALL.1),
            bus: UsbBus::new(),
            is_long,
        };
        rig.clear()?;
        Ok(rig)
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.device {
            Device::Vhci { .. } => "vhci",
            Device::Xhci { .. } => "xhci",
        }
    }

    pub(crate) fn size(&mut self, (width, height): (u32, u32)) -> anyhow::Result<()> {
        let size: Size = self.film.size();
        size.set(width, height);
        match &mut self.device {
            Device::Vhci { .. } => Ok(()),
            Device::Xhci { .. } => self.far(&format!("SIZE {width} {height}")),
        }
    }

    /// Something happens to the reader: lines of its script.
    pub(crate) fn say(&mut self, script: &str) -> anyhow::Result<()> {
        match &mut self.device {
            Device::Vhci { emulator, .. } => Ok(emulator.run_script(script)?),
            Device::Xhci { .. } => script.lines().try_for_each(|line| self.far(line)),
        }
    }

    fn far(&mut self, words: &str) -> anyhow::Result<()> {
        let Device::Xhci { line, answers } = &mut self.device else {
            bail!("the reader is on this side");
        };
        writeln!(line, "{words}")?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        ensure!(answer.trim_end() == "ok", "{words}: {answer}");
        Ok(())
    }

    /// The plug goes in, and the kernel has seen it.
    pub(crate) fn plug(&mut self) -> anyhow::Result<ReaderAddress> {
        self.plug_unseen()?;
        wait_for("the reader on the list", || self.address())
    }

    pub(crate) fn plug_unseen(&mut self) -> anyhow::Result<()> {
        match &mut self.device {
            Device::Vhci { emulator, plugged } => {
                emulator.run_line("PLUG")?;
                let gadget = wait_for("the gadget", || Ok(emulator.gadget()))?;
                *plugged = Some(Plugged::new(gadget)?);
                Ok(())
            }
            Device::Xhci { .. } => self.far("PLUG"),
        }
    }

    /// The plug is pulled; whether the kernel has noticed is another question.
    pub(crate) fn unplug(&mut self) -> anyhow::Result<()> {
        self.say("UNPLUG")?;
        if let Device::Vhci { plugged, .. } = &mut self.device {
            *plugged = None;
        }
        Ok(())
    }

    /// Does something in which the reader leaves the bus by itself and comes back. On this side its cable is put in
    /// again each time; on the other side the peer does so.
    pub(crate) fn following<T: Send>(
        &mut self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let Device::Vhci { emulator, plugged } = &mut self.device else {
            return work();
        };
        std::thread::scope(|scope| {
            let working = scope.spawn(work);
            while !working.is_finished() {
                if !plugged.as_ref().is_some_and(Plugged::is_running) {
                    *plugged = None;
                    *plugged = emulator.gadget().map(Plugged::new).transpose()?;
                }
                pause(Duration::from_millis(2));
            }
            working.join().ok().context("the work panicked")?
        })
    }

    /// Port of the virtual controller.
    pub(crate) fn port(&self) -> anyhow::Result<u32> {
        match &self.device {
            Device::Vhci {
                plugged: Some(plugged),
                ..
            } => Ok(plugged.port),
            Device::Vhci { plugged: None, .. } | Device::Xhci { .. } => bail!("no port"),
        }
    }

    /// Nothing plugged in, no lines waiting, small pictures.
    pub(crate) fn clear(&mut self) -> anyhow::Result<()> {
        match &mut self.device {
            Device::Vhci { emulator, plugged } => {
                *plugged = None;
                // A reader without a past: faults that did not come to pass are forgotten.
                *emulator = self::emulator(SERIAL, &self.film);
                emulator.run_line("UNPLUG")?;
            }
            Device::Xhci { .. } => self.far("NEW")?,
        }
        self.size(SMALL)?;
        wait_for("an empty list", || {
            Ok(self.bus.list()?.is_empty().then_some(()))
        })
    }

    /// The reader's address, while it is listed.
    pub(crate) fn address(&mut self) -> anyhow::Result<Option<ReaderAddress>> {
        let readers = self.bus.list()?;
        Ok(readers
            .into_iter()
            .find(|reader| reader.serial.as_deref() == Some(SERIAL)))
    }

    pub(crate) fn transport(&mut self) -> anyhow::Result<Box<dyn Transport>> {
        let address = self.address()?.context("no reader is listed")?;
        Ok(self.bus.open(&address)?)
    }

    /// Plugged in, opened and greeted.
    pub(crate) fn reader(&mut self) -> anyhow::Result<Reader> {
        if self.address()?.is_none() {
            self.plug()?;
        }
        let transport = self.transport()?;
        Ok(greet(transport)?)
    }

    /// A burst of person 7, checked byte for byte.
    pub(crate) fn burst(&self, reader: &mut Reader) -> anyhow::Result<()> {
        let plan = plan();
        let frames = capture(reader, &plan)?;
        self.film.check(7, &plan, &frames)
    }
}

/// The one place where a session begins: what it needs besides a transport is added here.
pub(crate) fn greet(transport: Box<dyn Transport>) -> Result<Reader, ReaderError> {
    Reader::open(transport, &Trust::development())
}

/// The burst of a payment, so short that its light is no reason to wait.
pub(crate) fn plan() -> BurstPlan {
    let coded = BurstPlan::coded([1, 2, 3, 4, 5, 6, 7, 8]);
    let shots = coded.shots().iter().map(|shot| Shot {
        exposure_us: 20,
        ..*shot
    });
    BurstPlan::new(shots.collect()).unwrap_or(coded)
}

pub(crate) fn capture(reader: &mut Reader, plan: &BurstPlan) -> Result<Vec<Frame>, ReaderError> {
    reader.capture(plan, [9; 16], PATIENCE, &CancelToken::new())
}

/// Asks until there is an answer, for at most [`PATIENCE`].
#[expect(clippy::disallowed_methods, reason = "real time on a real kernel")]
pub(crate) fn wait_for<T>(
    what: &str,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        pause(Duration::from_millis(2));
    }
}

/// Lets the kernel work: it has nothing that one could wait on.
#[expect(
    clippy::disallowed_methods,
    reason = "looks again at files of the kernel"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// How long something took.
#[expect(clippy::disallowed_methods, reason = "real time on a real kernel")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// The device's folder in sysfs, by serial number.
pub(crate) fn sysfs(serial: &str) -> anyhow::Result<PathBuf> {
    wait_for("the device in sysfs", || {
        for entry in std::fs::read_dir("/sys/bus/usb/devices")? {
            let path = entry?.path();
            let said = std::fs::read_to_string(path.join("serial")).unwrap_or_default();
            if said.trim_end() == serial {
                return Ok(Some(path));
            }
        }
        Ok(None)
    })
}
