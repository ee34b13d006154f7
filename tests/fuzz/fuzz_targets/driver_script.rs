//! `cargo fuzz run driver_script`: the driver's parser of outside bytes, script.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::emulator::script::fuzz_script(bytes));
