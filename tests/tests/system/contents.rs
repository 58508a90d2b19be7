//! What tests push: the bundle that all tests share, and tables that come from it.

use lintel_core::table::{PersonId, Table};
use lintel_formats::bundle::Role;
use lintel_site::device::parcel::Content;

use crate::world;

/// The whole bundle.
pub fn bundle() -> Content {
    Content::open(&world().bundle()).expect("a bundle")
}

/// A bundle's table and encoder.
pub fn parts(content: Content) -> (Table, Vec<u8>) {
    match content {
        Content::Bundle(bundle) => (bundle.table, bundle.files[Role::Encoder].to_vec()),
        Content::Table { .. } => panic!("a bundle"),
    }
}

/// The bundle's table without one person.
pub fn without(id: PersonId) -> Content {
    let (table, encoder) = parts(bundle());
    Content::Table { table: table.without(id).expect("enrolled"), encoder: Some(encoder) }
}
