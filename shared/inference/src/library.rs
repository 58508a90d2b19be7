//! Where ONNX Runtime's shared library may be → its path: given, beside the program, in the program's cache folder, or
//! fetched into it by package name.
//!
//! A fetched library is pinned by SHA-256. A library that somebody gives by path or puts beside the program is theirs
//! to choose (a GPU build, say): it must only be new enough, and loading it checks that.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::one_line::one_line;

/// The version that is fetched.
pub const VERSION: &str = "1.32.0";
/// The oldest version that works, given by a path.
pub const MIN_VERSION: &str = "1.17";
/// The environment variable that names a library.
pub const VARIABLE: &str = "LINTEL_ONNXRUNTIME";

/// The library's place in the fetched package, and its name in the cache.
const MEMBER: &str = "onnxruntime/capi/libonnxruntime.so.1.32.0";
const FILE: &str = "libonnxruntime.so.1.32.0";
/// Far more than any build of it has; a package that claims more is not unpacked.
const MAX_BYTES: u64 = 256 << 20;

/// Which library to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    /// This one, and no other. Without it, the environment variable `LINTEL_ONNXRUNTIME` is read.
    pub path: Option<PathBuf>,
    /// The folder of the program that holds fetched libraries; without it none is looked for there or fetched.
    pub cache: Option<PathBuf>,
    /// What to do when there is none.
    pub fetch: Fetch,
}

/// Whether the library may be fetched from the Python package index that `pip` is set up for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fetch {
    /// Once, into the cache.
    #[default]
    Allowed,
    /// Never: a device at a door does not reach out.
    Never,
}

/// Why there is no library.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// The path that somebody gave leads nowhere.
    #[error("there is no ONNX Runtime library at {path} ({origin} names it)")]
    Missing {
        /// The path that was given.
        path: PathBuf,
        /// Who gave it.
        origin: &'static str,
    },
    /// The file is no library that can be loaded, or too old.
    #[error("{path} cannot be used as ONNX Runtime library, wanted version {MIN_VERSION} or newer: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// Nothing is there, and nothing may be fetched.
    #[error("ONNX Runtime's library was not found; give one with --onnxruntime PATH or {VARIABLE}=PATH")]
    NotFound,
    /// No build is known for this machine.
    #[error("no ONNX Runtime library is known for {system}; give one with --onnxruntime PATH or {VARIABLE}=PATH")]
    UnknownSystem {
        /// Operating system and processor.
        system: String,
    },
    /// Fetching failed.
    #[error(
        "ONNX Runtime {VERSION} could not be fetched with python3 -m pip: {reason}; \
         give a library with --onnxruntime PATH or {VARIABLE}=PATH"
    )]
    Fetch {
        /// The last thing that pip said.
        reason: String,
    },
    /// What was fetched is not what is known.
    #[error("fetched ONNX Runtime library has SHA-256 {got}, wanted {wanted}")]
    Hash {
        /// Hash of what was fetched.
        got: String,
        /// The pinned hash.
        wanted: &'static str,
    },
    /// There is no folder for it.
    #[error("no cache folder: set XDG_CACHE_HOME or HOME, or give a library with --onnxruntime PATH")]
    NoCache,
    /// The cache cannot be read or written.
    #[error("{path}: {source}")]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A build whose content is known.
struct Build {
    /// The package's platform tag.
    platform: &'static str,
    /// SHA-256 of the library in it.
    sha256: &'static str,
}

/// The builds for Linux.
fn known_build(os: &str, processor: &str) -> Option<Build> {
    let (platform, sha256) = match (os, processor) {
        ("linux", "x86_64") => {
            ("manylinux_2_28_x86_64", "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f")
        }
        ("linux", "aarch64") => {
            ("manylinux_2_28_aarch64", "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a")
        }
        _ => return None,
    };
    Some(Build { platform, sha256 })
}

/// The library's path: given, in the environment, beside the program, in the cache, or fetched, in this order.
///
/// # Errors
/// [`LibraryError`]: a path that leads nowhere, or no library in any of these places.
pub fn find(wanted: &Library) -> Result<PathBuf, LibraryError> {
    if let Some(path) = &wanted.path {
        return given(path.clone(), "--onnxruntime");
    }
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return given(path.into(), VARIABLE);
    }
    if let Some(path) = beside_program() {
        return Ok(path);
    }
    let Some(build) = known_build(std::env::consts::OS, std::env::consts::ARCH) else {
        let system = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
        return Err(LibraryError::UnknownSystem { system });
    };
    let folder = wanted.cache.as_ref().ok_or(LibraryError::NoCache)?;
    Cache { folder: folder.join(format!("onnxruntime-{VERSION}-{}", build.platform)), build }.get(wanted.fetch)
}

