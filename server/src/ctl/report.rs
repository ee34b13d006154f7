//! `palmctl report`.

use palm_proto::v1;

use super::{
    CtlError, DocumentArguments, DocumentFormat, ReportCommand, link::Link, moved, request_id,
};
use crate::{entropy::Entropy, files};

/// Fetches a document; gives what to print.
pub(super) async fn run(
    link: &Link,
    command: ReportCommand,
    entropy: &dyn Entropy,
) -> Result<String, CtlError> {
    let mut client = link.reports();
    let (content, to) = match command {
        ReportCommand::Receipt { payment, to } => {
            let request = v1::GetReceiptRequest {
                payment: payment.to_string(),
                language: to.language.clone(),
                format: format(&to),
            };
            (client.get_receipt(request).await?.into_inner().content, to)
        }
        ReportCommand::CloseShift { request_id: id, to } => {
            let id = request_id(id, entropy);
            let request = v1::CloseShiftRequest {
                request_id: id.to_string(),
                language: to.language.clone(),
                format: format(&to),
            };
            let closed = client.close_shift(request).await;
            let closed = closed.map_err(|status| moved(status, id))?;
            (closed.into_inner().content, to)
        }
        ReportCommand::Shift { number, to } => {
            let request = v1::GetZReportRequest {
                number,
                language: to.language.clone(),
                format: format(&to),
            };
            (client.get_z_report(request).await?.into_inner().content, to)
        }
        ReportCommand::Statement { account, to } => {
            let request = v1::GetStatementRequest {
                account,
                from_time: None,
                until_time: None,
                format: format(&to),
            };
            (
                client.get_statement(request).await?.into_inner().content,
                to,
            )
        }
    };
    match to.out {
        Some(path) => {
            files::write_new(&path, &content).map_err(CtlError::Make)?;
            Ok(format!("Wrote {}.\n", path.display()))
        }
        // What steers a printer would steer the operator's terminal too.
        None if to.format == DocumentFormat::EscPos => Err(CtlError::Argument {
            argument: "--out",
            remedy: "name a file for a receipt printer's bytes, and send it there",
        }),
        None => Ok(String::from_utf8_lossy(&content).into_owned()),
    }
}

fn format(to: &DocumentArguments) -> i32 {
    let format = match to.format {
        DocumentFormat::Text => v1::Format::Text,
        DocumentFormat::EscPos => v1::Format::EscPos,
        DocumentFormat::Html => v1::Format::Html,
        DocumentFormat::Csv => v1::Format::Csv,
        DocumentFormat::Camt053 => v1::Format::Camt053,
    };
    format.into()
}
