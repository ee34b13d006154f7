//! `cargo fuzz run till_offline`: the till's parser of outside bytes, payments taken without the service.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_till::offline::fuzz_queue(bytes));
