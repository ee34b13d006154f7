//! Plugs a gadget into this machine's own kernel, as a real device: `vhci-hcd`, the virtual host controller.
//!
//! Needs root and `modprobe vhci-hcd`. No network, no `usbip` tool: one end of a socket pair is handed to the kernel
//! by writing its number to sysfs. Dropping the [`Plugged`] pulls the plug.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::gadget::Gadget;
use super::server::Server;

/// USB speed as `vhci-hcd` counts: high speed, 480 Mbit/s.
const HIGH_SPEED: u8 = 3;
/// A port with nothing in it, as its status file says.
const PORT_FREE: &str = "004";

/// A gadget that the kernel sees.
#[derive(Debug)]
pub struct Plugged {
    server: Server,
    /// Port of the controller.
    pub port: u32,
}

impl Plugged {
    /// Plugs `gadget` into the first free port.
    ///
    /// # Errors
    /// Without the module, without root, or with no free port.
    pub fn new(gadget: Box<dyn Gadget>) -> io::Result<Self> {
        let controller = controller();
        let (kernel, ours) = UnixStream::pair()?;
        let port = free_port(&fs::read_to_string(controller.join("status"))?)
            .ok_or_else(|| io::Error::other("every port of vhci-hcd is in use"))?;
        let server = Server::start(gadget, ours)?;
        let line = format!("{port} {} {} {HIGH_SPEED}", kernel.as_raw_fd(), port + 1);
        fs::write(controller.join("attach"), line)?;
        // The kernel holds the socket now.
        drop(kernel);
        Ok(Self { server, port })
    }

    /// Whether the device is still there for the kernel.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.server.is_running()
    }
}

/// Pulls the plug of a port from the kernel's side.
///
/// # Errors
/// When the port is empty, or without root.
pub fn detach(port: u32) -> io::Result<()> {
    fs::write(controller().join("detach"), port.to_string())
}

fn controller() -> PathBuf {
    Path::new("/sys/devices/platform/vhci_hcd.0").to_owned()
}

/// The first free high-speed port of a `status` file: lines of hub, port, status and more.
fn free_port(status: &str) -> Option<u32> {
    status.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (hub, port, state) = (words.next()?, words.next()?, words.next()?);
        (hub == "hs" && state == PORT_FREE)
            .then(|| port.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_free_high_speed_port_is_taken() {
        let status = "hub port sta spd dev      sockfd local_busid\n\
                      hs  0000 006 003 00010001 000003 1-1\n\
                      hs  0001 004 000 00000000 000000 0-0\n\
                      ss  0008 004 000 00000000 000000 0-0\n";
        assert_eq!(free_port(status), Some(1));
        assert_eq!(free_port("ss  0008 004 000 00000000 000000 0-0\n"), None);
        assert_eq!(free_port(""), None);
    }
}
