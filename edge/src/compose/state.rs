//! The state folder → a lock on it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use super::error::RunError;

/// The state folder is this process's alone until the file is dropped.
pub(super) fn lock(state: &Path) -> Result<File, RunError> {
    fs::create_dir_all(state).map_err(|source| RunError::State { path: state.to_owned(), source })?;
    let path = state.join("lock");
    let file = match File::create(&path) {
        // A disk that can't be written any more still holds a bundle, and people still want to come home.
        Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
        made => made,
    };
    let file = file.map_err(|source| RunError::State { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::InUse(state.to_owned())),
        Err(TryLockError::Error(source)) => Err(RunError::State { path, source }),
    }
}
