//! `palmctl bank` and `palmctl reconcile`.

use std::path::PathBuf;

use palm_proto::{money::Money, v1};

use super::{
    BankCommand, CtlError, Output, ReconcileArguments, ReconcileFormat,
    link::Link,
    moved, request_id,
    sheet::{Cell, Sheet},
};
use crate::{entropy::Entropy, files, limits, reports::money::decimal};

pub(super) async fn run(
    link: &Link,
    command: BankCommand,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let mut client = link.bank();
    match command {
        BankCommand::Show => {
            let books = client.get_books(v1::GetBooksRequest {}).await?.into_inner();
            Ok(books_sheet(link, &books))
        }
        BankCommand::Deposit {
            amount_minor,
            reference,
            request_id: id,
        } => {
            let id = request_id(id, entropy);
            let request = v1::DepositRequest {
                request_id: id.to_string(),
                amount: Some(Money::amount(amount_minor, link.currency())?.into()),
                reference: reference.unwrap_or_default(),
            };
            let books = client.deposit(request).await;
            let books = books.map_err(|status| moved(status, id))?.into_inner();
            Ok(books_sheet(link, &books))
        }
        BankCommand::CloseBreak { number, note } => {
            let request = v1::CloseBreakRequest { number, note };
            client.close_break(request).await?;
            Ok(Sheet::one(&["closed"], vec![Cell::Number(number)]))
        }
    }
}

fn books_sheet(link: &Link, books: &v1::Books) -> Sheet {
    let money = |amount_minor| {
        Cell::Money(v1::Money {
            amount_minor,
            currency_code: books.currency_code.clone(),
        })
    };
    // What a rail owes may be less than nothing, which no amount on the wire is.
    let rail = decimal(books.rail_minor.into(), link.currency());
    let row = vec![
        money(books.bank_minor),
        money(books.cash_minor),
        Cell::Text(format!("{} {rail}", books.currency_code)),
        money(books.fees_minor),
    ];
    Sheet::one(&["bank", "cash", "rail_owes", "fees"], row)
}

pub(super) async fn reconcile(
    link: &Link,
    arguments: &ReconcileArguments,
) -> Result<Output, CtlError> {
    let day =
        |day: Option<crate::reports::Day>| day.map_or_else(String::new, |day| day.to_string());
    let format = match arguments.format {
        ReconcileFormat::Text => v1::reconcile_request::Format::Text,
        ReconcileFormat::Csv => v1::reconcile_request::Format::Csv,
    };
    let request = v1::ReconcileRequest {
        rail_reports: read_all(&arguments.rail)?,
        bank_statements: read_all(&arguments.bank)?,
        from_day: day(arguments.from),
        rail_until_day: day(arguments.rail_until),
        format: format.into(),
    };
    let outcome = link.bank().reconcile(request).await?.into_inner();
    let is_ok = outcome.open_breaks == 0;
    let text = match &arguments.out {
        Some(path) => {
            files::write_new(path, &outcome.content).map_err(CtlError::Make)?;
            format!(
                "Wrote {}: {} breaks are open.\n",
                path.display(),
                outcome.open_breaks
            )
        }
        None => String::from_utf8_lossy(&outcome.content).into_owned(),
    };
    let booked = match outcome.booked {
        0 => String::new(),
        booked => format!("{booked} booked from the bank's statements\n"),
    };
    let told = arguments.format == ReconcileFormat::Text || arguments.out.is_some();
    let text = if told { text + &booked } else { text };
    Ok(Output { text, is_ok })
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, CtlError> {
    let read = |path: &PathBuf| super::payout::read_file(path);
    let files: Vec<Vec<u8>> = paths.iter().map(read).collect::<Result<_, _>>()?;
    let bytes = files.iter().map(Vec::len).fold(0, usize::saturating_add);
    if bytes > limits::XML_BYTES_MAX {
        return Err(CtlError::Argument {
            argument: "--rail or --bank",
            remedy: "give at most 16 MiB of files at once: fewer days",
        });
    }
    Ok(files)
}
