//! Workstation ⇄ device: who they are, an encrypted channel between them, and how they come to know each other.
//!
//! Both ends have an [`Identity`], a key with a self-signed certificate, and know the other by the certificate's
//! fingerprint: nobody else vouches for anybody. [`pairing`] exchanges the fingerprints once, over a code that a person
//! reads from the device's display. [`Channel`] is TLS 1.3 with both certificates; what is said over it is in
//! [`lintel_wire::link`].

/// The type of the service that devices announce by multicast DNS.
pub const SERVICE: &str = "_lintel._tcp.local.";

pub mod bound;
pub mod channel;
pub mod identity;
pub mod pairing;
pub mod receipt;

pub use bound::Bound;
pub use channel::{Channel, ChannelError};
pub use identity::{Fingerprint, Identity, IdentityError};
