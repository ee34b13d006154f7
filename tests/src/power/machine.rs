//! palmd in a virtual machine with Debian's kernel (`tests/usb/vm.sh`), its store on a [`Drive`] of ours, reached
//! through a port of this machine's loopback.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use super::{drive::Drive, nbd::Export};
use crate::process::{PATIENCE, Program, program};

/// Where palmd listens in the machine.
pub const LISTEN: &str = "10.0.2.15:7443";
/// Where its store is there.
pub const STORE: &str = "/disk/store";
/// Size of its disk. A payment takes a few kilobytes of it.
const DISK: &str = "256M";
const MODULES: &str = "virtio_pci,virtio_blk,virtio_net,crc32c_generic,ext4";
/// Longest answer of QEMU's monitor, in bytes.
const MONITOR_MAX: usize = 64 << 10;
/// Who replays the journal of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// `e2fsck`, which then checks everything.
    Check,
    /// The kernel, when it mounts.
    Mount,
}

/// An image to boot, in a folder.
#[derive(Debug)]
pub struct Image {
    folder: PathBuf,
    boots: u32,
}

/// A machine at work. Dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    qemu: Program,
    export: Export,
    palmd: SocketAddr,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("usb/vm.sh")
}

fn run(arguments: &[&OsStr]) -> Result<()> {
    let status = Command::new(script()).args(arguments).status();
    let status = status.context("vm.sh cannot be started")?;
    ensure!(status.success(), "vm.sh: {status}");
    Ok(())
}

impl Image {
    /// Packs palmd and a deployment; `folder` is empty.
    ///
    /// # Errors
    /// When palmd was not built, or what vm.sh said.
    pub fn pack(folder: &Path, deployment: &Path) -> Result<Self> {
        let tree = folder.join("tree");
        let shop = tree.join("shop");
        fs::create_dir_all(&shop)?;
        fs::create_dir(tree.join("bin"))?;
        for entry in fs::read_dir(deployment)? {
            let entry = entry?;
            fs::copy(entry.path(), shop.join(entry.file_name()))?;
        }
        let start = script().with_file_name("palmd.sh");
        fs::copy(start, tree.join("bin/program"))?;
        let (image, check) = (OsStr::new("image"), OsStr::new("e2fsck"));
        let (initrd, palmd) = (folder.join("initrd"), program("palmd")?);
        run(&[image, initrd.as_ref(), tree.as_ref(), palmd.as_ref(), check])?;
        Ok(Self {
            folder: folder.to_owned(),
            boots: 0,
        })
    }

    /// A drive with an empty ext4 file system.
    ///
    /// # Errors
    /// What mke2fs said.
    pub fn drive(&self, seed: u64) -> Result<Drive> {
        let disk = self.folder.join("disk");
        run(&[OsStr::new("disk"), disk.as_ref(), OsStr::new(DISK)])?;
        let contents = fs::read(&disk)?;
        fs::remove_file(&disk)?;
        Ok(Drive::new(contents, seed))
    }

    /// Boots a machine with this drive, and waits until its palmd serves.
    ///
    /// # Errors
    /// When it does not, with the end of its console: for instance because the drive is damaged.
    pub fn boot(&mut self, drive: Drive, replay: Replay) -> Result<Machine> {
        self.boots += 1;
        let file = |kind| self.folder.join(format!("{kind}-{}", self.boots));
        let (line, monitor, console) = (file("drive"), file("monitor"), file("console"));
        let export = Export::open(drive, &line)?;
        let word = match replay {
            Replay::Check => "check",
            Replay::Mount => "mount",
        };
        let arguments = [
            "boot".to_owned(),
            self.folder.join("initrd").display().to_string(),
            format!("modules={MODULES} rig={word}"),
            "-chardev".to_owned(),
            format!(
                "stdio,id=console,logappend=on,logfile={}",
                console.display()
            ),
            "-serial".to_owned(),
            "chardev:console".to_owned(),
            "-monitor".to_owned(),
            format!("unix:{},server=on,wait=off", monitor.display()),
            "-drive".to_owned(),
            format!(
                "if=none,id=disk,format=raw,cache=none,file=nbd:unix:{}",
                line.display()
            ),
            "-device".to_owned(),
            "virtio-blk-pci,drive=disk".to_owned(),
            "-netdev".to_owned(),
            format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-{LISTEN}"),
            "-device".to_owned(),
            "virtio-net-pci,netdev=net,romfile=".to_owned(),
        ];
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let qemu = Program::start_at(&script(), &arguments, &console)?;
        qemu.said("palmd listening on ")?;
        let palmd = forwarded(&monitor)?;
        for file in [line, monitor, console] {
            fs::remove_file(file)?;
        }
        Ok(Machine {
            qemu,
            export,
            palmd,
        })
    }
}

/// The port that QEMU took for palmd's.
fn forwarded(monitor: &Path) -> Result<SocketAddr> {
    let mut line = UnixStream::connect(monitor).context("QEMU's monitor")?;
    line.set_read_timeout(Some(PATIENCE))?;
    line.write_all(b"info usernet\n")?;
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    while said.len() < MONITOR_MAX {
        let length = line.read(&mut chunk).context("QEMU's monitor")?;
        ensure!(length > 0, "QEMU's monitor ended");
        said.extend(&chunk[..length]);
        let text = String::from_utf8_lossy(&said);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let row = whole.lines().find(|row| row.contains("HOST_FORWARD"));
        if let Some(row) = row {
            let mut words = row.split_whitespace().skip(2);
            let address = words.next().zip(words.next());
            let (ip, port) = address.context("QEMU tells no port")?;
            return Ok(SocketAddr::new(ip.parse()?, port.parse()?));
        }
    }
    bail!("QEMU's monitor tells no port")
}

impl Machine {
    /// Where its palmd is reached.
    #[must_use]
    pub fn palmd(&self) -> SocketAddr {
        self.palmd
    }

    /// A number below `below`, from its drive's seed.
    #[must_use]
    pub fn draw(&self, below: u64) -> u64 {
        self.export.draw(below)
    }

    /// From now on its drive says that it flushed and did not.
    pub fn lie(&self) {
        self.export.lie();
    }

    /// The power goes with so many more writes, or when `at_latest` is over: the drive goes dark, and QEMU is killed
    /// (SIGKILL). Gives the drive, whose cache is still to be cut.
    ///
    /// # Errors
    /// When the system does not let go of QEMU.
    pub fn cut(self, writes: u64, at_latest: Duration) -> Result<Drive> {
        self.export.darken(writes, at_latest);
        self.qemu.kill()?;
        self.export.close()
    }
}
