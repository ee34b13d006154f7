//! `cargo fuzz run driver_redir`: the driver's parser of outside bytes, usb-redir packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::usbip::redir::fuzz_redir(bytes));
