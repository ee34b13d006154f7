//! `cargo fuzz run driver_frame`: the driver's parser of outside bytes, frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::protocol::fuzz_frame(bytes));
