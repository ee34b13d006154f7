//! The messages of `keyholder.proto` to and from what matcher and keyholder work with. Nothing here decides anything.

use palm_proto::{
    envelope::{Binding, SealedTemplate},
    fault::Malformed,
    id::{CustomerId, PaymentId, TillId},
    request,
    v1::{self, search_open, search_response},
};
use prost::Message;

use super::{
    Identity,
    holder::{Found, Kept, Session},
    sealed::{
        EpochId, ProbeCode, SealedError,
        block::{BlockId, Kind},
        wire::{self, BlockName},
    },
};

const ID_BYTES: usize = 16;

/// Bytes that are none of this protocol: the other end is of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl From<SealedError> for Unreadable {
    fn from(_: SealedError) -> Self {
        Self
    }
}

impl From<Malformed> for Unreadable {
    fn from(_: Malformed) -> Self {
        Self
    }
}

type Read<T> = Result<T, Unreadable>;

pub(crate) fn session(bytes: &[u8]) -> Read<Session> {
    bytes.try_into().map_err(|_| Unreadable)
}

pub(crate) fn name(name: BlockName) -> v1::BlockName {
    v1::BlockName {
        hand: wire::hand_number(name.kind.hand),
        model: name.kind.model.number().into(),
        epoch: name.epoch.number(),
        block: name.block.number(),
    }
}

pub(crate) fn read_name(name: Option<&v1::BlockName>) -> Read<BlockName> {
    let name = name.ok_or(Unreadable)?;
    Ok(BlockName {
        kind: wire::kind(name.hand, name.model)?,
        epoch: EpochId::from_number(name.epoch),
        block: BlockId::from_number(name.block),
    })
}

pub(crate) fn probe((kind, code): (Kind, &ProbeCode)) -> v1::SearchProbe {
    v1::SearchProbe {
        hand: wire::hand_number(kind.hand),
        model: kind.model.number().into(),
        code: code.to_bytes().to_vec(),
    }
}

pub(crate) fn read_probe(probe: &v1::SearchProbe) -> Read<(Kind, ProbeCode)> {
    let kind = wire::kind(probe.hand, probe.model)?;
    let bytes = probe.code.as_slice().try_into().map_err(|_| Unreadable)?;
    Ok((kind, ProbeCode::from_bytes(bytes)?))
}

/// What a till sealed, and for what; the session is the caller's to write.
pub(crate) fn open(binding: &Binding, samples: &[SealedTemplate]) -> v1::SearchOpen {
    let (till, purpose) = match binding {
        Binding::Enrolment {
            till,
            customer,
            request,
        } => {
            let enrolment = v1::SearchEnrolment {
                request_id: request.to_string(),
                customer: customer.to_string(),
            };
            (till, search_open::Purpose::Enrolment(enrolment))
        }
        Binding::Payment {
            till,
            payment,
            amount,
        } => {
            let payment = v1::SearchPayment {
                payment: payment.to_string(),
                amount: Some((*amount).into()),
            };
            (till, search_open::Purpose::Payment(payment))
        }
    };
    v1::SearchOpen {
        session: Vec::new(),
        till: till.to_string(),
        purpose: Some(purpose),
        samples: samples.iter().cloned().map(Into::into).collect(),
    }
}

pub(crate) fn read_open(open: v1::SearchOpen) -> Read<(Session, Binding, Vec<SealedTemplate>)> {
    let till: TillId = request::named("till", &open.till)?;
    let binding = match open.purpose.ok_or(Unreadable)? {
        search_open::Purpose::Payment(own) => {
            let payment: PaymentId = request::named("payment", &own.payment)?;
            let amount = own.amount.ok_or(Unreadable)?.try_into()?;
            Binding::Payment {
                till,
                payment,
                amount,
            }
        }
        search_open::Purpose::Enrolment(own) => Binding::Enrolment {
            till,
            customer: request::named("customer", &own.customer)?,
            request: request::named("request_id", &own.request_id)?,
        },
    };
    let most = match binding {
        Binding::Payment { .. } => 1,
        Binding::Enrolment { .. } => request::SAMPLES_MAX,
    };
    if !(1..=most).contains(&open.samples.len()) {
        return Err(Unreadable);
    }
    let samples = open.samples.into_iter().map(SealedTemplate::try_from);
    let samples = samples.collect::<Result<_, Malformed>>()?;
    Ok((session(&open.session)?, binding, samples))
}

