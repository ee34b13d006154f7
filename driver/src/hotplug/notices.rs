//! Notices of the Linux kernel that a device came or went: its own `uevent` broadcast, which needs no udev daemon and
//! no rights.
//!
//! The notice comes before the udev daemon has set the rights of the new node; whoever opens it has to try for a
//! while. Containers with a network namespace of their own hear nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// The kernel's own messages; those of a udev daemon are group 2.
const KERNEL_GROUP: u32 = 1;
/// Longest message that is looked at; the rest of a longer one is dropped.
const MESSAGE_MAX: usize = 4096;

/// An open ear.
#[derive(Debug)]
pub(crate) struct Notices(OwnedFd);

impl Notices {
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(KOBJECT_UEVENT),
        )?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
        Ok(Self(socket))
    }

    /// Waits for a notice that concerns USB or cameras, at most for `timeout`; takes all there are.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut sockets = [PollFd::new(&self.0, PollFlags::IN)];
        // An interrupted wait is a short one: the caller looks again.
        if !matches!(poll(&mut sockets, timeout.as_ref()), Ok(1..)) {
            return false;
        }
        let mut message = [0; MESSAGE_MAX];
        let mut concerns_us = false;
        loop {
            match recv(&self.0, &mut message, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    concerns_us |= is_ours(message.get(..length).unwrap_or_default());
                }
                // Messages were lost for want of room: look at the list.
                Err(rustix::io::Errno::NOBUFS) => concerns_us = true,
                Err(_) => return concerns_us,
            }
        }
    }
}

/// `ACTION@PATH`, then `KEY=value` each ended by a zero.
fn is_ours(message: &[u8]) -> bool {
    message
        .split(|byte| *byte == 0)
        .any(|field| matches!(field, b"SUBSYSTEM=usb" | b"SUBSYSTEM=video4linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_usb_and_cameras_concern_us() {
        let message = b"add@/devices/usb1/1-1\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_device\0";
        assert!(is_ours(message));
        assert!(is_ours(b"remove@/x\0SUBSYSTEM=video4linux\0"));
        assert!(!is_ours(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0"));
        assert!(!is_ours(b""));
    }

    #[test]
    fn silence_is_no_notice() {
        // A system that gives no socket has no notices either.
        let heard = Notices::open().map(|notices| notices.wait(Duration::from_millis(1)));
        assert!(!heard.unwrap_or(false));
    }
}
