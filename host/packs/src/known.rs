//! `models/packs.toml` → the listed packs: files, hashes, addresses and licences.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::About;
use super::error::PackError;

/// The listed packs, with the hash of each file.
const KNOWN: &str = include_str!("../../../models/packs.toml");

/// One pack of `models/packs.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPack {
    /// A description in one sentence.
    pub description: String,
    /// SPDX expression, or a few words.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
    /// The `pack.toml` of a pack that is installed; the embedded pack has its own.
    pub pack: Option<About>,
    /// File name in the pack → hash, size and address.
    pub files: BTreeMap<String, KnownFile>,
}

/// A file of a known pack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size; 0 for files that are part of the program.
    #[serde(default)]
    pub bytes: u64,
    /// What the file holds: shapes, counts.
    pub content: String,
    /// Where it is published (https).
    pub address: Option<String>,
    /// The zip archive at the address, where the address gives an archive and not the file itself.
    pub archive: Option<Variant>,
    /// SPDX expression, or a few words, where the file's licence differs from the pack's.
    pub licence: Option<String>,
    /// What its licence or its makers forbid, in one sentence.
    pub limit: Option<String>,
    /// Other files that are accepted too: the same network, exported another way.
    #[serde(default)]
    pub also: Vec<Variant>,
}

/// A file that is recognised by its hash.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// What the file contains, in words for `lintel packs list`.
    pub content: String,
}

/// The packs of `models/packs.toml` by name.
///
/// # Errors
/// [`PackError::Toml`]; never in a program that passes its tests.
pub fn known_packs() -> Result<BTreeMap<String, KnownPack>, PackError> {
    toml::from_str(KNOWN).map_err(|source| PackError::Toml { file: "models/packs.toml", source })
}

impl KnownPack {
    /// Whether a file of this name may have this hash.
    pub(super) fn check(&self, pack: &str, file: &str, sha256: &str) -> Result<(), PackError> {
        let listed = self.files.get(file);
        if listed.is_some_and(|listed| listed.is(sha256)) {
            return Ok(());
        }
        let wanted = listed.map_or(String::new(), |listed| listed.sha256.clone());
        Err(PackError::Hash { pack: pack.to_owned(), file: file.to_owned(), got: sha256.to_owned(), wanted })
    }

    /// The limits of its files, one line each, which the user must know before the first use. Empty: there are none.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        let limit = |(name, file): (&String, &KnownFile)| {
            let licence = file.licence.as_ref().unwrap_or(&self.licence);
            file.limit.as_ref().map(|limit| format!("{name} ({licence}): {limit}"))
        };
        self.files.iter().filter_map(limit).collect()
    }
}

impl KnownFile {
    /// Whether this hash is the file's or one of those accepted too.
    pub(super) fn is(&self, sha256: &str) -> bool {
        self.sha256 == sha256 || self.also.iter().any(|also| also.sha256 == sha256)
    }

    /// Whether this size is the file's or one of those accepted too.
    pub(super) fn may_have(&self, bytes: u64) -> bool {
        self.bytes == bytes || self.also.iter().any(|also| also.bytes == bytes)
    }

    /// The size of the download, in bytes.
    #[must_use]
    pub fn bytes_to_fetch(&self) -> u64 {
        self.archive.as_ref().map_or(self.bytes, |archive| archive.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_packs_is_well_formed() {
        let hash = |sha256: &str| {
            assert!(sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        };
        for (name, pack) in known_packs().expect("a list") {
            assert!(!pack.description.is_empty() && !pack.licence.is_empty() && !pack.source.is_empty(), "{name}");
            for (file, known) in &pack.files {
                hash(&known.sha256);
                known.archive.iter().chain(&known.also).for_each(|variant| hash(&variant.sha256));
                assert!(!known.content.is_empty(), "{name}: {file}");
                if pack.pack.is_some() {
                    let address = known.address.as_ref().expect("what is installed has an address");
                    assert!(address.starts_with("https://") && known.bytes > 0, "{name}: {file}");
                    assert!(known.limit.is_some(), "{name}: {file}");
                }
            }
            let Some(about) = pack.pack else { continue };
            let mut named: Vec<_> = [&about.detector, &about.clip].into_iter().chain(&about.vocabulary).collect();
            named.sort();
            assert_eq!((about.name, named), (name, pack.files.keys().collect()));
        }
    }

    #[test]
    fn a_file_of_a_known_pack_must_be_a_known_file() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let abd = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
        let pack: KnownPack = toml::from_str(&format!(
            "description = 'd'\nlicence = 'l'\nsource = 's'\n[files.'a.txt']\nsha256 = '{abc}'\n\
             content = 'three letters'\n\
             also = [{{ sha256 = '{abd}', bytes = 3, content = 'three others' }}]"
        ))
        .expect("a pack");
        let check = |file: &str, sha256: &str, fits: bool| {
            assert_eq!(pack.check("p", file, sha256).is_ok(), fits, "{file}");
        };
        check("a.txt", abc, true);
        check("a.txt", abd, true);
        check("a.txt", &abc.replace('b', "c"), false);
        check("b.txt", abc, false);
    }
}
