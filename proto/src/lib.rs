//! What OpenPalm says over the wire.
//!
//! [`v1`] is generated from `openpalm/v1/*.proto`. Around it stand the types that cannot be wrong ([`id`], [`money`],
//! [`reason`]), the sealed [`envelope`] of a template, and [`request`]: the only place that turns wire shapes into
//! domain requests, and so the only place that rejects shapes ([`fault::Malformed`] names field and remedy).
//! Nothing here knows palms, ledgers or stores.

pub mod digits;
pub mod envelope;
pub mod fault;
pub mod id;
pub mod money;
pub mod reason;
pub mod request;

/// Generated messages, clients and servers of `openpalm.v1`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::excessive_nesting,
    clippy::too_many_lines,
    reason = "generated; the .proto files carry the documentation"
)]
pub mod v1 {
    tonic::include_proto!("openpalm.v1");
}

/// The compiled `openpalm.v1` files, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openpalm.bin"));
