//! `cargo fuzz run driver_claim`: the driver's parser of outside bytes, claim.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_driver::protocol::claim::fuzz_claim(bytes));
