//! Why a pack cannot be used, found or fetched.

use std::io;
use std::path::{Path, PathBuf};

use lintel_clip::tokenizer::TokenizerError;
use lintel_clip::weights::WeightsError;
use lintel_work::failure::reason;

use super::PACK_FILE;

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file exceeds the limit on its size.
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
    /// A file of a listed pack has another hash than listed.
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
    /// The pack has an encoder of its own, to which mirror and multi_scale do not apply.
    #[error("pack {pack}: mirror and multi_scale are for CLIP's image encoder, but {PACK_FILE} names another one")]
    Views {
        /// The pack's name.
        pack: String,
    },
    /// The two towers give embeddings of different sizes.
    #[error("pack {pack}: image embeddings have {visual} components, text embeddings {text}")]
    Towers {
        /// The pack's name.
        pack: String,
        /// Components of an image embedding.
        visual: usize,
        /// Components of a text embedding.
        text: usize,
    },
    /// The vocabulary was refused, or does not belong to the weights.
    #[error("pack {pack}: {source}")]
    Vocabulary {
        /// The pack's name.
        pack: String,
        /// Why.
        source: TokenizerError,
    },
    /// The program was built without the mini pack, and no other pack was given.
    #[error("this program was built without the mini pack; give a pack's folder with --pack DIR")]
    NoneEmbedded,
    /// The name is neither a folder nor an installed pack.
    #[error("{got} is neither a folder nor an installed pack; `lintel packs list` shows the packs")]
    NotFound {
        /// What was asked for.
        got: String,
    },
    /// The pack is listed, but some of its files are not there.
    #[error("pack {name} is not installed; `lintel packs fetch {name}` installs it")]
    NotInstalled {
        /// The pack's name.
        name: String,
    },
    /// The user's data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a pack could not be fetched.
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
    /// The server sent something else than is listed.
    #[error("{address} gave {got}, wanted {wanted}; nothing was kept")]
    Other {
        /// What was asked for.
        address: String,
        /// What was received.
        got: String,
        /// What is listed.
        wanted: String,
    },
    /// An archive has the right hash but wrong contents.
    #[error("{}: {what}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// No address is listed for the file.
    #[error("no address is known for {file}")]
    NoAddress {
        /// The file's name.
        file: String,
    },
    /// The data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A pack's description is refused, or a folder cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no data folder.
    #[error("no data folder: set XDG_DATA_HOME or HOME to an absolute path")]
    NoFolder,
    /// A file or folder in it cannot be read or written.
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
