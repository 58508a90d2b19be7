//! The models at work: a bundle on disk and a frame → a sighting, through ONNX Runtime.
//!
//! This is the only place in Lintel that knows ONNX Runtime. It is loaded at run time; [`library`] finds it.

pub mod analyzer;
pub mod detector;
pub mod encoder;
mod engines;
mod error;
pub mod library;
pub mod load;
pub mod model;
mod one_line;
mod provider;
pub mod saturation;
pub mod session;
mod timing;

pub use analyzer::FaceAnalyzer;
pub use detector::Detector;
pub use encoder::Encoder;
pub use error::RuntimeError;
pub use library::{Fetch, Library, LibraryError};
pub use load::{BundleError, LoadedBundle};
pub use model::{Array, Model, Rewrite, Values};
pub use provider::Provider;
pub use session::{Fallback, Options, Skipped};
pub use timing::Timings;
