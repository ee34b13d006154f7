//! Compiles the protocol without protoc.

use std::{error::Error, path::PathBuf};

use prost::Message;

const FILES: [&str; 10] = [
    "types",
    "customers",
    "enrolment",
    "checkout",
    "payments",
    "wallets",
    "bank",
    "reports",
    "tills",
    "keyholder",
];

fn main() -> Result<(), Box<dyn Error>> {
    let files = FILES.map(|file| format!("openpalm/v1/{file}.proto"));
    println!("cargo::rerun-if-changed=openpalm");
    let descriptors = protox::compile(&files, ["."])?;
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo tells a build script by environment"
    )]
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("openpalm.bin");
    std::fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
