//! `cargo fuzz run driver_reply`: the driver's parser of outside bytes, reply.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::protocol::fuzz_reply(bytes));
