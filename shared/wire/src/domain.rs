//! Domain types (`lintel-core`) ⇄ message types, one file for each family of messages.
//!
//! This is the only module of the crate that knows `lintel-core`. Where a domain type changes, the conversion changes
//! with it, and the messages and their bytes stay.

mod event;
mod link;
mod value;
