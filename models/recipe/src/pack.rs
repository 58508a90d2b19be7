//! Trained networks → the files of a model pack.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use burn::prelude::Device;
use lintel_clip::text_encoder::MAX_LOGIT_SCALE;
use lintel_clip::weights::{NamedTensor, Precision};
use lintel_export::Views;

use crate::log::{FILE, Log};
use crate::{detector, detector_onnx, encoder, scrfd, text};

/// `pack.toml`.
const ABOUT: &str = concat!(
    r#"name = "mini"
licence = "MIT OR Apache-2.0"
notice = "Trained on procedural people alone: it has never seen a real face. "#,
    r#"For trying Lintel out and for its tests; a real door needs the full-size pack."
detector = "detector.onnx"
clip = "clip.safetensors"
mirror = true
multi_scale = true
vocabulary = "bpe.txt"
"#
);

/// The views in `pack.toml`, which `check` uses.
pub const VIEWS: Views = Views { mirror: true, multi_scale: true };

/// The licence: the pack is made with this project's own code only.
const LICENSE: &str = "The files of this folder were made by the Lintel authors with models/recipe, from pictures of\n\
procedural people that models/faces renders. No photographs, data sets or weights of others went into them.\n\
\n\
They may be used under the MIT licence or the Apache License, Version 2.0, at your option.\n";

/// Writes the files of `work` into the pack's folder.
pub fn write(work: &Path, out: &Path) -> Result<()> {
    write_detector(work, out)?;
    write_encoders(work, out)?;
    fs::write(out.join("pack.toml"), ABOUT)?;
    fs::write(out.join("LICENSE"), LICENSE)?;
    copy_log(work, out)
}

/// Writes the image and the text encoder, with the vocabulary.
pub fn write_encoders(work: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let mut tensors = encoder::trained(work, &Device::flex())?.named();
    let mut text = text::trained(work)?.to_tensors();
    // Beyond the forward pass's clipping bound there is no gradient; the stored value is clipped too.
    let scale = text.get("logit_scale")?.values[0].min(MAX_LOGIT_SCALE.ln());
    text.insert("logit_scale", NamedTensor::scalar(scale));
    tensors.extend(text);
    let bytes = tensors.to_safetensors(Precision::F16)?;
    fs::write(out.join("clip.safetensors"), bytes).context("writing the weights")?;
    fs::copy(text::vocabulary_file(work), out.join("bpe.txt")).context("writing the vocabulary")?;
    Ok(())
}

/// Copies the current log beside the weights.
pub fn copy_log(work: &Path, out: &Path) -> Result<()> {
    fs::copy(Log::new(work).path(), out.join(FILE)).context("copying the log")?;
    Ok(())
}

/// Writes only the detector, as ONNX.
pub fn write_detector(work: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let (net, operating_point) = detector::trained(work)?;
    let file = detector_onnx::export(&net, scrfd::WIDTH, scrfd::HEIGHT, operating_point);
    fs::write(out.join("detector.onnx"), file).context("writing the detector")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_is_what_the_pack_says() {
        for (key, on) in [("mirror", VIEWS.mirror), ("multi_scale", VIEWS.multi_scale)] {
            assert_eq!(ABOUT.contains(&format!("\n{key} = true\n")), on, "{key}");
        }
    }
}
