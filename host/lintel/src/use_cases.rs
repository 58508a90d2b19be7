//! What the program can do, one module per verb: `Request` → `run` → `Outcome`.
//!
//! Plain types, no command line and no terminal: the command line makes the requests and tells the outcomes, tests and
//! the demo call the same functions. Long work tells its steps through [`lintel_work::progress::Progress`].

pub mod audit;
pub mod bench;
pub mod compute;
pub mod demo;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod ingest;
pub mod keys;
pub mod learning;
pub mod packs;
pub mod push;
pub mod quantize;
pub mod render;
pub mod report;
pub mod runtime;
pub mod table;
pub mod thresholds;
pub mod train;

use std::path::{Path, PathBuf};

use lintel_work::failure::Failure;

/// The folder that a use case makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where; a folder that the same use case made before is replaced.
    pub folder: PathBuf,
    /// Another folder that is in the way is moved to `DIR.old-1`; otherwise it is an error.
    pub force: bool,
}

impl Output {
    /// This folder; another one that is in the way is an error.
    pub fn to(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), force: false }
    }
}

/// A folder that is read: it must be there.
///
/// # Errors
/// [`Failure::Input`] names it.
pub fn existing_folder(path: &Path) -> Result<(), Failure> {
    match std::fs::metadata(path) {
        Err(error) => Err(Failure::reading(path, &error)),
        Ok(meta) if !meta.is_dir() => Err(Failure::input(format!("{} is not a folder", path.display()))),
        Ok(_) => Ok(()),
    }
}
