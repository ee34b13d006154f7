//! `TillService`.

use palm_proto::{
    id::TillId,
    request::{self, CreateTill, Page, ReportReader},
    v1::{self, till_service_server::TillService},
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::Part;
use crate::{error::Error, pki::Fingerprint};

#[tonic::async_trait]
impl TillService for Part {
    async fn create_till(
        &self,
        request: Request<v1::CreateTillRequest>,
    ) -> Result<Response<v1::Till>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = CreateTill::try_from(request.into_inner())?;
        if self
            .0
            .is_operator(Fingerprint::from_bytes(request.certificate_sha256))
        {
            return Err(Error::CertificateTaken.into());
        }
        let till = self.0.tills.create(request).await?;
        info!(till = %till.id, "till enrolled");
        Ok(Response::new(till.into()))
    }

    async fn list_tills(
        &self,
        request: Request<v1::ListTillsRequest>,
    ) -> Result<Response<v1::ListTillsResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let v1::ListTillsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let page = Page::parse(page_size, page_token)?;
        let (tills, next_page_token) = self.0.tills.list(&page)?;
        let tills = tills.into_iter().map(v1::Till::from).collect();
        Ok(Response::new(v1::ListTillsResponse {
            tills,
            next_page_token,
        }))
    }

    async fn revoke_till(
        &self,
        request: Request<v1::RevokeTillRequest>,
    ) -> Result<Response<v1::Till>, Status> {
        let _operator = self.admit_operator(&request)?;
        let till: TillId = request::named("name", &request.into_inner().name)?;
        let till = self.0.tills.revoke(till).await?;
        info!(till = %till.id, "till revoked");
        Ok(Response::new(till.into()))
    }

    async fn get_till_setup(
        &self,
        request: Request<v1::GetTillSetupRequest>,
    ) -> Result<Response<v1::TillSetup>, Status> {
        let till = self.admit_till(&request)?;
        let (terms, sealing_key) = (self.0.terms(), self.0.sealing_key());
        Ok(Response::new(v1::TillSetup {
            till: till.who.to_string(),
            shop_name: terms.shop_name.clone(),
            currency_code: terms.payment_max.currency().code().to_owned(),
            payment_max: Some(terms.payment_max.into()),
            sealing_key: sealing_key.public.to_vec(),
            sealing_key_id: sealing_key.id,
        }))
    }

    async fn report_reader(
        &self,
        request: Request<v1::ReportReaderRequest>,
    ) -> Result<Response<v1::ReportReaderResponse>, Status> {
        let till = self.admit_till(&request)?;
        let report = ReportReader::try_from(request.into_inner())?;
        info!(till = %till.who, reader = report.state.as_str_name(), "reader");
        self.0.tills.report_reader(till.who, report).await?;
        Ok(Response::new(v1::ReportReaderResponse {}))
    }
}
