//! What a shop prints: receipts and Z reports.
//!
//! Pure functions over plain structs: no I/O, no clock, no store. Whoever owns the books fills the structs in, and
//! decides where the text or the bytes go. Amounts are minor units of one currency a document; sums are kept
//! in wider integers and never wrap.
//!
//! - [`receipt`]: one payment, for the customer; [`zreport`]: one shift of a till or a shop, for the drawer.
//!   Both become a [`roll::Roll`], which is printed as text ([`roll::Roll::text`]) or as bytes for a receipt printer
//!   ([`escpos::print`]).
#![deny(clippy::float_arithmetic)]
// In tests an overflow or a place that is not there is a failure of the test.
#![cfg_attr(
    not(test),
    deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod calendar;
mod columns;
pub mod csv;
pub mod escpos;
pub mod money;
pub mod receipt;
pub mod roll;
mod words;
pub mod zreport;

pub use calendar::{Day, Zone};
pub use money::{Side, Vat};
pub use words::Language;
