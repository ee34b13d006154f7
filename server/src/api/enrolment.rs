//! `EnrolmentService`.

use palm_proto::{
    request::Enrol,
    v1::{self, enrolment_service_server::EnrolmentService},
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::Part;
use crate::enrolment::EnrolOutcome;

#[tonic::async_trait]
impl EnrolmentService for Part {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let till = self.admit_till(&request)?;
        let request = Enrol::try_from(request.into_inner())?;
        let outcome = self.0.enrolment.enrol(till.who.clone(), request).await;
        let outcome = outcome.inspect_err(|error| {
            info!(till = %till.who, refused = %error, "enrol");
        })?;
        info!(till = %till.who, outcome = word(outcome), "enrol");
        Ok(Response::new(outcome.into()))
    }
}

/// For the log.
fn word(outcome: EnrolOutcome) -> &'static str {
    match outcome {
        EnrolOutcome::Enrolled { .. } => "ENROLLED",
        EnrolOutcome::Refused { reason } => reason.as_str(),
    }
}
