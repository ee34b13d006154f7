//! `CustomerService`.

use palm_proto::{
    fault::Malformed,
    id::{CardPageId, CustomerId},
    request::{self, CreateCustomer, ForgetCard, OpenCardPage, Page, UpdateSafeguards},
    v1::{self, customer_service_server::CustomerService},
};
use tonic::{Request, Response, Status};

use super::{Part, wire};
use crate::{
    rail::{Instrument, TokenError},
    service::Caller,
};

#[tonic::async_trait]
impl CustomerService for Part {
    async fn create_customer(
        &self,
        request: Request<v1::CreateCustomerRequest>,
    ) -> Result<Response<v1::Customer>, Status> {
        let _caller = self.admit(&request)?;
        let request = CreateCustomer::try_from(request.into_inner())?;
        Ok(Response::new(
            self.0.customers.create(request).await?.into(),
        ))
    }

    async fn get_customer(
        &self,
        request: Request<v1::GetCustomerRequest>,
    ) -> Result<Response<v1::Customer>, Status> {
        let _operator = self.admit_operator(&request)?;
        let customer: CustomerId = request::named("name", &request.into_inner().name)?;
        Ok(Response::new(self.0.customers.find(customer)?.into()))
    }

    async fn list_customers(
        &self,
        request: Request<v1::ListCustomersRequest>,
    ) -> Result<Response<v1::ListCustomersResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let v1::ListCustomersRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let page = Page::parse(page_size, page_token)?;
        let (customers, next_page_token) = self.0.customers.list(&page)?;
        let customers = customers.into_iter().map(v1::Customer::from).collect();
        Ok(Response::new(v1::ListCustomersResponse {
            customers,
            next_page_token,
        }))
    }

    async fn delete_customer(
        &self,
        request: Request<v1::DeleteCustomerRequest>,
    ) -> Result<Response<v1::DeleteCustomerResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let customer: CustomerId = request::named("name", &request.into_inner().name)?;
        let delete_time = self.0.customers.delete(customer).await?;
        let delete_time = Some(wire::time(delete_time));
        Ok(Response::new(v1::DeleteCustomerResponse { delete_time }))
    }

    async fn get_safeguards(
        &self,
        request: Request<v1::GetSafeguardsRequest>,
    ) -> Result<Response<v1::Safeguards>, Status> {
        let _caller = self.admit(&request)?;
        let customer = request::safeguards_named(&request.into_inner().name)?;
        Ok(Response::new(self.0.safeguards.find(customer)?.into()))
    }

    async fn update_safeguards(
        &self,
        request: Request<v1::UpdateSafeguardsRequest>,
    ) -> Result<Response<v1::Safeguards>, Status> {
        let caller = self.admit(&request)?;
        let change = UpdateSafeguards::try_from(request.into_inner())?;
        let is_operator = caller.who == Caller::Operator;
        let view = self.0.safeguards.update(change, is_operator).await?;
        Ok(Response::new(view.into()))
    }

    async fn set_instrument(
        &self,
        request: Request<v1::SetInstrumentRequest>,
    ) -> Result<Response<v1::SetInstrumentResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let v1::SetInstrumentRequest { name, token } = request.into_inner();
        let customer: CustomerId = request::named("name", &name)?;
        let token = (!token.is_empty()).then(|| Instrument::new(token));
        let token = token.transpose().map_err(|error| {
            let remedy = match error {
                TokenError::CardNumber => {
                    "never send a card number: send the token that the rail's own page gives"
                }
                TokenError::Shape => "send 1 to 128 printable characters without spaces",
            };
            Malformed::new("token", remedy)
        })?;
        self.0.payments.set_instrument(customer, token).await?;
        Ok(Response::new(v1::SetInstrumentResponse {}))
    }

    async fn open_card_page(
        &self,
        request: Request<v1::OpenCardPageRequest>,
    ) -> Result<Response<v1::CardPage>, Status> {
        let caller = self.admit(&request)?;
        let request = OpenCardPage::try_from(request.into_inner())?;
        let page = self.0.cards.open(request, caller.who.asker()).await?;
        Ok(Response::new(page.into()))
    }

    async fn get_card_page(
        &self,
        request: Request<v1::GetCardPageRequest>,
    ) -> Result<Response<v1::CardPage>, Status> {
        let caller = self.admit(&request)?;
        let page: CardPageId = request::named("name", &request.into_inner().name)?;
        let page = self.0.cards.find(page, caller.who.asker()).await?;
        Ok(Response::new(page.into()))
    }

    async fn forget_card(
        &self,
        request: Request<v1::ForgetCardRequest>,
    ) -> Result<Response<v1::ForgetCardResponse>, Status> {
        let caller = self.admit(&request)?;
        let request = ForgetCard::try_from(request.into_inner())?;
        let confirmed = self.0.cards.forget(request, caller.who.asker()).await?;
        Ok(Response::new(v1::ForgetCardResponse { confirmed }))
    }
}
