//! The files that both ends read and write. Every reader meets hostile bytes.
//!
//! Without features this crate needs no standard library. The feature `recording` adds recordings on a file system.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod bundle;
pub mod envelope;
#[cfg(feature = "recording")]
pub mod recording;
pub mod reference;
pub mod table;
