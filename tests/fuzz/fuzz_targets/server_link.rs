//! `cargo fuzz run server_link`: the server's parser of outside bytes, link.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::gallery::fuzz_link(bytes));
