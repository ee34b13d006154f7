//! `cargo fuzz run proto_requests`: the proto's parser of outside bytes, requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| palm_proto::request::fuzz_requests(bytes));
