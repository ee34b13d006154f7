//! A bulk IN endpoint in USB packets: a message ends with a packet shorter than the largest, if
//! need be an empty one. A transfer ends with a short packet, or when the host's buffer is full.

use crate::Wiped;
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct Pipe {
    messages: VecDeque<Wiped>,
    /// Bytes of the first message that are already on the wire.
    sent: usize,
}

impl Pipe {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn push(&mut self, message: Wiped) {
        self.messages.push_back(message);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.sent = 0;
    }

    /// Ends the message that has begun where it stands, and forgets the others.
    pub(super) fn cut(&mut self) {
        let begun = self.messages.pop_front().filter(|_| self.sent > 0);
        self.messages.clear();
        if let Some(mut message) = begun {
            message.truncate(self.sent);
            self.messages.push_back(message);
        }
    }

    /// One transfer into a host buffer of `room` bytes, a multiple of the packet length. Also
    /// whether a short packet ended it.
    pub(super) fn transfer(&mut self, room: usize) -> (Wiped, bool) {
        let Some(message) = self.messages.front() else {
            return (Wiped::default(), false);
        };
        let rest = message.get(self.sent..).unwrap_or_default();
        let bytes = Wiped::from(rest.get(..room).unwrap_or(rest).to_vec());
        self.sent += bytes.len();
        // A transfer that the buffer has room after ends with a short packet, if need be an empty one.
        let last = bytes.len() < room;
        if last {
            self.messages.pop_front();
            self.sent = 0;
        }
        (bytes, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BULK_PACKET_LEN;

    /// Lengths of the transfers a message makes, into buffers of two packets.
    fn transfers(len: usize) -> Vec<(usize, bool)> {
        let mut pipe = Pipe::default();
        pipe.push(Wiped::from(vec![7; len]));
        let mut transfers = Vec::new();
        while !pipe.is_empty() {
            let (bytes, last) = pipe.transfer(2 * BULK_PACKET_LEN);
            transfers.push((bytes.len(), last));
        }
        transfers
    }

    #[test]
    fn short_or_empty_packet_ends_every_message() {
        assert_eq!(transfers(3), [(3, true)]);
        assert_eq!(transfers(512), [(512, true)]); // with an empty packet
        assert_eq!(transfers(1000), [(1000, true)]);
        assert_eq!(transfers(1024), [(1024, false), (0, true)]);
        assert_eq!(transfers(1025), [(1024, false), (1, true)]);
    }

    #[test]
    fn cut_message_ends_where_it_stands() {
        let mut pipe = Pipe::default();
        pipe.push(Wiped::from(vec![7; 3000]));
        assert_eq!(pipe.transfer(1024).0.len(), 1024);
        pipe.cut();
        let (bytes, last) = pipe.transfer(1024);
        assert!(bytes.is_empty() && last && pipe.is_empty());
    }
}
