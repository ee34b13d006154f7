//! The program that runs in the virtual machine of `./x test-usb`: the real driver on a real kernel's USB stack,
//! against the emulated reader plugged in as a real device.
//!
//! `vhci` and `xhci` are the tests behind the two kinds of controller, `bench` measures, `peer` is the device's side of
//! `xhci` on the host; `try-open` is what the tests run as another user. Started by `tests/usb/vm.sh`, not by hand:
//! it plugs devices into the kernel of the machine it runs on.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program prints"
)]

mod bare;
mod bench;
mod camera;
mod faults;
mod film;
mod peer;
mod plugging;
mod rig;
mod system;
mod updating;
mod uvc;

use std::process::ExitCode;
use std::time::Instant;

use rig::Rig;

/// A test: its name says subject, condition, outcome.
type Case = (&'static str, fn(&mut Rig) -> anyhow::Result<()>);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["vhci", rest @ ..] => Rig::vhci(rest.contains(&"long")).map(|rig| {
            let own = [plugging::CASES, system::CASES, camera::CASES].concat();
            run(rig, &[faults::CASES, updating::CASES, &own].concat())
        }),
        ["xhci", rest @ ..] => Rig::xhci(rest.contains(&"long")).map(|rig| {
            let cases = [faults::CASES, updating::CASES, system::XHCI_CASES];
            run(rig, &cases.concat())
        }),
        ["bench", "user-space"] => bench::user_space(),
        ["bench", kind] => bench::run(kind),
        ["peer", redir, line] => peer::run(redir, line).map(|()| true),
        ["try-open"] => system::try_open(),
        _ => {
            eprintln!(
                "usage: usb-guest vhci|xhci [long] | bench vhci|xhci|user-space | peer SOCKET SOCKET | try-open"
            );
            Ok(false)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("usb-guest: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Runs the cases one after the other on one rig, each from the same start: nothing plugged in.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a case took is for the reader of the log"
)]
fn run(mut rig: Rig, cases: &[Case]) -> bool {
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases {
        let began = Instant::now();
        let outcome = case(&mut rig).and_then(|()| rig.clear());
        let took = began.elapsed().as_millis();
        match outcome {
            Ok(()) => {
                println!("test {} {name} ... ok ({took} ms)", rig.kind());
                passed += 1;
            }
            Err(error) => {
                println!(
                    "test {} {name} ... FAILED ({took} ms)\n    {error:#}",
                    rig.kind()
                );
                failed += 1;
                // What is left of it must not fail the next one.
                drop(rig.clear());
            }
        }
    }
    println!("{}: {passed} passed, {failed} failed", rig.kind());
    failed == 0
}
