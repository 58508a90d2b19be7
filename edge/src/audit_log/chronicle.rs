//! What the link tells the audit log, and asks of it.

use lintel_link::Fingerprint;
use lintel_wire::link::{Hash, Refusal};

/// Something that the journal is to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// A workstation was paired.
    Paired(Fingerprint),
    /// A workstation was taken off.
    Forgotten(Fingerprint),
    /// The device was made to forget all workstations, by somebody who stands at it.
    Unpaired,
    /// A caller was refused.
    Refused {
        /// Who, where the handshake came so far.
        caller: Option<Fingerprint>,
        /// Why.
        why: Refusal,
    },
    /// Another bundle runs.
    Installed {
        /// Who pushed it.
        by: Fingerprint,
        /// Revision of its table.
        revision: u64,
        /// SHA-256 of its table.
        table: Hash,
        /// People who were removed by it.
        removed: u32,
    },
    /// The bundle before runs again.
    RolledBack {
        /// Who asked.
        by: Fingerprint,
        /// Revision of its table.
        revision: u64,
    },
}

/// What keeps the deeds, and can be asked for what it holds.
pub trait Chronicle: Send + Sync {
    /// Takes a deed; it is durable when this returns, or the disk refuses and the door says so.
    fn note(&self, deed: &Deed);

    /// Up to `most` entries after the sequence number `after`, oldest first.
    fn page(&self, after: u64, most: usize) -> Page;

    /// Sequence number and chain hash of the newest entry.
    fn head(&self) -> (u64, Hash);
}

/// Some entries of a journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// As the journal holds them, oldest first.
    pub entries: Vec<Vec<u8>>,
    /// Sequence number of the first.
    pub first: u64,
    /// The chain's hash before it.
    pub before: Hash,
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Chronicle for Silent {
    fn note(&self, _: &Deed) {}

    fn page(&self, _: u64, _: usize) -> Page {
        Page::default()
    }

    fn head(&self) -> (u64, Hash) {
        (0, [0; 32])
    }
}
