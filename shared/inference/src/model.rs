//! Any model with one input → its outputs, or its inner values, as numbers; and what ONNX Runtime makes of its graph.
//!
//! For tools that measure models. What a door runs is in [`detector`](super::detector) and [`encoder`](super::encoder).

use std::path::Path;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{Tensor, TensorElementType, ValueType};

use super::error::RuntimeError;
use super::session::{self, Inspect, Options, describe};

/// The numbers of a dense array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Bytes, as pixels are.
    U8(Vec<u8>),
    /// Floats.
    F32(Vec<f32>),
}

/// A dense array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Size along each dimension.
    pub shape: Vec<usize>,
    /// As many values as the sizes' product.
    pub values: Values,
}

/// How far ONNX Runtime rewrites a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Constants folded, batch norms and scales folded into convolutions: still plain ONNX.
    Folded,
    /// As it runs: with this machine's own operators and layouts.
    AsRun,
}

/// A model with one input, ready to run.
#[derive(Debug)]
pub struct Model {
    session: Session,
    element: TensorElementType,
    shape: Vec<i64>,
}

impl Model {
    /// Opens a model that takes one tensor of u8 or f32.
    ///
    /// # Errors
    /// [`RuntimeError`] when ONNX Runtime refuses it, or it has another input.
    pub fn open(onnx: &[u8], options: &Options) -> Result<Self, RuntimeError> {
        Self::inspected(onnx, options, Inspect::default())
    }

    /// Like [`Self::open`], and writes what every node takes to a file whose name begins with `profile`, which
    /// [`Self::end_profile`] gives.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn open_profiled(onnx: &[u8], options: &Options, profile: &Path) -> Result<Self, RuntimeError> {
        Self::inspected(onnx, options, Inspect { profile: Some(profile), ..Inspect::default() })
    }

    /// Like [`Self::open`], but every node is computed as ONNX defines it, in float between QuantizeLinear and
    /// DequantizeLinear: what a processor gives whose integer kernels can't saturate. Slow.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn open_as_written(onnx: &[u8], options: &Options) -> Result<Self, RuntimeError> {
        Self::inspected(onnx, options, Inspect { level: GraphOptimizationLevel::Disable, ..Inspect::default() })
    }

    fn inspected(onnx: &[u8], options: &Options, inspect: Inspect<'_>) -> Result<Self, RuntimeError> {
        let session = session::open_inspected("open the model", onnx, options, inspect)?.session;
        let [input] = session.inputs() else {
            let got = format!("{} inputs", session.inputs().len());
            return Err(RuntimeError::Shape { what: "the model's input", got, wanted: "one tensor".into() });
        };
        let ValueType::Tensor { ty, shape, .. } = input.dtype() else {
            let got = describe(input.dtype());
            return Err(RuntimeError::Shape { what: "the model's input", got, wanted: "a tensor".into() });
        };
        let (element, shape) = (*ty, shape.to_vec());
        if !matches!(element, TensorElementType::Uint8 | TensorElementType::Float32) {
            let got = describe(input.dtype());
            return Err(RuntimeError::Shape { what: "the model's input", got, wanted: "u8 or f32".into() });
        }
        Ok(Self { session, element, shape })
    }

    /// Sizes of the input; -1 where any size is taken.
    pub fn input(&self) -> &[i64] {
        &self.shape
    }

    /// Whether the input is bytes rather than floats.
    pub fn takes_bytes(&self) -> bool {
        self.element == TensorElementType::Uint8
    }

    /// Names of the outputs.
    pub fn outputs(&self) -> Vec<String> {
        self.session.outputs().iter().map(|output| output.name().to_owned()).collect()
    }

    /// Runs the model, and hands each output that is f32 to `each`, with its place in `wanted`, shape and numbers.
    /// `wanted` names outputs; the others are not fetched.
    ///
    /// # Errors
    /// [`RuntimeError`] when the input doesn't fit, or ONNX Runtime fails.
    pub fn run(
        &mut self,
        input: &Array,
        wanted: &[String],
        mut each: impl FnMut(usize, &[i64], &[f32]),
    ) -> Result<(), RuntimeError> {
        let made = match &input.values {
            Values::U8(values) => Tensor::from_array((input.shape.clone(), values.clone())).map(|t| t.into_dyn()),
            Values::F32(values) => Tensor::from_array((input.shape.clone(), values.clone())).map(|t| t.into_dyn()),
        };
        let tensor = made.map_err(RuntimeError::onnx("make an input tensor"))?;
        let selected = wanted.iter().fold(OutputSelector::no_default(), |outputs, name| outputs.with(name.as_str()));
        let options = RunOptions::new().map_err(RuntimeError::onnx("set up a run"))?.with_outputs(selected);
        let inputs = [SessionInputValue::from(tensor)];
        let outputs = self.session.run_with_options(inputs, &options).map_err(RuntimeError::onnx("run the model"))?;
        for (place, name) in wanted.iter().enumerate() {
            let Some(value) = outputs.get(name.as_str()) else { continue };
            if let Ok((shape, numbers)) = value.try_extract_tensor::<f32>() {
                each(place, shape, numbers);
            }
        }
        Ok(())
    }

    /// Ends the profile; the path of the file with it.
    ///
    /// # Errors
    /// [`RuntimeError`] when ONNX Runtime can't write it.
    pub fn end_profile(&mut self) -> Result<String, RuntimeError> {
        self.session.end_profiling().map_err(RuntimeError::onnx("write a profile"))
    }
}

/// Writes the graph that ONNX Runtime makes of the model to the file `path`, as an ONNX model.
///
/// # Errors
/// [`RuntimeError`] when ONNX Runtime refuses the model or can't write the file.
pub fn rewrite(onnx: &[u8], options: &Options, how: Rewrite, path: &Path) -> Result<(), RuntimeError> {
    let level = match how {
        Rewrite::Folded => GraphOptimizationLevel::Level1,
        Rewrite::AsRun => GraphOptimizationLevel::All,
    };
    let inspect = Inspect { level, optimized: Some(path), ..Inspect::default() };
    session::open_inspected("rewrite the model", onnx, options, inspect).map(drop)
}
