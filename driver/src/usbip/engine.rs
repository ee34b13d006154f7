//! What every cable does: standard requests, and transfers that wait for the device in the order they were asked for.

use crate::Wiped;
use std::collections::{BTreeMap, VecDeque};

use super::descriptors::MS_OS_VENDOR_CODE;
use super::gadget::{Gadget, Outcome, Refusal, Setup};
use crate::limits::URBS_MAX;

/// What a transfer asks.
#[derive(Debug)]
pub(super) enum Ask {
    Control { setup: Setup, data: Vec<u8> },
    Input { endpoint: u8, room: usize },
    Output { endpoint: u8, data: Vec<u8> },
}

impl Ask {
    fn endpoint(&self) -> u8 {
        match self {
            Self::Control { .. } => 0,
            Self::Input { endpoint, .. } | Self::Output { endpoint, .. } => *endpoint,
        }
    }
}

/// A transfer that came back.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) id: u64,
    pub(super) ask: Ask,
    /// What the device gave; empty for OUT.
    pub(super) result: Result<Wiped, Refusal>,
}

/// One plugged-in gadget and the transfers that wait for it.
#[derive(Debug)]
pub(super) struct Engine {
    gadget: Box<dyn Gadget>,
    waiting: BTreeMap<u8, VecDeque<(u64, Ask)>>,
    configuration: u8,
}

impl Engine {
    pub(super) fn new(gadget: Box<dyn Gadget>) -> Self {
        Self {
            gadget,
            waiting: BTreeMap::new(),
            configuration: 0,
        }
    }

    pub(super) fn gadget(&self) -> &dyn Gadget {
        &*self.gadget
    }

    /// Takes a transfer. One too many is refused at once.
    pub(super) fn submit(&mut self, id: u64, ask: Ask) -> Result<(), Done> {
        let queue = self.waiting.entry(ask.endpoint()).or_default();
        if queue.len() >= URBS_MAX {
            let result = Err(Refusal::Stall);
            return Err(Done { id, ask, result });
        }
        queue.push_back((id, ask));
        Ok(())
    }

    /// Takes a transfer back, if it still waits.
    pub(super) fn cancel(&mut self, id: u64) -> Option<Ask> {
        self.waiting.values_mut().find_map(|queue| {
            let at = queue.iter().position(|(waiting, _)| *waiting == id)?;
            queue.remove(at).map(|(_, ask)| ask)
        })
    }

    /// Does what can be done now; the first of each endpoint comes first.
    pub(super) fn step(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        let endpoints: Vec<u8> = self.waiting.keys().copied().collect();
        for endpoint in endpoints {
            while let Some((id, ask)) = self.first(endpoint) {
                match self.attempt(&ask) {
                    Some(result) => done.push(Done { id, ask, result }),
                    None => {
                        self.put_back(endpoint, id, ask);
                        break;
                    }
                }
            }
        }
        done
    }

    fn first(&mut self, endpoint: u8) -> Option<(u64, Ask)> {
        self.waiting.get_mut(&endpoint)?.pop_front()
    }

    fn put_back(&mut self, endpoint: u8, id: u64, ask: Ask) {
        self.waiting
            .entry(endpoint)
            .or_default()
            .push_front((id, ask));
    }

    pub(super) fn restart(&mut self) {
        self.configuration = 0;
        self.gadget.restart();
    }

    pub(super) fn configure(&mut self, value: u8) {
        self.configuration = value;
        self.gadget.restart();
    }

    pub(super) fn configuration(&self) -> u8 {
        self.configuration
    }

    fn attempt(&mut self, ask: &Ask) -> Outcome<Wiped> {
        if !self.gadget.is_plugged() {
            return Some(Err(Refusal::Gone));
        }
        match ask {
            Ask::Control { setup, data } => self.control(*setup, data).map(|answer| {
                answer.map(|mut bytes| {
                    bytes.truncate(usize::from(setup.length));
                    Wiped::from(bytes)
                })
            }),
            Ask::Input { endpoint, room } => self.gadget.input(*endpoint, *room),
            Ask::Output { endpoint, data } => self
                .gadget
                .output(*endpoint, data)
                .map(|sent| sent.map(|()| Wiped::default())),
        }
    }

    /// Chapter 9 of the USB specification, as far as hosts use it; the rest is the gadget's.
    fn control(&mut self, setup: Setup, data: &[u8]) -> Outcome<Vec<u8>> {
        const PORT_RESET: u16 = 4;
        let [low, high] = setup.value.to_le_bytes();
        let endpoint = setup.index.to_le_bytes()[0];
        let nothing = Some(Ok(Vec::new()));
        match (setup.request_type, setup.request) {
            // GET_STATUS: bus-powered, not halted.
            (0x80..=0x82, 0) => Some(Ok(vec![0, 0])),
            (0x80, 6) => Some(
                self.gadget
                    .descriptors()
                    .answer(high, low)
                    .ok_or(Refusal::Stall),
            ),
            (0x80, 8) => Some(Ok(vec![self.configuration])),
            (0x81, 10) => Some(Ok(vec![0])),
            (0x01, 11) if setup.value == 0 => nothing,
            (0x00, 9) => {
                self.configure(low);
                nothing
            }
            // CLEAR_FEATURE, ENDPOINT_HALT.
            (0x02, 1) if setup.value == 0 => {
                self.gadget.clear_halt(endpoint);
                nothing
            }
            // Remote wake-up on and off.
            (0x00, 1 | 3) if setup.value == 1 => nothing,
            // A hub's SET_FEATURE(PORT_RESET): how USB/IP carries a port reset to the device's side.
            (0x23, 3) if setup.value == PORT_RESET => {
                self.restart();
                nothing
            }
            (0xc0, MS_OS_VENDOR_CODE) if setup.index == 7 => {
                let set = self.gadget.descriptors().ms_os.clone();
                Some(if set.is_empty() {
                    Err(Refusal::Stall)
                } else {
                    Ok(set)
                })
            }
            (request_type, _) if request_type & 0x60 == 0 => Some(Err(Refusal::Stall)),
            _ => self.gadget.control(setup, data),
        }
    }
}
