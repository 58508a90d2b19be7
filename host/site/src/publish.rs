//! A bundle for given devices → signed metadata of The Update Framework.

use std::collections::HashMap;
use std::num::NonZeroU64;

use lintel_core::table::Table;
use lintel_formats::bundle::{FileEntry, MANIFEST, Manifest};
use lintel_link::{Bound, Fingerprint};
use sha2::{Digest as _, Sha256};
use tough::TargetName;
use tough::schema::{Hashes, Metafile, RoleType, Snapshot, Target, Targets, Timestamp};

use super::keys::{SPECIFICATION, SigningKey, expires, sign};
use super::{Site, SiteError};

/// Signed files of metadata: name and content.
pub type Metadata = Vec<(String, Vec<u8>)>;

/// Versions of timestamp, snapshot and targets.
pub type Versions = [u64; 3];

impl Site {
    /// Signs the `files` of a push for these devices, with these versions.
    ///
    /// # Errors
    /// [`SiteError::Keys`], when a key is not in the site.
    pub fn publish(
        &self,
        files: &[FileEntry],
        (manifest, table): (&Manifest, &Table),
        devices: &[Fingerprint],
        [timestamp, snapshot, targets]: Versions,
    ) -> Result<Metadata, SiteError> {
        let root = self.newest_root()?.signed;
        let key = |role: RoleType| {
            let mut keys = self.role_keys(&root, role)?;
            keys.pop().ok_or_else(|| SiteError::Keys(format!("the {role} key is not in {}", self.dir.display())))
        };
        let keys = [key(RoleType::Targets)?, key(RoleType::Snapshot)?, key(RoleType::Timestamp)?];

        let mut listed = Targets::new(SPECIFICATION.to_owned(), number(targets), expires(self.days.targets));
        for file in files {
            let mut target = Target {
                length: file.bytes,
                hashes: Hashes { sha256: file.sha256.to_vec().into(), _extra: HashMap::new() },
                custom: HashMap::new(),
                _extra: HashMap::new(),
            };
            if file.name == MANIFEST {
                let bound = serde_json::to_value(Bound::of(manifest, table, devices)).expect("texts and a number");
                target.custom.insert(Bound::KEY.to_owned(), bound);
            }
            let name = TargetName::new(file.name.as_str()).map_err(|e| SiteError::Keys(e.to_string()))?;
            listed.add_target(name, target);
        }
        let signed_targets = sign(listed, &[&keys[0]])?;

        let mut together = Snapshot::new(SPECIFICATION.to_owned(), number(snapshot), expires(self.days.snapshot));
        together.meta.insert("targets.json".to_owned(), metafile(&signed_targets, targets));
        let signed_snapshot = sign(together, &[&keys[1]])?;

        let mut newest = Timestamp::new(SPECIFICATION.to_owned(), number(timestamp), expires(self.days.timestamp));
        newest.meta.insert("snapshot.json".to_owned(), metafile(&signed_snapshot, snapshot));
        let signed_timestamp = sign(newest, &[&keys[2]])?;

        Ok(vec![
            ("timestamp.json".to_owned(), signed_timestamp),
            (format!("{snapshot}.snapshot.json"), signed_snapshot),
            (format!("{targets}.targets.json"), signed_targets),
        ])
    }

    /// The roots that a device lacks, given the version that it has.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn roots_after(&self, version: u64) -> Result<Metadata, SiteError> {
        let newer = self.roots()?.into_iter().filter(|(root, _)| *root > version);
        Ok(newer.map(|(root, bytes)| (format!("{root}.root.json"), bytes)).collect())
    }

    /// The key of a role, for tests that sign what must be refused.
    #[doc(hidden)]
    pub fn one_key(&self, role: RoleType) -> Result<SigningKey, SiteError> {
        let root = self.newest_root()?.signed;
        self.role_keys(&root, role)?.pop().ok_or_else(|| SiteError::Keys(format!("no {role} key")))
    }
}

fn number(version: u64) -> NonZeroU64 {
    NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN)
}

fn hashes(content: &[u8]) -> Hashes {
    Hashes { sha256: Sha256::digest(content).to_vec().into(), _extra: HashMap::new() }
}

fn metafile(content: &[u8], version: u64) -> Metafile {
    Metafile {
        hashes: Some(hashes(content)),
        length: Some(content.len() as u64),
        version: number(version),
        _extra: HashMap::new(),
    }
}
