//! This workstation → devices at doors: pair, push, query.

pub mod audit_log;
pub mod changes;
pub mod client;
pub mod crops;
pub mod find;
pub mod pair;
pub mod parcel;
pub mod push;

pub use client::{Client, DeviceError};
