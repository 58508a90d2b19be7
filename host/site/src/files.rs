//! Pushed files ⇄ files named by their hash. The next push needs them: a table alone needs its encoder.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use lintel_core::table::PersonId;
use sha2::{Digest as _, Sha256};

use super::{Site, SiteError, read, write};

impl Site {
    fn file_path(&self, hash: &[u8; 32]) -> PathBuf {
        self.dir.join("files").join(hex::encode(hash))
    }

    /// Stores a file.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn keep(&self, content: &[u8]) -> Result<(), SiteError> {
        let path = self.file_path(&Sha256::digest(content).into());
        if path.exists() { Ok(()) } else { write(&path, content) }
    }

    /// A stored file; `None` if it is missing or damaged.
    #[must_use]
    pub fn kept(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let bytes = read(&self.file_path(hash)).ok()?;
        (Sha256::digest(&bytes)[..] == *hash).then_some(bytes)
    }

    /// Deletes every stored table with one of these people, except those that a known device still runs: the person can
    /// be removed there only with that table.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn forget_people(&self, people: &[PersonId]) -> Result<usize, SiteError> {
        let running: Vec<String> = self.devices()?.into_iter().map(|device| device.table).collect();
        let folder = self.dir.join("files");
        let entries = fs::read_dir(&folder).map_err(|source| SiteError::File { path: folder, source })?;
        let mut deleted = 0;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if running.iter().any(|table| table == name) {
                continue;
            }
            // Another push may have deleted it, or may not have finished it.
            let bytes = match fs::read(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                bytes => bytes.map_err(|source| SiteError::File { path: path.clone(), source })?,
            };
            // Models are larger than any table.
            let Ok(table) = lintel_formats::table::from_bytes(&bytes) else { continue };
            if people.iter().any(|id| table.person(*id).is_some()) {
                match fs::remove_file(&path) {
                    Err(e) if e.kind() != ErrorKind::NotFound => return Err(SiteError::File { path, source: e }),
                    _ => deleted += 1,
                }
            }
        }
        Ok(deleted)
    }
}
