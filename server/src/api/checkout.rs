//! `CheckoutService`.

use palm_proto::{
    id::PaymentId,
    request::{self, AuthorisePayment, CancelPayment, ConfirmPayment, Page},
    v1::{self, checkout_service_server::CheckoutService},
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::Part;
use crate::checkout::{Outcome, stages::StageTimes};

#[tonic::async_trait]
impl CheckoutService for Part {
    async fn authorise_payment(
        &self,
        request: Request<v1::AuthorisePaymentRequest>,
    ) -> Result<Response<v1::AuthorisePaymentResponse>, Status> {
        let till = self.admit_till(&request)?;
        let request = AuthorisePayment::try_from(request.into_inner())?;
        let payment = request.payment;
        let answer = self.0.checkout.authorise(till.who.clone(), request).await;
        let (outcome, times) = answer.inspect_err(|error| {
            info!(%payment, till = %till.who, refused = %error, "authorise");
        })?;
        info!(
            %payment,
            till = %till.who,
            outcome = word(&outcome),
            open_us = times.open_us,
            identify_us = times.identify_us,
            commit_us = times.commit_us,
            "authorise",
        );
        Ok(Response::new(response(outcome, times)))
    }

    async fn confirm_payment(
        &self,
        request: Request<v1::ConfirmPaymentRequest>,
    ) -> Result<Response<v1::AuthorisePaymentResponse>, Status> {
        let till = self.admit_till(&request)?;
        let request = ConfirmPayment::try_from(request.into_inner())?;
        let payment = request.payment;
        let outcome = self.0.checkout.confirm(till.who.clone(), request).await?;
        info!(%payment, till = %till.who, outcome = word(&outcome), "confirm");
        Ok(Response::new(response(outcome, StageTimes::default())))
    }

    async fn get_payment(
        &self,
        request: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let caller = self.admit(&request)?;
        let payment: PaymentId = request::named("name", &request.into_inner().name)?;
        Ok(Response::new(
            self.0.payments.find(payment, caller.who.asker())?.into(),
        ))
    }

    async fn cancel_payment(
        &self,
        request: Request<v1::CancelPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let till = self.admit_till(&request)?;
        let request = CancelPayment::try_from(request.into_inner())?;
        let payment = self.0.payments.cancel(till.who.clone(), request).await?;
        info!(payment = %payment.id, till = %till.who, state = ?payment.state, "cancel");
        Ok(Response::new(payment.into()))
    }

    async fn list_payments(
        &self,
        request: Request<v1::ListPaymentsRequest>,
    ) -> Result<Response<v1::ListPaymentsResponse>, Status> {
        let caller = self.admit(&request)?;
        let v1::ListPaymentsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let page = Page::parse(page_size, page_token)?;
        let (payments, next_page_token) = self.0.payments.list(&page, caller.who.asker())?;
        let payments = payments.into_iter().map(v1::Payment::from).collect();
        Ok(Response::new(v1::ListPaymentsResponse {
            payments,
            next_page_token,
        }))
    }
}

fn response(outcome: Outcome, times: StageTimes) -> v1::AuthorisePaymentResponse {
    v1::AuthorisePaymentResponse {
        outcome: Some(outcome.into()),
        stage_times: Some(times.into()),
    }
}

/// For the log: what was answered, without saying to whom.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved { .. } => "APPROVED",
        Outcome::Declined { reason, .. }
        | Outcome::NotRecognised { reason }
        | Outcome::StepUp { reason, .. } => reason.as_str(),
    }
}
