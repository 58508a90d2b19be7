//! Entries of a device's journal ⇄ bytes, and the chain that shows where one is missing or was changed.
//!
//! ```text
//! version u16 LE │ postcard of one Record
//! hash of entry n = SHA-256(hash of entry n − 1 │ n, u64 LE │ bytes of entry n)
//! ```
//!
//! The chain finds an edit and a gap. That its end was cut off, or that all of it was made anew, only somebody sees who
//! remembers an earlier end: the workstation does, with every answer and receipt.

pub mod row;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::link::Refusal;
use crate::value::{Contact, Fault, Hash, PersonId, Similarity, Strike, Uptime};

/// The version that this program writes and reads.
pub const VERSION: u16 = 1;
/// Longest entry, in bytes.
pub const MAX_ENTRY: usize = 256;

/// Something that happened, and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// How often the daemon had started by then: orders what a wrong clock does not.
    pub boot: u32,
    /// Since that start.
    pub at: Uptime,
    /// The wall clock, in seconds since 1970; it may be wrong.
    pub clock: u64,
    /// What happened.
    pub entry: Entry,
}

/// What happened. No name is among it, only people's numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// The daemon runs this table.
    Started {
        /// The table's revision.
        revision: u64,
        /// Number of people whom the table holds.
        people: u32,
    },
    /// The daemon stopped in order.
    Stopped,
    /// Somebody was recognised.
    Recognised {
        /// The person's number in the table.
        person: PersonId,
        /// By which table.
        revision: u64,
        /// Cosine with the person.
        similarity: Similarity,
        /// Margin over the next.
        margin: f32,
        /// Softmax confidence.
        confidence: f32,
    },
    /// Somebody was not.
    NotRecognised {
        /// By which table.
        revision: u64,
        /// Cosine with the most similar person.
        similarity: Similarity,
        /// Margin over the next.
        margin: f32,
        /// Softmax confidence.
        confidence: f32,
    },
    /// The relay moved.
    Relay(Strike),
    /// The door's leaf moved.
    Contact(Contact),
    /// Something failed.
    Fault(Fault),
    /// It works again.
    FaultCleared(Fault),
    /// After repeated refusals nobody is looked at for a while.
    LockedOut {
        /// For how long, in seconds.
        seconds: u32,
        /// Refusals in a row.
        refusals: u32,
    },
    /// A workstation was paired.
    Paired(Hash),
    /// A workstation was taken off.
    Forgotten(Hash),
    /// All workstations were forgotten, at the device.
    Unpaired,
    /// A caller on the network was refused.
    CallerRefused {
        /// By what it is known, where the handshake came so far.
        caller: Option<Hash>,
        /// The reason that the caller was given.
        why: Refusal,
    },
    /// Another bundle runs.
    Installed {
        /// Who pushed it.
        by: Hash,
        /// The table's revision.
        revision: u64,
        /// SHA-256 of the table.
        table: Hash,
        /// People who were removed by it.
        removed: u32,
    },
    /// The bundle before runs again.
    RolledBack {
        /// Who asked.
        by: Hash,
        /// The table's revision.
        revision: u64,
    },
    /// The journal before this entry was damaged and set aside.
    BegunAnew,
    /// Entries were lost because the disk was too slow or refused.
    Lost {
        /// Number of entries that were lost.
        entries: u64,
    },
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JournalError {
    /// Another version.
    #[error("journal entry has version {got}, this program reads {VERSION}")]
    Version {
        /// The entry's.
        got: u16,
    },
    /// It does not decode.
    #[error("journal entry cannot be read")]
    Malformed,
    /// An entry was changed, or is missing.
    #[error("the journal's chain is broken at entry {sequence}: something was changed or taken out")]
    Broken {
        /// The first entry that doesn't follow.
        sequence: u64,
    },
}

impl Record {
    /// Record → bytes.
    ///
    /// # Errors
    /// [`JournalError::Malformed`] for what no reader would take.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JournalError> {
        let body = postcard::to_allocvec(self).map_err(|_| JournalError::Malformed)?;
        if body.len() + 2 > MAX_ENTRY || !self.entry.is_finite() {
            return Err(JournalError::Malformed);
        }
        let mut bytes = VERSION.to_le_bytes().to_vec();
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Bytes → record.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JournalError> {
        let (version, body) = bytes.split_first_chunk::<2>().ok_or(JournalError::Malformed)?;
        let got = u16::from_le_bytes(*version);
        if got != VERSION {
            return Err(JournalError::Version { got });
        }
        if bytes.len() > MAX_ENTRY {
            return Err(JournalError::Malformed);
        }
        match postcard::take_from_bytes::<Self>(body) {
            Ok((record, [])) if record.entry.is_finite() => Ok(record),
            _ => Err(JournalError::Malformed),
        }
    }
}

