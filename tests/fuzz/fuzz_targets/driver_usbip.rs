//! `cargo fuzz run driver_event`: the driver's parser of outside bytes, event.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::usbip::wire::fuzz_usbip(bytes));
