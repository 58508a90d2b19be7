//! A model pack (embedded, or a folder) → detector, CLIP weights, tokenizer, and what its licence says.
//!
//! A pack is a folder with a `pack.toml` that names its files. The mini pack is part of the program; what packs are
//! known, and the SHA-256 of each of their files, stands in `models/packs.toml`, which is part of the program too.
//! Known packs are brought to the user's data folder by [`fetch`] or [`add`], and found there by name.

mod add;
mod compose;
mod copy;
mod fetch;
mod known;
mod store;

use std::path::{Path, PathBuf};

use lintel_core::align::CROP;
use serde::{Deserialize, Serialize};

use crate::export::{Views, VisualConfig, encoder_onnx};
use crate::text_encoder::TextConfig;
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::weights::{NamedTensors, WeightsError};

pub use add::{Added, add};
pub use compose::{ComposeError, Naming, compose};
pub use fetch::{FetchError, Source, fetch};
pub use known::{KnownFile, KnownPack, known_packs};
pub use store::{FileState, Store, StoreError};

/// What a pack's folder must contain.
pub const PACK_FILE: &str = "pack.toml";
/// Name of the pack that is part of the program.
pub const EMBEDDED: &str = "mini";
/// The largest file of a pack, in bytes.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// The largest `pack.toml`, in bytes.
const MAX_TOML_BYTES: u64 = 64 << 10;

/// A detector, an image encoder and a text encoder with its tokenizer.
pub struct Pack {
    /// What `pack.toml` says.
    pub about: About,
    /// Whether the files are those that `models/packs.toml` lists.
    pub standing: Standing,
    /// An SCRFD detector in ONNX, as published.
    pub detector: Vec<u8>,
    /// CLIP's weights under OpenAI's names: both towers, or the text tower where there is an encoder.
    pub clip: NamedTensors,
    /// Somebody's own image encoder, in the form of bundles.
    pub encoder: Option<Vec<u8>>,
    /// The list of merges, where it is not OpenAI's.
    pub vocabulary: Option<Vec<u8>>,
    /// The tokenizer of the text tower.
    pub tokenizer: Tokenizer,
}

/// `pack.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The pack's name.
    pub name: String,
    /// SPDX expression, or a few words.
    pub licence: String,
    /// What a user must know before the first use, one paragraph; empty when there is nothing.
    #[serde(default)]
    pub notice: String,
    /// Width and height in pixels that the detector is to look at, if its own input size is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector_input: Option<[u32; 2]>,
    /// File name of the detector.
    pub detector: String,
    /// File name of CLIP's weights.
    pub clip: String,
    /// File name of an image encoder in the form of bundles (`lintel packs compose` makes one); without one, CLIP's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Whether CLIP's image encoder looks at every face a second time in a mirror, which costs as much again and tells people apart
    /// better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirror: bool,
    /// Whether it looks at every face a little smaller and a little larger instead of as it is, which costs as much again and forgives
    /// landmarks that are a little off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_scale: bool,
    /// File name of the list of merges; without one, OpenAI's, which is part of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// Settings for fine-tuning that suit these weights.
    #[serde(default)]
    pub training: TrainingDefaults,
}

impl About {
    /// In how many views CLIP's image encoder sees each face.
    fn views(&self) -> Views {
        Views { mirror: self.mirror, multi_scale: self.multi_scale }
    }
}

/// Settings that a pack recommends; what it leaves out has the program's own default.
#[derive(Copy, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingDefaults {
    /// Passes over the photos.
    pub epochs: Option<u32>,
    /// The greatest learning rate.
    pub learning_rate: Option<f64>,
}

/// What is known about the origin of a pack's files.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The pack is part of the program.
    Embedded,
    /// Every file has the hash that `models/packs.toml` lists.
    Listed,
    /// No pack of that name is listed: someone's own.
    Unlisted,
}

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
        /// The name.
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

/// Without the files' contents.
impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("about", &self.about).field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl Pack {
    /// The pack of this name (embedded, or installed in `store`), or in the folder of this name.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn find(wanted: Option<&Path>, store: &Store) -> Result<Self, PackError> {
        let Some(wanted) = wanted else { return Self::embedded() };
        if wanted.is_dir() {
            return Self::open(Some(wanted));
        }
        let not_found = || PackError::NotFound { got: wanted.display().to_string() };
        let name = wanted.to_str().ok_or_else(not_found)?;
        if name == EMBEDDED {
            return Self::embedded();
        }
        if !known_packs()?.contains_key(name) {
            return Err(not_found());
        }
        let folder = store.folder(name);
        if !folder.join(PACK_FILE).is_file() {
            return Err(PackError::NotInstalled { name: name.to_owned() });
        }
        Self::open(Some(&folder))
    }

    /// The pack in the folder `dir`, or the embedded one.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn open(dir: Option<&Path>) -> Result<Self, PackError> {
        match dir {
            Some(dir) => {
                let files = Files::read(|name, most| read(&dir.join(name), most))?;
                let standing = files.standing()?;
                files.into_pack(standing)
            }
            None => Self::embedded(),
        }
    }

    /// The image encoder in the form of bundles.
    ///
    /// # Errors
    /// [`WeightsError`] where CLIP's visual tower is none.
    pub fn encoder_onnx(&self) -> Result<Vec<u8>, WeightsError> {
        match &self.encoder {
            Some(onnx) => Ok(onnx.clone()),
            None => encoder_onnx(&self.clip, CROP as usize, self.about.views()),
        }
    }

    /// The pack that is part of the program. A test holds it to the hashes in `models/packs.toml`.
    ///
    /// # Errors
    /// [`PackError`]; in a program that passes its tests, only [`PackError::NoneEmbedded`].
    pub fn embedded() -> Result<Self, PackError> {
        Files::embedded()?.into_pack(Standing::Embedded)
    }
}

