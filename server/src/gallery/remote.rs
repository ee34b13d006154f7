//! The matcher's end of the link to a keyholder in another process.
//!
//! A search holds the blocks for reading from its first sum to its answer, and whatever changes which blocks there are
//! holds them alone while it tells the keyholder: so both ends always mean the same blocks. Should they not (one of
//! them was started again), the keyholder says so, the matcher attaches anew, and the search is made once more.
//!
//! Every call blocks for a bounded time and must come from a thread that may block. When the keyholder does not answer
//! it is [`Error::KeyholderAway`]: nothing was done that a repetition would do twice. The channel connects anew by
//! itself.

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use palm_proto::{
    envelope::{Binding, SealedTemplate, SealingKey},
    id::CustomerId,
    v1::{
        self, keyholder_service_client::KeyholderServiceClient, search_request, search_response,
        settle_response,
    },
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, channel},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Response, Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity},
};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{
    GalleryError, Identity,
    holder::{Found, HolderError, Kept, Session},
    matcher::Matcher,
    memory,
    messages::{self, Unreadable},
    sealed::{
        ProbeCode, SealedError,
        block::{Block, Kind},
        folder::Stored,
        wire::BlockName,
    },
    threads,
};
use crate::{error::Error, limits, pki::KEYHOLDER_NAME};

/// A search is made once more after an attachment, and then given up.
const TRIES: usize = 2;

/// How to reach a keyholder: PEM files' contents and an address.
pub struct RemoteSetup {
    /// `https://host:port`.
    pub address: String,
    /// The matcher's certificate.
    pub certificate: String,
    /// Its private key.
    pub key: Zeroizing<String>,
    /// Who signed the keyholder's certificate.
    pub ca: String,
    /// Where blocks are kept; `None`: in memory only.
    pub folder: Option<PathBuf>,
    /// Most samples.
    pub samples_max: usize,
    /// How long to wait for the keyholder at the start.
    pub patience: Duration,
}

impl fmt::Debug for RemoteSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSetup({})", self.address)
    }
}

/// The blocks, and under which name the keyholder knows that they are these.
#[derive(Debug)]
struct Joined {
    session: Session,
    matcher: Matcher,
}

/// A gallery whose keyholder is another process.
pub struct Remote {
    client: KeyholderServiceClient<Channel>,
    runtime: Handle,
    joined: RwLock<Joined>,
    settling: Mutex<()>,
    sealing_key: SealingKey,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// A search whose samples the keyholder has opened.
pub struct Asked {
    open: v1::SearchOpen,
    stage: Stage,
}

/// How far it is.
enum Stage {
    /// The keyholder waits for sums.
    Sums {
        session: Session,
        probes: Vec<(Kind, ProbeCode)>,
        to: Sender<v1::SearchRequest>,
        from: Box<Streaming<v1::SearchResponse>>,
    },
    /// It answered before any.
    Answered(Found),
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

type Answered<T> = Result<T, HolderError>;

impl From<Unreadable> for HolderError {
    fn from(_: Unreadable) -> Self {
        warn!("the keyholder speaks otherwise than this palmd: run the same version of both");
        Self::Refused(Error::KeyholderAway)
    }
}

/// What the keyholder's status means. Its refusals are told by their sentences, which are fixed text.
impl From<Status> for HolderError {
    fn from(status: Status) -> Self {
        if status.code() == Code::Aborted {
            return Self::Attach;
        }
        let passed_on = [
            Error::CaptureReplayed,
            Error::CustomerNotFound,
            Error::GalleryFull,
            Error::IdReused,
            Error::SamplesFull,
            Error::SealBroken,
            Error::TemplateUnknown,
            Error::TooManySearches,
        ];
        let mut known = passed_on.into_iter();
        let refused = known.find(|error| error.sentence() == status.message());
        Self::Refused(refused.unwrap_or_else(|| {
            warn!(code = ?status.code(), said = status.message(), "the keyholder did not answer");
            Error::KeyholderAway
        }))
    }
}

fn refusal(error: HolderError) -> Error {
    match error {
        HolderError::Attach => Error::KeyholderAway,
        HolderError::Refused(error) => error,
    }
}

fn endpoint(setup: &RemoteSetup) -> Result<Endpoint, tonic::transport::Error> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&setup.ca))
        .identity(TlsIdentity::from_pem(
            &setup.certificate,
            setup.key.as_bytes(),
        ))
        .domain_name(KEYHOLDER_NAME);
    let endpoint = Endpoint::from_shared(setup.address.clone())?
        .tls_config(tls)?
        .connect_timeout(limits::LINK_CONNECT_TIMEOUT)
        .http2_keep_alive_interval(limits::KEEP_ALIVE)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT)
        .initial_stream_window_size(limits::LINK_WINDOW)
        .initial_connection_window_size(limits::LINK_WINDOW)
        .tcp_nodelay(true);
    Ok(endpoint)
}

