//! A device that was paired ⇄ `devices/NAME.json`.

use std::fs;
use std::path::PathBuf;

use lintel_link::Fingerprint;
use serde::{Deserialize, Serialize};

use super::{Site, SiteError, pretty, read_json, write};

/// A paired device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownDevice {
    /// Its name in the site: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Its certificate, in DER, in hex.
    pub certificate: String,
    /// Sequence number of the newest entry of its audit log that was read.
    #[serde(default)]
    pub journal: u64,
    /// The chain's hash at that entry, in hex.
    #[serde(default)]
    pub journal_head: String,
    /// SHA-256 of the table in its last receipt, in hex.
    #[serde(default)]
    pub table: String,
}

impl KnownDevice {
    /// The certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        hex::decode(&self.certificate).unwrap_or_default()
    }

    /// The fingerprint of its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate())
    }
}

/// Whether a device may have this name, which is also a file's name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.')
}

impl Site {
    fn device_path(&self, name: &str) -> PathBuf {
        self.dir.join("devices").join(format!("{name}.json"))
    }

    /// All devices, by name.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn devices(&self) -> Result<Vec<KnownDevice>, SiteError> {
        let folder = self.dir.join("devices");
        let entries = fs::read_dir(&folder).map_err(|source| SiteError::File { path: folder, source })?;
        let mut devices = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "json") {
                devices.push(read_json::<KnownDevice>(&path)?);
            }
        }
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(devices)
    }

    /// The device of this name.
    ///
    /// # Errors
    /// [`SiteError::UnknownDevice`].
    pub fn device(&self, name: &str) -> Result<KnownDevice, SiteError> {
        let devices = self.devices()?;
        let known = devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>().join(", ");
        devices.into_iter().find(|device| device.name == name).ok_or_else(|| SiteError::UnknownDevice {
            name: name.to_owned(),
            known: if known.is_empty() { "none (`lintel device pair ADDRESS`)".to_owned() } else { known },
        })
    }

    /// Stores a device, new or changed.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn remember(&self, device: &KnownDevice) -> Result<(), SiteError> {
        write(&self.device_path(&device.name), &pretty(device))
    }

    /// Deletes a device from the site; the device still knows this workstation.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn forget(&self, name: &str) -> Result<(), SiteError> {
        let path = self.device_path(name);
        fs::remove_file(&path).map_err(|source| SiteError::File { path, source })
    }

    /// Stores a signed receipt, and returns its file.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn keep_receipt(&self, device: &str, revision: u64, receipt: &impl Serialize) -> Result<PathBuf, SiteError> {
        let path = self.dir.join("receipts").join(format!("{device}-{revision}-{}.json", super::now()));
        write(&path, &pretty(receipt))?;
        Ok(path)
    }
}
