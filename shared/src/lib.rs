//! What both ends of Lintel must agree on: the way of a frame, from pixels to a relay command.
//!
//! ```text
//! frame ─▶ detect ─▶ align ─▶ embed ─▶ aggregate ─▶ table ─▶ verdict ─▶ door
//!                                                                └────▶ screen
//! ```
//!
//! Without features this crate needs no standard library, does no I/O, reads no clock and logs nothing: time comes
//! in as an argument, commands go out as return values. The feature `runtime` adds what a real system needs around
//! that: ONNX Runtime sessions and recordings on disk. The feature `link` adds the encrypted channel between the two ends.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod aggregate;
pub mod align;
pub mod bundle;
pub mod detect;
pub mod door;
pub mod embed;
pub mod envelope;
pub mod follow;
pub mod frame;
pub mod geometry;
pub mod lockout;
pub mod quality;
pub mod reference;
pub mod screen;
pub mod table;
pub mod time;
pub mod verdict;
pub mod wire;

#[cfg(feature = "link")]
pub mod link;
#[cfg(feature = "runtime")]
pub mod recording;
#[cfg(feature = "runtime")]
pub mod runtime;
