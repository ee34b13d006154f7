//! `palmctl customer`.

use std::io::{BufRead, Read};

use palm_proto::{id::safeguards_name, v1};

use super::{
    CtlError, CustomerCommand, GuardArguments, ListArguments, card,
    link::{self, Link},
    sheet::{Cell, Sheet},
};
use crate::entropy::Entropy;

/// Longest line that holds a PIN, in bytes.
const LINE_MAX: u64 = 64;

pub(super) async fn run(
    link: &Link,
    command: CustomerCommand,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let mut client = link.customers();
    match command {
        CustomerCommand::List(ListArguments { limit }) => {
            let mut sheet = Sheet::list(&CUSTOMER_COLUMNS);
            let mut page_token = String::new();
            loop {
                let page_size = link::page_size(limit, sheet.len());
                let page = client
                    .list_customers(v1::ListCustomersRequest {
                        page_size,
                        page_token,
                    })
                    .await?;
                let page = page.into_inner();
                page.customers
                    .into_iter()
                    .for_each(|row| sheet.push(customer_row(row)));
                page_token = page.next_page_token;
                if page_token.is_empty() || sheet.len() >= limit {
                    return Ok(sheet);
                }
            }
        }
        CustomerCommand::Show { name } => {
            let request = v1::GetCustomerRequest {
                name: name.to_string(),
            };
            let row = client.get_customer(request).await?.into_inner();
            Ok(Sheet::one(&CUSTOMER_COLUMNS, customer_row(row)))
        }
        CustomerCommand::Delete { name } => {
            let request = v1::DeleteCustomerRequest {
                name: name.to_string(),
            };
            let deleted = client.delete_customer(request).await?.into_inner();
            let row = vec![
                Cell::Text(name.to_string()),
                Cell::time(deleted.delete_time),
            ];
            Ok(Sheet::one(&["name", "delete_time"], row))
        }
        CustomerCommand::Safeguards { name } => {
            let name = safeguards_name(name);
            let request = v1::GetSafeguardsRequest { name };
            let row = client.get_safeguards(request).await?.into_inner();
            Ok(Sheet::one(&SAFEGUARDS_COLUMNS, safeguards_row(row)))
        }
        CustomerCommand::Card(command) => card::run(link, command, entropy).await,
        CustomerCommand::Instrument { name, token } => {
            let has_token = token.is_some();
            let request = v1::SetInstrumentRequest {
                name: name.to_string(),
                token: token.unwrap_or_default(),
            };
            client.set_instrument(request).await?;
            let row = vec![Cell::Text(name.to_string()), Cell::Flag(has_token)];
            Ok(Sheet::one(&["name", "has_instrument"], row))
        }
        CustomerCommand::Guard(arguments) => {
            let request = guard(arguments)?;
            let row = client.update_safeguards(request).await?.into_inner();
            Ok(Sheet::one(&SAFEGUARDS_COLUMNS, safeguards_row(row)))
        }
    }
}

fn guard(arguments: GuardArguments) -> Result<v1::UpdateSafeguardsRequest, CtlError> {
    // Never an argument: those are seen by everybody on the machine.
    let pin = arguments.pin_from_stdin.then(|| {
        let mut line = String::new();
        let read = std::io::stdin().lock().take(LINE_MAX).read_line(&mut line);
        read.map(|_| line.trim_end().to_owned())
            .map_err(|_| CtlError::Argument {
                argument: "--pin-from-stdin",
                remedy: "give the PIN as one line of standard input",
            })
    });
    Ok(v1::UpdateSafeguardsRequest {
        name: safeguards_name(arguments.name),
        current_pin: None,
        pin: pin.transpose()?,
        phone_digits: arguments.phone_digits,
        always_second_factor: arguments.always_second_factor,
        frozen: arguments.frozen,
        payment_max_minor: arguments.payment_max,
        day_max_minor: arguments.day_max,
    })
}

const SAFEGUARDS_COLUMNS: [&str; 8] = [
    "name",
    "has_pin",
    "has_phone_digits",
    "always_second_factor",
    "frozen",
    "payment_max_minor",
    "day_max_minor",
    "locked",
];

fn safeguards_row(safeguards: v1::Safeguards) -> Vec<Cell> {
    vec![
        Cell::Text(safeguards.name),
        Cell::Flag(safeguards.has_pin),
        Cell::Flag(safeguards.has_phone_digits),
        Cell::Flag(safeguards.always_second_factor),
        Cell::Flag(safeguards.frozen),
        Cell::Number(safeguards.payment_max_minor),
        Cell::Number(safeguards.day_max_minor),
        Cell::Flag(safeguards.locked),
    ]
}

const CUSTOMER_COLUMNS: [&str; 5] = [
    "name",
    "display_name",
    "palms",
    "notice_version",
    "create_time",
];

fn customer_row(customer: v1::Customer) -> Vec<Cell> {
    vec![
        Cell::Text(customer.name),
        Cell::Text(customer.display_name),
        Cell::Number(customer.palms.into()),
        Cell::Text(customer.consent.unwrap_or_default().notice_version),
        Cell::time(customer.create_time),
    ]
}
