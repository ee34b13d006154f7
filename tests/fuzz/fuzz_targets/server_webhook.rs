//! `cargo fuzz run server_webhook`: the server's parser of outside bytes, signed messages of a card provider.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::rail::stripe::fuzz_webhook(bytes));
