//! The keyholder as a process of its own: every key that opens a palm, the sealed templates, and no block.
//!
//! One matcher is attached at a time ([`Holder::attach`]). It hands in the sealed directories of its blocks, which only
//! the keyholder can read; what is in no block is taken from the templates. A search is a conversation: the keyholder
//! opens the till's envelope and gives away the probe in the epoch's coordinates ([`Holder::open_samples`]), the
//! matcher sends the sums of every block ([`Holder::take`]), and the keyholder reads scores, opens the nearest
//! templates and answers a person or nobody ([`Holder::answer`]).
//!
//! What a matcher says is checked as if a stranger said it: sums must cover each block once, and nothing that it sends
//! can change a template. A step of [`Holder::settle`] counts once the matcher says that it did it
//! ([`Holder::commit`]): whatever stops either process in between, no code is lost and none is twice under one mask,
//! since each try draws a seed of its own.
//!
//! Every call may block; call from a thread that may.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use palm_models::template::{Hand, Template};
use palm_proto::{
    envelope::{Binding, OpeningKey, SealedTemplate, SealingKey},
    id::{CustomerId, RequestId},
    reason::ReasonCode,
};
use rayon::{ThreadPool, prelude::*};
use tracing::{info, warn};

use super::{
    GalleryError, Identity, MODELS,
    rest::Templates,
    sealed::{
        Best, Candidate, EpochKey, Packing, ProbeCode, Query, REFERENCE_WEIGHTS, RecordId,
        SealedError,
        block::{Header, Kind},
        keyholder::Keyholder,
        wire::{self, BlockName},
    },
    second::SecondStage,
    threads, unsearchable,
};
use crate::{
    budget::Budget,
    clock::Clock,
    config::Identification,
    entropy::Entropy,
    error::Error,
    limits,
    requests::Nonce,
    store::{Store, StoreError},
    vault,
};

mod people;
mod settle;

use settle::Pending;
pub use settle::Step;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_hours(24);
/// Times in a day that one capture is looked for: twice, should a matcher have to attach anew, for each of two sends. A
/// matcher that lies could learn a little from each answer about the palm of an envelope that it holds.
const TIMES_A_CAPTURE: u32 = 4;

/// Names the time from one attachment of a matcher to the next.
pub type Session = [u8; 16];

/// What a keyholder is made with.
pub struct HolderSetup {
    /// When a palm counts as recognised.
    pub policy: Identification,
    /// Most samples.
    pub samples_max: usize,
    /// Searches of all tills together in a minute.
    pub searches_per_minute: u32,
    /// The keyholder's own: nothing else writes there.
    pub store: Arc<dyn Store>,
    /// Wraps the keys that templates are sealed under.
    pub master: vault::Keyholder,
    /// What the keys of blocks are derived from.
    pub key: EpochKey,
    /// Opens what tills seal.
    pub opening_key: OpeningKey,
    /// For the budget.
    pub clock: Arc<dyn Clock>,
    /// Seeds, keys and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Called when a commit failed: what is on disk is not known, and the process must end.
    pub on_failure: Box<dyn Fn(StoreError) + Send + Sync>,
}

impl fmt::Debug for HolderSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HolderSetup")
    }
}

/// Why the keyholder did not do it.
#[derive(Debug)]
pub enum HolderError {
    /// Not the matcher that attached last, or its blocks are not those that the keyholder knows: attach again.
    Attach,
    /// As in one process.
    Refused(Error),
}

impl From<Error> for HolderError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for HolderError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

type Answered<T> = Result<T, HolderError>;

/// What an attached matcher is told.
#[derive(Debug)]
pub struct Attached {
    /// Goes with everything that it asks.
    pub session: Session,
    /// Blocks that it should delete.
    pub dead: Vec<BlockName>,
}

/// What samples are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// One sample: whose palm is it?
    Identify,
    /// Add them to this customer, unless the request was answered before.
    Enrol(RequestId, CustomerId),
}

/// A search that waits for the sums of the blocks.
pub struct Asked {
    session: Session,
    changes: u64,
    purpose: Purpose,
    samples: Vec<Sample>,
    seen: BTreeSet<BlockName>,
}

/// A sample that is looked for. Each thread keeps the best that it sees.
struct Sample {
    template: Template,
    kind: Kind,
    code: ProbeCode,
    query: Query,
    best: Vec<Best>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({} samples)", self.samples.len())
    }
}

