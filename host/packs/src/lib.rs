//! A model pack (embedded, or a folder) → detector, CLIP weights, tokenizer, licence.
//!
//! A pack is a folder with a `pack.toml` that names its files. The mini pack is part of the program.
//! `models/packs.toml`, which is part of the program too, lists the known packs and the SHA-256 of each of their files.
//! [`fetch`] and [`add`] install known packs in the user's data folder, where they are found by name.

mod add;
mod compose;
mod copy;
mod error;
mod fetch;
mod known;
mod store;

use std::path::Path;

use lintel_clip::text_encoder::TextConfig;
use lintel_clip::tokenizer::Tokenizer;
use lintel_clip::visual::VisualConfig;
use lintel_clip::weights::{NamedTensors, WeightsError};
use lintel_core::align::CROP;
use lintel_export::{Views, encoder_onnx};
use serde::{Deserialize, Serialize};

pub use add::{Added, add};
pub use compose::{ComposeError, Naming, compose};
pub use error::{FetchError, PackError, StoreError};
pub use fetch::{Source, fetch};
pub use known::{KnownFile, KnownPack, known_packs};
pub use store::{FileState, Store};

/// The file that makes a folder a pack.
pub const PACK_FILE: &str = "pack.toml";
/// Name of the embedded pack.
pub const EMBEDDED: &str = "mini";
/// The largest file of a pack, in bytes.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// The largest `pack.toml`, in bytes.
const MAX_TOML_BYTES: u64 = 64 << 10;

/// A detector, an image encoder and a text encoder with its tokenizer.
pub struct Pack {
    /// The content of `pack.toml`.
    pub about: About,
    /// Whether the files are those that `models/packs.toml` lists.
    pub standing: Standing,
    /// An SCRFD detector in ONNX, as published.
    pub detector: Vec<u8>,
    /// CLIP's weights under OpenAI's names: both towers, or the text tower alone if there is `encoder`.
    pub clip: NamedTensors,
    /// An image encoder other than CLIP's, in the form of bundles.
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
    /// What a user must know before the first use, one paragraph; empty if there is nothing.
    #[serde(default)]
    pub notice: String,
    /// Width and height in pixels of the detector's input, if its own input size is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector_input: Option<[u32; 2]>,
    /// File name of the detector.
    pub detector: String,
    /// File name of CLIP's weights.
    pub clip: String,
    /// File name of an image encoder in the form of bundles (`lintel packs compose` makes one); without one, CLIP's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Whether CLIP's image encoder embeds every face mirrored too, which doubles its time and separates people better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirror: bool,
    /// Whether CLIP's image encoder embeds every face a little smaller and a little larger in place of the crop itself,
    /// which doubles its time and tolerates landmarks that are slightly off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_scale: bool,
    /// File name of the list of merges; without one, OpenAI's, which is part of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// Settings for fine-tuning with these weights.
    #[serde(default)]
    pub training: TrainingDefaults,
}

impl About {
    /// The views in which CLIP's image encoder embeds each face.
    fn views(&self) -> Views {
        Views { mirror: self.mirror, multi_scale: self.multi_scale }
    }
}

/// Settings that a pack recommends; those left out have the program's defaults.
#[derive(Copy, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingDefaults {
    /// Passes over the photos.
    pub epochs: Option<u32>,
    /// The greatest learning rate.
    pub learning_rate: Option<f64>,
}

/// The origin of a pack's files.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The pack is part of the program.
    Embedded,
    /// Every file has the hash that `models/packs.toml` lists.
    Listed,
    /// No pack of that name is listed: it is somebody's own.
    Unlisted,
}

/// Leaves out the contents of the files.
impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("about", &self.about).field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl Pack {
    /// The pack of this name (embedded, or installed in `store`), or the pack in the folder of this name.
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
    /// [`WeightsError`] if CLIP's visual tower is malformed.
    pub fn encoder_onnx(&self) -> Result<Vec<u8>, WeightsError> {
        match &self.encoder {
            Some(onnx) => Ok(onnx.clone()),
            None => encoder_onnx(&self.clip, CROP as usize, self.about.views()),
        }
    }

    /// The embedded pack. A test holds it to the hashes in `models/packs.toml`.
    ///
    /// # Errors
    /// [`PackError`]; in a program that passes its tests, only [`PackError::NoneEmbedded`].
    pub fn embedded() -> Result<Self, PackError> {
        Files::embedded()?.into_pack(Standing::Embedded)
    }
}

/// Embeddings of rendered strangers by the embedded pack's float encoder, in a sealed file; `None` for another detector
/// than the embedded pack's, and where no pack is embedded.
#[must_use]
pub fn embedded_strangers(detector: &[u8]) -> Option<&'static [u8]> {
    let same = embedded::FILES.iter().any(|(file, content)| *file == "detector.onnx" && *content == detector);
    same.then_some(embedded::STRANGERS)
}

/// A pack's files, read but not checked.
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

    /// The entry of `models/packs.toml` for a pack of this name.
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
        ("pack.toml", include_bytes!("../../../models/mini/pack.toml")),
        ("detector.onnx", include_bytes!("../../../models/mini/detector.onnx")),
        ("clip.safetensors", include_bytes!("../../../models/mini/clip.safetensors")),
        ("bpe.txt", include_bytes!("../../../models/mini/bpe.txt")),
    ];
    pub(super) const STRANGERS: &[u8] = include_bytes!("../../../models/mini/strangers.lintel");
}

/// No pack is part of this program.
#[cfg(not(feature = "mini"))]
mod embedded {
    pub(super) const FILES: &[(&str, &[u8])] = &[];
    pub(super) const STRANGERS: &[u8] = &[];
}

#[cfg(test)]
mod tests;
