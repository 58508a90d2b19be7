//! What a file of a bundle is for → its name, its limits, and whether every bundle has it.
//!
//! A new role is a variant of [`Role`], a place in [`Role::ALL`] and a line of rules. Readers that do not know it
//! refuse the bundles that have it.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Index;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::table;

/// Largest model, in bytes. CLIP RN50's visual encoder in f32 has 153 MB.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// What a file of a bundle is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// The model that finds faces.
    Detector,
    /// The model that turns crops into embeddings.
    Encoder,
    /// The identity table.
    Table,
}

/// What a reader asks of a role's file.
struct Rules {
    file_name: &'static str,
    max_bytes: u64,
    required: bool,
}

impl Role {
    /// Every role, in the order in which a manifest lists the files.
    pub const ALL: [Self; 3] = [Self::Detector, Self::Encoder, Self::Table];

    const fn rules(self) -> Rules {
        match self {
            Self::Detector => Rules { file_name: "detector.onnx", max_bytes: MAX_MODEL_BYTES, required: true },
            Self::Encoder => Rules { file_name: "encoder.onnx", max_bytes: MAX_MODEL_BYTES, required: true },
            Self::Table => Rules { file_name: "table.lintel", max_bytes: table::MAX_FILE_BYTES as u64, required: true },
        }
    }

    /// The file's name in the bundle's folder.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        self.rules().file_name
    }

    /// Largest file of this role, in bytes.
    #[must_use]
    pub const fn max_bytes(self) -> u64 {
        self.rules().max_bytes
    }

    /// Whether a bundle without this file is refused.
    #[must_use]
    pub const fn is_required(self) -> bool {
        self.rules().required
    }
}

/// One file of a bundle, as a manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// File name, without a folder.
    pub name: String,
    /// Size in bytes, 1 to the limit of its role.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

impl FileEntry {
    /// The entry of a file with this content.
    #[must_use]
    pub fn of(name: &str, content: &[u8]) -> Self {
        Self { name: name.into(), bytes: content.len() as u64, sha256: Sha256::digest(content).into() }
    }
}

/// The content of a bundle's files, by role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents([Vec<u8>; Role::ALL.len()]);

impl Contents {
    /// These files; of two with one role the later.
    pub fn new(files: impl IntoIterator<Item = (Role, Vec<u8>)>) -> Self {
        let mut contents = Self::default();
        files.into_iter().for_each(|(role, content)| contents.put(role, content));
        contents
    }

    /// Adds a role's file, or replaces it.
    pub fn put(&mut self, role: Role, content: Vec<u8>) {
        self.0[role as usize] = content;
    }

    /// The files that are there, in the order of a manifest.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &[u8])> {
        let files = Role::ALL.into_iter().map(|role| (role, &self[role]));
        files.filter(|(_, content)| !content.is_empty())
    }

    /// What a manifest says of them.
    #[must_use]
    pub fn entries(&self) -> Vec<FileEntry> {
        self.iter().map(|(role, content)| FileEntry::of(role.file_name(), content)).collect()
    }
}

/// The content of a role's file; no bytes where the bundle has no such file, since no file of a bundle is empty.
impl Index<Role> for Contents {
    type Output = [u8];

    fn index(&self, role: Role) -> &[u8] {
        &self.0[role as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_role_has_its_place_and_a_name_of_its_own() {
        // Breaks when a variant is added: it belongs into `ALL` too.
        let place = |role| match role {
            Role::Detector => 0,
            Role::Encoder => 1,
            Role::Table => 2,
        };
        for (at, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!((role as usize, place(role)), (at, at), "{role:?}");
            let same = Role::ALL.into_iter().filter(|other| other.file_name() == role.file_name()).count();
            assert_eq!(same, 1, "{role:?}");
            assert!(role.max_bytes() > 0, "{role:?}");
        }
    }

    #[test]
    fn contents_are_found_by_role() {
        let contents = Contents::new([(Role::Table, vec![3]), (Role::Detector, vec![1])]);
        assert_eq!((&contents[Role::Detector], &contents[Role::Encoder]), (&[1][..], &[][..]));
        let entries = contents.entries();
        assert_eq!(entries, [FileEntry::of("detector.onnx", &[1]), FileEntry::of("table.lintel", &[3])]);
    }
}
