//! `cargo fuzz run server_status_report`: the server's parser of outside bytes, status report.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::reports::fuzz_status_report(bytes));