fn given(path: PathBuf, origin: &'static str) -> Result<PathBuf, LibraryError> {
    if path.is_file() { Ok(path) } else { Err(LibraryError::Missing { path, origin }) }
}

fn beside_program() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_path_buf();
    let names = fs::read_dir(&folder).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let library = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with("libonnxruntime.so"));
    // The shortest name, so that a link to the current version wins over the versions.
    let name = names.filter(library).min_by_key(|name| (name.len(), name.clone()))?;
    Some(folder.join(name)).filter(|path| path.is_file())
}

/// The folder that holds one build of the library.
struct Cache {
    folder: PathBuf,
    build: Build,
}

impl Cache {
    fn get(&self, fetch: Fetch) -> Result<PathBuf, LibraryError> {
        if let Some(path) = self.verified()? {
            return Ok(path);
        }
        match fetch {
            Fetch::Allowed => self.fetch(),
            Fetch::Never => Err(LibraryError::NotFound),
        }
    }

    /// The library, if it is there whole.
    fn verified(&self) -> Result<Option<PathBuf>, LibraryError> {
        let path = self.folder.join(FILE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LibraryError::Cache { path, source }),
        };
        let hash = copy_hashed(&mut file, &mut io::sink());
        let hash = hash.map_err(|source| LibraryError::Cache { path: path.clone(), source })?;
        Ok((hash == self.build.sha256).then_some(path))
    }

    /// Only one process fetches; the others wait for it and then find the library.
    fn fetch(&self) -> Result<PathBuf, LibraryError> {
        let cache_error = |path: &Path| {
            let path = path.to_path_buf();
            move |source| LibraryError::Cache { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(cache_error(&self.folder))?;
        let lock_path = self.folder.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(cache_error(&lock_path))?;
        lock.lock().map_err(cache_error(&lock_path))?;
        if let Some(path) = self.verified()? {
            return Ok(path);
        }
        // A package that an interrupted run left here is taken up by pip, which checks it.
        let download = self.folder.join("download");
        fs::create_dir_all(&download).map_err(cache_error(&download))?;
        tracing::info!("fetching ONNX Runtime {VERSION} ({})", self.build.platform);
        self.download(&download)?;
        let package = package_in(&download).map_err(cache_error(&download))?;
        let path = self.unpack(&package);
        // Also when it is damaged: the next run starts anew.
        fs::remove_dir_all(&download).map_err(cache_error(&download))?;
        path
    }

    fn download(&self, folder: &Path) -> Result<(), LibraryError> {
        let output = Command::new("python3")
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"])
            .args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"])
            .args(["--platform", self.build.platform, "--dest"])
            .arg(folder)
            .arg(format!("onnxruntime=={VERSION}"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| LibraryError::Fetch { reason: format!("python3 cannot be started: {error}") })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        Err(LibraryError::Fetch { reason: one_line(last.unwrap_or("it failed without a word")) })
    }

    /// Takes the library out of the package; only what has the right hash gets its name.
    fn unpack(&self, package: &Path) -> Result<PathBuf, LibraryError> {
        let partial = self.folder.join(format!("{FILE}.partial"));
        let unpacked = extract(package, &partial);
        let hash = unpacked.map_err(|source| LibraryError::Cache { path: package.to_path_buf(), source })?;
        let wanted = self.build.sha256;
        if hash != wanted {
            // Nothing else to be done with it, and the error that matters is the hash.
            let _ = fs::remove_file(&partial);
            return Err(LibraryError::Hash { got: hash, wanted });
        }
        let path = self.folder.join(FILE);
        fs::rename(&partial, &path).map_err(|source| LibraryError::Cache { path: path.clone(), source })?;
        Ok(path)
    }
}

/// The one package in the folder.
fn package_in(folder: &Path) -> io::Result<PathBuf> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let missing = || io::Error::new(io::ErrorKind::NotFound, "pip left no package here");
    paths.collect::<io::Result<Vec<_>>>()?.into_iter().find(wheel).ok_or_else(missing)
}

/// Writes the library in `package` to `to`, and says its hash.
fn extract(package: &Path, to: &Path) -> io::Result<String> {
    let mut archive = zip::ZipArchive::new(File::open(package)?).map_err(io::Error::other)?;
    let member = archive.by_name(MEMBER).map_err(io::Error::other)?;
    let mut out = File::create(to)?;
    let hash = copy_hashed(&mut member.take(MAX_BYTES), &mut out)?;
    out.sync_all()?;
    Ok(hash)
}

/// Copies everything, and says its SHA-256 in hex.
fn copy_hashed(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            let hash: [u8; 32] = hash.finalize().into();
            return Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
    }
}

#[cfg(test)]
mod tests;
