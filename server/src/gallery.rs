//! The enrolled palms, and whose a probe is.
//!
//! A search goes in two steps: the sealed gallery ([`sealed`]) finds the nearest few hundred search codes as
//! ciphertext, together with other searches that come meanwhile (`together.rs`); then the templates of these samples
//! are opened from the store ([`rest`]) and compared, coarsely at first (`search.rs`). What comes out is an
//! [`Identity`]: a person, nobody, or "too close to tell"; the thresholds are its own, and no score leaves it. It
//! knows neither money nor names. Every answer takes the same steps with as many templates, and nothing that was
//! opened is kept, so that the times tell nothing.
//!
//! The store is the truth. Blocks are made from it in the background ([`Gallery::settle`]) and read again at the
//! start; what stands in none, waits in memory and is searched there. Searches use [`limits::SEARCH_THREADS`] threads
//! of the gallery's own and block their caller: call from a thread that may block.
//!
//! All of that in one process is [`Gallery`]. In two, [`holder`] has the templates and the keys, [`matcher`] the
//! blocks, and [`remote`] is the matcher's end of the link; [`palms`] is what checkout and enrolment see of either.
//!
//! Start at [`Gallery::identify`], then `search.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use palm_models::template::{Hand, ModelVersion, SearchCode, Template};
use palm_proto::{id::CustomerId, reason::ReasonCode};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use tracing::{info, warn};

use crate::{config::Identification, entropy::Entropy, error::Error, limits};

pub mod holder;
pub mod matcher;
pub mod memory;
pub(crate) mod messages;
pub mod palms;
pub mod plain;
pub mod remote;
pub mod rest;
pub mod sealed;
mod search;
mod second;
mod together;

use rest::Templates;
use sealed::{
    Candidate, EpochKey, Packing, RecordId, SealedError, SealedGallery, block::Kind, folder::Folder,
};
use second::SecondStage;
use together::Together;

/// Extractors whose codes are searched, each among its own.
const MODELS: [ModelVersion; 1] = [ModelVersion::WITH_SEARCH_CODE];
/// Templates that are opened together when blocks have to be made again.
const OPENED_TOGETHER: usize = 4_096;

/// Reads any bytes as messages between matcher and keyholder; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_link(bytes: &[u8]) {
    messages::fuzz_link(bytes);
}

/// Whose palm a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// These two people, the nearest first, are too close together in similarity: ask again, let a second factor tell
    /// them apart, or take another way to pay.
    Ambiguous([CustomerId; 2]),
    /// This person, clearly before everybody else.
    Match(CustomerId),
    /// Nobody who is enrolled.
    NoMatch,
}

/// Why the gallery did not open, or could not put its codes into blocks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// As many samples as configured do not fit into memory.
    #[error(
        "limits.samples_max is {asked}, for which there is too little memory: write at most {fits}, or add memory"
    )]
    Memory {
        /// What the configuration asks for.
        asked: usize,
        /// What fits.
        fits: usize,
    },
    /// The keyholder of its own did not answer at the start.
    #[error(
        "the keyholder at {0} does not answer: start it with `palmd keyholder --config keyholder.toml`"
    )]
    Keyholder(String),
    /// The link to the keyholder cannot be set up.
    #[error(
        "the link to the keyholder cannot be set up: check [keyholder] and the files that it names"
    )]
    Link(#[source] tonic::transport::Error),
    /// A block.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The templates at rest do not open.
    #[error(
        "the enrolled palms cannot be read: keys.master must be the file that they were sealed with"
    )]
    Templates(#[from] Error),
    /// The system gave no threads to search with.
    #[error("the threads that search the gallery could not be started: raise the limit of threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// What a gallery is made with.
pub struct Setup {
    /// When a palm counts as recognised.
    pub policy: Identification,
    /// Most samples.
    pub samples_max: usize,
    /// Where the truth is.
    pub templates: Templates,
    /// What the keys of its blocks are derived from. With another key every block is made again.
    pub key: EpochKey,
    /// Where blocks are kept; `None`: in memory only.
    pub folder: Option<PathBuf>,
    /// Seeds of masks, and nonces.
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setup")
    }
}

/// Codes of one hand and one extractor.
#[derive(Debug)]
struct Room {
    sealed: SealedGallery,
    folder: Option<Folder>,
}

/// The enrolled palms.
#[derive(Debug)]
pub struct Gallery {
    second: SecondStage,
    samples_max: usize,
    entropy: Arc<dyn Entropy>,
    rooms: BTreeMap<Kind, RwLock<Room>>,
    searches: BTreeMap<Kind, Together<SearchCode, Vec<Candidate>>>,
    settling: Mutex<()>,
}

/// The threads that search a gallery.
///
/// # Errors
/// When the system gives none.
pub fn threads(count: usize) -> Result<Arc<ThreadPool>, rayon::ThreadPoolBuildError> {
    let named = ThreadPoolBuilder::new().thread_name(|n| format!("search-{n}"));
    named.num_threads(count).build().map(Arc::new)
}

