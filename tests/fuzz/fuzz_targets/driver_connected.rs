//! `cargo fuzz run driver_connected`: the driver's parser of outside bytes, connected.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::protocol::fuzz_connected(bytes));
