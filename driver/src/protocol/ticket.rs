//! What a capture is for. It goes out with the plan and comes back inside every frame.

use super::fields::Fields;
use super::{Nonce, ProtocolError};

/// Bytes of a ticket on the wire.
pub const TICKET_LEN: usize = 36;

/// Whose palm is wanted and why. A frame that carries another purpose than it was asked for is refused, so a sample
/// cannot be moved from one payment to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An enrolment, under its request's id.
    Enrolment([u8; 16]),
    /// A payment, under its id.
    Payment([u8; 16]),
    /// A developer's or installer's trial: belongs to nothing.
    Trial,
}

impl Purpose {
    fn code(self) -> u8 {
        match self {
            Self::Trial => 0,
            Self::Payment(_) => 1,
            Self::Enrolment(_) => 2,
        }
    }

    fn id(self) -> [u8; 16] {
        match self {
            Self::Trial => [0; 16],
            Self::Payment(id) | Self::Enrolment(id) => id,
        }
    }
}

/// Names one capture. A nonce by itself is the ticket of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Fresh random bytes of the host.
    pub nonce: Nonce,
    /// What the capture is for.
    pub purpose: Purpose,
}

impl From<Nonce> for Ticket {
    fn from(nonce: Nonce) -> Self {
        Self {
            nonce,
            purpose: Purpose::Trial,
        }
    }
}

impl Ticket {
    pub(super) fn encode(self, payload: &mut Vec<u8>) {
        payload.extend(self.nonce);
        payload.extend([self.purpose.code(), 0, 0, 0]);
        payload.extend(self.purpose.id());
    }

    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, ProtocolError> {
        let nonce = fields.array("nonce")?;
        let code = fields.u8("purpose")?;
        fields.zeros::<3>("after purpose")?;
        let purpose = match code {
            0 => {
                fields.zeros::<16>("id of a trial")?;
                Purpose::Trial
            }
            1 => Purpose::Payment(fields.array("payment id")?),
            2 => Purpose::Enrolment(fields.array("enrolment id")?),
            other => return Err(fields.unknown("purpose", u32::from(other))),
        };
        Ok(Self { nonce, purpose })
    }
}
