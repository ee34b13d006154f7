//! Faults set by script lines: each strikes once, at the n-th occasion of its kind.

use crate::limits::EMULATOR_FAULTS_MAX;
use crate::protocol::NakCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Lets one bulk IN message go on after its end.
    Babble,
    /// Damages one bulk IN message.
    Corrupt,
    /// Loses one bulk IN message.
    Drop,
    /// Sends one bulk IN message twice.
    Duplicate,
    /// Changes one bulk IN message and mends its checksum.
    Forge,
    /// Lets one frame claim another payment.
    Move,
    /// Refuses one command other than ABORT and HELLO.
    Nak(NakCode),
    /// Sends the message before it instead of one bulk IN message.
    Replay,
    /// Starts the firmware anew at one transfer.
    Restart,
    /// Ends one bulk IN message too early.
    Short,
    /// Halts the bulk endpoints at one transfer.
    Stall,
    /// Pulls the plug at one transfer.
    Unplug,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// With the number of occasions until it strikes, 1 for the next.
    set: Vec<(Fault, u32)>,
}

impl Faults {
    /// Beyond the bound a fault is forgotten; scripts are far shorter.
    pub(super) fn set(&mut self, fault: Fault, occasions: u32) {
        if self.set.len() < EMULATOR_FAULTS_MAX {
            self.set.push((fault, occasions.max(1)));
        }
    }

    /// Counts one occasion for faults of this kind; whether one strikes.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        for (_, left) in self.set.iter_mut().filter(|(set, _)| *set == fault) {
            *left -= 1;
        }
        let before = self.set.len();
        self.set.retain(|(_, left)| *left > 0);
        self.set.len() < before
    }

    /// Whether a fault of this kind is still to strike.
    pub(super) fn awaits(&self, fault: Fault) -> bool {
        self.set.iter().any(|(set, _)| *set == fault)
    }

    /// The next refusal: one a command, in the order they were set.
    pub(super) fn next_nak(&mut self) -> Option<NakCode> {
        let at = self
            .set
            .iter()
            .position(|(fault, _)| matches!(fault, Fault::Nak(_)))?;
        match self.set.remove(at).0 {
            Fault::Nak(code) => Some(code),
            Fault::Babble
            | Fault::Corrupt
            | Fault::Drop
            | Fault::Duplicate
            | Fault::Forge
            | Fault::Move
            | Fault::Replay
            | Fault::Restart
            | Fault::Short
            | Fault::Stall
            | Fault::Unplug => None,
        }
    }
}
