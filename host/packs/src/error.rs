//! Why packs can't be used, found or brought.

use std::io;
use std::path::{Path, PathBuf};

use lintel_clip::tokenizer::TokenizerError;
use lintel_clip::weights::WeightsError;
use lintel_work::failure::reason;

use super::PACK_FILE;

/// Why a pack can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file can't be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is unreasonably large.
    #[error("{path} has {got} bytes, at most {most} are allowed", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        got: u64,
        /// The limit.
        most: u64,
    },
    /// `pack.toml` or `packs.toml` is malformed.
    #[error("{file}: {source}")]
    Toml {
        /// Which of the two.
        file: &'static str,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// A file name leads out of the pack's folder.
    #[error("{PACK_FILE} names the file {got:?}, wanted a plain file name")]
    FileName {
        /// The rejected file name, as [`PACK_FILE`] has it.
        got: String,
    },
    /// A file of a known pack is not the file that it should be.
    #[error("pack {pack}: {file} has SHA-256 {got}, wanted {wanted}; fetch the pack again")]
    Hash {
        /// The pack's name.
        pack: String,
        /// The file's name.
        file: String,
        /// The hash of the file at hand.
        got: String,
        /// The listed hash; empty when no such file is listed.
        wanted: String,
    },
    /// CLIP's weights were refused.
    #[error("pack {pack}: {source}")]
    Weights {
        /// The pack's name.
        pack: String,
        /// Why.
        source: WeightsError,
    },
    /// An encoder of somebody's own is not changed.
    #[error("pack {pack}: mirror and multi_scale are for CLIP's image encoder, and {PACK_FILE} names another one")]
    Views {
        /// The pack's name.
        pack: String,
    },
    /// The two towers don't meet in one space.
    #[error("pack {pack}: image embeddings have {visual} components, text embeddings {text}")]
    Towers {
        /// The pack's name.
        pack: String,
        /// Components of an image embedding.
        visual: usize,
        /// Components of a text embedding.
        text: usize,
    },
    /// The vocabulary was refused, or doesn't belong to the weights.
    #[error("pack {pack}: {source}")]
    Vocabulary {
        /// The pack's name.
        pack: String,
        /// Why.
        source: TokenizerError,
    },
    /// The program was built without the mini pack and no other was given.
    #[error("this program was built without the mini pack; give a pack's folder with --pack DIR")]
    NoneEmbedded,
    /// Neither a folder nor a pack that is installed.
    #[error("{got} is neither a folder nor an installed pack; `lintel packs list` shows what there is")]
    NotFound {
        /// What was asked for.
        got: String,
    },
    /// The pack is known, and not all of its files are there.
    #[error("pack {name} is not installed; `lintel packs fetch {name}` brings it")]
    NotInstalled {
        /// The pack's name.
        name: String,
    },
    /// The user's data folder can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a pack could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request failed, or the connection was cut.
    #[error(
        "{address} cannot be fetched: {what}; run the same command again to go on, or use `lintel packs add --from DIR`"
    )]
    Network {
        /// What was asked for.
        address: String,
        /// What went wrong.
        what: String,
    },
    /// The server gives something else than is known.
    #[error("{address} gives {got}, wanted {wanted}; nothing was kept")]
    Other {
        /// What was asked for.
        address: String,
        /// What came.
        got: String,
        /// What is known of it.
        wanted: String,
    },
    /// An archive of the right hash that is not as it should be.
    #[error("{}: {what}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Nothing says where the file is.
    #[error("no address is known for {file}")]
    NoAddress {
        /// The file's name.
        file: String,
    },
    /// The data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A pack's description, or a folder that can't be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
}

/// Why the data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no data folder.
    #[error("no data folder: set XDG_DATA_HOME or HOME to an absolute path")]
    NoFolder,
    /// A file or folder in it can't be read or written.
    #[error("{}: {}", path.display(), reason(source))]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    pub(crate) fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { path: path.to_owned(), source }
    }
}
