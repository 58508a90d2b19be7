//! A folder → the files of a pack, found by their hashes under any name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::copy::{keep, sha256_of, unpack};
use super::error::{FetchError, PackError, StoreError};
use super::known::{KnownFile, KnownPack};
use super::store::Store;

/// Greatest depth of folders that are searched.
const MAX_DEPTH: usize = 4;
/// The most files that are examined.
const MAX_FILES: usize = 100_000;

/// Which files of a pack were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Files of the pack that are installed now, with the place where each was found (none: it was installed before).
    pub files: BTreeMap<String, Option<PathBuf>>,
    /// The pack's files that are still missing.
    pub missing: Vec<String>,
}

/// Installs the files in `from` that belong to the pack called `name`. Files, and archives that hold them, are
/// recognised by size first, and then by SHA-256.
///
/// # Errors
/// [`FetchError`] when the folder can't be read, or the store can't be written.
pub fn add(
    store: &Store,
    name: &str,
    pack: &KnownPack,
    from: &Path,
    step: &mut dyn FnMut(u64),
) -> Result<Added, FetchError> {
    let (folder, _lock) = store.open(name)?;
    let candidates = files_in(from).map_err(|source| PackError::Read { path: from.to_owned(), source })?;
    let mut added = Added::default();
    for (file, known) in &pack.files {
        if store.has(name, file, known) {
            added.files.insert(file.clone(), None);
            continue;
        }
        let target = folder.join(file);
        let mut found = None;
        for (path, bytes) in &candidates {
            let archive = known.archive.as_ref().filter(|archive| archive.bytes == *bytes);
            let taken = if known.may_have(*bytes) {
                take(known, path, *bytes, &target, step)?
            } else if let Some(archive) = archive
                && sha256_of(path, step)? == archive.sha256
            {
                unpack(known, file, path, &target)?;
                true
            } else {
                false
            };
            if taken {
                found = Some(path.clone());
                break;
            }
        }
        match found {
            Some(path) => drop(added.files.insert(file.clone(), Some(path))),
            None => added.missing.push(file.clone()),
        }
    }
    store.complete(name, pack)?;
    Ok(added)
}

/// Regular files below `folder`, with their sizes. Links are not followed, because they may lead out of the folder.
fn files_in(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && depth < MAX_DEPTH {
                open.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                found.push((entry.path(), entry.metadata()?.len()));
            }
            if found.len() + open.len() > MAX_FILES {
                let what = format!("more than {MAX_FILES} files; give the folder that holds the models");
                return Err(io::Error::other(what));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a file if its hash is listed.
fn take(
    known: &KnownFile,
    path: &Path,
    bytes: u64,
    target: &Path,
    step: &mut dyn FnMut(u64),
) -> Result<bool, FetchError> {
    let source = File::open(path).map_err(StoreError::disk(path))?;
    Ok(keep(known, source, bytes, target, step)?.is_none())
}
