//! What can go wrong between a frame and its sighting.

use std::fmt;

use thiserror::Error;

use super::library::LibraryError;
use super::one_line::one_line;
use super::provider::Provider;
use lintel_core::detect::DetectError;
use lintel_core::embed::EmbedError;
use lintel_core::table::TableError;

/// Why a model cannot be opened or run.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// ONNX Runtime itself is not there.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// ONNX Runtime said no.
    #[error("onnx runtime could not {doing}: {reason}")]
    OnnxRuntime {
        /// What it was asked to do.
        doing: &'static str,
        /// Its own words, on one line.
        reason: String,
    },
    /// The provider that the configuration asks for cannot be had, and falling back is refused.
    #[error("inference provider {provider} is not available, and the configuration allows no other: {reason}")]
    Provider {
        /// The first of the configured providers.
        provider: Provider,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// The model computes something else on this processor.
    #[error(
        "the model's weights use all 8 bits, and this processor (x86 without VNNI) \
         can't add their products; quantise it \
         with --weights exact"
    )]
    Saturates,
    /// No provider is configured.
    #[error("no inference provider is configured, wanted at least one of tensorrt, cuda, cpu")]
    NoProvider,
    /// The model is not what belongs in this place.
    #[error("{what} is {got}, wanted {wanted}")]
    Shape {
        /// Which model, and which of its ends.
        what: &'static str,
        /// What was found.
        got: String,
        /// What fits.
        wanted: String,
    },
    /// The detector's outputs are no faces.
    #[error("detector gave nonsense: {0}")]
    Detect(#[from] DetectError),
    /// The encoder's output is no embedding.
    #[error("encoder gave nonsense: {0}")]
    Embed(#[from] EmbedError),
    /// The identity table does not take the encoder's embeddings.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl RuntimeError {
    /// Makes an error out of ONNX Runtime's, which may have several lines.
    pub(super) fn onnx<E: fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::OnnxRuntime { doing, reason: one_line(&error.to_string()) }
    }
}
