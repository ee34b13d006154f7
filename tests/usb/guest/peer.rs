//! The host's side of the xHCI runs: the emulated reader behind QEMU's usb-redir, told by lines over a second socket
//! (the guest's second serial line) what happens to it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use palm_driver::EmulatorHandle;
use palm_driver::usbip::redir::Peer;

use crate::film::Film;
use crate::rig::{SERIAL, SMALL, emulator};

pub(crate) fn run(redir: &str, line: &str) -> anyhow::Result<()> {
    let film = Film::new(SMALL.0, SMALL.1);
    let redir = UnixListener::bind(redir)?;
    let lines = UnixListener::bind(line)?;
    let (plugs, plugged) = channel();
    let desk = std::thread::spawn(move || desk(&lines, &film, &plugs));
    let (stream, _) = redir.accept()?;
    let served = serve(Peer::greet(stream)?, &plugged);
    // The machine is gone, or is going.
    served?;
    desk.join().ok().context("the desk panicked")?
}

/// Serves whatever is plugged in, one after the other.
fn serve(mut peer: Peer, plugged: &Receiver<EmulatorHandle>) -> anyhow::Result<()> {
    while let Ok(emulator) = plugged.recv() {
        // It may be pulled again before it was seen, or leave for an update and come back by itself.
        while let Some(gadget) = emulator.gadget() {
            if !peer.serve(gadget)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Does what the guest says, a line each, and answers `ok` or why not.
fn desk(lines: &UnixListener, film: &Film, plugs: &Sender<EmulatorHandle>) -> anyhow::Result<()> {
    let (stream, _) = lines.accept()?;
    let mut answers = stream.try_clone()?;
    let mut reader = emulator(SERIAL, film);
    reader.run_line("UNPLUG")?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let done = obey(line.trim(), film, &mut reader, plugs);
        match done {
            Ok(()) => writeln!(answers, "ok")?,
            Err(error) => writeln!(answers, "{error:#}")?,
        }
    }
    Ok(())
}

fn obey(
    line: &str,
    film: &Film,
    reader: &mut EmulatorHandle,
    plugs: &Sender<EmulatorHandle>,
) -> anyhow::Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["NEW"] => {
            reader.run_line("UNPLUG")?;
            *reader = emulator(SERIAL, film);
            Ok(reader.run_line("UNPLUG")?)
        }
        ["SIZE", width, height] => {
            film.size().set(width.parse()?, height.parse()?);
            Ok(())
        }
        ["PLUG"] => {
            reader.run_line("PLUG")?;
            Ok(plugs.send(reader.clone())?)
        }
        _ => Ok(reader.run_line(line)?),
    }
}
