//! `cargo fuzz run till_journal`: the till's parser of outside bytes, journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_till::journal::fuzz_journal(bytes));
