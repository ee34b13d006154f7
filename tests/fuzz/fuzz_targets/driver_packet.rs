//! `cargo fuzz run driver_packet`: the driver's parser of outside bytes, packet.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::protocol::fuzz_packet(bytes));
