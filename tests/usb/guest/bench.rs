//! Figures: a payment's burst beside a bare bulk read of the same bytes, CPU, allocations, plugging, recovery.
//!
//! JSON lines. The machine is emulated: times say nothing of real hardware. Neither does the ratio of bare to driven:
//! moving bytes is a copy of the host, while every instruction of the driver (checksums, the copy into the frame, fresh
//! pages) runs ten times slower than on a processor; it bounds the ratio from above. Bare and driven bursts alternate
//! in blocks, and the least of each is compared, because whatever else the host does only adds.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use allocation_counter::measure;
use anyhow::Context;
use palm_driver::ReaderError;
use palm_driver::transport::Recovery;
use palm_driver::usbip::{Server, UsbIpTransport};

use crate::bare::{Bare, MESSAGES};
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
        rig.plug_spigot()?;
        let mut spigot = Bare::open()?;
        spigot.burst()?;
        for _ in 0..BURSTS {
            let (read, took) = timed(|| spigot.burst());
            read?;
            bare.push(took);
        }
        drop(spigot);
        rig.clear()?;
        rig.size(WHOLE)?;
        let mut reader = rig.reader()?;
        rig.say("PALM 7")?;
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
    transfers(rig.kind(), bare, driven, cpu, allocations)?;
    plugging(&mut rig)?;
    recovery(&mut rig)?;
    Ok(true)
}

/// The same burst on this machine's own processor, over USB/IP in user space: driver and emulated reader together,
/// without a kernel and without emulation. No ratio: a socket is no USB.
#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) fn user_space() -> anyhow::Result<bool> {
    let film = Film::new(WHOLE.0, WHOLE.1);
    let emulator = emulator(SERIAL, &film);
    let (device, host) = UnixStream::pair()?;
    let gadget = emulator.gadget().context("the reader is taken")?;
    let _server = Server::start(gadget, device)?;
    let mut reader = greet(Box::new(UsbIpTransport::connect(host)?))?;
    emulator.run_line("PALM 7")?;
    let mut times = Vec::new();
    for _ in 0..BLOCKS * BURSTS {
        let (frames, took) = timed(|| capture(&mut reader, &plan()));
        film.check(7, &plan(), &frames?)?;
        times.push(took);
    }
    let (least, median) = least_and_median(&mut times)?;
    println!(
        r#"{{"bench":"driver","what":"burst","controller":"none","ms_min":{least:.2},"ms_median":{median:.2}}}"#
    );
    Ok(true)
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn transfers(
    kind: &str,
    mut bare: Vec<Duration>,
    mut driven: Vec<Duration>,
    cpu: Duration,
    (count, bytes): (u64, u64),
) -> anyhow::Result<()> {
    let wire: usize = MESSAGES.iter().sum();
    let (bare_ms, bare_median_ms) = least_and_median(&mut bare)?;
    let (ms, median_ms) = least_and_median(&mut driven)?;
    let mb_s = |ms: f64| f64::from(u32::try_from(wire).unwrap_or(u32::MAX)) / 1e3 / ms;
    let runs = u32::try_from(BLOCKS * BURSTS)?;
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
    // The film's own check, a comparison of the bytes, is counted too.
    println!(
        r#"{{"bench":"driver","what":"cpu_a_burst","controller":"{kind}","guest_ms":{:.1}}}"#,
        millis(cpu / runs)
    );
    println!(
        r#"{{"bench":"driver","what":"allocations_a_burst","controller":"{kind}","count":{count},"bytes":{bytes}}}"#
    );
    Ok(())
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