/// The answer to a payment's sample is as long whatever it says.
pub(crate) fn found(found: Found) -> search_response::Step {
    let none = [0; ID_BYTES];
    let person = |outcome, first: [u8; ID_BYTES], second: [u8; ID_BYTES]| {
        search_response::Step::Person(v1::FoundPerson {
            outcome,
            first: first.to_vec(),
            second: second.to_vec(),
        })
    };
    match found {
        Found::Person(Identity::NoMatch) => person(1, none, none),
        Found::Person(Identity::Match(own)) => person(2, own.to_bytes(), none),
        Found::Person(Identity::Ambiguous([first, second])) => {
            person(3, first.to_bytes(), second.to_bytes())
        }
        Found::Refused(reason) => search_response::Step::Kept(v1::KeptSamples {
            refused: v1::Reason::from(reason).into(),
            right: 0,
            left: 0,
        }),
        Found::Kept(Kept { right, left }) => search_response::Step::Kept(v1::KeptSamples {
            refused: v1::Reason::Unspecified.into(),
            right: right.into(),
            left: left.into(),
        }),
    }
}

pub(crate) fn read_person(person: &v1::FoundPerson) -> Read<Identity> {
    let id = |bytes: &[u8]| {
        let bytes = bytes.try_into().map_err(|_| Unreadable)?;
        Ok::<_, Unreadable>(CustomerId::from_bytes(bytes))
    };
    let (first, second) = (id(&person.first)?, id(&person.second)?);
    match person.outcome {
        1 => Ok(Identity::NoMatch),
        2 => Ok(Identity::Match(first)),
        3 => Ok(Identity::Ambiguous([first, second])),
        _ => Err(Unreadable),
    }
}

pub(crate) fn read_kept(kept: &v1::KeptSamples) -> Read<Found> {
    let count = |samples: u32| u8::try_from(samples).map_err(|_| Unreadable);
    if kept.refused() == v1::Reason::Unspecified {
        return Ok(Found::Kept(Kept {
            right: count(kept.right)?,
            left: count(kept.left)?,
        }));
    }
    let reason = kept.refused().try_into().map_err(|_| Unreadable)?;
    Ok(Found::Refused(reason))
}

/// Reads any bytes as what either end of the link says to the other; nothing may panic, whatever they are.
pub(crate) fn fuzz_link(bytes: &[u8]) {
    if let Ok(request) = v1::SearchRequest::decode(bytes) {
        match request.step {
            Some(v1::search_request::Step::Open(open)) => drop(read_open(open)),
            Some(v1::search_request::Step::Sums(sums)) => {
                for own in &sums.blocks {
                    let block = read_name(own.name.as_ref()).map(|name| name.block);
                    let sums = |block| wire::sums(block, &own.rows, 1).map_err(Unreadable::from);
                    drop(block.and_then(sums));
                }
            }
            None => {}
        }
    }
    if let Ok(response) = v1::SearchResponse::decode(bytes) {
        match response.step {
            Some(search_response::Step::Probes(probes)) => {
                probes.probes.iter().map(read_probe).for_each(drop);
            }
            Some(search_response::Step::Person(person)) => drop(read_person(&person)),
            Some(search_response::Step::Kept(kept)) => drop(read_kept(&kept)),
            None => {}
        }
    }
    if let Ok(attach) = v1::AttachRequest::decode(bytes) {
        drop(wire::header(&attach.header));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_to_a_payment_is_as_long_and_is_read_back() {
        let [one, other] = [1, 255].map(|byte| CustomerId::from_bytes([byte; ID_BYTES]));
        let answers = [
            Identity::NoMatch,
            Identity::Match(one),
            Identity::Match(CustomerId::from_bytes([0; ID_BYTES])),
            Identity::Ambiguous([one, other]),
        ];
        let mut lengths = Vec::new();
        for answer in answers {
            let step = found(Found::Person(answer));
            let search_response::Step::Person(person) = &step else {
                panic!("{step:?}")
            };
            assert_eq!(read_person(person), Ok(answer));
            lengths.push(v1::SearchResponse { step: Some(step) }.encoded_len());
        }
        lengths.dedup();
        assert_eq!(lengths.len(), 1, "{lengths:?}");
    }

    #[test]
    fn answers_of_another_shape_are_refused() {
        let person = |outcome, bytes| v1::FoundPerson {
            outcome,
            first: vec![1; bytes],
            second: vec![1; 16],
        };
        for (outcome, bytes) in [(0, 16), (4, 16), (2, 15), (2, 17)] {
            assert_eq!(read_person(&person(outcome, bytes)), Err(Unreadable));
        }
    }
}
