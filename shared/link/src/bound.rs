//! What a push's signature binds together.

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use lintel_core::table::Table;
use lintel_formats::bundle::{Manifest, Role};

/// The custom metadata of the manifest among the targets of The Update Framework, under [`Bound::KEY`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bound {
    /// The devices that the push is for: fingerprints in hex.
    pub devices: Vec<String>,
    /// Revision of the table.
    pub revision: u64,
    /// SHA-256 of the encoder, in hex.
    pub encoder: String,
    /// SHA-256 of the table, in hex.
    pub table: String,
    /// SHA-256 of the table's rule and calibration, in hex.
    pub calibration: String,
}

impl Bound {
    /// Its name among the custom metadata.
    pub const KEY: &str = "lintel";

    /// Of a bundle, for these devices.
    #[must_use]
    pub fn of(manifest: &Manifest, table: &Table, devices: &[Fingerprint]) -> Self {
        Self {
            devices: devices.iter().map(|device| device.to_string()).collect(),
            revision: manifest.revision,
            encoder: hex::encode(manifest.encoder.0),
            table: manifest.file(Role::Table).map(|file| hex::encode(file.sha256)).unwrap_or_default(),
            calibration: hex::encode(table.calibration_hash()),
        }
    }
}
