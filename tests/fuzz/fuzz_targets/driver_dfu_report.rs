//! `cargo fuzz run driver_dfu_report`: the driver's parser of outside bytes, the answer to GETSTATUS.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::dfu::fuzz_dfu_report(bytes));
