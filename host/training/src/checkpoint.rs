//! A run's state ↔ a file, whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lintel_formats::envelope::{self, EnvelopeError};
use serde::{Deserialize, Serialize};

use super::EpochFigures;

const MAGIC: [u8; 8] = *b"LNTLCKPT";
const VERSION: u16 = 1;
/// The largest checkpoint that is read, in bytes: CLIP RN50's text encoder with AdamW's state has 0.76 GB.
const MAX_BYTES: usize = 4 << 30;

/// Everything that the next step depends on, besides the task itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps that are done.
    pub done: u64,
    /// Sum of the losses of the current epoch's steps.
    pub epoch_loss: f64,
    /// Figures of the finished epochs.
    pub curve: Vec<EpochFigures>,
    /// The text encoder, safetensors in f32.
    pub weights: Vec<u8>,
    /// The optimiser's moments and counters, in burn's own format.
    pub optimizer: Vec<u8>,
}

/// A state and the task that it belongs to.
#[derive(Serialize, Deserialize)]
struct File<'a> {
    fingerprint: [u8; 32],
    #[serde(borrow)]
    state: std::borrow::Cow<'a, [u8]>,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("checkpoint {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, or is not a checkpoint.
    #[error("checkpoint: {0}")]
    Damaged(#[from] EnvelopeError),
    /// The content cannot be decoded or encoded.
    #[error("checkpoint's content is damaged: {what}")]
    Content {
        /// What was refused.
        what: String,
    },
    /// The run was started with other photos, names, weights or settings.
    #[error("checkpoint {path} belongs to a run with other photos, names, weights or settings; remove it to start \
        anew", path = path.display())]
    OtherTask {
        /// The file.
        path: PathBuf,
    },
}

impl CheckpointError {
    pub(super) fn content(what: impl std::fmt::Display) -> Self {
        Self::Content { what: what.to_string() }
    }
}

/// The state in `path`, if there is such a file.
pub(super) fn read(path: &Path, fingerprint: [u8; 32]) -> Result<Option<State>, CheckpointError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CheckpointError::File { path: path.to_owned(), source }),
    };
    let body = envelope::open(MAGIC, VERSION, MAX_BYTES, &bytes)?;
    let file: File = postcard::from_bytes(body).map_err(CheckpointError::content)?;
    if file.fingerprint != fingerprint {
        return Err(CheckpointError::OtherTask { path: path.to_owned() });
    }
    postcard::from_bytes(&file.state).map(Some).map_err(CheckpointError::content)
}

/// Writes a file beside `path`, syncs it and renames it: `path` holds the old state or the new one at any moment.
pub(super) fn write(path: &Path, fingerprint: [u8; 32], state: &State) -> Result<(), CheckpointError> {
    let state = postcard::to_allocvec(state).map_err(CheckpointError::content)?;
    let file = File { fingerprint, state: state.into() };
    let body = postcard::to_allocvec(&file).map_err(CheckpointError::content)?;
    let sealed = envelope::seal(MAGIC, VERSION, &body);
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let store = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    store().map_err(|source| CheckpointError::File { path: path.to_owned(), source })
}