// A panic under a lock leaves at worst a sample too few or too many of one person.
fn read(room: &RwLock<Room>) -> RwLockReadGuard<'_, Room> {
    room.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(room: &RwLock<Room>) -> RwLockWriteGuard<'_, Room> {
    room.write().unwrap_or_else(PoisonError::into_inner)
}

impl Gallery {
    /// Reads the blocks of the folder, and makes those again that are missing.
    ///
    /// # Errors
    /// [`GalleryError`].
    pub fn open(setup: Setup) -> Result<Self, GalleryError> {
        memory::refuse_too_many(setup.samples_max)?;
        let pool = threads(limits::SEARCH_THREADS)?;
        let mut wanted = setup.templates.records()?;
        let mut rooms = BTreeMap::new();
        for (hand, model) in [Hand::Right, Hand::Left]
            .into_iter()
            .flat_map(|hand| MODELS.map(|model| (hand, model)))
        {
            let kind = Kind { hand, model };
            let room = Room::open(kind, &setup, &pool, wanted.entry(hand).or_default())?;
            rooms.insert(kind, RwLock::new(room));
        }
        let searches = rooms.keys().map(|kind| {
            let together = Together::new(limits::SEARCHES_TOGETHER);
            (*kind, together)
        });
        let gallery = Self {
            second: SecondStage {
                policy: setup.policy,
                templates: setup.templates,
                pool,
            },
            searches: searches.collect(),
            samples_max: setup.samples_max,
            entropy: setup.entropy,
            rooms,
            settling: Mutex::new(()),
        };
        for (hand, records) in wanted {
            gallery.enrol_again(hand, &Vec::from_iter(records))?;
        }
        info!(samples = gallery.len(), "gallery loaded");
        Ok(gallery)
    }

