//! `PaymentService`.

use palm_proto::{
    id::PaymentId,
    request::{self, ChangePayment, CreatePayment},
    v1::{self, payment_service_server::PaymentService},
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::Part;

#[tonic::async_trait]
impl PaymentService for Part {
    async fn create_payment(
        &self,
        request: Request<v1::CreatePaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let caller = self.admit(&request)?;
        let request = CreatePayment::try_from(request.into_inner())?;
        let created = self.0.payments.create(request, caller.who.asker());
        let payment = created.await?;
        info!(payment = %payment.id, till = %payment.till, "create");
        Ok(Response::new(payment.into()))
    }

    async fn capture_payment(
        &self,
        request: Request<v1::CapturePaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let caller = self.admit(&request)?;
        let request = ChangePayment::try_from(request.into_inner())?;
        let captured = self.0.payments.capture(request, caller.who.asker());
        let payment = captured.await?;
        info!(payment = %payment.id, state = ?payment.state, "capture");
        Ok(Response::new(payment.into()))
    }

    async fn void_payment(
        &self,
        request: Request<v1::VoidPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let caller = self.admit(&request)?;
        let request = ChangePayment::try_from(request.into_inner())?;
        let voided = self.0.payments.void(request, caller.who.asker());
        let payment = voided.await?;
        info!(payment = %payment.id, state = ?payment.state, "void");
        Ok(Response::new(payment.into()))
    }

    async fn refund_payment(
        &self,
        request: Request<v1::RefundPaymentRequest>,
    ) -> Result<Response<v1::Refund>, Status> {
        let caller = self.admit(&request)?;
        let request = ChangePayment::try_from(request.into_inner())?;
        let refunded = self.0.payments.refund(request, caller.who.asker());
        let refund = refunded.await?;
        info!(payment = %refund.payment, standing = ?refund.standing, "refund");
        Ok(Response::new(refund.into()))
    }

    async fn list_refunds(
        &self,
        request: Request<v1::ListRefundsRequest>,
    ) -> Result<Response<v1::ListRefundsResponse>, Status> {
        let caller = self.admit(&request)?;
        let payment: PaymentId = request::named("payment", &request.into_inner().payment)?;
        let refunds = self.0.payments.refunds(payment, caller.who.asker())?;
        let refunds = refunds.into_iter().map(v1::Refund::from).collect();
        Ok(Response::new(v1::ListRefundsResponse { refunds }))
    }
}
