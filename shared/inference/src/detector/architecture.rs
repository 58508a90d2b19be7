//! What a family of detectors is: how it takes pixels, how it is recognised by its outputs, how it reads them.

use std::fmt;

use ort::session::SessionOutputs;
use ort::value::{TensorElementType, ValueType};

use crate::error::RuntimeError;
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
    /// Types and shapes of its outputs and its name, for the error that refuses another model.
    pub outputs: &'static str,
    /// Whether a model is one.
    pub recognise: Recognise,
}

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

/// The f32 outputs; `None` where one is of another type.
pub(super) fn floats(outputs: &SessionOutputs<'_>) -> Option<Vec<Output>> {
    outputs.iter().map(|(name, value)| float(name, value.dtype())).collect()
}

fn float(name: &str, kind: &ValueType) -> Option<Output> {
    match kind {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            Some(Output { name: name.to_owned(), shape: shape.to_vec() })
        }
        _ => None,
    }
}