    /// Takes the codes of these records from their templates: they stand in no block.
    fn enrol_again(&self, hand: Hand, records: &[RecordId]) -> Result<(), GalleryError> {
        let mut unsearchable = 0_usize;
        for some in records.chunks(OPENED_TOGETHER) {
            let open = |record: &RecordId| Ok((*record, self.second.templates.one(hand, *record)?));
            let opened: Result<Vec<_>, Error> = self
                .second
                .pool
                .install(|| some.par_iter().map(open).collect());
            for (record, template) in opened? {
                let Some(template) = template else { continue };
                match self.enrol(record, &template) {
                    Ok(()) => (),
                    Err(Error::TemplateUnknown) => unsearchable += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            self.settle_all()?;
            info!(?hand, samples = some.len(), "codes taken from templates");
        }
        if unsearchable > 0 {
            warn!(
                unsearchable,
                "samples without a search code of a known version are kept, but not found: enrol these palms again"
            );
        }
        Ok(())
    }

    fn room(&self, template: &Template) -> Result<&RwLock<Room>, Error> {
        let room = self.rooms.get(&kind(template));
        room.ok_or(Error::TemplateUnknown)
    }

    fn enrol(&self, record: RecordId, template: &Template) -> Result<(), Error> {
        let code = template.search().ok_or(Error::TemplateUnknown)?;
        let mut room = write(self.room(template)?);
        room.sealed.enrol(record, code).map_err(unsearchable)
    }

    /// Number of samples that a search can find.
    #[must_use]
    pub fn len(&self) -> usize {
        let samples = |room| read(room).sealed.keyholder().len();
        self.rooms.values().map(samples).sum()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether so many more samples fit.
    fn has_room_for(&self, samples: usize) -> bool {
        self.len().saturating_add(samples) <= self.samples_max
    }

    /// Whether this template can be enrolled: it has a search code of a known version, dense enough.
    ///
    /// # Errors
    /// [`Error::TemplateUnknown`].
    pub fn refuse_unsearchable(&self, template: &Template) -> Result<(), Error> {
        let code = template.search().ok_or(Error::TemplateUnknown)?;
        self.room(template)?;
        let is_dense = sealed::REFERENCE_WEIGHTS.contains(&code.weight());
        is_dense.then_some(()).ok_or(Error::TemplateUnknown)
    }

    /// Adds a sample that the store has. Its number is the customer's own for that hand, and is never used again.
    ///
    /// # Errors
    /// [`Error::TemplateUnknown`].
    pub fn add(&self, customer: CustomerId, number: u8, sample: &Template) -> Result<(), Error> {
        self.enrol(RecordId { customer, number }, sample)
    }

    /// Lets no search find a person any more. The store has forgotten them before.
    pub fn remove(&self, customer: CustomerId) {
        self.rooms
            .values()
            .for_each(|room| write(room).sealed.remove(customer));
    }

    /// Puts codes that fill a block into one, and makes blocks again of which too many codes are dead. It takes tens
    /// of milliseconds a block and holds up no search; when another thread is at it, it returns at once.
    pub fn settle(&self) {
        if let Ok(_alone) = self.settling.try_lock()
            && let Err(error) = self.settle_all()
        {
            let error = &error as &dyn std::error::Error;
            warn!(error, "codes wait on in memory: no block could be written");
        }
    }

    fn settle_all(&self) -> Result<(), GalleryError> {
        for (kind, room) in &self.rooms {
            while self.retire_one(kind.hand, room)? || self.encrypt_one(room)? {}
        }
        Ok(())
    }

    fn retire_one(&self, hand: Hand, room: &RwLock<Room>) -> Result<bool, GalleryError> {
        let Some((block, live)) = read(room).sealed.stale() else {
            return Ok(false);
        };
        let mut codes = Vec::with_capacity(live.len());
        for record in live {
            let template = self.second.templates.one(hand, record)?;
            let code = template.and_then(|template| template.search().cloned());
            codes.extend(code.map(|code| (record, code)));
        }
        let mut room = write(room);
        room.sealed.retire(block, &codes)?;
        if let Some(folder) = &room.folder {
            folder.delete(room.sealed.keyholder().epoch(), block)?;
        }
        Ok(true)
    }

    fn encrypt_one(&self, room: &RwLock<Room>) -> Result<bool, GalleryError> {
        let Some(draft) = write(room).sealed.draft() else {
            return Ok(false);
        };
        let fresh = self.second.pool.install(|| draft.encrypt(&*self.entropy));
        let folder = read(room).folder.clone();
        folder.map_or(Ok(()), |folder| folder.keep(&fresh))?;
        write(room).sealed.publish(fresh);
        Ok(true)
    }

    /// Whose palm this is. Only samples of the same hand and extractor are looked at.
    ///
    /// # Errors
    /// [`Error::TemplateUnknown`]; [`Error::Store`] and [`Error::Corrupt`] when templates cannot be opened.
    pub fn identify(&self, probe: &Template) -> Result<Identity, Error> {
        self.second.identify(probe, &self.nearest(probe)?)
    }

    /// Whether these samples may be enrolled for this customer; `Some` says why not.
    ///
    /// # Errors
    /// [`Error::GalleryFull`], [`Error::SamplesFull`]; as [`Self::identify`].
    pub fn judge(
        &self,
        customer: CustomerId,
        samples: &[Template],
    ) -> Result<Option<ReasonCode>, Error> {
        if !self.has_room_for(samples.len()) {
            return Err(Error::GalleryFull);
        }
        self.second.judge(customer, samples, |_, sample| {
            self.is_of_another(sample, customer)
        })
    }

    fn is_of_another(&self, probe: &Template, customer: CustomerId) -> Result<bool, Error> {
        let found = self.nearest(probe)?;
        self.second.is_of_another(probe, &found, customer)
    }

    /// The samples that are nearest by their search codes, looked for together with other probes.
    fn nearest(&self, probe: &Template) -> Result<Vec<Candidate>, Error> {
        let room = self.room(probe)?;
        let code = probe.search().ok_or(Error::TemplateUnknown)?;
        // Refused here, so that it does not spoil the search of others.
        if code.weight() < *sealed::PROBE_WEIGHTS.start() {
            return Err(Error::TemplateUnknown);
        }
        let together = self.searches.get(&kind(probe));
        let together = together.ok_or(Error::TemplateUnknown)?;
        together.ask(code, |codes| {
            let codes: Vec<_> = codes.iter().collect();
            let found = read(room)
                .sealed
                .search_all(&codes, self.second.policy.opened_samples);
            found.map_err(unsearchable)
        })
    }
}

/// What a template can be looked for among.
fn kind(template: &Template) -> Kind {
    Kind {
        hand: template.hand(),
        model: template.model(),
    }
}

/// A code that its role does not allow; nothing else can go wrong with a block that was admitted.
fn unsearchable(error: SealedError) -> Error {
    match error {
        SealedError::Weight(_) => Error::TemplateUnknown,
        _ => Error::Corrupt("gallery"),
    }
}

/// Where the blocks of a kind lie within the gallery's folder.
fn folder_name(kind: Kind) -> String {
    let hand = match kind.hand {
        Hand::Right => "right",
        Hand::Left => "left",
    };
    format!("{hand}-{}", kind.model.number())
}

impl Room {
    fn open(
        kind: Kind,
        setup: &Setup,
        pool: &Arc<ThreadPool>,
        wanted: &mut BTreeSet<RecordId>,
    ) -> Result<Self, GalleryError> {
        let key = setup.key.for_kind(kind);
        let mut sealed = SealedGallery::new(key, kind, Packing::Three, Arc::clone(pool));
        let folder = setup.folder.as_ref();
        let folder = folder.map(|all| Folder::open(&all.join(folder_name(kind))));
        let folder = folder.transpose()?;
        if let Some(folder) = &folder {
            let others = folder.delete_other_epochs(sealed.keyholder().epoch())?;
            if others > 0 {
                info!(
                    blocks = others,
                    "keys.gallery is another: blocks are made again"
                );
            }
            sealed.load(folder, wanted)?;
        }
        Ok(Self { sealed, folder })
    }
}

#[cfg(test)]
mod tests;
