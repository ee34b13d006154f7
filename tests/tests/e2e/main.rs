//! The whole path over real sockets, TLS and processes: `palmd`, `palmctl` and `palm-till` as a shop runs them, each
//! test in a shop of its own. What a till would do goes through its pages; what no till would do goes over the wire
//! with a till's certificate ([`palm_tests::Caller`]).
//!
//! Start at `receipts.rs`: shops as receipt rolls.

mod bad_files;
mod bad_requests;
mod books;
mod certificates;
mod crash;
mod erasure;
mod life;
mod reader;
mod receipts;
mod replay;
mod roll;
mod split;
