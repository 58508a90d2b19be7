//! Metadata of The Update Framework → the files that may be installed, or the attack that it is.
//!
//! The verification is crate `tough`'s. It works on a copy of what was seen last, and what it accepts is remembered
//! only when the bundle that it describes was proved, with everything else in one file. Expiry is checked here, because
//! the library reads the system's clock, and a device may wake up in 1970: the time used is the later of the clock and
//! of the latest time that is known to have passed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lintel_formats::bundle::{MANIFEST, MAX_FILE_BYTES, Role};
use lintel_formats::reference::REFERENCE;
use lintel_link::{Bound, Fingerprint};
use lintel_wire::link::{Hash, MAX_METADATA, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tough::error::Error as TufError;
use tough::schema::{Role as _, RoleType, Root, Signed};
use tough::{ExpirationEnforcement, FilesystemTransport, Limits, Repository, RepositoryLoader, TransportErrorKind};
use url::Url;

/// A version may exceed what was seen by so much; beyond it is a fast-forward attack.
pub const MAX_STEP: u64 = 1_000_000;
/// No version may reach this, or nothing could follow it.
pub const MAX_VERSION: u64 = 1 << 40;
/// Most roots that one push may bring.
pub const MAX_ROOTS: u64 = 32;

/// The names of a push's files, and whether every push has the file, in the order in which they are asked for: the
/// models last, since the others are small.
fn file_names() -> impl Iterator<Item = (&'static str, bool)> {
    let small = [(MANIFEST, true), (Role::Table.file_name(), Role::Table.is_required()), (REFERENCE, true)];
    let models = Role::ALL.into_iter().filter(|role| *role != Role::Table);
    small.into_iter().chain(models.map(|role| (role.file_name(), role.is_required())))
}

/// Whose signatures count, and what was seen last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trust {
    /// `root.json`.
    pub root: Vec<u8>,
    /// `timestamp.json`; empty before the first push.
    pub timestamp: Vec<u8>,
    /// `snapshot.json`; empty before the first push.
    pub snapshot: Vec<u8>,
    /// `targets.json`; empty before the first push.
    pub targets: Vec<u8>,
    /// The latest time that is known to have passed, in seconds since 1970.
    pub seen_at: u64,
}

/// A refusal, for a program and for a person.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// The reason that the workstation is given.
    pub why: Refusal,
    /// In words.
    pub text: String,
}

impl Refused {
    /// Of this kind, with these words.
    pub fn new(why: Refusal, text: impl Into<String>) -> Self {
        Self { why, text: text.into() }
    }
}

/// A file with the hash and length that the targets role signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedFile {
    /// The name of a role's file, of the manifest, or of the reference.
    pub name: &'static str,
    /// SHA-256 of its content.
    pub sha256: Hash,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What may be installed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The files of the push, in the order in which they are asked for.
    pub files: Vec<SignedFile>,
    /// What the table is bound to.
    pub bound: Bound,
    /// What is to be remembered once the bundle was proved.
    pub trust: Trust,
}

impl Trust {
    /// Begins with a root that a person at the device let in.
    ///
    /// # Errors
    /// [`Refused`] where it is no root, or not signed by its own keys.
    pub fn new(root: &[u8]) -> Result<Self, Refused> {
        parse_root(root)?;
        Ok(Self { root: root.to_vec(), ..Self::default() })
    }

    /// Whether `brought` is a root of the same site: this one, or one that its keys lead to over the roots in `chain`.
    ///
    /// # Errors
    /// [`Refused`]: another site's, one that is older, or a chain with a gap.
    pub fn leads_to(&self, brought: &[u8], chain: &[Vec<u8>]) -> Result<(), Refused> {
        if self.root == brought {
            return Ok(());
        }
        let mut known = parse_root(&self.root)?;
        let newest = parse_root(brought)?.signed.version;
        if newest < known.signed.version {
            let text = "the device belongs to another site, or to a newer state of this one: bring the workstation's \
                copy of the site up to date, or let the device forget its own (`lintel-edge unpair` on it)";
            return Err(Refused::new(Refusal::OtherSite, text));
        }
        for bytes in chain.iter().map(Vec::as_slice).chain([brought]) {
            let next = parse_root(bytes)?;
            if next.signed.version <= known.signed.version {
                continue;
            }
            let follows = next.signed.version == known.signed.version.saturating_add(1)
                && known.signed.verify_role(&next).is_ok();
            if !follows {
                let text = "the device belongs to another site; `lintel-edge unpair` on it makes it forget that one";
                return Err(Refused::new(Refusal::OtherSite, text));
            }
            known = next;
        }
        if known.signed.version == newest && self.root_version() < newest.get() {
            return Ok(());
        }
        let text = "the device belongs to another site; `lintel-edge unpair` on it makes it forget that one";
        Err(Refused::new(Refusal::OtherSite, text))
    }

