//! The keys that sign, and the roots that say which signatures count.
//!
//! The root is signed by a threshold of its keys. Every change of keys is a new root, signed by enough old keys and
//! enough new ones. Keys are Ed25519 in PKCS#8.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::Timestamp;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use tough::schema::{Role, RoleKeys, RoleType, Root, Signature, Signed};

use super::{Site, SiteError, now, read, write};

/// The version of The Update Framework's specification that is used.
pub const SPECIFICATION: &str = "1.0.0";
/// The most keys of a root.
pub const MAX_ROOT_KEYS: u32 = 16;
/// The roles whose keys are on this workstation.
pub const ONLINE: [RoleType; 3] = [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    id: Decoded<Hex>,
    key: Key,
}

impl SigningKey {
    /// Makes a new key, and returns it with its file's content.
    fn generate() -> Result<(Self, Vec<u8>), SiteError> {
        let failed = |_| SiteError::Keys("the system has no random numbers".to_owned());
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
        let bytes = document.as_ref().to_vec();
        Ok((Self::from_pkcs8(&bytes).map_err(SiteError::Keys)?, bytes))
    }

    fn from_pkcs8(bytes: &[u8]) -> Result<Self, String> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| "not an Ed25519 key in PKCS#8".to_owned())?;
        let key = Key::Ed25519 {
            keyval: Ed25519Key { public: pair.public_key().as_ref().to_vec().into(), _extra: HashMap::new() },
            scheme: Ed25519Scheme::Ed25519,
            _extra: HashMap::new(),
        };
        let id = key.key_id().map_err(|e| e.to_string())?;
        Ok(Self { pair, id, key })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn open(path: &Path) -> Result<Self, SiteError> {
        let bytes = read(path)?;
        Self::from_pkcs8(&bytes).map_err(|why| SiteError::Content { path: path.to_owned(), why })
    }

    /// Its key id in roots, in hex.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.id.as_ref())
    }
}

/// A role's metadata with the signatures of these keys, as in its file.
///
/// # Errors
/// [`SiteError::Keys`].
pub fn sign<T: Role>(role: T, keys: &[&SigningKey]) -> Result<Vec<u8>, SiteError> {
    let failed = |e: &dyn std::fmt::Display| SiteError::Keys(format!("cannot sign: {e}"));
    let words = role.canonical_form().map_err(|e| failed(&e))?;
    let signature =
        |key: &&SigningKey| Signature { keyid: key.id.clone(), sig: key.pair.sign(&words).as_ref().to_vec().into() };
    let signed = Signed { signed: role, signatures: keys.iter().map(signature).collect() };
    serde_json::to_vec_pretty(&signed).map_err(|e| failed(&e))
}

/// The date this many days from now.
#[must_use]
pub fn expires(days: u32) -> Timestamp {
    let at = now() + u64::from(days) * 86_400;
    i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(Timestamp::MAX)
}

fn role_name(role: RoleType) -> String {
    role.to_string()
}