/// Looks whether certificate, key, CA and address can be used.
///
/// # Errors
/// Those of the transport.
pub fn check(setup: &RemoteSetup) -> Result<(), tonic::transport::Error> {
    endpoint(setup).map(drop)
}

impl Remote {
    /// Reads the blocks, attaches to the keyholder and puts the gallery in order. Must be called on a thread of a
    /// runtime that may block.
    ///
    /// # Errors
    /// [`GalleryError::Keyholder`] when it does not answer in time; [`GalleryError::Link`] when certificate, key and
    /// CA cannot be used; [`GalleryError::Sealed`] when the folder cannot.
    pub fn open(setup: &RemoteSetup) -> Result<Self, GalleryError> {
        memory::refuse_too_many(setup.samples_max)?;
        let endpoint = endpoint(setup).map_err(GalleryError::Link)?;
        let runtime = Handle::current();
        let channel = {
            let _entered = runtime.enter();
            endpoint.connect_lazy()
        };
        let client = KeyholderServiceClient::new(channel)
            .max_decoding_message_size(limits::LINK_MESSAGE_MAX)
            .max_encoding_message_size(limits::LINK_MESSAGE_MAX);
        let pool = threads(limits::SEARCH_THREADS)?;
        let matcher = Matcher::load(setup.folder.as_deref(), pool)?;
        let mut remote = Self {
            client,
            runtime,
            joined: RwLock::new(Joined {
                session: [0; 16],
                matcher,
            }),
            settling: Mutex::new(()),
            sealing_key: SealingKey {
                id: 0,
                public: [0; 32],
            },
        };
        let tries = setup.patience.as_millis() / limits::LINK_PAUSE.as_millis();
        for _ in 0..tries {
            let joined = remote.attach().and_then(|key| {
                remote.sealing_key = key;
                remote.settle_all()
            });
            match joined {
                Ok(()) => return Ok(remote),
                Err(error) => {
                    let reason = refusal(error);
                    info!(%reason, "waiting for the keyholder");
                    remote
                        .runtime
                        .block_on(tokio::time::sleep(limits::LINK_PAUSE));
                }
            }
        }
        Err(GalleryError::Keyholder(setup.address.clone()))
    }

    // A panic under a lock leaves at worst a block too many or too few, which the keyholder notices.
    fn read(&self) -> RwLockReadGuard<'_, Joined> {
        self.joined.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Joined> {
        self.joined.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tills seal templates to: the keyholder's.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        self.sealing_key.clone()
    }

