//! `cargo fuzz run driver_firmware`: the driver's parser of outside bytes, a firmware file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::dfu::fuzz_firmware(bytes));
