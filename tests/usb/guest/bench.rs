//! Figures: a payment's burst beside a bare bulk read of the same bytes, CPU, allocations, plugging, recovery.
//!
//! JSON lines. What is compared: the same emulated reader makes, seals and sends the same frames over the same
//! endpoints to a host that only counts the bytes (`bare.rs`), and to the driver, which puts them together, checks,
//! opens and wipes them. The ratio is what the driver adds. In the virtual machine every instruction of it is emulated,
//! AES above all, and that bounds the ratio from above; `controller: none` is the same comparison on this machine's own
//! processor, where the emulated reader is part of both times. Bare and driven bursts alternate in blocks, and the
//! least of each is compared, because whatever else the machine does only adds.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use allocation_counter::measure;
use anyhow::Context;
use palm_driver::ReaderError;
use palm_driver::transport::Recovery;
use palm_driver::usbip::{Server, UsbIpTransport};

use crate::bare::{BURST_LEN, Bare, Usb};
use crate::film::Film;
use crate::rig::{PATIENCE, Rig, SERIAL, WHOLE, capture, emulator, greet, plan, timed, wait_for};

const BLOCKS: usize = 5;
const BURSTS: usize = 8;
const PLUGS: usize = 8;

pub(crate) fn run(kind: &str) -> anyhow::Result<bool> {
    let mut rig = if kind == "xhci" {
        Rig::xhci(false)?
    } else {
        Rig::vhci(false)?
    };
    let (mut bare, mut driven) = (Vec::new(), Vec::new());
    let mut cpu = Duration::ZERO;
    let mut allocations = (u64::MAX, u64::MAX);
    for _ in 0..BLOCKS {
        rig.plug()?;
        rig.size(WHOLE)?;
        rig.say("PALM 7")?;
        let mut counting = Bare::new(Usb::open()?)?;
        counting.burst()?;
        for _ in 0..BURSTS {
            let (read, took) = timed(|| counting.burst());
            read?;
            bare.push(took);
        }
        drop(counting);
        let mut reader = rig.reader()?;
        rig.burst(&mut reader)?; // The first one makes the buffers.
        let before = cpu_time()?;
        for _ in 0..BURSTS {
            let mut outcome = Ok(Vec::new());
            let counted = measure(|| {
                let (frames, took) = timed(|| capture(&mut reader, &plan()));
                driven.push(took);
                outcome = frames;
            });
            rig.film.check(7, &plan(), &outcome?)?;
            allocations = allocations.min((counted.count_total, counted.bytes_total));
        }
        cpu += cpu_time()?.saturating_sub(before);
        drop(reader);
        rig.clear()?;
    }
    transfers(rig.kind(), bare, driven)?;
    costs(
        rig.kind(),
        cpu / u32::try_from(BLOCKS * BURSTS)?,
        allocations,
    );
    plugging(&mut rig)?;
    recovery(&mut rig)?;
    Ok(true)
}

