//! `BankService`.

use palm_proto::{
    fault::Malformed,
    id::{PayoutFileId, PayoutId, RequestId},
    request::{self, CloseBreak, Deposit, OrderPayout, Page},
    v1::{self, bank_service_server::BankService},
};
use tonic::{Request, Response, Status};
use tracing::{info, warn};

use super::{Part, wire};
use crate::{
    bank::{Books, Files, Reconciled, Written},
    error::Error,
    payouts::{Payout, PayoutFile, Reported, ReportedEffect, State},
    reports::{
        Day,
        payout::{BankAccount, read_status_report},
    },
};

#[tonic::async_trait]
impl BankService for Part {
    async fn get_books(
        &self,
        request: Request<v1::GetBooksRequest>,
    ) -> Result<Response<v1::Books>, Status> {
        let _operator = self.admit_operator(&request)?;
        Ok(Response::new(self.0.bank.books().await?.into()))
    }

    async fn deposit(
        &self,
        request: Request<v1::DepositRequest>,
    ) -> Result<Response<v1::Books>, Status> {
        let _operator = self.admit_operator(&request)?;
        let deposit = Deposit::try_from(request.into_inner())?;
        Ok(Response::new(self.0.bank.deposit(deposit).await?.into()))
    }

    async fn order_payout(
        &self,
        request: Request<v1::OrderPayoutRequest>,
    ) -> Result<Response<v1::Payout>, Status> {
        let _operator = self.admit_operator(&request)?;
        let order = OrderPayout::try_from(request.into_inner())?;
        let account = BankAccount::new(&order.account).map_err(|_| {
            let remedy = "send an IBAN with its check digits, or a bank's own number of 1 to 34 letters, digits and \
                          dashes; never a card number";
            Malformed::new("account", remedy)
        })?;
        let payout = self.0.payouts.order(order, account).await?;
        info!(payout = %payout.id, "pay-out ordered");
        Ok(Response::new(payout.into()))
    }

    async fn cancel_payout(
        &self,
        request: Request<v1::CancelPayoutRequest>,
    ) -> Result<Response<v1::Payout>, Status> {
        let _operator = self.admit_operator(&request)?;
        let id: PayoutId = request::named("name", &request.into_inner().name)?;
        let payout = self.0.payouts.cancel(id).await?;
        info!(payout = %payout.id, "pay-out cancelled");
        Ok(Response::new(payout.into()))
    }

    async fn get_payout(
        &self,
        request: Request<v1::GetPayoutRequest>,
    ) -> Result<Response<v1::Payout>, Status> {
        let _operator = self.admit_operator(&request)?;
        let id: PayoutId = request::named("name", &request.into_inner().name)?;
        Ok(Response::new(self.0.payouts.find(id)?.into()))
    }

    async fn list_payouts(
        &self,
        request: Request<v1::ListPayoutsRequest>,
    ) -> Result<Response<v1::ListPayoutsResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let v1::ListPayoutsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let page = Page::parse(page_size, page_token)?;
        let (payouts, next_page_token) = self.0.payouts.list(&page)?;
        let payouts = payouts.into_iter().map(v1::Payout::from).collect();
        Ok(Response::new(v1::ListPayoutsResponse {
            payouts,
            next_page_token,
        }))
    }

    async fn make_payout_file(
        &self,
        request: Request<v1::MakePayoutFileRequest>,
    ) -> Result<Response<v1::PayoutFile>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = request.into_inner();
        let id: RequestId = request::named("request_id", &request.request_id)?;
        let day = day("day", &request.day)?;
        let file = self.0.payouts.make_file(id, day).await?;
        info!(file = %file.id, payouts = file.payouts, "file of pay-outs");
        Ok(Response::new(file.into()))
    }

    async fn get_payout_file(
        &self,
        request: Request<v1::GetPayoutFileRequest>,
    ) -> Result<Response<v1::PayoutFile>, Status> {
        let _operator = self.admit_operator(&request)?;
        let id: PayoutFileId = request::named("name", &request.into_inner().name)?;
        Ok(Response::new(self.0.payouts.file(id).await?.into()))
    }

    async fn report_payouts(
        &self,
        request: Request<v1::ReportPayoutsRequest>,
    ) -> Result<Response<v1::ReportPayoutsResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let content = request.into_inner().content;
        let reading = tokio::task::spawn_blocking(move || read_status_report(&content));
        let report = reading.await.map_err(|_| Error::Stopping)?;
        let report = report.map_err(|error| {
            warn!(%error, "a bank's answer cannot be read");
            Malformed::new(
                "content",
                "send the bank's pain.002.001.03 or .10 as it came",
            )
        })?;
        let reported = self.0.payouts.report(report).await?;
        let count = |effect| {
            reported
                .payouts
                .iter()
                .filter(|(_, of)| *of == effect)
                .count()
        };
        info!(
            file = %reported.file,
            changed = count(ReportedEffect::Changed),
            contradicted = count(ReportedEffect::Contradicted),
            is_duplicate = reported.is_duplicate,
            "the bank's answer"
        );
        Ok(Response::new(reported.into()))
    }

    async fn reconcile(
        &self,
        request: Request<v1::ReconcileRequest>,
    ) -> Result<Response<v1::ReconcileResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = request.into_inner();
        let written = match v1::reconcile_request::Format::try_from(request.format) {
            Ok(v1::reconcile_request::Format::Text) => Written::Text,
            Ok(v1::reconcile_request::Format::Csv) => Written::Csv,
            Err(_) => return Err(Malformed::new("format", "send TEXT or CSV").into()),
        };
        let files = Files {
            from: day("from_day", &request.from_day)?,
            rail_until: day("rail_until_day", &request.rail_until_day)?,
            rail_reports: request.rail_reports,
            bank_statements: request.bank_statements,
        };
        let outcome = self.0.bank.reconcile(files, written).await?;
        info!(
            open = outcome.open_breaks,
            matched = outcome.matched,
            booked = outcome.booked,
            "reconciled"
        );
        Ok(Response::new(outcome.into()))
    }

    async fn close_break(
        &self,
        request: Request<v1::CloseBreakRequest>,
    ) -> Result<Response<v1::CloseBreakResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let close = CloseBreak::try_from(request.into_inner())?;
        let number = close.number;
        self.0.bank.close_break(close).await?;
        info!(number, "break closed");
        Ok(Response::new(v1::CloseBreakResponse {}))
    }
}

