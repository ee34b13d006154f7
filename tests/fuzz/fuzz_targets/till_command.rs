//! `cargo fuzz run till_command`: the till's parser of outside bytes, command.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_till::command::fuzz_command(bytes));
