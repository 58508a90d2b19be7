//! Which detector a model is: its outputs → the architecture that reads them.
//!
//! An architecture is a type in a file of this folder that implements [`Architecture`], and an entry in [`KNOWN`].

use std::fmt;

use ort::session::SessionOutputs;
use ort::value::{TensorElementType, ValueType};

use super::scrfd::Scrfd;
use crate::error::RuntimeError;
use crate::session::describe;
use lintel_core::detect::{Faces, Letterbox, Limits};

/// A family of detectors: how its published models take pixels, and what its outputs mean.
pub trait Architecture: fmt::Debug + Send {
    /// RGB8 `[H, W, 3]` → what a published model with an f32 input takes, `[3, H, W]`. A model in the form of bundles
    /// takes the bytes as they are.
    fn normalise(&self, rgb: &[u8], floats: &mut [f32]);

    /// Outputs of one run → faces in frame pixels, the best first. `input`: width and height of what the model looked
    /// at; `letterbox` knows how the frame lies in it. Allocates nothing.
    fn decode(
        &self,
        outputs: &Outputs<'_, '_>,
        input: (u32, u32),
        letterbox: &Letterbox,
        limits: &Limits,
    ) -> Result<Faces, RuntimeError>;
}

/// Outputs, and width and height of the input → the architecture, if they are its own.
pub type Recognise = fn(&[Output], (u32, u32)) -> Option<Box<dyn Architecture>>;

/// An architecture that models are recognised as.
pub struct Known {
    /// Its name, with what its outputs are.
    pub outputs: &'static str,
    /// Whether a model is one.
    pub recognise: Recognise,
}

/// Every architecture, in the order in which they are tried.
const KNOWN: &[Known] = &[Scrfd::KNOWN];

/// Name and shape of an f32 output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The name that the exporter gave it.
    pub name: String,
    /// Its size along each dimension.
    pub shape: Vec<i64>,
}

/// The outputs of one run.
pub struct Outputs<'a, 's>(pub(super) &'a SessionOutputs<'s>);

impl Outputs<'_, '_> {
    /// The numbers of the output at this place, row-major.
    pub fn numbers(&self, place: usize) -> Result<&[f32], RuntimeError> {
        let extracted = self.0[place].try_extract_tensor::<f32>();
        Ok(extracted.map_err(RuntimeError::onnx("give the detector's outputs"))?.1)
    }
}

/// The architecture of the model that gave these outputs.
pub(super) fn recognise(
    outputs: &SessionOutputs<'_>,
    input: (u32, u32),
) -> Result<Box<dyn Architecture>, RuntimeError> {
    let floats: Option<Vec<Output>> = outputs.iter().map(|(name, value)| float(name, value.dtype())).collect();
    let found = floats.and_then(|outputs| KNOWN.iter().find_map(|known| (known.recognise)(&outputs, input)));
    found.ok_or_else(|| RuntimeError::Shape {
        what: "detector's set of outputs",
        got: outputs.values().map(|value| describe(value.dtype())).collect::<Vec<_>>().join(", "),
        wanted: KNOWN.iter().map(|known| known.outputs).collect::<Vec<_>>().join(", or "),
    })
}

fn float(name: &str, kind: &ValueType) -> Option<Output> {
    match kind {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            Some(Output { name: name.to_owned(), shape: shape.to_vec() })
        }
        _ => None,
    }
}