fn day(field: &str, text: &str) -> Result<Option<Day>, Malformed> {
    let read = (!text.is_empty()).then(|| text.parse());
    read.transpose()
        .map_err(|_| Malformed::new(field, "send a day such as 2026-11-24"))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl From<Books> for v1::Books {
    fn from(books: Books) -> Self {
        Self {
            currency_code: books.currency.code().to_owned(),
            bank_minor: books.bank_minor,
            cash_minor: books.cash_minor,
            rail_minor: i64::try_from(books.rail_minor).unwrap_or(i64::MAX),
            fees_minor: books.fees_minor,
        }
    }
}

impl From<Payout> for v1::Payout {
    fn from(payout: Payout) -> Self {
        let state = match payout.state {
            State::Ordered => v1::payout::State::Ordered,
            State::Sent => v1::payout::State::Sent,
            State::Accepted => v1::payout::State::Accepted,
            State::Paid => v1::payout::State::Paid,
            State::Rejected => v1::payout::State::Rejected,
            State::Cancelled => v1::payout::State::Cancelled,
            State::Returned => v1::payout::State::Returned,
        };
        Self {
            name: payout.id.to_string(),
            customer: payout.customer.to_string(),
            amount: Some(payout.amount.into()),
            state: state.into(),
            bank_reason: payout.bank_reason.unwrap_or_default(),
            file: payout
                .file
                .map_or_else(String::new, |file| file.to_string()),
            create_time: Some(wire::time(payout.create_time)),
            reference: payout.reference.as_str().to_owned(),
        }
    }
}

impl From<PayoutFile> for v1::PayoutFile {
    fn from(file: PayoutFile) -> Self {
        Self {
            name: file.id.to_string(),
            create_time: Some(wire::time(file.create_time)),
            payouts: file.payouts,
            total_minor: file.total.minor(),
            content: file.content,
        }
    }
}

impl From<Reported> for v1::ReportPayoutsResponse {
    fn from(reported: Reported) -> Self {
        let payouts = reported.payouts.into_iter().map(|(payout, effect)| {
            let effect = match effect {
                ReportedEffect::Changed => v1::reported_payout::Effect::Changed,
                ReportedEffect::Unchanged => v1::reported_payout::Effect::Unchanged,
                ReportedEffect::Contradicted => v1::reported_payout::Effect::Contradicted,
            };
            v1::ReportedPayout {
                payout: Some(payout.into()),
                effect: effect.into(),
            }
        });
        Self {
            file: reported.file.to_string(),
            is_duplicate: reported.is_duplicate,
            payouts: payouts.collect(),
            unknown: reported.unknown,
        }
    }
}

impl From<Reconciled> for v1::ReconcileResponse {
    fn from(outcome: Reconciled) -> Self {
        Self {
            open_breaks: count(outcome.open_breaks),
            matched: count(outcome.matched),
            in_transit: count(outcome.in_transit),
            booked: outcome.booked,
            content: outcome.content,
        }
    }
}
