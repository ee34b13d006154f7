//! What the whole-system tests, the demo and the benches share: a shop of real processes on loopback.
//!
//! A [`Shop`] makes a deployment with `palmctl`, runs `palmd` and as many `palm-till` as wanted, and ends them by their
//! own process ids. A [`Page`] is what a browser of the till does, over plain HTTP; a [`Caller`] is any other holder of
//! a certificate, for requests that no till would send. Nothing is waited for by sleeping: each wait is on a line, a
//! snapshot or an answer, with a deadline.
//!
//! What it deliberately does not do: reach into another crate's state. It sees what a user sees: lines on standard
//! output, pages, RPCs, files.

pub mod browser;
pub mod caller;
pub mod clock;
pub mod ctl;
pub mod kills;
pub mod page;
pub mod palms;
pub mod payers;
pub mod power;
pub mod process;
pub mod proxy;
pub mod rails;
pub mod settings;
pub mod shop;
pub mod sim;
pub mod snapshot;

pub use browser::Browser;
pub use caller::Caller;
pub use page::Page;
pub use proxy::Proxy;
pub use shop::{Shop, Till};
