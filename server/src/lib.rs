//! palmd, the matching and payment service, and palmctl, its operator's tool.
//!
//! Lower floor, which knows neither palms nor the wire: [`store`], [`writer`], [`vault`], [`ledger`], [`clock`],
//! [`entropy`]. Upper floor: [`gallery`], [`customers`], [`enrolment`], [`checkout`],
//! [`payments`], [`cards`], [`safeguards`], [`paper`], [`wallets`], [`payouts`], [`bank`], [`tills`], put
//! together in [`service`] and spoken to through [`api`]. The ledger knows no biometrics and the gallery no money; only
//! [`checkout`] knows both.
//!
//! Beside them [`reports`], pure: receipts, Z reports, statements, pay-out files and reconciliation.
//!
//! Start reading at [`checkout::Checkout::authorise`]; [`threats`] says what was thought of.

pub mod api;
pub mod bank;
mod base;
mod budget;
pub mod cards;
pub mod checkout;
pub mod clock;
pub mod config;
pub mod ctl;
pub mod customers;
pub mod daemon;
pub mod enrolment;
pub mod entropy;
pub mod error;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod gallery;
pub mod ledger;
pub mod limits;
pub mod logging;
pub mod paper;
pub mod payments;
pub mod payouts;
pub mod pki;
mod policy;
pub mod rail;
pub mod reports;
mod requests;
mod rows;
pub mod safeguards;
pub mod service;
pub mod store;
pub mod threats;
pub mod tills;
pub mod vault;
pub mod wallets;
pub mod webhooks;
pub mod writer;

#[doc(hidden)]
pub use rows::fuzz_page_token;