    /// Version of the newest trusted root; 0 if it cannot be read.
    #[must_use]
    pub fn root_version(&self) -> u64 {
        parse_root(&self.root).map_or(0, |root| root.signed.version.get())
    }

    /// Versions of timestamp, snapshot and targets; 0 where none was seen.
    #[must_use]
    pub fn versions(&self) -> [u64; 3] {
        [&self.timestamp, &self.snapshot, &self.targets].map(|bytes| version(bytes))
    }

    /// Verifies the `sent` metadata for the device at `now` (seconds since 1970, a lower bound).
    ///
    /// # Errors
    /// [`Refused`]: nothing of it is to be believed.
    pub fn verify(&self, sent: &BTreeMap<String, Vec<u8>>, device: Fingerprint, now: u64) -> Result<Offer, Refused> {
        for (name, bytes) in sent {
            check_name(name)?;
            if bytes.len() > MAX_METADATA {
                return Err(Refused::new(Refusal::EndlessData, format!("{name} has more than {MAX_METADATA} bytes")));
            }
        }
        let folder = tempfile::tempdir().map_err(|e| storage(&e))?;
        let [metadata, store] = ["metadata", "store"].map(|name| folder.path().join(name));
        for path in [&metadata, &store] {
            fs::create_dir(path).map_err(|e| storage(&e))?;
        }
        for (name, bytes) in sent {
            fs::write(metadata.join(name), bytes).map_err(|e| storage(&e))?;
        }
        let old =
            [("timestamp.json", &self.timestamp), ("snapshot.json", &self.snapshot), ("targets.json", &self.targets)];
        for (name, bytes) in old {
            if !bytes.is_empty() {
                fs::write(store.join(name), bytes).map_err(|e| storage(&e))?;
            }
        }
        let repository = self.load(&metadata, &store).map_err(|e| self.refusal(&e, sent))?;
        check_dates(&repository, now)?;
        let root = self.newest_root(&repository, sent)?;
        let read = |name: &str| fs::read(store.join(name)).map_err(|e| storage(&e));
        let trust = Self {
            root,
            timestamp: read("timestamp.json")?,
            snapshot: read("snapshot.json")?,
            targets: read("targets.json")?,
            seen_at: now.max(self.seen_at),
        };
        self.check_steps(&trust)?;
        let (files, bound) = listed(&repository)?;
        if !bound.devices.iter().any(|listed| *listed == device.to_string()) {
            let text = "the push is signed for other devices and not for this one";
            return Err(Refused::new(Refusal::WrongDevice, text));
        }
        Ok(Offer { files, bound, trust })
    }

