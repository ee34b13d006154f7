//! `cargo fuzz run driver_descriptors`: the driver's parser of outside bytes, configuration descriptors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::usbip::descriptors::fuzz_descriptors(bytes));
