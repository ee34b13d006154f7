//! `cargo fuzz run server_host_frames`: the server's parser of outside bytes, frames of an acquirer's host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::rail::iso8583::fuzz_frames(bytes));