    fn load(&self, metadata: &Path, store: &Path) -> Result<Repository, Box<TufError>> {
        let url = |path: &Path| Url::from_directory_path(path).expect("temporary folders have absolute paths");
        let limits = Limits {
            max_root_size: MAX_METADATA as u64,
            max_targets_size: MAX_METADATA as u64,
            max_timestamp_size: MAX_METADATA as u64,
            max_snapshot_size: MAX_METADATA as u64,
            max_root_updates: MAX_ROOTS,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        let loader = RepositoryLoader::new(&self.root, url(metadata), url(metadata))
            .transport(FilesystemTransport)
            .limits(limits)
            .datastore(store)
            .expiration_enforcement(ExpirationEnforcement::Unsafe);
        runtime.block_on(loader.load()).map_err(Box::new)
    }

    /// The bytes of the root that the repository ended with.
    fn newest_root(&self, repository: &Repository, sent: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Refused> {
        let version = repository.root().signed.version.get();
        if version == self.root_version() {
            return Ok(self.root.clone());
        }
        let bytes = sent.get(&format!("{version}.root.json"));
        bytes.cloned().ok_or_else(|| Refused::new(Refusal::Metadata, format!("root {version} was not sent")))
    }

    /// Versions go up in steps that leave room for others after them.
    fn check_steps(&self, new: &Self) -> Result<(), Refused> {
        // A root that takes a key away is how one recovers from a fast-forward: then no step is too large.
        let same_root = new.root == self.root;
        let pairs = self.versions().into_iter().zip(new.versions());
        for (name, (old, new)) in ["timestamp", "snapshot", "targets"].into_iter().zip(pairs) {
            let too_far = same_root && new > old.saturating_add(MAX_STEP);
            if too_far || new >= MAX_VERSION {
                let text = format!("{name} has version {new}, {old} was seen last: nothing could follow it");
                return Err(Refused::new(Refusal::FastForward, text));
            }
        }
        Ok(())
    }

    fn refusal(&self, error: &TufError, sent: &BTreeMap<String, Vec<u8>>) -> Refused {
        let why = match error {
            TufError::VerifyMetadata { .. } | TufError::VerifyRoleMetadata { .. } => {
                if self.signed_by_a_former_key(sent) { Refusal::RevokedKey } else { Refusal::Signature }
            }
            TufError::VerifyTrustedMetadata { .. } => Refusal::Signature,
            TufError::OlderMetadata { .. }
            | TufError::OlderSnapshotInTimestamp { .. }
            | TufError::SnapshotRoleMissing { .. }
            | TufError::SnapshotRoleRollback { .. } => Refusal::Rollback,
            TufError::ExpiredMetadata { .. } => Refusal::Freeze,
            TufError::MaxSizeExceeded { .. } | TufError::MaxUpdatesExceeded { .. } => Refusal::EndlessData,
            TufError::HashMismatch { .. } | TufError::VersionMismatch { .. } => Refusal::MixAndMatch,
            TufError::Transport { source, .. } => return transport(source, error),
            _ => Refusal::Metadata,
        };
        Refused::new(why, format!("the metadata is refused ({why}): {error}"))
    }

    /// Whether something sent was signed by a key of an older root that the newest has no more.
    fn signed_by_a_former_key(&self, sent: &BTreeMap<String, Vec<u8>>) -> bool {
        let roots: BTreeMap<u64, &Vec<u8>> = sent
            .iter()
            .filter_map(|(name, bytes)| name.strip_suffix(".root.json").map(|version| (version, bytes)))
            .filter_map(|(version, bytes)| Some((version.parse().ok()?, bytes)))
            .chain([(self.root_version(), &self.root)])
            .collect();
        let Some(newest) = roots.values().next_back().and_then(|bytes| parse_root(bytes).ok()) else { return false };
        let former = roots
            .values()
            .filter_map(|bytes| parse_root(bytes).ok())
            .flat_map(|root| root.signed.keys.keys().map(|id| hex::encode(id.as_ref())).collect::<Vec<_>>());
        let gone: Vec<String> =
            former.filter(|id| !newest.signed.keys.keys().any(|kept| hex::encode(kept.as_ref()) == *id)).collect();
        sent.iter()
            .filter(|(name, _)| !name.ends_with(".root.json"))
            .any(|(_, bytes)| signers(bytes).iter().any(|signer| gone.contains(signer)))
    }
}

/// A file that is missing among what was sent, or could not be read back.
fn transport(source: &tough::TransportError, error: &TufError) -> Refused {
    // The limits of what is read arrive as errors of the transport too.
    let chain = std::iter::successors(Some(source as &dyn std::error::Error), |e| e.source());
    for cause in chain {
        if let Some(inner) = cause.downcast_ref::<TufError>() {
            let why = match inner {
                TufError::MaxSizeExceeded { .. } => Refusal::EndlessData,
                TufError::HashMismatch { .. } => Refusal::MixAndMatch,
                _ => Refusal::Metadata,
            };
            return Refused::new(why, format!("the metadata is refused ({why}): {inner}"));
        }
    }
    if source.kind() == TransportErrorKind::FileNotFound {
        return Refused::new(Refusal::MixAndMatch, format!("a file of the metadata was not sent: {error}"));
    }
    Refused::new(Refusal::Metadata, format!("the metadata cannot be read: {error}"))
}

fn storage(error: &std::io::Error) -> Refused {
    Refused::new(Refusal::Storage, format!("the device cannot write temporary files: {error}"))
}

/// `timestamp.json`, or a number before the name of another role.
fn check_name(name: &str) -> Result<(), Refused> {
    let numbered = name.split_once('.').is_some_and(|(number, rest)| {
        let number = (1..=19).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        number && ["root.json", "snapshot.json", "targets.json"].contains(&rest)
    });
    if numbered || name == "timestamp.json" {
        return Ok(());
    }
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    Err(Refused::new(Refusal::Extraneous, format!("{name:?} is no file of a push's metadata")))
}

/// The dates of all four roles.
fn check_dates(repository: &Repository, now: u64) -> Result<(), Refused> {
    let dates = [
        (RoleType::Root, repository.root().signed.expires()),
        (RoleType::Timestamp, repository.timestamp().signed.expires()),
        (RoleType::Snapshot, repository.snapshot().signed.expires()),
        (RoleType::Targets, repository.targets().signed.expires()),
    ];
    for (role, expires) in dates {
        if u64::try_from(expires.as_second()).unwrap_or(0) < now {
            let why = if role == RoleType::Root { Refusal::ExpiredKey } else { Refusal::Freeze };
            return Err(Refused::new(why, format!("{role} was valid until {expires}, which is past: sign anew")));
        }
    }
    Ok(())
}

/// The files that the targets list, exactly ours, and what the table is bound to.
fn listed(repository: &Repository) -> Result<(Vec<SignedFile>, Bound), Refused> {
    let targets = &repository.targets().signed;
    if targets.delegations.as_ref().is_some_and(|delegations| !delegations.roles.is_empty()) {
        return Err(Refused::new(Refusal::Metadata, "the targets are delegated, which a push's are not"));
    }
    for (name, _) in repository.all_targets() {
        if !file_names().any(|(known, _)| known == name.raw()) {
            let name: String = name.raw().chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Refused::new(Refusal::Extraneous, format!("{name:?} is no file of a push")));
        }
    }
    let mut files = Vec::new();
    let mut bound = None;
    for (name, required) in file_names() {
        let Some((_, target)) = repository.all_targets().find(|(target, _)| target.raw() == name) else {
            if required {
                return Err(Refused::new(Refusal::Bundle, format!("{name} is not among the files")));
            }
            continue;
        };
        let sha256 = Hash::try_from(target.hashes.sha256.as_ref())
            .map_err(|_| Refused::new(Refusal::Metadata, format!("{name} has no SHA-256")))?;
        if !(1..=MAX_FILE_BYTES).contains(&target.length) {
            let text = format!("{name} has {} bytes, wanted 1 to {MAX_FILE_BYTES}", target.length);
            return Err(Refused::new(Refusal::EndlessData, text));
        }
        files.push(SignedFile { name, sha256, bytes: target.length });
        if name == MANIFEST {
            let value = target.custom.get(Bound::KEY).cloned().unwrap_or(Value::Null);
            bound = serde_json::from_value::<Bound>(value).ok();
        }
    }
    let bound = bound.ok_or_else(|| {
        Refused::new(Refusal::Metadata, "the manifest's metadata does not say what the table is bound to")
    })?;
    Ok((files, bound))
}

fn parse_root(bytes: &[u8]) -> Result<Signed<Root>, Refused> {
    let malformed = |e: &dyn std::fmt::Display| Refused::new(Refusal::Metadata, format!("root.json: {e}"));
    if bytes.len() > MAX_METADATA {
        return Err(Refused::new(Refusal::EndlessData, format!("root.json has more than {MAX_METADATA} bytes")));
    }
    let root: Signed<Root> = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    root.signed.verify_role(&root).map_err(|e| Refused::new(Refusal::Signature, format!("root.json: {e}")))?;
    if !root.signed.consistent_snapshot {
        return Err(Refused::new(Refusal::Metadata, "root.json does not ask for consistent snapshots"));
    }
    Ok(root)
}

/// The version in a metadata file; 0 where there is none.
fn version(bytes: &[u8]) -> u64 {
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    value.and_then(|value| value.pointer("/signed/version")?.as_u64()).unwrap_or(0)
}

/// The keys that claim to have signed a file.
fn signers(bytes: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let signatures = value.pointer("/signatures").and_then(Value::as_array);
    let ids = signatures.into_iter().flatten().filter_map(|signature| signature.get("keyid")?.as_str());
    ids.map(str::to_owned).collect()
}
