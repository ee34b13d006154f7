//! `cargo fuzz run server_sealed`: the server's parser of outside bytes, sealed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::vault::fuzz_sealed(bytes));
