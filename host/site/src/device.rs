//! This workstation → devices at doors: pair, push, query.

pub mod changes;
pub mod client;
pub mod crops;
pub mod find;
pub mod journal;
pub mod pair;
pub mod parcel;
pub mod push;

pub use client::{Client, DeviceError};
