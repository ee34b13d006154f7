//! Captures, and what goes wrong on the bus: on both controllers.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use palm_driver::protocol::{CONTROL_INFO, Info, NakCode};
use palm_driver::transport::{Control, Recovery};
use palm_driver::{BurstPlan, Event, HandState, Light, ReaderError, Shot, TransportError};

use crate::Case;
use crate::rig::{PATIENCE, Rig, WHOLE, capture, greet, pause, plan, timed};

pub(crate) const CASES: &[Case] = &[
    ("reader_is_listed_and_says_who_it_is", listed),
    ("burst_of_a_payment_arrives_byte_for_byte", burst),
    ("frames_of_whole_packets_and_around_do_not_hang", lengths),
    ("events_arrive_and_silence_loses_nothing", events),
    (
        "halt_at_any_transfer_is_cleared_and_the_burst_taken_again",
        stalls,
    ),
    ("refusal_and_silence_end_and_the_reader_is_usable", refusals),
    (
        "port_reset_keeps_the_claim_and_starts_the_reader_anew",
        reset,
    ),
    ("unplugged_at_any_transfer_is_gone_and_comes_back", unplugs),
    (
        "pending_reads_at_an_unplug_end_in_bounded_time",
        unplugged_with_reads_pending,
    ),
    ("captures_one_after_the_other", soak),
];

