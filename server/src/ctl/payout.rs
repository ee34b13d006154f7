//! `palmctl payout`.

use std::{
    io::{BufRead, Read},
    path::Path,
};

use palm_proto::v1;
use zeroize::Zeroizing;

use super::{
    CtlError, PayoutCommand,
    link::{self, Link},
    moved, request_id,
    sheet::{Cell, Sheet},
    transfer,
};
use crate::{
    entropy::Entropy,
    files::{self, FileError},
    limits,
};

/// Longest line that holds an account, in bytes.
const LINE_MAX: u64 = 256;

pub(super) async fn run(
    link: &Link,
    command: PayoutCommand,
    entropy: &dyn Entropy,
) -> Result<(Sheet, bool), CtlError> {
    let mut client = link.bank();
    let payout = match command {
        PayoutCommand::Order {
            transfer: arguments,
            holder,
        } => {
            let (id, wallet, amount) = transfer(&arguments, link.currency(), entropy)?;
            let request = v1::OrderPayoutRequest {
                request_id: id.to_string(),
                wallet,
                amount: Some(amount.into()),
                account: account_line()?.to_string(),
                holder: holder.unwrap_or_default(),
            };
            let ordered = client.order_payout(request).await;
            ordered.map_err(|status| moved(status, id))?
        }
        PayoutCommand::Cancel { name } => {
            let name = name.to_string();
            client
                .cancel_payout(v1::CancelPayoutRequest { name })
                .await?
        }
        PayoutCommand::Show { name } => {
            let name = name.to_string();
            client.get_payout(v1::GetPayoutRequest { name }).await?
        }
        PayoutCommand::List(arguments) => return Ok((list(link, arguments.limit).await?, true)),
        PayoutCommand::File {
            out,
            day,
            request_id: id,
            again,
        } => {
            let asked = (day, id, again);
            return Ok((file(link, &out, asked, entropy).await?, true));
        }
        PayoutCommand::Report { file } => return report(link, &file).await,
    };
    Ok((Sheet::one(&COLUMNS, row(payout.into_inner())), true))
}

/// Never an argument: those are seen by everybody on the machine.
fn account_line() -> Result<Zeroizing<String>, CtlError> {
    let mut line = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(LINE_MAX).read_line(&mut line);
    match read {
        Ok(1..) => Ok(Zeroizing::new(line.trim().to_owned())),
        Ok(0) | Err(_) => Err(CtlError::Argument {
            argument: "standard input",
            remedy: "give the account (an IBAN, or the bank's own number) as one line",
        }),
    }
}

async fn list(link: &Link, limit: usize) -> Result<Sheet, CtlError> {
    let mut client = link.bank();
    let mut sheet = Sheet::list(&COLUMNS);
    let mut page_token = String::new();
    loop {
        let page_size = link::page_size(limit, sheet.len());
        let request = v1::ListPayoutsRequest {
            page_size,
            page_token,
        };
        let page = client.list_payouts(request).await?.into_inner();
        page.payouts
            .into_iter()
            .for_each(|payout| sheet.push(row(payout)));
        page_token = page.next_page_token;
        if page_token.is_empty() || sheet.len() >= limit {
            return Ok(sheet);
        }
    }
}

type Asked = (
    Option<crate::reports::Day>,
    Option<palm_proto::id::RequestId>,
    Option<palm_proto::id::PayoutFileId>,
);

async fn file(
    link: &Link,
    out: &Path,
    (day, id, again): Asked,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    // Looked at first: what is in a file waits for the bank's answer.
    if out.exists() {
        return Err(CtlError::Make(FileError::Exists(out.to_owned())));
    }
    let mut client = link.bank();
    let made = match again {
        Some(name) => {
            let name = name.to_string();
            client
                .get_payout_file(v1::GetPayoutFileRequest { name })
                .await?
        }
        None => {
            let id = request_id(id, entropy);
            let request = v1::MakePayoutFileRequest {
                request_id: id.to_string(),
                day: day.map_or_else(String::new, |day| day.to_string()),
            };
            let made = client.make_payout_file(request).await;
            made.map_err(|status| moved(status, id))?
        }
    };
    let made = made.into_inner();
    files::write_new(out, &made.content).map_err(|source| CtlError::NotWritten {
        name: made.name.clone(),
        source,
    })?;
    let total = v1::Money {
        amount_minor: made.total_minor,
        currency_code: link.currency().code().to_owned(),
    };
    let row = vec![
        Cell::Text(made.name),
        Cell::Number(made.payouts.into()),
        Cell::Money(total),
        Cell::Text(out.display().to_string()),
    ];
    Ok(Sheet::one(&["name", "payouts", "total", "written"], row))
}

async fn report(link: &Link, path: &Path) -> Result<(Sheet, bool), CtlError> {
    let content = read_file(path)?;
    let request = v1::ReportPayoutsRequest { content };
    let answer = link.bank().report_payouts(request).await?.into_inner();
    let mut is_ok = answer.unknown == 0;
    let mut sheet = Sheet::list(&REPORTED_COLUMNS);
    // About the whole file.
    let about = |effect: &str, reason: String| {
        let payout = v1::Payout {
            bank_reason: reason,
            file: answer.file.clone(),
            ..v1::Payout::default()
        };
        reported_row(effect, payout)
    };
    if answer.is_duplicate {
        sheet.push(about(
            "DUPLICATE",
            "the bank had it: nobody is paid again".to_owned(),
        ));
    }
    if answer.unknown > 0 {
        let reason = format!("{} that are not in the file", answer.unknown);
        sheet.push(about("UNKNOWN", reason));
    }
    for reported in answer.payouts {
        let effect = reported.effect();
        is_ok &= effect != v1::reported_payout::Effect::Contradicted;
        let payout = reported.payout.unwrap_or_default();
        sheet.push(reported_row(effect.as_str_name(), payout));
    }
    Ok((sheet, is_ok))
}

fn reported_row(effect: &str, payout: v1::Payout) -> Vec<Cell> {
    let mut cells = vec![Cell::Text(effect.to_owned())];
    cells.extend(row(payout));
    cells
}

/// A file of a bank or a rail.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CtlError> {
    let max = u64::try_from(limits::XML_BYTES_MAX).unwrap_or(u64::MAX);
    files::read_bytes(path, max).map_err(CtlError::Input)
}

const COLUMNS: [&str; 7] = [
    "name",
    "state",
    "amount",
    "customer",
    "bank_reason",
    "file",
    "create_time",
];

const REPORTED_COLUMNS: [&str; 8] = [
    "effect",
    "name",
    "state",
    "amount",
    "customer",
    "bank_reason",
    "file",
    "create_time",
];

fn row(payout: v1::Payout) -> Vec<Cell> {
    let state = match payout.state() {
        v1::payout::State::Unspecified => "",
        state => state.as_str_name(),
    };
    vec![
        Cell::Text(payout.name),
        Cell::Text(state.to_owned()),
        Cell::money(payout.amount),
        Cell::Text(payout.customer),
        Cell::Text(payout.bank_reason),
        Cell::Text(payout.file),
        Cell::time(payout.create_time),
    ]
}