impl Asked {
    /// What the matcher is to add rows up for.
    pub fn probes(&self) -> impl Iterator<Item = (Kind, &ProbeCode)> {
        self.samples
            .iter()
            .map(|sample| (sample.kind, &sample.code))
    }
}

/// What comes of opening samples.
#[derive(Debug)]
pub enum Opened {
    /// The matcher's sums are needed.
    Asked(Box<Asked>),
    /// The enrolment was answered before.
    Kept(Kept),
}

/// What a search comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Of [`Purpose::Identify`].
    Person(Identity),
    /// Of [`Purpose::Enrol`]: not enrolled, and why.
    Refused(ReasonCode),
    /// Of [`Purpose::Enrol`]: on disk and searched.
    Kept(Kept),
}

/// Samples that a customer has after an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Of the right palm.
    pub right: u8,
    /// Of the left palm.
    pub left: u8,
}

/// Which blocks there are, and what is in none.
struct State {
    session: Option<Session>,
    rooms: BTreeMap<Kind, Keyholder>,
    /// Samples that are in no block and not yet opened.
    unopened: Vec<(Hand, RecordId)>,
    pending: Option<Pending>,
    /// Goes up when a block comes or goes.
    changes: u64,
}

/// The keyholder.
pub struct Holder {
    second: SecondStage,
    samples_max: usize,
    store: Arc<dyn Store>,
    master: Arc<vault::Keyholder>,
    key: EpochKey,
    opening_key: OpeningKey,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    searches: Budget<()>,
    captures: Budget<Nonce>,
    on_failure: Box<dyn Fn(StoreError) + Send + Sync>,
    state: RwLock<State>,
    /// Held by whoever changes the store, or reads all of it.
    writing: Mutex<()>,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder")
    }
}

impl State {
    fn must_be(&self, session: Session) -> Answered<()> {
        let is_attached = self.session == Some(session);
        is_attached.then_some(()).ok_or(HolderError::Attach)
    }

    fn len(&self) -> usize {
        self.unopened.len() + self.rooms.values().map(Keyholder::len).sum::<usize>()
    }

    fn room(&self, kind: Kind) -> Answered<&Keyholder> {
        let room = self.rooms.get(&kind);
        room.ok_or(HolderError::Refused(Error::TemplateUnknown))
    }

    fn enrol(&mut self, record: RecordId, sample: &Template) -> Result<(), Error> {
        let room = self.rooms.get_mut(&kind_of(sample));
        let room = room.ok_or(Error::TemplateUnknown)?;
        let code = sample.search().ok_or(Error::TemplateUnknown)?;
        room.enrol(record, code).map_err(unsearchable)
    }
}

fn kind_of(sample: &Template) -> Kind {
    Kind {
        hand: sample.hand(),
        model: sample.model(),
    }
}

impl Holder {
    /// A keyholder to which no matcher is attached yet.
    ///
    /// # Errors
    /// [`GalleryError::Threads`].
    pub fn open(setup: HolderSetup) -> Result<Self, GalleryError> {
        let pool = threads(limits::SEARCH_THREADS)?;
        let master = Arc::new(setup.master);
        let templates = Templates::new(Arc::clone(&setup.store), Arc::clone(&master));
        Ok(Self {
            second: SecondStage {
                policy: setup.policy,
                templates,
                pool,
            },
            samples_max: setup.samples_max,
            store: setup.store,
            master,
            key: setup.key,
            opening_key: setup.opening_key,
            clock: setup.clock,
            entropy: setup.entropy,
            searches: Budget::new(setup.searches_per_minute, MINUTE),
            captures: Budget::new(TIMES_A_CAPTURE, DAY),
            on_failure: setup.on_failure,
            state: RwLock::new(State {
                session: None,
                rooms: BTreeMap::new(),
                unopened: Vec::new(),
                pending: None,
                changes: 0,
            }),
            writing: Mutex::new(()),
        })
    }