impl Entry {
    fn is_finite(&self) -> bool {
        match self {
            Self::Recognised { margin, confidence, .. } | Self::NotRecognised { margin, confidence, .. } => {
                margin.is_finite() && confidence.is_finite()
            }
            _ => true,
        }
    }
}

/// The hash of entry `sequence` with these bytes, after the one with the hash `before`.
#[must_use]
pub fn chained(before: &Hash, sequence: u64, bytes: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(sequence.to_le_bytes());
    hash.update(bytes);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn record(entry: Entry) -> Record {
        Record { boot: 3, at: Uptime::from_micros(1000), clock: 300, entry }
    }

    #[test]
    fn bytes_are_frozen() {
        let similarity = Similarity::new(0.5).expect("a similarity");
        let (margin, confidence) = (0.25, 1.0);
        let hash = [7; 32];
        let h = "07".repeat(32);
        let cases = [
            (Entry::Started { revision: 9, people: 2 }, "000902".into()),
            (Entry::Stopped, "01".into()),
            (
                Entry::Recognised { person: PersonId(4), revision: 9, similarity, margin, confidence },
                "0204090000003f0000803e0000803f".into(),
            ),
            (
                Entry::NotRecognised { revision: 9, similarity, margin, confidence },
                "03090000003f0000803e0000803f".into(),
            ),
            (Entry::Relay(Strike::Locked), "0400".into()),
            (Entry::Contact(Contact::Open), "0500".into()),
            (Entry::Fault(Fault::Relay), "0600".into()),
            (Entry::FaultCleared(Fault::Relay), "0700".into()),
            (Entry::LockedOut { seconds: 30, refusals: 5 }, "081e05".into()),
            (Entry::Paired(hash), alloc::format!("09{h}")),
            (Entry::Forgotten(hash), alloc::format!("0a{h}")),
            (Entry::Unpaired, "0b".into()),
            (Entry::CallerRefused { caller: None, why: Refusal::Rollback }, "0c0009".into()),
            (Entry::Installed { by: hash, revision: 9, table: hash, removed: 1 }, alloc::format!("0d{h}09{h}01")),
            (Entry::RolledBack { by: hash, revision: 8 }, alloc::format!("0e{h}08")),
            (Entry::BegunAnew, "0f".into()),
            (Entry::Lost { entries: 5 }, "1005".into()),
        ];
        let mut other = vec![];
        for (entry, golden) in cases {
            let record = record(entry);
            let bytes = record.to_bytes().expect("a record");
            let text: alloc::string::String = bytes.iter().map(|b| alloc::format!("{b:02x}")).collect();
            let golden: alloc::string::String = golden;
            if text != alloc::format!("010003e807ac02{golden}") {
                other.push(alloc::format!("{golden} is now {}", text.trim_start_matches("010003e807ac02")));
            }
            assert_eq!(Record::from_bytes(&bytes), Ok(record));
        }
        assert!(other.is_empty(), "bytes have changed:\n{}", other.join("\n"));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let bytes = record(Entry::Stopped).to_bytes().expect("a record");
        assert_eq!(Record::from_bytes(&bytes[..1]), Err(JournalError::Malformed));
        assert_eq!(Record::from_bytes(&[&bytes[..], &[0]].concat()), Err(JournalError::Malformed));
        assert_eq!(Record::from_bytes(&[2, 0, 1]), Err(JournalError::Version { got: 2 }));
        let similarity = Similarity::new(0.5).expect("a similarity");
        let nan = record(Entry::NotRecognised { revision: 1, similarity, margin: f32::NAN, confidence: 0.0 });
        assert_eq!(nan.to_bytes(), Err(JournalError::Malformed));
    }

    #[test]
    fn every_change_moves_the_chain() {
        let hash = chained(&[0; 32], 1, b"entry");
        assert_ne!(hash, chained(&[1; 32], 1, b"entry"));
        assert_ne!(hash, chained(&[0; 32], 2, b"entry"));
        assert_ne!(hash, chained(&[0; 32], 1, b"entri"));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Record::from_bytes(&bytes);
        }
    }
}
