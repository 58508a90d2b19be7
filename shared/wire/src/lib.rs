//! The messages that leave the process, and nothing else. The bytes of every message are pinned by tests.
//!
//! Without the feature `std` this crate needs no standard library.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod audit;
pub mod event;
pub mod link;
