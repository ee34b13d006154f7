//! `cargo fuzz run server_block`: a stored block of the sealed gallery.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::gallery::sealed::block::fuzz_block(bytes));
