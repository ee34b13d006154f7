//! `cargo fuzz run server_bank_statement`: the server's parser of outside bytes, bank statement.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_server::reports::fuzz_bank_statement(bytes));
