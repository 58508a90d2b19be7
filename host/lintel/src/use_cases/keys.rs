//! Whose signatures count at the site's doors.

use std::path::{Path, PathBuf};

use lintel_link::Fingerprint;
use lintel_site::Site;
use lintel_site::keys::SigningKey;
use lintel_work::failure::Failure;
use tough::schema::{RoleType, Root};

/// What to do with keys.
#[derive(Debug, Clone)]
pub struct Request {
    /// The site's folder; `None`: the usual one.
    pub site: Option<PathBuf>,
    /// What to do.
    pub action: Action,
}

/// What can be done with keys.
#[derive(Debug, Clone)]
pub enum Action {
    /// Make a site with its keys and its first root.
    New {
        /// Root keys to make.
        root_keys: u32,
        /// How many of them must sign.
        threshold: u32,
    },
    /// Show the newest root and its keys.
    Show,
    /// Make this workstation another one.
    Identity,
    /// Replace the keys of a role.
    Rotate {
        /// Whose keys.
        role: RoleType,
        /// Keys of the root that are kept elsewhere.
        root_keys: Vec<PathBuf>,
    },
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A site was made.
    Made {
        /// Its folder.
        site: PathBuf,
        /// Files of the root keys.
        root_keys: Vec<PathBuf>,
        /// How many of them must sign.
        threshold: u32,
    },
    /// The newest root.
    Shown(Shown),
    /// This workstation is another one now.
    Renewed(Fingerprint),
    /// A role has new keys.
    Rotated {
        /// Version of the new root.
        root: u64,
        /// Whose keys.
        role: RoleType,
    },
}

/// A site's newest root.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The site's folder.
    pub site: PathBuf,
    /// Version of the root.
    pub root: u64,
    /// When it expires, RFC 3339.
    pub expires: String,
    /// Fingerprint of this workstation's certificate.
    pub workstation: Fingerprint,
    /// Each role with its keys.
    pub roles: Vec<RoleKeys>,
    /// Ids of the keys that lie in the site.
    pub here: Vec<String>,
}

/// Who must sign for a role of The Update Framework.
#[derive(Debug, Clone)]
pub struct RoleKeys {
    /// Whose keys.
    pub role: RoleType,
    /// How many must sign.
    pub threshold: u64,
    /// Ids, hexadecimal.
    pub keys: Vec<String>,
}

/// Does it.
///
/// # Errors
/// [`Failure`].
pub fn run(request: &Request) -> Result<Outcome, Failure> {
    let dir = match &request.site {
        Some(dir) => dir.clone(),
        None => Site::usual()?,
    };
    match &request.action {
        Action::New { root_keys, threshold } => made(&dir, *root_keys, *threshold),
        Action::Identity => Ok(Outcome::Renewed(Site::renew_identity(&dir)?.identity.fingerprint())),
        Action::Show => shown(&Site::open(&dir)?).map(Outcome::Shown),
        Action::Rotate { role, root_keys } => {
            Ok(Outcome::Rotated { root: Site::open(&dir)?.rotate(*role, root_keys)?, role: *role })
        }
    }
}

fn made(dir: &Path, root_keys: u32, threshold: u32) -> Result<Outcome, Failure> {
    if threshold > root_keys {
        return Err(Failure::input(format!("--threshold {threshold} is more than --root-keys {root_keys}")));
    }
    let root_keys = Site::create(dir)?.make_keys(root_keys, threshold)?;
    Ok(Outcome::Made { site: dir.into(), root_keys, threshold })
}

fn shown(site: &Site) -> Result<Shown, Failure> {
    let root: Root = site.newest_root()?.signed;
    let here =
        site.key_files()?.iter().map(|path| SigningKey::open(path).map(|key| key.id())).collect::<Result<_, _>>()?;
    let all = [RoleType::Root, RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];
    let keys = |role| {
        let keys = root.roles.get(&role)?;
        let ids = keys.keyids.iter().map(|id| hex::encode(id.as_ref())).collect();
        Some(RoleKeys { role, threshold: keys.threshold.into(), keys: ids })
    };
    Ok(Shown {
        site: site.dir().into(),
        root: root.version.into(),
        expires: root.expires.to_string(),
        workstation: site.identity.fingerprint(),
        roles: all.into_iter().filter_map(keys).collect(),
        here,
    })
}
