//! `cargo fuzz run driver_camera`: the driver's parser of outside bytes, camera frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::camera::decode::fuzz_decode(bytes));
