//! The user's data folder: installed packs, and the licence limits that the user has accepted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use lintel_work::places;

use super::PACK_FILE;
use super::copy::{sha256, sha256_of};
use super::error::{PackError, StoreError};
use super::known::{KnownFile, KnownPack};

/// The file with the accepted limits: a pack's name and the hash of their text, so that new limits are shown again.
const ACCEPTED: &str = "accepted.toml";
/// The largest such file that is read, in bytes.
const MAX_ACCEPTED_BYTES: u64 = 64 << 10;

/// The folder in which packs are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// The state of a file of an installed pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is there, with a listed hash.
    Good,
    /// It is not there.
    Absent,
    /// It is there, with another hash.
    Wrong {
        /// The hash of the file.
        got: String,
    },
}

impl Store {
    /// `lintel/packs` in the user's data folder, after the XDG base directory rules.
    ///
    /// # Errors
    /// [`StoreError::NoFolder`].
    pub fn of_user() -> Result<Self, StoreError> {
        places::data().map(|data| Self::at(data.join("packs"))).ok_or(StoreError::NoFolder)
    }

    /// The store in this folder.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of the pack called `name`, whether it exists or not.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes the pack's folder, and locks it against a second process.
    pub(super) fn open(&self, name: &str) -> Result<(PathBuf, File), StoreError> {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).map_err(StoreError::disk(&folder))?;
        let lock = File::open(&folder).and_then(|lock| lock.lock().map(|()| lock));
        Ok((folder.clone(), lock.map_err(StoreError::disk(&folder))?))
    }

    /// Whether a file of the pack's folder is there, by name and size: hashing a large pack takes seconds.
    #[must_use]
    pub fn has(&self, pack: &str, name: &str, file: &KnownFile) -> bool {
        let meta = fs::metadata(self.folder(pack).join(name));
        meta.is_ok_and(|meta| meta.is_file() && file.may_have(meta.len()))
    }

    /// Hashes a file of an installed pack; `step` gets the number of bytes done.
    ///
    /// # Errors
    /// [`StoreError`] when it exists and cannot be read.
    pub fn verify(
        &self,
        pack: &str,
        name: &str,
        file: &KnownFile,
        step: &mut dyn FnMut(u64),
    ) -> Result<FileState, StoreError> {
        let path = self.folder(pack).join(name);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileState::Absent),
            Err(error) => return Err(StoreError::disk(&path)(error)),
            Ok(_) => {}
        }
        let got = sha256_of(&path, step)?;
        Ok(if file.is(&got) { FileState::Good } else { FileState::Wrong { got } })
    }

    /// Writes `pack.toml`, which makes the folder a pack, once all files are there.
    pub(super) fn complete(&self, name: &str, pack: &KnownPack) -> Result<bool, PackError> {
        let Some(about) = &pack.pack else { return Ok(false) };
        if !pack.files.iter().all(|(file, known)| self.has(name, file, known)) {
            return Ok(false);
        }
        let path = self.folder(name).join(PACK_FILE);
        let text = toml::to_string(about).expect("pack.toml holds plain values");
        replace(&path, text.as_bytes())?;
        Ok(true)
    }

    /// Whether the user has accepted these limits of the pack called `name`.
    #[must_use]
    pub fn accepted(&self, name: &str, limits: &[String]) -> bool {
        limits.is_empty() || self.acceptances().get(name) == Some(&sha256(limits.join("\n").as_bytes()))
    }

    /// Records that the user has accepted these limits.
    ///
    /// # Errors
    /// [`StoreError`] when the record cannot be written.
    pub fn accept(&self, name: &str, limits: &[String]) -> Result<(), StoreError> {
        fs::create_dir_all(&self.root).map_err(StoreError::disk(&self.root))?;
        let mut accepted = self.acceptances();
        accepted.insert(name.to_owned(), sha256(limits.join("\n").as_bytes()));
        let text = toml::to_string(&accepted).expect("names and hashes");
        replace(&self.root.join(ACCEPTED), text.as_bytes())
    }

    /// The accepted limits. If the file cannot be read, none were accepted, and the limits are shown again.
    fn acceptances(&self) -> BTreeMap<String, String> {
        let path = self.root.join(ACCEPTED);
        let small = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_ACCEPTED_BYTES);
        let text = if small { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        toml::from_str(&text).unwrap_or_default()
    }
}

/// Writes a small file whole or not at all.
fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let partial = path.with_extension("toml.partial");
    fs::write(&partial, content).map_err(StoreError::disk(&partial))?;
    super::copy::settle(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_accepted_once_and_shown_again_when_they_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path().join("packs"));
        let limits = |text: &str| vec![text.to_owned()];
        assert!(store.accepted("a", &[]));
        assert!(!store.accepted("a", &limits("research only")));
        store.accept("a", &limits("research only")).expect("written");
        store.accept("b", &limits("no cats")).expect("written");
        assert!(store.accepted("a", &limits("research only")) && store.accepted("b", &limits("no cats")));
        assert!(!store.accepted("a", &limits("research only, on Sundays")));
        fs::write(folder.path().join("packs").join(ACCEPTED), "not = [toml").expect("written");
        assert!(!store.accepted("a", &limits("research only")));
    }
}
