//! `cargo fuzz run driver_picture`: the driver's parser of outside bytes, picture.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::picture::fuzz_picture(bytes));
