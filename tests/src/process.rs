//! The programs under test, as processes: found beside the program that asks, spoken to by lines and signals.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::Stopwatch;

/// Longest wait for a line or for an end: far beyond what it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that may wait to be read.
const LINES_MAX: usize = 1024;
/// How much of a log is shown when something goes wrong, in bytes.
const LOG_TAIL: usize = 4096;

/// Where a program of this workspace lies: in the folder of the running one, or above it for a test.
///
/// # Errors
/// When it was not built, and how to build it.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the running program has no path")?;
    let mut folder = own
        .parent()
        .context("the running program lies in no folder")?;
    if folder.file_name() == Some(OsStr::new("deps")) {
        folder = folder.parent().context("deps lies in no folder")?;
    }
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let folder = folder.display();
    bail!("{name} is not in {folder}: build it first, with `cargo build --workspace --bins`")
}

/// A program at work. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Program {
    /// Starts a program of this workspace; its log lines (standard error) go to the end of the file `log`.
    ///
    /// # Errors
    /// When it was not built or the system gives no process.
    pub fn start(name: &str, arguments: &[&OsStr], log: &Path) -> Result<Self> {
        Self::start_at(&program(name)?, arguments, log)
    }

    /// As [`Program::start`], for a program anywhere on this machine.
    ///
    /// # Errors
    /// When the system gives no process.
    pub fn start_at(path: &Path, arguments: &[&OsStr], log: &Path) -> Result<Self> {
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("{}: cannot be written", log.display()))?;
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("{name}: cannot be started"))?;
        let output = child
            .stdout
            .take()
            .expect("invariant: standard output is piped");
        let (said, lines) = sync_channel(LINES_MAX);
        // It ends with the program, or as soon as nobody listens.
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for line in lines {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            name,
            child,
            lines,
            log: log.to_owned(),
        })
    }

    /// Waits for a line that begins so, and gives the rest of it.
    ///
    /// # Errors
    /// When the program ends, or stays silent for [`PATIENCE`]; with the end of its log.
    pub fn said(&self, beginning: &str) -> Result<String> {
        let watch = Stopwatch::start();
        loop {
            match self.lines.recv_timeout(watch.left_of(PATIENCE)) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(beginning) {
                        return Ok(rest.to_owned());
                    }
                }
                Err(trouble) => {
                    let what = match trouble {
                        RecvTimeoutError::Timeout => "did not say",
                        RecvTimeoutError::Disconnected => "ended before it said",
                    };
                    bail!(
                        "{} {what} {beginning:?}; its log:\n{}",
                        self.name,
                        self.log_tail()
                    );
                }
            }
        }
    }

    /// Asks it to stop (SIGTERM) and waits until it did.
    ///
    /// # Errors
    /// When it does not stop within [`PATIENCE`]; it is then killed.
    pub fn stop(mut self) -> Result<ExitStatus> {
        // It may have ended by itself.
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap_or_default();
        self.end()
    }

    /// Kills it at once (SIGKILL), as a power cut would.
    ///
    /// # Errors
    /// When the system does not let go of it.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child
            .kill()
            .with_context(|| format!("{}: cannot be killed", self.name))?;
        self.end()
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it has not ended within [`PATIENCE`]; it is then killed.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let watch = Stopwatch::start();
        // Its standard output closes when it ends.
        loop {
            match self.lines.recv_timeout(watch.left_of(PATIENCE)) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} does not stop; its log:\n{}", self.name, self.log_tail())
                }
            }
        }
        self.child
            .wait()
            .with_context(|| format!("{}: cannot be waited for", self.name))
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let tail = &bytes[bytes.len().saturating_sub(LOG_TAIL)..];
        String::from_utf8_lossy(tail).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; then both do nothing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
