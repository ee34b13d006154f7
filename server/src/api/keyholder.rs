//! `KeyholderService`: what palmd asks of a keyholder that is a process of its own. One certificate may call.

use std::sync::Arc;

use palm_proto::v1::{
    self, keyholder_service_server::KeyholderService, search_request, search_response,
    settle_response,
};
use tokio::{
    sync::mpsc::{Sender, channel},
    task::spawn_blocking,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    error::Error,
    gallery::{
        holder::{Asked, Holder, HolderError, Opened, Step},
        messages::{self, Unreadable},
        sealed::{folder::DIRECTORY_MAX, wire},
    },
    limits,
    pki::Fingerprint,
};

/// The keyholder behind its generated server.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) holder: Arc<Holder>,
    pub(super) matcher: Fingerprint,
}

type Answer<T> = Result<Response<T>, Status>;

impl From<HolderError> for Status {
    fn from(error: HolderError) -> Self {
        match error {
            HolderError::Attach => Self::aborted("attach again: hand in the directories"),
            HolderError::Refused(error) => error.into(),
        }
    }
}

impl From<Unreadable> for Status {
    fn from(_: Unreadable) -> Self {
        Self::invalid_argument("run the same version of palmd and its keyholder")
    }
}

impl Desk {
    fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let certificates = request.peer_certs();
        let own = certificates.as_ref().and_then(|chain| chain.first());
        let is_matcher = own.is_some_and(|own| Fingerprint::of(own) == self.matcher);
        let remedy = "only palmd may call its keyholder: name its certificate in keyholder.toml";
        is_matcher
            .then_some(())
            .ok_or_else(|| Error::PermissionDenied(remedy).into())
    }

    /// Does what may block on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Holder) -> Result<T, HolderError> + Send + 'static,
    ) -> Result<T, Status> {
        let holder = Arc::clone(&self.holder);
        let done = spawn_blocking(move || work(&holder)).await;
        Ok(done.map_err(|_| Error::Stopping)??)
    }

    /// One search: open, probes, sums, answer.
    async fn converse(
        &self,
        mut from: Streaming<v1::SearchRequest>,
        to: &Sender<Result<v1::SearchResponse, Status>>,
    ) -> Result<(), Status> {
        let first = from.message().await?.and_then(|request| request.step);
        let Some(search_request::Step::Open(open)) = first else {
            return Err(Unreadable.into());
        };
        let (session, binding, samples) = messages::read_open(open)?;
        let opening = move |holder: &Holder| holder.open_samples(session, &binding, &samples);
        let mut asked = match self.blocking(opening).await? {
            Opened::Kept(kept) => {
                let found = crate::gallery::holder::Found::Kept(kept);
                say(to, messages::found(found)).await;
                return Ok(());
            }
            Opened::Asked(asked) => asked,
        };
        let probes = asked.probes().map(messages::probe).collect();
        let probes = v1::SearchProbes { probes };
        say(to, search_response::Step::Probes(probes)).await;
        while let Some(request) = from.message().await? {
            asked = self.take(asked, request).await?;
        }
        let found = self.blocking(move |holder| holder.answer(*asked)).await?;
        say(to, messages::found(found)).await;
        Ok(())
    }

    async fn take(
        &self,
        mut asked: Box<Asked>,
        request: v1::SearchRequest,
    ) -> Result<Box<Asked>, Status> {
        let Some(search_request::Step::Sums(sums)) = request.step else {
            return Err(Unreadable.into());
        };
        let blocks = sums.blocks.into_iter();
        let blocks = blocks.map(|own| Ok((messages::read_name(own.name.as_ref())?, own.rows)));
        let blocks = blocks.collect::<Result<Vec<_>, Unreadable>>()?;
        let taking = move |holder: &Holder| {
            holder.take(&mut asked, &blocks)?;
            Ok(asked)
        };
        self.blocking(taking).await
    }
}

/// Nobody listens any more when the matcher hung up: then nothing is left to do.
async fn say(to: &Sender<Result<v1::SearchResponse, Status>>, step: search_response::Step) {
    drop(to.send(Ok(v1::SearchResponse { step: Some(step) })).await);
}

#[tonic::async_trait]
impl KeyholderService for Desk {
    type SearchStream = ReceiverStream<Result<v1::SearchResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::AttachRequest>>,
    ) -> Answer<v1::AttachResponse> {
        self.admit(&request)?;
        let mut from = request.into_inner();
        let mut blocks = Vec::new();
        while let Some(one) = from.message().await? {
            let fits = u64::try_from(one.directory.len()).is_ok_and(|own| own <= DIRECTORY_MAX)
                && blocks.len() < self.holder.blocks_max();
            if !fits {
                let remedy =
                    "more blocks than limits.samples_max of keyholder.toml allows: raise it";
                return Err(Status::resource_exhausted(remedy));
            }
            let header = wire::header(&one.header).map_err(Unreadable::from)?;
            blocks.push((header, one.directory));
        }
        let attached = self.blocking(move |holder| holder.attach(blocks)).await?;
        let key = self.holder.sealing_key();
        Ok(Response::new(v1::AttachResponse {
            session: attached.session.to_vec(),
            dead: attached.dead.into_iter().map(messages::name).collect(),
            sealing_key_id: key.id,
            sealing_key: key.public.to_vec(),
        }))
    }

    async fn search(
        &self,
        request: Request<Streaming<v1::SearchRequest>>,
    ) -> Answer<Self::SearchStream> {
        self.admit(&request)?;
        let (to, answers) = channel(2);
        let desk = self.clone();
        // It ends by itself: when the matcher hangs up, is silent for too long, or was answered.
        tokio::spawn(async move {
            let talk = desk.converse(request.into_inner(), &to);
            let talk = timeout(limits::LINK_CALL_TIMEOUT, talk).await;
            let talk = talk.unwrap_or_else(|_| Err(Status::deadline_exceeded("no sums in time")));
            if let Err(status) = talk {
                drop(to.send(Err(status)).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn settle(&self, request: Request<v1::SettleRequest>) -> Answer<v1::SettleResponse> {
        self.admit(&request)?;
        let session = messages::session(&request.into_inner().session)?;
        let step = match self.blocking(move |holder| holder.settle(session)).await? {
            Step::Done => settle_response::Step::Done(v1::SettleDone {}),
            Step::On => settle_response::Step::On(v1::SettleOn {}),
            Step::Keep(block, directory) => {
                settle_response::Step::Keep(v1::NewBlock { block, directory })
            }
            Step::Retire(name) => settle_response::Step::Retire(messages::name(name)),
        };
        Ok(Response::new(v1::SettleResponse { step: Some(step) }))
    }

    async fn commit(&self, request: Request<v1::CommitRequest>) -> Answer<v1::CommitResponse> {
        self.admit(&request)?;
        let v1::CommitRequest { session, block } = request.into_inner();
        let session = messages::session(&session)?;
        let name = messages::read_name(block.as_ref())?;
        self.blocking(move |holder| holder.commit(session, name))
            .await?;
        Ok(Response::new(v1::CommitResponse {}))
    }

    async fn forget(&self, request: Request<v1::ForgetRequest>) -> Answer<v1::ForgetResponse> {
        self.admit(&request)?;
        let customer = palm_proto::request::named("customer", &request.into_inner().customer)?;
        self.blocking(move |holder| Ok(holder.forget(customer)?))
            .await?;
        Ok(Response::new(v1::ForgetResponse {}))
    }
}
