//! `cargo fuzz run server_record`: the server's parser of outside bytes, record.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::ledger::fuzz_record(bytes));