fn listed(rig: &mut Rig) -> anyhow::Result<()> {
    let address = rig.plug()?;
    ensure!(address.serial.as_deref() == Some("RIG-1"), "{address}");
    let mut transport = rig.transport()?;
    let info = Control::In {
        request: CONTROL_INFO,
        value: 0,
        length: 88,
    };
    let info = Info::parse(&transport.control(info, PATIENCE)?)?;
    ensure!(info.serial == "RIG-1", "INFO says {}", info.serial);
    let reader = greet(transport)?;
    ensure!(*reader.info() == info, "HELLO says {:?}", reader.info());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a figure for the log")]
fn burst(rig: &mut Rig) -> anyhow::Result<()> {
    rig.size(WHOLE)?;
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    rig.burst(&mut reader)?;
    let (done, took) = timed(|| rig.burst(&mut reader));
    done?;
    let (_, pinged) = timed(|| reader.ping());
    println!("    burst of 3.7 MB with its check {took:.1?}, ping {pinged:.1?}");
    Ok(())
}

/// What is sent besides the pixels of a frame: the header of the message and that of the frame.
const OVERHEAD: u32 = 24 + 36;

fn lengths(rig: &mut Rig) -> anyhow::Result<()> {
    let plan = BurstPlan::new(vec![Shot {
        light: Light::Nir,
        led_mask: 0xff,
        exposure_us: 4000,
    }])?;
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    // Around whole packets, whatever else the message holds besides pixels.
    let widths = if rig.is_long { 1..1024 } else { 948..1000 };
    for width in widths {
        rig.size((width, 1))?;
        let frames = capture(&mut reader, &plan)?;
        rig.film.check(7, &plan, &frames)?;
    }
    // As long as one read of the driver, and as two.
    for total in [1_u32 << 20, 2 << 20] {
        let pixels = total - OVERHEAD;
        let Some(width) = (1..=8192)
            .rev()
            .find(|width| pixels.is_multiple_of(*width) && pixels / width <= 8192)
        else {
            continue;
        };
        rig.size((width, pixels / width))?;
        let frames = capture(&mut reader, &plan)?;
        rig.film.check(7, &plan, &frames)?;
    }
    Ok(())
}

fn events(rig: &mut Rig) -> anyhow::Result<()> {
    let mut reader = rig.reader()?;
    let first = reader.next_event(PATIENCE)?;
    ensure!(first == Some(Event::Hand(HandState::Absent)), "{first:?}");
    let silence = reader.next_event(Duration::from_millis(30))?;
    ensure!(silence.is_none(), "{silence:?}");
    rig.say("BUTTON\nTAMPER")?;
    for expected in [Event::Button, Event::Tamper] {
        let event = reader.next_event(PATIENCE)?;
        ensure!(event == Some(expected), "{event:?}");
    }
    Ok(())
}

fn stalls(rig: &mut Rig) -> anyhow::Result<()> {
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    for transfer in 1..=9 {
        rig.say(&format!("STALL {transfer}"))?;
        rig.burst(&mut reader)?;
    }
    Ok(())
}

fn refusals(rig: &mut Rig) -> anyhow::Result<()> {
    let mut reader = rig.reader()?;
    rig.say("PALM 7\nNAK busy")?;
    rig.burst(&mut reader)?;
    // Once too often.
    rig.say("NAK sensor_fault\nNAK sensor_fault\nNAK sensor_fault")?;
    let refused = capture(&mut reader, &plan());
    ensure!(
        matches!(refused, Err(ReaderError::Refused(NakCode::SensorFault))),
        "{:?}",
        refused.map(drop)
    );
    rig.say("SLEEP 300")?;
    let (slow, took) = timed(|| rig.burst(&mut reader));
    slow?;
    ensure!(
        took > Duration::from_millis(200),
        "a sleeping reader answered"
    );
    // Asleep beyond every deadline: only the port reset wakes it.
    rig.say("SLEEP 600000")?;
    if let Ok(frames) = capture(&mut reader, &plan()) {
        rig.film.check(7, &plan(), &frames)?;
    }
    rig.burst(&mut reader)
}

fn reset(rig: &mut Rig) -> anyhow::Result<()> {
    rig.plug()?;
    rig.say("PALM 7")?;
    let mut transport = rig.transport()?;
    for _ in 0..3 {
        transport.recover(Recovery::Reset)?;
    }
    let mut reader = greet(transport)?;
    rig.burst(&mut reader)
}

fn unplugs(rig: &mut Rig) -> anyhow::Result<()> {
    let rounds = if rig.is_long { 90 } else { 1 };
    for round in 0..rounds {
        let mut transfer = 1;
        while unplug_at(rig, transfer).with_context(|| format!("round {round}"))? {
            transfer += 1;
        }
        // At least a command and its answer, three times, and a transfer a frame.
        ensure!((11..60).contains(&transfer), "{transfer} transfers");
    }
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    rig.burst(&mut reader)
}

/// Pulls the plug at this transfer of greeting and capture; `false` when there are not so many.
fn unplug_at(rig: &mut Rig, transfer: u32) -> anyhow::Result<bool> {
    rig.plug()?;
    let transport = rig.transport()?;
    rig.say(&format!("PALM 7\nUNPLUG {transfer}"))?;
    let (outcome, took) =
        timed(|| greet(transport).and_then(|mut reader| capture(&mut reader, &plan())));
    ensure!(
        took < PATIENCE,
        "transfer {transfer}: noticed after {took:?}"
    );
    rig.clear()?;
    match outcome.map(drop) {
        Err(ReaderError::Gone) => Ok(true),
        Ok(()) => Ok(false),
        Err(other) => bail!("transfer {transfer}: {other}"),
    }
}

/// `nusb`'s trap: transfers that were cancelled around an unplug may never come back.
fn unplugged_with_reads_pending(rig: &mut Rig) -> anyhow::Result<()> {
    let rounds = if rig.is_long { 100 } else { 10 };
    for round in 0..rounds {
        rig.plug()?;
        let mut transport = rig.transport()?;
        // Both reads stay pending over their timeouts.
        let nothing = transport.bulk_in(Duration::from_millis(1)).map(drop);
        ensure!(nothing == Err(TransportError::TimedOut), "{nothing:?}");
        let nothing = transport.interrupt_in(Duration::from_millis(1)).map(drop);
        ensure!(nothing == Err(TransportError::TimedOut), "{nothing:?}");
        rig.unplug()?;
        let (recovered, took) = timed(|| {
            // Faults may come first; the ladder must end in "disconnected", and soon.
            (0..200).find_map(|_| match transport.recover(Recovery::ClearHalt) {
                Err(TransportError::Disconnected) => Some(()),
                Ok(()) | Err(_) => {
                    pause(Duration::from_millis(2));
                    None
                }
            })
        });
        ensure!(
            recovered.is_some(),
            "round {round}: never told that it is gone"
        );
        let (read, waited) = timed(|| transport.bulk_in(PATIENCE).map(drop));
        ensure!(
            read == Err(TransportError::Disconnected) || read == Err(TransportError::Fault),
            "round {round}: {read:?}"
        );
        ensure!(
            took + waited < PATIENCE / 2,
            "round {round}: {took:?} to recover, {waited:?} to read"
        );
        drop(transport);
        rig.clear()?;
    }
    Ok(())
}

fn soak(rig: &mut Rig) -> anyhow::Result<()> {
    let mut reader = rig.reader()?;
    rig.say("PALM 7")?;
    for _ in 0..if rig.is_long { 1000 } else { 25 } {
        rig.burst(&mut reader)?;
    }
    Ok(())
}
