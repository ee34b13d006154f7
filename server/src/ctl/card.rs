//! `palmctl customer card`.

use palm_proto::v1;

use super::{
    CardCommand, CtlError,
    link::Link,
    request_id,
    sheet::{Cell, Sheet},
};
use crate::entropy::Entropy;

pub(super) async fn run(
    link: &Link,
    command: CardCommand,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let mut client = link.customers();
    match command {
        CardCommand::Open {
            customer,
            request_id: given,
        } => {
            let request = v1::OpenCardPageRequest {
                request_id: request_id(given, entropy).to_string(),
                customer: customer.to_string(),
                current_pin: None,
            };
            let page = client.open_card_page(request).await?.into_inner();
            Ok(Sheet::one(&COLUMNS, row(page)))
        }
        CardCommand::Check { page } => {
            let name = page.to_string();
            let page = client
                .get_card_page(v1::GetCardPageRequest { name })
                .await?;
            Ok(Sheet::one(&COLUMNS, row(page.into_inner())))
        }
        CardCommand::Forget { customer } => {
            let request = v1::ForgetCardRequest {
                customer: customer.to_string(),
                current_pin: None,
            };
            let forgotten = client.forget_card(request).await?.into_inner();
            let row = vec![
                Cell::Text(customer.to_string()),
                Cell::Flag(forgotten.confirmed),
            ];
            Ok(Sheet::one(&["name", "confirmed"], row))
        }
    }
}

const COLUMNS: [&str; 7] = [
    "name",
    "state",
    "url",
    "expire_time",
    "brand",
    "last4",
    "card_expires",
];

fn row(page: v1::CardPage) -> Vec<Cell> {
    let state = page.state().as_str_name().to_owned();
    let text = |text: String| (!text.is_empty()).then_some(Cell::Text(text));
    let card = page.card.unwrap_or_default();
    let expires = format!("{}-{:02}", card.expire_year, card.expire_month);
    vec![
        Cell::Text(page.name),
        Cell::Text(state),
        text(page.url).unwrap_or(Cell::Nothing),
        Cell::time(page.expire_time),
        text(card.brand).unwrap_or(Cell::Nothing),
        text(card.last4).unwrap_or(Cell::Nothing),
        if card.expire_year > 0 {
            Cell::Text(expires)
        } else {
            Cell::Nothing
        },
    ]
}
