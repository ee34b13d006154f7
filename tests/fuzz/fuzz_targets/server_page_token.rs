//! `cargo fuzz run server_page_token`: the server's parser of outside bytes, page token.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::fuzz_page_token(bytes));
