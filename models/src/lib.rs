//! From a palm image to a template to a comparison score.
//!
//! No I/O and no clock: bytes in, answers out. The stages of [`extract`] are one page of named pure functions; every
//! tuning number stands in [`params`]. Without the feature `extract` only templates and their comparison remain,
//! which is all that the server needs (and it then links no OpenCV).
//!
//! Start reading at [`extract::extract`], then [`template`] and [`compare`].

#[cfg(feature = "extract")]
pub mod attack;
pub mod burst;
#[cfg(feature = "extract")]
mod code;
pub mod compare;
#[cfg(all(test, feature = "extract"))]
mod drawn;
#[cfg(feature = "eval")]
pub mod eval;
#[cfg(feature = "extract")]
pub mod extract;
#[cfg(feature = "extract")]
pub mod hand_shape;
pub mod image;
#[cfg(feature = "extract")]
pub mod network;
pub mod params;
#[cfg(feature = "extract")]
pub mod quality;
#[cfg(feature = "extract")]
mod region;
#[cfg(feature = "extract")]
mod segment;
#[cfg(feature = "synth")]
pub mod synth;
pub mod template;
#[cfg(feature = "extract")]
mod vision;
