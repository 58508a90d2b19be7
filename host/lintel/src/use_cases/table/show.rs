//! A table, wherever it lies.

use std::path::{Path, PathBuf};

use lintel_core::table::Table;
use lintel_formats::bundle::Role;
use lintel_formats::table::MAX_FILE_BYTES;
use lintel_work::failure::Failure;

/// Which table.
#[derive(Debug, Clone)]
pub struct Request {
    /// A trained folder, a bundle, or the file itself.
    pub table: PathBuf,
}

/// A table that was read.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// As in [`Request::table`].
    pub path: PathBuf,
    /// People, class embeddings, rule, calibration.
    pub table: Table,
}

/// Reads it.
///
/// # Errors
/// [`Failure::Input`] for what is no table.
pub fn run(request: &Request) -> Result<Outcome, Failure> {
    Ok(Outcome { path: request.table.clone(), table: read_table(&request.table)? })
}

/// The table of a trained folder, of a bundle, or the file itself.
pub(in crate::use_cases) fn read_table(path: &Path) -> Result<Table, Failure> {
    let file = &if path.is_dir() { path.join(Role::Table.file_name()) } else { path.to_owned() };
    let meta = std::fs::metadata(file).map_err(|error| Failure::reading(file, &error))?;
    if meta.len() > MAX_FILE_BYTES as u64 {
        return Err(Failure::input(format!("{} is too long for an identity table", file.display())));
    }
    let bytes = std::fs::read(file).map_err(|error| Failure::reading(file, &error))?;
    lintel_formats::table::from_bytes(&bytes).map_err(|error| Failure::input(format!("{}: {error}", file.display())))
}
