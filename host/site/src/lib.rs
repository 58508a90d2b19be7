//! A site: the keys whose signatures count at its doors, this workstation's identity, and the known devices ⇄ one
//! folder.
//!
//! ```text
//! SITE/site.json              how long signatures count
//! SITE/identity.lintel        this workstation's key (only its owner can read it)
//! SITE/keys/ROLE-….key        the keys that sign (likewise); those of the root may lie elsewhere
//! SITE/root/N.root.json       whose signatures count, one file for every change
//! SITE/devices/NAME.json      the devices: address, certificate, the end of their audit log when it was last seen
//! SITE/files/SHA256           what was pushed, to make the next push of
//! SITE/receipts/…             what devices signed
//! ```

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lintel_link::{Identity, IdentityError};
use lintel_work::failure::{Failure, reason};
use lintel_work::places;
use serde::{Deserialize, Serialize};

pub mod device;
pub mod devices;
pub mod files;
pub mod keys;
pub mod publish;

/// The file of the settings.
const SITE_FILE: &str = "site.json";
const FORMAT: u32 = 1;

/// How long signatures count, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// The root: who may sign.
    pub root: u32,
    /// The targets: what may be installed.
    pub targets: u32,
    /// The snapshot: which versions belong together.
    pub snapshot: u32,
    /// The timestamp: which version is the newest.
    pub timestamp: u32,
    /// This workstation's own key.
    pub workstation: u32,
}

impl Default for Days {
    fn default() -> Self {
        Self { root: 365, targets: 90, snapshot: 7, timestamp: 1, workstation: 730 }
    }
}

/// `site.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    format: u32,
    days: Days,
}

/// Why a site cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The folder holds no site.
    #[error("{} is not a site; `lintel keys new` makes one", .0.display())]
    None(PathBuf),
    /// The folder holds a site already.
    #[error("{} is a site already; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// No folder was given, and there is no default.
    #[error("no folder for the site: give one with --site DIR")]
    NoFolder,
    /// A file cannot be read or written.
    #[error("{}: {}", path.display(), reason(source))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file's content is wrong.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The workstation's key cannot be used.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
    /// Too few keys to sign.
    #[error("{0}")]
    Keys(String),
    /// No device has this name.
    #[error("no device is called {name:?}; known are: {known}")]
    UnknownDevice {
        /// The name that was asked for.
        name: String,
        /// The known names.
        known: String,
    },
}

impl From<SiteError> for Failure {
    fn from(error: SiteError) -> Self {
        match &error {
            SiteError::File { source, .. } if source.kind() != ErrorKind::NotFound => Self::work(error),
            _ => Self::input(error),
        }
    }
}

/// A site's folder.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    /// How long signatures count.
    pub days: Days,
    /// This workstation.
    pub identity: Identity,
}

impl Site {
    /// The default folder: `LINTEL_SITE`, or `lintel/site` in the configuration folder.
    ///
    /// # Errors
    /// [`SiteError::NoFolder`].
    pub fn usual() -> Result<PathBuf, SiteError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = || places::config().map(|config| config.join("site"));
        set("LINTEL_SITE").or_else(config).ok_or(SiteError::NoFolder)
    }

    /// Makes a new site with its workstation's identity, and without keys.
    ///
    /// # Errors
    /// [`SiteError`]; a site that exists is not changed.
    pub fn create(dir: &Path) -> Result<Self, SiteError> {
        if dir.join(SITE_FILE).exists() {
            return Err(SiteError::Exists(dir.to_owned()));
        }
        for folder in ["", "keys", "root", "devices", "files", "receipts"] {
            let path = dir.join(folder);
            fs::create_dir_all(&path).map_err(|source| SiteError::File { path: path.clone(), source })?;
        }
        fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(|source| SiteError::File { path: dir.to_owned(), source })?;
        let path = dir.join("identity.lintel");
        let identity = Identity::generate().map_err(|source| SiteError::Identity { path: path.clone(), source })?;
        write(&path, &identity.to_bytes())?;
        let settings = Settings { format: FORMAT, days: Days::default() };
        // Last: a site whose making was interrupted does not count.
        write(&dir.join(SITE_FILE), &pretty(&settings))?;
        Ok(Self { dir: dir.to_owned(), days: settings.days, identity })
    }

    /// Gives a site, such as a copy on a new machine, a new identity. Its devices stay listed; each must be paired
    /// again.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn renew_identity(dir: &Path) -> Result<Self, SiteError> {
        if !dir.join(SITE_FILE).exists() {
            return Err(SiteError::None(dir.to_owned()));
        }
        let path = dir.join("identity.lintel");
        let identity = Identity::generate().map_err(|source| SiteError::Identity { path: path.clone(), source })?;
        write(&path, &identity.to_bytes())?;
        Self::open(dir)
    }

    /// Opens a site.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn open(dir: &Path) -> Result<Self, SiteError> {
        let path = dir.join(SITE_FILE);
        if !path.exists() {
            return Err(SiteError::None(dir.to_owned()));
        }
        let settings: Settings = read_json(&path)?;
        if settings.format != FORMAT {
            let why = format!("format {}, this program reads {FORMAT}", settings.format);
            return Err(SiteError::Content { path, why });
        }
        let path = dir.join("identity.lintel");
        let bytes = read(&path)?;
        let identity = Identity::from_bytes(&bytes).map_err(|source| SiteError::Identity { path, source })?;
        Ok(Self { dir: dir.to_owned(), days: settings.days, identity })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The wall clock, in seconds since 1970.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "signatures are dated by the workstation's clock")]
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Writes a file of a site: whole or not at all, and readable by its owner only.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), SiteError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let store = || {
        // A name of its own: several pushes may write the same file at once.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        File::open(folder)?.sync_all()
    };
    store().map_err(|source| SiteError::File { path: path.to_owned(), source })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, SiteError> {
    fs::read(path).map_err(|source| SiteError::File { path: path.to_owned(), source })
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, SiteError> {
    serde_json::from_slice(&read(path)?).map_err(|e| SiteError::Content { path: path.to_owned(), why: e.to_string() })
}

pub(crate) fn pretty(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data")
}
