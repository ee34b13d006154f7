//! `palm-reader cameras`: cameras that can stand in for a reader, and what they do not promise.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use palm_driver::camera::quirks::Quirks;
use palm_driver::{Camera, CameraBus, Listing, ReaderError, SystemClock};

use super::Stop;

/// Whether there is any.
pub(super) fn any() -> anyhow::Result<bool> {
    Ok(!CameraBus::new().list()?.is_empty())
}

/// Opens each camera and prints what is known of it.
pub(super) fn list(quirks: Option<&Path>) -> anyhow::Result<()> {
    let quirks = match quirks {
        None => Quirks::shipped(),
        Some(path) => {
            let name = || path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(name)?;
            Quirks::shipped().and(Quirks::parse(&text).with_context(name)?)
        }
    };
    let cameras = CameraBus::new().list()?;
    if cameras.is_empty() {
        println!("no camera found that gives GREY, Y16, YUYV or MJPG");
        return Ok(());
    }
    let mut denied = false;
    for address in &cameras {
        match Camera::open(address, &quirks, Arc::new(SystemClock::new())) {
            Ok(camera) => println!("{address}\n{}\n", camera.info()),
            Err(error) => {
                println!("{address}: {error}\n");
                denied |= error == ReaderError::Denied;
            }
        }
    }
    if denied {
        Err(Stop::NoAccess.into())
    } else {
        Ok(())
    }
}
