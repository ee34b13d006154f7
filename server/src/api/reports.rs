//! `ReportService`.

use palm_proto::{
    fault::Malformed,
    id::{PaymentId, RequestId},
    request,
    v1::{self, report_service_server::ReportService},
};
use prost_types::Timestamp as WireTime;
use tonic::{Request, Response, Status};

use super::{Part, wire};
use crate::{
    clock::Timestamp,
    paper::{Closed, Format, Owner},
    reports::Language,
};

#[tonic::async_trait]
impl ReportService for Part {
    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::Document>, Status> {
        let caller = self.admit(&request)?;
        let request = request.into_inner();
        let payment: PaymentId = request::named("payment", &request.payment)?;
        let to = (language(&request.language)?, format(request.format)?);
        let asker = caller.who.asker();
        let masked_name = self.0.payments.find(payment, asker)?.masked_name;
        let content = self.0.paper.receipt(payment, masked_name, asker, to)?;
        Ok(Response::new(v1::Document { content }))
    }

    async fn close_shift(
        &self,
        request: Request<v1::CloseShiftRequest>,
    ) -> Result<Response<v1::ZReport>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = request.into_inner();
        let id: RequestId = request::named("request_id", &request.request_id)?;
        let to = (language(&request.language)?, format(request.format)?);
        let closed = self.0.paper.close_shift(id, to).await?;
        tracing::info!(number = closed.number, "shift closed");
        Ok(Response::new(closed.into()))
    }

    async fn get_z_report(
        &self,
        request: Request<v1::GetZReportRequest>,
    ) -> Result<Response<v1::ZReport>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = request.into_inner();
        let to = (language(&request.language)?, format(request.format)?);
        let closed = self.0.paper.shift(request.number, to).await?;
        Ok(Response::new(closed.into()))
    }

    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Result<Response<v1::Document>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = request.into_inner();
        let owner = match request.account.as_str() {
            "bank" => Owner::Bank,
            "shop" => Owner::Shop,
            account => Owner::Customer(palm_proto::id::wallet_owner(account).map_err(|_| {
                Malformed::new(
                    "account",
                    "send \"shop\", \"bank\" or customers/{uuid}/wallet",
                )
            })?),
        };
        let from = time("from_time", request.from_time)?.unwrap_or(Timestamp::from_micros(0));
        let until = time("until_time", request.until_time)?;
        let until = until.unwrap_or_else(|| self.0.payments.base.clock.now());
        let format = format(request.format)?;
        let paper = self.0.paper.clone();
        let working =
            tokio::task::spawn_blocking(move || paper.statement(owner, (from, until), format));
        let content = working.await.map_err(|_| crate::error::Error::Stopping)??;
        Ok(Response::new(v1::Document { content }))
    }
}

fn language(tag: &str) -> Result<Language, Malformed> {
    match tag {
        "" | "en" => Ok(Language::En),
        "ko" => Ok(Language::Ko),
        _ => Err(Malformed::new("language", "send \"ko\" or \"en\"")),
    }
}

fn format(number: i32) -> Result<Format, Malformed> {
    match v1::Format::try_from(number) {
        Ok(v1::Format::Text) => Ok(Format::Text),
        Ok(v1::Format::EscPos) => Ok(Format::EscPos),
        Ok(v1::Format::Html) => Ok(Format::Html),
        Ok(v1::Format::Csv) => Ok(Format::Csv),
        Ok(v1::Format::Camt053) => Ok(Format::Camt053),
        Err(_) => Err(Malformed::new("format", "send a format of the protocol")),
    }
}

/// Times of the protocol from 1970 on.
fn time(field: &str, time: Option<WireTime>) -> Result<Option<Timestamp>, Malformed> {
    let micros = |time: WireTime| {
        let seconds = u64::try_from(time.seconds).ok()?;
        let nanos = u64::try_from(time.nanos).ok()?;
        seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)
    };
    let read = |time| micros(time).map(Timestamp::from_micros);
    let wrong = || Malformed::new(field, "send a time from 1970 on");
    time.map(|time| read(time).ok_or_else(wrong)).transpose()
}

impl From<Closed> for v1::ZReport {
    fn from(closed: Closed) -> Self {
        Self {
            number: closed.number,
            open_time: Some(wire::time(closed.open_time)),
            close_time: Some(wire::time(closed.close_time)),
            net_sales_minor: closed.net_sales_minor,
            content: closed.content,
        }
    }
}
