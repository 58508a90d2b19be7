//! One module per verb: checks its input, takes its output folder, calls the parts, says what came of it.

pub mod audit;
pub mod bench;
pub mod completions;
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

use std::path::Path;

use lintel_work::failure::Failure;

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
