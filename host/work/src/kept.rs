//! What takes long to compute and can be computed again → files in the user's cache, one for each detector and encoder.

pub mod embeddings;

use std::path::{Path, PathBuf};

use lintel_core::embed::EncoderId;
use sha2::{Digest as _, Sha256};

use crate::outdir::write_file;
use crate::places;

/// Where it is kept what these two models made; `None` where the user has no cache folder.
#[must_use]
pub fn file(folder: &str, detector: &[u8], encoder: EncoderId) -> Option<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(detector));
    hash.update(encoder.0);
    let name = hex::encode(&hash.finalize()[..12]);
    Some(places::cache()?.join(folder).join(format!("{name}.lintel")))
}

/// Writes it, whole or not at all.
///
/// # Errors
/// One line that says why not; nothing is lost but time.
pub fn keep(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    write_file(file, bytes).map_err(|error| error.to_string())
}
