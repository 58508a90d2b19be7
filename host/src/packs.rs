//! A model pack (embedded, or a folder) → detector, CLIP weights, tokenizer, and what its licence says.
//!
//! A pack is a folder with a `pack.toml` that names its files. The mini pack is part of the program; what packs are
//! known, and the SHA-256 of each of their files, stands in `models/packs.toml`, which is part of the program too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::export::VisualConfig;
use crate::text_encoder::TextConfig;
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::weights::{NamedTensors, WeightsError};

/// What a pack's folder must contain.
pub const PACK_FILE: &str = "pack.toml";
/// The packs that are known, with the hash of each file.
const KNOWN: &str = include_str!("../../models/packs.toml");
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
    /// CLIP's weights, both towers, under OpenAI's names.
    pub clip: NamedTensors,
    /// The tokenizer of the text tower.
    pub tokenizer: Tokenizer,
}

/// `pack.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    #[serde(default)]
    pub detector_input: Option<[u32; 2]>,
    /// File name of the detector.
    pub detector: String,
    /// File name of CLIP's weights.
    pub clip: String,
    /// File name of the list of merges.
    pub vocabulary: String,
    /// Settings for fine-tuning that suit these weights.
    #[serde(default)]
    pub training: TrainingDefaults,
}

/// Settings that a pack recommends; what it leaves out has the program's own default.
#[derive(Copy, Clone, Debug, Default, PartialEq, Deserialize)]
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
}

/// Without the files' contents.
impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("about", &self.about).field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl Pack {
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
    vocabulary: (String, Vec<u8>),
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
        let (detector, clip, vocabulary) = (file(&about.detector)?, file(&about.clip)?, file(&about.vocabulary)?);
        Ok(Self { about, detector, clip, vocabulary })
    }

    /// What `models/packs.toml` says of a pack of this name.
    fn standing(&self) -> Result<Standing, PackError> {
        let known = known_packs()?;
        let Some(listed) = known.get(&self.about.name) else { return Ok(Standing::Unlisted) };
        for (name, content) in [&self.detector, &self.clip, &self.vocabulary] {
            check_hash(&self.about.name, listed, name, content)?;
        }
        Ok(Standing::Listed)
    }

    fn into_pack(self, standing: Standing) -> Result<Pack, PackError> {
        let name = || self.about.name.clone();
        let weights = |source| PackError::Weights { pack: name(), source };
        let clip = NamedTensors::from_safetensors(&self.clip.1).map_err(weights)?;
        let text = TextConfig::from_tensors(&clip).map_err(weights)?;
        let visual = VisualConfig::from_tensors(&clip).map_err(weights)?;
        if visual.dim != text.dim {
            return Err(PackError::Towers { pack: name(), visual: visual.dim, text: text.dim });
        }
        let tokenizer = Tokenizer::new(&self.vocabulary.1, text.vocabulary, text.context)
            .map_err(|source| PackError::Vocabulary { pack: name(), source })?;
        Ok(Pack { standing, detector: self.detector.1, clip, tokenizer, about: self.about })
    }
}

/// One pack of `models/packs.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPack {
    /// What it is, in a sentence.
    pub description: String,
    /// SPDX expression, or a few words.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
    /// Its files by name.
    pub files: BTreeMap<String, KnownFile>,
}

/// A file of a known pack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// What is in it: shapes, counts.
    pub content: String,
}

/// The packs of `models/packs.toml` by name.
///
/// # Errors
/// [`PackError::Toml`]; never in a program that passes its tests.
pub fn known_packs() -> Result<BTreeMap<String, KnownPack>, PackError> {
    toml::from_str(KNOWN).map_err(|source| PackError::Toml { file: "models/packs.toml", source })
}

fn check_hash(pack: &str, listed: &KnownPack, file: &str, content: &[u8]) -> Result<(), PackError> {
    let got = hex(&Sha256::digest(content));
    let wanted = listed.files.get(file).map_or("", |f| f.sha256.as_str());
    if got == wanted {
        return Ok(());
    }
    Err(PackError::Hash { pack: pack.to_owned(), file: file.to_owned(), got, wanted: wanted.to_owned() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
