//! `cargo fuzz run driver_usbip`: the driver's parser of outside bytes, USB/IP headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::usbip::wire::fuzz_usbip(bytes));
