//! Weights and a trained table → a bundle that a door can run.
//!
//! [`encoder_onnx`] writes the image encoder, [`text_encoder_onnx`] the text encoder, [`write_bundle`] seals the models
//! and the table with a manifest.

mod bundle;
mod encoder;
mod pixels;
mod text;

pub use bundle::{BundleError, BundleParts, detector_input, write_bundle};
pub use encoder::encoder_onnx;
pub use pixels::{PIXEL_MEAN, PIXEL_STD, Views};
pub use text::text_encoder_onnx;
