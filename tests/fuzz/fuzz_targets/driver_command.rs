//! `cargo fuzz run driver_command`: the driver's parser of outside bytes, command.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::protocol::fuzz_command(bytes));