/// A pack's files, read but not looked at.
struct Files {
    about: About,
    /// Name and content of each.
    detector: (String, Vec<u8>),
    clip: (String, Vec<u8>),
    encoder: Option<(String, Vec<u8>)>,
    vocabulary: Option<(String, Vec<u8>)>,
}

impl Files {
    fn embedded() -> Result<Self, PackError> {
        Self::read(|name, _| {
            let found = embedded::FILES.iter().find(|(file, _)| *file == name);
            found.map(|(_, content)| content.to_vec()).ok_or(PackError::NoneEmbedded)
        })
    }

    fn read(read: impl Fn(&str, u64) -> Result<Vec<u8>, PackError>) -> Result<Self, PackError> {
        let about = String::from_utf8_lossy(&read(PACK_FILE, MAX_TOML_BYTES)?).into_owned();
        let about: About = toml::from_str(&about).map_err(|source| PackError::Toml { file: PACK_FILE, source })?;
        let file = |name: &str| {
            if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
                return Err(PackError::FileName { got: name.to_owned() });
            }
            Ok((name.to_owned(), read(name, MAX_FILE_BYTES)?))
        };
        let (detector, clip) = (file(&about.detector)?, file(&about.clip)?);
        let vocabulary = about.vocabulary.as_deref().map(file).transpose()?;
        let encoder = about.encoder.as_deref().map(file).transpose()?;
        Ok(Self { about, detector, clip, encoder, vocabulary })
    }

    /// What `models/packs.toml` says of a pack of this name.
    fn standing(&self) -> Result<Standing, PackError> {
        let known = known_packs()?;
        let Some(listed) = known.get(&self.about.name) else { return Ok(Standing::Unlisted) };
        for (name, content) in [&self.detector, &self.clip].into_iter().chain(&self.encoder).chain(&self.vocabulary) {
            listed.check(&self.about.name, name, &copy::sha256(content))?;
        }
        Ok(Standing::Listed)
    }

    fn into_pack(self, standing: Standing) -> Result<Pack, PackError> {
        let name = || self.about.name.clone();
        let weights = |source| PackError::Weights { pack: name(), source };
        let clip = NamedTensors::read(&self.clip.1).map_err(weights)?;
        let text = TextConfig::from_tensors(&clip).map_err(weights)?;
        if self.encoder.is_some() && self.about.views() != Views::default() {
            return Err(PackError::Views { pack: name() });
        }
        if self.encoder.is_none() {
            let visual = VisualConfig::from_tensors(&clip).map_err(weights)?;
            if visual.dim != text.dim {
                return Err(PackError::Towers { pack: name(), visual: visual.dim, text: text.dim });
            }
        }
        let tokenizer = match &self.vocabulary {
            Some((_, merges)) => Tokenizer::new(merges, text.vocabulary, text.context),
            None => Tokenizer::with_openais_merges(text.vocabulary, text.context),
        };
        let tokenizer = tokenizer.map_err(|source| PackError::Vocabulary { pack: name(), source })?;
        let (encoder, vocabulary) = (self.encoder.map(|(_, onnx)| onnx), self.vocabulary.map(|(_, merges)| merges));
        Ok(Pack { standing, detector: self.detector.1, clip, encoder, vocabulary, tokenizer, about: self.about })
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, PackError> {
    let failed = |source| PackError::Read { path: path.to_owned(), source };
    let got = std::fs::metadata(path).map_err(failed)?.len();
    if got > most {
        return Err(PackError::TooLarge { path: path.to_owned(), got, most });
    }
    std::fs::read(path).map_err(failed)
}

/// The files of the mini pack, as they were when the program was built.
#[cfg(feature = "mini")]
mod embedded {
    pub(super) const FILES: &[(&str, &[u8])] = &[
        ("pack.toml", include_bytes!("../../models/mini/pack.toml")),
        ("detector.onnx", include_bytes!("../../models/mini/detector.onnx")),
        ("clip.safetensors", include_bytes!("../../models/mini/clip.safetensors")),
        ("bpe.txt", include_bytes!("../../models/mini/bpe.txt")),
    ];
}

/// No pack is part of this program.
#[cfg(not(feature = "mini"))]
mod embedded {
    pub(super) const FILES: &[(&str, &[u8])] = &[];
}

#[cfg(test)]
mod tests;