/// The same on this machine's own processor, over USB/IP in user space: without a kernel and without emulation.
pub(crate) fn user_space() -> anyhow::Result<bool> {
    let film = Film::new(WHOLE.0, WHOLE.1);
    let emulator = emulator(SERIAL, &film);
    emulator.run_line("PALM 7")?;
    let cable = || -> anyhow::Result<(Server, UsbIpTransport)> {
        let (device, host) = UnixStream::pair()?;
        let gadget = wait_for("the reader", || Ok(emulator.gadget()))?;
        let server = Server::start(gadget, device)?;
        Ok((server, UsbIpTransport::connect(host)?))
    };
    let (mut bare, mut driven) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let (server, transport) = cable()?;
        let mut counting = Bare::new(transport)?;
        for _ in 0..BURSTS {
            let (read, took) = timed(|| counting.burst());
            read?;
            bare.push(took);
        }
        drop((counting, server));
        let (server, transport) = cable()?;
        let mut reader = greet(Box::new(transport))?;
        for _ in 0..BURSTS {
            let (frames, took) = timed(|| capture(&mut reader, &plan()));
            film.check(7, &plan(), &frames?)?;
            driven.push(took);
        }
        drop((reader, server));
    }
    transfers("none", bare, driven)?;
    Ok(true)
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn transfers(kind: &str, mut bare: Vec<Duration>, mut driven: Vec<Duration>) -> anyhow::Result<()> {
    let wire = BURST_LEN;
    let (bare_ms, bare_median_ms) = least_and_median(&mut bare)?;
    let (ms, median_ms) = least_and_median(&mut driven)?;
    let mb_s = |ms: f64| f64::from(u32::try_from(wire).unwrap_or(u32::MAX)) / 1e3 / ms;
    let times = |ms: f64, median_ms: f64| {
        let speed = mb_s(ms);
        format!(r#""bytes":{wire},"ms_min":{ms:.2},"ms_median":{median_ms:.2},"mb_s":{speed:.1}"#)
    };
    println!(
        r#"{{"bench":"driver","what":"bare_bulk_read","controller":"{kind}",{}}}"#,
        times(bare_ms, bare_median_ms)
    );
    println!(
        r#"{{"bench":"driver","what":"burst","controller":"{kind}",{},"ratio_min":{:.3},"ratio_median":{:.3}}}"#,
        times(ms, median_ms),
        ms / bare_ms,
        median_ms / bare_median_ms,
    );
    Ok(())
}

/// The film's own check, a comparison of the bytes, is part of the processor time.
#[expect(clippy::print_stdout, reason = "the figures")]
fn costs(kind: &str, cpu: Duration, (count, bytes): (u64, u64)) {
    println!(
        r#"{{"bench":"driver","what":"cpu_a_burst","controller":"{kind}","guest_ms":{:.1}}}"#,
        millis(cpu)
    );
    println!(
        r#"{{"bench":"driver","what":"allocations_a_burst","controller":"{kind}","count":{count},"bytes":{bytes}}}"#
    );
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn plugging(rig: &mut Rig) -> anyhow::Result<()> {
    let (mut ready, mut listed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PLUGS {
        let (address, to_list) = timed(|| rig.plug());
        address?;
        let (reader, to_greet) = timed(|| rig.reader());
        let mut reader = reader?;
        listed.push(to_greet);
        ready.push(to_list + to_greet);
        reader.next_event(Duration::from_millis(1))?;
        let (told, took) = timed(|| {
            rig.unplug()?;
            wait_for("the departure", || Ok(reader.next_event(PATIENCE).err()))
        });
        anyhow::ensure!(told? == ReaderError::Gone, "another error");
        gone.push(took);
        drop(reader);
        rig.clear()?;
    }
    let kind = rig.kind();
    for (what, times) in [
        ("plug_to_ready", &mut ready),
        ("listed_to_ready", &mut listed),
        ("unplug_to_event", &mut gone),
    ] {
        let (least, median) = least_and_median(times)?;
        println!(
            r#"{{"bench":"driver","what":"{what}","controller":"{kind}","ms_min":{least:.1},"ms_median":{median:.1}}}"#
        );
    }
    Ok(())
}

/// A small burst with each kind of trouble in it, less one without.
#[expect(clippy::print_stdout, reason = "the figures")]
fn recovery(rig: &mut Rig) -> anyhow::Result<()> {
    let kind = rig.kind();
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    for (what, script) in [
        ("stall", "STALL 4"),
        ("refusal", "NAK busy"),
        ("damaged_frame", "CORRUPT 3"),
        ("lost_frame", "DROP 3"),
    ] {
        let (mut usual, mut times) = (Vec::new(), Vec::new());
        for _ in 0..PLUGS {
            usual.push(timed(|| rig.burst(&mut reader)).1);
            rig.say(script)?;
            let (taken, took) = timed(|| rig.burst(&mut reader));
            taken.context(what)?;
            times.push(took);
        }
        let (usual_ms, usual_median_ms) = least_and_median(&mut usual)?;
        let (least, median) = least_and_median(&mut times)?;
        let what = format!("recovery_from_{what}");
        println!(
            r#"{{"bench":"driver","what":"{what}","controller":"{kind}","ms_min":{:.1},"ms_median":{:.1}}}"#,
            least - usual_ms,
            median - usual_median_ms
        );
    }
    drop(reader);
    let mut times = Vec::new();
    for _ in 0..PLUGS {
        let mut transport = rig.transport()?;
        let (reset, took) = timed(|| {
            transport
                .recover(Recovery::Reset)
                .map(|()| greet(transport))
        });
        reset??;
        times.push(took);
    }
    let (least, median) = least_and_median(&mut times)?;
    let what = "port_reset_to_ready";
    println!(
        r#"{{"bench":"driver","what":"{what}","controller":"{kind}","ms_min":{least:.1},"ms_median":{median:.1}}}"#
    );
    rig.clear()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn least_and_median(times: &mut [Duration]) -> anyhow::Result<(f64, f64)> {
    times.sort_unstable();
    let least = times.first().context("nothing was measured")?;
    let median = times.get(times.len() / 2).context("nothing was measured")?;
    Ok((millis(*least), millis(*median)))
}

/// Processor time of this process so far; the kernel counts in hundredths of a second.
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