    // A panic under a lock leaves at worst a sample too few or too many of one person.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> &ThreadPool {
        &self.second.pool
    }

    /// What tills seal templates to.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        self.opening_key.sealing_key()
    }

    /// Blocks that a matcher can have at most.
    #[must_use]
    pub fn blocks_max(&self) -> usize {
        // A block that was not retired has at least seven eighths of its codes; twice that, and a few for each kind.
        2 * self.samples_max.div_ceil(Packing::Three.capacity()) + 16
    }

    /// Takes a matcher with the headers and directories of its blocks; any earlier one is attached no more.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Corrupt`].
    pub fn attach(&self, mut blocks: Vec<(Header, Vec<u8>)>) -> Answered<Attached> {
        let _alone = self.alone();
        let mut wanted = self.second.templates.records()?;
        let mut rooms: BTreeMap<_, _> = [Hand::Right, Hand::Left]
            .into_iter()
            .flat_map(|hand| MODELS.map(|model| Kind { hand, model }))
            .map(|kind| {
                (
                    kind,
                    Keyholder::new(self.key.for_kind(kind), kind, Packing::Three),
                )
            })
            .collect();
        // The latest first: when a stop fell between a new block and the end of the one it replaced, both are there.
        blocks.sort_by_key(|(header, _)| std::cmp::Reverse(header.block));
        let mut dead = Vec::new();
        for (header, directory) in &blocks {
            let name = BlockName::of(header);
            let wanted = wanted.entry(header.kind.hand).or_default();
            let room = rooms.get_mut(&header.kind).ok_or(SealedError::Format);
            match room.and_then(|room| room.admit(header, directory, wanted)) {
                Ok(1..) => (),
                Ok(0) => dead.push(name),
                Err(error) => {
                    warn!(block = name.block.number(), %error, "a block is made again");
                    dead.push(name);
                }
            }
        }
        let unopened: Vec<_> = wanted
            .into_iter()
            .flat_map(|(hand, records)| records.into_iter().map(move |record| (hand, record)))
            .collect();
        let mut session = [0; 16];
        self.entropy.fill(&mut session);
        let (live, left) = (blocks.len() - dead.len(), unopened.len());
        info!(
            blocks = live,
            dead = dead.len(),
            to_open = left,
            "matcher attached"
        );
        let mut state = self.write();
        let changes = state.changes + 1;
        *state = State {
            session: Some(session),
            rooms,
            unopened,
            pending: None,
            changes,
        };
        Ok(Attached { session, dead })
    }

    /// Opens samples that a till sealed for this use.
    ///
    /// # Errors
    /// [`HolderError::Attach`]; [`Error::SealBroken`], [`Error::TemplateUnknown`], [`Error::TooManySearches`],
    /// [`Error::CaptureReplayed`], [`Error::IdReused`], [`Error::CustomerNotFound`] after [`Self::forget`], and
    /// [`Error::Busy`] until everything is settled after an attachment.
    pub fn open_samples(
        &self,
        session: Session,
        binding: &Binding,
        sealed: &[SealedTemplate],
    ) -> Answered<Opened> {
        let state = self.read();
        state.must_be(session)?;
        if !state.unopened.is_empty() {
            return Err(Error::Busy.into());
        }
        let purpose = match binding {
            Binding::Payment { .. } => Purpose::Identify,
            Binding::Enrolment {
                customer, request, ..
            } => Purpose::Enrol(*request, *customer),
        };
        let opened = sealed.iter().map(|one| self.open_one(&state, binding, one));
        let samples = opened.collect::<Answered<Vec<_>>>()?;
        if let Purpose::Enrol(request, customer) = &purpose {
            if let Some(kept) = self.kept_before(*request, *customer)? {
                return Ok(Opened::Kept(kept));
            }
            if state.len() + samples.len() > self.samples_max {
                return Err(Error::GalleryFull.into());
            }
        }
        let now = self.clock.now();
        if !self.searches.spend((), now) {
            return Err(Error::TooManySearches.into());
        }
        // The nonce is authenticated by the envelope that just opened.
        let spend = |sealed: &SealedTemplate| self.captures.spend(sealed.capture_nonce, now);
        if !sealed.iter().all(spend) {
            return Err(Error::CaptureReplayed.into());
        }
        Ok(Opened::Asked(Box::new(Asked {
            session,
            changes: state.changes,
            purpose,
            samples,
            seen: BTreeSet::new(),
        })))
    }

    fn open_one(
        &self,
        state: &State,
        binding: &Binding,
        sealed: &SealedTemplate,
    ) -> Answered<Sample> {
        let plain = self.opening_key.open(sealed, binding);
        let plain = plain.map_err(|_| Error::SealBroken)?;
        let template = Template::from_bytes(&plain).map_err(|_| Error::TemplateUnknown)?;
        let kind = kind_of(&template);
        let room = state.room(kind)?;
        let code = template.search().ok_or(Error::TemplateUnknown)?;
        if matches!(binding, Binding::Enrolment { .. }) {
            let is_dense = REFERENCE_WEIGHTS.contains(&code.weight());
            is_dense.then_some(()).ok_or(Error::TemplateUnknown)?;
        }
        let code = room.probe(code).map_err(unsearchable)?;
        let keep = self.second.policy.opened_samples;
        Ok(Sample {
            kind,
            query: room.query(&code),
            code,
            best: (0..limits::SEARCH_THREADS)
                .map(|_| Best::new(keep))
                .collect(),
            template,
        })
    }

    /// Takes the sums of some blocks: for each, those of its kind's probes one after the other.
    ///
    /// # Errors
    /// [`HolderError::Attach`] for blocks that are not known, or come twice, or in another form.
    pub fn take(&self, asked: &mut Asked, blocks: &[(BlockName, Vec<u8>)]) -> Answered<()> {
        let state = self.read();
        state.must_be(asked.session)?;
        for (name, _) in blocks {
            if !asked.seen.insert(*name) {
                return Err(HolderError::Attach);
            }
        }
        // Each thread goes on with its own list of the best: what is in it spares most comparisons.
        let mut lanes: Vec<Vec<(Kind, &Query, &mut Best)>> =
            (0..limits::SEARCH_THREADS).map(|_| Vec::new()).collect();
        for Sample {
            kind, query, best, ..
        } in &mut asked.samples
        {
            for (lane, best) in lanes.iter_mut().zip(best) {
                lane.push((*kind, &*query, best));
            }
        }
        let ranked: Result<(), SealedError> = self.second.pool.install(|| {
            lanes.par_iter_mut().enumerate().try_for_each(|(at, lane)| {
                let mut own = blocks.iter().skip(at).step_by(limits::SEARCH_THREADS);
                own.try_for_each(|(name, rows)| {
                    let room = state.rooms.get(&name.kind);
                    let room = room.filter(|room| room.epoch() == name.epoch);
                    let room = room.ok_or(SealedError::UnknownBlock)?;
                    let probes = lane.iter_mut().filter(|(kind, ..)| *kind == name.kind);
                    let probes: Vec<_> = probes.collect();
                    let sums = wire::sums(name.block, rows, probes.len())?;
                    let mut pairs = sums.iter().zip(probes);
                    pairs.try_for_each(|(sums, (_, query, best))| room.rank(query, sums, best))
                })
            })
        });
        ranked.map_err(|_| HolderError::Attach)
    }

    /// The answer, once the sums of every block were taken.
    ///
    /// # Errors
    /// [`HolderError::Attach`] when blocks are missing, or came or went meanwhile; [`Error::SamplesFull`],
    /// [`Error::Store`], [`Error::Corrupt`].
    pub fn answer(&self, asked: Asked) -> Answered<Found> {
        let Asked {
            session,
            changes,
            purpose,
            samples,
            seen,
        } = asked;
        let found: Vec<_> = {
            let state = self.read();
            state.must_be(session)?;
            let kinds: BTreeSet<Kind> = samples.iter().map(|sample| sample.kind).collect();
            let mut known = BTreeSet::new();
            for kind in kinds {
                let room = state.room(kind)?;
                let epoch = room.epoch();
                known.extend(room.blocks().map(|block| BlockName { kind, epoch, block }));
            }
            if state.changes != changes || known != seen {
                return Err(HolderError::Attach);
            }
            let all = samples.into_iter();
            all.map(|sample| nearest(&state, sample))
                .collect::<Answered<_>>()?
        };
        match purpose {
            Purpose::Identify => match found.as_slice() {
                [(probe, nearest)] => Ok(Found::Person(self.second.identify(probe, nearest)?)),
                _ => Err(Error::TemplateUnknown.into()),
            },
            Purpose::Enrol(request, customer) => self.enrol(request, customer, found),
        }
    }
}

fn nearest(state: &State, sample: Sample) -> Answered<(Template, Vec<Candidate>)> {
    let mut lanes = sample.best.into_iter();
    let first = lanes.next().unwrap_or_else(|| Best::new(0));
    let mut best = lanes.fold(first, Best::merged);
    let room = state.room(sample.kind)?;
    room.rank_waiting(&sample.code, &mut best);
    Ok((sample.template, best.into_sorted()))
}

#[cfg(test)]
pub(super) mod tests;
