//! `palmctl` as an operator runs it.

use std::{ffi::OsStr, net::SocketAddr, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::program;

/// Runs `palmctl --dir DIR ...`; gives what it printed.
///
/// # Errors
/// When it exits with another status than 0: what it said.
pub fn run<A: AsRef<OsStr>>(dir: &Path, arguments: &[A]) -> Result<String> {
    let output = Command::new(program("palmctl")?)
        .arg("--dir")
        .arg(dir)
        .args(arguments)
        .output()
        .context("palmctl cannot be started")?;
    if !output.status.success() {
        let what = arguments
            .first()
            .map_or("", |first| first.as_ref().to_str().unwrap_or(""));
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("palmctl {what}: {}: {}", output.status, said.trim_end());
    }
    String::from_utf8(output.stdout).context("palmctl printed something that is not UTF-8")
}

/// Runs `palmctl --json --address ... ARGUMENTS`; gives the object or list that it printed.
///
/// # Errors
/// As [`run`].
pub fn ask(dir: &Path, palmd: SocketAddr, arguments: &[&str]) -> Result<Value> {
    let address = format!("https://{palmd}");
    let mut all = vec!["--json", "--address", &address];
    all.extend(arguments);
    let printed = run(dir, &all)?;
    serde_json::from_str(&printed).context("palmctl --json printed something that is not JSON")
}
