//! Any ONNX model → its folded graph, in an operator set whose QuantizeLinear takes a scale for each channel.

use std::fs;

use lintel_inference::model::rewrite;
use lintel_inference::{Options, Rewrite};
use lintel_onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use lintel_onnx::{ElementType, read, write};

use super::network::{Network, form, int_of};
use super::{QuantizeError, Scratch};

/// The operator set in which QuantizeLinear takes scales by channel.
const WANTED_OPSET: i64 = 13;
/// The oldest operator set that can be converted.
const OLDEST_OPSET: i64 = 11;
/// The file format's version that goes with it.
const IR_VERSION: i64 = 8;
/// Operators that mean the same in sets 11 to 13.
const UNCHANGED: [&str; 47] = [
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "Log",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Sqrt",
    "Sub",
    "Tanh",
    "Transpose",
];

/// Reads a model, lets ONNX Runtime fold constants (shapes, batch norms, scales behind convolutions), and converts the
/// rest to operator set 13 or later.
///
/// # Errors
/// [`QuantizeError`] when the model is not sound, ONNX Runtime refuses it, or an operator cannot be converted.
pub fn prepare(onnx: &[u8], runtime: &Options, scratch: &Scratch) -> Result<ModelProto, QuantizeError> {
    let given = read(onnx)?;
    Network::of(&given)?;
    let outputs: Vec<String> = given.graph.iter().flat_map(|g| &g.output).map(|o| o.name.clone()).collect();
    drop(given);
    let path = scratch.path("folded.onnx");
    rewrite(onnx, runtime, Rewrite::Folded, &path)?;
    let folded = fs::read(&path).map_err(|source| QuantizeError::Scratch { path: path.clone(), source })?;
    let _ = fs::remove_file(&path);
    let mut model = read(&folded)?;
    drop(folded);
    upgrade(&mut model)?;
    model.metadata_props.clear();
    let network = Network::of(&model)?;
    match outputs.iter().find(|name| !network.is_output(name)) {
        Some(lost) => Err(form(format!("lost its output {lost} in ONNX Runtime's folding"))),
        None => Ok(model),
    }
}

/// The version of ONNX's own operators that a model uses.
pub fn opset(model: &ModelProto) -> i64 {
    let own = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    own.and_then(|set| set.version).unwrap_or(1)
}

/// Converts a model to operator set 13; a newer one is not changed.
///
/// # Errors
/// [`QuantizeError`] names the operator whose meaning differs there.
pub fn upgrade(model: &mut ModelProto) -> Result<(), QuantizeError> {
    let from = opset(model);
    let graph = model.graph.as_mut().ok_or(lintel_onnx::OnnxError::NoGraph)?;
    if from < WANTED_OPSET {
        if from < OLDEST_OPSET {
            return Err(form(format!("is in operator set {from}, wanted {OLDEST_OPSET} or later; export it again")));
        }
        upgrade_nodes(graph, from)?;
    }
    // Old files list their weights as inputs too, and ONNX Runtime does not fold inputs.
    let constants: std::collections::BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    graph.input.retain(|input| !constants.contains(input.name.as_str()));
    let used = |domain: &str| graph.node.iter().any(|node| node.domain == domain);
    model.opset_import.retain(|set| set.domain.is_empty() || used(&set.domain));
    for set in model.opset_import.iter_mut().filter(|set| set.domain.is_empty()) {
        set.version = Some(from.max(WANTED_OPSET));
    }
    model.ir_version = model.ir_version.max(IR_VERSION);
    Ok(())
}

fn upgrade_nodes(graph: &mut GraphProto, from: i64) -> Result<(), QuantizeError> {
    let mut axes: Vec<TensorProto> = Vec::new();
    for (at, node) in graph.node.iter_mut().enumerate() {
        match node.op_type.as_str() {
            // Their axes became an input.
            "Squeeze" | "Unsqueeze" | "ReduceSum" => {
                if let Some(place) = node.attribute.iter().position(|a| a.name == "axes") {
                    let ints = node.attribute.remove(place).ints;
                    let name = format!("lintel.axes.{at}");
                    axes.push(TensorProto {
                        dims: vec![i64::try_from(ints.len()).unwrap_or(i64::MAX)],
                        data_type: ElementType::I64.into(),
                        name: name.clone(),
                        raw_data: Some(ints.iter().flat_map(|v| v.to_le_bytes()).collect()),
                        ..TensorProto::default()
                    });
                    node.input.push(name);
                }
            }
            // Before, it worked on a matrix of all dimensions after the axis; for the last axis that is the same.
            "Softmax" | "LogSoftmax" if int_of(node, "axis", 1) == -1 => {}
            op if UNCHANGED.contains(&op) && node.domain.is_empty() => {}
            _ => return Err(changed(node, from)),
        }
    }
    graph.initializer.append(&mut axes);
    Ok(())
}

fn changed(node: &NodeProto, from: i64) -> QuantizeError {
    form(format!(
        "has {} {} of operator set {from}, which may mean something else in set {WANTED_OPSET}; export the model with \
         operator set {WANTED_OPSET} or later",
        node.op_type, node.name
    ))
}

/// The graph as ONNX Runtime runs it on this machine.
///
/// # Errors
/// [`QuantizeError`] when ONNX Runtime refuses the model.
pub fn as_run(onnx: &[u8], runtime: &Options, scratch: &Scratch) -> Result<ModelProto, QuantizeError> {
    let path = scratch.path("as-run.onnx");
    rewrite(onnx, runtime, Rewrite::AsRun, &path)?;
    let bytes = fs::read(&path).map_err(|source| QuantizeError::Scratch { path: path.clone(), source })?;
    let _ = fs::remove_file(&path);
    Ok(read(&bytes)?)
}

/// The bytes of a model, checked for soundness.
pub fn bytes(model: &ModelProto) -> Vec<u8> {
    write(model)
}
