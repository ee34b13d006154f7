//! `palmctl payment`.

use palm_proto::{id::RequestId, money::Money, v1};
use tonic::Request;

use super::{
    ChangeArguments, CtlError, ListArguments, PaymentCommand,
    link::{self, Link},
    moved, request_id,
    sheet::{Cell, Sheet},
};
use crate::entropy::Entropy;

pub(super) async fn run(
    link: &Link,
    command: PaymentCommand,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    match command {
        PaymentCommand::List(ListArguments { limit }) => list(link, limit).await,
        PaymentCommand::Show { name } => {
            let request = Request::new(v1::GetPaymentRequest {
                name: name.to_string(),
            });
            let row = link.checkout().get_payment(request).await?.into_inner();
            Ok(Sheet::one(&PAYMENT_COLUMNS, payment_row(row)))
        }
        PaymentCommand::Capture(arguments) => capture(link, &arguments, entropy).await,
        PaymentCommand::Void(arguments) => void(link, &arguments, entropy).await,
        PaymentCommand::Refund(arguments) => refund(link, &arguments, entropy).await,
        PaymentCommand::Refunds { name } => {
            let payment = name.to_string();
            let request = v1::ListRefundsRequest { payment };
            let refunds = link.payments().list_refunds(request).await?.into_inner();
            let mut sheet = Sheet::list(&REFUND_COLUMNS);
            refunds
                .refunds
                .into_iter()
                .for_each(|row| sheet.push(refund_row(row)));
            Ok(sheet)
        }
    }
}

async fn list(link: &Link, limit: usize) -> Result<Sheet, CtlError> {
    let mut client = link.checkout();
    let mut sheet = Sheet::list(&PAYMENT_COLUMNS);
    let mut page_token = String::new();
    loop {
        let page_size = link::page_size(limit, sheet.len());
        let page = client
            .list_payments(v1::ListPaymentsRequest {
                page_size,
                page_token,
            })
            .await?;
        let page = page.into_inner();
        page.payments
            .into_iter()
            .for_each(|row| sheet.push(payment_row(row)));
        page_token = page.next_page_token;
        if page_token.is_empty() || sheet.len() >= limit {
            return Ok(sheet);
        }
    }
}

async fn capture(
    link: &Link,
    arguments: &ChangeArguments,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let (id, name, amount) = change(arguments, link, entropy)?;
    let request = v1::CapturePaymentRequest {
        request_id: id.to_string(),
        name,
        amount,
    };
    let captured = link.payments().capture_payment(request).await;
    let row = captured.map_err(|status| moved(status, id))?.into_inner();
    Ok(Sheet::one(&PAYMENT_COLUMNS, payment_row(row)))
}

async fn void(
    link: &Link,
    arguments: &ChangeArguments,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let (id, name, amount) = change(arguments, link, entropy)?;
    if amount.is_some() {
        return Err(CtlError::Argument {
            argument: "AMOUNT_MINOR",
            remedy: "a void frees all that is held: leave the amount out",
        });
    }
    let request_id = id.to_string();
    let request = v1::VoidPaymentRequest { request_id, name };
    let voided = link.payments().void_payment(request).await;
    let row = voided.map_err(|status| moved(status, id))?.into_inner();
    Ok(Sheet::one(&PAYMENT_COLUMNS, payment_row(row)))
}

async fn refund(
    link: &Link,
    arguments: &ChangeArguments,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let (id, name, amount) = change(arguments, link, entropy)?;
    let request = v1::RefundPaymentRequest {
        request_id: id.to_string(),
        name,
        amount,
    };
    let refunded = link.payments().refund_payment(request).await;
    let row = refunded.map_err(|status| moved(status, id))?.into_inner();
    Ok(Sheet::one(&REFUND_COLUMNS, refund_row(row)))
}

fn change(
    arguments: &ChangeArguments,
    link: &Link,
    entropy: &dyn Entropy,
) -> Result<(RequestId, String, Option<v1::Money>), CtlError> {
    let id = request_id(arguments.request_id, entropy);
    let amount = arguments
        .amount_minor
        .map(|minor| Money::amount(minor, link.currency()))
        .transpose()?;
    Ok((id, arguments.name.to_string(), amount.map(v1::Money::from)))
}

const REFUND_COLUMNS: [&str; 6] = [
    "payment",
    "amount",
    "state",
    "reason",
    "request_id",
    "create_time",
];

fn refund_row(refund: v1::Refund) -> Vec<Cell> {
    let state = refund.state();
    let reason = reason_cell(refund.reason());
    vec![
        Cell::Text(refund.payment),
        Cell::money(refund.amount),
        Cell::Text(state.as_str_name().to_owned()),
        reason,
        Cell::Text(refund.request_id),
        Cell::time(refund.create_time),
    ]
}

fn reason_cell(reason: v1::Reason) -> Cell {
    Cell::Text(match reason {
        v1::Reason::Unspecified => String::new(),
        reason => reason.as_str_name().to_owned(),
    })
}

const PAYMENT_COLUMNS: [&str; 10] = [
    "name",
    "state",
    "amount",
    "captured",
    "refunded",
    "reason",
    "till",
    "masked_name",
    "customer",
    "create_time",
];

fn payment_row(payment: v1::Payment) -> Vec<Cell> {
    let state = payment.state();
    let reason = reason_cell(payment.reason());
    vec![
        Cell::Text(payment.name),
        Cell::Text(state.as_str_name().to_owned()),
        Cell::money(payment.amount),
        Cell::money(payment.captured),
        Cell::money(payment.refunded),
        reason,
        Cell::Text(payment.till),
        Cell::Text(payment.masked_name),
        Cell::Text(payment.customer),
        Cell::time(payment.create_time),
    ]
}
