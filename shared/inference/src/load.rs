//! A folder → a bundle whose every file is what its manifest promises. Both ends of Lintel open bundles here.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::RuntimeError;
use lintel_core::embed::EncoderId;
use lintel_core::table::Table;
use lintel_formats::bundle::{Contents, FileEntry, MANIFEST, MAX_MANIFEST_BYTES, Manifest, ManifestError, Role};
use lintel_formats::table::TableFileError;

/// Why a folder is not a bundle that can be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// A file is missing: the bundle is incomplete, or the folder is another.
    #[error("{path} is missing: not a bundle, or an incomplete one")]
    Missing {
        /// The file that should be there.
        path: PathBuf,
    },
    /// A file is there and cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The manifest is damaged, or of another version.
    #[error("{path}: {source}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A file is shorter or longer than promised: it was cut off, or exchanged.
    #[error("{path} has {got} bytes, its manifest says {wanted}")]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes that are there.
        got: u64,
        /// Bytes that the manifest promises.
        wanted: u64,
    },
    /// A file has the right size and the wrong content.
    #[error("{path} is damaged or from another bundle: its SHA-256 is {got}, its manifest says {wanted}")]
    Hash {
        /// The file.
        path: PathBuf,
        /// Hash of what is there, in hex.
        got: String,
        /// Hash that the manifest promises, in hex.
        wanted: String,
    },
    /// The identity table is what the manifest promises, and still no identity table.
    #[error("{path}: {source}")]
    Table {
        /// The identity table.
        path: PathBuf,
        /// What is wrong with it.
        source: TableFileError,
    },
    /// The identity table was trained against another encoder: train and export again.
    #[error("identity table is for encoder {got}, the bundle has encoder {wanted}")]
    Encoder {
        /// The encoder that the table was trained against.
        got: EncoderId,
        /// The encoder in the bundle.
        wanted: EncoderId,
    },
    /// The parts are sound, and do not fit together.
    #[error("{what} is {got}, the bundle's manifest says {wanted}")]
    Differs {
        /// What does not fit.
        what: &'static str,
        /// What the part has.
        got: String,
        /// What the manifest promises.
        wanted: String,
    },
    /// A model cannot be opened or run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A bundle in memory, checked: what was hashed is what will run, whatever happens to the files afterwards.
#[derive(Clone, Debug)]
pub struct LoadedBundle {
    /// What was promised.
    pub manifest: Manifest,
    /// The content of each file, by its role.
    pub files: Contents,
    /// The identity table, read from its file.
    pub table: Table,
}

impl LoadedBundle {
    /// Reads and checks the bundle in `folder`: sizes, hashes, the table, and that the table is for this encoder.
    /// Whether the models have the promised shapes is seen when they are opened, by
    /// [`FaceAnalyzer::new`](super::FaceAnalyzer::new).
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        let path = folder.join(MANIFEST);
        let bytes = read_at_most(&path, MAX_MANIFEST_BYTES as u64 + 1)?;
        let manifest = Manifest::from_bytes(&bytes).map_err(|source| BundleError::Manifest { path, source })?;
        let listed = Role::ALL.into_iter().filter_map(|role| Some((role, manifest.file(role)?)));
        let read = listed.map(|(role, entry)| Ok((role, checked(folder, entry)?)));
        let files = Contents::new(read.collect::<Result<Vec<_>, BundleError>>()?);
        let path = folder.join(Role::Table.file_name());
        let table = lintel_formats::table::from_bytes(&files[Role::Table])
            .map_err(|source| BundleError::Table { path, source })?;
        if table.encoder() != manifest.encoder {
            return Err(BundleError::Encoder { got: table.encoder(), wanted: manifest.encoder });
        }
        let numbers = [
            ("identity table's embedding size", table.dim() as u64, u64::from(manifest.dim)),
            ("identity table's revision", table.revision(), manifest.revision),
        ];
        for (what, got, wanted) in numbers {
            if got != wanted {
                return Err(BundleError::Differs { what, got: got.to_string(), wanted: wanted.to_string() });
            }
        }
        Ok(Self { manifest, files, table })
    }
}

/// The content of one file, if it is what the manifest promises.
fn checked(folder: &Path, entry: &FileEntry) -> Result<Vec<u8>, BundleError> {
    let path = folder.join(&entry.name);
    let content = read_at_most(&path, entry.bytes + 1)?;
    if content.len() as u64 != entry.bytes {
        let got = std::fs::metadata(&path).map_or(content.len() as u64, |metadata| metadata.len());
        return Err(BundleError::Size { path, got, wanted: entry.bytes });
    }
    let got = FileEntry::of(&entry.name, &content);
    if got.sha256 != entry.sha256 {
        let [got, wanted] = [got.sha256, entry.sha256].map(|hash| EncoderId(hash).to_string());
        return Err(BundleError::Hash { path, got, wanted });
    }
    Ok(content)
}

/// At most `limit` bytes from the start of a file.
fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, BundleError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => BundleError::Missing { path: path.into() },
        _ => BundleError::Read { path: path.into(), source },
    };
    let file = File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}
