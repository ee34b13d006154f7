//! What a shop keeps, prints and sends on: receipts, Z reports, statements, pay-out files and reconciliation.
//!
//! Pure functions over plain structs: no I/O, no clock, no store. Whoever owns the books fills the structs in, and
//! decides where the text, the bytes or the XML go. Amounts are minor units of one currency a document; sums are kept
//! in wider integers and never wrap.
//!
//! - [`receipt`]: one payment, for the customer; [`zreport`]: one shift of a till or a shop, for the drawer.
//!   Both become a [`roll::Roll`], which is printed as text ([`roll::Roll::text`]) or as bytes for a receipt printer
//!   ([`escpos::print`]).
//! - [`statement`]: an account's movements as CSV and as ISO 20022 camt.053.
//! - [`payout`]: pay-outs to bank accounts as ISO 20022 pain.001, and the bank's answer, pain.002.
//! - [`bank`]: the bank's own camt.053, read; [`rail`]: a rail's report, read; [`reconcile`] lays both beside our rows.
#![deny(clippy::float_arithmetic)]
// In tests an overflow or a place that is not there is a failure of the test.
#![cfg_attr(
    not(test),
    deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod bank;
pub mod calendar;
mod columns;
pub mod escpos;
pub mod money;
pub mod payout;
pub mod rail;
pub mod receipt;
pub mod reconcile;
pub mod reference;
pub mod roll;
pub mod statement;
pub mod table;
mod words;
mod xml;
pub mod zreport;

pub use bank::fuzz_bank_statement;
pub use calendar::{Day, Zone};
pub use money::{Side, Vat};
pub use payout::fuzz_status_report;
pub use rail::fuzz_rail_report;
pub use reference::Reference;
pub use words::Language;
pub use xml::XmlError;
