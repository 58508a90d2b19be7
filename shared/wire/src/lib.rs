//! The messages that leave the process, and nothing else. The bytes of every message are pinned by tests.
//!
//! The messages have types of their own, so that a type of the domain (`lintel-core`) may change and no byte does.
//! `From` converts the two into each other; the private module `domain` holds all of it.
//!
//! Without the feature `std` this crate needs no standard library.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod audit;
mod domain;
pub mod event;
pub mod link;
pub mod value;