    fn call<T>(
        &self,
        most: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Answered<T> {
        let answered = self.runtime.block_on(async { timeout(most, call).await });
        let answered = answered.map_err(|_| Status::deadline_exceeded("no answer in time"))?;
        Ok(answered?.into_inner())
    }

    /// Begins a session with the blocks as they are.
    fn attach(&self) -> Answered<SealingKey> {
        let mut joined = self.write();
        let directories = joined.matcher.directories();
        let requests: Vec<_> = directories
            .map(|(header, directory)| v1::AttachRequest {
                header: header.to_bytes().to_vec(),
                directory: directory.to_vec(),
            })
            .collect();
        let mut client = self.client.clone();
        let call = client.attach(tokio_stream::iter(requests));
        let attached = self.call(limits::LINK_ATTACH_TIMEOUT, call)?;
        for name in &attached.dead {
            let name = messages::read_name(Some(name))?;
            remove(&mut joined.matcher, name);
        }
        joined.session = messages::session(&attached.session)?;
        let public = attached.sealing_key.as_slice();
        info!(blocks = joined.matcher.len(), "attached to the keyholder");
        Ok(SealingKey {
            id: attached.sealing_key_id,
            public: public.try_into().map_err(|_| Unreadable)?,
        })
    }

    /// Attaches anew unless somebody did since `session`.
    fn attach_again(&self, session: Session) -> Answered<()> {
        let _alone = self.settling.lock();
        if self.read().session != session {
            return Ok(());
        }
        let key = self.attach()?;
        if key != self.sealing_key {
            warn!("the keyholder's sealing key is another: start palmd and the tills again");
        }
        self.settle_all()
    }

    /// Opens sealed samples at the keyholder.
    ///
    /// # Errors
    /// Those of a search, and [`Error::KeyholderAway`].
    pub fn ask(&self, binding: &Binding, samples: &[SealedTemplate]) -> Result<Asked, Error> {
        let open = messages::open(binding, samples);
        self.ask_again(open).map_err(refusal)
    }

    fn ask_again(&self, open: v1::SearchOpen) -> Answered<Asked> {
        for _ in 1..TRIES {
            let session = self.read().session;
            match self.begin(session, open.clone()) {
                Err(HolderError::Attach) => self.attach_again(session)?,
                begun => return begun,
            }
        }
        let session = self.read().session;
        self.begin(session, open)
    }

    fn begin(&self, session: Session, open: v1::SearchOpen) -> Answered<Asked> {
        let (to, requests) = channel(limits::LINK_MESSAGES_AHEAD);
        let first = v1::SearchOpen {
            session: session.to_vec(),
            ..open.clone()
        };
        let step = Some(search_request::Step::Open(first));
        to.try_send(v1::SearchRequest { step })
            .map_err(|_| Error::KeyholderAway)?;
        let mut client = self.client.clone();
        let call = client.search(ReceiverStream::new(requests));
        let mut from = Box::new(self.call(limits::LINK_CALL_TIMEOUT, call)?);
        let stage = match self.hear(&mut from)? {
            search_response::Step::Probes(probes) => {
                let probes = probes.probes.iter().map(messages::read_probe);
                Stage::Sums {
                    session,
                    probes: probes.collect::<Result<_, _>>()?,
                    to,
                    from,
                }
            }
            search_response::Step::Kept(kept) => Stage::Answered(messages::read_kept(&kept)?),
            search_response::Step::Person(_) => return Err(Unreadable.into()),
        };
        Ok(Asked { open, stage })
    }

    fn hear(&self, from: &mut Streaming<v1::SearchResponse>) -> Answered<search_response::Step> {
        let hearing = async { timeout(limits::LINK_CALL_TIMEOUT, from.message()).await };
        let heard = self.runtime.block_on(hearing);
        let heard = heard.map_err(|_| Status::deadline_exceeded("no answer in time"))?;
        let step = heard?.and_then(|response| response.step);
        step.ok_or_else(|| Unreadable.into())
    }

    /// Whose palm it is.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn identify(&self, asked: Asked) -> Result<Identity, Error> {
        match self.finish(asked).map_err(refusal)? {
            Found::Person(identity) => Ok(identity),
            Found::Kept(_) | Found::Refused(_) => Err(Error::KeyholderAway),
        }
    }

