//! `cargo fuzz run driver_recording`: the driver's parser of outside bytes, a recording.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::recording::fuzz_recording(bytes));
