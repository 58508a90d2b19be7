//! A pack and a face encoder → a pack with that image encoder, whose text encoder is brought to its space.

use lintel_clip::weights::{NamedTensor, NamedTensors, Precision, WeightsError};

use crate::{About, Pack};

/// Files of a composed pack: file name and bytes.
pub type PackFiles = Vec<(&'static str, Vec<u8>)>;

/// Why a pack cannot be composed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The text tower cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The description is refused as a `pack.toml`.
    #[error("pack.toml: {0}")]
    About(String),
}

/// The composed pack's name and licence.
#[derive(Debug, Clone)]
pub struct Naming {
    /// Name of the composed pack, which `--pack` takes.
    pub name: String,
    /// SPDX expression, or a few words.
    pub licence: String,
}

/// The files of the new pack. `encoder` is in the form of bundles and gives `dim` numbers.
///
/// The detector, the vocabulary and the text tower are those of `from`. Where the text tower's embeddings have another
/// dimension, its projection is drawn anew as CLIP draws it (normal, deviation width^−½) from a fixed seed; training
/// fits it to the encoder's space.
///
/// # Errors
/// [`ComposeError`].
pub fn compose(from: &Pack, encoder: Vec<u8>, dim: usize, naming: &Naming) -> Result<PackFiles, ComposeError> {
    let clip = text_tower(&from.clip, dim)?;
    let vocabulary = from.vocabulary.as_ref().map(|_| "bpe.txt".to_owned());
    let about = About {
        name: naming.name.clone(),
        licence: naming.licence.clone(),
        notice: from.about.notice.clone(),
        detector: "detector.onnx".to_owned(),
        clip: "text.safetensors".to_owned(),
        encoder: Some("encoder.onnx".to_owned()),
        mirror: false,
        multi_scale: false,
        vocabulary,
        ..from.about.clone()
    };
    let about = toml::to_string(&about).map_err(|error| ComposeError::About(error.to_string()))?;
    let mut files = vec![
        (super::PACK_FILE, about.into_bytes()),
        ("detector.onnx", from.detector.clone()),
        ("text.safetensors", clip.to_safetensors(Precision::F32)?),
        ("encoder.onnx", encoder),
    ];
    files.extend(from.vocabulary.clone().map(|merges| ("bpe.txt", merges)));
    Ok(files)
}

fn text_tower(clip: &NamedTensors, dim: usize) -> Result<NamedTensors, WeightsError> {
    let mut text = clip.filtered(|name| !name.starts_with("visual."));
    let [width, own] = clip.dims("text_projection")?;
    if own != dim {
        let mut rng = fastrand::Rng::with_seed(width as u64 ^ (dim as u64) << 32);
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let deviation = (width as f32).sqrt().recip();
        let values = (0..width * dim).map(|_| deviation * normal(&mut rng)).collect();
        text.insert("text_projection", NamedTensor::new(vec![width, dim], values));
    }
    Ok(text)
}

/// A normal number by Box and Muller's transform.
fn normal(rng: &mut fastrand::Rng) -> f32 {
    (-2.0 * (1.0 - rng.f32()).ln()).sqrt() * (std::f32::consts::TAU * rng.f32()).cos()
}
