//! The program at the counter and in the kiosk: one palm reader, two pages, one gRPC client.
//!
//! ```text
//! pages (kiosk, cashier) -- commands --> app <-- news --- reader thread <-- frames --- palm reader
//!        <-- one stream of snapshots --   |
//!                                         +--- sealed template, journalled first ---> payment service
//! ```
//!
//! A raw palm image never leaves the [`reader`] thread, and a template never leaves the process unsealed. What a
//! payment or an enrolment does next is decided by two state machines without I/O, [`checkout`] and [`enrolment`]:
//! start reading there. [`app`] does what they ask for.
//!
//! What it is not: a till for goods, or a place that keeps anything about people. Its files are the [`journal`] of
//! payments in flight and, where the merchant wants it, the payments taken without the service ([`offline`]).

pub mod app;
pub mod checkout;
pub mod command;
pub mod config;
pub mod enrolment;
pub mod entropy;
pub mod eye;
pub mod guidance;
pub mod journal;
pub mod limits;
pub mod offline;
pub mod pages;
pub mod reader;
pub mod sensor;
pub mod service;
pub mod snapshot;
mod start;

pub use config::Config;
pub use start::{RunningTill, StartError, Till};
