//! `cargo fuzz run server_config`: the server's parser of outside bytes, config.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::config::fuzz_config(bytes));