impl Site {
    /// Makes the first keys and the first root; returns the files of the root's keys, which should be kept elsewhere.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn make_keys(&self, root_keys: u32, threshold: u32) -> Result<Vec<PathBuf>, SiteError> {
        if !(1..=MAX_ROOT_KEYS).contains(&root_keys) || !(1..=root_keys).contains(&threshold) {
            let text = format!(
                "{threshold} of {root_keys} root keys, wanted 1 to {MAX_ROOT_KEYS} keys and a threshold of 1 to as many"
            );
            return Err(SiteError::Keys(text));
        }
        let mut files = Vec::new();
        let mut root = Vec::new();
        for _ in 0..root_keys {
            let (key, path) = self.new_key(RoleType::Root)?;
            root.push(key);
            files.push(path);
        }
        let mut keys: HashMap<Decoded<Hex>, Key> = root.iter().map(|key| (key.id.clone(), key.key.clone())).collect();
        let mut roles = HashMap::new();
        roles.insert(RoleType::Root, role_keys(&root.iter().collect::<Vec<_>>(), threshold));
        for role in ONLINE {
            let (key, _) = self.new_key(role)?;
            roles.insert(role, role_keys(&[&key], 1));
            keys.insert(key.id.clone(), key.key);
        }
        let first = Root {
            spec_version: SPECIFICATION.to_owned(),
            consistent_snapshot: true,
            version: NonZeroU64::MIN,
            expires: expires(self.days.root),
            keys,
            roles,
            _extra: HashMap::new(),
        };
        self.write_root(first, &root.iter().collect::<Vec<_>>())?;
        Ok(files)
    }

    /// Replaces the keys of a role by new ones in a new root, and deletes the old ones. `others` are root keys that are
    /// not in the site.
    ///
    /// # Errors
    /// [`SiteError::Keys`] when too few of the old root's keys are found.
    pub fn rotate(&self, role: RoleType, others: &[PathBuf]) -> Result<u64, SiteError> {
        let old = self.newest_root()?.signed;
        let mut signers = self.root_keys(&old, others)?;
        let threshold = old.roles.get(&RoleType::Root).map_or(1, |keys| keys.threshold.get());
        if (signers.len() as u64) < threshold {
            return Err(SiteError::Keys(format!(
                "{} of the root's keys are here, {threshold} must sign; give more with --root-key FILE",
                signers.len()
            )));
        }
        let mut root = old.clone();
        let gone = root.roles.get(&role).map(|keys| keys.keyids.clone()).unwrap_or_default();
        let mut fresh = Vec::new();
        for _ in 0..gone.len().max(1) {
            fresh.push(self.new_key(role)?.0);
        }
        root.keys.retain(|id, _| !gone.contains(id));
        root.keys.extend(fresh.iter().map(|key| (key.id.clone(), key.key.clone())));
        let least = root.roles.get(&role).map_or(1, |keys| u32::try_from(keys.threshold.get()).unwrap_or(1));
        root.roles.insert(role, role_keys(&fresh.iter().collect::<Vec<_>>(), least));
        root.version = old.version.saturating_add(1);
        root.expires = expires(self.days.root);
        if role == RoleType::Root {
            signers.extend(fresh);
        }
        let version = root.version.get();
        self.write_root(root, &signers.iter().collect::<Vec<_>>())?;
        // They never sign again, and a thief could still deceive a device that has not got the new root.
        for path in self.key_files()? {
            if gone.contains(&SigningKey::open(&path)?.id) {
                fs::remove_file(&path).map_err(|source| SiteError::File { path: path.clone(), source })?;
            }
        }
        Ok(version)
    }

    /// The current root.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn newest_root(&self) -> Result<Signed<Root>, SiteError> {
        let (_, bytes) = self.roots()?.pop().ok_or_else(|| SiteError::Keys("the site has no root yet".to_owned()))?;
        parse(&bytes, &self.dir.join("root"))
    }

    /// All roots, oldest first, with their versions.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn roots(&self) -> Result<Vec<(u64, Vec<u8>)>, SiteError> {
        let folder = self.dir.join("root");
        let entries = fs::read_dir(&folder).map_err(|source| SiteError::File { path: folder, source })?;
        let mut roots = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(version) = name.strip_suffix(".root.json").and_then(|version| version.parse().ok()) {
                roots.push((version, read(&path)?));
            }
        }
        roots.sort_unstable();
        Ok(roots)
    }

    /// The keys of a role that the newest root lists and that are in the site.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn role_keys(&self, root: &Root, role: RoleType) -> Result<Vec<SigningKey>, SiteError> {
        let listed = root.roles.get(&role).map(|keys| keys.keyids.clone()).unwrap_or_default();
        let mut keys = Vec::new();
        for path in self.key_files()? {
            let key = SigningKey::open(&path)?;
            if listed.contains(&key.id) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn root_keys(&self, root: &Root, others: &[PathBuf]) -> Result<Vec<SigningKey>, SiteError> {
        let mut keys = self.role_keys(root, RoleType::Root)?;
        for path in others {
            let key = SigningKey::open(path)?;
            let listed = root.roles.get(&RoleType::Root).is_some_and(|keys| keys.keyids.contains(&key.id));
            if !listed {
                let why = "is not a key of the root".to_owned();
                return Err(SiteError::Content { path: path.clone(), why });
            }
            if !keys.iter().any(|known| known.id == key.id) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Files of keys in the site.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn key_files(&self) -> Result<Vec<PathBuf>, SiteError> {
        let folder = self.dir.join("keys");
        let entries = fs::read_dir(&folder).map_err(|source| SiteError::File { path: folder, source })?;
        let is_key = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "key");
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_key).collect();
        files.sort();
        Ok(files)
    }

    fn new_key(&self, role: RoleType) -> Result<(SigningKey, PathBuf), SiteError> {
        let (key, bytes) = SigningKey::generate()?;
        let path = self.dir.join("keys").join(format!("{}-{}.key", role_name(role), &key.id()[..16]));
        write(&path, &bytes)?;
        Ok((key, path))
    }

    fn write_root(&self, root: Root, signers: &[&SigningKey]) -> Result<(), SiteError> {
        let path = self.dir.join("root").join(format!("{}.root.json", root.version));
        if path.exists() {
            return Err(SiteError::Exists(path));
        }
        let bytes = sign(root, signers)?;
        write(&path, &bytes)
    }
}

fn role_keys(keys: &[&SigningKey], threshold: u32) -> RoleKeys {
    RoleKeys {
        keyids: keys.iter().map(|key| key.id.clone()).collect(),
        threshold: NonZeroU64::new(threshold.into()).unwrap_or(NonZeroU64::MIN),
        _extra: HashMap::new(),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Signed<Root>, SiteError> {
    serde_json::from_slice(bytes)
        .map_err(|e| SiteError::Content { path: path.to_owned(), why: format!("a root cannot be read: {e}") })
}
