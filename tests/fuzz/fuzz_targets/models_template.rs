//! `cargo fuzz run models_template`: the models's parser of outside bytes, template.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(palm_models::template::Template::from_bytes(bytes)));
