//! `cargo fuzz run driver_quirks`: the driver's parser of outside bytes, quirk files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::camera::quirks::fuzz_quirks(bytes));
