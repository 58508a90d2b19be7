//! Weights and a trained table → a bundle that a door can run.
//!
//! [`encoder_onnx`] writes the image encoder, [`text_encoder_onnx`] the text encoder, [`with_u8_input`] brings a published detector into the bundle's form, [`graft`] a published face encoder,
//! [`write_bundle`] seals both and the table with a manifest.

mod bundle;
mod detector;
mod encoder;
mod graft;
mod pixels;
mod resize;
mod text;

pub use bundle::{BundleError, BundleParts, detector_input, write_bundle};
pub use detector::with_u8_input;
pub use encoder::{VisualConfig, encoder_onnx};
pub use graft::{Preprocessing, graft};
pub use pixels::{PIXEL_MEAN, PIXEL_STD, Views};
pub use text::text_encoder_onnx;
