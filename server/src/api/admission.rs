//! Who may make which call.

use palm_proto::id::TillId;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Status};

use super::Part;
use crate::{error::Error, payments::Asker, pki::Fingerprint, service::Caller};

/// A caller who was let in, and their place among the calls in progress.
pub(super) struct Admitted<W> {
    pub(super) who: W,
    _place: OwnedSemaphorePermit,
}

impl Part {
    /// Lets in tills and operators.
    pub(super) fn admit<T>(&self, request: &Request<T>) -> Result<Admitted<Caller>, Status> {
        let place = self.0.enter()?;
        let certificates = request.peer_certs();
        let certificate = certificates.as_ref().and_then(|chain| chain.first());
        let certificate = certificate.ok_or(Error::PermissionDenied(
            "a client certificate is needed: run `palmctl till enrol`",
        ))?;
        let who = self.0.caller(Fingerprint::of(certificate))?;
        Ok(Admitted { who, _place: place })
    }

    /// Lets in operators.
    pub(super) fn admit_operator<T>(&self, request: &Request<T>) -> Result<Admitted<()>, Status> {
        let admitted = self.admit(request)?;
        match admitted.who {
            Caller::Operator => Ok(Admitted {
                who: (),
                _place: admitted._place,
            }),
            Caller::Till(_) => {
                let remedy = "tills may not make this call: use an operator's certificate";
                Err(Error::PermissionDenied(remedy).into())
            }
        }
    }

    /// Lets in tills.
    pub(super) fn admit_till<T>(&self, request: &Request<T>) -> Result<Admitted<TillId>, Status> {
        let admitted = self.admit(request)?;
        match admitted.who {
            Caller::Till(till) => Ok(Admitted {
                who: till,
                _place: admitted._place,
            }),
            Caller::Operator => {
                let remedy = "only tills may make this call: use a till's certificate";
                Err(Error::PermissionDenied(remedy).into())
            }
        }
    }
}

impl Caller {
    /// A till may see and change its own payments only, an operator all.
    pub(super) fn asker(&self) -> Asker<'_> {
        match self {
            Self::Operator => Asker(None),
            Self::Till(till) => Asker(Some(till)),
        }
    }
}
