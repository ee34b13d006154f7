//! `cargo fuzz run server_rail_report`: the server's parser of outside bytes, rail report.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::reports::fuzz_rail_report(bytes));
