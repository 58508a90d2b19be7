//! Results that take long to compute → files in the user's cache, one for each detector and encoder.

pub mod embeddings;

use std::path::{Path, PathBuf};

use lintel_core::embed::EncoderId;
use sha2::{Digest as _, Sha256};

use crate::outdir::write_file;
use crate::places;

/// The file for the results of these two models; `None` where the user has no cache folder.
#[must_use]
pub fn file(folder: &str, detector: &[u8], encoder: EncoderId) -> Option<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(detector));
    hash.update(encoder.0);
    let name = hex::encode(&hash.finalize()[..12]);
    Some(places::cache()?.join(folder).join(format!("{name}.lintel")))
}

/// Writes the results, whole or not at all.
///
/// # Errors
/// One line with the reason. Without the file the results are computed again.
pub fn keep(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    write_file(file, bytes).map_err(|error| error.to_string())
}