    /// Lets the keyholder judge samples, and keep them; `Err` of the inner result says why it did not.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn enrol(
        &self,
        asked: Asked,
    ) -> Result<Result<Kept, palm_proto::reason::ReasonCode>, Error> {
        match self.finish(asked).map_err(refusal)? {
            Found::Kept(kept) => Ok(Ok(kept)),
            Found::Refused(reason) => Ok(Err(reason)),
            Found::Person(_) => Err(Error::KeyholderAway),
        }
    }

    fn finish(&self, asked: Asked) -> Answered<Found> {
        let Asked { open, stage } = asked;
        let Stage::Sums { session, .. } = &stage else {
            return self.answer(stage);
        };
        let session = *session;
        match self.answer(stage) {
            Err(HolderError::Attach) => {
                self.attach_again(session)?;
                let asked = self.ask_again(open)?;
                self.answer(asked.stage)
            }
            answered => answered,
        }
    }

    fn answer(&self, stage: Stage) -> Answered<Found> {
        let (session, probes, to, mut from) = match stage {
            Stage::Answered(found) => return Ok(found),
            Stage::Sums {
                session,
                probes,
                to,
                from,
            } => (session, probes, to, from),
        };
        // To the answer: no block may come or go before.
        let joined = self.read();
        if joined.session != session {
            return Err(HolderError::Attach);
        }
        joined.matcher.sums(&probes, |blocks| {
            let blocks = blocks.into_iter().map(|(name, rows)| v1::BlockSums {
                name: Some(messages::name(name)),
                rows,
            });
            let blocks = blocks.collect();
            let step = Some(search_request::Step::Sums(v1::SearchSums { blocks }));
            to.blocking_send(v1::SearchRequest { step }).is_ok()
        });
        drop(to);
        match self.hear(&mut from)? {
            search_response::Step::Person(person) => {
                Ok(Found::Person(messages::read_person(&person)?))
            }
            search_response::Step::Kept(kept) => Ok(messages::read_kept(&kept)?),
            search_response::Step::Probes(_) => Err(Unreadable.into()),
        }
    }

    /// Has the keyholder destroy a person's key and samples.
    ///
    /// # Errors
    /// [`Error::KeyholderAway`]: ask again; done twice, it is done.
    pub fn forget(&self, customer: CustomerId) -> Result<(), Error> {
        let request = v1::ForgetRequest {
            customer: customer.to_string(),
        };
        let mut client = self.client.clone();
        let forgotten = self.call(limits::LINK_CALL_TIMEOUT, client.forget(request));
        forgotten.map(drop).map_err(refusal)
    }

    /// Takes new blocks and gives up stale ones; when another thread is at it, it returns at once.
    pub fn settle(&self) {
        if let Ok(_alone) = self.settling.try_lock()
            && let Err(error) = self.settle_all()
        {
            let reason = refusal(error);
            warn!(%reason, "codes wait on at the keyholder");
        }
    }

    fn settle_all(&self) -> Answered<()> {
        while self.settle_one()? {}
        Ok(())
    }

    fn settle_one(&self) -> Answered<bool> {
        let session = self.read().session.to_vec();
        let mut client = self.client.clone();
        let request = v1::SettleRequest { session };
        let step = self.call(limits::LINK_ATTACH_TIMEOUT, client.settle(request))?;
        match step.step.ok_or(Unreadable)? {
            settle_response::Step::Done(_) => return Ok(false),
            settle_response::Step::On(_) => {}
            settle_response::Step::Keep(new) => {
                let block =
                    Block::read_from(&mut new.block.as_slice()).map_err(Unreadable::from)?;
                let directory = new.directory;
                let stored = Stored { block, directory };
                let name = BlockName::of(stored.block.header());
                let folder = self.read().matcher.folder(name.kind).cloned();
                let kept = folder.map_or(Ok(()), |folder| folder.keep_stored(&stored));
                kept.map_err(unwritten)?;
                let mut joined = self.write();
                self.commit(&joined, name)?;
                joined.matcher.insert(stored);
            }
            settle_response::Step::Retire(name) => {
                let name = messages::read_name(Some(&name))?;
                let mut joined = self.write();
                self.commit(&joined, name)?;
                remove(&mut joined.matcher, name);
            }
        }
        Ok(true)
    }

    /// The caller holds the blocks alone.
    fn commit(&self, joined: &Joined, name: BlockName) -> Answered<()> {
        let request = v1::CommitRequest {
            session: joined.session.to_vec(),
            block: Some(messages::name(name)),
        };
        let mut client = self.client.clone();
        let committed = self.call(limits::LINK_CALL_TIMEOUT, client.commit(request));
        committed.map(drop)
    }
}

/// A file that stays is told dead, or is taken again, at the next attachment.
fn remove(matcher: &mut Matcher, name: BlockName) {
    if let Err(error) = matcher.remove(name) {
        let error = &error as &dyn std::error::Error;
        warn!(error, "the file of a block that is not needed stays");
    }
}

fn unwritten(error: SealedError) -> HolderError {
    let error = &error as &dyn std::error::Error;
    warn!(error, "a block could not be written");
    HolderError::Refused(Error::KeyholderAway)
}

#[cfg(test)]
mod tests;
